//! Ingest: a callback is accepted, its media fetched, sealed and stored.

mod deposit;
pub(super) mod keep;
pub(super) mod parties;
mod source;

use futures_util::StreamExt as _;

use self::{deposit::Afterwards, keep::Broken, parties::Known};
use super::{Error, Flow};
use crate::{
    ledger::{accept::Announcement, recordings, work::Lease},
    model::{
        crash,
        id::RecordingId,
        media::SourceRef,
        recording::{Heard, Recording, State},
    },
    policy,
    twilio::{CallbackParties, DeleteSource, FetchError, RecordingCallback, RestError},
    vault::{self, DepositError, DepositOptions},
};

/// How a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The recording is sealed.
    Sealed,
    /// There is nothing to fetch any more.
    Nothing,
    /// The recording is not to be kept, and was shredded; its work went with that.
    LetGo,
}

/// How a fetch ended, when it did not end well.
#[derive(Debug)]
pub(super) enum FetchFailure {
    /// The source could not or would not.
    Source(FetchError),
    /// The source could not say now who took part.
    Parties(RestError),
    /// The account is not configured (any more).
    UnknownAccount,
    /// We could not.
    Ours(Error),
}

impl Flow {
    /// Makes a verified callback durable. When this returns, the recording is announced and its
    /// fetch is enqueued, or it was before. Whom it tells of is named before that, so that the
    /// fetch knows them; if they cannot be named now, they are looked up later.
    ///
    /// # Errors
    /// [`crate::ledger::Error::Unavailable`] inside: it is not durable, and the source should send
    /// it again.
    pub async fn accept(
        &self,
        callback: RecordingCallback,
        parties: Option<CallbackParties>,
    ) -> Result<(), Error> {
        self.name_told(parties).await;
        self.announce(callback, Heard::Callback).await?;
        Ok(())
    }

    /// Makes what is known of a recording durable, however it was heard of. Telling the same again
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub(super) async fn announce(
        &self,
        callback: RecordingCallback,
        heard_by: Heard,
    ) -> Result<(), Error> {
        let rules = self.0.rulebook.current();
        let tier = rules.classify(&policy::Announcement {
            account: &callback.account,
            source: callback.source.as_deref(),
            conference: callback.conference.is_some(),
            parameters: &callback.query,
        });
        let labels = rules.labels(&callback.query);
        for (label, why) in rules.labels_left_out(&callback.query) {
            metrics::counter!("recvault_labels_left_out_total").increment(1);
            tracing::warn!(recording_sid = %callback.recording_sid, %label, %why, "the value of a label is left out");
        }
        let is_complete = callback.status == "completed";
        let source_ref = SourceRef::of_call(&callback.account, &callback.recording_sid);
        let announcement = Announcement {
            id: source_ref.recording_id(self.0.vault.id()),
            source_ref,
            tier: tier.clone(),
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            call: callback.call,
            conference: callback.conference,
            source: callback.source,
            source_status: callback.status,
            error_code: callback.error_code,
            duration_s: callback.duration_s,
            channels: callback.channels,
            started_at: callback
                .started_at
                .map(crate::model::time::Timestamp::as_millis),
            labels,
            heard_by,
            encryption: callback.encryption,
        };
        self.0.acceptor.accept(announcement).await?;
        if is_complete {
            self.0.bell.notify_one();
        }
        Ok(())
    }

    /// Fetches and seals what a lease is for.
    pub(super) async fn fetch(&self, lease: &Lease<RecordingId>) -> Result<Fetched, FetchFailure> {
        crash::point("fetch.leased");
        let Some(Known {
            mut recording,
            parties,
        }) = self.known(lease).await?
        else {
            return Ok(Fetched::Nothing);
        };
        if self
            .is_revoked(&recording)
            .await
            .map_err(FetchFailure::Ours)?
        {
            return Ok(Fetched::LetGo);
        }
        if let Some(why) = self.lets_go_unheard(&recording) {
            self.let_go(recording.id, why)
                .await
                .map_err(FetchFailure::Ours)?;
            return Ok(Fetched::LetGo);
        }
        recording.quarantine_ends =
            policy::quarantine(&recording, &self.0.rulebook).map(|period| self.now().after(period));
        let accounts = self.accounts();
        let account = accounts
            .get(&recording.account)
            .ok_or(FetchFailure::UnknownAccount)?;
        let sound = self
            .sound(&accounts, account, &recording)
            .await
            .map_err(FetchFailure::Source)?;
        let promised = sound.promised();
        let body = sound.inspect(|chunk| {
            if let Ok(chunk) = chunk {
                metrics::counter!("recvault_fetched_bytes_total").increment(chunk.len() as u64);
            }
        });
        let body = self.measured(&recording, body);
        let erase_at = (account.delete_source() == DeleteSource::AfterSealing)
            .then(|| self.now().after(account.await_transcript()));
        let options = DepositOptions {
            parties: &parties,
            promised: Some(&promised),
        };
        let afterwards = Afterwards {
            erase_at,
            look_at: self.look_at(account),
        };
        let deposited = self
            .deposit(lease, &recording, CONTENT_TYPE, options, afterwards, body)
            .await;
        match deposited {
            Ok(_) => {}
            Err(DepositError::Source(Broken::Off(error))) => {
                return Err(FetchFailure::Source(error));
            }
            Err(DepositError::Source(Broken::NotKept(why))) => {
                self.let_go(recording.id, why)
                    .await
                    .map_err(FetchFailure::Ours)?;
                return Ok(Fetched::LetGo);
            }
            // Revoked while it was fetched: what was stored is gone again.
            Err(DepositError::Vault(vault::Error::Gone))
                if self
                    .is_revoked(&recording)
                    .await
                    .map_err(FetchFailure::Ours)? =>
            {
                return Ok(Fetched::LetGo);
            }
            Err(DepositError::Vault(error)) => return Err(FetchFailure::Ours(error.into())),
        };
        self.0.journal_bell.notify_one();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a lag in seconds needs no more than 52 bits"
        )]
        metrics::histogram!("recvault_ingest_lag_seconds")
            .record(self.now().since(lease.enqueued_at).as_millis() as f64 / 1000.0);
        Ok(Fetched::Sealed)
    }

    /// The recording, if it waits to be fetched; in the tier to which it belongs by now, should its
    /// parties be known already.
    async fn announced(&self, id: RecordingId) -> Result<Option<Recording>, Error> {
        let find =
            async || Ok::<_, Error>(recordings::find(&mut self.0.ledger.read().await?, id).await?);
        let Some(recording) = find()
            .await?
            .filter(|recording| recording.state == State::Announced)
        else {
            return Ok(None);
        };
        if self.reclassify_by_parties(&recording).await? {
            find().await
        } else {
            Ok(Some(recording))
        }
    }
}

/// RIFF WAVE (RFC 2361); the fetch checked that it is one.
const CONTENT_TYPE: &str = "audio/wav";
