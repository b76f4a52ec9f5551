//! The unit of work in which a recording comes to exist: the vault enters its key, and whatever else
//! holds from that moment on becomes true with it.
//!
//! Owns what that is: the fetching is done, what the source keeps is looked after, a recording
//! without evidence of consent is in quarantine, and revocations that came meanwhile close it.
//! Refuses to know how sound is sealed.

use std::pin::pin;

use bytes::Bytes;
use futures_util::Stream;

use super::Fetching;
use crate::{
    db::{
        self, Unit, consents, quarantine, recordings,
        work::{self, Lease, WorkKind},
    },
    evidence::NewEntry,
    flow::erasure::{quarantine::end_of, revocation::close::close_arriving},
    model::{
        actor::Initiator, artefact::Leg, crash, id::RecordingId, recording::Recording,
        time::Timestamp,
    },
    policy::covers_recording,
    vault::{self, DepositError, DepositOptions},
};

/// What is to be done at the source once the sound is in the vault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Afterwards {
    /// When the source's copies are due to be deleted, if they are not kept.
    pub(super) erase_at: Option<Timestamp>,
    /// When to look for transcripts that the source made of it without being asked, if at all.
    pub(super) look_at: Option<Timestamp>,
}

impl Fetching {
    /// Seals `body` as the audio of `recording`, whose fetching is held by `lease`.
    ///
    /// A recording that comes with an end of its quarantine is in quarantine from the moment in
    /// which it is sealed, unless the database knows by then that every party consented to being
    /// recorded.
    ///
    /// If anything fails, the recording stays announced and nothing of it can be opened.
    ///
    /// # Errors
    /// [`DepositError::Source`] with the stream's own error; [`db::Error::Stale`] inside when
    /// the lease was lost or the recording was shredded meanwhile; [`vault::Error::Gone`] when a
    /// revocation that came meanwhile leaves nothing of it.
    pub(super) async fn deposit<E: Send>(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
        content_type: &str,
        options: DepositOptions<'_>,
        afterwards: Afterwards,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<(), DepositError<E>> {
        let vault = &self.vault;
        let stored = vault
            .store_media(recording, Leg::All, content_type, pin!(body))
            .await?;
        let entered = vault.unit("deposit.enter", async |mut unit| {
            let recording = vault.enter(&mut unit, recording, &stored, &options).await?;
            work::finish(&mut unit, lease).await?;
            self.follow_deposit(&mut unit, &recording, afterwards)
                .await?;
            crash::point("deposit.before_commit");
            Ok::<_, vault::Error>(())
        });
        let entered = entered.await;
        if let Err(error) = entered {
            // Removed at once only when the transaction certainly did not commit; otherwise the
            // orphan sweep asks the database first.
            if matches!(
                error,
                vault::Error::Db(db::Error::Stale(_)) | vault::Error::Gone
            ) {
                vault.delete_orphan(stored.object()).await;
            }
            return Err(error.into());
        }
        crash::point("deposit.after_commit");
        Ok(())
    }

    /// What follows from it in the same unit, after the recording's row was locked: what is told of
    /// its parties meanwhile waits for it, or is seen here.
    async fn follow_deposit(
        &self,
        unit: &mut Unit,
        recording: &Recording,
        afterwards: Afterwards,
    ) -> Result<(), vault::Error> {
        let now = self.clock.now();
        if let Some(at) = afterwards.erase_at {
            work::enqueue(unit, WorkKind::DeleteAtSource, &[recording.id], at).await?;
        }
        if let Some(at) = afterwards.look_at {
            let ids = [recording.id];
            work::enqueue_at(unit, WorkKind::PollTranscripts, &ids, at, now).await?;
        }
        if let Some(ends) = recording.quarantine_ends {
            let recording = recordings::find(unit, recording.id)
                .await?
                .ok_or(vault::Error::Gone)?;
            let consents = consents::gather(unit, std::slice::from_ref(&recording))
                .await?
                .remove(&recording.id)
                .unwrap_or_default();
            if !covers_recording(&consents, &recording, now) {
                let vouched = consents::gather_vouched(unit, std::slice::from_ref(&recording))
                    .await?
                    .remove(&recording.id);
                let ends = end_of(vouched.as_ref(), &recording, ends, now);
                quarantine::begin(unit, recording.id, ends).await?;
                let by = Initiator::Vault;
                unit.audit(NewEntry::recording_quarantined(now, by, recording.id, ends));
            }
        }
        close_arriving(unit, recording, now).await
    }
}
