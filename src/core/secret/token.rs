//! Tokens: the form that a bearer presents, and the form that the database stores. Two types, so
//! that the first cannot be stored.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use rand::CryptoRng;

use super::{Key, SecretText};

/// The use of a token; scanners and people recognise it by the prefix. Never change a prefix:
/// tokens in use would stop working.
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

/// A token in its bearer's form: a prefix and 256 random bits in base64url.
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

    /// Parses a presented token; `None` unless it has the form of this kind.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let bits = text.strip_prefix(kind.prefix())?;
        let fits = bits.len() == 43
            && bits
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(SecretText::new(text.to_owned())))
    }

    /// Returns the text, for the one response that shows it to its bearer.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the stored form: SHA-256, lower-case hex. Unsalted, because 256 random bits cannot
    /// be guessed.
    pub fn hash(&self) -> TokenHash {
        TokenHash(hex::encode(digest::digest(
            &digest::SHA256,
            self.0.expose().as_bytes(),
        )))
    }
}

/// A token in its stored form.
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
