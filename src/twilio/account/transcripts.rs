//! `[twilio.transcripts]`: the retrieval of transcripts, for all accounts.

use std::ops::RangeInclusive;

use super::faults::TableFaults;

/// Hours for which a transcript waits for its recording.
const WAIT_H: RangeInclusive<u32> = 1..=720;

/// `[twilio.transcripts]`.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscriptSettings {
    /// Whether sentences are fetched in the redacted form of Conversational Intelligence, where
    /// redaction is on. The vault redacts views by its own rules, and needs the original text for
    /// that.
    pub redacted: bool,
    /// Hours for which a transcript waits for its recording, and for which the parts of a real-time
    /// transcript wait for its end, 1 to 720.
    pub wait_h: u32,
}

impl Default for TranscriptSettings {
    fn default() -> Self {
        Self {
            redacted: false,
            wait_h: 48,
        }
    }
}

impl TranscriptSettings {
    /// Checks the settings.
    pub(super) fn check(&self, faults: &mut TableFaults<'_>) {
        faults.check_range("wait_h", &self.wait_h, &WAIT_H, "hours");
    }
}
