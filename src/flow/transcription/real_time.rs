//! Real-time transcripts, assembled from pieces that arrive in any order, possibly repeatedly.
//!
//! The time of a piece is when the source reported it, after it was spoken, and accurate to a
//! second or two. Its beginning is estimated from its length. INVARIANT: the same pieces give the
//! same transcript, whatever their order; pieces from before the recording began or after it ended
//! are left out.

use std::collections::{BTreeMap, BTreeSet};

use zeroize::Zeroizing;

use super::{
    Found, Stop, filing::rank::supersedes, legs::Legs, place::standing, source::TranscriptSource,
    text::language, wait,
};
use crate::{
    db::{transcripts::LeasedTranscript, utterances::Utterance},
    model::{
        recording::{Recording, RecordingState},
        sid::TranscriptSid,
        time::Timestamp,
        transcript::{MAX_MS, Said, Sentence, Transcript},
    },
    secret::SecretBuffer,
    twilio::{
        Account, Accounts,
        transcription::{SpokenPiece, Track},
    },
};

/// The name of the transcriber.
const SOURCE: &str = "twilio-realtime";
/// A piece this far outside a recording still belongs to it: the beginning of a recording is
/// reported in whole seconds, and pieces arrive after they were spoken.
const EDGE_MS: i64 = 10_000;
/// The estimated time for a character, and the longest for a piece.
const CHARACTER_MS: u64 = 60;
const LONGEST_MS: u64 = 15_000;

/// The sealed form of a piece.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    /// When the source reported it, in milliseconds since 1970.
    at: i64,
    text: Said,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confidence: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
}

/// A piece with text.
#[derive(Clone, Debug)]
pub(super) struct HeardUtterance {
    pub(super) track: Track,
    pub(super) at: Timestamp,
    pub(super) said: Said,
    pub(super) confidence: Option<f32>,
    pub(super) language: Option<String>,
}

/// Returns the text to seal for a piece.
pub(super) fn kept(piece: SpokenPiece, at: Timestamp) -> Zeroizing<String> {
    let kept = Kept {
        at: at.as_millis(),
        text: piece.said,
        confidence: piece.confidence,
        language: piece.language,
    };
    let text = SecretBuffer::json(&kept).expect("texts and finite numbers have a JSON form");
    text.into_text().expect("JSON is UTF-8")
}

impl TranscriptSource {
    pub(super) async fn of_real_time(
        &self,
        lease: &mut LeasedTranscript,
        accounts: &Accounts,
        account: &Account,
        sid: &TranscriptSid,
    ) -> Result<Found, Stop> {
        let (rows, heard) = self.opened(account, sid).await?;
        let times = heard.iter().map(|heard| heard.at);
        let Some(span) = times.clone().min().zip(times.max()) else {
            return Err(Stop::Over);
        };
        let call = lease
            .call
            .clone()
            .ok_or_else(|| Stop::Dead("its call is unknown".to_owned()))?;
        let all = self.of_call(accounts, account, &call).await?;
        let recording = best(all, Some(span))
            .ok_or_else(|| wait(accounts, "no recording of its call covers its time"))?;
        lease.source = recording.source_ref.recording_sid().ok();
        let recording = standing(recording, accounts)?;
        if supersedes(&self.db, &recording, lease)
            .await
            .map_err(super::Error::from)?
        {
            return Err(Stop::Superseded);
        }
        let began = recording.started_at.or(lease.began_at).unwrap_or(span.0);
        let spoken = language(heard.iter().find_map(|heard| heard.language.clone()));
        let sentences = assembled(
            &heard,
            began,
            length_ms(&recording),
            &self.legs(&recording).await?,
        );
        let transcript = Transcript::new(spoken, SOURCE.to_owned(), sentences)
            .map(|transcript| transcript.with_lost(lost(&rows)));
        let transcript =
            transcript.map_err(|fault| Stop::Dead(format!("it is no transcript: {fault}")))?;
        Ok(Found {
            recording,
            transcript,
            pieces: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        })
    }

    /// Returns the pieces by track and number, and those with text, unsealed.
    async fn opened(
        &self,
        account: &Account,
        sid: &TranscriptSid,
    ) -> Result<(Vec<Utterance>, Vec<HeardUtterance>), Stop> {
        let broken = || Stop::Dead("a piece of it cannot be read".to_owned());
        let pieces = self
            .vault
            .utterances(account.sid(), sid)
            .await
            .map_err(super::Error::from)?;
        let mut rows = Vec::with_capacity(pieces.len());
        let mut heard = Vec::new();
        for (row, text) in pieces {
            if let Some(text) = text {
                let Kept {
                    at,
                    text,
                    confidence,
                    language,
                } = serde_json::from_str(&text).map_err(|_| broken())?;
                let track = row.track.parse().map_err(|_| broken())?;
                heard.push(HeardUtterance {
                    track,
                    at: Timestamp::from_millis(at),
                    said: text,
                    confidence,
                    language,
                });
            }
            rows.push(row);
        }
        Ok((rows, heard))
    }
}

fn length_ms(recording: &Recording) -> Option<u64> {
    recording
        .duration_s
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map(|seconds| seconds.saturating_mul(1000).min(MAX_MS))
}

/// Returns the recording of a call that covers most of a period. One without a start time is taken
/// only if there is no other; one without audio is not taken.
pub(super) fn best(all: Vec<Recording>, said: Option<(Timestamp, Timestamp)>) -> Option<Recording> {
    let covered = |recording: &Recording| {
        let Some(((first, last), started)) = said.zip(recording.started_at) else {
            return Some(0);
        };
        let start = started.as_millis().saturating_sub(EDGE_MS);
        let end = length_ms(recording)
            .and_then(|length| i64::try_from(length).ok())
            .map_or(i64::MAX, |length| {
                started
                    .as_millis()
                    .saturating_add(length)
                    .saturating_add(EDGE_MS)
            });
        let together = last
            .as_millis()
            .min(end)
            .saturating_sub(first.as_millis().max(start));
        (together >= 0).then(|| together.saturating_add(1))
    };
    let candidates = all.into_iter().filter(|recording| {
        !matches!(
            recording.state,
            RecordingState::Absent | RecordingState::Failed
        )
    });
    let mut scored: Vec<(i64, Recording)> = candidates
        .filter_map(|recording| Some((covered(&recording)?, recording)))
        .collect();
    scored.sort_by_key(|(score, recording)| {
        (
            std::cmp::Reverse(*score),
            recording.announced_at,
            recording.id,
        )
    });
    scored.into_iter().next().map(|(_, recording)| recording)
}

/// Assembles sentences from pieces that are ordered by track and number.
pub(super) fn assembled(
    heard: &[HeardUtterance],
    began: Timestamp,
    length_ms: Option<u64>,
    legs: &Legs,
) -> Vec<Sentence> {
    let latest = length_ms
        .and_then(|length| i64::try_from(length).ok())
        .map_or(i64::MAX, |length| length.saturating_add(EDGE_MS));
    let most = length_ms.unwrap_or(MAX_MS);
    // For each track: when the previous piece was reported, and where its sentence ends.
    let mut before: BTreeMap<Track, (Timestamp, u64)> = BTreeMap::new();
    let mut sentences = Vec::with_capacity(heard.len());
    for piece in heard {
        let (told, ended) = before.get(&piece.track).copied().unwrap_or((piece.at, 0));
        // Within a track the numbers define the order, not the clocks.
        let at = piece.at.max(told);
        let offset = at.as_millis().saturating_sub(began.as_millis());
        before.insert(piece.track, (at, ended));
        if !(-EDGE_MS..=latest).contains(&offset) {
            continue;
        }
        let end_ms = u64::try_from(offset).unwrap_or(0).min(most);
        let characters = u64::try_from(piece.said.expose().chars().count()).unwrap_or(u64::MAX);
        let takes = characters.saturating_mul(CHARACTER_MS).min(LONGEST_MS);
        let start_ms = end_ms.saturating_sub(takes).max(ended).min(end_ms);
        before.insert(piece.track, (at, end_ms));
        sentences.push(Sentence {
            leg: Some(legs.on_track(piece.track)),
            start_ms,
            end_ms,
            text: piece.said.clone(),
            confidence: piece.confidence,
            words: Vec::new(),
        });
    }
    sentences
}

/// Returns how many numbers are missing between the lowest and the highest.
///
/// Twilio documents that events are numbered, but not whether each side of a call has numbers of
/// its own. A number that both sides have shows that they do; otherwise all events share one
/// sequence, including the beginning and the end.
pub(super) fn lost(rows: &[Utterance]) -> u32 {
    let of = |track: Track| -> BTreeSet<i64> {
        rows.iter()
            .filter(|row| row.track == track.as_str())
            .map(|row| row.sequence)
            .collect()
    };
    let inbound = of(Track::Inbound);
    let outbound = of(Track::Outbound);
    let missing = if inbound.intersection(&outbound).next().is_some() {
        gaps(&inbound).saturating_add(gaps(&outbound))
    } else {
        gaps(&rows.iter().map(|row| row.sequence).collect())
    };
    u32::try_from(missing).unwrap_or(u32::MAX)
}

fn gaps(numbers: &BTreeSet<i64>) -> i64 {
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
        return 0;
    };
    last.saturating_sub(*first)
        .saturating_add(1)
        .saturating_sub(i64::try_from(numbers.len()).unwrap_or(i64::MAX))
}
