//! The epoch turn: what was shredded becomes unrecoverable, also for who holds every older copy of
//! the key store.
//!
//! ```text
//! stage the next root in custody
//!   → climb: stale pages get new keys, bottom up, in small units; a renewed page leaves its parent stale
//!   → one unit: receipts covered, what is still stale renewed, the root page below the next root, the epoch counted up
//!   → a snapshot is written to the store, opened again with the next root, and noted
//!   → the old root is destroyed in custody, and that is noted
//!   → receipts say so, older snapshots are removed
//! ```
//! Owns this order. Each step is written down where the next one begins, so that any process goes
//! on from any interruption; one process turns at a time, held by a lease that every unit checks.
//! Readers and writers go on meanwhile.
//!
//! INVARIANT: custody destroys a root only after a snapshot that needs the next root, and no other,
//! was opened and checked (see [`custody`]).

mod custody;
mod turner;

use std::collections::BTreeSet;

use self::turner::Turner;
use super::{Inner, Vault, error::Error, snapshot::Checked};
use crate::{
    db::{
        Tx, Unit, chain,
        epochs::{self, EpochRow},
        keys as rows,
        outbox::OutboxKind,
        shreds::{self, NextReceipt},
        signing_keys,
    },
    evidence::{NewEntry, Receipt},
    keyring::{self, LEAF, PageRow, RootKey, tree},
    model::{actor::Initiator, crash, id::PageId, time::Timestamp},
    secret::Key,
};

/// Pages renewed in one unit of the climb: some ten milliseconds of writing.
const PAGES: i64 = 128;
/// Receipts signed in one unit.
const RECEIPTS: i64 = 256;

/// A turn that is done.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Turned {
    /// The epoch that began.
    pub epoch: u64,
    /// Pages that got a new key.
    pub pages: u64,
    /// Shreds that it made unrecoverable.
    pub covered: u64,
    /// The snapshot that stands for the epoch.
    pub snapshot: String,
    /// From when on no older copy of the key store opens what was shredded.
    pub unrecoverable_since: Timestamp,
    /// Milliseconds that all of it took; of a turn that was interrupted, since it was gone on with.
    pub took_ms: u64,
    /// Of these, milliseconds for writing the snapshot and trying it.
    pub snapshot_took_ms: u64,
}

impl Vault {
    /// Turns the epoch: first completes a turn that was interrupted, then does a whole one. `None`
    /// while another process is at it.
    ///
    /// # Errors
    /// Of custody, store or database; what is done stays done, and the next call goes on from there.
    pub async fn turn(&self, actor: Initiator) -> Result<Option<Turned>, Error> {
        self.check_before_destroying().await?;
        self.as_turner(async |turner| {
            let current = turner.current().await?;
            if current.finished_at.is_none() {
                turner
                    .complete(current, Work::begin(self.0.clock.now()))
                    .await?;
            }
            turner.turn(actor).await
        })
        .await
    }

    /// Completes a turn that was interrupted after its root was in force. `None` if there is none,
    /// or another process is at it.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub async fn complete_turn(&self) -> Result<Option<Turned>, Error> {
        if epochs::current(&mut self.0.db.read().await?)
            .await?
            .is_none_or(|current| current.finished_at.is_some())
        {
            return Ok(None);
        }
        self.check_before_destroying().await?;
        let done = self.as_turner(async |turner| {
            let current = turner.current().await?;
            if current.finished_at.is_some() {
                Ok(None)
            } else {
                turner
                    .complete(current, Work::begin(self.0.clock.now()))
                    .await
                    .map(Some)
            }
        });
        Ok(done.await?.flatten())
    }

    /// Completes what a rebuilding left to do, before anything is let in: until then a second loss
    /// could bring back what was lost in the first.
    ///
    /// # Errors
    /// [`Error::TurnHeld`]; as [`Self::turn`].
    pub async fn settle(&self) -> Result<(), Error> {
        self.settle_custody().await?;
        self.retire_what_came_back().await?;
        while !epochs::is_settled(&mut self.0.db.read().await?).await? {
            tracing::info!("the vault was rebuilt: a snapshot is written and verified first");
            if self.complete_turn().await?.is_none() {
                // It may have come to its end since.
                let held = epochs::turning(&mut self.0.db.read().await?).await?;
                if let Some(held) = held {
                    return Err(Error::TurnHeld(held));
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Drops the key of an epoch that another process ended, and sees whether custody is still this
    /// database's. Cheap when nothing has changed.
    ///
    /// # Errors
    /// The database's or custody's; as [`Vault::check_owner`].
    pub async fn follow_epoch(&self) -> Result<(), Error> {
        self.check_owner().await?;
        self.0.follow().await
    }
}

/// What a turn has done so far.
struct Work {
    began: Timestamp,
    pages: u64,
    covered: u64,
}

impl Work {
    fn begin(began: Timestamp) -> Self {
        Self {
            began,
            pages: 0,
            covered: 0,
        }
    }
}

impl Turner<'_> {
    async fn turn(&self, actor: Initiator) -> Result<Turned, Error> {
        let vault = self.vault;
        let mut work = Work::begin(vault.clock.now());
        let name = self.stage().await?;
        crash::point("turn.staged");
        work.pages = self.rekey().await?;
        crash::point("turn.rekeyed");
        let next = RootKey {
            epoch: name.epoch,
            key: Key::random(&mut rand::rng()),
        };
        let sealed = vault.custody.seal(name, &next.key).await?;
        let (last, covered) = self
            .unit("epoch.commit", async |mut unit| {
                self.commit(&mut unit, &next, &sealed, actor, work.pages)
                    .await
            })
            .await?;
        work.pages += last;
        work.covered = covered;
        crash::point("turn.after_commit");
        // Kept: nobody has to ask custody for the key that this process has made.
        vault.root.set(next);
        self.complete(self.current().await?, work).await
    }

    /// Renews stale pages level by level until few are left, so that the unit that ends the epoch
    /// is short.
    async fn rekey(&self) -> Result<u64, Error> {
        let mut pages = 0;
        for level in LEAF..tree::ROOT_LEVEL {
            loop {
                let renewed = self
                    .unit("epoch.climb", async |mut unit| {
                        unit.without_entry("a turn is told when it commits");
                        let renewed = self.vault.renew(&mut unit, level, PAGES).await?;
                        Ok(renewed)
                    })
                    .await?;
                crash::point("turn.rekeying");
                pages += renewed;
                if renewed < PAGES.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(pages)
    }

    /// The unit that ends one epoch and begins the next. Pages renewed in it, and shreds that it
    /// covers.
    async fn commit(
        &self,
        unit: &mut Unit,
        next: &RootKey,
        sealed: &[u8],
        actor: Initiator,
        rekeyed: u64,
    ) -> Result<(u64, u64), Error> {
        let vault = self.vault;
        let alone = vault.alone(unit).await?;
        // Before the pages: a shred whose receipt is seen here has left its mark on its page, and
        // that is seen below. One that is not waits for the next turn.
        let covered = shreds::cover(unit, next.epoch).await?;
        let mut pages = 0;
        for level in LEAF..tree::ROOT_LEVEL {
            pages += vault.renew(unit, level, i64::MAX).await?;
        }
        let root = rows::root_page(unit)
            .await?
            .ok_or(keyring::Error::BrokenPath)?;
        let root = vault
            .walk(unit, root)
            .await?
            .seal_below(next, vault.id, &mut rand::rng());
        rows::renew_pages(unit, &[root]).await?;
        vault.carry_waiting(unit, &alone, next).await?;
        let now = vault.clock.now();
        epochs::insert(unit, next.epoch, sealed, now).await?;
        unit.audit(NewEntry::epoch_turned(
            now,
            actor,
            next.epoch,
            rekeyed + pages,
            covered,
        ));
        crash::point("turn.before_commit");
        Ok((pages, covered))
    }

    /// Everything after the new root is in force; each step is skipped if it was done before.
    async fn complete(&self, row: EpochRow, work: Work) -> Result<Turned, Error> {
        let vault = self.vault;
        let since = |began: Timestamp| {
            u64::try_from(vault.clock.now().since(began).as_millis()).unwrap_or(u64::MAX)
        };
        let snapshot_began = vault.clock.now();
        let (snapshot, verified) = match row.snapshot() {
            Some((name, _)) => (name, None),
            None => self
                .snapshot(row.epoch)
                .await
                .map(|(name, checked)| (name, Some(checked)))?,
        };
        let snapshot_took_ms = since(snapshot_began);
        crash::point("turn.verified");
        let unrecoverable_since = match row.previous_destroyed_at {
            Some(at) => at,
            None => self.destroy_roots(row.epoch, &snapshot, verified).await?,
        };
        self.issue_receipts(row.epoch, unrecoverable_since).await?;
        crash::point("turn.receipts");
        vault.remove_older_files(row.epoch, &snapshot).await?;
        self.unit("epoch.complete", async |mut unit| {
            unit.without_entry("that the root is destroyed was told");
            epochs::finish(&mut unit, row.epoch, vault.clock.now()).await?;
            Ok(())
        })
        .await?;
        let Work {
            pages,
            covered,
            began,
        } = work;
        Ok(Turned {
            epoch: row.epoch,
            pages,
            covered,
            snapshot,
            unrecoverable_since,
            took_ms: since(began),
            snapshot_took_ms,
        })
    }

    /// A snapshot of the epoch that was verified just now: the one that is noted, or, where that is
    /// gone or does not hold any more, a new one.
    async fn verified(&self, epoch: u64, noted: Option<&str>) -> Result<Checked, Error> {
        if let Some(name) = noted.and_then(|name| name.parse().ok()) {
            match self.vault.verify_snapshot(name).await {
                Ok(checked) => return Ok(checked),
                Err(error) => {
                    tracing::warn!(
                        %name, %error,
                        "the recorded snapshot does not verify: another is written"
                    )
                }
            }
        }
        self.snapshot(epoch).await.map(|(_, checked)| checked)
    }

    /// Writes a snapshot of the new epoch, opens it again, and notes it.
    async fn snapshot(&self, epoch: u64) -> Result<(String, Checked), Error> {
        let vault = self.vault;
        let written = vault.write_snapshot().await?;
        crash::point("turn.snapshot_written");
        let checked = vault.verify_snapshot(written).await?;
        let name = written.to_string();
        self.unit("epoch.snapshot", async |mut unit| {
            let now = vault.clock.now();
            chain::note_durable(&mut unit, checked.seq).await?;
            epochs::note_snapshot(&mut unit, epoch, &name, now).await?;
            unit.audit(NewEntry::snapshot_verified(now, &name, checked.keys));
            Ok(())
        })
        .await?;
        Ok((name, checked))
    }

    /// Destroys every root but this epoch's, and notes it. The snapshot that stands for the epoch
    /// is verified just before, unless this process has done so.
    async fn destroy_roots(
        &self,
        epoch: u64,
        snapshot: &str,
        verified: Option<Checked>,
    ) -> Result<Timestamp, Error> {
        let vault = self.vault;
        vault.check_before_destroying().await?;
        let checked = match verified {
            Some(checked) => checked,
            None => self.verified(epoch, Some(snapshot)).await?,
        };
        let proof = self.restorable(&checked).await?;
        // Written down before it is done; and what is destroyed below is what was there while the
        // turn was ours.
        let seen = self
            .tell(NewEntry::root_condemned(vault.clock.now(), epoch))
            .await?;
        self.keep_only(&proof, seen).await?;
        self.unit("epoch.destroy_roots", async |mut unit| {
            let now = vault.clock.now();
            epochs::note_destroyed(&mut unit, epoch, now).await?;
            unit.audit(NewEntry::root_destroyed(now, epoch));
            Ok(now)
        })
        .await
    }

    /// Signs the receipts that the turn covers once more.
    async fn issue_receipts(&self, epoch: u64, since: Timestamp) -> Result<(), Error> {
        let vault = self.vault;
        loop {
            let issued = self
                .unit("epoch.issue_receipts", async |mut unit| {
                    unit.without_entry("receipts say what was told when the root was destroyed");
                    let covered = shreds::covered(&mut unit, epoch, RECEIPTS).await?;
                    let keys = signing_keys::all(&mut unit).await?;
                    let signer = vault.signer(&mut unit).await?;
                    let mut next = Vec::with_capacity(covered.len());
                    let mut recordings = Vec::with_capacity(covered.len());
                    for (id, before) in &covered {
                        let receipt = Receipt::verify(before, &keys).map_err(|_| Error::Gone)?;
                        let receipt = receipt.unrecoverable(since, epoch, vault.clock.now());
                        recordings.push(receipt.recording());
                        let state = receipt.state().as_str();
                        let jws = receipt.sign(&signer);
                        next.push(NextReceipt {
                            id: *id,
                            state,
                            jws,
                            before,
                        });
                    }
                    shreds::replace_receipts(&mut unit, &next).await?;
                    // A vault that is rebuilt says no less than this one did.
                    unit.to_journal(OutboxKind::Recording, &recordings, vault.clock.now());
                    Ok(covered.len())
                })
                .await?;
            if issued == 0 {
                return Ok(());
            }
        }
    }
}

impl Inner {
    /// Gives up to `limit` stale pages of a level new keys. How many.
    async fn renew(&self, tx: &mut Tx, level: u8, limit: i64) -> Result<u64, Error> {
        let stale = rows::stale_pages(tx, level, limit).await?;
        if stale.is_empty() {
            return Ok(0);
        }
        let (children, parents): (BTreeSet<PageId>, BTreeSet<Option<PageId>>) =
            stale.into_iter().unzip();
        let parents: BTreeSet<PageId> = parents
            .into_iter()
            .collect::<Option<_>>()
            .ok_or(keyring::Error::BrokenPath)?;
        rows::lock(tx, &children.union(&parents).copied().collect()).await?;
        let mut above = self.walk_all(tx, &parents).await?;
        let mut renewed = Vec::with_capacity(children.len());
        for child in rows::pages(tx, &children).await? {
            let parent = child
                .parent
                .and_then(|place| above.get_mut(&place.page))
                .ok_or(keyring::Error::BrokenPath)?;
            renewed.push(parent.renew(child, self.id, &mut rand::rng())?);
        }
        rows::renew_pages(tx, &renewed).await?;
        let above: Vec<PageRow> = above
            .into_values()
            .map(|page| page.seal(self.id, &mut rand::rng()))
            .collect();
        rows::replace_pages(tx, &above).await?;
        Ok(renewed.len() as u64)
    }
}
