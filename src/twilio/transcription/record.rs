//! The `transcribeCallback` of `<Record transcribe="true">`: a recording was transcribed, or could
//! not be.
//!
//! It also holds the text. That is never read: the text is fetched like all others, so that there
//! is only one path for spoken text.

use crate::{
    model::sid::{AccountSid, RecordingSid, TranscriptionSid},
    twilio::{
        params::{CallbackError, VerifiedParams},
        signature::Verified,
    },
};

/// A transcription can be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriptionCallback {
    /// The account that signed the request.
    pub account: AccountSid,
    /// The transcription.
    pub transcription: TranscriptionSid,
    /// The transcribed recording.
    pub recording: RecordingSid,
}

impl TranscriptionCallback {
    /// Parses a verified request.
    ///
    /// # Errors
    /// [`CallbackError`] names the parameter.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        Ok(Self {
            account: verified.account().clone(),
            transcription: params.required("TranscriptionSid", "`TR` and 32 hex digits")?,
            recording: params.required("RecordingSid", "`RE` and 32 hex digits")?,
        })
    }
}
