//! The recordings of one person, for an export.

use std::collections::BTreeSet;

use super::{
    error::Error,
    parties::{counts_for, is_of_party},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::{RecordingId, SubjectId},
    sid::AccountSid,
};

/// Returns the recordings of every conversation in which this person is a party, in the order of
/// their ids, after `after`; empty `accounts` means all. For a conference this includes recordings of
/// the person's own call; of a chat those from the time that they were there; of the tracks of a
/// room, only the person's own.
pub async fn recordings(
    tx: &mut Tx,
    subject: SubjectId,
    accounts: &BTreeSet<AccountSid>,
    after: Option<RecordingId>,
    limit: i64,
) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = concat!(
        "/* exports.recordings */
        SELECT id FROM (
          SELECT recordings.id FROM parties JOIN recordings ON recordings.conference_sid = parties.conversation
          WHERE parties.subject = $1 AND ",
        counts_for!(),
        " AND ($4 = '{}' OR recordings.account IN (SELECT key FROM json_each($4)))
          UNION
          SELECT recordings.id FROM parties JOIN recordings ON recordings.thread = parties.conversation
          WHERE parties.subject = $1 AND ",
        is_of_party!(),
        " AND ($4 = '{}' OR recordings.account IN (SELECT key FROM json_each($4)))
          UNION
          SELECT recordings.id FROM parties JOIN recordings ON recordings.call_sid = parties.conversation
          WHERE parties.subject = $1 AND ",
        counts_for!(),
        " AND ($4 = '{}' OR recordings.account IN (SELECT key FROM json_each($4)))
        ) AS theirs WHERE id > $2 ORDER BY id LIMIT $3"
    );
    let subject = subject.to_string();
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let rows = tx
        .fetch_all(
            SQL,
            &[
                Arg::Text(&subject),
                Arg::Text(&after),
                Arg::Int(limit),
                Arg::Text(&set(accounts)),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}
