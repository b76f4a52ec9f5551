//! Redaction of what was written in a conversation.
//!
//! Owns that messages are searched together, as the sentences of a call are: what one person spread
//! over several messages is found, whichever of them are shown. Refuses to know what must be
//! redacted: `policy` decides that; and how far is read beside them (`context`).

use std::collections::{BTreeMap, BTreeSet};

use super::context::{ContextText, TextPlace};
use crate::{
    model::{
        id::RecordingId,
        name::LegName,
        transcript::{Said, Sentence, Transcript},
    },
    policy::{Rulebook, Rules, content},
};

/// A text that is redacted.
pub(super) struct TextToRedact {
    pub(super) place: TextPlace,
    pub(super) author: Option<LegName>,
    /// The policy at its collection: what that redacts stays redacted, whatever later versions say.
    pub(super) policy_digest: String,
    pub(super) transcript: Transcript,
}

/// What is shown of a text.
#[derive(Default)]
pub(super) struct RedactedText {
    /// Its sentences, in order.
    pub(super) sentences: Vec<Said>,
    /// The kinds of content that were redacted.
    pub(super) kinds: BTreeSet<&'static str>,
}

/// Texts of a conversation as one transcript, with the message of each sentence.
struct Joined {
    transcript: Transcript,
    messages: Vec<RecordingId>,
}

/// Returns these texts redacted, by their messages; `None` if they are no transcript together.
pub(super) fn redacted(
    texts: Vec<TextToRedact>,
    context: Vec<ContextText>,
    rulebook: &Rulebook,
) -> Option<BTreeMap<RecordingId, RedactedText>> {
    let mut digests: BTreeMap<String, BTreeSet<RecordingId>> = BTreeMap::new();
    let mut all: BTreeMap<TextPlace, (Option<LegName>, Transcript)> = BTreeMap::new();
    for text in context {
        all.insert(text.place, (Some(text.author), text.transcript));
    }
    for text in texts {
        let messages = digests.entry(text.policy_digest).or_default();
        messages.insert(text.place.1);
        all.insert(text.place, (text.author, text.transcript));
    }
    let joined = Joined::of(&all)?;
    let mut shown = BTreeMap::new();
    for (digest, messages) in digests {
        shown.extend(joined.redacted(rulebook.binding(&digest), &messages));
    }
    Some(shown)
}

impl Joined {
    fn of(texts: &BTreeMap<TextPlace, (Option<LegName>, Transcript)>) -> Option<Self> {
        let mut sentences = Vec::new();
        let mut messages = Vec::new();
        for ((_, message), (author, transcript)) in texts {
            for sentence in transcript.sentences() {
                let place = sentences.len() as u64;
                // In this order, whatever times they have; by who wrote them, whatever leg they had
                // when they were sealed.
                sentences.push(Sentence {
                    start_ms: place,
                    end_ms: place,
                    leg: author.clone().or_else(|| sentence.leg.clone()),
                    ..sentence.clone()
                });
                messages.push(*message);
            }
        }
        let transcript = Transcript::new("und".to_owned(), "message".to_owned(), sentences).ok()?;
        Some(Self {
            transcript,
            messages,
        })
    }

    /// Returns the texts of these messages without what these rules find.
    fn redacted<'a>(
        &self,
        rules: impl Iterator<Item = &'a Rules>,
        those: &BTreeSet<RecordingId>,
    ) -> BTreeMap<RecordingId, RedactedText> {
        let mut transcript = self.transcript.clone();
        let mut shown: BTreeMap<RecordingId, RedactedText> = those
            .iter()
            .map(|message| (*message, RedactedText::default()))
            .collect();
        for rules in rules {
            let content = &rules.document().content;
            for (sentence, found) in content::found_where(&transcript, content) {
                let message = self.messages.get(sentence);
                let Some(text) = message.and_then(|message| shown.get_mut(message)) else {
                    continue;
                };
                let rules = found.iter().filter_map(|rule| content.get(*rule));
                text.kinds.extend(rules.map(|rule| rule.pattern.kind()));
            }
            transcript = content::redacted(&transcript, content);
        }
        for (sentence, message) in transcript.sentences().iter().zip(&self.messages) {
            if let Some(text) = shown.get_mut(message) {
                text.sentences.push(sentence.text.clone());
            }
        }
        shown
    }
}
