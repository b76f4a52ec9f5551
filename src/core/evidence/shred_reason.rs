//! The reason for a shred, as a code.
//!
//! Owns the form of the code. Refuses sentences: receipts are published and the log is permanent.

use std::{fmt, str::FromStr};

/// A code: `subject-request`, `retention`, `operator`, `account-closed`, or one of the operator's
/// own.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 64,
    pattern = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    examples("subject-request")
)]
pub struct ShredReason(String);

/// The text is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a reason code: use 1 to 64 lower-case letters and digits in words joined by single `-`, starting with a letter, like `subject-request`"
)]
pub struct InvalidShredReason;

impl ShredReason {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ShredReason {
    type Err = InvalidShredReason;

    fn from_str(text: &str) -> Result<Self, InvalidShredReason> {
        let plain = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let fits = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.split('-').all(plain);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidShredReason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_codes_are_reasons() {
        let [longest, too_long] = [64, 65].map(|length| "x".repeat(length));
        for good in [
            "subject-request",
            "retention",
            "operator",
            "account-closed",
            "article-17-3b",
            "x",
            &longest,
        ] {
            assert_eq!(
                good.parse::<ShredReason>().map(|reason| reason.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "-",
            "a-",
            "a--b",
            "-a",
            "1st",
            "Anna asked",
            "a_b",
            "ä",
            &too_long,
        ] {
            assert_eq!(bad.parse::<ShredReason>(), Err(InvalidShredReason), "{bad}");
        }
    }
}
