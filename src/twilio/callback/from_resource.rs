//! Converts a REST recording into the callback it corresponds to.
//!
//! Owns the mapping of REST fields to callback fields. Refuses to request the resource (`rest`).

use super::{RecordingCallback, is_source};
use crate::{
    model::{media::SourceRef, sid::AccountSid},
    twilio::{encryption, rest::RecordingResource},
};

impl RecordingResource {
    /// Returns the callback, so that both sources have the same effect. Every status other than
    /// `completed` and `absent` becomes `in-progress`. As in callbacks, only completed recordings
    /// have a length, channels, and the error code 0 for success. `account` is the requested one,
    /// which the resource does not always name.
    pub fn to_callback(&self, account: &AccountSid) -> RecordingCallback {
        let status = match self.status.as_str() {
            "completed" | "absent" => self.status.as_str(),
            _ => "in-progress",
        };
        let is_complete = status == "completed";
        RecordingCallback {
            source_ref: SourceRef::of_call(account, &self.sid),
            call: self.call_sid.clone(),
            conference: self.conference_sid.clone(),
            status: status.to_owned(),
            duration_s: self.duration.filter(|&seconds| is_complete && seconds >= 0),
            channels: self
                .channels
                .filter(|channels| is_complete && matches!(channels, 1 | 2)),
            started_at: self.start_time,
            source: self.source.clone().filter(|source| is_source(source)),
            error_code: self.error_code.or(is_complete.then_some(0)),
            encryption: encryption::from_value(&self.encryption_details)
                .ok()
                .flatten(),
            query: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
