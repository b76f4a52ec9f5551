//! The catalogue's table as it is stored.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    db::{
        error::Error,
        row::Row,
        table::{TableRow, table},
    },
    model::{
        encryption::Encryption,
        id::RecordingId,
        media::{MediaKind, SourceRef},
        name::{Label, LegName, Tier},
        recording::{DiscoveredBy, Recording, RecordingState},
        sid::{AccountSid, CallSid, ConferenceSid},
        subject::Conversation,
        time::Timestamp,
    },
};

table! {
    "recordings" { subject: Some("id") }

    #[derive(Debug)]
    pub(in crate::db) struct StoredRecording {
        key {
            id: RecordingId = "id",
        }
        kind: MediaKind = "kind",
        state: RecordingState = "state",
        account: AccountSid = "account",
        source_sid: String = "source_sid",
        call: Option<CallSid> = "call_sid",
        conference: Option<ConferenceSid> = "conference_sid",
        thread: Option<Conversation> = "thread",
        author: Option<LegName> = "author",
        files: u8 = "files",
        source: Option<String> = "source",
        source_status: String = "source_status",
        source_rank: i64 = "source_rank",
        error_code: Option<i64> = "error_code",
        duration_s: Option<i64> = "duration_s",
        channels: Option<i64> = "channels",
        tier: Tier = "tier",
        policy_version: String = "policy_version",
        policy_digest: String = "policy_digest",
        started_at: Option<Timestamp> = "started_at",
        announced_at: Timestamp = "announced_at",
        sealed_at: Option<Timestamp> = "sealed_at",
        shredded_at: Option<Timestamp> = "shredded_at",
        collected_at: Timestamp = "collected_at",
        labels: BTreeMap<Label, String> = "labels",
        holds: i64 = "holds",
        revoked_at: Option<Timestamp> = "revoked_at",
        revoked_reason: Option<String> = "revoked_reason",
        quarantine_ends: Option<Timestamp> = "quarantine_ends",
        heard_by: DiscoveredBy = "heard_by",
        encryption: Option<Encryption> = "encryption",
        removed_at: Option<Timestamp> = "removed_at",
        shows: Option<BTreeSet<LegName>> = "shows",
    }
}

/// The columns that a query selects first, for [`recording`] to read.
pub(in crate::db) const COLUMNS: &str = StoredRecording::COLUMNS;

/// Reads the recording from the first columns of a row.
pub(in crate::db) fn recording(row: &Row) -> Result<Recording, Error> {
    Recording::try_from(StoredRecording::of(row)?)
}

impl TryFrom<StoredRecording> for Recording {
    type Error = Error;

    fn try_from(row: StoredRecording) -> Result<Self, Error> {
        let inconsistent = |column| StoredRecording::TABLE.inconsistent(column, row.id);
        let source_ref = SourceRef::parse(row.account, &row.source_sid)
            .map_err(|_| inconsistent("source_sid"))?;
        // The kind is also a column, for queries by kind: the two must agree.
        if row.kind != source_ref.kind() {
            return Err(inconsistent("kind"));
        }
        Ok(Self {
            id: row.id,
            state: row.state,
            source_ref,
            call: row.call,
            conference: row.conference,
            thread: row.thread,
            author: row.author,
            files: row.files,
            source: row.source,
            source_status: row.source_status,
            error_code: row.error_code,
            duration_s: row.duration_s,
            channels: row.channels,
            tier: row.tier,
            policy_version: row.policy_version,
            policy_digest: row.policy_digest,
            started_at: row.started_at,
            announced_at: row.announced_at,
            sealed_at: row.sealed_at,
            shredded_at: row.shredded_at,
            collected_at: row.collected_at,
            labels: row.labels,
            holds: row.holds,
            revoked_at: row.revoked_at,
            quarantine_ends: row.quarantine_ends,
            heard_by: row.heard_by,
            encryption: row.encryption,
            removed_at: row.removed_at,
            shows: row.shows,
        })
    }
}
