//! The recording status callback: Twilio tells that a recording began, is complete, is absent or failed.
//!
//! Owns which parameters we read and how strictly (<https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>). Refuses to decide
//! what follows from them, and keeps no personal data: telephone numbers, names and places are not read.
//!
//! INVARIANT: it is made only from [`Verified`] input. Parameters that say *which* recording this is about are right or the callback is
//! refused; parameters that only describe it are taken when they can be read, because a bad duration is no reason to lose a recording.

use std::str::FromStr;

use super::signature::{ACCOUNT_SID, BODY_DIGEST, Verified};
use crate::model::{
    sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
    time::Timestamp,
};

/// What one callback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingCallback {
    /// The account or subaccount, which has signed this.
    pub account: AccountSid,
    /// The recording.
    pub recording_sid: RecordingSid,
    /// The (parent) call; absent for a conference.
    pub call: Option<CallSid>,
    /// The conference.
    pub conference: Option<ConferenceSid>,
    /// `in-progress`, `completed`, `absent`, `failed`, or a word that Twilio adds later; 1 to 32 of `a-z` and `-`.
    pub status: String,
    /// Length in whole seconds.
    pub duration_s: Option<i64>,
    /// 1 or 2.
    pub channels: Option<i64>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// What made it (`DialVerb`, `Conference`, …); an open set, at most 64 letters, digits, `-` and `_`.
    pub source: Option<String>,
    /// 0 on success, 16101 too short, 16102 silent.
    pub error_code: Option<i64>,
    /// What our own callback URL carries in its query, in order; classification reads it.
    pub query: Vec<(String, String)>,
}

/// Why a signed request is not a recording callback. The value is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// A parameter without which there is nothing to do.
    #[error("`{field}` is missing; is this URL configured as a recording status callback?")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A parameter of another form.
    #[error("`{field}` is malformed: expected {expected}")]
    Malformed {
        /// Its name.
        field: &'static str,
        /// The form it should have.
        expected: &'static str,
    },
    /// Two different values.
    #[error("`{field}` is given more than once, with different values")]
    Ambiguous {
        /// Its name.
        field: &'static str,
    },
}

impl RecordingCallback {
    /// Reads a verified request. Unknown parameters are ignored: Twilio may add some at any time.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = Params(verified.params());
        let (account, status) = (ACCOUNT_SID, "RecordingStatus");
        params.required::<AccountSid>(account, "`AC` and 32 hex digits")?;
        let word = params.one(status)?.ok_or(CallbackError::Missing { field: status })?;
        if !is_status(word) {
            return Err(CallbackError::Malformed { field: status, expected: "1 to 32 lower-case letters and `-`" });
        }
        Ok(Self {
            account: verified.account().clone(),
            recording_sid: params.required("RecordingSid", "`RE` and 32 hex digits")?,
            call: params.optional("CallSid", "`CA` and 32 hex digits")?,
            conference: params.optional("ConferenceSid", "`CF` and 32 hex digits")?,
            status: word.to_owned(),
            duration_s: params.number("RecordingDuration").filter(|&seconds| seconds >= 0),
            channels: params.number("RecordingChannels").filter(|channels| matches!(channels, 1 | 2)),
            started_at: params.readable("RecordingStartTime").and_then(Timestamp::parse_rfc2822),
            source: params.readable("RecordingSource").filter(|source| is_source(source)).map(str::to_owned),
            error_code: params.number("ErrorCode"),
            query: own_query(verified),
        })
    }
}

struct Params<'a>(&'a [(String, String)]);

impl<'a> Params<'a> {
    /// The value of a name; an empty one counts as absent.
    fn one(&self, field: &'static str) -> Result<Option<&'a str>, CallbackError> {
        let mut values = self.0.iter().filter(|(name, _)| name == field).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(CallbackError::Ambiguous { field });
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    fn optional<T: FromStr>(&self, field: &'static str, expected: &'static str) -> Result<Option<T>, CallbackError> {
        let parse = |text: &str| text.parse().map_err(|_| CallbackError::Malformed { field, expected });
        self.one(field)?.map(parse).transpose()
    }

    fn required<T: FromStr>(&self, field: &'static str, expected: &'static str) -> Result<T, CallbackError> {
        self.optional(field, expected)?.ok_or(CallbackError::Missing { field })
    }

    /// The value of a describing parameter, if there is exactly one.
    fn readable(&self, field: &'static str) -> Option<&'a str> {
        self.one(field).ok().flatten()
    }

    fn number(&self, field: &'static str) -> Option<i64> {
        self.readable(field)?.parse().ok()
    }
}

fn is_status(text: &str) -> bool {
    matches!(text.len(), 1..=32) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'-'))
}

fn is_source(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The query of our own URL: without the parameters that Twilio itself puts there.
fn own_query(verified: &Verified) -> Vec<(String, String)> {
    let theirs = |name: &str| name == BODY_DIGEST || (verified.is_get() && is_twilios(name));
    verified.query().iter().filter(|(name, _)| !theirs(name)).cloned().collect()
}

/// Whether Twilio uses this parameter name in voice requests.
///
/// A list and not a pattern, so that an operator's own `Team` or `Topic` survives; the places of the parties, which Twilio writes as
/// `FromCity` or `CallerZip`, and SIP headers are open-ended families.
fn is_twilios(name: &str) -> bool {
    const NAMES: &[&str] = &[
        ACCOUNT_SID,
        "AddOns",
        "ApiVersion",
        "ApplicationSid",
        "CallSid",
        "CallStatus",
        "CallToken",
        "CallbackSource",
        "Called",
        "Caller",
        "CallerId",
        "CallerName",
        "ConferenceSid",
        "Digits",
        "Direction",
        "EncryptionDetails",
        "ErrorCode",
        "ForwardedFrom",
        "From",
        "ParentCallSid",
        "SequenceNumber",
        "StirPassportToken",
        "StirStatus",
        "StirVerstat",
        "Timestamp",
        "To",
    ];
    const PLACES: &[&str] = &["City", "State", "Zip", "Country"];
    let is_place = |party: &str| name.strip_prefix(party).is_some_and(|rest| PLACES.contains(&rest));
    NAMES.contains(&name)
        || ["From", "To", "Caller", "Called"].into_iter().any(is_place)
        || name.starts_with("Recording")
        || name.starts_with("SipHeader_")
}

#[cfg(test)]
mod tests;
