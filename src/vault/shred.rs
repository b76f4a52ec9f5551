//! Shredding, step one: fence, destroyed key, entry and receipt in one transaction; then the bytes.
//!
//! What step one does not reach: a copy of the ledger from before it, together with the root key of the same epoch, still opens the
//! recording. The receipt says so until the epoch has turned (see `epoch`).

use std::collections::BTreeMap;

use super::{Error, Vault};
use crate::{
    evidence::{HeldCopy, NewEntry, Receipt, Removal, Shred, ShredReason},
    ledger::{
        Tx, audit, keys,
        marks::{self, Marked},
        recordings,
        shreds::{self, NewFence, NewReceipt, NextReceipt},
        work::{self, Kind, Lease},
    },
    model::{
        artefact::Leg,
        crash,
        id::{ReceiptId, RecordingId},
        recording::Recording,
        time::Timestamp,
    },
    policy::Permit,
};

/// Recordings shredded in one unit: so many that what a commit costs does not count, so few that others who write wait for some ten
/// milliseconds.
const UNIT: usize = 200;
/// Recordings whose keys are looked up by one query.
const LOOKED_UP: usize = 2000;

/// A shred that stands.
#[derive(Clone, Debug)]
pub struct Shredded {
    /// The recording.
    pub recording: RecordingId,
    /// Its receipt.
    pub receipt: ReceiptId,
    /// The receipt in its signed form.
    pub jws: String,
    /// When it was fenced.
    pub fenced_at: Timestamp,
    /// Whether this call did it; false when it was done before.
    pub is_new: bool,
}

impl Vault {
    /// Shreds a recording. When this returns, no key of it exists in the ledger and nothing of it opens. Shredding twice is shredding once.
    ///
    /// # Errors
    /// The ledger's; then nothing was done.
    pub async fn shred(&self, permit: &Permit, recording: &Recording, reason: &ShredReason) -> Result<Shredded, Error> {
        self.shred_all(permit, std::slice::from_ref(recording), reason).await?.pop().ok_or(Error::Gone)
    }

    /// Shreds recordings, some hundreds in each unit of work. Each has then what [`Self::shred`] gives it; those that were shredded before come
    /// back with their receipts. They come back in their order, each once.
    ///
    /// # Errors
    /// The ledger's. What was committed by then stays shredded; to call this again is to go on.
    pub async fn shred_all(&self, permit: &Permit, recordings: &[Recording], reason: &ShredReason) -> Result<Vec<Shredded>, Error> {
        let mut done = BTreeMap::new();
        for unit in self.by_leaf(recordings).await?.chunks(UNIT) {
            let shredded = self.0.unit(|| self.fence(permit, unit, reason)).await?;
            crash::point("shred.after_commit");
            done.extend(shredded.into_iter().map(|shredded| (shredded.recording, shredded)));
        }
        Ok(recordings.iter().filter_map(|recording| done.remove(&recording.id)).collect())
    }

    /// The recordings, each once. If they take more than one unit, those with their keys on one leaf page stand together, so that it is written
    /// once for all of them.
    async fn by_leaf<'a>(&self, recordings: &'a [Recording]) -> Result<Vec<&'a Recording>, Error> {
        let mut leaves = BTreeMap::new();
        if recordings.len() > UNIT {
            let mut tx = self.0.ledger.read().await?;
            for some in recordings.chunks(LOOKED_UP) {
                let ids: Vec<RecordingId> = some.iter().map(|recording| recording.id).collect();
                leaves.extend(keys::find_entries(&mut tx, &ids, Leg::All).await?.into_iter().map(|(id, entry)| (id, entry.place.page)));
            }
        }
        let ordered: BTreeMap<_, _> = recordings.iter().map(|recording| ((leaves.get(&recording.id), recording.id), recording)).collect();
        Ok(ordered.into_values().collect())
    }

    /// One unit. Rows are locked in the same order as by every other: recordings, pages, the rest, and the head of the audit log last.
    async fn fence(&self, permit: &Permit, unit: &[&Recording], reason: &ShredReason) -> Result<Vec<Shredded>, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let all: Vec<RecordingId> = unit.iter().map(|recording| recording.id).collect();
        let mut tx = vault.ledger.begin().await?;
        let fresh = recordings::mark_shredded(&mut tx, &all, now).await?;
        let (fresh, old): (Vec<&Recording>, Vec<&Recording>) = unit.iter().copied().partition(|recording| fresh.contains(&recording.id));
        let mut done = earlier(&mut tx, &old).await?;
        if fresh.is_empty() {
            return Ok(done);
        }
        let ids: Vec<RecordingId> = fresh.iter().map(|recording| recording.id).collect();
        let mut destroyed = vault.destroy_keys(&mut tx, &ids, Leg::All).await?;
        work::cancel(&mut tx, Kind::Fetch, &ids).await?;
        work::enqueue(&mut tx, Kind::Remove, &ids, now).await?;
        marks::set(&mut tx, Marked::Recording, &ids, now).await?;

        let named: Vec<ReceiptId> = ids.iter().map(|_| ReceiptId::random(&mut rand::rng())).collect();
        let entry = |(id, receipt): (&RecordingId, &ReceiptId)| NewEntry::shred_fenced(now, *permit.actor(), *id, *receipt, reason);
        let entries: Vec<NewEntry> = ids.iter().zip(&named).map(entry).collect();
        let first = audit::append_all(&mut tx, &entries).await?;
        let (mut fences, mut receipts) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for ((recording, receipt), seq) in fresh.into_iter().zip(named).zip(first..) {
            let (id, fingerprint) = (recording.id, destroyed.remove(&recording.id));
            let had_key = fingerprint.is_some();
            fences.push(NewFence { recording: id, receipt, seq, fingerprint });
            let shred = Shred { vault: vault.id, receipt, recording, reason: reason.clone(), fenced_at: now, audit_seq: seq };
            let claims = Receipt::of(shred, copies(had_key, now, Removal::Pending), now);
            let jws = claims.sign(&vault.signer);
            receipts.push(NewReceipt { id: receipt, recording: id, state: claims.state().as_str(), jws: jws.clone(), had_key });
            done.push(Shredded { recording: id, receipt, jws, fenced_at: now, is_new: true });
        }
        shreds::insert_fences(&mut tx, &fences, now).await?;
        shreds::insert_receipts(&mut tx, &receipts, now).await?;
        crash::point("shred.before_commit");
        tx.commit().await?;
        Ok(done)
    }

    /// Removes the ciphertext of a shredded recording and closes its receipt. May be run again after any interruption.
    ///
    /// # Errors
    /// The store's or the ledger's; the work stays due.
    pub async fn remove(&self, lease: &Lease) -> Result<(), Error> {
        let vault = &*self.0;
        let id = lease.recording;
        let (_, receipt) = shreds::find_fence(&mut vault.ledger.read().await?, id).await?.ok_or(Error::Gone)?;
        let artefacts = recordings::artefacts(&mut vault.ledger.read().await?, id).await?;
        for artefact in &artefacts {
            vault.store.delete(artefact.object).await?;
        }
        crash::point("remove.after_delete");
        vault.unit(|| self.close(lease, receipt)).await
    }

    async fn close(&self, lease: &Lease, receipt: ReceiptId) -> Result<(), Error> {
        let vault = &*self.0;
        let (id, now) = (lease.recording, vault.clock.now());
        let mut tx = vault.ledger.begin().await?;
        work::finish(&mut tx, lease).await?;
        recordings::remove_artefacts(&mut tx, id).await?;
        let jws = shreds::find_receipt(&mut tx, receipt).await?.ok_or(Error::Gone)?;
        let fenced = Receipt::verify(&jws, &self.keys()).map_err(|_| Error::Gone)?;
        let (had_key, fenced_at) = (fenced.copies().iter().any(|copy| matches!(copy, HeldCopy::KeyEntry { .. })), fenced.fenced_at());
        let closed = fenced.reissued(copies(had_key, fenced_at, Removal::Removed(now)), now);
        let next = NextReceipt { id: receipt, state: closed.state().as_str(), jws: closed.sign(&vault.signer), before: &jws };
        shreds::replace_receipts(&mut tx, &[next]).await?;
        marks::set(&mut tx, Marked::Recording, &[id], now).await?;
        audit::append(&mut tx, NewEntry::shred_bytes_removed(now, id, receipt)).await?;
        crash::point("remove.before_done");
        Ok(tx.commit().await?)
    }
}

/// The shreds that stand for recordings that are shredded already.
async fn earlier(tx: &mut Tx, recordings: &[&Recording]) -> Result<Vec<Shredded>, Error> {
    if recordings.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
    let found = shreds::find_fences(tx, &ids).await?;
    // There is no such recording, or it lost its fence.
    if found.len() != ids.len() {
        return Err(Error::Gone);
    }
    let shredded = |(recording, fenced_at, receipt, jws)| Shredded { recording, receipt, jws, fenced_at, is_new: false };
    Ok(found.into_iter().map(shredded).collect())
}

/// What is known of each copy. The source's own is not this vault's to delete yet, and the receipt says that it does not know of it.
fn copies(had_key: bool, fenced_at: Timestamp, ciphertext: Removal) -> Vec<HeldCopy> {
    let held = [HeldCopy::KeyEntry { destroyed_at: fenced_at }, HeldCopy::Ciphertext(ciphertext)];
    held.into_iter().filter(|_| had_key).chain([HeldCopy::Source(Removal::Unknown)]).collect()
}
