//! The tokens of a text: words, and runs of digits.
//!
//! Owns the definition of a word, the separators permitted within one number, and the words for
//! digits. INVARIANT: tokens are in the order of the text, do not overlap, and begin and end on
//! character boundaries.

use std::ops::Range;

use unicode_normalization::char::is_combining_mark;

use super::numeral::{self, Numeral};
use crate::model::folding::Folded;

/// A word or a run of digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContentToken {
    start: usize,
    end: usize,
    /// Whether the next token may belong to the same number: only spaces, punctuation and the like
    /// separate them.
    pub(super) goes_on: bool,
    kind: Kind,
    /// How often it counts: the digit after `double` counts twice.
    times: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Any word.
    Word,
    /// Only digits.
    Number,
    /// A part of a number in words.
    Spoken(Numeral),
}

impl Kind {
    fn numeral(self) -> Option<Numeral> {
        match self {
            Self::Spoken(numeral) => Some(numeral),
            Self::Word | Self::Number => None,
        }
    }
}

/// The tokens of one text.
#[derive(Debug)]
pub(super) struct Tokens {
    text: Folded,
    all: Vec<ContentToken>,
    /// The digits of all tokens that may be part of a number, concatenated, so that each run can
    /// read its digits as a slice.
    digits: Vec<u8>,
    /// The range of each token's digits; `None` for a word that is not part of a number.
    places: Vec<Option<Range<usize>>>,
}

impl Tokens {
    pub(super) fn of(text: &str) -> Self {
        let text = Folded::of(text);
        let all = cut(text.text());
        let mut tokens = Self {
            text,
            all,
            digits: Vec::new(),
            places: Vec::new(),
        };
        for token in &tokens.all {
            let start = tokens.digits.len();
            let is_part = token.kind != Kind::Word;
            if is_part {
                tokens
                    .digits
                    .extend(symbols(tokens.text.text(), token).filter_map(digit));
            }
            tokens
                .places
                .push(is_part.then_some(start..tokens.digits.len()));
        }
        tokens
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&ContentToken> {
        self.all.get(at)
    }

    /// Returns the folded token.
    pub(super) fn word(&self, token: &ContentToken) -> &str {
        self.text
            .text()
            .get(token.start..token.end)
            .unwrap_or_default()
    }

    /// Returns the range from the first of these tokens to the last, in the original text.
    pub(super) fn range(&self, first: usize, last: usize) -> Range<usize> {
        match (self.get(first), self.get(last)) {
            (Some(first), Some(last)) => self.text.original(first.start..last.end),
            _ => 0..0,
        }
    }

    /// Returns the letters and digits of a token: its own, or the digits that its word stands for.
    pub(super) fn symbols(&self, token: &ContentToken) -> impl Iterator<Item = char> {
        symbols(self.text.text(), token)
    }

    /// Returns the digits of a token that may be part of a number: empty for a filler word, `None`
    /// for any other word.
    pub(super) fn digits(&self, at: usize) -> Option<&[u8]> {
        self.digits.get(self.places.get(at)?.clone()?)
    }

    /// Returns the runs of connected digit tokens from `first` on, up to `most` digits. Up to
    /// `words` consecutive words may separate two groups of at least [`GROUP`] digits.
    pub(super) fn runs(&self, first: usize, most: usize, words: usize) -> Runs {
        let mut runs = Runs::default();
        let mut between = 0;
        let mut group = 0;
        for at in first.. {
            let Some(token) = self.get(at) else { break };
            let before = runs.digits.len();
            // Parts of a run with too many digits are not searched.
            match self.digits(at) {
                Some(more) => runs
                    .digits
                    .extend_from_slice(more.get(..=most).unwrap_or(more)),
                None if between < words && (group >= GROUP || between > 0) => {
                    (between, group) = (between + 1, 0);
                    if !token.goes_on {
                        break;
                    }
                    continue;
                }
                None => break,
            }
            let more = runs.digits.len() - before;
            if runs.digits.len() > most
                || at == first && token.kind == Kind::Spoken(Numeral::Filler)
            {
                break;
            }
            if more > 0 {
                (between, group) = (0, group + more);
                runs.ends.push((at, runs.digits.len()));
            }
            if !token.goes_on {
                break;
            }
        }
        runs
    }
}

/// Runs that begin with the same token.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The digits of the longest run, and possibly more.
    digits: Vec<u8>,
    /// The last token of each run, and the number of its digits; the shortest run first.
    ends: Vec<(usize, usize)>,
}

impl Runs {
    /// Returns the last token of each run and its digits, the longest run first.
    pub(super) fn longest_first(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.ends
            .iter()
            .rev()
            .filter_map(|(last, length)| Some((*last, self.digits.get(..*length)?)))
    }
}

/// The minimum number of digits of a group before intervening words: fewer digits are a time, a
/// date or a count.
const GROUP: usize = 3;

fn symbols(text: &str, token: &ContentToken) -> impl Iterator<Item = char> {
    let (spoken, own) = match token.kind {
        Kind::Word | Kind::Number => ("", text.get(token.start..token.end).unwrap_or_default()),
        Kind::Spoken(numeral) => (numeral.digits(), ""),
    };
    let once = spoken.chars().chain(
        own.chars()
            .map(|c| digit(c).map_or(c, |digit| char::from(b'0' + digit))),
    );
    (0..token.times).flat_map(move |_| once.clone())
}

fn cut(text: &str) -> Vec<ContentToken> {
    let mut all: Vec<ContentToken> = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, first)) = chars.next() {
        if !is_word(first) {
            continue;
        }
        let mut end = start + first.len_utf8();
        let mut is_number = digit(first).is_some();
        if !is_unspaced(first) {
            while let Some((at, c)) = chars.next_if(|(_, c)| is_word(*c) && !is_unspaced(*c)) {
                (end, is_number) = (at + c.len_utf8(), is_number && digit(c).is_some());
            }
        }
        let word = text.get(start..end).unwrap_or_default();
        let kind = if is_number {
            Kind::Number
        } else {
            numeral::read(word).map_or(Kind::Word, Kind::Spoken)
        };
        let mut times = 1;
        if let Some(before) = all.last_mut() {
            let between = text.get(before.end..start).unwrap_or_default();
            before.goes_on = between.chars().nth(MAX_BETWEEN).is_none();
            // `double 17` is not two digits.
            let is_one = kind
                .numeral()
                .is_some_and(|numeral| numeral.digits().len() == 1)
                || is_number && word.chars().nth(1).is_none();
            match before.kind {
                Kind::Spoken(Numeral::Times(said)) if before.goes_on && is_one => {
                    times = said.into()
                }
                Kind::Spoken(numeral) if before.goes_on => {
                    before.kind = Kind::Spoken(numeral.before(kind.numeral(), between))
                }
                _ => {}
            }
        }
        all.push(ContentToken {
            start,
            end,
            goes_on: false,
            kind,
            times,
        });
    }
    all
}

/// Returns whether a character belongs to a word: letters, digits and combining marks.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Returns whether a letter's script has no spaces between words: each such letter is a token of
/// its own, so that a listed word is found anywhere.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The maximum number of characters between two parts of one number: spaces and any punctuation. It
/// includes full stops, because speech recognition may end a sentence there.
const MAX_BETWEEN: usize = 12;

/// Returns the digit of a character in the scripts of transcripts: ASCII, full-width, Arabic,
/// Persian, Devanagari, Bengali.
fn digit(c: char) -> Option<u8> {
    if c.is_ascii() {
        return u8::try_from(c)
            .ok()
            .filter(u8::is_ascii_digit)
            .map(|digit| digit - b'0');
    }
    const ZEROS: [char; 6] = ['0', '\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}'];
    let distance = |zero: char| {
        u8::try_from(u32::from(c).checked_sub(zero.into())?)
            .ok()
            .filter(|digit| *digit < 10)
    };
    ZEROS.into_iter().find_map(distance)
}
