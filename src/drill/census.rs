//! A census of a database: its shredded, waiting and living recordings, in one snapshot.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    db::{
        Tx,
        image::{self, Image, Table},
        outbox::{self, OutboxKind},
    },
    model::{artefact::Leg, id::RecordingId, time::Timestamp},
    vault::Error,
};

/// Rows read at a time.
const ROWS: i64 = 4096;

/// A count of a database's recordings.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Every tombstone, with the public name of the key that was destroyed, if there was one.
    pub(super) tombstones: BTreeMap<(RecordingId, Leg), Option<String>>,
    /// The recordings whose receipts say that a completed turn covers them.
    covered: BTreeSet<RecordingId>,
    /// Every key entry, with the key's public name.
    pub(super) living: BTreeMap<(RecordingId, Leg), String>,
    /// Recordings whose state is not in the journal yet.
    pub(super) marked: BTreeSet<RecordingId>,
    /// The number of states that are not in the journal yet, including these.
    pub(super) waiting: u64,
    /// How long the oldest has waited: since this time.
    pub(super) oldest_waiting: Option<Timestamp>,
}

impl Census {
    /// Counts. `tx` should see one state of the database throughout.
    pub(super) async fn of(tx: &mut Tx) -> Result<Self, Error> {
        let mut census = Self::default();
        each(tx, Table::Tombstones, |row| {
            census
                .tombstones
                .insert(leg(&row)?, row.text("fingerprint").map(str::to_owned));
            Ok(())
        })
        .await?;
        each(tx, Table::Receipts, |row| {
            if matches!(row.text("state"), Some("unrecoverable" | "closed")) {
                census.covered.insert(recording(&row)?);
            }
            Ok(())
        })
        .await?;
        each(tx, Table::KeyEntries, |row| {
            census
                .living
                .insert(leg(&row)?, image::entry_of(&row)?.fingerprint);
            Ok(())
        })
        .await?;
        let marks = outbox::next(tx, i64::MAX)
            .await?
            .into_iter()
            .filter(|mark| matches!(mark.kind, OutboxKind::Recording | OutboxKind::Ciphertext));
        census.marked = marks.filter_map(|mark| mark.id.parse().ok()).collect();
        let (waiting, oldest) = outbox::waiting(tx).await?;
        (census.waiting, census.oldest_waiting) = (waiting.unsigned_abs(), oldest);
        Ok(census)
    }

    /// Returns destroyed keys that a completed turn covers (or, with `false`, that wait for one),
    /// by public name.
    pub(super) fn shredded(&self, covered: bool) -> impl Iterator<Item = (&str, RecordingId)> {
        let tombstones = self
            .tombstones
            .iter()
            .filter(move |((id, _), _)| self.covered.contains(id) == covered);
        tombstones.filter_map(|((id, _), fingerprint)| Some((fingerprint.as_deref()?, *id)))
    }

    /// Returns whether any leg of a recording is tombstoned: then none of them opens.
    pub(super) fn is_tombstoned(&self, id: RecordingId) -> bool {
        Leg::ALL
            .iter()
            .any(|leg| self.tombstones.contains_key(&(id, *leg)))
    }
}

/// Passes every row of a table to `take`, in order.
pub(super) async fn each(
    tx: &mut Tx,
    table: Table,
    mut take: impl FnMut(Image) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    let mut after: Option<Image> = None;
    loop {
        let chunk = image::chunk(tx, table, after.as_ref(), ROWS).await?;
        let is_last = (chunk.len() as u64) < ROWS.unsigned_abs();
        after = chunk.last().cloned();
        chunk.into_iter().try_for_each(&mut take)?;
        if is_last {
            return Ok(());
        }
    }
}

/// Returns the recording and the leg of a row.
fn leg(row: &Image) -> Result<(RecordingId, Leg), Error> {
    let id = recording(row)?;
    let leg = row.text("leg").and_then(|leg| leg.parse().ok());
    let inconsistent = || crate::db::Error::Inconsistent {
        table: row.table().name(),
        column: "leg",
        id: id.to_string(),
    };
    Ok((id, leg.ok_or_else(inconsistent)?))
}

fn recording(row: &Image) -> Result<RecordingId, Error> {
    let id = row.text("recording_id").unwrap_or_default();
    let inconsistent = || crate::db::Error::Inconsistent {
        table: row.table().name(),
        column: "recording_id",
        id: id.to_owned(),
    };
    Ok(id.parse().map_err(|_| inconsistent())?)
}
