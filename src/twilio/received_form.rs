//! A callback's form exactly as received, as bytes for a seal.
//!
//! Owns the encoding: a JSON array of `[name, value]` pairs in the order received, without white
//! space, so that equal forms have equal bytes. Refuses to know any name: Twilio may add parameters
//! at any time, and all of them may be personal.
//!
//! INVARIANT: `Debug` shows no byte of it, and the bytes are zeroed when it is dropped.

use std::fmt;

use serde_json::Value;
use zeroize::Zeroizing;

use super::signature::Verified;

/// The whole form of a verified request.
#[derive(Clone, PartialEq, Eq)]
pub struct ReceivedForm(Zeroizing<Vec<u8>>);

impl ReceivedForm {
    /// Encodes the parameters of a request; of a GET, its whole query.
    pub fn of(verified: &Verified) -> Self {
        let bytes = serde_json::to_vec(verified.params());
        Self(Zeroizing::new(bytes.expect("pairs of texts are JSON")))
    }

    /// Encodes an event: the members of its envelope, and then those of its data, each text as it
    /// is and everything else as JSON.
    pub fn of_event(document: &str) -> Self {
        let event: Value = serde_json::from_str(document).unwrap_or_default();
        let members = |object: &'_ Value| object.as_object().cloned().unwrap_or_default();
        let data = event.get("data").map(members).unwrap_or_default();
        let envelope = members(&event);
        let pairs: Vec<(&str, Zeroizing<String>)> = envelope
            .iter()
            .filter(|(name, value)| *name != "data" || !value.is_object())
            .chain(&data)
            .map(|(name, value)| {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                (name.as_str(), Zeroizing::new(text))
            })
            .collect();
        let plain: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let bytes = serde_json::to_vec(&plain);
        Self(Zeroizing::new(bytes.expect("pairs of texts are JSON")))
    }

    /// Returns the JSON, for a seal.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns every value of a field.
    pub fn values(&self, name: &str) -> Vec<Zeroizing<String>> {
        let pairs = Self::decode(&self.0).unwrap_or_default();
        pairs
            .into_iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| Zeroizing::new(value))
            .collect()
    }

    /// Decodes the bytes of an opened seal into names and values, in the order received.
    ///
    /// # Errors
    /// If the bytes are not those of a form.
    pub fn decode(bytes: &[u8]) -> Result<Vec<(String, String)>, InvalidForm> {
        serde_json::from_slice(bytes).map_err(|_| InvalidForm)
    }
}

/// The bytes are not a received form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON array of pairs of a name and a value")]
pub struct InvalidForm;

impl fmt::Debug for ReceivedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceivedForm(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::twilio::signed::{post_form, sid};

    #[test]
    fn a_form_is_kept_in_its_order_with_its_duplicates() {
        let params = [
            ("AccountSid", sid("AC", "0").as_str()),
            ("b", "2"),
            ("a", ""),
            ("b", "1 "),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let form = ReceivedForm::of(&post_form("/m", &params));
        let text = format!(
            r#"[["AccountSid","{}"],["b","2"],["a",""],["b","1 "]]"#,
            sid("AC", "0")
        );
        assert_eq!(form.as_bytes(), text.as_bytes());
        assert_eq!(ReceivedForm::decode(form.as_bytes()).unwrap(), params);
        assert_eq!(format!("{form:?}"), "ReceivedForm(…)");
    }

    #[test]
    fn an_event_is_kept_with_its_envelope_and_its_data() {
        let form = ReceivedForm::of_event(
            r#"{"id":"EZ1","type":"t","data":{"body":"hi \"there\"","numMedia":0,"recipients":["a"]}}"#,
        );
        let mut pairs = ReceivedForm::decode(form.as_bytes()).unwrap();
        pairs.sort();
        let expected = [
            ("body", "hi \"there\""),
            ("id", "EZ1"),
            ("numMedia", "0"),
            ("recipients", "[\"a\"]"),
            ("type", "t"),
        ];
        let told: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(told, expected);
        assert_eq!(ReceivedForm::of_event("1").as_bytes(), b"[]");
    }

    proptest! {
        #[test]
        fn any_form_comes_back(params in prop::collection::vec(("B[a-z]{0,8}", "\\PC{0,40}|.{0,8}"), 0..12)) {
            let mut all = vec![("AccountSid".to_owned(), sid("AC", "0"))];
            all.extend(params);
            let form = ReceivedForm::of(&post_form("/m", &all));
            prop_assert_eq!(ReceivedForm::decode(form.as_bytes()).unwrap(), all);
        }

        #[test]
        fn any_bytes_are_a_form_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = ReceivedForm::decode(&bytes);
        }
    }
}
