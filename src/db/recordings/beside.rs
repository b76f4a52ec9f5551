//! What one author wrote before and behind a place in a conversation.

use const_format::formatcp;

use crate::{
    db::{
        error::Error,
        row::Row,
        tx::{Arg, Tx},
    },
    model::{
        id::RecordingId, name::LegName, sid::AccountSid, subject::Conversation, time::Timestamp,
    },
};

/// Which messages beside a place are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// Those before it, the latest first.
    Before,
    /// Those behind it, the earliest first.
    Behind,
}

/// Returns the sealed messages of one author beside a place in a conversation, by their places.
pub async fn written_by(
    tx: &mut Tx,
    (account, conversation, author): (&AccountSid, &Conversation, &LegName),
    beside: Beside,
    (at, id): (Timestamp, RecordingId),
    limit: i64,
) -> Result<Vec<(Timestamp, RecordingId)>, Error> {
    const OF_AUTHOR: &str = "SELECT id, collected_at FROM recordings
        WHERE thread = $1 AND account = $2 AND author = $3 AND kind IN ('message', 'chat-message') AND state = 'sealed'";
    const BEFORE: &str = formatcp!(
        "/* recordings.written_before */ {OF_AUTHOR} AND (collected_at, id) < ($4, $5) ORDER BY collected_at DESC, id DESC LIMIT $6"
    );
    const BEHIND: &str = formatcp!(
        "/* recordings.written_behind */ {OF_AUTHOR} AND (collected_at, id) > ($4, $5) ORDER BY collected_at, id LIMIT $6"
    );
    let sql = match beside {
        Beside::Before => BEFORE,
        Beside::Behind => BEHIND,
    };
    let id = id.to_string();
    let args = [
        Arg::Text(conversation.as_str()),
        Arg::Text(account.as_str()),
        Arg::Text(author.as_str()),
        Arg::Int(at.as_millis()),
        Arg::Text(&id),
        Arg::Int(limit),
    ];
    let rows = tx.fetch_all(sql, &args).await?;
    let place = |row: &Row| {
        let at = row.time("collected_at")?;
        Ok((at, row.parse("recordings", "id", "id")?))
    };
    rows.iter().map(place).collect()
}
