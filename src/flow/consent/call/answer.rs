//! Interpretation of an answer: by key or by speech, with the confidence of the recognition.

use crate::{
    model::consent::Method,
    policy::{Spoken, Understood, VoiceConsent},
    twilio::VoiceRequest,
};

/// The number of characters of an utterance that are stored as evidence. Utterances that count are
/// listed in the policy, and shorter.
const SPEECH: usize = 200;

/// An answer with the way it was given.
pub(super) struct GivenAnswer {
    pub(super) method: Method,
    pub(super) evidence: String,
}

/// Interprets an answer: by the key if there is one, otherwise by the speech. Speech counts only if
/// it is one of the policy's own utterances.
pub(super) fn understand(
    request: &VoiceRequest,
    voice: &VoiceConsent,
    spoken: &Spoken,
) -> (Understood, GivenAnswer) {
    match (&request.digits, &request.speech) {
        (Some(digits), _) => {
            let key = digits.chars().next().unwrap_or_default();
            (
                spoken.reads(digits),
                GivenAnswer {
                    method: Method::Keypad,
                    evidence: format!("key {key}"),
                },
            )
        }
        (None, Some(speech)) => {
            let sure = request.confidence.map_or_else(
                || "not told".to_owned(),
                |confidence| format!("{confidence:.2}"),
            );
            let evidence = format!(
                "“{}”, confidence {sure}",
                speech.trim().chars().take(SPEECH).collect::<String>()
            );
            (
                voice.hears(spoken, speech, request.confidence),
                GivenAnswer {
                    method: Method::Speech,
                    evidence,
                },
            )
        }
        (None, None) => (
            Understood::Unclear,
            GivenAnswer {
                method: Method::Keypad,
                evidence: String::new(),
            },
        ),
    }
}
