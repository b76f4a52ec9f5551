//! The unit of work that commits a deposit: the vault inserts the recording's key, and everything
//! that must hold from then on is committed with it.
//!
//! Owns these changes: the fetch is finished, the deletion at the source is scheduled, a recording
//! without evidence of consent is put in quarantine, and revocations since then close it. Refuses
//! to know how media are sealed.

use std::pin::pin;

use bytes::Bytes;
use futures_util::Stream;

use super::Fetching;
use crate::{
    db::{
        self, Unit, recordings,
        work::{self, Lease, WorkKind},
    },
    flow::{erasure::revocation::close::close_arriving, ingest::arriving::quarantine_uncovered},
    model::{artefact::Leg, crash, id::RecordingId, recording::Recording, time::Timestamp},
    vault::{self, DepositError, DepositOptions},
};

/// The work at the source after the media are in the vault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Afterwards {
    /// When the source's copies are to be deleted; `None` if they are kept.
    pub(super) erase_at: Option<Timestamp>,
    /// When to poll for transcripts that the source made without a callback; `None` for never.
    pub(super) look_at: Option<Timestamp>,
}

impl Fetching {
    /// Seals `body` as the media of `recording`, whose fetch is leased by `lease`.
    ///
    /// A recording with a `quarantine_ends` is in quarantine from the moment it is sealed, unless
    /// the database has the consent of every party by then.
    ///
    /// If anything fails, the recording stays announced and nothing of it can be opened.
    ///
    /// # Errors
    /// [`DepositError::Source`] with the stream's own error; [`db::Error::LeaseLost`] inside if the
    /// lease was lost; [`db::Error::Stale`] inside if the recording was sealed or shredded
    /// meanwhile; [`vault::Error::Gone`] if a revocation that came meanwhile leaves nothing of it.
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
        let since_told = self.clock.now().since(lease.enqueued_at);
        let entered = vault.unit("deposit.enter", async |mut unit| {
            unit.took(since_told);
            let recording = vault.enter(&mut unit, recording, &stored, &options).await?;
            work::finish(&mut unit, lease).await?;
            self.follow_deposit(&mut unit, &recording, afterwards)
                .await?;
            crash::point("deposit.before_commit");
            Ok::<_, vault::Error>(())
        });
        let entered = entered.await;
        if let Err(error) = entered {
            // Discarded immediately only if the transaction certainly did not commit; otherwise the
            // orphan sweep checks the database first.
            if matches!(
                error,
                vault::Error::Db(db::Error::Stale(_) | db::Error::LeaseLost) | vault::Error::Gone
            ) {
                vault.delete_orphan(stored.object()).await;
            }
            return Err(error.into());
        }
        crash::point("deposit.after_commit");
        Ok(())
    }

    /// Applies the consequences in the same unit, after the recording's row was locked: a
    /// concurrent naming of its parties waits for this unit, or is visible here.
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
            quarantine_uncovered(unit, vec![(recording, ends)], now).await?;
        }
        match close_arriving(unit, &self.rulebook, recording, now).await? {
            Some(_) => Err(vault::Error::Gone),
            None => Ok(()),
        }
    }
}
