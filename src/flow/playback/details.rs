//! The participants of a recording in the clear, for callers who may know them.
//!
//! Owns the order: a grant is redeemed, which decides again; then the access is recorded; then the
//! participants are shown.

use std::net::IpAddr;

use bytes::Bytes;
use futures_util::{Stream, stream};
use zeroize::Zeroizing;

use super::{Playback, RedeemedGrant};
use crate::{
    db::details,
    flow::{error::Error, guard::Guarded, streams::Ended},
    model::{access::Principal, artefact::Artefact, id::GrantId, recording::Recording},
    policy::Grant,
    vault,
};

/// The participants of a recording, under a valid grant that gives them.
pub struct Shown {
    redeemed: RedeemedGrant,
}

impl Playback {
    /// Redeems a grant token for the participants, as [`Self::redeem`] does for an artefact. Opens
    /// nothing yet.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown token, a view that does not include the participants, or
    /// a recording without sealed details; [`Error::Shredded`], [`Error::Denied`].
    pub async fn redeem_parties(
        &self,
        token: &str,
        network: Option<IpAddr>,
    ) -> Result<Shown, Error> {
        let redeemed = self.redeemed(token, network).await?;
        let gives = redeemed.grant.view().gives(Artefact::Parties);
        if !gives
            || !details::is_there(&mut self.db.read().await?, redeemed.grant.recording()).await?
        {
            return Err(Error::NotFound);
        }
        Ok(Shown { redeemed })
    }

    /// Opens the participants: the JSON of
    /// [`Participants::to_json`](crate::model::details::Participants::to_json). The access is in
    /// the audit log when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile; [`Error::Denied`] if the day's budget is
    /// used up; errors of the vault.
    pub async fn show_parties(
        &self,
        shown: &Shown,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        let RedeemedGrant {
            id,
            grant,
            principal,
            recording,
            registered,
        } = &shown.redeemed;
        let text = self.parties_under(*id, grant, principal, recording).await?;
        if registered.has_ended().is_some() {
            return Err(Error::NotFound);
        }
        let whole = Ok::<_, Ended>(Bytes::from_owner(Text(text)));
        Ok(self.guarded(registered, grant, stream::iter([whole])))
    }

    /// Checks whether the participants could be shown now, for a `HEAD` request. Opens nothing.
    ///
    /// # Errors
    /// As [`Self::show_parties`].
    pub async fn could_show_parties(&self, shown: &Shown) -> Result<(), Error> {
        let RedeemedGrant {
            id,
            grant,
            principal,
            recording,
            ..
        } = &shown.redeemed;
        match self.vault.could_open_details(grant).await {
            Err(vault::Error::Gone | vault::Error::GrantEnded) => Err(Error::NotFound),
            Err(vault::Error::BudgetSpent) => {
                Err(self.over_budget(*id, grant, principal, recording).await?)
            }
            other => Ok(other?),
        }
    }

    pub(in crate::flow) async fn parties_under(
        &self,
        id: GrantId,
        grant: &Grant,
        principal: &Principal,
        recording: &Recording,
    ) -> Result<Zeroizing<String>, Error> {
        match self.vault.open_details(grant, id).await {
            Ok(text) => Ok(text),
            Err(vault::Error::Gone | vault::Error::GrantEnded) => Err(Error::NotFound),
            Err(vault::Error::BudgetSpent) => {
                Err(self.over_budget(id, grant, principal, recording).await?)
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// A text that is passed on as bytes and wiped afterwards.
struct Text(Zeroizing<String>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
