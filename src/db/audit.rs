//! The audit log's rows: appended in the transaction of what they tell, numbered in commit order.
//!
//! Numbers grow by 1, but for a rebuilt database, which goes on at the next multiple of 1,000,000:
//! numbers that the lost one may have given are not given again.

mod of_accounts;

pub use self::of_accounts::after_of;
use super::{
    error::Error,
    row::Row,
    tx::{Arg, Tx, set},
};
use crate::{
    evidence::{AuditEvent, Entry, NewEntry, Position},
    model::{
        id::{RecordingId, SubjectId},
        time::Timestamp,
    },
};

/// Appends an entry and returns its number, in the tests of this module's neighbours.
#[cfg(test)]
pub(super) async fn append(tx: &mut Tx, entry: NewEntry) -> Result<i64, Error> {
    append_all(tx, &[entry]).await
}

/// Appends entries in their order and returns the number of the first; the others follow it without
/// a gap. Last in a unit of work, which gathers them (see [`super::Unit`]): it holds the log's head
/// until the commit.
pub(super) async fn append_all(tx: &mut Tx, entries: &[NewEntry]) -> Result<i64, Error> {
    const NEXT: &str =
        "/* audit.next */ UPDATE audit_head SET seq = seq + $1 WHERE one = 1 RETURNING seq";
    const APPEND: &str =
        "/* audit.append */ INSERT INTO audit (seq, at, actor, event, recording_id, details)";
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let first = tx.fetch_int(NEXT, &[Arg::Int(count)]).await? - count + 1;
    tx.numbered(first, first + count - 1)?;
    let texts = |entry: &NewEntry| {
        (
            entry.actor().to_string(),
            entry.recording().map(|id| id.to_string()),
            entry.details().to_string(),
        )
    };
    let texts: Vec<_> = entries.iter().map(texts).collect();
    let args: Vec<Arg<'_>> = (first..)
        .zip(entries.iter().zip(&texts))
        .flat_map(|(seq, (entry, (actor, recording, details)))| {
            [
                Arg::Int(seq),
                Arg::Int(entry.at().as_millis()),
                Arg::Text(actor),
                Arg::Text(entry.event().as_str()),
                Arg::MaybeText(recording.as_deref()),
                Arg::Text(details),
            ]
        })
        .collect();
    tx.insert_all(APPEND, 6, &args).await?;
    entries
        .iter()
        .for_each(|entry| count_event(tx, entry.event()));
    Ok(first)
}

/// What the log tells of is counted where it is told, so that counters and log cannot differ.
fn count_event(tx: &mut Tx, event: AuditEvent) {
    match event {
        AuditEvent::RecordingSealed => tx.count("recvault_recordings_sealed_total", 1),
        AuditEvent::TranscriptSealed => tx.count("recvault_transcripts_sealed_total", 1),
        AuditEvent::DecisionAllowed => {
            tx.count_as("recvault_decisions_total", "outcome", "allowed", 1)
        }
        AuditEvent::DecisionDenied => {
            tx.count_as("recvault_decisions_total", "outcome", "denied", 1)
        }
        AuditEvent::GlassBroken => tx.count("recvault_break_glass_total", 1),
        AuditEvent::OpeningStarted => tx.count("recvault_openings_total", 1),
        AuditEvent::SubjectExported => tx.count("recvault_exports_total", 1),
        AuditEvent::RevocationBegun => tx.count("recvault_revocations_total", 1),
        AuditEvent::ConsentRecorded => tx.count("recvault_consents_recorded_total", 1),
        // Shreds are counted by `chain::note_durable`, when a restore would find them.
        AuditEvent::ShredBytesRemoved => tx.count("recvault_removals_total", 1),
        AuditEvent::SourceStopped => tx.count("recvault_source_stopped_total", 1),
        AuditEvent::EpochTurned => tx.count("recvault_turns_total", 1),
        _ => {}
    }
}

/// The number of the newest entry. Whatever is written down from now on gets a higher one; all up
/// to it can be seen by everybody.
pub async fn head(tx: &mut Tx) -> Result<i64, Error> {
    const SQL: &str = "/* audit.head */ SELECT seq FROM audit_head WHERE one = 1";
    tx.fetch_int(SQL, &[]).await
}

/// The number of the newest entry that is there: in a database that was rebuilt, not the one that the
/// head holds.
pub async fn newest(tx: &mut Tx) -> Result<i64, Error> {
    tx.fetch_int(
        "/* audit.newest */ SELECT COALESCE(MAX(seq), 0) FROM audit",
        &[],
    )
    .await
}

/// Goes on counting after `seq`, in a database that was rebuilt: numbers that were given once are not
/// given again.
pub async fn advance_head(tx: &mut Tx, seq: i64) -> Result<(), Error> {
    const SQL: &str =
        "/* audit.advance_head */ UPDATE audit_head SET seq = $1 WHERE one = 1 AND seq < $1";
    tx.execute(SQL, &[Arg::Int(seq)]).await.map(|_| ())
}

/// Entries after a number, in order.
pub async fn after(tx: &mut Tx, seq: i64, limit: i64) -> Result<Vec<Entry>, Error> {
    const SQL: &str = "/* audit.after */
        SELECT seq, at, actor, event, recording_id, details FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2";
    tx.fetch_all(SQL, &[Arg::Int(seq), Arg::Int(limit)])
        .await?
        .iter()
        .map(entry)
        .collect()
}

/// Entries with numbers above `seq` up to `to` about any of these recordings, and those that tell
/// of an export about this person; in order. The log has no index on recordings: ask for some ten
/// thousand numbers at a time.
pub async fn about(
    tx: &mut Tx,
    recordings: &[RecordingId],
    subject: SubjectId,
    (seq, to): (i64, i64),
) -> Result<Vec<Entry>, Error> {
    const SQL: &str = "/* audit.about */
        SELECT seq, at, actor, event, recording_id, details FROM audit
        WHERE seq > $1 AND seq <= $2
          AND (recording_id IN (SELECT key FROM json_each($3)) OR (event = 'subject.exported' AND details LIKE $4))
        ORDER BY seq";
    let recordings = set(recordings);
    let subject = format!("%\"{subject}\"%");
    let args = [
        Arg::Int(seq),
        Arg::Int(to),
        Arg::Text(&recordings),
        Arg::Text(&subject),
    ];
    tx.fetch_all(SQL, &args).await?.iter().map(entry).collect()
}

/// How often the approval that a tier asks for was done without since then.
pub async fn broken_glass_since(tx: &mut Tx, since: Timestamp) -> Result<i64, Error> {
    const SQL: &str = "/* audit.broken_glass_since */ SELECT COUNT(*) FROM audit WHERE event = 'glass.broken' AND at >= $1";
    tx.fetch_int(SQL, &[Arg::Int(since.as_millis())]).await
}

/// The newest entry that is there, as a position; `None` in an empty log.
pub async fn position(tx: &mut Tx) -> Result<Option<Position>, Error> {
    const SQL: &str = "/* audit.position */ SELECT seq, at, actor, event, recording_id, details FROM audit ORDER BY seq DESC LIMIT 1";
    let row = tx.fetch_first(SQL, &[]).await?;
    Ok(row
        .as_ref()
        .map(entry)
        .transpose()?
        .as_ref()
        .map(Position::of))
}

/// The newest entry that the store knows of, too, as a position: one that a restore from it finds.
/// `None` in a log of which it knows nothing.
pub async fn durable_position(tx: &mut Tx) -> Result<Option<Position>, Error> {
    const SQL: &str = "/* audit.durable_position */ SELECT seq, at, actor, event, recording_id, details FROM audit
        WHERE seq <= (SELECT durable_to FROM turner WHERE one = 1) ORDER BY seq DESC LIMIT 1";
    let row = tx.fetch_first(SQL, &[]).await?;
    Ok(row
        .as_ref()
        .map(entry)
        .transpose()?
        .as_ref()
        .map(Position::of))
}

/// Whether this log has an entry at this position, and the same one.
pub async fn has(tx: &mut Tx, position: &Position) -> Result<bool, Error> {
    const SQL: &str = "/* audit.has */ SELECT seq, at, actor, event, recording_id, details FROM audit WHERE seq = $1";
    let row = tx.fetch_first(SQL, &[Arg::Int(position.seq)]).await?;
    Ok(row
        .as_ref()
        .map(entry)
        .transpose()?
        .is_some_and(|entry| Position::of(&entry) == *position))
}

fn entry(row: &Row) -> Result<Entry, Error> {
    const T: &str = "audit";
    Ok(Entry {
        seq: row.int("seq")?,
        at: row.time("at")?,
        actor: row.parse(T, "actor", "seq")?,
        event: row.parse(T, "event", "seq")?,
        recording: row.maybe_parse(T, "recording_id", "seq")?,
        details: row.parse(T, "details", "seq")?,
    })
}
