//! Tokens: what a bearer shows, and what the database keeps. Two types, so that the first cannot be
//! stored.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use rand::CryptoRng;

use super::{Key, SecretText};

/// What a token is for; the prefix tells scanners and people what they have found. Never change
/// one: tokens in use would stop working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `rvt_…`: a principal's bearer token.
    Bearer,
    /// `rvg_…`: a grant's token, part of media URLs.
    Grant,
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Bearer => "rvt_",
            Self::Grant => "rvg_",
        }
    }
}

/// A token as its bearer has it: a prefix and 256 random bits in base64url.
#[derive(Debug)]
pub struct Token(SecretText);

impl Token {
    /// A fresh token.
    pub fn random(kind: TokenKind, rng: &mut dyn CryptoRng) -> Self {
        let bits = Key::random(rng);
        Self(SecretText::new(format!(
            "{}{}",
            kind.prefix(),
            BASE64URL.encode(bits.expose())
        )))
    }

    /// Takes what somebody showed; `None` unless it has the form of a token of this kind.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let bits = text.strip_prefix(kind.prefix())?;
        let fits = bits.len() == 43
            && bits
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(SecretText::new(text.to_owned())))
    }

    /// The text, for the one answer that shows it to its bearer.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The form that the database keeps: SHA-256, lower-case hex. Unsalted, because 256 random bits
    /// cannot be guessed.
    pub fn hash(&self) -> TokenHash {
        TokenHash(hex::encode(digest::digest(
            &digest::SHA256,
            self.0.expose().as_bytes(),
        )))
    }
}

/// A token as the database keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash(String);

impl TokenHash {
    /// 64 lower-case hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_parses_as_its_own_kind_only() {
        let token = Token::random(TokenKind::Bearer, &mut rand::rng());
        assert_eq!(
            Token::parse(TokenKind::Bearer, token.expose()).map(|t| t.hash()),
            Some(token.hash())
        );
        assert!(Token::parse(TokenKind::Grant, token.expose()).is_none());
        for bad in [
            "",
            "rvt_",
            "rvt_short",
            &format!("{}=", token.expose()),
            &format!("rvt_{}", "é".repeat(21)),
        ] {
            assert!(Token::parse(TokenKind::Bearer, bad).is_none(), "{bad}");
        }
        assert!(!format!("{token:?}").contains(token.expose()));
    }
}
