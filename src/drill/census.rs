//! Who is in a ledger: what is shredded, what waits, what lives, in one view of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ledger::{
        Tx,
        image::{self, Image, Table},
        keys,
        marks::{self, Marked},
    },
    model::{id::RecordingId, time::Timestamp},
    vault::Error,
};

/// Rows read at a time.
const ROWS: i64 = 4096;

/// A count of a ledger's recordings.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Every fence, with the public name of the key that was destroyed, if there was one.
    pub(super) fences: BTreeMap<RecordingId, Option<String>>,
    /// Those of them that a finished turn covers.
    covered: BTreeSet<RecordingId>,
    /// Every key entry, with the key's public name.
    pub(super) living: BTreeMap<RecordingId, String>,
    /// Recordings whose state is not in the journal yet.
    pub(super) marked: BTreeSet<RecordingId>,
    /// How much else is not, these included.
    pub(super) waiting: u64,
    /// Since when.
    pub(super) oldest_waiting: Option<Timestamp>,
}

impl Census {
    /// Counts. `tx` should see one state of the ledger throughout.
    pub(super) async fn of(tx: &mut Tx) -> Result<Self, Error> {
        let mut census = Self::default();
        each(tx, Table::Fences, |row| {
            census
                .fences
                .insert(recording(&row)?, row.text("fingerprint").map(str::to_owned));
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
                .insert(recording(&row)?, keys::entry_of(&row)?.fingerprint);
            Ok(())
        })
        .await?;
        let marks = marks::next(tx, i64::MAX)
            .await?
            .into_iter()
            .filter(|mark| mark.kind == Marked::Recording);
        census.marked = marks.filter_map(|mark| mark.id.parse().ok()).collect();
        let (waiting, oldest) = marks::waiting(tx).await?;
        (census.waiting, census.oldest_waiting) = (waiting.unsigned_abs(), oldest);
        Ok(census)
    }

    /// Destroyed keys that a finished turn covers (or, with false, that wait for one), by public
    /// name.
    pub(super) fn shredded(&self, covered: bool) -> impl Iterator<Item = (&str, RecordingId)> {
        let fences = self
            .fences
            .iter()
            .filter(move |(id, _)| self.covered.contains(id) == covered);
        fences.filter_map(|(id, fingerprint)| Some((fingerprint.as_deref()?, *id)))
    }
}

/// Gives every row of a table to `take`, in order.
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

fn recording(row: &Image) -> Result<RecordingId, Error> {
    let id = row.text("recording_id").unwrap_or_default();
    let inconsistent = || crate::ledger::Error::Inconsistent {
        table: row.table().name(),
        column: "recording_id",
        id: id.to_owned(),
    };
    Ok(id.parse().map_err(|_| inconsistent())?)
}
