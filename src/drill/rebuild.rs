//! Rebuilding the vault from the store and custody alone, and testing the rebuilt one.
//!
//! Owns the comparison. The live database is counted first, so that everything in it is in the
//! store or waits for the journal; recordings that are shredded during the drill are excluded here,
//! too. No plaintext is retained: opened content is authenticated and dropped.

use std::{path::Path, time::Instant};

use rand::seq::IteratorRandom as _;

use super::{DrillProgress, RecoveryReport, census::Census, sandbox::Sandbox};
use crate::{
    db::{self, Db, keys, recordings, shreds},
    evidence::drill::Recovery,
    model::{artefact::Leg, id::RecordingId, numerals::counted},
    store,
    vault::{self, Claim, DrillView, Error, KeyPresence, Opens, Restored, Vault},
};

/// How often a restore restarts when files are removed, or roots replaced, meanwhile.
const TRIES: usize = 5;
/// The maximum number of names shown per failure.
const SHOWN: usize = 10;

/// See [`super::recovery`].
pub(super) async fn rebuild(
    live: DrillView<'_>,
    sample: usize,
    sandbox: &Sandbox,
    say: DrillProgress<'_>,
) -> Result<RecoveryReport, Error> {
    let census = Census::of(&mut live.db().snapshot().await?).await?;
    let mut recovery = Recovery {
        tombstones: census.tombstones.len() as u64,
        living: census.living.len() as u64,
        waiting: census.waiting,
        oldest_waiting: census.oldest_waiting,
        recovery_point_lag_s: census
            .oldest_waiting
            .map_or(0, |oldest| live.now().since(oldest).as_secs()),
        ..Recovery::default()
    };
    let (restored, rebuilt) = match restore(live, sandbox, say, &mut recovery).await {
        Ok(done) => done,
        Err(error @ Error::Sandbox { .. }) => return Err(error),
        Err(error) => {
            return Ok(RecoveryReport {
                recovery,
                failures: vec![format!("the vault cannot be rebuilt: {error}")],
            });
        }
    };
    recovery.restored = true;
    recovery.snapshot = Some(restored.snapshot.to_string());
    recovery.pieces = restored.pieces;
    recovery.recovery_point = Some(restored.recovery_point);
    let mut comparison = Comparison {
        live,
        rebuilt: rebuilt.drill_view(),
        census,
        recovery,
        failures: Vec::new(),
    };
    comparison.compare(sample, say).await?;
    let Comparison {
        recovery, failures, ..
    } = comparison;
    rebuilt.drill_view().db().close().await;
    Ok(RecoveryReport { recovery, failures })
}

/// Restores into an empty database, and unlocks the rebuilt vault.
async fn restore(
    live: DrillView<'_>,
    sandbox: &Sandbox,
    say: DrillProgress<'_>,
    recovery: &mut Recovery,
) -> Result<(Restored, Vault), Error> {
    let mut tries = 1;
    loop {
        let room = sandbox.room("rebuilt")?;
        let begun = Instant::now();
        let slot_before = live.slot().await?;
        let done = restore_into(live, &room, say).await;
        let is_overtaken = match &done {
            Ok(_) => false,
            // A turn, or a newer snapshot, has removed a file that was to be read.
            Err(Error::Store(store::Error::NotFound { .. })) => true,
            // The rebuilt vault is of an epoch that a turn has ended meanwhile.
            Err(_) => live.slot().await? != slot_before,
        };
        if is_overtaken && tries < TRIES {
            tries += 1;
            continue;
        }
        recovery.recovery_time_ms = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        return done;
    }
}

async fn restore_into(
    live: DrillView<'_>,
    room: &Path,
    say: DrillProgress<'_>,
) -> Result<(Restored, Vault), Error> {
    let db = Db::open(
        &db::DatabaseSettings {
            url: "sqlite:vault.db".into(),
            connections: 2,
        },
        room,
    )
    .await?;
    let parts = || live.parts(db.clone());
    let plan = vault::plan(&parts(), vault::Choice::default()).await?;
    say(&format!(
        "rebuilding from {} and {} of the journal",
        plan.snapshot,
        counted(plan.journal.len(), "piece", "pieces")
    ));
    let restored = vault::restore(parts(), &plan, Claim::None).await?;
    if restored.vault != live.id() {
        return Err(Error::RecoveryFile {
            name: plan.snapshot.to_string(),
            why: "it belongs to another vault",
        });
    }
    // Read-only: the live vault continues, and the store soon has more than the rebuilt vault.
    Ok((restored, Vault::unlock_to_read(parts()).await?))
}

/// The live vault and the rebuilt one.
struct Comparison<'a> {
    live: DrillView<'a>,
    rebuilt: DrillView<'a>,
    census: Census,
    recovery: Recovery,
    failures: Vec<String>,
}

impl Comparison<'_> {
    async fn compare(&mut self, sample: usize, say: DrillProgress<'_>) -> Result<(), Error> {
        let rebuilt = Census::of(&mut self.rebuilt.db().snapshot().await?).await?;
        self.tombstones(&rebuilt);
        self.gap(&rebuilt).await?;

        let living = self
            .census
            .living
            .keys()
            .filter(|leg| rebuilt.living.contains_key(leg))
            .copied()
            .sample(&mut rand::rng(), sample);
        let tried = counted(living.len(), "living recording", "living recordings");
        say(&format!("trying {tried}"));
        let mut failed = Vec::new();
        for (id, leg) in living {
            match self.try_living(id, leg).await? {
                Tried::Whole => self.count(1, 1),
                Tried::KeyOnly(why) => {
                    self.count(1, 0);
                    failed.push(format!("{id}: {why}"));
                }
                Tried::Nothing(why) => {
                    self.count(0, 0);
                    failed.push(format!("{id}: {why}"));
                }
                Tried::Shredded => self.recovery.living -= 1,
            }
        }
        self.fail(
            "living recordings do not open through the rebuilt database",
            failed,
        );

        // The rebuilt database cannot have a tombstone that is not in the journal yet.
        let behind =
            |id: RecordingId| self.census.marked.contains(&id) && !rebuilt.is_tombstoned(id);
        let shredded = self
            .census
            .tombstones
            .iter()
            .filter(|((id, _), key)| key.is_some() && !behind(*id))
            .map(|(leg, _)| *leg);
        let shredded = shredded.sample(&mut rand::rng(), sample);
        let tried = counted(shredded.len(), "shredded recording", "shredded recordings");
        say(&format!("trying {tried}"));
        self.recovery.shredded_sampled = shredded.len() as u64;
        let mut opened = Vec::new();
        let mut unclear = Vec::new();
        for (id, leg) in shredded {
            let is_living = rebuilt.living.contains_key(&(id, leg));
            match self.rebuilt.key_presence(id, leg).await? {
                KeyPresence::None if !is_living => {}
                KeyPresence::Unclear(why) if !is_living => unclear.push(format!("{id}: {why}")),
                _ => opened.push(id.to_string()),
            }
        }
        self.recovery.shredded_opened = opened.len() as u64;
        self.fail(
            "shredded recordings have a key in the rebuilt database",
            opened,
        );
        self.fail(
            "shredded recordings have an entry in the rebuilt database that cannot be judged",
            unclear,
        );
        Ok(())
    }

    /// Checks that every tombstone of the live database is in the rebuilt one.
    fn tombstones(&mut self, rebuilt: &Census) {
        let missing: Vec<RecordingId> = self
            .census
            .tombstones
            .keys()
            .filter(|leg| !rebuilt.tombstones.contains_key(leg))
            .map(|(id, _)| *id)
            .collect();
        let lost: Vec<String> = missing
            .iter()
            .filter(|id| !self.census.marked.contains(id))
            .map(ToString::to_string)
            .collect();
        self.recovery.tombstones_missing = missing.len() as u64;
        self.recovery.tombstones_behind = (missing.len() - lost.len()) as u64;
        self.fail("tombstones are not in the rebuilt database", lost);
    }

    /// Checks that every key of the live database is in the rebuilt one, unless it is not in the
    /// journal yet.
    async fn gap(&mut self, rebuilt: &Census) -> Result<(), Error> {
        let mut lost = Vec::new();
        for (leg, key) in &self.census.living {
            let (id, _) = leg;
            if rebuilt.living.get(leg) == Some(key) {
                continue;
            }
            let mut tx = self.live.db().read().await?;
            if rebuilt.is_tombstoned(*id) && shreds::find_tombstone(&mut tx, *id).await?.is_some() {
                // Shredded since the count.
                self.recovery.living -= 1;
                continue;
            }
            self.recovery.gap += 1;
            let sealed_at = recordings::find(&mut tx, *id)
                .await?
                .and_then(|recording| recording.sealed_at);
            self.recovery.gap_since = [self.recovery.gap_since, sealed_at]
                .into_iter()
                .flatten()
                .min();
            if self.census.marked.contains(id) {
                self.recovery.gap_behind += 1;
            } else {
                lost.push(id.to_string());
            }
        }
        self.fail("living recordings are not in the rebuilt database", lost);
        Ok(())
    }

    /// Opens a recording with the key from the rebuilt database and the ciphertext that the live
    /// catalogue names.
    async fn try_living(&self, id: RecordingId, leg: Leg) -> Result<Tried, Error> {
        let objects = recordings::artefacts(&mut self.live.db().read().await?, id).await?;
        let tried = match self.rebuilt.opens(id, leg, &objects).await? {
            Opens::Nothing(why) => Tried::Nothing(why),
            Opens::KeyOnly(why) => Tried::KeyOnly(why),
            Opens::Whole => Tried::Whole,
        };
        if !matches!(tried, Tried::Whole)
            && keys::find_entry(&mut self.live.db().read().await?, id, leg)
                .await?
                .is_none()
        {
            return Ok(Tried::Shredded);
        }
        Ok(tried)
    }

    fn count(&mut self, keys: u64, authentic: u64) {
        self.recovery.sampled += 1;
        self.recovery.sample_keys += keys;
        self.recovery.sample_authentic += authentic;
    }

    fn fail(&mut self, what: &str, which: Vec<String>) {
        if !which.is_empty() {
            let (count, more) = (which.len(), if which.len() > SHOWN { ", …" } else { "" });
            let shown: Vec<String> = which.into_iter().take(SHOWN).collect();
            self.failures
                .push(format!("{count} {what}: {}{more}", shown.join(", ")));
        }
    }
}

/// The result of opening one living recording.
enum Tried {
    Whole,
    KeyOnly(String),
    Nothing(String),
    Shredded,
}
