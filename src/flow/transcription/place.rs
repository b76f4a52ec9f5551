//! Assignment of a transcript to its recording, in whatever order the two arrive.

use super::{Stop, source::TranscriptSource, wait};
use crate::{
    db::{
        recordings,
        transcripts::{self, LeasedTranscript},
    },
    model::{
        id::RecordingId,
        media::SourceRef,
        recording::{DiscoveredBy, Recording, RecordingState},
        sid::{CallSid, RecordingSid},
    },
    twilio::{Account, Accounts, RestError},
};

impl TranscriptSource {
    /// Returns the sealed recording with this id at the source. An unknown recording is queried
    /// there and announced; recordings of other accounts are never found.
    pub(super) async fn place(
        &self,
        lease: &mut LeasedTranscript,
        accounts: &Accounts,
        account: &Account,
        source: &RecordingSid,
    ) -> Result<Recording, Stop> {
        lease.source = Some(source.clone());
        let id = self.recording_of(lease, source);
        let Some(recording) = recordings::find(&mut self.db.read().await?, id).await? else {
            return Err(
                match self.twilio.client.recording(account, source, false).await {
                    // Its callback may be lost, or arrive later.
                    Ok(resource) if resource.status != "deleted" => {
                        self.ingest
                            .announce(
                                resource.to_callback(account.sid()),
                                DiscoveredBy::Transcript,
                            )
                            .await?;
                        wait(accounts, "its recording was unknown, and is announced now")
                    }
                    Ok(_) | Err(RestError::NotFound) => {
                        wait(accounts, "its recording does not exist, here or at twilio")
                    }
                    Err(error) => error.into(),
                },
            );
        };
        standing(recording, accounts)
    }

    /// Returns every recording of a call, in no order. If the vault knows none, they are queried at
    /// the source and announced.
    pub(super) async fn of_call(
        &self,
        accounts: &Accounts,
        account: &Account,
        call: &CallSid,
    ) -> Result<Vec<Recording>, Stop> {
        let known =
            transcripts::recordings_of(&mut self.db.read().await?, account.sid(), call).await?;
        if !known.is_empty() {
            return Ok(known);
        }
        let found = match self.twilio.client.recordings_of_call(account, call).await {
            Ok(found) => found,
            Err(RestError::NotFound) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let found: Vec<_> = found
            .into_iter()
            .filter(|resource| resource.status != "deleted")
            .collect();
        if found.is_empty() {
            return Err(wait(
                accounts,
                "its call has no recording, here or at twilio",
            ));
        }
        for resource in found {
            self.ingest
                .announce(
                    resource.to_callback(account.sid()),
                    DiscoveredBy::Transcript,
                )
                .await?;
        }
        Err(wait(
            accounts,
            "the recordings of its call were unknown, and are announced now",
        ))
    }

    pub(super) fn recording_of(
        &self,
        lease: &LeasedTranscript,
        source: &RecordingSid,
    ) -> RecordingId {
        SourceRef::of_call(lease.account(), source).recording_id(self.vault.id())
    }
}

/// Returns the recording if a transcript can be filed with it now.
pub(super) fn standing(recording: Recording, accounts: &Accounts) -> Result<Recording, Stop> {
    match recording.state {
        RecordingState::Sealed => Ok(recording),
        RecordingState::Announced => Err(wait(accounts, "its recording is not sealed yet")),
        RecordingState::Absent | RecordingState::Failed => Err(Stop::Dead(format!(
            "its recording is `{}`",
            recording.state
        ))),
        RecordingState::Shredded => Err(Stop::Shredded(recording.id)),
    }
}
