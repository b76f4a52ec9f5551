//! Polling for transcripts that were not announced: a service with `auto_transcribe` makes one of
//! every recording of the account.

use std::time::Duration;

use super::source::TranscriptSource;
use crate::{
    db::{
        recordings,
        transcripts::{self, TranscriptId},
        work::Lease,
    },
    flow::retry::Setback,
    model::{
        id::RecordingId,
        origin::Origin,
        recording::{Recording, RecordingState},
        sid::RecordingSid,
    },
    twilio::{Account, RestError, rest::List},
};

/// When the last poll is made, after the recording was sealed.
const LATE: Duration = Duration::from_secs(6 * 3600);

impl TranscriptSource {
    /// Inserts every transcript of a recording that the source has and the vault does not know, so
    /// that it is fetched and filed. Returns their number.
    ///
    /// # Errors
    /// [`LookError`]. Transcripts that were inserted before stay.
    pub(in crate::flow) async fn find_transcripts(
        &self,
        recording: &Recording,
    ) -> Result<usize, LookError> {
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .filter(|account| account.fetches_transcripts());
        // Both products transcribe only recordings of calls.
        match (account, recording.source_ref.recording_sid()) {
            (Some(account), Ok(source)) => self.find_made(account, &source).await,
            _ => Ok(0),
        }
    }

    async fn find_made(
        &self,
        account: &Account,
        source: &RecordingSid,
    ) -> Result<usize, LookError> {
        let mut made = Vec::new();
        let is_bad = |status: &str| matches!(status, "failed" | "canceled" | "error");
        // Two products: if one refuses, the transcripts of the other are found nevertheless.
        let by_intelligence =
            none_if_not_there(self.twilio.client.transcripts_of(account, source).await);
        let by_record =
            none_if_not_there(self.twilio.client.transcriptions_of(account, source).await);
        for transcript in by_intelligence
            .iter()
            .flatten()
            .filter(|transcript| !is_bad(&transcript.status))
        {
            made.push(Origin::Intelligence(transcript.sid.clone()));
        }
        for transcription in by_record
            .iter()
            .flatten()
            .filter(|transcription| !is_bad(&transcription.status))
        {
            made.push(Origin::Record(transcription.sid.clone()));
        }
        let refused = by_intelligence.err().or(by_record.err());
        if made.is_empty() {
            return refused.map_or(Ok(0), |error| Err(error.into()));
        }
        let entered = self.db.unit("look.find_made", async |mut unit| {
            unit.without_entry("what is found waits until it is filed");
            let now = self.clock.now();
            let mut new = 0;
            for origin in &made {
                let id = TranscriptId {
                    account: account.sid().clone(),
                    origin: origin.clone(),
                };
                new += usize::from(transcripts::find(&mut unit, &id, source, now).await?);
            }
            Ok::<_, crate::db::Error>(new)
        });
        let entered = entered.await.map_err(super::Error::from)?;
        refused.map_or(Ok(entered), |error| Err(error.into()))
    }

    /// Polls once. The work is finished after the last poll, or if the source refuses.
    pub(in crate::flow) async fn poll(&self, lease: &Lease<RecordingId>) -> Result<(), Setback> {
        let found = async {
            let recording = recordings::find(&mut self.db.read().await?, lease.subject).await?;
            match recording.filter(|recording| recording.state == RecordingState::Sealed) {
                Some(recording) if self.polls(&recording) => {
                    self.find_transcripts(&recording).await?;
                    Ok(true)
                }
                _ => Ok::<_, LookError>(false),
            }
        };
        let age = self.clock.now().since(lease.enqueued_at);
        match found.await {
            Ok(true) if age < LATE => {
                let next = self.clock.now().after(LATE - age);
                return Err(Setback::Until(
                    next,
                    "it is looked for once more".to_owned(),
                ));
            }
            Ok(_) => {}
            // Nothing was promised: the poll ends, and a later `reconcile` looks again.
            Err(LookError::Rest(error)) if error.passes() && age < 4 * LATE => {
                return Err(Setback::of_rest(&error, 4 * LATE));
            }
            Err(LookError::Rest(error)) => {
                tracing::warn!(
                    recording = %lease.subject, why = %error,
                    "transcripts of a recording cannot be looked up"
                );
            }
            Err(LookError::Ours(error)) => return Err(Setback::of_ours(&error)),
        }
        let dropped = self.queue.drop_work(lease).await;
        dropped.map_err(|error| Setback::of_ours(&error))
    }

    fn polls(&self, recording: &Recording) -> bool {
        self.twilio
            .accounts()
            .get(recording.account())
            .is_some_and(Account::fetches_transcripts)
    }
}

/// Why the source could not be polled.
#[derive(Debug, thiserror::Error)]
pub(in crate::flow) enum LookError {
    /// The source failed or refused.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The vault failed.
    #[error(transparent)]
    Ours(#[from] super::Error),
}

impl From<crate::db::Error> for LookError {
    fn from(error: crate::db::Error) -> Self {
        Self::Ours(error.into())
    }
}

/// Converts a 404 to an empty list: the account has no Conversational Intelligence, or the
/// recording is deleted there.
fn none_if_not_there<T>(answer: Result<List<T>, RestError>) -> Result<Vec<T>, RestError> {
    match answer {
        Err(RestError::NotFound) => Ok(Vec::new()),
        answer => Ok(answer?.items),
    }
}
