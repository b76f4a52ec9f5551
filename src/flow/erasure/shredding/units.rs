//! Shredding, however many recordings: units of work of some hundreds each, and nobody is told of
//! it before a restore would know of it.
//!
//! Owns how a shred is cut into units, who is silenced by it, and when it may be told. Refuses to
//! know who may shred and why: it is given a [`Cause`].

use std::collections::BTreeMap;

use super::Shredding;
use crate::{
    db::keys,
    flow::error::Error,
    model::{crash, id::RecordingId, recording::Recording},
    vault::{self, Cause, OnHold, ShredOutcome},
};

/// Recordings shredded in one unit: so many that what a commit costs does not count, so few that
/// others who write wait for some ten milliseconds.
const UNIT: usize = 200;
/// Recordings whose keys are looked up by one query.
const LOOKED_UP: usize = 2000;

/// Where a long shred says how many recordings it has dealt with, one unit after another.
pub type SayCount<'a> = &'a (dyn Fn(usize) + Send + Sync);

/// What was shredded here, and is not known to be in the store. Nobody is told of it before it is:
/// [`Shredding::tell`] gives it out.
#[derive(Debug)]
#[must_use = "a shred is told to nobody before a restore would find it"]
pub(in crate::flow) struct Undurable(Result<ShredOutcome, vault::Error>);

impl Undurable {
    /// Both together, in their order; the first failure, if one failed.
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

    /// Nothing.
    pub(in crate::flow) fn nothing() -> Self {
        Self(Ok(ShredOutcome::default()))
    }

    /// Those that a hold keeps, of which nothing was let go of.
    ///
    /// # Errors
    /// What failed.
    pub(in crate::flow) fn kept(self) -> Result<Vec<RecordingId>, Error> {
        Ok(self.0?.held)
    }
}

impl Shredding {
    /// Shreds recordings, some hundreds in each unit of work, silences whoever hears one of them,
    /// and wakes who has to do with shreds. Those that are shredded come back in the order in which
    /// they were named, each once.
    ///
    /// It gives out nothing: errors come with [`Self::tell`], too. What was committed by then stays
    /// shredded, and to call this again is to go on.
    pub(in crate::flow) async fn shred_in_units(
        &self,
        recordings: &[Recording],
        cause: Cause<'_>,
        on_hold: OnHold,
        say: SayCount<'_>,
    ) -> Undurable {
        let done = self.do_units(recordings, cause, on_hold, say).await;
        // All of them, also where it failed: which are tombstoned by now is not known, and who hears
        // one that is not may come again.
        self.after_units(recordings);
        Undurable(done)
    }

    /// What another's unit shredded of these recordings: silences whoever hears one of them, and
    /// wakes who has to do with shreds.
    pub(in crate::flow) fn done(&self, recordings: &[Recording], done: ShredOutcome) -> Undurable {
        crash::point("shred.after_commit");
        self.after_units(recordings);
        Undurable(Ok(done))
    }

    fn after_units(&self, recordings: &[Recording]) {
        self.silence(recordings);
        self.bells.work.notify_one();
        self.bells.journal.notify_one();
        self.bells.epochs.notify_one();
    }

    /// What came of a shred, for the answer: it is in the store, so that a vault which is rebuilt
    /// from there knows of it.
    ///
    /// # Errors
    /// [`vault::Error::NotDurable`] inside while the store cannot be written: it is shredded
    /// nevertheless, and becomes durable by itself; what failed before.
    pub(in crate::flow) async fn tell(&self, done: Undurable) -> Result<ShredOutcome, Error> {
        // Also where it failed: which of them are tombstoned by now is not known, and those are to be
        // found by a restore.
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

    /// The recordings, each once. If they take more than one unit, those with their keys on one
    /// leaf page stand together, so that it is written once for all of them.
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
