//! The table of the source's transcripts as it is stored.

use super::TranscriptId;
use crate::{
    db::{
        error::Error,
        table::{TableRow as _, table},
    },
    model::{
        origin::Origin,
        sid::{AccountSid, CallSid, RecordingSid},
        time::Timestamp,
    },
};

table! {
    "transcripts" {}

    #[derive(Debug)]
    pub(in crate::db) struct StoredTranscript {
        key {
            pub(super) account: AccountSid = "account",
            pub(super) sid: String = "sid",
            pub(super) kind: String = "kind",
        }
        pub(super) source: Option<RecordingSid> = "source_sid",
        pub(super) call: Option<CallSid> = "call_sid",
        pub(super) state: String = "state",
        pub(super) told_at: Timestamp = "told_at",
        pub(super) began_at: Option<Timestamp> = "began_at",
        pub(super) ended_at: Option<Timestamp> = "ended_at",
    }
}

impl StoredTranscript {
    /// Creates the row of a transcript that the vault was told of now.
    pub(super) fn new(id: &TranscriptId, now: Timestamp) -> Self {
        Self {
            account: id.account.clone(),
            sid: id.origin.sid().to_owned(),
            kind: id.origin.kind().to_owned(),
            source: None,
            call: None,
            state: "waiting".to_owned(),
            told_at: now,
            began_at: None,
            ended_at: None,
        }
    }

    /// Returns its product and SID.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if product and SID do not match.
    pub(super) fn origin(&self) -> Result<Origin, Error> {
        let origin = Origin::parse(&self.kind, &self.sid);
        origin.ok_or_else(|| Self::TABLE.inconsistent("kind", &self.sid))
    }
}

impl TryFrom<StoredTranscript> for TranscriptId {
    type Error = Error;

    fn try_from(row: StoredTranscript) -> Result<Self, Error> {
        Ok(Self {
            origin: row.origin()?,
            account: row.account,
        })
    }
}
