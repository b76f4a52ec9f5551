//! The texts of a page in their views.
//!
//! Owns that messages are searched together, as the sentences of a call are: what one person spread
//! over several messages of a page is found. Refuses to know what must be redacted: `policy` decides
//! that.

use std::collections::{BTreeMap, BTreeSet};

use super::{ShownText, ThreadItem};
use crate::{
    model::transcript::{Said, Sentence, Transcript},
    policy::{Rulebook, Rules, View, content},
    secret::SecretBuffer,
};

/// A page as one transcript, with the item of each sentence.
struct Joined {
    transcript: Transcript,
    items: Vec<usize>,
}

/// Returns the opened texts, by their items, each in its view; `None` if one is no transcript.
pub(super) fn in_views(
    items: &[ThreadItem],
    opened: &[(usize, View, SecretBuffer)],
    rulebook: &Rulebook,
) -> Option<BTreeMap<usize, ShownText>> {
    let mut shown = BTreeMap::new();
    let mut less = Vec::new();
    let mut digests: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, view, json) in opened {
        let transcript = Transcript::parse(json).ok()?;
        match view {
            View::Audio | View::Transcript => {
                let text = joined(transcript.sentences().iter());
                shown.insert(
                    *at,
                    ShownText {
                        text,
                        view: view.kind(),
                        redacted: BTreeSet::new(),
                    },
                );
            }
            View::RedactedTranscript => {
                let digest = &items.get(*at)?.recording.policy_digest;
                digests.entry(digest).or_default().insert(*at);
                less.push((*at, transcript));
            }
            View::Window { .. } => return None,
        }
    }
    let page = Joined::of(&less)?;
    for (digest, those) in digests {
        // A redaction by the version at the time of a message stays, whatever later versions say.
        shown.extend(page.redacted(rulebook.binding(digest), &those));
    }
    Some(shown)
}

impl Joined {
    fn of(texts: &[(usize, Transcript)]) -> Option<Self> {
        let mut sentences = Vec::new();
        let mut items = Vec::new();
        for (at, transcript) in texts {
            for sentence in transcript.sentences() {
                let place = sentences.len() as u64;
                // In this order, whatever times they have.
                sentences.push(Sentence {
                    start_ms: place,
                    end_ms: place,
                    ..sentence.clone()
                });
                items.push(*at);
            }
        }
        let transcript = Transcript::new("und".to_owned(), "message".to_owned(), sentences).ok()?;
        Some(Self { transcript, items })
    }

    /// Returns the texts of these items without what these rules find.
    fn redacted<'a>(
        &self,
        rules: impl Iterator<Item = &'a Rules>,
        those: &BTreeSet<usize>,
    ) -> BTreeMap<usize, ShownText> {
        let mut transcript = self.transcript.clone();
        let mut kinds: BTreeMap<usize, BTreeSet<&'static str>> = BTreeMap::new();
        for rules in rules {
            let content = &rules.document().content;
            for (sentence, found) in content::found_where(&transcript, content) {
                let Some(item) = self.items.get(sentence) else {
                    continue;
                };
                let rules = found.iter().filter_map(|rule| content.get(*rule));
                kinds
                    .entry(*item)
                    .or_default()
                    .extend(rules.map(|rule| rule.pattern.kind()));
            }
            transcript = content::redacted(&transcript, content);
        }
        let text = |at: usize| {
            let sentences = transcript.sentences().iter().zip(&self.items);
            joined(
                sentences
                    .filter(|(_, item)| **item == at)
                    .map(|(sentence, _)| sentence),
            )
        };
        let shown = |at: &usize| {
            let text = ShownText {
                text: text(*at),
                view: View::RedactedTranscript.kind(),
                redacted: kinds.remove(at).unwrap_or_default(),
            };
            (*at, text)
        };
        those.iter().map(shown).collect()
    }
}

/// Returns the whole text of sentences: those of a written text follow each other without a gap.
fn joined<'a>(sentences: impl Iterator<Item = &'a Sentence> + Clone) -> Said {
    let length = sentences
        .clone()
        .map(|sentence| sentence.text.expose().len());
    let mut text = String::with_capacity(length.sum());
    for sentence in sentences {
        text.push_str(sentence.text.expose());
    }
    Said::new(text)
}
