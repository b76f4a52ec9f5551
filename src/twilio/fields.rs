//! The fields of a callback, an event or a resource, under one set of names.
//!
//! Conversations, Proxy and Event Streams name the same field in several ways: `MessageSid` in a
//! form, `messageSid` in an event, `message_sid` over REST. Owns the reading of all of them: names
//! are compared without case and `_`. An inner object's fields have its name and a dot before
//! theirs, as in the forms.
//!
//! INVARIANT: as in `params`: a field that identifies its subject has one value of the right form,
//! or the item is refused; one that describes it is absent if it is unreadable. No error holds a
//! value.

use std::{borrow::Cow, str::FromStr};

use serde_json::{Map, Value};

use super::{params::CallbackError, personal::PersonalText, signature::Verified};
use crate::model::time::Timestamp;

/// Names and values.
pub(super) struct NamedFields<'a>(Vec<(String, Cow<'a, str>)>);

impl<'a> NamedFields<'a> {
    /// Reads the parameters of a verified form.
    pub(super) fn of_form(verified: &'a Verified) -> Self {
        let pairs = verified.params().iter();
        Self(
            pairs
                .map(|(name, value)| (plain(name), value.as_str().into()))
                .collect(),
        )
    }

    /// Reads a JSON object. A list of plain values is a repeated field; any other list, and an
    /// object in an object, is its own JSON.
    pub(super) fn of_json(object: &'a Map<String, Value>) -> Self {
        let mut fields = Vec::with_capacity(object.len());
        for (name, value) in object {
            let name = plain(name);
            match value {
                Value::Object(inner) => {
                    for (inner_name, value) in inner {
                        let name = format!("{name}.{}", plain(inner_name));
                        fields.extend(scalar(value).map(|value| (name, value)));
                    }
                    fields.push((name, value.to_string().into()));
                }
                Value::Array(items) => {
                    let plain: Option<Vec<_>> = items.iter().map(scalar).collect();
                    match plain.filter(|plain| !plain.is_empty()) {
                        Some(values) => {
                            let repeated = values.into_iter().map(|value| (name.clone(), value));
                            fields.extend(repeated);
                        }
                        None => fields.push((name, value.to_string().into())),
                    }
                }
                value => fields.extend(scalar(value).map(|value| (name, value))),
            }
        }
        Self(fields)
    }

    /// Returns every value of a name that is not empty, in the order received.
    pub(super) fn all(&self, field: &str) -> impl Iterator<Item = &str> {
        let wanted = plain(field);
        let values = self.0.iter().filter(move |(name, _)| *name == wanted);
        values
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    /// Whether the name has a value, even an empty one.
    pub(super) fn has(&self, field: &str) -> bool {
        let wanted = plain(field);
        self.0.iter().any(|(name, _)| *name == wanted)
    }

    /// Returns the one value of a name. An empty value counts as absent.
    pub(super) fn one(&self, field: &'static str) -> Result<Option<&str>, CallbackError> {
        let mut values = self.all(field);
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(CallbackError::Ambiguous { field });
        }
        Ok(first)
    }

    /// Returns the value of the first of these names that is present.
    pub(super) fn required<T: FromStr>(
        &self,
        fields: &[&'static str],
        expected: &'static str,
    ) -> Result<T, CallbackError> {
        for &field in fields {
            if let Some(value) = self.one(field)? {
                return value
                    .parse()
                    .map_err(|_| CallbackError::Malformed { field, expected });
            }
        }
        let field = fields.first().copied().unwrap_or_default();
        Err(CallbackError::Missing { field })
    }

    /// Returns the value of a describing field.
    pub(super) fn readable(&self, field: &'static str) -> Option<&str> {
        self.one(field).ok().flatten()
    }

    /// Returns the value of a describing field that parses.
    pub(super) fn parsed<T: FromStr>(&self, field: &'static str) -> Option<T> {
        self.readable(field)?.parse().ok()
    }

    /// Returns the value of a describing field that is about a person.
    pub(super) fn personal(&self, field: &'static str) -> Option<PersonalText> {
        self.readable(field).map(PersonalText::from)
    }

    /// Returns a text that may be empty: `None` only if the field is absent.
    pub(super) fn content(&self, field: &'static str) -> Option<PersonalText> {
        self.has(field)
            .then(|| PersonalText::from(self.readable(field).unwrap_or_default()))
    }

    /// Returns a word of an open set in lower case: at most 64 letters, digits, `-`, `_` and `.`.
    pub(super) fn word(&self, field: &'static str) -> Option<String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let word = self.readable(field)?;
        let is_word = word.len() <= 64 && word.bytes().all(is_plain);
        is_word.then(|| word.to_ascii_lowercase())
    }

    /// Returns a time in one of Twilio's two forms.
    pub(super) fn time(&self, field: &'static str) -> Option<Timestamp> {
        let text = self.readable(field)?;
        Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc2822(text))
    }
}

/// Reads a resource over REST.
pub(super) fn of_resource<T>(
    value: &Value,
    read: impl FnOnce(&NamedFields<'_>) -> Result<T, CallbackError>,
) -> Result<T, CallbackError> {
    let object = value
        .as_object()
        .ok_or(CallbackError::Missing { field: "sid" })?;
    read(&NamedFields::of_json(object))
}

/// Returns a name without case and `_`.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .filter(|letter| *letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// Returns a plain value as text; `None` for `null`, a list or an object.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(flag) => Some(if *flag { "true" } else { "false" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_field_has_many_names() {
        for name in ["MessageSid", "messageSid", "message_sid", "MESSAGESID"] {
            let object = json!({ name: "x", "other": 1 });
            let fields = NamedFields::of_json(object.as_object().unwrap());
            assert_eq!(fields.one("MessageSid"), Ok(Some("x")), "{name}");
        }
    }

    #[test]
    fn inner_objects_and_lists_are_as_in_a_form() {
        let object = json!({
            "messaging_binding": { "address": "+1", "type": "sms", "no": null },
            "recipients": ["+1", "+2"],
            "media": [{ "sid": "x" }],
            "empty": [],
            "nothing": null,
            "text": "",
        });
        let fields = NamedFields::of_json(object.as_object().unwrap());
        assert_eq!(fields.one("MessagingBinding.Address"), Ok(Some("+1")));
        assert_eq!(fields.all("recipients").collect::<Vec<_>>(), ["+1", "+2"]);
        assert_eq!(
            fields.one("recipients"),
            Err(CallbackError::Ambiguous {
                field: "recipients"
            })
        );
        assert_eq!(fields.one("Media"), Ok(Some(r#"[{"sid":"x"}]"#)));
        assert_eq!((fields.has("nothing"), fields.has("Text")), (false, true));
        assert_eq!(fields.content("text"), Some("".into()));
        assert_eq!(fields.content("nothing"), None);
    }

    #[test]
    fn words_are_folded_and_bounded() {
        let object = json!({ "a": "READ", "b": "two words", "c": "x".repeat(65) });
        let fields = NamedFields::of_json(object.as_object().unwrap());
        assert_eq!(fields.word("a").as_deref(), Some("read"));
        assert_eq!((fields.word("b"), fields.word("c")), (None, None));
    }
}
