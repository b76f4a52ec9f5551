//! Epochs: when the root is replaced, the shreds that wait for it, and the keys that are renewed
//! with it.
//!
//! Owns the schedule: a turn covers every shred since the previous one; a tier of the policy may
//! require an immediate turn. Refuses to know how a turn is done; the vault does.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    db::{
        Db,
        epochs::{self, Holding},
        keys, shreds,
    },
    evidence::NewEntry,
    flow::{
        error::Error,
        liveness::{Liveness, Task},
        wakeups::Wakeups,
    },
    model::{
        actor::Initiator,
        id::{PageId, RecordingId},
        name::Tier,
        numerals,
        time::{Clock, Timestamp},
    },
    policy::{Permit, Rulebook, action},
    store::RecoveryName,
    vault::{ReplacedKey, TurnReport, Vault},
};

/// How often the service looks whether a turn is due.
const PACE: Duration = Duration::from_secs(5);

/// `[epoch]`: how long a shredded recording may be recoverable with an old copy of the key store.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct EpochSettings {
    /// The longest time between a shred and the turn that makes it unrecoverable, in hours; 1 to
    /// 720.
    #[serde(deserialize_with = "crate::model::bounded::within::<1, 720, _, _>")]
    pub turn_every_h: u32,
    /// Days after which the keys of all pages are renewed with the next turn; 0 for never.
    pub rotate_every_d: u32,
}

impl Default for EpochSettings {
    fn default() -> Self {
        Self {
            turn_every_h: 24,
            rotate_every_d: 0,
        }
    }
}

impl EpochSettings {
    /// Returns the time between turns, as long as shreds wait for one.
    pub fn turn_every(&self) -> Duration {
        Duration::from_secs(u64::from(self.turn_every_h.clamp(1, 720)) * 3600)
    }
}

/// The state of the epochs.
#[derive(Clone, Debug, Serialize)]
pub struct EpochStatus {
    /// The number of the current epoch.
    pub epoch: u64,
    /// When it began.
    pub began_at: Timestamp,
    /// Whether its turn is finished; if not, the next attempt continues it.
    pub finished: bool,
    /// Shreds that an older copy of the key store, together with its epoch's root, still opens.
    pub waiting: i64,
    /// When the oldest of them was tombstoned.
    pub oldest_waiting: Option<Timestamp>,
    /// Pages that get a new key in the next turn.
    pub stale_pages: i64,
    /// The deletion horizon of the schedule, in seconds: the longest time between a shred and the
    /// turn after which older copies are useless.
    pub horizon_s: u64,
    /// How long the oldest waiting shred has waited, in seconds; more than the horizon is an alarm.
    pub horizon_now_s: u64,
    /// When the next turn is due, if anything waits for it.
    pub next_turn_at: Option<Timestamp>,
    /// The newest verified snapshot, and when it was verified.
    pub snapshot: Option<(RecoveryName, Timestamp)>,
}

/// The result of a rotation.
#[derive(Clone, Debug, Serialize)]
pub struct Rotated {
    /// Pages that get a new key.
    pub pages: u64,
    /// Which, in a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_renew: Vec<PageId>,
    /// The turn that renewed the keys; `None` in a dry run, or while another process turns.
    pub turned: Option<TurnReport>,
}

/// A replacement of the signing key.
#[derive(Clone, Debug, Serialize)]
pub struct SigningKeyRotated {
    /// The keys.
    #[serde(flatten)]
    pub keys: ReplacedKey,
    /// The turn that made the old seed unrecoverable; `None` while another process turns.
    pub turned: TurnReport,
}

/// Turns the epoch when it is due, or on request.
pub struct EpochTurning {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    settings: EpochSettings,
    liveness: Liveness,
    wakeups: Wakeups,
}

impl EpochTurning {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        settings: EpochSettings,
        liveness: Liveness,
        wakeups: Wakeups,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            settings,
            liveness,
            wakeups,
        }
    }

    /// Returns the state of the epochs now.
    ///
    /// # Errors
    /// Any database error.
    pub async fn status(&self) -> Result<EpochStatus, Error> {
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let current = epochs::current(&mut tx)
            .await?
            .ok_or(crate::vault::Error::NoVault)?;
        let (waiting, oldest) = shreds::waiting(&mut tx).await?;
        let stale_pages = keys::count_stale(&mut tx).await?;
        let every = self.settings.turn_every();
        let is_due = waiting > 0 || stale_pages > 0 || current.finished_at.is_none();
        Ok(EpochStatus {
            epoch: current.epoch,
            began_at: current.began_at,
            finished: current.finished_at.is_some(),
            waiting,
            oldest_waiting: oldest,
            stale_pages,
            horizon_s: every.as_secs(),
            horizon_now_s: oldest.map_or(0, |oldest| now.since(oldest).as_secs()),
            next_turn_at: is_due.then(|| oldest.unwrap_or(current.began_at).after(every / 2)),
            snapshot: current.snapshot(),
        })
    }

    /// The shredded recordings that an older copy of the key store still opens; the next turn covers
    /// them.
    ///
    /// # Errors
    /// The database's.
    pub async fn waiting(&self) -> Result<Vec<RecordingId>, Error> {
        Ok(shreds::waiting_recordings(&mut self.db.read().await?).await?)
    }

    /// Turns the epoch now. `None` while another process does.
    ///
    /// # Errors
    /// Errors of custody, the store or the database. The next attempt continues where this one
    /// ended.
    pub async fn turn(&self, permit: &Permit<action::Keys>) -> Result<Option<TurnReport>, Error> {
        self.turn_as(permit.initiator()).await
    }

    /// Returns the holder of the turn, and when its lease ends unless it is extended; `None` if
    /// there is none.
    ///
    /// # Errors
    /// Any database error.
    pub async fn turning(&self) -> Result<Option<Holding>, Error> {
        Ok(epochs::turning(&mut self.db.read().await?).await?)
    }

    /// Ends the lease on the turn: later commits of its holder fail, and any process may turn
    /// immediately. Returns the former lease.
    ///
    /// # Errors
    /// Any database error.
    pub async fn release(&self, permit: &Permit<action::Keys>) -> Result<Option<Holding>, Error> {
        let actor = permit.initiator();
        let released = self.db.unit("epoch.release_turn", async |mut unit| {
            let now = self.clock.now();
            let released = epochs::release_turn(&mut unit).await?;
            if let Some(Holding { holder, until, .. }) = &released {
                unit.audit(NewEntry::turn_released(now, actor, holder, *until));
            }
            Ok::<_, crate::db::Error>(released)
        });
        Ok(released.await?)
    }

    async fn turn_as(&self, actor: Initiator) -> Result<Option<TurnReport>, Error> {
        Ok(self.vault.turn(actor).await?)
    }

    /// Renews the keys of a tier's pages, or of all, and turns. No audio is read.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub async fn rotate(
        &self,
        permit: &Permit<action::Keys>,
        tier: Option<&Tier>,
        dry_run: bool,
    ) -> Result<Rotated, Error> {
        if dry_run {
            let would_renew =
                keys::page_ids(&mut self.db.read().await?, tier.map(Tier::as_str)).await?;
            return Ok(Rotated {
                pages: would_renew.len() as u64,
                would_renew,
                turned: None,
            });
        }
        let pages = self.mark_stale(permit.initiator(), tier).await?;
        Ok(Rotated {
            pages,
            would_renew: Vec::new(),
            turned: self.turn_as(permit.initiator()).await?,
        })
    }

    /// Replaces the signing key and turns the epoch, so that no older copy of the key store has the
    /// seed of the former key.
    ///
    /// # Errors
    /// [`vault::Error::TurnHeld`] inside while another process turns; as [`Self::turn`]; after 122
    /// replacements the page of the key is full. Nothing is replaced then.
    pub async fn rotate_signing_key(
        &self,
        permit: &Permit<action::Keys>,
    ) -> Result<SigningKeyRotated, Error> {
        let rotated = self.vault.rotate_signing_key(permit.initiator()).await?;
        if let Some((keys, turned)) = rotated {
            return Ok(SigningKeyRotated { keys, turned });
        }
        Err(match self.turning().await? {
            Some(held) => crate::vault::Error::TurnHeld(held).into(),
            None => Error::Conflict(
                "another process has just turned the epoch; repeat the command".into(),
            ),
        })
    }

    async fn mark_stale(&self, actor: Initiator, tier: Option<&Tier>) -> Result<u64, Error> {
        let now = self.clock.now();
        let marked = self.db.unit("epoch.mark_stale", async |mut unit| {
            let pages = keys::mark_stale(&mut unit, tier.map(Tier::as_str)).await?;
            if tier.is_none() {
                epochs::note_rotated(&mut unit, now).await?;
            }
            unit.audit(NewEntry::keys_rotated(now, actor, tier, pages));
            Ok::<_, crate::db::Error>(pages)
        });
        Ok(marked.await?)
    }

    /// Does what is due: completes an interrupted turn, rotates, turns. Returns whether anything
    /// was done.
    ///
    /// # Errors
    /// Errors of custody, the store or the database; what was due stays due.
    pub async fn keep(&self) -> Result<bool, Error> {
        self.vault.follow_epoch().await?;
        let mut done = self.vault.complete_turn().await?.is_some();
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        let current = epochs::current(&mut tx)
            .await?
            .ok_or(crate::vault::Error::NoVault)?;
        let rotated_at = epochs::rotated_at(&mut tx)
            .await?
            .unwrap_or(current.began_at);
        drop(tx);
        let rotate_every = Duration::from_secs(u64::from(self.settings.rotate_every_d) * 24 * 3600);
        if !rotate_every.is_zero() && now.since(rotated_at) >= rotate_every {
            self.mark_stale(Initiator::Vault, None).await?;
            return Ok(self.turn_as(Initiator::Vault).await?.is_some() || done);
        }
        let status = self.status().await?;
        let is_due = status.next_turn_at.is_some_and(|at| at <= now);
        if is_due || self.is_wanted_at_once().await? {
            done |= self.turn_as(Initiator::Vault).await?.is_some();
        }
        Ok(done)
    }

    /// Returns whether a shred waits whose tier requires an immediate turn.
    async fn is_wanted_at_once(&self) -> Result<bool, Error> {
        let tiers = self.rulebook.current().immediate_tiers();
        if tiers.is_empty() {
            return Ok(false);
        }
        Ok(shreds::any_uncovered_of(&mut self.db.read().await?, &tiers).await?)
    }

    /// Runs [`Self::keep`] until `stop`: after a notification of a shred or of another process's
    /// turn, and every few seconds.
    pub async fn watch(self: Arc<Self>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.liveness.beat(Task::Epochs);
            if let Err(error) = self.keep().await {
                tracing::warn!(
                    "the epoch cannot be turned, again in {}: {error}",
                    numerals::pause(PACE)
                );
                metrics::counter!("recvault_turn_failures_total").increment(1);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wakeups.epochs.notified() => {}
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }
}
