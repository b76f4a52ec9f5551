//! Shredding, step one: tombstone, destroyed key, entry and receipt in one unit of work; then the
//! bytes.
//!
//! Owns the one function that destroys keys, and what a new receipt says. Refuses to know
//! why recordings go and how many there are: it is given a [`Cause`], and a batch for the unit that
//! it is lent.
//!
//! What step one does not reach: a copy of the database from before it, together with the root key of
//! the same epoch, still opens the recording. The receipt says so until the epoch has turned (see
//! `epoch`).

use std::collections::BTreeSet;

use super::{Vault, error::Error};
use crate::{
    db::{
        self, Tx, Unit, details, holds,
        outbox::OutboxKind,
        recordings,
        revocations::Revocation,
        shreds::{self, NewReceipt, NewTombstone, NextReceipt, ShredBatch},
        signing_keys, waiting,
    },
    evidence::{HeldCopy, NewEntry, Receipt, Removal, ShredFacts, ShredReason},
    model::{
        actor::Initiator,
        crash,
        id::{ReceiptId, RecordingId, RevocationId},
        recording::{Recording, RecordingState},
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// A shred that stands.
#[derive(Clone, Debug)]
pub struct Shredded {
    /// The recording.
    pub recording: RecordingId,
    /// Its receipt.
    pub receipt: ReceiptId,
    /// The receipt in its signed form.
    pub jws: String,
    /// When it was tombstoned.
    pub tombstoned_at: Timestamp,
    /// Whether this call did it; false when it was done before.
    pub is_new: bool,
}

/// What came of shredding recordings.
#[derive(Clone, Debug, Default)]
pub struct ShredOutcome {
    /// Those that are shredded.
    pub shredded: Vec<Shredded>,
    /// Those that a hold keeps.
    pub held: Vec<RecordingId>,
    /// Whether any was shredded or closed that was not before. If not, the unit has no entry of it.
    pub is_news: bool,
}

/// In whose name recordings are shredded, and why. Who has one may shred:
///
/// ```
/// use recvault::{evidence::ShredReason, policy::{Permit, action}, vault::Cause};
/// let reason: ShredReason = "retention".parse().unwrap();
/// Cause::permitted(&Permit::of_vault(action::Shred), &reason);
/// ```
///
/// A permit for anything else is not enough:
///
/// ```compile_fail,E0308
/// use recvault::{evidence::ShredReason, policy::{Permit, action}, vault::Cause};
/// let reason: ShredReason = "retention".parse().unwrap();
/// Cause::permitted(&Permit::of_vault(action::Catalogue), &reason);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    actor: Initiator,
    reason: &'a ShredReason,
    revocation: Option<RevocationId>,
}

impl<'a> Cause<'a> {
    /// Somebody may shred, and says why.
    pub fn permitted(permit: &Permit<action::Shred>, reason: &'a ShredReason) -> Self {
        Self {
            actor: permit.initiator(),
            reason,
            revocation: None,
        }
    }

    /// A revocation reaches them, and is told what came of each. One that stands in the database is
    /// leave enough, because only who had a permit entered it.
    pub fn revoked(revocation: &'a Revocation) -> Self {
        Self {
            actor: Initiator::Recorded(revocation.actor),
            reason: &revocation.reason,
            revocation: Some(revocation.id),
        }
    }

    /// Whether a revocation is told what came of each.
    pub fn is_revocation(&self) -> bool {
        self.revocation.is_some()
    }
}

/// What becomes of recordings that a hold keeps. None of them is shredded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHold {
    /// Nothing happens to them.
    Keep,
    /// They are closed, to be shredded when their last hold ends.
    Close,
}

/// The ciphertext of a shredded recording is deleted from the store.
#[derive(Debug)]
#[must_use = "the receipt is to say so"]
pub struct DeletedCiphertext {
    recording: RecordingId,
    receipt: ReceiptId,
}

impl Vault {
    /// Shreds recordings: when the unit has committed, no key of them exists in the database and
    /// nothing of them opens. Shredding twice is shredding once: those that were shredded before
    /// come back with their receipts.
    ///
    /// To be called once in a unit, after everything else that locks rows: it writes the entries,
    /// because receipts carry their numbers. Rows are locked in the same order as by every other
    /// unit: recordings, pages, the rest, and the head of the audit log last.
    ///
    /// # Errors
    /// [`Error::Gone`] for a recording that is not there; the database's; [`Error::Keyring`] if the
    /// epoch has turned, which [`Self::unit`] deals with.
    pub async fn shred(
        &self,
        unit: &mut Unit,
        batch: &[&Recording],
        cause: Cause<'_>,
        on_hold: OnHold,
    ) -> Result<ShredOutcome, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let all: Vec<RecordingId> = batch.iter().map(|recording| recording.id).collect();
        let marked = recordings::mark_shredded(unit, &all, now).await?;
        let (fresh, old): (Vec<&Recording>, Vec<&Recording>) = batch
            .iter()
            .copied()
            .partition(|recording| marked.contains(&recording.id));
        let mut done = earlier(unit, &old).await?;
        let closed = match on_hold {
            OnHold::Keep => BTreeSet::new(),
            OnHold::Close => holds::close(unit, &done.held, cause.reason, now).await?,
        };
        done.is_news = !fresh.is_empty() || !closed.is_empty();
        if !done.is_news && cause.revocation.is_none() {
            return Ok(done);
        }

        let ids: Vec<RecordingId> = fresh.iter().map(|recording| recording.id).collect();
        let mut destroyed = vault.destroy_keys(unit, &ids).await?;
        details::remove(unit, &ids).await?;
        let cleared = waiting::clear_of(unit, &ids).await?;
        if !cleared.is_empty() {
            unit.to_journal(OutboxKind::Conversation, &cleared, now);
        }
        let earlier: Vec<RecordingId> = done
            .shredded
            .iter()
            .map(|shredded| shredded.recording)
            .collect();
        let batch = ShredBatch {
            fresh: &ids,
            earlier: &earlier,
            held: &done.held,
            revocation: cause.revocation,
        };
        shreds::follow_up(unit, batch, now).await?;
        if cause.revocation.is_some() {
            unit.to_journal(OutboxKind::Recording, &all, now);
        } else {
            let changed: Vec<RecordingId> = ids.iter().chain(&closed).copied().collect();
            unit.to_journal(OutboxKind::Recording, &changed, now);
        }

        let named: Vec<ReceiptId> = ids
            .iter()
            .map(|_| ReceiptId::random(&mut rand::rng()))
            .collect();
        let shredding = |(id, receipt): (&RecordingId, &ReceiptId)| {
            NewEntry::shred_tombstoned(now, cause.actor, *id, *receipt, cause.reason)
        };
        let closing = |id: &RecordingId| {
            NewEntry::recording_revoked(now, cause.actor, *id, cause.revocation, cause.reason, None)
        };
        let entries: Vec<NewEntry> = ids
            .iter()
            .zip(&named)
            .map(shredding)
            .chain(closed.iter().map(closing))
            .collect();
        let signer = vault.signer(unit).await?;
        let first = unit.audit_now(entries).await?;
        let mut tombstones = Vec::with_capacity(ids.len());
        let mut receipts = Vec::with_capacity(ids.len());
        for ((recording, receipt), seq) in fresh.into_iter().zip(named).zip(first..) {
            let id = recording.id;
            let destroyed = destroyed.remove(&id).unwrap_or_default();
            let had_key = !destroyed.is_empty();
            tombstones.push(NewTombstone {
                recording: id,
                receipt,
                seq,
                destroyed,
            });
            let facts = ShredFacts {
                vault: vault.id,
                receipt,
                recording,
                reason: cause.reason.clone(),
                tombstoned_at: now,
                audit: vault.ownership.point(seq),
            };
            let claims = Receipt::of(facts, copies(had_key, now), now);
            let jws = claims.sign(&signer);
            receipts.push(NewReceipt {
                id: receipt,
                recording: id,
                state: claims.state().as_str(),
                jws: jws.clone(),
                had_key,
            });
            done.shredded.push(Shredded {
                recording: id,
                receipt,
                jws,
                tombstoned_at: now,
                is_new: true,
            });
        }
        if !tombstones.is_empty() {
            shreds::insert_tombstones(unit, &tombstones, now).await?;
            shreds::insert_receipts(unit, &receipts, now).await?;
        }
        crash::point("shred.before_commit");
        Ok(done)
    }

    /// Deletes the ciphertext of a shredded recording. May be run again after any interruption.
    ///
    /// # Errors
    /// [`Error::Gone`] for a recording that is not shredded; the store's or the database's.
    pub async fn delete_ciphertext(&self, id: RecordingId) -> Result<DeletedCiphertext, Error> {
        let vault = &*self.0;
        let (_, receipt) = shreds::find_tombstone(&mut vault.db.read().await?, id)
            .await?
            .ok_or(Error::Gone)?;
        let artefacts = recordings::artefacts(&mut vault.db.read().await?, id).await?;
        for artefact in &artefacts {
            vault.store.delete(artefact.object).await?;
        }
        crash::point("remove.after_delete");
        Ok(DeletedCiphertext {
            recording: id,
            receipt,
        })
    }

    /// The receipt says that the ciphertext is deleted, and nothing names it any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn close_ciphertext(
        &self,
        unit: &mut Unit,
        deleted: &DeletedCiphertext,
    ) -> Result<(), Error> {
        let id = deleted.recording;
        let receipt = deleted.receipt;
        let now = self.0.clock.now();
        recordings::remove_artefacts(unit, id).await?;
        let ciphertext = HeldCopy::Ciphertext(Removal::Removed(now));
        self.settle_receipt(unit, receipt, ciphertext).await?;
        unit.to_journal(OutboxKind::Recording, &[id], now);
        unit.audit(NewEntry::shred_bytes_removed(now, id, receipt));
        crash::point("remove.before_done");
        Ok(())
    }

    /// Signs a receipt again after something became of one of its copies; of the others it says
    /// what it said before. One that says of a source that it is removed goes on saying so.
    ///
    /// # Errors
    /// [`Error::Gone`] if there is no such receipt; the database's.
    pub async fn settle_receipt(
        &self,
        unit: &mut Unit,
        receipt: ReceiptId,
        copy: HeldCopy,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let jws = shreds::find_receipt(unit, receipt)
            .await?
            .ok_or(Error::Gone)?;
        let before =
            Receipt::verify(&jws, &signing_keys::all(unit).await?).map_err(|_| Error::Gone)?;
        if let (HeldCopy::Source(source), Some(said)) = (copy, before.source()) {
            // Signed before, and still true.
            if matches!(said, Removal::Removed(_)) || said == source {
                return Ok(());
            }
        }
        let settled = before.settled(copy, now);
        let signer = vault.signer(unit).await?;
        let next = NextReceipt {
            id: receipt,
            state: settled.state().as_str(),
            jws: settled.sign(&signer),
            before: &jws,
        };
        Ok(shreds::replace_receipts(unit, &[next]).await?)
    }

    /// Sees to it that the store knows everything that this process has done so far, and that a
    /// restore will ask it: custody is still this database's.
    ///
    /// A restore that takes over first takes custody and then looks at the store once more. So what
    /// was written before that is taken in, and what is written later is confirmed to nobody.
    ///
    /// # Errors
    /// [`Error::NotDurable`] while the store cannot be written or custody not be read;
    /// [`Error::NotOwner`] once another database has taken over; the database's.
    pub async fn make_durable(&self) -> Result<(), Error> {
        match self.journal().await {
            Ok(_) => match self.check_owner().await {
                // It stands, and whether a restore will ask this store is not known now.
                Err(error @ (Error::Custody(_) | Error::NoSlot(_) | Error::OldSlot { .. })) => {
                    Err(Error::NotDurable(error.to_string()))
                }
                checked => checked,
            },
            Err(Error::Store(error)) => Err(Error::NotDurable(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

/// What stands of recordings that were not marked: the shreds from before, and those that a hold
/// keeps.
async fn earlier(tx: &mut Tx, recordings: &[&Recording]) -> Result<ShredOutcome, Error> {
    if recordings.is_empty() {
        return Ok(ShredOutcome::default());
    }
    let ids: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
    let found = shreds::find_tombstones(tx, &ids).await?;
    let shredded = |(recording, tombstoned_at, receipt, jws)| Shredded {
        recording,
        receipt,
        jws,
        tombstoned_at,
        is_new: false,
    };
    let shredded: Vec<Shredded> = found.into_iter().map(shredded).collect();
    let tombstoned: BTreeSet<RecordingId> =
        shredded.iter().map(|shredded| shredded.recording).collect();
    let left: Vec<RecordingId> = ids
        .into_iter()
        .filter(|id| !tombstoned.contains(id))
        .collect();
    let found = if left.is_empty() {
        Vec::new()
    } else {
        recordings::find_all(tx, &left).await?
    };
    // There is no such recording, or it lost its tombstone.
    if found.len() != left.len()
        || found
            .iter()
            .any(|recording| recording.state == RecordingState::Shredded)
    {
        return Err(Error::Gone);
    }
    // The last hold was lifted between two statements.
    if found.iter().any(|recording| recording.holds == 0) {
        return Err(db::Error::Conflict.into());
    }
    Ok(ShredOutcome {
        shredded,
        held: left,
        is_news: false,
    })
}

/// What a new receipt says: the key is destroyed, and everything else is still to be removed, here
/// and at the source.
fn copies(had_key: bool, tombstoned_at: Timestamp) -> Vec<HeldCopy> {
    let held = [
        HeldCopy::KeyEntry {
            destroyed_at: tombstoned_at,
        },
        HeldCopy::Ciphertext(Removal::Pending),
    ];
    held.into_iter()
        .filter(|_| had_key)
        .chain([HeldCopy::Source(Removal::Pending)])
        .collect()
}
