//! Sensitive content of a text: card numbers, social security numbers, bank account numbers, and
//! words that the policy lists.
//!
//! Owns finding and redacting it. Refuses to store or to report the found text: it returns
//! positions and rules. It prefers false positives to false negatives: a finding can only make a
//! recording more sensitive, or redact something.
//!
//! Digits are recognised in every form of a transcript: in groups, separated by spaces or any
//! punctuation, spread over sentences, or as English or German words (`four one one one`,
//! `forty-one eleven`, `einundvierzig elf`). A card number may have a few words between its groups.
#![deny(clippy::indexing_slicing)]

mod account;
mod card;
mod numeral;
mod security;
#[cfg(test)]
mod tests;
mod token;
mod transcript;
mod words;

use std::ops::Range;

use self::token::Tokens;
pub use self::transcript::{found_in, found_where, redacted};
use super::document::{ContentRule, Pattern};

/// A finding of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentMatch {
    /// Its range in bytes of the text; on character boundaries.
    pub range: Range<usize>,
    /// The index of the rule, from 0.
    pub rule: usize,
}

impl Pattern {
    /// Returns the kind of finding, as the policy file names it.
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Returns every finding of the rules, in the order of the text. Ranges may overlap.
pub fn find(text: &str, rules: &[ContentRule]) -> Vec<ContentMatch> {
    if rules.is_empty() {
        return Vec::new();
    }
    let tokens = Tokens::of(text);
    let mut found = Vec::new();
    for (rule, ContentRule { pattern, .. }) in rules.iter().enumerate() {
        let ranges = match pattern {
            Pattern::CardNumber => card::find(&tokens),
            Pattern::UsSocialSecurityNumber => security::find(&tokens),
            Pattern::Iban => account::find(&tokens),
            Pattern::Words(words) => words::find(&tokens, words),
        };
        found.extend(ranges.into_iter().map(|range| ContentMatch { range, rule }));
    }
    found.sort_by_key(|found| (found.range.start, found.range.end, found.rule));
    found
}

/// The most tokens that decide about a number, on either side of any of them: a card number of single
/// digits, with words between its groups.
const OF_NUMBER: usize = 128;

/// Returns how many tokens on either side of a text decide about findings in it, counted as by
/// [`weight`]; 0 if no rule finds anything.
pub fn reach(rules: &[ContentRule]) -> usize {
    let reach = rules.iter().map(|rule| match &rule.pattern {
        Pattern::CardNumber | Pattern::UsSocialSecurityNumber | Pattern::Iban => OF_NUMBER,
        Pattern::Words(words) => {
            let lengths = words.iter().map(|phrase| Tokens::of(phrase).len());
            lengths.max().unwrap_or_default()
        }
    });
    reach.max().unwrap_or_default()
}

/// Returns the number of tokens of a text without fillers, any number of which may occur inside a
/// number.
pub fn weight(text: &str) -> usize {
    let tokens = Tokens::of(text);
    let is_filler = |at: &usize| tokens.digits(*at).is_some_and(<[u8]>::is_empty);
    (0..tokens.len()).filter(|at| !is_filler(at)).count()
}

/// Returns the text with a `█` for every found character; the number of characters stays the same.
pub fn redact(text: &str, found: &[ContentMatch]) -> String {
    let mut ranges: Vec<Range<usize>> = found.iter().map(|found| found.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    hide(text, ranges.into_iter())
}

/// As [`redact`], for ranges in the order of their beginnings.
fn hide(text: &str, ranges: impl Iterator<Item = Range<usize>>) -> String {
    let mut ranges = ranges.peekable();
    let mut hidden_to = 0;
    let hide = |(at, c): (usize, char)| {
        while let Some(range) = ranges.next_if(|range| range.start <= at) {
            hidden_to = hidden_to.max(range.end);
        }
        if at < hidden_to { HIDDEN } else { c }
    };
    text.char_indices().map(hide).collect()
}

/// The replacement of a hidden character.
const HIDDEN: char = '█';
