//! The thread of the messages between two addresses. Messages have no conversation at the source, so
//! the vault names it.
//!
//! INVARIANT: the text is `thr_` and 32 lower-case hex digits.

use std::{fmt, str::FromStr};

/// A thread: a keyed hash of the account and both addresses, so it tells neither of them.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
pub struct ThreadId(String);

/// The text is not a thread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `thr_` and 32 lower-case hex digits")]
pub struct InvalidThreadId;

const PREFIX: &str = "thr_";

impl utoipa::ToSchema for ThreadId {}

impl utoipa::PartialSchema for ThreadId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::model::schema::text(
            "The thread of the messages between two addresses.",
            "^thr_[0-9a-f]{32}$".into(),
            "thr_0123456789abcdef0123456789abcdef".into(),
        )
    }
}

impl ThreadId {
    /// Returns the id derived from a keyed hash, of which the first 16 bytes are used.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        Self(format!("{PREFIX}{}", hex::encode(&hash[..16])))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ThreadId {
    type Err = InvalidThreadId;

    fn from_str(text: &str) -> Result<Self, InvalidThreadId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidThreadId)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        if digits.len() == 32 && digits.bytes().all(is_hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidThreadId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_comes_back_as_it_went_and_nothing_else_is_one() {
        let id = ThreadId::of_hash(&[0xab; 32]);
        assert_eq!(id.as_str(), format!("thr_{}", "ab".repeat(16)));
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        for bad in [
            "thr_".to_owned(),
            format!("CH{}", "0".repeat(32)),
            format!("thr_{}", "A".repeat(32)),
            format!("{id}0"),
        ] {
            assert_eq!(bad.parse::<ThreadId>(), Err(InvalidThreadId), "{bad}");
        }
    }
}
