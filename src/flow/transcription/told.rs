//! Announcements of transcripts by the source, made durable.

use std::time::Duration;

use super::real_time;
use crate::{
    db::{
        self, Db,
        transcripts::{self, TranscriptId, TranscriptionEvent},
    },
    flow::{error::Error, units::unit_with_keys},
    model::{
        origin::Origin,
        sid::{AccountSid, RecordingSid},
        time::Clock,
    },
    twilio::{
        IntelligenceEvent, RealTimeEvent, TranscriptionCallback, transcription::RealTimeEventKind,
    },
    vault::{UtteranceId, Vault},
};

/// How long after the end of a transcription late pieces are waited for.
const SETTLES: Duration = Duration::from_secs(60);
/// The silence after which a transcription counts as over without an end event.
const SILENCE: Duration = Duration::from_secs(2 * 3600);

/// Receives the source's events about transcripts.
pub struct TranscriptNews {
    vault: Vault,
    db: Db,
    clock: Clock,
}

impl TranscriptNews {
    pub(in crate::flow) fn new(vault: Vault, db: Db, clock: Clock) -> Self {
        Self { vault, db, clock }
    }

    /// Makes durable that a transcript of Conversational Intelligence can be fetched. Repeated
    /// events change nothing.
    ///
    /// # Errors
    /// [`Unavailable`](crate::db::Error::Unavailable) inside: it is not durable, and the source
    /// should send it again.
    pub async fn told_of_transcript(&self, event: IntelligenceEvent) -> Result<(), Error> {
        self.told(
            &event.account,
            &Origin::Intelligence(event.transcript),
            None,
        )
        .await
    }

    /// The same for a transcription of `<Record>`.
    ///
    /// # Errors
    /// As [`Self::told_of_transcript`].
    pub async fn told_of_transcription(
        &self,
        callback: TranscriptionCallback,
    ) -> Result<(), Error> {
        self.told(
            &callback.account,
            &Origin::Record(callback.transcription),
            Some(&callback.recording),
        )
        .await
    }

    async fn told(
        &self,
        account: &AccountSid,
        origin: &Origin,
        source: Option<&RecordingSid>,
    ) -> Result<(), Error> {
        let told = self.db.unit("told.told", async |mut unit| {
            unit.without_entry("what Twilio tells waits until it is filed");
            let now = self.clock.now();
            let id = TranscriptId {
                account: account.clone(),
                origin: origin.clone(),
            };
            transcripts::tell(&mut unit, &id, source, now, now).await?;
            unit.count_as("recvault_transcripts_told_total", "kind", origin.kind(), 1);
            Ok::<_, db::Error>(())
        });
        Ok(told.await?)
    }

    /// Makes an event of a real-time transcription durable, with its text sealed. A repeated event
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Self::told_of_transcript`].
    pub async fn told_in_real_time(&self, event: RealTimeEvent) -> Result<(), Error> {
        let RealTimeEvent {
            account,
            call,
            transcription,
            at,
            sequence,
            kind,
        } = event;
        let now = self.clock.now();
        let at = at.unwrap_or(now);
        let began_at = matches!(kind, RealTimeEventKind::Started).then_some(at);
        let ended_at = matches!(kind, RealTimeEventKind::Stopped).then_some(at);
        let due_at = now.after(if ended_at.is_some() { SETTLES } else { SILENCE });
        if let RealTimeEventKind::Failed(code) = kind {
            tracing::warn!(%call, code, "Twilio reports a problem with a transcription");
        }
        let utterance = sequence.map(|sequence| {
            let (track, text) = match kind {
                RealTimeEventKind::Said(piece) => {
                    (piece.track.as_str(), Some(real_time::kept(piece, at)))
                }
                // Without text, so that its number does not count as missing.
                RealTimeEventKind::Partial(track) => (track.as_str(), None),
                RealTimeEventKind::Started
                | RealTimeEventKind::Stopped
                | RealTimeEventKind::Failed(_)
                | RealTimeEventKind::Other => (NO_TRACK, None),
            };
            (
                UtteranceId {
                    account: &account,
                    transcription: &transcription,
                    track,
                    sequence,
                },
                text,
            )
        });
        let event = TranscriptionEvent {
            account: &account,
            transcription: &transcription,
            call: &call,
            began_at,
            ended_at,
        };
        let vault = &self.vault;
        unit_with_keys(
            &self.db,
            &self.vault,
            "told.told_in_real_time",
            async |mut unit| {
                unit.without_entry("what Twilio tells waits until it is filed");
                let takes = transcripts::hear(&mut unit, &event, due_at, now).await?;
                if let Some((of, text)) = utterance.as_ref().filter(|_| takes) {
                    vault
                        .keep_utterance(
                            &mut unit,
                            *of,
                            text.as_ref().map(|text| text.as_str()),
                            now,
                        )
                        .await?;
                }
                unit.count_as(
                    "recvault_utterances_total",
                    "fate",
                    if takes { "kept" } else { "late" },
                    1,
                );
                Ok(())
            },
        )
        .await
    }
}

/// The track of events that belong to no side of the call.
const NO_TRACK: &str = "";
