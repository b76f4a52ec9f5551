//! The `transcribeCallback` of `<Record transcribe="true">`: a recording was transcribed, or could
//! not be.
//!
//! It carries the text as well. That is never read: it is fetched, as everything else is, so that
//! what was said comes over one way only.

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
    /// The account, which has signed this.
    pub account: AccountSid,
    /// The transcription.
    pub transcription: TranscriptionSid,
    /// Of what it is.
    pub recording: RecordingSid,
}

impl TranscriptionCallback {
    /// Reads a verified request.
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
