//! A grant is ended before its time: by whom it was given to, or by who may revoke. What is heard
//! under it falls silent.

use super::Playback;
use crate::{
    db::{
        endings::StreamEnding,
        grants::{self, GrantRow},
        recordings, tokens,
    },
    evidence::NewEntry,
    flow::error::Error,
    model::{access::Principal, actor::Initiator, id::GrantId},
    policy::{Permit, action},
};

impl Playback {
    /// Ends a grant that was given to this principal, by whichever of their tokens. False if there
    /// is none of theirs with this id. To end it again changes nothing.
    ///
    /// # Errors
    /// The database's.
    pub async fn end_own(&self, principal: &Principal, id: GrantId) -> Result<bool, Error> {
        let mut tx = self.db.read().await?;
        let Some(grant) = grants::find_by_id(&mut tx, id).await? else {
            return Ok(false);
        };
        let whose = tokens::principal_of(&mut tx, grant.token).await?;
        drop(tx);
        if whose != Some(principal.id) {
            return Ok(false);
        }
        self.end_grant(&grant, principal.initiator()).await?;
        Ok(true)
    }

    /// Ends anybody's grant. To end it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one to a recording that the permit does not cover; the
    /// database's.
    pub async fn end(&self, permit: &Permit<action::Revoke>, id: GrantId) -> Result<(), Error> {
        let mut tx = self.db.read().await?;
        let grant = grants::find_by_id(&mut tx, id)
            .await?
            .ok_or(Error::NotFound)?;
        recordings::find(&mut tx, grant.recording)
            .await?
            .filter(|recording| permit.covers(recording.account()))
            .ok_or(Error::NotFound)?;
        drop(tx);
        self.end_grant(&grant, permit.initiator()).await
    }

    async fn end_grant(&self, grant: &GrantRow, by: Initiator) -> Result<(), Error> {
        let id = grant.id;
        self.db
            .unit("grant.end", async |mut unit| {
                let now = self.clock.now();
                if grants::end(&mut unit, id, now).await? {
                    unit.audit(NewEntry::grant_ended(now, by, grant.recording, id, None));
                } else {
                    unit.without_entry("it was ended before");
                }
                Ok::<_, Error>(())
            })
            .await?;
        self.streams.end(StreamEnding::Grant(id));
        Ok(())
    }
}
