//! Secret bytes and text.
//!
//! Owns the types in which a secret may be passed. It refuses to know what the secret is for.
//!
//! INVARIANT: a secret is not copied, cloned, serialised or printed, and its memory is zeroed when
//! it is dropped.
//!
//! ```compile_fail
//! fn wants_clone<T: Clone>() {}
//! wants_clone::<recvault_core::secret::Key>();
//! ```
//! ```compile_fail
//! fn wants_serialize<T: serde::Serialize>() {}
//! wants_serialize::<recvault_core::secret::SecretText>();
//! ```

mod buffer;
mod token;

use std::{fmt, path::Path};

use rand::CryptoRng;
use serde::de::{self, Unexpected};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub use buffer::SecretBuffer;
pub use token::{Token, TokenHash, TokenKind};

/// 32 secret bytes: any symmetric key or seed of the vault.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key(Box<[u8; 32]>);

impl Key {
    /// Length in bytes of every key.
    pub const LEN: usize = 32;

    /// A fresh key from `rng`.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self(Box::new([0; 32]));
        rng.fill_bytes(key.0.as_mut_slice());
        key
    }

    /// Takes over 32 bytes; the source is zeroed.
    pub fn take(bytes: &mut [u8; 32]) -> Self {
        let mut key = Self(Box::new([0; 32]));
        key.0.copy_from_slice(bytes);
        bytes.zeroize();
        key
    }

    /// Copies a key out of a slice; `None` unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self(Box::new([0; 32]));
        if bytes.len() != Self::LEN {
            return None;
        }
        key.0.copy_from_slice(bytes);
        Some(key)
    }

    /// Returns a second copy, by explicit request: both are zeroed on drop.
    pub fn duplicate(&self) -> Self {
        let mut key = Self(Box::new([0; 32]));
        key.0.copy_from_slice(self.0.as_slice());
        key
    }

    /// The bytes, for the one call that needs them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Key {}

/// A secret that people or other services pass as text: passphrase, auth token, API secret.
#[derive(ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Takes over the text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads a file that contains one secret; every secret file is read here. A byte order mark at
    /// its beginning and one line break at its end come from the editor and are not part of the
    /// secret.
    ///
    /// # Errors
    /// The fault of the file, with its name; never its contents.
    pub fn read(file: &Path) -> Result<Self, String> {
        let name = file.display();
        let bytes = std::fs::read(file)
            .map(Zeroizing::new)
            .map_err(|error| format!("cannot read `{name}`: {}", error.kind()))?;
        // PowerShell redirects text as UTF-16; those bytes would be a different secret.
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(format!("`{name}` is in UTF-16: save it as UTF-8"));
        }
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| format!("`{name}` is not in UTF-8: save it as UTF-8"))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            Err(format!("`{name}` is empty"))
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// Returns a second copy, by explicit request: both are zeroed on drop.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// The text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl<'de> serde::Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Accepts a text, and refuses a number or a Boolean without repeating it: a PIN without quotes is
/// a number, and `serde` would quote it.
struct SecretVisitor;

impl SecretVisitor {
    fn refused<E: de::Error>(self, found: &'static str) -> Result<SecretText, E> {
        Err(E::invalid_type(Unexpected::Other(found), &self))
    }
}

impl de::Visitor<'_> for SecretVisitor {
    type Value = SecretText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretText, E> {
        Ok(SecretText(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<SecretText, E> {
        Ok(SecretText(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretText, E> {
        self.refused("a truth value")
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretText, E> {
        self.refused("a number")
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<SecretText, E> {
        self.refused("a number")
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretText, E> {
        self.refused("a number")
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<SecretText, E> {
        self.refused("a number")
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretText, E> {
        self.refused("a number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let key = Key::take(&mut [0x41; 32]);
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert_eq!(
            format!("{:?}", SecretText::new("hunter2".into())),
            "SecretText(…)"
        );
    }

    #[test]
    fn a_secret_without_quotes_is_refused_and_not_repeated() {
        for value in ["123456", "-123456", "123456.5", "true", "[123456]", "null"] {
            let refused = serde_json::from_str::<SecretText>(value);
            let why = refused.unwrap_err().to_string();
            assert!(why.contains("a text in quotes"), "{why}");
            assert!(!why.contains("123456") && !why.contains("true"), "{why}");
        }
        let taken: SecretText = serde_json::from_str("\"123456\"").unwrap();
        assert_eq!(taken.expose(), "123456");
    }

    #[test]
    fn a_file_holds_its_secret_whatever_the_editor_put_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let read = |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            SecretText::read(&file).map(|secret| secret.expose().to_owned())
        };
        for bytes in [
            b"hunter2".as_slice(),
            b"hunter2\n",
            b"hunter2\r\n",
            b"\xef\xbb\xbfhunter2",
            b"\xef\xbb\xbfhunter2\r\n",
        ] {
            assert_eq!(read(bytes).unwrap(), "hunter2");
        }
        assert_eq!(
            read(b" pass phrase \n").unwrap(),
            " pass phrase ",
            "blanks may be part of it"
        );
        for bytes in [
            b"".as_slice(),
            b"\n",
            b"\xef\xbb\xbf",
            b"\xff\xfeh\0u\0",
            b"\xfe\xff\0h\0u",
            b"hunter\xff",
        ] {
            let error = read(bytes).unwrap_err();
            assert!(
                error.contains("token`") && !error.contains("hunter"),
                "{error}"
            );
        }
        assert!(
            SecretText::read(folder.path())
                .unwrap_err()
                .starts_with("cannot read `")
        );
    }

    #[test]
    fn taking_zeroes_the_source() {
        let mut bytes = [7; 32];
        let key = Key::take(&mut bytes);
        assert_eq!(bytes, [0; 32]);
        assert_eq!(key.expose(), &[7; 32]);
        assert_eq!(Key::from_slice(&[7; 31]), None);
        assert_eq!(Key::from_slice(&[7; 32]), Some(key));
    }
}
