//! Twilio's requests besides the status of recordings: transcripts in three forms, incoming calls,
//! answers, messages.
//!
//! Each function returns parameters. [`StandIn::callback`] and [`StandIn::get_callback`] sign them,
//! and [`StandIn::json_callback`] signs an object made from them.

use serde_json::json;

use super::{
    StandIn,
    calls::CallFacts,
    hours::{iso8601, rfc2822},
    new_sid,
    recording::call_of,
};
use crate::model::sid::{AccountSid, CallSid};

type Params = Vec<(String, String)>;

fn owned<const N: usize>(params: [(&str, String); N]) -> Params {
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The answer to a `<Gather>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatherAnswer {
    /// Keys; empty if the time ran out and `actionOnEmptyResult` is set.
    Digits(String),
    /// Speech.
    Speech {
        /// `SpeechResult`.
        said: String,
        /// `Confidence`: 0 to 1, as text.
        confidence: String,
    },
}

impl StandIn {
    /// The webhook of Intelligence: a transcript is available. `None` if the transcript is unknown.
    pub fn transcript_event(&self, transcript: &str) -> Option<Params> {
        let state = self.world.state();
        let held = state.transcripts.get(transcript)?;
        let mut params = owned([
            ("account_sid", held.account.to_string()),
            ("service_sid", held.facts.service_sid.clone()),
            ("transcript_sid", held.facts.sid.clone()),
            (
                "event_type",
                "voice_intelligence_transcript_available".to_owned(),
            ),
        ]);
        params.extend(
            held.facts
                .customer_key
                .clone()
                .map(|key| ("customer_key".to_owned(), key)),
        );
        params.extend(
            held.facts
                .encryption_credential_sid
                .clone()
                .map(|sid| ("encryption_credential_sid".to_owned(), sid)),
        );
        Some(params)
    }

    /// `transcribeCallback` of `<Record>`. `None` if the transcription is unknown.
    pub fn transcription_callback_params(&self, transcription: &str) -> Option<Params> {
        let (held, call) = {
            let state = self.world.state();
            let held = state.transcriptions.get(transcription)?.clone();
            let recording = state.recordings.get(&held.facts.recording);
            let call = recording.and_then(|recording| recording.facts.call.clone());
            let call = call.unwrap_or_else(|| call_of(&held.facts.recording));
            (held, call)
        };
        let base = format!(
            "https://api.twilio.com/2010-04-01/Accounts/{}/Recordings/{}",
            held.account, held.facts.recording
        );
        let mut params = owned([
            ("AccountSid", held.account.to_string()),
            ("CallSid", call.to_string()),
            ("TranscriptionSid", held.facts.sid.clone()),
            ("TranscriptionText", held.facts.text.clone()),
            ("TranscriptionStatus", held.facts.status.clone()),
            ("TranscriptionType", "fast".to_owned()),
            (
                "TranscriptionUrl",
                format!("{base}/Transcriptions/{}", held.facts.sid),
            ),
            ("RecordingSid", held.facts.recording.to_string()),
            ("RecordingUrl", base.clone()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("Direction", "inbound".to_owned()),
            ("CallStatus", "completed".to_owned()),
        ]);
        if held.facts.status != "completed" {
            params.retain(|(name, _)| name != "TranscriptionText");
        }
        Some(params)
    }

    /// Starts the transcription of a call in progress; its events are made one after the other.
    pub fn real_time(&self, account: &AccountSid, call: &CallSid) -> RealTime {
        RealTime {
            account: account.clone(),
            call: call.clone(),
            sid: new_sid("GT"),
            at: iso8601(self.now()),
            next: 1,
        }
    }

    /// The parameters of the request to the URL of a called number.
    pub fn voice_params(&self, account: &AccountSid, call: &CallFacts) -> Params {
        let mut params = owned([
            ("CallSid", call.sid.to_string()),
            ("AccountSid", account.to_string()),
            ("From", call.from.clone()),
            ("To", call.to.clone()),
            ("Caller", call.from.clone()),
            ("Called", call.to.clone()),
            ("CallStatus", call.status.clone()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("Direction", call.direction.clone()),
        ]);
        params.extend(
            call.parent
                .as_ref()
                .map(|parent| ("ParentCallSid".to_owned(), parent.to_string())),
        );
        params.extend(
            call.caller_name
                .clone()
                .map(|name| ("CallerName".to_owned(), name)),
        );
        params.extend(
            call.forwarded_from
                .clone()
                .map(|number| ("ForwardedFrom".to_owned(), number)),
        );
        params
    }

    /// The parameters of the request to the `action` of a `<Gather>`.
    pub fn gather_params(
        &self,
        account: &AccountSid,
        call: &CallFacts,
        answer: &GatherAnswer,
    ) -> Params {
        let mut params = self.voice_params(account, call);
        params.push(("msg".to_owned(), "Gather End".to_owned()));
        params.extend(match answer {
            GatherAnswer::Digits(digits) => {
                owned([("Digits", digits.clone()), ("FinishedOnKey", String::new())])
            }
            GatherAnswer::Speech { said, confidence } => owned([
                ("SpeechResult", said.clone()),
                ("Confidence", confidence.clone()),
            ]),
        });
        params
    }

    /// The parameters of an incoming message. `opt_out_type` (`STOP`, `START`, `HELP`) is only
    /// present with Advanced Opt-Out.
    pub fn message_params(
        &self,
        account: &AccountSid,
        from: &str,
        to: &str,
        body: &str,
        opt_out_type: Option<&str>,
    ) -> Params {
        let sid = new_sid("SM");
        let mut params = owned([
            ("MessageSid", sid.clone()),
            ("SmsSid", sid.clone()),
            ("SmsMessageSid", sid),
            ("SmsStatus", "received".to_owned()),
            ("AccountSid", account.to_string()),
            ("MessagingServiceSid", format!("MG{}", "0".repeat(32))),
            ("From", from.to_owned()),
            ("To", to.to_owned()),
            ("Body", body.to_owned()),
            ("NumMedia", "0".to_owned()),
            ("NumSegments", "1".to_owned()),
            ("ApiVersion", "2010-04-01".to_owned()),
        ]);
        params.extend(opt_out_type.map(|kind| ("OptOutType".to_owned(), kind.to_owned())));
        params
    }

    /// The parameters of the request for another call status, such as `completed`.
    pub fn call_status_params(&self, account: &AccountSid, call: &CallFacts) -> Params {
        let mut params = self.voice_params(account, call);
        params.extend(owned([
            ("CallDuration", call.duration.to_string()),
            ("Timestamp", rfc2822(self.now())),
        ]));
        params
    }
}

/// The events of one Real-Time Transcription, numbered as at Twilio.
#[derive(Clone, Debug)]
pub struct RealTime {
    account: AccountSid,
    call: CallSid,
    sid: String,
    at: String,
    next: u64,
}

impl RealTime {
    /// `GT…`.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The transcription begins, on both tracks.
    pub fn started(&mut self) -> Params {
        let more = owned([
            (
                "ProviderConfiguration",
                json!({ "profanityFilter": "true", "speechModel": "telephony" }).to_string(),
            ),
            ("TranscriptionEngine", "google".to_owned()),
            ("Name", "conversation".to_owned()),
            ("Track", "both_tracks".to_owned()),
            ("InboundTrackLabel", "caller".to_owned()),
            ("OutboundTrackLabel", "agent".to_owned()),
            ("PartialResults", "true".to_owned()),
            ("LanguageCode", "en-US".to_owned()),
        ]);
        self.event("transcription-started", more)
    }

    /// A partial result; `track` is `inbound_track` or `outbound_track`.
    pub fn partial(&mut self, track: &str, text: &str, stability: &str) -> Params {
        let mut more = content(track, json!({ "transcript": text }).to_string(), false);
        more.push(("Stability".to_owned(), stability.to_owned()));
        self.event("transcription-content", more)
    }

    /// A final result; `confidence` is 0 to 1.
    pub fn said(&mut self, track: &str, text: &str, confidence: f64) -> Params {
        let more = content(
            track,
            json!({ "transcript": text, "confidence": confidence }).to_string(),
            true,
        );
        self.event("transcription-content", more)
    }

    /// The transcription ends.
    pub fn stopped(&mut self) -> Params {
        self.event("transcription-stopped", Vec::new())
    }

    /// The transcription fails, with a code of 32650 to 32655.
    pub fn failed(&mut self, code: u32) -> Params {
        let more = owned([
            ("TranscriptionErrorCode", code.to_string()),
            ("TranscriptionError", "Provider unavailable".to_owned()),
        ]);
        self.event("transcription-error", more)
    }

    /// Skips a number, as if an event were lost.
    pub fn lose_one(&mut self) {
        self.next += 1;
    }

    fn event(&mut self, event: &str, more: Params) -> Params {
        let mut params = owned([
            ("AccountSid", self.account.to_string()),
            ("CallSid", self.call.to_string()),
            ("TranscriptionSid", self.sid.clone()),
            ("TranscriptionEvent", event.to_owned()),
            ("Timestamp", self.at.clone()),
            ("SequenceId", self.next.to_string()),
        ]);
        self.next += 1;
        params.extend(more);
        params
    }
}

fn content(track: &str, said: String, is_final: bool) -> Params {
    owned([
        ("LanguageCode", "en-US".to_owned()),
        ("Track", track.to_owned()),
        ("TranscriptionData", said),
        ("Final", is_final.to_string()),
    ])
}
