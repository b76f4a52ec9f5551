//! `EncryptionDetails` of a callback and `encryption_details` of the REST resource, under all field
//! names that Twilio uses.
//!
//! Owns the names and the forms of the fields. Twilio's documentation is inconsistent about the
//! names, so all of them are read. If two names of one field have different values, the details are
//! refused, because neither is certain. INVARIANT: parsed details have a key's SID, a wrapped key
//! of 256 to 1024 bytes and a nonce of 12 bytes, both in base64 of the standard alphabet.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::model::encryption::Encryption;

/// The longest text that is parsed, in bytes: the wrapped key of the longest RSA key in use (8192
/// bits) has 1,368 characters.
const MAX_TEXT: usize = 8192;
const NONCE: usize = 12;
/// The length of a wrapped key in bytes: that of the RSA modulus, 2048 to 8192 bits.
const WRAPPED: std::ops::RangeInclusive<usize> = 256..=1024;

const KIND: &[&str] = &["type"];
const KEY_SID: &[&str] = &["public_key_sid", "encryption_public_key_sid"];
const WRAPPED_KEY: &[&str] = &["encrypted_cek", "encryption_cek"];
const IV: &[&str] = &["iv", "encryption_iv"];

/// The reason why details cannot be used. Holds no value of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DetailsError {
    /// Neither an object nor null.
    #[error("they are not a JSON object")]
    Shape,
    /// Longer than any valid details.
    #[error("they are longer than {MAX_TEXT} bytes")]
    TooLong,
    /// Some fields are present, and this one is missing.
    #[error("`{field}` is missing")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field of another form.
    #[error("`{field}` is malformed: expected {expected}")]
    Malformed {
        /// The field's name.
        field: &'static str,
        /// The expected form.
        expected: &'static str,
    },
    /// Two names of one field, or one name twice, with different values.
    #[error("`{field}` is given with two different values")]
    Conflict {
        /// The field's name in callbacks.
        field: &'static str,
    },
    /// An unknown encryption scheme.
    #[error("`type` is unknown; expected `rsa-aes`")]
    UnknownType,
}

/// Parses the text of a callback's parameter. `None` if there is no encryption (empty, `null`, an
/// empty object).
///
/// # Errors
/// [`DetailsError`].
pub fn from_json(text: &str) -> Result<Option<Encryption>, DetailsError> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_TEXT {
        return Err(DetailsError::TooLong);
    }
    let Pairs(pairs) = serde_json::from_str(text).map_err(|_| DetailsError::Shape)?;
    read(&pairs)
}

/// Parses the field of the REST resource. `None` if there is no encryption.
///
/// # Errors
/// [`DetailsError`].
pub fn from_value(value: &Value) -> Result<Option<Encryption>, DetailsError> {
    match value {
        Value::Null => Ok(None),
        // A string is not documented here, but callbacks have one.
        Value::String(text) => from_json(text),
        other => {
            let Pairs(pairs) = Pairs::deserialize(other).map_err(|_| DetailsError::Shape)?;
            read(&pairs)
        }
    }
}

fn read(pairs: &[(String, Value)]) -> Result<Option<Encryption>, DetailsError> {
    let kind = one(pairs, KIND)?;
    let key_sid = one(pairs, KEY_SID)?;
    let wrapped_key = one(pairs, WRAPPED_KEY)?;
    let nonce = one(pairs, IV)?;
    if [kind, key_sid, wrapped_key, nonce]
        .iter()
        .all(Option::is_none)
    {
        return Ok(None);
    }
    if kind.is_some_and(|kind| kind != "rsa-aes") {
        return Err(DetailsError::UnknownType);
    }
    let [key_sid, wrapped_key, nonce] = [
        (key_sid, "public_key_sid"),
        (wrapped_key, "encrypted_cek"),
        (nonce, "iv"),
    ]
    .map(|(value, field)| {
        let value = value.ok_or(DetailsError::Missing { field });
        value.map(|value| (value, field))
    });
    let ((key_sid, field), wrapped_key, nonce) = (key_sid?, wrapped_key?, nonce?);
    let malformed = DetailsError::Malformed {
        field,
        expected: "`CR` and 32 hex digits",
    };
    Ok(Some(Encryption {
        public_key_sid: key_sid.parse().map_err(|_| malformed)?,
        wrapped_key: encoded(wrapped_key, WRAPPED, "base64 of 256 to 1024 bytes")?,
        nonce: encoded(nonce, NONCE..=NONCE, "base64 of 12 bytes")?,
    }))
}

/// Returns the one value of all names of a field. Null and an empty string count as absent.
fn one<'a>(
    pairs: &'a [(String, Value)],
    names: &[&'static str],
) -> Result<Option<&'a str>, DetailsError> {
    let field = names.first().copied().unwrap_or_default();
    let mut found = None;
    for (_, value) in pairs
        .iter()
        .filter(|(name, value)| names.contains(&name.as_str()) && !value.is_null())
    {
        let text = value.as_str().ok_or(DetailsError::Malformed {
            field,
            expected: "a text",
        })?;
        match found {
            _ if text.is_empty() => {}
            Some(other) if other != text => return Err(DetailsError::Conflict { field }),
            _ => found = Some(text),
        }
    }
    Ok(found)
}

fn encoded(
    (text, field): (&str, &'static str),
    length: std::ops::RangeInclusive<usize>,
    expected: &'static str,
) -> Result<String, DetailsError> {
    let is_well = text.len() <= MAX_TEXT
        && STANDARD
            .decode(text)
            .is_ok_and(|bytes| length.contains(&bytes.len()));
    if is_well {
        Ok(text.to_owned())
    } else {
        Err(DetailsError::Malformed { field, expected })
    }
}

/// An object in which repeated names are kept.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> Result<Pairs, E> {
        Ok(Pairs(Vec::new()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

#[cfg(test)]
mod tests;
