//! The permitted content of a text from outside, defined once: for labels, names, notes and
//! references from any source.
//!
//! Owns the rule and the types that prove it. Refuses to know the meaning of a text. Stored text is
//! in NFC (Unicode Standard Annex 15), so that one word has one form however it was typed. It
//! contains no control character (PostgreSQL does not store U+0000, and a line break would forge a
//! second line on a terminal) and none that changes the direction of the surrounding text
//! (CVE-2021-42574); and its number of characters is bounded. INVARIANT: no error repeats the text,
//! which may be personal.

use std::{borrow::Cow, fmt, str::FromStr};

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// One line of text, of `MIN` to `MAX` characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct TextLine<const MIN: usize, const MAX: usize>(String);

/// The value of a label.
pub type LabelValue = TextLine<1, 64>;
/// An operator's name of a token.
pub type TokenLabel = TextLine<1, 200>;
/// An issuer's name of a principal: for issuer `local`, the name given at the command line.
pub type PrincipalSubject = TextLine<1, 255>;
/// The authority for a principal: `local`, or the address of an OIDC issuer.
pub type PrincipalIssuer = TextLine<1, 255>;
/// A reference to the evidence of a statement.
pub type Reference = TextLine<1, 1000>;
/// The justification of a request as received: the policy decides whether it is present and not too
/// long.
pub type Justification = TextLine<0, 8192>;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Too short or too long.
    #[error("must have {0} to {1} characters")]
    Length(usize, usize),
    /// No visible character.
    #[error("must not consist of spaces only")]
    Blank,
    /// A control character.
    #[error("must be one line without control characters: character {0} is one")]
    Control(usize),
    /// A character that changes the direction of text.
    #[error("must not change the direction of text: character {0} does; remove it")]
    Direction(usize),
}

impl<const MIN: usize, const MAX: usize> TextLine<MIN, MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text, or its beginning if it is too long; for records that must not be lost
    /// because of a text's length.
    ///
    /// # Errors
    /// [`InvalidText`] if it is too short or contains a forbidden character.
    pub fn cut(text: &str) -> Result<Self, InvalidText> {
        let text = composed(text);
        let end = text
            .char_indices()
            .nth(MAX)
            .map_or(text.len(), |(end, _)| end);
        text.get(..end).unwrap_or_default().parse()
    }
}

impl<const MIN: usize, const MAX: usize> FromStr for TextLine<MIN, MAX> {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        // Refused before composition, so that a text that is far too long is not read to its end.
        // Only four characters that compose into one, as in polytonic Greek, shrink further.
        if text.chars().nth(3 * MAX).is_some() {
            return Err(InvalidText::Length(MIN, MAX));
        }
        let text = composed(text);
        if let Some((at, fault)) = text
            .chars()
            .enumerate()
            .find_map(|(at, c)| Some((at, fault(c)?)))
        {
            return Err(fault(at + 1));
        }
        if MIN > 0 && !text.is_empty() && text.trim().is_empty() {
            return Err(InvalidText::Blank);
        }
        match text.chars().count() {
            length if (MIN..=MAX).contains(&length) => Ok(Self(text.into_owned())),
            _ => Err(InvalidText::Length(MIN, MAX)),
        }
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for TextLine<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MIN: usize, const MAX: usize> From<TextLine<MIN, MAX>> for String {
    fn from(line: TextLine<MIN, MAX>) -> Self {
        line.0
    }
}

impl<'de, const MIN: usize, const MAX: usize> serde::Deserialize<'de> for TextLine<MIN, MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Characters of the longest text that an error repeats.
const REPEATED: usize = 64;
/// Digits in such a text, at most: more may be a phone number.
const DIGITS: usize = 3;

/// Returns whether an error may repeat received text in place of a name: it is short, has the
/// characters of a name, and no digits that make a phone number or a secret.
pub(super) fn may_be_repeated(text: &str) -> bool {
    let is_of_names = |char: char| char.is_ascii_alphanumeric() || "_-.[]".contains(char);
    let digits = text.chars().filter(char::is_ascii_digit).count();
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.len() <= REPEATED
        && text.chars().all(is_of_names)
        && digits <= DIGITS
}

/// Returns the beginning of received text for an error, if it may be repeated.
pub(super) fn repeated(text: &str, most: usize) -> String {
    if may_be_repeated(text) {
        text.chars().take(most).collect()
    } else {
        "…".to_owned()
    }
}

/// Returns the beginning of a text that should be an id, for an error: an id that is mistyped, with
/// its prefix and hexadecimal digits, is no person's.
pub(super) fn repeated_id(text: &str, prefix: &str) -> String {
    let digits = text.strip_prefix(prefix);
    if digits.is_some_and(|digits| digits.chars().all(|char| char.is_ascii_hexdigit())) {
        text.chars().take(REPEATED).collect()
    } else {
        repeated(text, REPEATED)
    }
}

fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        text.into()
    } else {
        text.nfc().collect::<String>().into()
    }
}

/// Returns whether a character is permitted in a text of several lines, such as an utterance: any
/// but control characters; tabs and line breaks are permitted.
pub fn is_prose(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || !c.is_control()
}

/// Returns the fault of a character, which takes its position.
fn fault(c: char) -> Option<fn(usize) -> InvalidText> {
    match c {
        // Line and paragraph separators break lines, too.
        _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => Some(InvalidText::Control),
        // Marks, embeddings, overrides and isolates of the bidirectional algorithm (UAX 9).
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(InvalidText::Direction)
        }
        _ => None,
    }
}

/// The version of a policy, as its file names it: 1 to 64 ASCII letters, digits, `.`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion(String);

impl utoipa::ToSchema for PolicyVersion {}

impl utoipa::PartialSchema for PolicyVersion {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        super::schema::text(
            "The version of a policy file.",
            "^[A-Za-z0-9._-]{1,64}$".into(),
            "2026-1".into(),
        )
    }
}

/// The text is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a version: use 1 to 64 ASCII letters, digits, `.`, `-` and `_`")]
pub struct InvalidVersion;

impl PolicyVersion {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PolicyVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let fits = matches!(text.len(), 1..=64)
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidVersion)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Short = TextLine<1, 8>;

    #[test]
    fn an_error_repeats_names_and_nothing_that_may_be_a_number_a_person_or_a_secret() {
        for name in ["subjcet", "parties[0].leg", "quality-review"] {
            assert_eq!(repeated(name, 64), name);
        }
        let long = "a".repeat(65);
        for text in [
            "Tel 030 76543201",
            "tel493076543201",
            "Anna Schmidt",
            "anna@example.com",
            "+493076543201",
            "rvt_0123456789abcdef",
            &long,
        ] {
            assert_eq!(repeated(text, 64), "…", "{text}");
        }
        assert_eq!(repeated_id("rec_0123456789abcdeg", "rec_"), "…");
        assert_eq!(repeated_id("rec_0123456789ab", "rec_"), "rec_0123456789ab");
    }

    #[test]
    fn a_line_is_composed_bounded_and_plain() {
        for (told, kept) in [
            ("sales", "sales"),
            (" a ", " a "),
            ("sante\u{301}", "santé"),
            ("日本語", "日本語"),
            ("e\u{301}".repeat(8).as_str(), &"é".repeat(8)),
        ] {
            assert_eq!(told.parse::<Short>().map(String::from), Ok(kept.to_owned()));
        }
        for (bad, why) in [
            ("", InvalidText::Length(1, 8)),
            (" ", InvalidText::Blank),
            ("   ", InvalidText::Blank),
            ("\u{a0}\u{2003}\u{3000}", InvalidText::Blank),
            ("123456789", InvalidText::Length(1, 8)),
            ("a\0b", InvalidText::Control(2)),
            ("a\nb", InvalidText::Control(2)),
            ("\u{7f}", InvalidText::Control(1)),
            ("ab\u{85}", InvalidText::Control(3)),
            ("\u{2028}", InvalidText::Control(1)),
            ("ab\u{202e}c", InvalidText::Direction(3)),
            ("\u{2066}a", InvalidText::Direction(1)),
            ("a\u{200f}", InvalidText::Direction(2)),
        ] {
            assert_eq!(bad.parse::<Short>(), Err(why), "{bad:?}");
            assert!(
                serde_json::from_value::<Short>(serde_json::Value::String(bad.to_owned())).is_err(),
                "{bad:?}"
            );
        }
        assert_eq!(
            "".parse::<TextLine<0, 8>>().map(String::from),
            Ok(String::new())
        );
    }

    #[test]
    fn what_is_too_long_can_be_cut_and_what_is_bad_cannot() {
        assert_eq!(
            Short::cut("123456789").map(String::from),
            Ok("12345678".to_owned())
        );
        assert_eq!(
            Short::cut(&"e\u{301}".repeat(9)).map(String::from),
            Ok("é".repeat(8))
        );
        assert_eq!(Short::cut("a\0b"), Err(InvalidText::Control(2)));
        assert_eq!(Short::cut(""), Err(InvalidText::Length(1, 8)));
    }

    #[test]
    fn a_version_is_a_plain_word() {
        for good in ["1", "2026-01.b_2", &"x".repeat(64)] {
            assert!(good.parse::<PolicyVersion>().is_ok(), "{good}");
        }
        for bad in ["", "a\0b", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<PolicyVersion>(), Err(InvalidVersion), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again_as_it_is(text in any::<String>()) {
            for line in [text.parse::<TextLine<0, 40>>(), TextLine::cut(&text)].into_iter().flatten() {
                prop_assert_eq!(line.as_str().parse::<TextLine<0, 40>>(), Ok(line.clone()));
                prop_assert!(!line.as_str().chars().any(|c| fault(c).is_some()));
                prop_assert!(line.as_str().chars().count() <= 40);
            }
        }
    }
}
