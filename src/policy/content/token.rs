//! A text as the finders see it: words, and runs of digits.
//!
//! Owns what a word is, what may stand between two parts of one number, and which words are digits. INVARIANT: tokens stand in the order of the
//! text, do not overlap, and begin and end on boundaries of characters.

use std::ops::Range;

/// A word or a run of digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    start: usize,
    end: usize,
    /// Whether the next token may belong to the same number: only spaces, dashes and the like are between them.
    pub(super) goes_on: bool,
    /// A digit in words.
    spoken: Option<u8>,
    /// Only ASCII digits.
    is_number: bool,
}

/// The tokens of one text.
pub(super) struct Tokens<'t> {
    text: &'t str,
    all: Vec<Token>,
}

impl<'t> Tokens<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let mut all: Vec<Token> = Vec::new();
        let mut chars = text.char_indices().peekable();
        while let Some((start, first)) = chars.next() {
            if !is_word(first) {
                continue;
            }
            let (mut end, mut is_number) = (start + first.len_utf8(), first.is_ascii_digit());
            if !is_unspaced(first) {
                while let Some((at, c)) = chars.next_if(|(_, c)| is_word(*c) && !is_unspaced(*c)) {
                    (end, is_number) = (at + c.len_utf8(), is_number && c.is_ascii_digit());
                }
            }
            if let Some(before) = all.last_mut() {
                before.goes_on = text.get(before.end..start).is_some_and(is_soft);
            }
            let spoken = text.get(start..end).and_then(spoken);
            all.push(Token { start, end, goes_on: false, spoken, is_number });
        }
        Self { text, all }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Token> {
        self.all.get(at)
    }

    /// The token as it stands in the text.
    pub(super) fn word(&self, token: &Token) -> &'t str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    /// From the first of these tokens to the last.
    pub(super) fn range(&self, first: usize, last: usize) -> Range<usize> {
        match (self.get(first), self.get(last)) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }

    /// The letters and digits that a token stands for: itself, or the digit that it is the word for.
    pub(super) fn symbols(&self, token: &Token) -> impl Iterator<Item = char> + use<'t> {
        let spoken = token.spoken.and_then(|digit| char::from_digit(digit.into(), 10));
        let own = if spoken.is_some() { "" } else { self.word(token) };
        spoken.into_iter().chain(own.chars())
    }

    /// The digits of a token that is nothing but digits.
    pub(super) fn digits(&self, token: &Token) -> Option<impl Iterator<Item = u8> + use<'t>> {
        let spoken = token.spoken;
        let own = if token.is_number { self.word(token) } else { "" };
        (token.is_number || spoken.is_some()).then(|| spoken.into_iter().chain(own.bytes().map(|digit| digit - b'0')))
    }

    /// Runs of tokens from `first` on that are all digits and go on to each other, with their digits so far, up to `most` digits: the last token
    /// and the digits of each run that ends there.
    pub(super) fn runs(&self, first: usize, most: usize) -> Vec<(usize, Vec<u8>)> {
        let (mut runs, mut digits) = (Vec::new(), Vec::new());
        for at in first.. {
            let Some(token) = self.get(at) else { break };
            // A run that has more digits than wanted is not looked through for a part of it.
            let Some(more) = self.digits(token).map(|more| more.take(most + 1)) else { break };
            digits.extend(more);
            if digits.len() > most {
                break;
            }
            runs.push((at, digits.clone()));
            if !token.goes_on {
                break;
            }
        }
        runs
    }
}

/// What belongs to a word: letters, digits and the marks that stand over them.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

/// Letters of scripts that put no spaces between words: each is a token of its own, so that a listed word is found anywhere.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// What may stand between two parts of one number: a few spaces, dashes, dots or commas. A full stop, because a listener may end a sentence there.
fn is_soft(between: &str) -> bool {
    let mut chars = between.chars();
    let soft = |c: char| {
        c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '.' | ',' | ';' | '…' | '/' | '\u{200b}'..='\u{200d}')
    };
    chars.by_ref().take(MAX_BETWEEN).all(soft) && chars.next().is_none()
}

/// Characters between two parts of one number, at most.
const MAX_BETWEEN: usize = 8;

/// A digit as an English word.
fn spoken(word: &str) -> Option<u8> {
    const WORDS: [(&str, u8); 13] = [
        ("zero", 0),
        ("oh", 0),
        ("o", 0),
        ("nought", 0),
        ("one", 1),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
    ];
    let found = WORDS.iter().find(|(spoken, _)| word.eq_ignore_ascii_case(spoken));
    found.map(|(_, digit)| *digit)
}
