//! Revocation: a recording is let go of for good.

use std::collections::BTreeMap;

use super::{Error, Flow};
use crate::{
    evidence::ShredReason,
    ledger::{recordings, shreds, work::Lease},
    model::{
        id::{ReceiptId, RecordingId},
        recording::Recording,
    },
    policy::{Action, Permit},
    vault::Shredded,
};

/// Recordings looked up by one query.
const LOOKED_UP: usize = 2000;

impl Flow {
    /// Shreds a recording and silences whoever is hearing it. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover.
    pub async fn shred(&self, permit: &Permit, id: RecordingId, reason: &ShredReason) -> Result<Shredded, Error> {
        self.shred_all(permit, &[id], reason).await?.pop().ok_or(Error::NotFound)
    }

    /// Shreds recordings, as [`Self::shred`] each of them, however many; they come back in their order, each once. An interruption leaves some
    /// of them shredded, and to repeat it is to go on.
    ///
    /// # Errors
    /// [`Error::NotFound`] if one of them is not there or not covered by the permit; then none is shredded.
    pub async fn shred_all(&self, permit: &Permit, ids: &[RecordingId], reason: &ShredReason) -> Result<Vec<Shredded>, Error> {
        let recordings = self.all_shreddable(permit, ids).await?;
        let shredded = self.0.vault.shred_all(permit, &recordings, reason).await;
        // All of them, also where it failed: which are fenced by now is not known, and who hears one that is not may come again.
        for recording in &recordings {
            self.0.streams.silence(recording.id);
        }
        self.0.bell.notify_one();
        // A fence counts as told only when it is in the store, too: a vault that is rebuilt from there must know of it.
        self.journal_or_warn(false).await;
        self.0.epoch_bell.notify_one();
        let shredded = shredded?;
        let fresh = shredded.iter().filter(|shredded| shredded.is_new).count();
        metrics::counter!("recvault_shreds_total").increment(fresh as u64);
        Ok(shredded)
    }

    async fn all_shreddable(&self, permit: &Permit, ids: &[RecordingId]) -> Result<Vec<Recording>, Error> {
        if permit.action() != Action::Shred {
            return Err(Error::NotFound);
        }
        let mut found = BTreeMap::new();
        let mut tx = self.0.ledger.read().await?;
        for ids in ids.chunks(LOOKED_UP) {
            let recordings = recordings::find_all(&mut tx, ids).await?.into_iter();
            found.extend(recordings.filter(|recording| permit.covers(&recording.account)).map(|recording| (recording.id, recording)));
        }
        ids.iter().map(|id| found.get(id).cloned().ok_or(Error::NotFound)).collect()
    }

    /// The recording that a shred would destroy; for `--dry-run`.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover.
    pub async fn shreddable(&self, permit: &Permit, id: RecordingId) -> Result<Recording, Error> {
        self.all_shreddable(permit, &[id]).await?.pop().ok_or(Error::NotFound)
    }

    /// A receipt in its signed form; anybody who knows its id may have it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn receipt(&self, id: ReceiptId) -> Result<String, Error> {
        shreds::find_receipt(&mut self.0.ledger.read().await?, id).await?.ok_or(Error::NotFound)
    }

    /// Removes the bytes of a shredded recording.
    pub(super) async fn remove(&self, lease: &Lease) -> Result<(), Error> {
        self.0.vault.remove(lease).await?;
        metrics::counter!("recvault_removals_total").increment(1);
        Ok(())
    }
}
