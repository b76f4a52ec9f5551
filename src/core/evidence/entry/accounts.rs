//! Entries about the source's accounts: comparison, listing, reload.

use serde_json::json;

use super::NewEntry;
use crate::{
    evidence::event::AuditEvent,
    model::{
        actor::Initiator, media::MediaKind, reconciled::Reconciled, sid::AccountSid,
        time::Timestamp,
    },
};

impl NewEntry {
    /// The source's list of an account since a point in time was compared with the vault.
    pub fn reconcile_done(
        at: Timestamp,
        by: Initiator,
        account: &AccountSid,
        since: Timestamp,
        found: &Reconciled,
    ) -> Self {
        let details = json!({
            "account": account, "since": since, "listed": found.listed, "announced": found.announced, "advanced": found.advanced,
            "erased": found.erased, "ghosts": found.ghosts, "absent_not_told": found.absent_not_told,
            "completed_not_told": found.completed_not_told, "messages_not_told": found.messages_not_told,
        });
        Self::new(at, by, AuditEvent::ReconcileDone, None, details)
    }

    /// The communications of a kind of an existing account were listed completely.
    pub fn backfill_done(
        at: Timestamp,
        account: &AccountSid,
        kind: MediaKind,
        since: Timestamp,
        until: Timestamp,
        listed: i64,
        announced: i64,
    ) -> Self {
        let details = json!({ "account": account, "kind": kind, "since": since, "until": until, "listed": listed, "announced": announced });
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::BackfillDone,
            None,
            details,
        )
    }

    /// The accounts were reloaded: the added and removed ones, and their present number. Secrets
    /// are never recorded.
    pub fn accounts_reloaded(
        at: Timestamp,
        added: &[AccountSid],
        removed: &[AccountSid],
        count: usize,
    ) -> Self {
        let details = json!({ "added": added, "removed": removed, "accounts": count });
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::AccountsReloaded,
            None,
            details,
        )
    }
}
