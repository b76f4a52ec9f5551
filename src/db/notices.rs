//! Notices: which threads had their person told first.
//!
//! INVARIANT: a thread has one row, however many messages come in it at once.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{sid::MessageSid, subject::Conversation, time::Timestamp};

table! {
    "notices" {}

    /// The notice of a thread.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NoticeRow {
        key {
            /// The thread.
            pub thread: Conversation = "thread",
        }
        /// When it became due.
        pub asked_at: Timestamp = "asked_at",
        /// The message that was sent.
        pub message: Option<MessageSid> = "message",
        /// Why the source refused it.
        pub error_code: Option<i64> = "error_code",
        /// When it was delivered, refused, or no longer needed.
        pub ended_at: Option<Timestamp> = "ended_at",
    }
}

/// Adds the threads that have no notice yet, and returns them.
///
/// # Errors
/// [`Error::Conflict`] if another writer added one of them meanwhile. A retry of the unit finds it.
pub async fn ask(
    tx: &mut Tx,
    threads: &BTreeSet<Conversation>,
    now: Timestamp,
) -> Result<Vec<Conversation>, Error> {
    const KNOWN: &str = "/* notices.known */ SELECT thread FROM notices WHERE thread IN (SELECT key FROM json_each($1))";
    const SQL: &str = formatcp!("/* notices.ask */ {}", NoticeRow::INSERT_INTO);
    if threads.is_empty() {
        return Ok(Vec::new());
    }
    let known = tx.fetch_all(KNOWN, &[Arg::Text(&set(threads))]).await?;
    let known: BTreeSet<Conversation> = known
        .iter()
        .map(|row| row.parse("notices", "thread", "thread"))
        .collect::<Result<_, Error>>()?;
    let fresh: Vec<Conversation> = threads.difference(&known).cloned().collect();
    let row = |thread: &Conversation| NoticeRow {
        thread: thread.clone(),
        asked_at: now,
        message: None,
        error_code: None,
        ended_at: None,
    };
    let rows: Vec<NoticeRow> = fresh.iter().map(row).collect();
    tx.insert_rows(SQL, &rows).await?;
    Ok(fresh)
}

/// Returns the notice of a thread.
pub async fn find(tx: &mut Tx, thread: &Conversation) -> Result<Option<NoticeRow>, Error> {
    const SQL: &str = formatcp!(
        "/* notices.find */ SELECT {} FROM notices WHERE thread = $1",
        NoticeRow::COLUMNS
    );
    tx.fetch_row(SQL, &[Arg::Text(thread.as_str())]).await
}

/// Stores a notice, replacing what was known of it.
pub async fn put(tx: &mut Tx, row: &NoticeRow) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* notices.put */ {} {}",
        NoticeRow::INSERT,
        NoticeRow::OR_REPLACE
    );
    tx.insert_row(SQL, row, &[]).await.map(|_| ())
}
