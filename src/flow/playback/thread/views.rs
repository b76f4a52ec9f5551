//! The texts of a page in their views.
//!
//! Refuses to know how texts are redacted (`redaction`).

use std::collections::{BTreeMap, BTreeSet};

use super::{ShownText, ThreadItem};
use crate::{
    flow::playback::{
        context::{ContextText, place_of},
        redaction::{TextToRedact, redacted},
    },
    model::transcript::{Said, Transcript},
    policy::{Rulebook, View},
    secret::SecretBuffer,
};

/// Returns the opened texts, by their items, each in its view; `None` if one is no transcript.
pub(super) fn in_views(
    items: &[ThreadItem],
    opened: &[(usize, View, SecretBuffer)],
    context: Vec<ContextText>,
    rulebook: &Rulebook,
) -> Option<BTreeMap<usize, ShownText>> {
    let mut shown = BTreeMap::new();
    let mut less = Vec::new();
    let mut places = BTreeMap::new();
    for (at, view, json) in opened {
        let transcript = Transcript::parse(json).ok()?;
        match view {
            View::Audio | View::Transcript => {
                let sentences = transcript.sentences().iter();
                let text = ShownText {
                    text: joined(sentences.map(|sentence| &sentence.text)),
                    view: view.kind(),
                    redacted: BTreeSet::new(),
                };
                shown.insert(*at, text);
            }
            View::RedactedTranscript => {
                let recording = &items.get(*at)?.recording;
                places.insert(recording.id, *at);
                less.push(TextToRedact {
                    place: place_of(recording),
                    author: recording.author.clone(),
                    policy_digest: recording.policy_digest.clone(),
                    transcript,
                });
            }
            View::Window { .. } => return None,
        }
    }
    for (message, text) in redacted(less, context, rulebook)? {
        let shown_text = ShownText {
            text: joined(text.sentences.iter()),
            view: View::RedactedTranscript.kind(),
            redacted: text.kinds,
        };
        shown.insert(*places.get(&message)?, shown_text);
    }
    Some(shown)
}

/// Returns the whole text of sentences: those of a written text follow each other without a gap.
fn joined<'a>(sentences: impl Iterator<Item = &'a Said> + Clone) -> Said {
    let length = sentences.clone().map(|sentence| sentence.expose().len());
    let mut text = String::with_capacity(length.sum());
    for sentence in sentences {
        text.push_str(sentence.expose());
    }
    Said::new(text)
}
