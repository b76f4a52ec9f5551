//! The key with which a client identifies a request that must take effect once.
//!
//! Owns its form. Refuses to know requests. INVARIANT: the key is its client's secret: it is never
//! printed, because with it and the same token the response can be read again.

use std::{fmt, str::FromStr};

use crate::secret::SecretText;

/// The most characters of a key.
const MAX: usize = 255;

/// A client's key: 1 to 255 visible ASCII characters. As a string of a structured header (RFC 9651)
/// it is enclosed in quotation marks, which are not part of it.
pub struct IdempotencyKey(SecretText);

/// The text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX} visible ASCII characters, such as a random UUID")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The bytes, for the derivation that needs them.
    pub fn expose(&self) -> &[u8] {
        self.0.expose().as_bytes()
    }
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let quoted = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let key = quoted.unwrap_or(text);
        let fits = matches!(key.len(), 1..=MAX) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self(SecretText::new(key.to_owned())))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_with_or_without_quotation_marks() {
        let longest = "x".repeat(255);
        for (given, kept) in [
            ("a", "a"),
            (
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
                "8e03978e-40d5-43dd-bc93-6894a57f9324",
            ),
            ("\"a\"", "a"),
            ("\"", "\""),
            ("a\"b", "a\"b"),
            (&longest, &longest),
        ] {
            let key: IdempotencyKey = given.parse().unwrap();
            assert_eq!(key.expose(), kept.as_bytes());
            assert_eq!(format!("{key:?}"), "IdempotencyKey(…)");
        }
        for bad in [
            "",
            "\"\"",
            "a b",
            " a",
            "ä",
            "a\tb",
            "a\0",
            &"x".repeat(256),
        ] {
            assert_eq!(
                bad.parse::<IdempotencyKey>().err(),
                Some(InvalidIdempotencyKey)
            );
        }
    }
}
