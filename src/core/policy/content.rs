//! What a text gives away: numbers of cards, social security and bank accounts, and words that the
//! policy lists.
//!
//! Owns the finding and the hiding. Refuses to keep or to tell what it found: it gives places and
//! rules. It would rather find too much than too little: what is found can only make a recording
//! more sensitive, or hide something.
//!
//! Digits count in whatever way a transcript has them: in groups, with spaces or punctuation of any
//! kind between them, spread over sentences, or as English or German words (`four one one one`,
//! `forty-one eleven`, `einundvierzig elf`). A card number goes on over a few words between its
//! groups.
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
pub use self::transcript::{found_in, redacted};
use super::document::{ContentRule, Pattern};

/// Something that a rule finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentMatch {
    /// Where, in bytes of the text; on boundaries of characters.
    pub range: Range<usize>,
    /// Which rule, counted from 0.
    pub rule: usize,
}

impl Pattern {
    /// What kind of thing it finds, as the policy file says it.
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Everything that the rules find, in the order of the text. Places may overlap.
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

/// The text with a `█` for every character of what was found: as many characters as before.
pub fn redact(text: &str, found: &[ContentMatch]) -> String {
    let mut ranges: Vec<Range<usize>> = found.iter().map(|found| found.range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    hide(text, ranges.into_iter())
}

/// The same for places in the order of their beginnings.
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

/// What stands for a character that is hidden.
const HIDDEN: char = '█';
