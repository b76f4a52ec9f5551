//! Ending of a grant before its expiry, by the principal to whom it was given or by a caller with
//! the `revoke` action. Streams under it end.

use super::Playback;
use crate::{
    db::{
        endings::StreamEnding,
        grants::{self, GrantRow},
        tokens,
    },
    evidence::NewEntry,
    flow::error::Error,
    model::{access::Principal, actor::Initiator, id::GrantId},
    policy::{Permit, action},
};

impl Playback {
    /// Ends a grant that was given to this principal, through any of their tokens. Returns false if
    /// they have no grant with this id. Repeating it changes nothing.
    ///
    /// # Errors
    /// Any database error.
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

    /// Ends the grant of any principal. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a grant to something that the permit does not cover; any
    /// database error.
    pub async fn end(&self, permit: &Permit<action::Revoke>, id: GrantId) -> Result<(), Error> {
        let mut tx = self.db.read().await?;
        let grant = grants::find_by_id(&mut tx, id)
            .await?
            .ok_or(Error::NotFound)?;
        drop(tx);
        if !permit.covers(&grant.account) {
            return Err(Error::NotFound);
        }
        self.end_grant(&grant, permit.initiator()).await
    }

    async fn end_grant(&self, grant: &GrantRow, by: Initiator) -> Result<(), Error> {
        let id = grant.id;
        self.db
            .unit("grant.end", async |mut unit| {
                let now = self.clock.now();
                if grants::end(&mut unit, id, now).await? {
                    unit.audit(NewEntry::grant_ended(now, by, &grant.object, id, None));
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
