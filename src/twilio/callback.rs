//! The recording status callback: a recording began, is complete, is absent or failed.
//!
//! Owns the parameters that are read, and the strictness of each
//! (<https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback>). Refuses to decide
//! the consequences, and keeps no personal data: telephone numbers, names and places are not read
//! here ([`CallbackParties`](super::CallbackParties) reads the participants).
//!
//! INVARIANT: it is made only from [`Verified`] input. A malformed parameter that identifies the
//! recording refuses the callback. A malformed parameter that only describes it is ignored, because
//! a bad duration is no reason to lose a recording.

mod from_resource;

use super::{
    encryption,
    own_query::own_query,
    params::{CallbackError, VerifiedParams},
    signature::{ACCOUNT_SID, Verified},
};
use crate::model::{
    encryption::Encryption,
    media::SourceRef,
    sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
    time::Timestamp,
};

/// The content of one callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingCallback {
    /// The recording; its account or subaccount has signed the request.
    pub source_ref: SourceRef,
    /// The (parent) call; absent for a conference.
    pub call: Option<CallSid>,
    /// The conference.
    pub conference: Option<ConferenceSid>,
    /// `in-progress`, `completed`, `absent`, `failed`, or a later status of Twilio's: 1 to 32
    /// characters of `a-z` and `-`.
    pub status: String,
    /// Length in whole seconds.
    pub duration_s: Option<i64>,
    /// 1 or 2.
    pub channels: Option<i64>,
    /// The beginning of the recording.
    pub started_at: Option<Timestamp>,
    /// The component that made the recording (`DialVerb`, `Conference`, …): an open set, at most 64
    /// letters, digits, `-` and `_`.
    pub source: Option<String>,
    /// 0 for success, 16101 for too short, 16102 for silent.
    pub error_code: Option<i64>,
    /// Its encryption with the customer's key, if it has one.
    pub encryption: Option<Encryption>,
    /// The query parameters of our own callback URL, in order, for classification.
    pub query: Vec<(String, String)>,
}

impl RecordingCallback {
    /// Parses a verified request. Unknown parameters are ignored: Twilio may add some at any time.
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
            // Unreadable details are no reason to lose the recording: the fetch requests them from
            // the REST interface.
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

#[cfg(test)]
mod tests;
