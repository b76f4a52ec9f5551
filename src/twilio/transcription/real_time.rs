//! Events of Real-Time Transcription (<https://www.twilio.com/docs/voice/twiml/transcription>).
//!
//! Booleans and numbers are strings. The data of the speech engine (`TranscriptionProviderData`) is
//! not read: even its documented sample is not JSON.
//! INVARIANT: `Debug` shows no words.

use zeroize::Zeroizing;

use crate::{
    model::{
        json,
        sid::{AccountSid, CallSid, TranscriptSid},
        time::Timestamp,
        transcript::{self, Said},
        word::{UnknownWord, unknown},
    },
    twilio::{
        params::{CallbackError, VerifiedParams},
        signature::Verified,
    },
};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct RealTimeEvent {
    /// The account that signed the request.
    pub account: AccountSid,
    /// The call in progress.
    pub call: CallSid,
    /// The transcription's id. If Intelligence stores it, the transcript there has the same id.
    pub transcription: TranscriptSid,
    /// The time of the event, if Twilio reports it in a readable form. Whole or fractional seconds.
    pub at: Option<Timestamp>,
    /// Twilio's sequence number, 0 or more.
    pub sequence: Option<i64>,
    /// The kind of event.
    pub kind: RealTimeEventKind,
}

/// The kind of event.
#[derive(Clone, Debug, PartialEq)]
pub enum RealTimeEventKind {
    /// The transcription began.
    Started,
    /// An utterance.
    Said(SpokenPiece),
    /// A partial result; the final one follows.
    Partial(Track),
    /// The transcription ended.
    Stopped,
    /// The transcription failed. The codes are 32650 to 32655; `None` if the code is unreadable.
    Failed(Option<i64>),
    /// An event that Twilio added later.
    Other,
}

/// An utterance of a participant.
#[derive(Clone, Debug, PartialEq)]
pub struct SpokenPiece {
    /// The side of the call.
    pub track: Track,
    /// The words; at most [`transcript::MAX_CHARS`] characters, the rest is cut.
    pub said: Said,
    /// 0 to 1, if reported.
    pub confidence: Option<f32>,
    /// The language as Twilio reports it, such as `en-US`; at most 35 characters.
    pub language: Option<String>,
}

/// A side of a call.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum Track {
    /// Audio from the other end of the call: for an inbound call, the caller.
    #[strum(to_string = "inbound_track")]
    Inbound,
    /// Audio played to the other end.
    #[strum(to_string = "outbound_track")]
    Outbound,
}

recvault_core::word_set!(Track);

impl RealTimeEvent {
    /// Parses a verified request.
    ///
    /// # Errors
    /// [`CallbackError`] names the parameter, and never holds spoken text.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        let event = params
            .one("TranscriptionEvent")?
            .ok_or(CallbackError::Missing {
                field: "TranscriptionEvent",
            })?;
        let kind = match event {
            "transcription-started" => RealTimeEventKind::Started,
            "transcription-content" => content(&params)?,
            "transcription-stopped" => RealTimeEventKind::Stopped,
            "transcription-error" => {
                RealTimeEventKind::Failed(params.number("TranscriptionErrorCode"))
            }
            _ => RealTimeEventKind::Other,
        };
        let sequence = params
            .optional::<u32>("SequenceId", "a whole number")?
            .map(i64::from);
        if sequence.is_none() && matches!(kind, RealTimeEventKind::Said(_)) {
            // Without it, a repetition cannot be distinguished from the same words said twice.
            return Err(CallbackError::Missing {
                field: "SequenceId",
            });
        }
        Ok(Self {
            account: verified.account().clone(),
            call: params.required("CallSid", "`CA` and 32 hex digits")?,
            transcription: params.required("TranscriptionSid", "`GT` and 32 hex digits")?,
            at: params
                .readable("Timestamp")
                .and_then(Timestamp::parse_rfc3339),
            sequence,
            kind,
        })
    }
}

fn content(params: &VerifiedParams<'_>) -> Result<RealTimeEventKind, CallbackError> {
    const DATA: &str = "TranscriptionData";
    let track = params
        .one("Track")?
        .ok_or(CallbackError::Missing { field: "Track" })?;
    let expected = "`inbound_track` or `outbound_track`";
    let track = track.parse().map_err(|_| CallbackError::Malformed {
        field: "Track",
        expected,
    })?;
    match params.one("Final")? {
        Some("true" | "True" | "1") => {}
        Some("false" | "False" | "0") => return Ok(RealTimeEventKind::Partial(track)),
        Some(_) => {
            return Err(CallbackError::Malformed {
                field: "Final",
                expected: "`true` or `false`",
            });
        }
        None => return Err(CallbackError::Missing { field: "Final" }),
    }
    let told = params
        .one(DATA)?
        .ok_or(CallbackError::Missing { field: DATA })?;
    let malformed = CallbackError::Malformed {
        field: DATA,
        expected: "a JSON object with `transcript` and `confidence`",
    };
    let told: Told = json::read(told.as_bytes()).map_err(|_| malformed)?;
    let text = Zeroizing::new(told.transcript);
    let said: String = text
        .chars()
        .filter(|c| *c != '\0')
        .take(transcript::MAX_CHARS)
        .collect();
    let language = params
        .readable("LanguageCode")
        .filter(|language| language.len() <= 35);
    Ok(RealTimeEventKind::Said(SpokenPiece {
        track,
        said: Said::new(said),
        confidence: told.confidence.and_then(confidence),
        language: language.map(str::to_owned),
    }))
}

#[derive(serde::Deserialize)]
struct Told {
    transcript: String,
    #[serde(default)]
    confidence: Option<serde_json::Value>,
}

/// Parses a share from 0 to 1, as a number or a text. Anything else counts as absent.
pub(in crate::twilio) fn confidence(value: serde_json::Value) -> Option<f32> {
    // Through its text, because that yields the nearest `f32` from either form.
    let text = match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    text.trim()
        .parse::<f32>()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
}
