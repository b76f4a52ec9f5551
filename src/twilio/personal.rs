//! Text about a person, on its way from Twilio to a seal.
//!
//! Owns nothing but the protection of the text. INVARIANT: it is never printed, and zeroed when it
//! is dropped; [`PersonalText::expose`] is the only way to its content.

use std::{convert::Infallible, fmt, str::FromStr};

/// A message's text, a number, a name or an identity, as Twilio sent it.
#[derive(Clone, Default, PartialEq, Eq, zeroize::ZeroizeOnDrop, serde::Deserialize)]
#[serde(transparent)]
pub struct PersonalText(String);

impl PersonalText {
    /// Returns the text, for a seal or a comparison.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it has no character.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for PersonalText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for PersonalText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for PersonalText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Debug for PersonalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalText(…)")
    }
}
