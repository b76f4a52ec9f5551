//! Sensitive content of a transcript.
//!
//! Owns the mapping from sentences to one text per leg and back, so that content spread over
//! sentences or words is found in place. INVARIANT: if one of the two forms of a sentence, the
//! whole or the words, has a finding, the redacted transcript shows it in neither form.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use super::{ContentMatch, HIDDEN, find, hide};
use crate::{
    model::transcript::{Said, Sentence, Transcript},
    policy::document::ContentRule,
};

/// Returns how often each rule, by index from 0, matches the transcript; rules without a match are
/// omitted. A sentence has two forms, and a finding in both counts once.
pub fn found_in(transcript: &Transcript, rules: &[ContentRule]) -> BTreeMap<usize, usize> {
    let mut most = BTreeMap::new();
    for form in [whole, by_word] {
        let mut found: BTreeMap<usize, usize> = BTreeMap::new();
        for leg in legs(transcript, form) {
            for ContentMatch { rule, .. } in find(&leg.text, rules) {
                *found.entry(rule).or_default() += 1;
            }
        }
        for (rule, count) in found {
            let most: &mut usize = most.entry(rule).or_default();
            *most = count.max(*most);
        }
    }
    most
}

/// Returns which rules, by index from 0, have a finding in each sentence, by its index; sentences
/// without a finding are omitted.
pub fn found_where(
    transcript: &Transcript,
    rules: &[ContentRule],
) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut found: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for form in [whole, by_word] {
        for leg in legs(transcript, form) {
            for ContentMatch { range, rule } in find(&leg.text, rules) {
                let first = leg
                    .pieces
                    .partition_point(|(piece, _)| piece.end <= range.start);
                let touched = leg.pieces.iter().skip(first);
                for (_, sentence) in touched.take_while(|(piece, _)| piece.start < range.end) {
                    found.entry(*sentence).or_default().insert(rule);
                }
            }
        }
    }
    found
}

/// Returns the transcript with every finding of the rules redacted.
pub fn redacted(transcript: &Transcript, rules: &[ContentRule]) -> Transcript {
    let [texts, words] = [whole, by_word].map(|form| hidden(transcript, rules, form));
    transcript.retold(|at, sentence| {
        let texts = texts.get(&at);
        let words = words.get(&at);
        let text = match (texts.and_then(|texts| texts.first()), words) {
            (Some(text), _) => text.clone(),
            (None, None) => sentence.text.expose().to_owned(),
            // Found in the words only: its position in the whole sentence is unknown.
            (None, Some(_)) => blackened(&sentence.text),
        };
        let words = match (words, texts) {
            (Some(words), _) => words.clone(),
            (None, None) => sentence
                .words
                .iter()
                .map(|word| word.text.expose().to_owned())
                .collect(),
            (None, Some(_)) => sentence
                .words
                .iter()
                .map(|word| blackened(&word.text))
                .collect(),
        };
        (Said::new(text), words.into_iter().map(Said::new).collect())
    })
}

/// Returns the texts of a sentence in one of its forms.
type Form = fn(&Sentence) -> Vec<&str>;

fn whole(sentence: &Sentence) -> Vec<&str> {
    vec![sentence.text.expose()]
}

fn by_word(sentence: &Sentence) -> Vec<&str> {
    sentence
        .words
        .iter()
        .map(|word| word.text.expose())
        .collect()
}

/// The whole text of one leg.
#[derive(Default)]
struct Leg {
    text: String,
    /// The range of each piece in the text, and the index of its sentence.
    pieces: Vec<(Range<usize>, usize)>,
}

fn legs(transcript: &Transcript, form: Form) -> Vec<Leg> {
    let mut legs = BTreeMap::new();
    for (at, sentence) in transcript.sentences().iter().enumerate() {
        let leg: &mut Leg = legs.entry(&sentence.leg).or_default();
        for piece in form(sentence) {
            if !leg.text.is_empty() {
                leg.text.push(' ');
            }
            let start = leg.text.len();
            leg.text.push_str(piece);
            leg.pieces.push((start..leg.text.len(), at));
        }
    }
    legs.into_values().collect()
}

/// Returns the redacted texts of those sentences that have a finding.
fn hidden(
    transcript: &Transcript,
    rules: &[ContentRule],
    form: Form,
) -> BTreeMap<usize, Vec<String>> {
    let mut hidden = BTreeMap::new();
    for leg in legs(transcript, form) {
        let ranges = merged(&find(&leg.text, rules));
        let inside = |piece: &Range<usize>| {
            let first = ranges.partition_point(|range| range.end <= piece.start);
            let start = piece.start;
            let end = piece.end;
            ranges
                .iter()
                .skip(first)
                .take_while(move |range| range.start < end)
                .map(move |range| {
                    let within = |at: usize| at.clamp(start, end) - start;
                    within(range.start)..within(range.end)
                })
        };
        let touched: BTreeSet<usize> = leg
            .pieces
            .iter()
            .filter(|(piece, _)| inside(piece).next().is_some())
            .map(|(_, sentence)| *sentence)
            .collect();
        for (piece, sentence) in leg
            .pieces
            .iter()
            .filter(|(_, sentence)| touched.contains(sentence))
        {
            let text = hide(
                leg.text.get(piece.clone()).unwrap_or_default(),
                inside(piece),
            );
            hidden.entry(*sentence).or_insert_with(Vec::new).push(text);
        }
    }
    hidden
}

/// Returns the ranges without overlaps, in order.
fn merged(found: &[ContentMatch]) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for ContentMatch { range, .. } in found {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range.clone()),
        }
    }
    merged
}

fn blackened(said: &Said) -> String {
    said.expose().chars().map(|_| HIDDEN).collect()
}
