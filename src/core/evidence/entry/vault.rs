//! Entries about the vault itself: epochs, snapshots, roots, custody, drills.

use serde_json::json;

use super::{super::event::AuditEvent, NewEntry};
use crate::model::{
    actor::Initiator,
    id::{DatabaseId, ObjectId},
    name::Tier,
    time::Timestamp,
    timeline::Timeline,
};

impl NewEntry {
    /// The epoch turned: how many pages got new keys, and how many shreds are out of reach
    /// of the next root.
    pub fn epoch_turned(
        at: Timestamp,
        by: Initiator,
        epoch: u64,
        pages: u64,
        covered: u64,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::EpochTurned,
            None,
            json!({ "epoch": epoch, "pages": pages, "covered": covered }),
        )
    }

    /// The signing key was replaced; both keys by their ids.
    pub fn signing_key_replaced(at: Timestamp, by: Initiator, key_id: &str, retired: &str) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::SigningKeyReplaced,
            None,
            json!({ "signing_key": key_id, "retired": retired }),
        )
    }

    /// A snapshot was verified, with this many living keys tried. The name is the store's own.
    pub fn snapshot_verified(at: Timestamp, snapshot: &str, keys: u64) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::SnapshotVerified,
            None,
            json!({ "snapshot": snapshot, "keys": keys }),
        )
    }

    /// This object with small ciphertext is given up; so many of its bytes belong to recordings that
    /// live, and are stored anew.
    pub fn pack_left(at: Timestamp, object: ObjectId, size: u64, living: u64) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::PackLeft,
            None,
            json!({ "object": object, "size": size, "living": living }),
        )
    }

    /// So many objects with rows that snapshots share are given up: the newest snapshot names none
    /// of them.
    pub fn rows_left(at: Timestamp, objects: usize) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RowsLeft,
            None,
            json!({ "objects": objects }),
        )
    }

    /// Every root but that of this epoch is about to be destroyed.
    pub fn root_condemned(at: Timestamp, kept: u64) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RootCondemned,
            None,
            json!({ "kept_epoch": kept }),
        )
    }

    /// Every root but that of this epoch is destroyed.
    pub fn root_destroyed(at: Timestamp, kept: u64) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RootDestroyed,
            None,
            json!({ "kept_epoch": kept }),
        )
    }

    /// This many pages, of one tier or of all, get new keys in the next turn.
    pub fn keys_rotated(at: Timestamp, by: Initiator, tier: Option<&Tier>, pages: u64) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::KeysRotated,
            None,
            json!({ "tier": tier, "pages": pages }),
        )
    }

    /// The database was rebuilt. It continues in a new timeline after the store's log, which ended
    /// at `known_to`, and after `late` entries of other timelines from the store.
    pub fn vault_restored(
        at: Timestamp,
        snapshot: &str,
        timeline: Timeline,
        known_to: i64,
        late: i64,
    ) -> Self {
        let details = json!({
            "snapshot": snapshot,
            "timeline": timeline,
            "entries_known_to": known_to,
            "late_entries": late,
        });
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::VaultRestored,
            None,
            details,
        )
    }

    /// A restore continued although the store has lost some of the entries `first` to `last`,
    /// numbers of this log or of a lost timeline.
    pub fn restore_gap_accepted(
        at: Timestamp,
        timeline: Option<Timeline>,
        first: i64,
        last: i64,
    ) -> Self {
        let details = match timeline {
            None => json!({ "first": first, "last": last }),
            Some(timeline) => json!({ "timeline": timeline, "first": first, "last": last }),
        };
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::RestoreGapAccepted,
            None,
            details,
        )
    }

    /// The placeholder of an entry that the store has lost.
    pub fn entry_lost(at: Timestamp) -> Self {
        Self::new(at, Initiator::Vault, AuditEvent::EntryLost, None, json!({}))
    }

    /// An operator confirmed the clock; `before` is the time accepted until then.
    pub fn clock_accepted(at: Timestamp, by: Initiator, before: Option<Timestamp>) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::ClockAccepted,
            None,
            json!({ "believed_before": before }),
        )
    }

    /// The lease of the turn was taken from a holder.
    pub fn turn_released(at: Timestamp, by: Initiator, holder: &str, until: Timestamp) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::TurnReleased,
            None,
            json!({ "holder": holder, "until": until }),
        )
    }

    /// The roots of these epochs are sealed under another passphrase.
    pub fn custody_changed(at: Timestamp, epochs: &[u64]) -> Self {
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::CustodyChanged,
            None,
            json!({ "epochs": epochs }),
        )
    }

    /// This database took over custody; from another database, if one owned it.
    pub fn custody_taken(at: Timestamp, from: Option<DatabaseId>, to: DatabaseId) -> Self {
        let details = json!({ "from": from.map(|from| from.to_string()), "to": to.to_string() });
        Self::new(
            at,
            Initiator::Operator,
            AuditEvent::CustodyTaken,
            None,
            details,
        )
    }

    /// Another database took over custody: this one opens and writes nothing any more.
    pub fn custody_lost(at: Timestamp, to: DatabaseId) -> Self {
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::CustodyLost,
            None,
            json!({ "to": to.to_string() }),
        )
    }

    /// A drill was completed, with the results of its two halves.
    pub fn drill_held(at: Timestamp, by: Initiator, recovers: bool, forgets: bool) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::DrillHeld,
            None,
            json!({ "recovers": recovers, "forgets": forgets }),
        )
    }
}
