//! The list of grants: those of the asker, or for some those of others.

use super::Playback;
use crate::{
    db::grants::{self, GrantFilter, ListedGrant},
    flow::{
        error::Error,
        page::{self, Page},
    },
    model::{access::Principal, id::GrantId, time::Timestamp},
    policy::{Permit, action},
};

/// In whose name grants are listed.
#[derive(Debug)]
pub enum GrantLister {
    /// Whoever asks for their own.
    Holder(Principal),
    /// Who may end grants of others.
    Ender(Permit<action::Revoke>),
    /// Who may read the audit log, which tells of all grants.
    Auditor(Permit<action::Audit>),
}

impl Playback {
    /// A page of grants for recordings of the accounts that the lister may know of, the latest issued first. A
    /// holder sees only their own, by whichever of their tokens. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        lister: &GrantLister,
        filter: GrantFilter,
        limit: u16,
    ) -> Result<Page<ListedGrant, (Timestamp, GrantId)>, Error> {
        let filter = lister.limited(filter);
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let rows = grants::list(&mut tx, &filter, now, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, |last| {
            (last.row.issued_at, last.row.id)
        }))
    }
}

impl GrantLister {
    fn limited(&self, filter: GrantFilter) -> GrantFilter {
        let (accounts, principal) = match self {
            Self::Holder(principal) => (&principal.accounts, Some(principal.id)),
            Self::Ender(permit) => (permit.accounts(), filter.principal),
            Self::Auditor(permit) => (permit.accounts(), filter.principal),
        };
        GrantFilter {
            accounts: accounts.clone(),
            principal,
            ..filter
        }
    }
}
