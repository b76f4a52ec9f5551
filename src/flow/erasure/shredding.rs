//! Shredding: the key of a recording is destroyed, and its running streams end.
//!
//! Owns the effects of a shred in this process, and when it may be acknowledged. Refuses to decide
//! what is shredded.

pub(in crate::flow) mod linked;
pub(in crate::flow) mod units;

use std::collections::BTreeMap;

use self::units::Undurable;
use crate::{
    db::{
        Db,
        endings::StreamEnding,
        holds, recordings, shreds,
        work::{Lease, finish},
    },
    evidence::ShredReason,
    flow::{error::Error, refusal::waits, streams::Streams, wakeups::Wakeups},
    model::{
        id::{ReceiptId, RecordingId},
        name::HoldName,
        recording::{Recording, RecordingState},
    },
    policy::{Permit, action},
    vault::{Cause, OnHold, Shredded, Vault},
};

/// Recordings looked up by one query.
const LOOKED_UP: usize = 2000;

/// Shreds recordings and ends their streams.
pub struct Shredding {
    vault: Vault,
    db: Db,
    streams: Streams,
    wakeups: Wakeups,
}

impl Shredding {
    pub(in crate::flow) fn new(vault: Vault, db: Db, streams: Streams, wakeups: Wakeups) -> Self {
        Self {
            vault,
            db,
            streams,
            wakeups,
        }
    }

    /// Shreds a recording and ends its streams. Repeating it is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover; [`Error::Held`].
    pub async fn shred(
        &self,
        permit: &Permit<action::Shred>,
        id: RecordingId,
        reason: &ShredReason,
    ) -> Result<Shredded, Error> {
        self.shred_all(permit, &[id], reason)
            .await?
            .pop()
            .ok_or(Error::NotFound)
    }

    /// Shreds any number of recordings, like [`Self::shred`]. Returns them in their order, each
    /// once. An interruption leaves some of them shredded, and another call continues.
    ///
    /// # Errors
    /// [`Error::NotFound`] if one of them does not exist or is not covered by the permit;
    /// [`Error::Held`] if a hold keeps one; then none is shredded, unless the hold was placed
    /// concurrently: then the others are. [`vault::Error::NotDurable`] inside while the store
    /// cannot be written: then they are shredded, but a restore would not know it yet.
    pub async fn shred_all(
        &self,
        permit: &Permit<action::Shred>,
        ids: &[RecordingId],
        reason: &ShredReason,
    ) -> Result<Vec<Shredded>, Error> {
        let recordings = self.all_shreddable(permit, ids).await?;
        let done = self.shred_unheld(permit, &recordings, reason).await?;
        let done = self.tell(done).await?;
        if done.held.is_empty() {
            Ok(done.shredded)
        } else {
            Err(self.held(&done.held).await?)
        }
    }

    /// Shreds recordings without holds; the caller acknowledges them with [`Self::tell`].
    ///
    /// # Errors
    /// [`Error::Held`] if a hold keeps one; then none is shredded.
    pub(in crate::flow) async fn shred_unheld(
        &self,
        permit: &Permit<action::Shred>,
        recordings: &[Recording],
        reason: &ShredReason,
    ) -> Result<Undurable, Error> {
        let kept = recordings
            .iter()
            .filter(|recording| recording.holds > 0 && recording.state != RecordingState::Shredded);
        let kept: Vec<RecordingId> = kept.map(|recording| recording.id).collect();
        if !kept.is_empty() {
            return Err(self.held(&kept).await?);
        }
        let cause = Cause::permitted(permit, reason);
        Ok(self
            .shred_in_units(recordings, cause, OnHold::Keep, &|_| {})
            .await)
    }

    /// Ends the streams of these recordings.
    pub(super) fn silence(&self, recordings: &[Recording]) {
        for recording in recordings {
            self.streams.silence(recording.id);
        }
    }

    /// Ends the streams of these recordings; listeners may ask again and get a new decision.
    pub(super) fn interrupt(&self, recordings: &[RecordingId]) {
        for recording in recordings {
            self.streams.end(StreamEnding::Moved(*recording));
        }
    }

    /// Returns the error that names the holds on these recordings.
    async fn held(&self, ids: &[RecordingId]) -> Result<Error, Error> {
        let mut held: BTreeMap<RecordingId, Vec<HoldName>> =
            ids.iter().map(|id| (*id, Vec::new())).collect();
        let standing = holds::standing(&mut self.db.read().await?, ids).await?;
        for hold in standing {
            held.entry(hold.recording).or_default().push(hold.name);
        }
        Ok(Error::Held(held.into_iter().collect()))
    }

    async fn all_shreddable(
        &self,
        permit: &Permit<action::Shred>,
        ids: &[RecordingId],
    ) -> Result<Vec<Recording>, Error> {
        let mut found = BTreeMap::new();
        let mut tx = self.db.read().await?;
        for ids in ids.chunks(LOOKED_UP) {
            let recordings = recordings::find_all(&mut tx, ids).await?.into_iter();
            found.extend(
                recordings
                    .filter(|recording| permit.covers(recording.account()))
                    .map(|recording| (recording.id, recording)),
            );
        }
        ids.iter()
            .map(|id| found.get(id).cloned().ok_or(Error::NotFound))
            .collect()
    }

    /// Returns the recording that a shred would destroy, for `--dry-run`.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover.
    pub async fn shreddable(
        &self,
        permit: &Permit<action::Shred>,
        id: RecordingId,
    ) -> Result<Recording, Error> {
        self.all_shreddable(permit, &[id])
            .await?
            .pop()
            .ok_or(Error::NotFound)
    }

    /// Returns a receipt in its signed form; anybody who knows its id may read it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`vault::Error::NotDurable`] inside while the store does not have the
    /// shred.
    pub async fn receipt(&self, id: ReceiptId) -> Result<String, Error> {
        let mut tx = self.db.read().await?;
        if shreds::is_receipt_undurable(&mut tx, id).await? {
            return Err(waits());
        }
        shreds::find_receipt(&mut tx, id)
            .await?
            .ok_or(Error::NotFound)
    }

    /// Deletes the ciphertext of a shredded recording.
    pub(in crate::flow) async fn remove(&self, lease: &Lease<RecordingId>) -> Result<(), Error> {
        let vault = &self.vault;
        let deleted = vault.delete_ciphertext(lease.subject).await?;
        vault
            .unit("shred.close", async |mut unit| {
                finish(&mut unit, lease).await?;
                Ok(vault.close_ciphertext(&mut unit, &deleted).await?)
            })
            .await
    }
}
