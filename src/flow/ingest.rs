//! Ingest: a callback is accepted, its media fetched, sealed and stored.

use futures_util::StreamExt as _;

use super::{Error, Flow};
use crate::{
    ledger::{accept::Announcement, recordings, work::Lease},
    model::{crash, id::RecordingId, recording::State},
    policy,
    twilio::{FetchError, RecordingCallback},
    vault::{self, DepositError, Deposited},
};

/// How a fetch ended, when it did not end well.
#[derive(Debug)]
pub(super) enum FetchFailure {
    /// The source could not or would not.
    Source(FetchError),
    /// The account is not configured (any more).
    UnknownAccount,
    /// We could not.
    Ours(Error),
}

impl Flow {
    /// Makes a verified callback durable. When this returns, the recording is announced and its fetch is enqueued, or it was before.
    ///
    /// # Errors
    /// [`crate::ledger::Error::Unavailable`] inside: it is not durable, and the source should send it again.
    pub async fn accept(&self, callback: RecordingCallback) -> Result<(), Error> {
        let rules = self.0.rulebook.current();
        let tier = rules.classify(&policy::Announcement {
            account: &callback.account,
            source: callback.source.as_deref(),
            conference: callback.conference.is_some(),
            parameters: &callback.query,
        });
        let labels = rules.labels(&callback.query);
        let is_complete = callback.status == "completed";
        let announcement = Announcement {
            id: RecordingId::of_source(self.0.vault.id(), callback.account.as_str(), callback.recording_sid.as_str()),
            tier: tier.clone(),
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            account: callback.account,
            source_sid: callback.recording_sid,
            call: callback.call,
            conference: callback.conference,
            source: callback.source,
            source_status: callback.status,
            error_code: callback.error_code,
            duration_s: callback.duration_s,
            channels: callback.channels,
            started_at: callback.started_at.map(crate::model::time::Timestamp::as_millis),
            labels,
        };
        self.0.acceptor.accept(announcement).await?;
        metrics::counter!("recvault_callbacks_accepted_total").increment(1);
        if is_complete {
            self.0.bell.notify_one();
        }
        Ok(())
    }

    /// Fetches and seals what a lease is for. `None` if there is nothing to fetch any more.
    pub(super) async fn fetch(&self, lease: &Lease) -> Result<Option<Deposited>, FetchFailure> {
        crash::point("fetch.leased");
        let ours = |error: crate::ledger::Error| FetchFailure::Ours(error.into());
        let mut tx = self.0.ledger.read().await.map_err(ours)?;
        let recording = recordings::find(&mut tx, lease.recording).await.map_err(ours)?;
        drop(tx);
        let Some(mut recording) = recording.filter(|recording| recording.state == State::Announced) else { return Ok(None) };
        if self.is_revoked(&recording).await.map_err(FetchFailure::Ours)? {
            return Ok(None);
        }
        recording.quarantine_ends = policy::quarantine(&recording, &self.0.rulebook).map(|period| self.now().after(period));
        let account = self.0.accounts.get(&recording.account).ok_or(FetchFailure::UnknownAccount)?;
        let media = self.0.client.media(account, &recording.source_sid, recording.channels).await.map_err(FetchFailure::Source)?;
        let body = media.body.inspect(|chunk| {
            if let Ok(chunk) = chunk {
                metrics::counter!("recvault_fetched_bytes_total").increment(chunk.len() as u64);
            }
        });
        let deposited = match self.0.vault.deposit(lease, &recording, CONTENT_TYPE, body).await {
            Ok(deposited) => deposited,
            Err(DepositError::Source(error)) => return Err(FetchFailure::Source(error)),
            // Revoked while it was fetched: what was stored is gone again.
            Err(DepositError::Vault(vault::Error::Gone)) if self.is_revoked(&recording).await.map_err(FetchFailure::Ours)? => {
                return Ok(None);
            }
            Err(DepositError::Vault(error)) => return Err(FetchFailure::Ours(error.into())),
        };
        self.0.journal_bell.notify_one();
        metrics::counter!("recvault_sealed_bytes_total").increment(deposited.plain_len);
        metrics::counter!("recvault_recordings_sealed_total").increment(1);
        #[expect(clippy::cast_precision_loss, reason = "a lag in seconds needs no more than 52 bits")]
        metrics::histogram!("recvault_ingest_lag_seconds").record(self.now().since(lease.enqueued_at).as_millis() as f64 / 1000.0);
        Ok(Some(deposited))
    }
}

/// RIFF WAVE (RFC 2361); the fetch checked that it is one.
const CONTENT_TYPE: &str = "audio/wav";
