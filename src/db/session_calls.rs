//! Calls that go through a session of Proxy: how the recording of a call finds its session.
//!
//! Owns these rows. They are found again at the source, so they do not travel, and older ones are
//! deleted: a recording comes at the end of its call.

use std::time::Duration;

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    sid::{AccountSid, CallSid, ProxyParticipantSid, ProxySessionSid},
    subject::Conversation,
    time::Timestamp,
};

/// How long a row is kept.
const KEPT: Duration = Duration::from_secs(60 * 24 * 3600);

table! {
    "session_calls" {}

    /// A call that goes through a session.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SessionCall {
        key {
            /// One of the two calls.
            pub call: CallSid = "call_sid",
            /// The account or subaccount. What another one tells of the same id is another row.
            pub account: AccountSid = "account",
        }
        /// The session.
        pub session: ProxySessionSid = "session",
        /// The side that called.
        pub caller: Option<ProxyParticipantSid> = "caller",
        /// The side that was called.
        pub callee: Option<ProxyParticipantSid> = "callee",
        /// When it was told first.
        pub told_at: Timestamp = "told_at",
    }
}

/// Inserts calls that are not known, and deletes old rows. Returns the number of new ones.
pub async fn enter(tx: &mut Tx, calls: &[SessionCall], now: Timestamp) -> Result<u64, Error> {
    const SQL: &str = formatcp!(
        "/* session_calls.enter */ {}
        ON CONFLICT (call_sid, account) DO UPDATE SET
          caller = COALESCE(session_calls.caller, excluded.caller), callee = COALESCE(session_calls.callee, excluded.callee)
        WHERE session_calls.caller IS NULL AND excluded.caller IS NOT NULL OR session_calls.callee IS NULL AND excluded.callee IS NOT NULL",
        SessionCall::INSERT
    );
    const OLD: &str = "/* session_calls.old */ DELETE FROM session_calls WHERE told_at < $1";
    let mut new = 0;
    for call in calls {
        new += tx.insert_row(SQL, call, &[]).await?;
    }
    if new > 0 {
        let before = now.before(KEPT).as_millis();
        tx.execute(OLD, &[Arg::Int(before)]).await?;
    }
    Ok(new)
}

/// Returns a call that goes through a session, as this account told of it.
pub async fn find(
    tx: &mut Tx,
    account: &AccountSid,
    call: &CallSid,
) -> Result<Option<SessionCall>, Error> {
    const SQL: &str = formatcp!(
        "/* session_calls.find */ SELECT {} FROM session_calls WHERE call_sid = $1 AND account = $2",
        SessionCall::COLUMNS
    );
    let args = [Arg::Text(call.as_str()), Arg::Text(account.as_str())];
    let rows: Vec<SessionCall> = tx.fetch_rows(SQL, &args).await?;
    Ok(rows.into_iter().next())
}

/// Groups the recordings of these calls in a session. Returns those that were in none, and with
/// `all` also those that were in it before.
pub async fn group(
    tx: &mut Tx,
    account: &AccountSid,
    calls: &[CallSid],
    session: &ProxySessionSid,
    all: bool,
) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* session_calls.group */ UPDATE recordings SET thread = $3
        WHERE account = $1 AND call_sid IN (SELECT key FROM json_each($2)) AND (thread IS NULL OR thread = $3 AND $4 = 1) RETURNING id";
    let session = Conversation::Session(session.clone());
    let args = [
        Arg::Text(account.as_str()),
        Arg::Text(&set(calls)),
        Arg::Text(session.as_str()),
        Arg::Int(all.into()),
    ];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}
