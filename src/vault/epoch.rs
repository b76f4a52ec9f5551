//! The epoch turn: shredded content becomes unrecoverable, even with every older copy of the key
//! store.
//!
//! ```text
//! stage the next root in custody
//!   → rekey: stale pages get new keys, bottom up, in small units; a renewed page leaves its parent stale
//!   → one unit: receipts covered, what is still stale renewed, the root page below the next root, the epoch counted up
//!   → a snapshot is written to the store, opened again with the next root, and noted
//!   → the old root is destroyed in custody, and that is noted
//!   → receipts are signed again, older snapshots are removed
//! ```
//! Owns this order. Each step is recorded where the next one begins, so that any process can resume
//! after any interruption. One process turns at a time, under a lease that every unit checks.
//! Readers and writers continue meanwhile.
//!
//! INVARIANT: custody destroys a root only after a snapshot that needs the next root, and no other,
//! was opened and checked (see [`custody`]).

mod custody;
mod turner;

use std::collections::BTreeSet;

use self::turner::Turner;
use super::{Inner, Vault, error::Error, sign::ReplacedKey, snapshot::VerifiedSnapshot};
use crate::{
    db::{
        Tx, Unit, chain,
        epochs::{self, EpochRow},
        keys as key_rows,
        outbox::OutboxKind,
        shreds::{self, NextReceipt},
        signing_keys,
    },
    evidence::{NewEntry, Receipt},
    keyring::{self, LEAF, PageRow, RootKey, tree},
    model::{actor::Initiator, crash, id::PageId, time::Timestamp},
    secret::Key,
    store::RecoveryName,
};

/// Pages renewed in one unit of the rekeying: some ten milliseconds of writing.
const PAGES: i64 = 128;
/// Receipts signed in one unit.
const RECEIPTS: i64 = 256;

/// A completed turn.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TurnReport {
    /// The epoch that began.
    pub epoch: u64,
    /// Pages that got a new key.
    pub pages: u64,
    /// Shreds whose content it made unrecoverable.
    pub covered: u64,
    /// The epoch's snapshot.
    pub snapshot: RecoveryName,
    /// The time since when no older copy of the key store opens shredded content.
    pub unrecoverable_since: Timestamp,
    /// Milliseconds of the whole turn; for an interrupted turn, since it was resumed.
    pub took_ms: u64,
    /// Of these, milliseconds for writing and verifying the snapshot.
    pub snapshot_took_ms: u64,
}

impl Vault {
    /// Turns the epoch: first completes an interrupted turn, then runs a whole one. Returns `None`
    /// while another process holds the lease.
    ///
    /// # Errors
    /// Of custody, store or database; completed steps stand, and the next call resumes after them.
    pub async fn turn(&self, actor: Initiator) -> Result<Option<TurnReport>, Error> {
        self.check_before_destroying().await?;
        self.as_turner(async |turner| {
            turner.complete_former().await?;
            turner.turn(actor).await
        })
        .await
    }

    /// Replaces the signing key and turns the epoch, under one lease of the turn: a key is replaced
    /// only if older copies of its seed can be put out of reach at once. Returns `None` while
    /// another process holds the lease; nothing is replaced then.
    ///
    /// # Errors
    /// As [`Self::turn`] and [`Self::replace_signing_key`].
    pub async fn rotate_signing_key(
        &self,
        actor: Initiator,
    ) -> Result<Option<(ReplacedKey, TurnReport)>, Error> {
        self.check_before_destroying().await?;
        self.as_turner(async |turner| {
            turner.complete_former().await?;
            let vault = &*self.0;
            let replaced = turner.unit("sign.replace_key", async |mut unit| {
                vault.replace_signing_key(&mut unit, actor).await
            });
            let (keys, signer) = replaced.await?;
            vault.signing.set(signer);
            // If the turn fails, it is to be repeated, and not this.
            tracing::info!(
                key_id = keys.key_id,
                retired = keys.retired,
                "the signing key was replaced, and the epoch turns next"
            );
            crash::point("sign.replaced");
            Ok((keys, turner.turn(actor).await?))
        })
        .await
    }

    /// Completes a turn that was interrupted after its root was in force. Returns `None` if there
    /// is none, or another process holds the lease.
    ///
    /// # Errors
    /// As [`Self::turn`].
    pub async fn complete_turn(&self) -> Result<Option<TurnReport>, Error> {
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

    /// Completes the steps that a restore left, before the vault accepts anything: until then a
    /// second loss could bring back what the first one lost.
    ///
    /// # Errors
    /// [`Error::TurnHeld`]; as [`Self::turn`].
    pub async fn finish_restore(&self) -> Result<(), Error> {
        self.repair_custody().await?;
        self.retire_what_came_back().await?;
        while !epochs::is_settled(&mut self.0.db.read().await?).await? {
            tracing::info!("the vault was rebuilt: a snapshot is written and verified first");
            if self.complete_turn().await?.is_none() {
                // It may have ended since.
                let held = epochs::turning(&mut self.0.db.read().await?).await?;
                if let Some(held) = held {
                    return Err(Error::TurnHeld(held));
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Drops the key of an epoch that another process ended, and checks that custody still belongs
    /// to this database. Cheap when nothing has changed.
    ///
    /// # Errors
    /// The database's or custody's; as [`Vault::check_owner`].
    pub async fn follow_epoch(&self) -> Result<(), Error> {
        self.check_owner().await?;
        self.0.follow().await
    }
}

/// The progress of a turn.
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
    /// Completes the former turn, if it was interrupted.
    async fn complete_former(&self) -> Result<(), Error> {
        let current = self.current().await?;
        if current.finished_at.is_none() {
            let work = Work::begin(self.vault.clock.now());
            self.complete(current, work).await?;
        }
        Ok(())
    }

    async fn turn(&self, actor: Initiator) -> Result<TurnReport, Error> {
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
                unit.took(vault.clock.now().since(work.began));
                self.commit(&mut unit, &next, &sealed, actor, work.pages)
                    .await
            })
            .await?;
        work.pages += last;
        work.covered = covered;
        crash::point("turn.after_commit");
        // Keeps the new key in memory, which saves a call to custody.
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
                    .unit("epoch.rekey", async |mut unit| {
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

    /// Runs the unit that ends one epoch and begins the next. Returns the pages renewed in it, and
    /// the shreds that it covers.
    async fn commit(
        &self,
        unit: &mut Unit,
        next: &RootKey,
        sealed: &[u8],
        actor: Initiator,
        rekeyed: u64,
    ) -> Result<(u64, u64), Error> {
        let vault = self.vault;
        let alone = vault.lock_epoch_exclusive(unit).await?;
        // Before the pages: a shred whose receipt is visible here has marked its page stale, and
        // the query below sees that mark. A later shred waits for the next turn.
        let covered = shreds::cover(unit, next.epoch).await?;
        let mut pages = 0;
        for level in LEAF..tree::ROOT_LEVEL {
            pages += vault.renew(unit, level, i64::MAX).await?;
        }
        let root = key_rows::root_page(unit)
            .await?
            .ok_or(keyring::Error::BrokenPath)?;
        let root = vault
            .walk(unit, root)
            .await?
            .seal_below(next, vault.id, &mut rand::rng());
        key_rows::renew_pages(unit, &[root]).await?;
        vault.reseal_pending(unit, &alone, next).await?;
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

    /// Runs every step after the new root is in force; skips each step that was done before.
    async fn complete(&self, row: EpochRow, work: Work) -> Result<TurnReport, Error> {
        let vault = self.vault;
        let since = |began: Timestamp| {
            u64::try_from(vault.clock.now().since(began).as_millis()).unwrap_or(u64::MAX)
        };
        let snapshot_began = vault.clock.now();
        let (noted, verified) = match row.snapshot() {
            Some((name, _)) => (name, None),
            None => {
                let checked = self.snapshot(row.epoch).await?;
                (checked.snapshot, Some(checked))
            }
        };
        let snapshot_took_ms = since(snapshot_began);
        crash::point("turn.verified");
        let (unrecoverable_since, snapshot) = match row.previous_destroyed_at {
            Some(at) => (at, noted),
            // If the noted snapshot is no longer valid, another one has replaced it.
            None => self.destroy_roots(row.epoch, noted, verified).await?,
        };
        self.issue_receipts(row.epoch, unrecoverable_since).await?;
        crash::point("turn.receipts");
        vault.remove_older_files(snapshot).await?;
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
        Ok(TurnReport {
            epoch: row.epoch,
            pages,
            covered,
            snapshot,
            unrecoverable_since,
            took_ms: since(began),
            snapshot_took_ms,
        })
    }

    /// Returns a snapshot of the epoch, verified just now: the noted one, or a new one if that is
    /// missing or no longer valid.
    pub(super) async fn verified(
        &self,
        epoch: u64,
        noted: Option<RecoveryName>,
    ) -> Result<VerifiedSnapshot, Error> {
        if let Some(name) = noted {
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
        self.snapshot(epoch).await
    }

    /// Writes a snapshot of the new epoch, verifies it, and notes it.
    async fn snapshot(&self, epoch: u64) -> Result<VerifiedSnapshot, Error> {
        let vault = self.vault;
        // On the heap: they would be too large for the stack of a thread.
        let written = Box::pin(vault.write_snapshot()).await?;
        crash::point("turn.snapshot_written");
        let checked = Box::pin(vault.verify_snapshot(written)).await?;
        self.unit("epoch.snapshot", async |mut unit| {
            let now = vault.clock.now();
            chain::note_durable(&mut unit, checked.seq).await?;
            epochs::note_snapshot(&mut unit, epoch, written, now).await?;
            unit.audit(NewEntry::snapshot_verified(
                now,
                &written.to_string(),
                checked.keys,
            ));
            Ok(())
        })
        .await?;
        Ok(checked)
    }

    /// Destroys every root but this epoch's, and notes it. The epoch's snapshot is verified just
    /// before, unless this process has done so. Returns the time of the destruction, and the
    /// snapshot.
    async fn destroy_roots(
        &self,
        epoch: u64,
        noted: RecoveryName,
        verified: Option<VerifiedSnapshot>,
    ) -> Result<(Timestamp, RecoveryName), Error> {
        let vault = self.vault;
        vault.check_before_destroying().await?;
        let checked = match verified {
            Some(checked) => checked,
            None => self.verified(epoch, Some(noted)).await?,
        };
        let proof = self.restorable(&checked).await?;
        // Written before the roots are destroyed; the swap below compares with the slot that was
        // read under the lease.
        let seen = self
            .tell(NewEntry::root_condemned(vault.clock.now(), epoch))
            .await?;
        self.keep_only(&proof, seen).await?;
        let destroyed_at = self
            .unit("epoch.destroy_roots", async |mut unit| {
                let now = vault.clock.now();
                epochs::note_destroyed(&mut unit, epoch, now).await?;
                unit.audit(NewEntry::root_destroyed(now, epoch));
                Ok(now)
            })
            .await?;
        Ok((destroyed_at, checked.snapshot))
    }

    /// Signs again the receipts that the turn covers.
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
                        let receipt = Receipt::verify(before, &keys)
                            .map_err(|_| Error::BrokenReceipt(*id))?;
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
                    // Journaled, so that a rebuilt vault has the same receipts.
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
    /// Renews the keys of up to `limit` stale pages of a level. Returns how many.
    async fn renew(&self, tx: &mut Tx, level: u8, limit: i64) -> Result<u64, Error> {
        let stale = key_rows::stale_pages(tx, level, limit).await?;
        if stale.is_empty() {
            return Ok(0);
        }
        let (children, parents): (BTreeSet<PageId>, BTreeSet<Option<PageId>>) =
            stale.into_iter().unzip();
        let parents: BTreeSet<PageId> = parents
            .into_iter()
            .collect::<Option<_>>()
            .ok_or(keyring::Error::BrokenPath)?;
        // The root page too, because the parents are no leaves.
        let mut all: BTreeSet<PageId> = children.union(&parents).copied().collect();
        all.extend(key_rows::root_page(tx).await?);
        key_rows::lock(tx, &all).await?;
        let mut above = self.walk_all(tx, &parents).await?;
        let mut renewed = Vec::with_capacity(children.len());
        for child in key_rows::pages(tx, &children).await? {
            let parent = child
                .parent
                .and_then(|place| above.get_mut(&place.page))
                .ok_or(keyring::Error::BrokenPath)?;
            renewed.push(parent.renew(child, self.id, &mut rand::rng())?);
        }
        key_rows::renew_pages(tx, &renewed).await?;
        let above: Vec<PageRow> = above
            .into_values()
            .map(|page| page.seal(self.id, &mut rand::rng()))
            .collect();
        key_rows::replace_pages(tx, &above).await?;
        Ok(renewed.len() as u64)
    }
}
