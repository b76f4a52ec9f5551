//! Revocation: a recording is let go of for good.

mod begin;
mod late;
mod show;
mod work;

use std::collections::BTreeMap;

pub use self::{
    begin::Would,
    show::{Outcomes, RevocationStatus},
    work::Continued,
};
use super::{Error, Flow};
use crate::{
    evidence::ShredReason,
    ledger::{holds, recordings, shreds, work::Lease},
    model::{
        id::{ReceiptId, RecordingId},
        name::HoldName,
        recording::{Recording, State},
    },
    policy::{Action, Permit},
    vault::{self, LetGo, Shredded},
};

/// Recordings looked up by one query.
const LOOKED_UP: usize = 2000;

impl Flow {
    /// Shreds a recording and silences whoever is hearing it. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover; [`Error::Held`].
    pub async fn shred(&self, permit: &Permit, id: RecordingId, reason: &ShredReason) -> Result<Shredded, Error> {
        self.shred_all(permit, &[id], reason).await?.pop().ok_or(Error::NotFound)
    }

    /// Shreds recordings, as [`Self::shred`] each of them, however many; they come back in their order, each once. An interruption leaves some
    /// of them shredded, and to repeat it is to go on.
    ///
    /// # Errors
    /// [`Error::NotFound`] if one of them is not there or not covered by the permit, [`Error::Held`] if a hold keeps one; then none is shredded. Only where a
    /// hold is placed at this very moment, the others are.
    pub async fn shred_all(&self, permit: &Permit, ids: &[RecordingId], reason: &ShredReason) -> Result<Vec<Shredded>, Error> {
        let recordings = self.all_shreddable(permit, ids).await?;
        let kept = recordings.iter().filter(|recording| recording.holds > 0 && recording.state != State::Shredded);
        let kept: Vec<RecordingId> = kept.map(|recording| recording.id).collect();
        if !kept.is_empty() {
            return Err(self.held(&kept).await?);
        }
        let done = self.0.vault.shred_all(permit, &recordings, reason).await;
        let done = self.after_letting_go(&recordings, done).await?;
        if done.held.is_empty() { Ok(done.shredded) } else { Err(self.held(&done.held).await?) }
    }

    /// Shreds recordings, and closes those that a hold keeps: they are shredded when their last hold ends. For who lets go of them because it is due.
    ///
    /// # Errors
    /// The ledger's; to call this again is to go on.
    pub async fn shred_or_close(&self, permit: &Permit, recordings: &[Recording], reason: &ShredReason) -> Result<LetGo, Error> {
        let done = self.0.vault.shred_or_close(permit, recordings, reason).await;
        self.after_letting_go(recordings, done).await
    }

    async fn after_letting_go(&self, recordings: &[Recording], done: Result<LetGo, vault::Error>) -> Result<LetGo, Error> {
        // All of them, also where it failed: which are fenced by now is not known, and who hears one that is not may come again.
        for recording in recordings {
            self.0.streams.silence(recording.id);
        }
        self.0.bell.notify_one();
        // A fence counts as told only when it is in the store, too: a vault that is rebuilt from there must know of it.
        self.journal_or_warn(false).await;
        self.0.epoch_bell.notify_one();
        Ok(done?)
    }

    /// The error that names the holds which keep these recordings.
    async fn held(&self, ids: &[RecordingId]) -> Result<Error, Error> {
        let mut held: BTreeMap<RecordingId, Vec<HoldName>> = ids.iter().map(|id| (*id, Vec::new())).collect();
        let standing = holds::standing(&mut self.0.ledger.read().await?, ids).await?;
        for hold in standing {
            held.entry(hold.recording).or_default().push(hold.name);
        }
        Ok(Error::Held(held.into_iter().collect()))
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
        Ok(self.0.vault.remove(lease).await?)
    }
}
