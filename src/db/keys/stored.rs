//! The tables of the key tree and of its vault as they are stored.
//!
//! Owns their declarations. Refuses to know queries.

use super::KeyEntry;
use crate::{
    db::{
        error::Error,
        table::{TableRow as _, table},
    },
    keyring::{PageRow, PageSlot},
    model::{
        artefact::Leg,
        id::{DatabaseId, HolderId, PageId, RecordingId, VaultId},
        time::Timestamp,
    },
};

table! {
    "vault" {}

    #[derive(Debug)]
    pub(in crate::db) struct StoredVault {
        key {
            pub(super) id: VaultId = "id",
        }
        pub(super) created_at: Timestamp = "created_at",
        pub(super) database: DatabaseId = "database_id",
    }
}

table! {
    "intended" {}

    #[derive(Debug)]
    pub(in crate::db) struct IntendedVault {
        key {
            pub(super) one: i64 = "one",
        }
        pub(super) id: VaultId = "id",
        pub(super) database: DatabaseId = "database_id",
        pub(super) created_at: Timestamp = "created_at",
    }
}

table! {
    "pages" { subject: Some("id") }

    #[derive(Debug)]
    pub(in crate::db) struct StoredPage {
        key {
            id: PageId = "id",
        }
        tier: String = "tier",
        level: u8 = "level",
        generation: i64 = "generation",
        parent: Option<PageId> = "parent",
        parent_slot: Option<u8> = "parent_slot",
        used: u8 = "used",
        filler: Option<String> = "filler",
        filler_until: Option<Timestamp> = "filler_until",
        sealed: Vec<u8> = "sealed",
        epoch: u64 = "epoch",
        stale: bool = "stale",
    }
}

table! {
    "key_entries" { subject: Some("recording_id") }

    #[derive(Debug)]
    pub(in crate::db) struct StoredKeyEntry {
        key {
            pub(super) recording: RecordingId = "recording_id",
            pub(super) leg: Leg = "leg",
        }
        pub(super) page: PageId = "page_id",
        pub(super) slot: u8 = "slot",
        pub(super) fingerprint: String = "fingerprint",
    }
}

impl StoredPage {
    /// Creates the row of a page that this process fills until `until`.
    pub(super) fn new(page: &PageRow, filler: HolderId, until: Timestamp) -> Self {
        Self {
            id: page.id,
            tier: page.tier.clone(),
            level: page.level,
            generation: page.generation,
            parent: page.parent.map(|place| place.page),
            parent_slot: page.parent.map(|place| place.slot),
            used: page.used,
            filler: Some(filler.to_string()),
            filler_until: Some(until),
            sealed: page.sealed.clone(),
            epoch: page.epoch,
            stale: page.stale,
        }
    }
}

impl TryFrom<StoredPage> for PageRow {
    type Error = Error;

    fn try_from(row: StoredPage) -> Result<Self, Error> {
        let parent = match (row.parent, row.parent_slot) {
            (Some(page), Some(slot)) => Some(PageSlot { page, slot }),
            (Some(_), None) => return Err(StoredPage::TABLE.inconsistent("parent_slot", row.id)),
            (None, _) => None,
        };
        Ok(Self {
            id: row.id,
            tier: row.tier,
            level: row.level,
            generation: row.generation,
            parent,
            used: row.used,
            epoch: row.epoch,
            stale: row.stale,
            sealed: row.sealed,
        })
    }
}

impl From<StoredKeyEntry> for KeyEntry {
    fn from(row: StoredKeyEntry) -> Self {
        Self {
            place: PageSlot {
                page: row.page,
                slot: row.slot,
            },
            fingerprint: row.fingerprint,
        }
    }
}
