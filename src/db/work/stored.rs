//! The queue's table as it is stored.

use std::str::FromStr;

use crate::{
    db::{
        error::Error,
        table::{TableRow as _, table},
    },
    model::time::Timestamp,
};

table! {
    "work" {
        subject: Some("recording_id"),
        // Work about recordings, chats, revocations, and notices. Transcripts are found again at the
        // source, and leases of comparisons and turns do not outlive the database.
        travels: "kind IN ('fetch', 'files', 'session', 'chat', 'delete-ciphertext', 'delete-at-source', 'revocation', 'notice')",
    }

    /// Rows inserted by other statements have a value for each column, in this order.
    #[derive(Debug)]
    pub(in crate::db) struct StoredWork {
        key {
            pub(in crate::db) kind: String = "kind",
            pub(in crate::db) subject: String = "subject",
        }
        pub(in crate::db) state: String = "state",
        pub(in crate::db) due_at: Timestamp = "due_at",
        pub(in crate::db) holder: Option<String> = "holder",
        pub(in crate::db) token: i64 = "token",
        pub(in crate::db) attempts: i64 = "attempts",
        pub(in crate::db) last_error: Option<String> = "last_error",
        pub(in crate::db) enqueued_at: Timestamp = "enqueued_at",
    }
}

impl StoredWork {
    /// Returns the subject.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] if it is not of this type.
    pub(super) fn subject<K: FromStr>(&self) -> Result<K, Error> {
        let subject = self.subject.parse();
        subject.map_err(|_| Self::TABLE.inconsistent("subject", &self.subject))
    }
}
