//! The Transcripts of Intelligence v2: whole transcripts with their channels, found by their
//! source.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, State, World,
    answer::{Refused, StandInAnswer},
    hours::{filter_time, iso8601},
    new_sid, page,
    recordings::{is, newest_first},
    request::AuthenticatedRequest,
    sentence::SentenceFacts,
};
use crate::model::{
    sid::{AccountSid, RecordingSid},
    time::Timestamp,
};

/// The speaker of a channel.
#[derive(Clone, Debug, Default)]
pub struct TranscriptParticipant {
    /// 1 or 2.
    pub channel: u32,
    /// `Agent`, `Customer`...
    pub role: Option<String>,
    /// A name.
    pub full_name: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// The application's id of the participant, such as a number.
    pub media_participant_id: Option<String>,
    /// The application's id of the user.
    pub user_id: Option<String>,
}

/// A transcript.
#[derive(Clone, Debug)]
pub struct TranscriptFacts {
    /// `GT…`.
    pub sid: String,
    /// `GA…`.
    pub service_sid: String,
    /// `Recording`, `ExternalRecording`, `Call`...
    pub source: String,
    /// `RE…` or `CA…`, depending on the source.
    pub source_sid: Option<String>,
    /// The URL of an external recording.
    pub media_url: Option<String>,
    /// The speakers of the channels.
    pub participants: Vec<TranscriptParticipant>,
    /// The sentences.
    pub sentences: Vec<SentenceFacts>,
    /// Whether sentences are redacted by default.
    pub redaction: bool,
    /// `queued`, `in-progress`, `completed`, `new`, `failed`, `canceled`, `error`.
    pub status: String,
    /// `en-US`...
    pub language: String,
    /// The application's own key of the transcript.
    pub customer_key: Option<String>,
    /// The beginning of the conversation.
    pub media_start_time: Option<Timestamp>,
    /// Seconds.
    pub duration: u64,
    /// `CR…`: its sentences are delivered encrypted.
    pub encryption_credential_sid: Option<String>,
}

impl TranscriptFacts {
    /// Creates a completed transcript of a recording, without participants and sentences.
    pub fn new(sid: impl Into<String>, recording: &RecordingSid) -> Self {
        Self {
            sid: sid.into(),
            service_sid: format!("GA{}", "0".repeat(32)),
            source: "Recording".to_owned(),
            source_sid: Some(recording.to_string()),
            media_url: None,
            participants: Vec::new(),
            sentences: Vec::new(),
            redaction: false,
            status: "completed".to_owned(),
            language: "en-US".to_owned(),
            customer_key: None,
            media_start_time: None,
            duration: 27,
            encryption_credential_sid: None,
        }
    }
}

impl StandIn {
    /// Adds a transcript, replacing one with this SID.
    pub fn add_transcript(&self, account: &AccountSid, facts: TranscriptFacts) {
        let owned = self.world.own(account, facts);
        self.world
            .state()
            .transcripts
            .insert(owned.facts.sid.clone(), owned);
    }

    /// Changes the status of a transcript.
    pub fn set_transcript_status(&self, sid: &str, status: &str) {
        if let Some(owned) = self.world.state().transcripts.get_mut(sid) {
            status.clone_into(&mut owned.facts.status);
        }
    }
}

impl World {
    /// Transcribes a recording, if every recording is transcribed.
    pub(super) fn transcribe(&self, state: &mut State, recording: &RecordingSid) {
        let (Some(service_sid), Some(held)) = (
            &state.behaviour.auto_transcribe,
            state.recordings.get(recording),
        ) else {
            return;
        };
        let facts = TranscriptFacts {
            service_sid: service_sid.clone(),
            sentences: vec![SentenceFacts::new(
                1,
                "0.40",
                "1.90",
                "Thank you for calling.",
            )],
            duration: held.sound.seconds,
            ..TranscriptFacts::new(new_sid("GT"), recording)
        };
        let owned = self.own(&held.account, facts);
        state.transcripts.insert(owned.facts.sid.clone(), owned);
    }
}

/// Returns the origin of absolute links.
pub(super) fn origin(state: &State, asked: &AuthenticatedRequest) -> String {
    state
        .behaviour
        .intelligence_links
        .clone()
        .unwrap_or_else(|| asked.origin.clone())
}

/// Returns a transcript of the requesting account. A parent's credential gives no access to a
/// subaccount here, since the path names none.
pub(super) fn find<'a>(
    state: &'a State,
    asked: &AuthenticatedRequest,
) -> Result<&'a Owned<TranscriptFacts>, Refused> {
    state
        .transcripts
        .get(&asked.ask.sid)
        .filter(|owned| owned.account == asked.account)
        .ok_or_else(Refused::not_found)
}

/// `GET /v2/Transcripts`, newest first.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let query = &asked.query;
    let time = |name: &'static str| {
        query
            .get(name)
            .map(|text| filter_time(text).ok_or_else(|| Refused::invalid(name)))
            .transpose()
    };
    let before = time("BeforeDateCreated")?;
    let after = time("AfterDateCreated")?;
    let items = state
        .transcripts
        .values()
        .filter(|owned| owned.account == asked.account)
        .filter(|owned| is(query.get("SourceSid"), owned.facts.source_sid.clone()))
        .filter(|owned| {
            is(
                query.get("ServiceSid"),
                Some(owned.facts.service_sid.clone()),
            )
        })
        .filter(|owned| is(query.get("Status"), Some(owned.facts.status.clone())))
        .filter(|owned| {
            is(
                query.get("LanguageCode"),
                Some(owned.facts.language.clone()),
            )
        })
        .filter(|owned| {
            before.is_none_or(|(at, _)| owned.created <= at)
                && after.is_none_or(|(at, _)| owned.created >= at)
        })
        .map(|owned| (newest_first(owned.created, &owned.facts.sid), owned))
        .collect();
    let origin = origin(&state, asked);
    page::of_v2(
        items,
        "transcripts",
        &format!("{origin}/v2/Transcripts"),
        query,
        1000,
        |owned| resource(owned, &origin),
    )
}

/// `GET /v2/Transcripts/{GT}`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    Ok(StandInAnswer::ok(resource(
        find(&state, asked)?,
        &origin(&state, asked),
    )))
}

/// `DELETE /v2/Transcripts/{GT}`.
pub(super) fn delete(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    find(&state, asked)?;
    state.transcripts.remove(&asked.ask.sid);
    Ok(StandInAnswer::Empty)
}

fn resource(owned: &Owned<TranscriptFacts>, origin: &str) -> Value {
    let Owned {
        account,
        facts,
        created,
    } = owned;
    let url = format!("{origin}/v2/Transcripts/{}", facts.sid);
    let participants: Vec<Value> = facts.participants.iter().map(participant).collect();
    json!({
        "account_sid": account,
        "service_sid": facts.service_sid,
        "sid": facts.sid,
        "date_created": iso8601(*created),
        "date_updated": iso8601(*created),
        "status": facts.status,
        "channel": {
            "type": "voice",
            "media_properties": { "source": facts.source, "source_sid": facts.source_sid, "media_url": facts.media_url },
            "participants": participants,
        },
        "data_logging": false,
        "language_code": facts.language,
        "customer_key": facts.customer_key,
        "media_start_time": facts.media_start_time.map(iso8601),
        "duration": (facts.status == "completed").then_some(facts.duration),
        "url": url,
        "redaction": facts.redaction,
        "encryption_credential_sid": facts.encryption_credential_sid,
        "links": {
            "sentences": format!("{url}/Sentences"),
            "media": format!("{url}/Media"),
            "operator_results": format!("{url}/OperatorResults"),
            "encrypted_sentences": format!("{url}/Sentences/Encrypted"),
            "encrypted_operator_results": format!("{url}/OperatorResults/Encrypted"),
        },
    })
}

fn participant(participant: &TranscriptParticipant) -> Value {
    json!({
        "channel_participant": participant.channel,
        "role": participant.role,
        "full_name": participant.full_name,
        "email": participant.email,
        "image_url": null,
        "media_participant_id": participant.media_participant_id,
        "user_id": participant.user_id,
    })
}
