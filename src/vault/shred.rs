//! Shredding, step one: fence, destroyed key, entry and receipt in one transaction; then the bytes.
//!
//! What step one does not reach: a copy of the ledger from before it, together with the root key of the same epoch, still opens the
//! recording. The receipt says so until the epoch has turned (see `epoch`).

use super::{Error, Vault};
use crate::{
    evidence::{HeldCopy, NewEntry, Receipt, Removal, Shred, ShredReason},
    ledger::{
        audit,
        marks::{self, Marked},
        recordings, shreds,
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
        let done = self.0.unit(|| self.fence(permit, recording, reason)).await?;
        crash::point("shred.after_commit");
        Ok(done)
    }

    async fn fence(&self, permit: &Permit, recording: &Recording, reason: &ShredReason) -> Result<Shredded, Error> {
        let vault = &*self.0;
        let (now, id) = (vault.clock.now(), recording.id);
        let mut tx = vault.ledger.begin().await?;
        if !recordings::mark_shredded(&mut tx, id, now).await? {
            let (fenced_at, receipt) = shreds::find_fence(&mut tx, id).await?.ok_or(Error::Gone)?;
            let jws = shreds::find_receipt(&mut tx, receipt).await?.ok_or(Error::Gone)?;
            return Ok(Shredded { recording: id, receipt, jws, fenced_at, is_new: false });
        }
        let receipt = ReceiptId::random(&mut rand::rng());
        let fingerprint = vault.destroy_key(&mut tx, id, Leg::All).await?;
        work::cancel(&mut tx, Kind::Fetch, id).await?;
        work::enqueue(&mut tx, Kind::Remove, id, now).await?;
        marks::set(&mut tx, Marked::Recording, &id.to_string(), now).await?;
        let seq = audit::append(&mut tx, NewEntry::shred_fenced(now, *permit.actor(), id, receipt, reason)).await?;
        shreds::insert_fence(&mut tx, id, now, receipt, seq, fingerprint.as_deref()).await?;
        let shred = Shred { vault: vault.id, receipt, recording, reason: reason.clone(), fenced_at: now, audit_seq: seq };
        let claims = Receipt::of(shred, copies(fingerprint.is_some(), now, Removal::Pending), now);
        let jws = claims.sign(&vault.signer);
        shreds::insert_receipt(&mut tx, receipt, id, claims.state().as_str(), &jws, fingerprint.is_some(), now).await?;
        crash::point("shred.before_commit");
        tx.commit().await?;
        Ok(Shredded { recording: id, receipt, jws, fenced_at: now, is_new: true })
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
        shreds::replace_receipt(&mut tx, receipt, closed.state().as_str(), &closed.sign(&vault.signer), &jws).await?;
        audit::append(&mut tx, NewEntry::shred_bytes_removed(now, id, receipt)).await?;
        crash::point("remove.before_done");
        Ok(tx.commit().await?)
    }
}

/// What is known of each copy. The source's own is not this vault's to delete yet, and the receipt says that it does not know of it.
fn copies(had_key: bool, fenced_at: Timestamp, ciphertext: Removal) -> Vec<HeldCopy> {
    let held = [HeldCopy::KeyEntry { destroyed_at: fenced_at }, HeldCopy::Ciphertext(ciphertext)];
    held.into_iter().filter(|_| had_key).chain([HeldCopy::Source(Removal::Unknown)]).collect()
}
