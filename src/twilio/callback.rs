//! The recording status callback: Twilio tells that a recording began, is complete, is absent or
//! failed.
//!
//! Owns which parameters we read and how strictly
//! (<https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>). Refuses to decide
//! what follows from them, and keeps no personal data: telephone numbers, names and places are not
//! read here ([`CallbackParties`](super::CallbackParties) reads whom a callback tells of).
//!
//! INVARIANT: it is made only from [`Verified`] input. Parameters that say *which* recording this
//! is about are right or the callback is refused; parameters that only describe it are taken when
//! they can be read, because a bad duration is no reason to lose a recording.

mod from_resource;

use super::{
    encryption,
    params::{CallbackError, VerifiedParams},
    signature::{ACCOUNT_SID, BODY_DIGEST, Verified},
};
use crate::model::{
    encryption::Encryption,
    media::SourceRef,
    sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
    time::Timestamp,
};

/// What one callback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingCallback {
    /// The recording; its account or subaccount has signed this.
    pub source_ref: SourceRef,
    /// The (parent) call; absent for a conference.
    pub call: Option<CallSid>,
    /// The conference.
    pub conference: Option<ConferenceSid>,
    /// `in-progress`, `completed`, `absent`, `failed`, or a word that Twilio adds later; 1 to 32 of
    /// `a-z` and `-`.
    pub status: String,
    /// Length in whole seconds.
    pub duration_s: Option<i64>,
    /// 1 or 2.
    pub channels: Option<i64>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// What made it (`DialVerb`, `Conference`, …); an open set, at most 64 letters, digits, `-` and
    /// `_`.
    pub source: Option<String>,
    /// 0 on success, 16101 too short, 16102 silent.
    pub error_code: Option<i64>,
    /// How it is encrypted with the customer's key, where it is.
    pub encryption: Option<Encryption>,
    /// What our own callback URL carries in its query, in order; classification reads it.
    pub query: Vec<(String, String)>,
}

impl RecordingCallback {
    /// Reads a verified request. Unknown parameters are ignored: Twilio may add some at any time.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        let account = ACCOUNT_SID;
        let status = "RecordingStatus";
        params.required::<AccountSid>(account, "`AC` and 32 hex digits")?;
        let word = params
            .one(status)?
            .ok_or(CallbackError::Missing { field: status })?;
        if !is_status(word) {
            return Err(CallbackError::Malformed {
                field: status,
                expected: "1 to 32 lower-case letters and `-`",
            });
        }
        let recording: RecordingSid = params.required("RecordingSid", "`RE` and 32 hex digits")?;
        Ok(Self {
            source_ref: SourceRef::of_call(verified.account(), &recording),
            call: params.optional("CallSid", "`CA` and 32 hex digits")?,
            conference: params.optional("ConferenceSid", "`CF` and 32 hex digits")?,
            status: word.to_owned(),
            duration_s: params
                .number("RecordingDuration")
                .filter(|&seconds| seconds >= 0),
            channels: params
                .number("RecordingChannels")
                .filter(|channels| matches!(channels, 1 | 2)),
            started_at: params
                .readable("RecordingStartTime")
                .and_then(Timestamp::parse_rfc2822),
            source: params
                .readable("RecordingSource")
                .filter(|source| is_source(source))
                .map(str::to_owned),
            error_code: params.number("ErrorCode"),
            // Details that cannot be read are no reason to lose the recording: the fetch asks the
            // REST interface for them.
            encryption: params
                .readable("EncryptionDetails")
                .and_then(|text| encryption::from_json(text).ok().flatten()),
            query: own_query(verified),
        })
    }
}

fn is_status(text: &str) -> bool {
    matches!(text.len(), 1..=32) && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'-'))
}

fn is_source(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// The query of our own URL: without the parameters that Twilio itself puts there.
fn own_query(verified: &Verified) -> Vec<(String, String)> {
    let theirs = |name: &str| name == BODY_DIGEST || (verified.is_get() && is_twilios(name));
    verified
        .query()
        .iter()
        .filter(|(name, _)| !theirs(name))
        .cloned()
        .collect()
}

/// Whether Twilio uses this parameter name in voice requests.
///
/// A list and not a pattern, so that an operator's own `Team` or `Topic` survives; the places of
/// the parties, which Twilio writes as `FromCity` or `CallerZip`, and SIP headers are open-ended
/// families.
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
    let is_place = |party: &str| {
        name.strip_prefix(party)
            .is_some_and(|rest| PLACES.contains(&rest))
    };
    NAMES.contains(&name)
        || ["From", "To", "Caller", "Called"].into_iter().any(is_place)
        || name.starts_with("Recording")
        || name.starts_with("SipHeader_")
}

#[cfg(test)]
mod tests;
