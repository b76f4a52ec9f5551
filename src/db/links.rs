//! Links between recordings of one text.
//!
//! Owns the rule that recordings with an exact link are one: whoever shreds one asks [`same`] here for
//! the others, and [`left`] finds those that were linked, or came, after the other was shredded. A link
//! may name a recording that has not come, or never will.
//!
//! INVARIANT: what is known only grows, and each end has a row of its own.

use std::collections::BTreeSet;

use const_format::formatcp;

use super::{
    error::Error,
    recordings,
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::RecordingId,
    link::{LinkKind, LinkReason},
    recording::RecordingState,
};

table! {
    "links" { subject: Some("recording_id") }

    /// One end of a link.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct LinkRow {
        key {
            /// The recording.
            pub recording: RecordingId = "recording_id",
            /// The other one.
            pub other: RecordingId = "other_id",
            /// How sure it is.
            pub kind: LinkKind = "kind",
        }
        /// What it rests on.
        pub why: LinkReason = "why",
    }
}

/// Links a recording with others, in both directions. Locks the rows of those that are there, so that
/// one that is being shredded is shredded by now. Returns the recordings that have a new link.
pub async fn enter(
    tx: &mut Tx,
    recording: RecordingId,
    others: &BTreeSet<RecordingId>,
    why: LinkReason,
) -> Result<Vec<RecordingId>, Error> {
    const LOCK: &str = "/* links.lock */
        SELECT id FROM recordings WHERE id IN (SELECT key FROM json_each($1)) ORDER BY id FOR NO KEY UPDATE";
    const SQL: &str = formatcp!(
        "/* links.enter */ {} ON CONFLICT (recording_id, other_id, kind) DO NOTHING",
        LinkRow::INSERT
    );
    let others: BTreeSet<RecordingId> = others
        .iter()
        .copied()
        .filter(|other| *other != recording)
        .collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    if tx.is_postgres() {
        let ends = set(others.iter().chain([&recording]));
        tx.fetch_all(LOCK, &[Arg::Text(&ends)]).await?;
    }
    let mut linked = BTreeSet::new();
    for other in others {
        for (one, other) in [(recording, other), (other, recording)] {
            let row = LinkRow {
                recording: one,
                other,
                kind: why.kind(),
                why,
            };
            if tx.insert_row(SQL, &row, &[]).await? == 1 {
                linked.insert(one);
            }
        }
    }
    Ok(linked.into_iter().collect())
}

/// A recording at the other end of a link.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LinkedRecording {
    /// Its id.
    pub recording: RecordingId,
    /// How sure the link is.
    pub kind: LinkKind,
    /// What it rests on.
    pub why: LinkReason,
    /// Its state; `None` for a copy at the source that is no recording of its own.
    pub state: Option<RecordingState>,
}

/// Returns the recordings to which one is linked. An exact link replaces an inferred one.
pub async fn of(tx: &mut Tx, recording: RecordingId) -> Result<Vec<LinkedRecording>, Error> {
    const SQL: &str = formatcp!(
        "/* links.of */ SELECT {} FROM links WHERE recording_id = $1 ORDER BY other_id, kind",
        LinkRow::COLUMNS
    );
    let id = recording.to_string();
    let mut rows: Vec<LinkRow> = tx.fetch_rows(SQL, &[Arg::Text(&id)]).await?;
    rows.dedup_by_key(|row| row.other);
    let others: Vec<RecordingId> = rows.iter().map(|row| row.other).collect();
    let others = recordings::find_all(tx, &others).await?;
    let linked = |row: LinkRow| LinkedRecording {
        recording: row.other,
        kind: row.kind,
        why: row.why,
        state: others
            .iter()
            .find(|other| other.id == row.other)
            .map(|other| other.state),
    };
    Ok(rows.into_iter().map(linked).collect())
}

/// Returns the recordings that are the same as these by exact links, without these.
pub async fn same(tx: &mut Tx, ids: &[RecordingId]) -> Result<BTreeSet<RecordingId>, Error> {
    const SQL: &str = "/* links.same */
        WITH RECURSIVE same (id) AS (
          SELECT key FROM json_each($1)
          UNION SELECT links.other_id FROM links JOIN same ON links.recording_id = same.id WHERE links.kind = 'exact')
        SELECT recordings.id FROM same JOIN recordings ON recordings.id = same.id
        WHERE recordings.id NOT IN (SELECT key FROM json_each($1))";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Returns whether [`same`] returns others than these by now. One writer at a time needs no answer.
pub async fn is_more(
    tx: &mut Tx,
    ids: &[RecordingId],
    known: &BTreeSet<RecordingId>,
) -> Result<bool, Error> {
    Ok(tx.is_postgres() && !same(tx, ids).await?.is_subset(known))
}

/// The two ends of an exact link, from a row of the first one.
const ENDS: &str = "links JOIN recordings AS one ON one.id = links.recording_id
          JOIN recordings AS other ON other.id = links.other_id
        WHERE links.kind = 'exact'";
/// The other end is shredded, and the first one neither shredded nor closed.
const IS_LEFT: &str = "other.state = 'shredded' AND one.state <> 'shredded' AND (one.holds = 0 OR one.revoked_at IS NULL)";

/// Returns recordings that are the same as one that is shredded, and are neither shredded nor closed
/// themselves; with `among`, only where one of the two is among these.
pub async fn left(
    tx: &mut Tx,
    among: Option<&[RecordingId]>,
    limit: i64,
) -> Result<Vec<RecordingId>, Error> {
    const ALL: &str = formatcp!(
        "/* links.left */ SELECT DISTINCT one.id AS id FROM {ENDS} AND {IS_LEFT} ORDER BY one.id LIMIT $1"
    );
    // Each end has a row of its own, so that both halves find theirs by the key.
    const AMONG: &str = formatcp!(
        "/* links.left_among */
        SELECT one.id AS id FROM {ENDS} AND links.recording_id IN (SELECT key FROM json_each($1)) AND {IS_LEFT}
        UNION SELECT other.id AS id FROM {ENDS} AND links.recording_id IN (SELECT key FROM json_each($1))
          AND one.state = 'shredded' AND other.state <> 'shredded' AND (other.holds = 0 OR other.revoked_at IS NULL)
        ORDER BY id LIMIT $2"
    );
    let limit = Arg::Int(limit);
    let rows = match among {
        Some([]) => return Ok(Vec::new()),
        Some(ids) => {
            let ids = set(ids);
            tx.fetch_all(AMONG, &[Arg::Text(&ids), limit]).await?
        }
        None => tx.fetch_all(ALL, &[limit]).await?,
    };
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Returns those of these ids that are no recordings, and the same as one that is: what the source has
/// of them is a copy of that.
pub async fn copies(tx: &mut Tx, ids: &[RecordingId]) -> Result<BTreeSet<RecordingId>, Error> {
    const SQL: &str = "/* links.copies */
        SELECT DISTINCT links.recording_id AS id FROM links JOIN recordings ON recordings.id = links.other_id
        WHERE links.kind = 'exact' AND links.recording_id IN (SELECT key FROM json_each($1))
          AND NOT EXISTS (SELECT 1 FROM recordings AS own WHERE own.id = links.recording_id)";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    rows.iter()
        .map(|row| row.parse("links", "id", "id"))
        .collect()
}
