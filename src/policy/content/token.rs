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
    kind: Kind,
    /// How often it counts: the digit after `double` does twice.
    times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any word.
    Word,
    /// Only digits.
    Number,
    /// A digit in words.
    Spoken(u8),
    /// Says how often the next digit counts.
    Times(usize),
    /// May stand inside a number and says nothing.
    Filler,
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
            let (mut end, mut is_number) = (start + first.len_utf8(), digit(first).is_some());
            if !is_unspaced(first) {
                while let Some((at, c)) = chars.next_if(|(_, c)| is_word(*c) && !is_unspaced(*c)) {
                    (end, is_number) = (at + c.len_utf8(), is_number && digit(c).is_some());
                }
            }
            let mut times = 1;
            if let Some(before) = all.last_mut() {
                before.goes_on = text.get(before.end..start).is_some_and(is_soft);
                if let (Kind::Times(said), true) = (before.kind, before.goes_on) {
                    times = said;
                }
            }
            let kind = if is_number { Kind::Number } else { text.get(start..end).map_or(Kind::Word, kind) };
            // `double 17` is no two digits.
            let is_one =
                matches!(kind, Kind::Spoken(_)) || is_number && text.get(start..end).is_some_and(|text| text.chars().nth(1).is_none());
            all.push(Token { start, end, goes_on: false, kind, times: if is_one { times } else { 1 } });
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
        let (spoken, own, times) = match token.kind {
            Kind::Word => (None, self.word(token), 1),
            Kind::Number => (None, self.word(token), token.times),
            Kind::Spoken(digit) => (char::from_digit(digit.into(), 10), "", token.times),
            Kind::Times(_) | Kind::Filler => (None, "", 1),
        };
        let once = spoken.into_iter().chain(own.chars().map(|c| digit(c).map_or(c, |digit| char::from(b'0' + digit))));
        (0..times).flat_map(move |_| once.clone())
    }

    /// The digits of a token that may be a part of a number: none of them for a word that says nothing, no answer for any other word.
    pub(super) fn digits(&self, token: &Token) -> Option<impl Iterator<Item = u8> + use<'t>> {
        (token.kind != Kind::Word).then(|| self.symbols(token).filter_map(digit))
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
            if digits.len() > most || token.kind == Kind::Filler && at == first {
                break;
            }
            if !matches!(token.kind, Kind::Filler | Kind::Times(_)) {
                runs.push((at, digits.clone()));
            }
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

/// A digit of the scripts in which transcripts come: ASCII, full-width, Arabic, Persian, Devanagari, Bengali.
fn digit(c: char) -> Option<u8> {
    const ZEROS: [char; 6] = ['0', '\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}'];
    let distance = |zero: char| u8::try_from(u32::from(c).checked_sub(zero.into())?).ok().filter(|digit| *digit < 10);
    ZEROS.into_iter().find_map(distance)
}

/// What an English word is inside a number.
fn kind(word: &str) -> Kind {
    const WORDS: [(&str, Kind); 23] = [
        ("zero", Kind::Spoken(0)),
        ("oh", Kind::Spoken(0)),
        ("o", Kind::Spoken(0)),
        ("nought", Kind::Spoken(0)),
        ("one", Kind::Spoken(1)),
        ("two", Kind::Spoken(2)),
        ("three", Kind::Spoken(3)),
        ("four", Kind::Spoken(4)),
        ("five", Kind::Spoken(5)),
        ("six", Kind::Spoken(6)),
        ("seven", Kind::Spoken(7)),
        ("eight", Kind::Spoken(8)),
        ("nine", Kind::Spoken(9)),
        ("double", Kind::Times(2)),
        ("triple", Kind::Times(3)),
        ("treble", Kind::Times(3)),
        ("dash", Kind::Filler),
        ("hyphen", Kind::Filler),
        ("space", Kind::Filler),
        ("uh", Kind::Filler),
        ("um", Kind::Filler),
        ("er", Kind::Filler),
        ("and", Kind::Filler),
    ];
    let found = WORDS.iter().find(|(spoken, _)| word.eq_ignore_ascii_case(spoken));
    found.map_or(Kind::Word, |(_, kind)| *kind)
}
