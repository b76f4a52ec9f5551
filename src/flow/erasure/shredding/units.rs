//! Shredding of any number of recordings, in units of work of some hundreds each; no shred is
//! acknowledged before a restore would find it.
//!
//! Owns the division into units, the ending of streams, and the acknowledgement. Refuses to know
//! who may shred and why: it is given a [`Cause`].

use std::collections::BTreeMap;

use super::Shredding;
use crate::{
    db::keys,
    flow::error::Error,
    model::{crash, id::RecordingId, recording::Recording},
    vault::{self, Cause, OnHold, ShredOutcome},
};

/// Recordings shredded in one unit: enough that the cost of a commit is negligible, few enough that
/// other writers wait only some ten milliseconds.
const UNIT: usize = 200;
/// Recordings whose keys are looked up by one query.
const LOOKED_UP: usize = 2000;

/// A callback for the progress of a long shred: called with the number of recordings of each unit.
pub type SayCount<'a> = &'a (dyn Fn(usize) + Send + Sync);

/// Shreds that may not be in the store yet. [`Shredding::tell`] makes them durable and returns the
/// outcome; nothing is acknowledged before.
#[derive(Debug)]
#[must_use = "a shred is told to nobody before a restore would find it"]
pub(in crate::flow) struct Undurable(Result<ShredOutcome, vault::Error>);

impl Undurable {
    /// Combines both, in their order; the first error, if any.
    pub(in crate::flow) fn and(self, more: Self) -> Self {
        let (mut all, more) = match (self.0, more.0) {
            (Ok(all), Ok(more)) => (all, more),
            (Err(error), _) | (_, Err(error)) => return Self(Err(error)),
        };
        all.shredded.extend(more.shredded);
        all.held.extend(more.held);
        all.is_news |= more.is_news;
        Self(Ok(all))
    }

    /// An empty outcome.
    pub(in crate::flow) fn nothing() -> Self {
        Self(Ok(ShredOutcome::default()))
    }

    /// Returns the held recordings, which were not shredded.
    ///
    /// # Errors
    /// The error of the shred.
    pub(in crate::flow) fn kept(self) -> Result<Vec<RecordingId>, Error> {
        Ok(self.0?.held)
    }
}

impl Shredding {
    /// Shreds recordings, some hundreds in each unit of work, ends their streams, and wakes the
    /// tasks that process shreds. The shredded recordings are returned in the order of the input,
    /// each once.
    ///
    /// Errors are returned by [`Self::tell`], too. Recordings that were committed before an error
    /// stay shredded, and another call continues.
    pub(in crate::flow) async fn shred_in_units(
        &self,
        recordings: &[Recording],
        cause: Cause<'_>,
        on_hold: OnHold,
        say: SayCount<'_>,
    ) -> Undurable {
        let done = self.do_units(recordings, cause, on_hold, say).await;
        // All of them, even on failure: it is unknown which are tombstoned, and a listener of one
        // that is not may ask again.
        self.after_units(recordings);
        Undurable(done)
    }

    /// Handles recordings that another unit shredded: ends their streams, and wakes the tasks that
    /// process shreds.
    pub(in crate::flow) fn done(&self, recordings: &[Recording], done: ShredOutcome) -> Undurable {
        crash::point("shred.after_commit");
        self.after_units(recordings);
        Undurable(Ok(done))
    }

    fn after_units(&self, recordings: &[Recording]) {
        self.silence(recordings);
        self.wakeups.work.notify_one();
        self.wakeups.journal.notify_one();
        self.wakeups.epochs.notify_one();
    }

    /// Makes a shred durable in the store, so that a rebuilt vault knows it, and returns its
    /// outcome.
    ///
    /// # Errors
    /// [`vault::Error::NotDurable`] inside while the store cannot be written: the recordings are
    /// shredded nevertheless, and the shred becomes durable later; any error of the shred itself.
    pub(in crate::flow) async fn tell(&self, done: Undurable) -> Result<ShredOutcome, Error> {
        // Even on failure: it is unknown which are tombstoned, and a restore must find those.
        self.vault.make_durable().await?;
        Ok(done.0?)
    }

    async fn do_units(
        &self,
        recordings: &[Recording],
        cause: Cause<'_>,
        on_hold: OnHold,
        say: SayCount<'_>,
    ) -> Result<ShredOutcome, vault::Error> {
        let vault = &self.vault;
        let mut all = ShredOutcome::default();
        let mut shredded = BTreeMap::new();
        for batch in self.by_leaf(recordings).await?.chunks(UNIT) {
            let unit = vault.unit("shred.tombstone", async |mut unit| {
                let done = vault.shred(&mut unit, batch, cause, on_hold).await?;
                if !done.is_news {
                    match cause.is_revocation() {
                        true => unit.without_entry(
                            "what was let go of before is counted with this revocation, too",
                        ),
                        false => unit.abandon(),
                    }
                }
                Ok::<_, vault::Error>(done)
            });
            let done = unit.await?;
            crash::point("shred.after_commit");
            say(batch.len());
            for one in done.shredded {
                // Also of those that are shredded with others.
                self.streams.silence(one.recording);
                shredded.insert(one.recording, one);
            }
            all.held.extend(done.held);
            all.is_news |= done.is_news;
        }
        all.shredded = recordings
            .iter()
            .filter_map(|recording| shredded.remove(&recording.id))
            .collect();
        Ok(all)
    }

    /// Returns the recordings, each once. If they need more than one unit, recordings with keys on
    /// the same leaf page are grouped, so that the page is written once for all of them.
    async fn by_leaf<'a>(
        &self,
        recordings: &'a [Recording],
    ) -> Result<Vec<&'a Recording>, vault::Error> {
        let mut leaves = BTreeMap::new();
        if recordings.len() > UNIT {
            let mut tx = self.db.read().await?;
            for some in recordings.chunks(LOOKED_UP) {
                let ids: Vec<RecordingId> = some.iter().map(|recording| recording.id).collect();
                let entries = keys::find_entries(&mut tx, &ids).await?;
                for ((id, _), entry) in entries {
                    leaves.insert(id, entry.place.page);
                }
            }
        }
        let ordered: BTreeMap<_, _> = recordings
            .iter()
            .map(|recording| ((leaves.get(&recording.id), recording.id), recording))
            .collect();
        Ok(ordered.into_values().collect())
    }
}
