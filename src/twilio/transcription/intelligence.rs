//! The webhook of Conversational Intelligence (classic, v2): a transcript can be fetched.
//!
//! Its content type is not documented: a form, by POST or GET, and JSON are all accepted. It holds
//! neither status nor text.

use std::str::FromStr;

use serde_json::Value;

use crate::{
    model::sid::{AccountSid, TranscriptSid},
    twilio::{
        params::{CallbackError, VerifiedParams},
        signature::Verified,
    },
};

/// The event type of a transcript.
const AVAILABLE: &str = "voice_intelligence_transcript_available";

/// A transcript can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntelligenceEvent {
    /// The account that signed the request.
    pub account: AccountSid,
    /// The transcript.
    pub transcript: TranscriptSid,
}

impl IntelligenceEvent {
    /// Whether a verified request has the form of this webhook, and not of a callback of the older
    /// interface.
    pub fn is_one(verified: &Verified) -> bool {
        verified.json().is_some()
            || VerifiedParams::of(verified)
                .readable("event_type")
                .is_some()
    }

    /// Parses a verified request. `None` for an event of another type, which needs no action.
    ///
    /// # Errors
    /// [`CallbackError`] names the parameter.
    pub fn parse(verified: &Verified) -> Result<Option<Self>, CallbackError> {
        let params = VerifiedParams::of(verified);
        let read = |field: &'static str| match verified.json() {
            Some(json) => member(json, field),
            None => params.one(field),
        };
        let kind = read("event_type")?.ok_or(CallbackError::Missing {
            field: "event_type",
        })?;
        if kind != AVAILABLE {
            return Ok(None);
        }
        // A second name for the account must not differ from the account whose signature was
        // checked.
        let account: Option<AccountSid> = parsed(
            read("account_sid")?,
            "account_sid",
            "`AC` and 32 hex digits",
        )?;
        if account.is_some_and(|account| account != *verified.account()) {
            return Err(CallbackError::Malformed {
                field: "account_sid",
                expected: "the account that signed",
            });
        }
        let transcript = parsed(
            read("transcript_sid")?,
            "transcript_sid",
            "`GT` and 32 hex digits",
        )?;
        let transcript = transcript.ok_or(CallbackError::Missing {
            field: "transcript_sid",
        })?;
        Ok(Some(Self {
            account: verified.account().clone(),
            transcript,
        }))
    }
}

/// Returns a text in a JSON object. An empty text counts as absent.
fn member<'a>(json: &'a Value, field: &'static str) -> Result<Option<&'a str>, CallbackError> {
    match json.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(CallbackError::Malformed {
            field,
            expected: "a text",
        }),
    }
}

fn parsed<T: FromStr>(
    text: Option<&str>,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<T>, CallbackError> {
    text.map(|text| {
        text.parse()
            .map_err(|_| CallbackError::Malformed { field, expected })
    })
    .transpose()
}
