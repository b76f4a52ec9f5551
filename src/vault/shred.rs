//! Shredding, step one: tombstone, destroyed key, entry and receipt in one unit of work; then the
//! bytes.
//!
//! Owns the one function that destroys keys, and the content of a new receipt. Refuses to know why
//! recordings are shredded and how many there are: the caller passes a [`Cause`], a batch and a
//! unit.
//!
//! Limits of step one: a copy of the database from before it, together with the root key of the
//! same epoch, still opens the recording. The receipt states that until the epoch has turned (see
//! `epoch`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Inner, Vault, error::Error, linked::LinkedRecordings};
use crate::{
    db::{
        self, Tx, Unit, details, holds,
        outbox::OutboxKind,
        packs, recordings,
        revocations::Revocation,
        shreds::{self, NewReceipt, NewTombstone, NextReceipt, ShredBatch},
        signing_keys, waiting,
    },
    evidence::{HeldCopy, NewEntry, Receipt, Removal, ShredFacts, ShredReason, Signer},
    model::{
        actor::Initiator,
        artefact::Leg,
        crash,
        id::{ReceiptId, RecordingId, RevocationId},
        recording::{Recording, RecordingState},
        residue::Residue,
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// A completed shred.
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
    /// Whether this call did it; false if it was done before.
    pub is_new: bool,
}

/// The result of shredding recordings.
#[derive(Clone, Debug, Default)]
pub struct ShredOutcome {
    /// The shredded recordings.
    pub shredded: Vec<Shredded>,
    /// The recordings that a hold protects.
    pub held: Vec<RecordingId>,
    /// Whether any was newly shredded or closed. If not, the unit writes no entry of it.
    pub is_news: bool,
}

/// On whose behalf recordings are shredded, and why. A value of this type authorises a shred:
///
/// ```
/// use recvault::{evidence::ShredReason, policy::{Permit, action}, vault::Cause};
/// let reason: ShredReason = "retention".parse().unwrap();
/// Cause::permitted(&Permit::of_vault(action::Shred), &reason);
/// ```
///
/// A permit for another action does not suffice:
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
    /// A shred by a holder of a permit, with its reason.
    pub fn permitted(permit: &Permit<action::Shred>, reason: &'a ShredReason) -> Self {
        Self {
            actor: permit.initiator(),
            reason,
            revocation: None,
        }
    }

    /// A shred that follows from a revocation, which is told the outcome for each recording. A
    /// stored revocation is sufficient authority, because entering it required a permit.
    pub fn revoked(revocation: &'a Revocation) -> Self {
        Self {
            actor: Initiator::Recorded(revocation.actor),
            reason: &revocation.reason,
            revocation: Some(revocation.id),
        }
    }

    /// Returns whether the outcomes belong to a revocation.
    pub fn is_revocation(&self) -> bool {
        self.revocation.is_some()
    }

    /// Returns the audit entries: of the shredded recordings, then of the closed ones.
    fn entries(
        &self,
        fresh: &[FreshShred<'_>],
        closed: &BTreeSet<RecordingId>,
        now: Timestamp,
    ) -> Vec<NewEntry> {
        let shredding = |fresh: &FreshShred<'_>| {
            let id = fresh.recording.id;
            NewEntry::shred_tombstoned(now, self.actor, id, fresh.receipt, self.reason)
        };
        let closing = |id: &RecordingId| {
            NewEntry::recording_revoked(now, self.actor, *id, self.revocation, self.reason, None)
        };
        let shredding = fresh.iter().map(shredding);
        shredding.chain(closed.iter().map(closing)).collect()
    }
}

/// A recording that is shredded in this unit.
struct FreshShred<'a> {
    recording: &'a Recording,
    receipt: ReceiptId,
    /// The fingerprints of its destroyed keys.
    destroyed: BTreeMap<Leg, String>,
}

/// The rows of one shred.
struct ShredRows {
    tombstone: NewTombstone,
    receipt: NewReceipt,
    shredded: Shredded,
}

/// What happens to recordings that a hold protects. None of them is shredded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnHold {
    /// They stay unchanged.
    Keep,
    /// They are closed, to be shredded when their last hold ends.
    Close,
}

/// The objects of a shredded recording are deleted from the store.
#[derive(Debug)]
#[must_use = "the receipt is to say so"]
pub struct DeletedCiphertext {
    recording: RecordingId,
    receipt: ReceiptId,
}

impl Vault {
    /// Shreds recordings: when the unit has committed, the database contains no key of them, and
    /// nothing of them opens, nor of those that are the same by an exact link. Idempotent: recordings
    /// that were shredded before are returned with their receipts.
    ///
    /// Must be called once in a unit, after everything else that locks rows: it writes the entries,
    /// because receipts carry their numbers. Rows are locked in the same order as by every other
    /// unit: recordings, pages, the rest, and the head of the audit log last.
    ///
    /// # Errors
    /// [`Error::Gone`] for a recording that does not exist; the database's; [`Error::Keyring`] if
    /// the epoch has turned, which [`Self::unit`] handles.
    pub async fn shred(
        &self,
        unit: &mut Unit,
        batch: &[&Recording],
        cause: Cause<'_>,
        on_hold: OnHold,
    ) -> Result<ShredOutcome, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let linked = LinkedRecordings::to(unit, batch).await?;
        let asked = batch;
        let batch = linked.with(asked);
        let (fresh, mut done) = split_marked(unit, &batch, now).await?;
        let closes = on_hold == OnHold::Close;
        let held = linked.to_close(unit, asked, &mut done.held, closes).await?;
        let closed = holds::close(unit, &held, cause.reason, now).await?;
        done.is_news = !fresh.is_empty() || !closed.is_empty();
        if !done.is_news && !cause.is_revocation() {
            return Ok(done);
        }

        let ids: Vec<RecordingId> = fresh.iter().map(|recording| recording.id).collect();
        let mut destroyed = vault.destroy_content(unit, &ids, now).await?;
        let shredded_before: Vec<RecordingId> = done
            .shredded
            .iter()
            .map(|shredded| shredded.recording)
            .collect();
        let follow_up = ShredBatch {
            fresh: &ids,
            earlier: &shredded_before,
            held: &done.held,
            revocation: cause.revocation,
        };
        shreds::follow_up(unit, follow_up, now).await?;
        // A revocation records the outcome for each recording.
        let changed: Vec<RecordingId> = if cause.is_revocation() {
            batch.iter().map(|recording| recording.id).collect()
        } else {
            ids.iter().chain(&closed).copied().collect()
        };
        unit.to_journal(OutboxKind::Recording, &changed, now);

        let fresh: Vec<FreshShred<'_>> = fresh
            .into_iter()
            .map(|recording| FreshShred {
                recording,
                receipt: ReceiptId::random(&mut rand::rng()),
                destroyed: destroyed.remove(&recording.id).unwrap_or_default(),
            })
            .collect();
        let signer = vault.signer(unit).await?;
        let first = unit.audit_now(cause.entries(&fresh, &closed, now)).await?;
        let numbered = fresh.into_iter().zip(first..);
        let rows: Vec<ShredRows> = numbered
            .map(|(fresh, seq)| vault.shred_rows(fresh, cause, seq, &signer, now))
            .collect();
        let mut tombstones = Vec::with_capacity(rows.len());
        let mut receipts = Vec::with_capacity(rows.len());
        for row in rows {
            tombstones.push(row.tombstone);
            receipts.push(row.receipt);
            done.shredded.push(row.shredded);
        }
        if !tombstones.is_empty() {
            shreds::insert_tombstones(unit, &tombstones, now).await?;
            shreds::insert_receipts(unit, &receipts, now).await?;
        }
        crash::point("shred.before_commit");
        Ok(done)
    }

    /// Deletes the ciphertext of a shredded recording. Idempotent, also after any interruption.
    ///
    /// # Errors
    /// [`Error::Gone`] for a recording that is not shredded; the store's or the database's.
    pub async fn delete_ciphertext(&self, id: RecordingId) -> Result<DeletedCiphertext, Error> {
        let vault = &*self.0;
        let (_, receipt) = shreds::find_tombstone(&mut vault.db.read().await?, id)
            .await?
            .ok_or(Error::Gone)?;
        let artefacts = recordings::artefacts(&mut vault.db.read().await?, id).await?;
        for object in artefacts.iter().filter_map(|artefact| artefact.object) {
            vault.store.delete(object).await?;
        }
        crash::point("remove.after_delete");
        Ok(DeletedCiphertext {
            recording: id,
            receipt,
        })
    }

    /// Records in the receipt that the ciphertext is deleted, and removes the rows that name it. If
    /// packs hold some of it, the receipt says so until they are deleted; then this is called again.
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
        if packs::drop_ciphertext(unit, id).await? {
            unit.without_entry("packs hold ciphertext of it, and the receipt waits for them");
            return Ok(());
        }
        let ciphertext = HeldCopy::Ciphertext(Removal::Removed(now));
        self.update_receipt(unit, receipt, ciphertext, &[]).await?;
        unit.to_journal(OutboxKind::Recording, &[id], now);
        unit.audit(NewEntry::shred_bytes_removed(now, id, receipt));
        crash::point("remove.before_done");
        Ok(())
    }

    /// Signs a receipt again after the state of one of its copies changed; the other copies keep
    /// their state. A source copy that was stated as removed stays so. `residue` is what stays at the
    /// source once its copies are removed.
    ///
    /// # Errors
    /// [`Error::Gone`] if there is no such receipt; [`Error::BrokenReceipt`]; the database's.
    pub async fn update_receipt(
        &self,
        unit: &mut Unit,
        receipt: ReceiptId,
        copy: HeldCopy,
        residue: &[Residue],
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let jws = shreds::find_receipt(unit, receipt)
            .await?
            .ok_or(Error::Gone)?;
        let before = Receipt::verify(&jws, &signing_keys::all(unit).await?)
            .map_err(|_| Error::BrokenReceipt(receipt))?;
        if let (HeldCopy::Source(source), Some(said)) = (copy, before.source()) {
            // Already signed, and still true.
            if matches!(said, Removal::Removed(_)) || said == source {
                return Ok(());
            }
        }
        let mut settled = before.settled(copy, now);
        if matches!(copy, HeldCopy::Source(Removal::Removed(_))) {
            settled = settled.leaving(residue.to_vec());
        }
        let signer = vault.signer(unit).await?;
        let next = NextReceipt {
            id: receipt,
            state: settled.state().as_str(),
            jws: settled.sign(&signer),
            before: &jws,
        };
        Ok(shreds::replace_receipts(unit, &[next]).await?)
    }

    /// Ensures that the store has everything that this process has done so far, and that a restore
    /// will read this store: custody still belongs to this database.
    ///
    /// A restore that takes over first takes custody and then lists the store once more. So earlier
    /// writes are included, and later ones are never confirmed to a caller.
    ///
    /// # Errors
    /// [`Error::NotDurable`] while the store cannot be written or custody cannot be read;
    /// [`Error::NotOwner`] once another database has taken over; the database's.
    pub async fn make_durable(&self) -> Result<(), Error> {
        let confirmed = async {
            self.journal().await?;
            self.check_owner().await
        };
        match confirmed.await {
            // The change is committed; whether a restore will find it in this store is unknown.
            Err(
                error @ (Error::Store(_)
                | Error::Custody(_)
                | Error::NoSlot(_)
                | Error::OldSlot { .. }),
            ) => Err(Error::NotDurable(error.to_string())),
            confirmed => confirmed,
        }
    }
}

impl Inner {
    /// Destroys the keys of these recordings and everything in the database that was said in them.
    /// Returns the fingerprints of the keys.
    async fn destroy_content(
        &self,
        unit: &mut Unit,
        ids: &[RecordingId],
        now: Timestamp,
    ) -> Result<BTreeMap<RecordingId, BTreeMap<Leg, String>>, Error> {
        let destroyed = self.destroy_keys(unit, ids).await?;
        details::remove(unit, ids).await?;
        let cleared = waiting::clear_of(unit, ids).await?;
        if !cleared.is_empty() {
            unit.to_journal(OutboxKind::Conversation, &cleared, now);
        }
        Ok(destroyed)
    }

    /// Returns the rows of one shred, whose audit entry has this number.
    fn shred_rows(
        &self,
        fresh: FreshShred<'_>,
        cause: Cause<'_>,
        seq: i64,
        signer: &Signer,
        now: Timestamp,
    ) -> ShredRows {
        let FreshShred {
            recording,
            receipt,
            destroyed,
        } = fresh;
        let had_key = !destroyed.is_empty();
        let facts = ShredFacts {
            vault: self.id,
            receipt,
            recording,
            reason: cause.reason.clone(),
            tombstoned_at: now,
            audit: self.ownership.point(seq),
        };
        let claims = Receipt::of(facts, copies(had_key, now), now);
        let jws = claims.sign(signer);
        ShredRows {
            tombstone: NewTombstone {
                recording: recording.id,
                receipt,
                seq,
                destroyed,
            },
            receipt: NewReceipt {
                id: receipt,
                recording: recording.id,
                state: claims.state().as_str(),
                jws: jws.clone(),
                had_key,
            },
            shredded: Shredded {
                recording: recording.id,
                receipt,
                jws,
                tombstoned_at: now,
                is_new: true,
            },
        }
    }
}

/// Marks recordings as shredded. Returns the newly marked ones, and the outcome of the others.
async fn split_marked<'a>(
    unit: &mut Unit,
    batch: &[&'a Recording],
    now: Timestamp,
) -> Result<(Vec<&'a Recording>, ShredOutcome), Error> {
    let all: Vec<RecordingId> = batch.iter().map(|recording| recording.id).collect();
    let marked = recordings::mark_shredded(unit, &all, now).await?;
    let (fresh, old): (Vec<&Recording>, Vec<&Recording>) = batch
        .iter()
        .copied()
        .partition(|recording| marked.contains(&recording.id));
    Ok((fresh, earlier(unit, &old).await?))
}

/// Returns the outcome of recordings that were not marked: earlier shreds, and recordings that a
/// hold protects.
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
    // There is no such recording, or its tombstone is missing.
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

/// Returns the copies that a new receipt states: the key is destroyed, and everything else must
/// still be removed, here and at the source.
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
