//! `[twilio.transcripts]`: how transcripts are fetched, of every account.

use std::ops::RangeInclusive;

use super::faults::TableFaults;

/// Hours for which a transcript waits.
const WAIT_H: RangeInclusive<u32> = 1..=720;

/// `[twilio.transcripts]`.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TranscriptSettings {
    /// Whether sentences are fetched as Conversational Intelligence hides what is sensitive in
    /// them, where that is on. The vault hides by its own rules what a view must not show, and can
    /// do so only with what was said.
    pub redacted: bool,
    /// Hours for which a transcript waits for its recording, and pieces of one that is made in real
    /// time for their end, 1 to 720.
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
    /// Checks them.
    pub(super) fn check(&self, faults: &mut TableFaults<'_>) {
        faults.check_range("wait_h", &self.wait_h, &WAIT_H, "hours");
    }
}
