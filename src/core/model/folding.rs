//! Text normalised for comparison: strings that look like the same word become the same sequence of
//! characters.
//!
//! Owns the one normalisation for both sides of a comparison (consent words, content rules,
//! redaction): invisible characters are dropped (Unicode `Default_Ignorable_Code_Point`), the rest
//! is in NFKC and caseless. Refuses to know the meaning of a word. INVARIANT: no other code in the
//! crate folds case or normalises text in order to compare utterances.

use std::ops::Range;

use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};
use unicode_normalization::{
    IsNormalized, UnicodeNormalization as _, char::canonical_combining_class, is_nfkc_quick,
};

/// Returns the text normalised for comparison.
pub fn folded(text: &str) -> String {
    Folded::of(text).text
}

/// Drops invisible characters: marks of direction, joiners, soft hyphens, byte order marks.
pub fn visible(text: &str) -> impl Iterator<Item = char> {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    text.chars().filter(move |c| !ignorable.contains(*c))
}

/// A folded text with the origin of each part.
#[derive(Debug)]
pub struct Folded {
    text: String,
    /// Empty for an ASCII text, where offsets do not change.
    pieces: Vec<Piece>,
}

/// Characters that compose with each other only.
#[derive(Debug)]
struct Piece {
    /// Its offset in the folded text, where it is not empty.
    at: usize,
    /// Its range in the original.
    of: Range<usize>,
}

impl Folded {
    /// Folds a text.
    pub fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self {
                text: text.to_ascii_lowercase(),
                pieces: Vec::new(),
            };
        }
        let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let mut folded = Self {
            text: String::with_capacity(text.len()),
            pieces: Vec::new(),
        };
        let mut piece = String::new();
        let mut of = 0..0;
        for (at, c) in text
            .char_indices()
            .filter(|(_, c)| c.is_ascii() || !ignorable.contains(*c))
        {
            if begins(c) {
                folded.take(&mut piece, of);
                of = at..at;
            }
            piece.push(c);
            of.end = at + c.len_utf8();
        }
        folded.take(&mut piece, of);
        folded
    }

    fn take(&mut self, piece: &mut String, of: Range<usize>) {
        let at = self.text.len();
        if piece.is_ascii() {
            // Fast path: most characters of most texts do not compose.
            self.text
                .extend(piece.drain(..).map(|c| c.to_ascii_lowercase()));
            if self.text.len() > at {
                self.pieces.push(Piece { at, of });
            }
            return;
        }
        // Upper case first, because only there do `ß` and the two forms of `σ` match their
        // equivalents; character by character, so that neighbours have no influence.
        let caseless = piece
            .nfkc()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase);
        self.text.extend(caseless.nfkc());
        piece.clear();
        if self.text.len() > at {
            self.pieces.push(Piece { at, of });
        }
    }

    /// The folded text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the range in the original of a part of the folded text; on character boundaries.
    pub fn original(&self, part: Range<usize>) -> Range<usize> {
        let piece = |at: usize| {
            let behind = self.pieces.partition_point(|piece| piece.at <= at);
            behind
                .checked_sub(1)
                .and_then(|before| self.pieces.get(before))
        };
        match (
            part.is_empty(),
            piece(part.start),
            piece(part.end.saturating_sub(1)),
        ) {
            (false, Some(first), Some(last)) => first.of.start..last.of.end,
            _ => part,
        }
    }
}

/// Returns whether a character composes with nothing before it.
fn begins(c: char) -> bool {
    if c.is_ascii() {
        return true;
    }
    let first = std::iter::once(c).nfkd().next().unwrap_or(c);
    canonical_combining_class(first) == 0
        && is_nfkc_quick(std::iter::once(first)) != IsNormalized::Maybe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (one, other) in [
            ("sí", "si\u{301}"),
            ("SÍ", "sí"),
            ("stop recording", "stop recording\u{200b}"),
            ("stop recording", "\u{feff}stop recording"),
            ("stop recording", "stop recording\u{200e}"),
            ("stop recording", "st\u{200c}op rec\u{2060}ording"),
            ("stop", "ｓｔｏｐ"),
            ("STOP", "ＳＴＯＰ"),
            ("diagnosis", "diag\u{ad}nosis"),
            ("straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("ガ", "ｶﾞ"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
            ("ﬁne", "fine"),
            ("Å", "\u{212b}"),
            ("ệ", "e\u{302}\u{323}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in [("si", "sí"), ("o", "0"), ("stop", "st op")] {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
    }

    #[test]
    fn a_part_is_found_where_it_stood() {
        for (text, part, original) in [
            ("The diag\u{ad}nosis", "diagnosis", "diag\u{ad}nosis"),
            ("La sante\u{301} ici", "santé", "sante\u{301}"),
            ("x ｓｔｏｐ y", "stop", "ｓｔｏｐ"),
            ("aﬁb", "i", "ﬁ"),
            ("plain Text", "text", "Text"),
        ] {
            let folded = Folded::of(text);
            let at = folded.text().find(part).unwrap();
            assert_eq!(&text[folded.original(at..at + part.len())], original);
        }
    }

    proptest! {
        #[test]
        fn folding_is_done_once_and_every_part_has_a_place(text in "\\PC{0,40}|[ -~\u{300}-\u{32f}\u{ad}\u{200b}-\u{200f}éßΣς１Ａガｶﾞ각]{0,40}") {
            let folded = Folded::of(&text);
            prop_assert_eq!(super::folded(folded.text()), folded.text());
            for (at, c) in folded.text().char_indices() {
                let original = folded.original(at..at + c.len_utf8());
                prop_assert!(text.get(original).is_some_and(|original| !original.is_empty()));
            }
        }
    }
}
