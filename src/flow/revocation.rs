//! Revocation: a recording is let go of for good.

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

impl Flow {
    /// Shreds a recording and silences whoever is hearing it. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover.
    pub async fn shred(&self, permit: &Permit, id: RecordingId, reason: &ShredReason) -> Result<Shredded, Error> {
        let recording = self.shreddable(permit, id).await?;
        let shredded = self.0.vault.shred(permit, &recording, reason).await?;
        self.0.streams.silence(id);
        self.0.bell.notify_one();
        // A fence counts as told only when it is in the store, too: a vault that is rebuilt from there must know of it.
        self.journal_or_warn(false).await;
        self.0.epoch_bell.notify_one();
        if shredded.is_new {
            metrics::counter!("recvault_shreds_total").increment(1);
        }
        Ok(shredded)
    }

    /// The recording that a shred would destroy; for `--dry-run`.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover.
    pub async fn shreddable(&self, permit: &Permit, id: RecordingId) -> Result<Recording, Error> {
        if permit.action() != Action::Shred {
            return Err(Error::NotFound);
        }
        let recording = recordings::find(&mut self.0.ledger.read().await?, id).await?;
        recording.filter(|recording| permit.covers(&recording.account)).ok_or(Error::NotFound)
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
