//! The rows of the audit log: appended in the transaction that they report, and numbered in commit
//! order.
//!
//! Numbers are 1, 2, 3 … without gaps, whatever was restored. A rebuilt database continues after
//! the end of the log that the store had, on a timeline of its own
//! ([`timelines`](super::timelines)), because the lost timeline may have assigned the next numbers,
//! too. Other entries of a lost timeline that the store had are appended with their original
//! timeline and number.
//!
//! INVARIANT: the rows are numbered 1 to the number in `audit_head`.

mod filter;
mod of_accounts;

use const_format::formatcp;

pub use self::filter::{AuditFilter, AuditOrder, list};
use super::{
    error::Error,
    row::Row,
    table::{TableRow as _, table, texts},
    tx::{Arg, Tx, set},
};
use crate::{
    evidence::{AuditEvent, Entry, EntryDetails, NewEntry, Position},
    model::{
        actor::Actor,
        id::{RecordingId, SubjectId},
        time::Timestamp,
        timeline::LogPoint,
    },
};

texts!(as_str: AuditEvent);
texts!(to_string: EntryDetails);

table! {
    "audit" { only_grows: true }

    #[derive(Debug)]
    pub(super) struct StoredEntry {
        key {
            seq: i64 = "seq",
        }
        at: Timestamp = "at",
        actor: Actor = "actor",
        event: AuditEvent = "event",
        recording: Option<RecordingId> = "recording_id",
        details: EntryDetails = "details",
        told_timeline: Option<i64> = "told_timeline",
        told_seq: Option<i64> = "told_seq",
    }
}

impl StoredEntry {
    /// Creates the row of a new entry with this number.
    fn new(seq: i64, entry: &NewEntry) -> Self {
        Self {
            seq,
            at: entry.at(),
            actor: entry.actor(),
            event: entry.event(),
            recording: entry.recording(),
            details: entry.details().clone(),
            told_timeline: None,
            told_seq: None,
        }
    }

    fn entry(self) -> Result<Entry, Error> {
        let told = match (self.told_timeline, self.told_seq) {
            (Some(timeline), Some(seq)) => Some(LogPoint {
                timeline: timeline
                    .try_into()
                    .map_err(|_| Self::TABLE.inconsistent("told_timeline", self.seq))?,
                seq,
            }),
            _ => None,
        };
        Ok(Entry {
            seq: self.seq,
            at: self.at,
            actor: self.actor,
            event: self.event,
            recording: self.recording,
            details: self.details,
            told,
        })
    }
}

/// Appends an entry and returns its number; for the tests of sibling modules.
#[cfg(test)]
pub(super) async fn append(tx: &mut Tx, entry: NewEntry) -> Result<i64, Error> {
    append_all(tx, &[entry]).await
}

/// Appends entries in order and returns the number of the first; the others follow it without a
/// gap. Runs last in a unit of work, which collects the entries (see [`super::Unit`]): it locks the
/// head of the log until the commit.
pub(super) async fn append_all(tx: &mut Tx, entries: &[NewEntry]) -> Result<i64, Error> {
    const NEXT: &str =
        "/* audit.next */ UPDATE audit_head SET seq = seq + $1 WHERE one = 1 RETURNING seq";
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let first = tx.fetch_int(NEXT, &[Arg::Int(count)]).await? - count + 1;
    tx.numbered(first, first + count - 1)?;
    let numbered: Vec<(i64, &NewEntry)> = (first..).zip(entries).collect();
    enter(tx, &numbered).await?;
    entries
        .iter()
        .for_each(|entry| count_event(tx, entry.event()));
    Ok(first)
}

/// Inserts entries with these numbers.
async fn enter(tx: &mut Tx, entries: &[(i64, &NewEntry)]) -> Result<(), Error> {
    const APPEND: &str = formatcp!("/* audit.append */ {}", StoredEntry::INSERT_INTO);
    let rows: Vec<StoredEntry> = entries
        .iter()
        .map(|(seq, entry)| StoredEntry::new(*seq, entry))
        .collect();
    tx.insert_rows(APPEND, &rows).await.map(|_| ())
}

/// Counts an event where its entry is written, so that counters and log cannot differ.
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
        AuditEvent::CiphertextMissing => tx.count("recvault_ciphertext_missing_total", 1),
        AuditEvent::GlassBroken => tx.count("recvault_break_glass_total", 1),
        AuditEvent::OpeningStarted => tx.count("recvault_openings_total", 1),
        AuditEvent::SubjectExported => tx.count("recvault_exports_total", 1),
        AuditEvent::RevocationBegun => tx.count("recvault_revocations_total", 1),
        AuditEvent::ConsentRecorded => tx.count("recvault_consents_recorded_total", 1),
        AuditEvent::NoticeSent => tx.count_as("recvault_notices_total", "outcome", "sent", 1),
        AuditEvent::NoticeRefused => tx.count_as("recvault_notices_total", "outcome", "refused", 1),
        // Shreds are counted by `chain::note_durable`, once a restore would find them.
        AuditEvent::ShredBytesRemoved => tx.count("recvault_removals_total", 1),
        AuditEvent::SourceStopped => tx.count("recvault_source_stopped_total", 1),
        AuditEvent::EpochTurned => tx.count("recvault_turns_total", 1),
        _ => {}
    }
}

/// Returns the number of the newest entry. Every later entry gets a higher number, and every entry
/// up to this one is visible to all.
pub async fn head(tx: &mut Tx) -> Result<i64, Error> {
    const SQL: &str = "/* audit.head */ SELECT seq FROM audit_head WHERE one = 1";
    tx.fetch_int(SQL, &[]).await
}

/// Continues numbering after `seq`, in a database that was rebuilt.
pub async fn advance_head(tx: &mut Tx, seq: i64) -> Result<(), Error> {
    const SQL: &str =
        "/* audit.advance_head */ UPDATE audit_head SET seq = $1 WHERE one = 1 AND seq < $1";
    tx.execute(SQL, &[Arg::Int(seq)]).await.map(|_| ())
}

/// Returns the unassigned numbers up to `to`, as ranges of the first and the last.
pub async fn missing(tx: &mut Tx, to: i64) -> Result<Vec<(i64, i64)>, Error> {
    const COUNT: &str = "/* audit.count */ SELECT COUNT(*) FROM audit WHERE seq BETWEEN 1 AND $1";
    const SQL: &str = "/* audit.missing */
        SELECT seq + 1 AS first, next - 1 AS last FROM (SELECT seq, LEAD(seq) OVER (ORDER BY seq) AS next FROM
          (SELECT seq FROM audit WHERE seq BETWEEN 1 AND $1 UNION ALL SELECT 0 UNION ALL SELECT $1 + 1) AS numbers) AS pairs
        WHERE next > seq + 1 ORDER BY seq";
    if tx.fetch_int(COUNT, &[Arg::Int(to)]).await? == to {
        return Ok(Vec::new());
    }
    let rows = tx.fetch_all(SQL, &[Arg::Int(to)]).await?;
    rows.iter()
        .map(|row| Ok((row.int("first")?, row.int("last")?)))
        .collect()
}

/// Inserts an "entry lost" row for each number from `first` to `last`.
pub async fn enter_lost(
    tx: &mut Tx,
    (first, last): (i64, i64),
    now: Timestamp,
) -> Result<(), Error> {
    const AT_ONCE: i64 = 2048;
    let lost = NewEntry::entry_lost(now);
    let mut next = first;
    while next <= last {
        let end = last.min(next + AT_ONCE - 1);
        let entries: Vec<(i64, &NewEntry)> = (next..=end).map(|seq| (seq, &lost)).collect();
        enter(tx, &entries).await?;
        next = end + 1;
    }
    Ok(())
}

/// Returns whether the entry that a lost timeline had under this number was appended later.
pub async fn has_told(tx: &mut Tx, told: LogPoint) -> Result<bool, Error> {
    const SQL: &str = "/* audit.has_told */
        SELECT COUNT(*) FROM audit WHERE told_timeline = $1 AND told_seq = $2 AND told_seq IS NOT NULL";
    let args = [Arg::Int(told.timeline.number()), Arg::Int(told.seq)];
    Ok(tx.fetch_int(SQL, &args).await? > 0)
}

/// Entries after a number, in order, in the tests of this module's neighbours.
#[cfg(test)]
pub(super) async fn after(tx: &mut Tx, seq: i64, limit: i64) -> Result<Vec<Entry>, Error> {
    list(tx, &AuditFilter::after(seq), limit).await
}

/// Returns the entries numbered above `seq` up to `to` that are about one of these recordings or
/// about an export of this person, in order. The log has no index on recordings, so each call
/// should cover some ten thousand numbers.
pub async fn about(
    tx: &mut Tx,
    recordings: &[RecordingId],
    subject: SubjectId,
    (seq, to): (i64, i64),
) -> Result<Vec<Entry>, Error> {
    const SQL: &str = formatcp!(
        "/* audit.about */
        SELECT {} FROM audit
        WHERE seq > $1 AND seq <= $2
          AND (recording_id IN (SELECT key FROM json_each($3)) OR (event = 'subject.exported' AND details LIKE $4))
        ORDER BY seq",
        StoredEntry::COLUMNS
    );
    let recordings = set(recordings);
    let subject = format!("%\"{subject}\"%");
    let args = [
        Arg::Int(seq),
        Arg::Int(to),
        Arg::Text(&recordings),
        Arg::Text(&subject),
    ];
    entries(tx.fetch_all(SQL, &args).await?)
}

/// Returns whether the log reports that the recording's sealed object is missing.
pub async fn is_missing_noted(tx: &mut Tx, recording: RecordingId) -> Result<bool, Error> {
    const SQL: &str = "/* audit.is_missing_noted */
        SELECT COUNT(*) FROM audit WHERE event = 'ciphertext.missing' AND recording_id = $1";
    let args = [Arg::Text(&recording.to_string())];
    Ok(tx.fetch_int(SQL, &args).await? > 0)
}

/// Returns the number of sealed recordings whose object was missing when they were opened.
pub async fn missing_ciphertext(tx: &mut Tx) -> Result<i64, Error> {
    const SQL: &str = "/* audit.missing_ciphertext */
        SELECT COUNT(DISTINCT audit.recording_id) FROM audit JOIN recordings ON recordings.id = audit.recording_id
        WHERE audit.event = 'ciphertext.missing' AND recordings.state = 'sealed'";
    tx.fetch_int(SQL, &[]).await
}

/// Returns how often a required approval was bypassed (break-glass) since this time.
pub async fn broken_glass_since(tx: &mut Tx, since: Timestamp) -> Result<i64, Error> {
    const SQL: &str = "/* audit.broken_glass_since */ SELECT COUNT(*) FROM audit WHERE event = 'glass.broken' AND at >= $1";
    tx.fetch_int(SQL, &[Arg::Int(since.as_millis())]).await
}

/// Returns the newest entry as a position; `None` if the log is empty.
pub async fn position(tx: &mut Tx) -> Result<Option<Position>, Error> {
    const SQL: &str = formatcp!(
        "/* audit.position */
        SELECT {},
          (SELECT MAX(timeline) FROM timelines WHERE behind < audit.seq) AS timeline
        FROM audit ORDER BY seq DESC LIMIT 1",
        StoredEntry::COLUMNS
    );
    let row = tx.fetch_first(SQL, &[]).await?;
    row.as_ref().map(positioned).transpose()
}

/// Returns the newest entry that the store has as well, as a position: one that a restore from the
/// store finds. `None` if the store has no entry of this log.
pub async fn durable_position(tx: &mut Tx) -> Result<Option<Position>, Error> {
    const SQL: &str = formatcp!(
        "/* audit.durable_position */
        SELECT {},
          (SELECT MAX(timeline) FROM timelines WHERE behind < audit.seq) AS timeline
        FROM audit WHERE seq <= (SELECT durable_to FROM turner WHERE one = 1) ORDER BY seq DESC LIMIT 1",
        StoredEntry::COLUMNS
    );
    let row = tx.fetch_first(SQL, &[]).await?;
    row.as_ref().map(positioned).transpose()
}

/// Returns whether this log has exactly this entry at this position.
pub async fn has(tx: &mut Tx, position: &Position) -> Result<bool, Error> {
    const SQL: &str = formatcp!(
        "/* audit.has */
        SELECT {},
          (SELECT MAX(timeline) FROM timelines WHERE behind < audit.seq) AS timeline
        FROM audit WHERE seq = $1",
        StoredEntry::COLUMNS
    );
    let row = tx.fetch_first(SQL, &[Arg::Int(position.seq)]).await?;
    let found = row.as_ref().map(positioned).transpose()?;
    Ok(found.as_ref() == Some(position))
}

/// The entries at the beginning of what a query gave.
fn entries(rows: Vec<Row>) -> Result<Vec<Entry>, Error> {
    let entry = |row: &Row| StoredEntry::of(row)?.entry();
    rows.iter().map(entry).collect()
}

/// Returns the position of an entry from a row that also selects its timeline.
fn positioned(row: &Row) -> Result<Position, Error> {
    let timeline = row.number("timelines", "timeline", "seq")?;
    Ok(Position::of(timeline, &StoredEntry::of(row)?.entry()?))
}
