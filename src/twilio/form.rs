//! `application/x-www-form-urlencoded` bodies and query strings, decoded without changes to the
//! text that Twilio signed.
//!
//! Owns the decoding (WHATWG URL, section 5.1) with two differences: an invalid escape is an error,
//! and so is text that is not UTF-8, because a replacement would change the signed text. Refuses to
//! know any parameter by name.
//!
//! INVARIANT: order, duplicates and surrounding blanks are kept; frameworks that trim values break
//! signatures.

/// The most parameters one body or query may hold. Twilio's callbacks have fewer than 60.
pub const MAX_PARAMETERS: usize = 256;

/// The reason why a form cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More than [`MAX_PARAMETERS`].
    #[error("the form holds more than {MAX_PARAMETERS} parameters; send fewer")]
    TooMany,
    /// A `%` without two hex digits after it.
    #[error("{0} holds a `%` that is not followed by two hex digits; escape it as `%25`")]
    Escape(Field),
    /// The decoded bytes are not UTF-8.
    #[error("{0} is not UTF-8; encode it as UTF-8 before escaping")]
    NotUtf8(Field),
}

/// The part of a form that an error is about. The value is never shown: it may be a phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The value of the named parameter; the name is cut at 64 characters.
    Value(String),
    /// The name of the parameter at this position, counted from 1.
    Name(usize),
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(name) => write!(f, "the value of `{}`", name.escape_debug()),
            Self::Name(place) => write!(f, "the name of parameter {place}"),
        }
    }
}

/// Decodes a raw body, or a raw query string without its `?`, into names and values in their order.
pub fn decode(raw: &[u8]) -> Result<Vec<(String, String)>, FormError> {
    let mut params = Vec::new();
    for pair in raw.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
        if params.len() == MAX_PARAMETERS {
            return Err(FormError::TooMany);
        }
        let mut halves = pair.splitn(2, |&b| b == b'=');
        let name = text(halves.next().unwrap_or_default(), || {
            Field::Name(params.len() + 1)
        })?;
        let value = text(halves.next().unwrap_or_default(), || {
            Field::Value(name.chars().take(64).collect())
        })?;
        params.push((name, value));
    }
    Ok(params)
}

fn text(escaped: &[u8], field: impl Fn() -> Field) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match (rest.next().and_then(digit), rest.next().and_then(digit)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(FormError::Escape(field())),
            },
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormError::NotUtf8(field()))
}

fn digit(byte: &u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(raw: &str) -> Vec<(String, String)> {
        decode(raw.as_bytes()).unwrap()
    }

    fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|&(name, value)| (name.into(), value.into()))
            .collect()
    }

    #[test]
    fn escapes_blanks_duplicates_and_order_survive() {
        assert_eq!(
            pairs("From=%2B14158675309&Body=+a%20b+"),
            owned(&[("From", "+14158675309"), ("Body", " a b ")])
        );
        assert_eq!(
            pairs("b=2&a=1&b=1"),
            owned(&[("b", "2"), ("a", "1"), ("b", "1")])
        );
        assert_eq!(
            pairs("x=%c3%B1&España=año"),
            owned(&[("x", "ñ"), ("España", "año")])
        );
    }

    #[test]
    fn missing_parts_are_empty_and_missing_pairs_are_nothing() {
        assert_eq!(pairs(""), owned(&[]));
        assert_eq!(pairs("&&"), owned(&[]));
        assert_eq!(
            pairs("a&b=&=c&=&d=e=f"),
            owned(&[("a", ""), ("b", ""), ("", "c"), ("", ""), ("d", "e=f")])
        );
    }

    #[test]
    fn broken_escapes_and_broken_text_name_their_field() {
        for raw in [
            "Body=%",
            "Body=%4",
            "Body=%4g",
            "Body=100%&a=b",
            "Body=%%41",
        ] {
            let error = decode(raw.as_bytes()).unwrap_err();
            assert_eq!(
                error,
                FormError::Escape(Field::Value("Body".into())),
                "{raw}"
            );
            assert!(error.to_string().contains("`Body`"), "{error}");
        }
        assert_eq!(
            decode(b"ok=1&%zz=1"),
            Err(FormError::Escape(Field::Name(2)))
        );
        assert_eq!(
            decode(b"From=%ff"),
            Err(FormError::NotUtf8(Field::Value("From".into())))
        );
        assert_eq!(
            decode(b"From=\xff"),
            Err(FormError::NotUtf8(Field::Value("From".into())))
        );
        assert_eq!(decode(b"\xc3=1"), Err(FormError::NotUtf8(Field::Name(1))));
    }

    #[test]
    fn an_error_does_not_show_the_value() {
        let error = decode(b"From=%2B14158675309%ff").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("1415"), "{error:?}");
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        for (count, fits) in [
            (0, true),
            (1, true),
            (MAX_PARAMETERS - 1, true),
            (MAX_PARAMETERS, true),
            (MAX_PARAMETERS + 1, false),
        ] {
            let raw = vec!["a=b"; count].join("&");
            match decode(raw.as_bytes()) {
                Ok(params) => assert!(fits && params.len() == count, "{count}"),
                Err(error) => assert!(!fits && error == FormError::TooMany, "{count}"),
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_another_encoder_writes_is_read_back(params in prop::collection::vec((any::<String>(), any::<String>()), 0..20)) {
            let mut encoder = url::form_urlencoded::Serializer::new(String::new());
            encoder.extend_pairs(&params);
            prop_assert_eq!(decode(encoder.finish().as_bytes()), Ok(params));
        }

        #[test]
        fn what_is_read_agrees_with_another_decoder(raw in "[a-zA-Z0-9+&=ñ ]{0,80}") {
            let other: Vec<_> = url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
            prop_assert_eq!(decode(raw.as_bytes()), Ok(other));
        }

        #[test]
        fn no_input_panics(raw in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&raw);
        }
    }
}
