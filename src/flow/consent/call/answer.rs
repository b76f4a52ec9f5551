//! What was answered: by which key, or in which words, and how sure the source is of them.

use crate::{
    model::consent::Method,
    policy::{Spoken, Understood, VoiceConsent},
    twilio::VoiceRequest,
};

/// Characters of an utterance that go into the evidence; one that counts is a listed one, and these
/// are shorter.
const SPEECH: usize = 200;

/// An answer with what is known of how it was given.
pub(super) struct GivenAnswer {
    pub(super) method: Method,
    pub(super) evidence: String,
}

/// What was answered: by a key if there is one, otherwise in words. What was said is one of the
/// policy's own utterances wherever it counts.
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
