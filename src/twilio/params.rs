//! Parameters of a callback, by name.
//!
//! Owns the strictness of parsing: a parameter that identifies the subject of a callback must have
//! one value of the right form, otherwise it is a fault; a parameter that only describes it is
//! ignored if it is unreadable. INVARIANT: a fault names the parameter, never its value.

use std::str::FromStr;

use super::{personal::PersonalText, signature::Verified};

/// The reason why a signed request is not a valid callback. The value is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// A required parameter is absent.
    #[error("`{field}` is missing; check that this URL is configured for this kind of callback")]
    Missing {
        /// The parameter's name.
        field: &'static str,
    },
    /// A parameter of another form.
    #[error("`{field}` is malformed: expected {expected}")]
    Malformed {
        /// The parameter's name.
        field: &'static str,
        /// The expected form.
        expected: &'static str,
    },
    /// A parameter of another kind of callback.
    #[error(
        "`{field}` is present, which {of}; configure each kind of callback on a URL of its own"
    )]
    Misdirected {
        /// The parameter's name.
        field: &'static str,
        /// The kind that has it.
        of: &'static str,
    },
    /// Two different values.
    #[error("`{field}` is given more than once, with different values")]
    Ambiguous {
        /// The parameter's name.
        field: &'static str,
    },
}

/// The parameters of a verified request, by name.
pub(super) struct VerifiedParams<'a>(&'a [(String, String)]);

impl<'a> VerifiedParams<'a> {
    pub(super) fn of(verified: &'a Verified) -> Self {
        Self(verified.params())
    }

    /// Returns the parameters of our own URL. In a GET, Twilio's parameters are among them.
    pub(super) fn of_query(verified: &'a Verified) -> Self {
        Self(verified.query())
    }

    /// Returns the value of a name. An empty value counts as absent.
    pub(super) fn one(&self, field: &'static str) -> Result<Option<&'a str>, CallbackError> {
        let mut values = self
            .0
            .iter()
            .filter(|(name, _)| name == field)
            .map(|(_, value)| value.as_str());
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(CallbackError::Ambiguous { field });
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    pub(super) fn optional<T: FromStr>(
        &self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, CallbackError> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| CallbackError::Malformed { field, expected })
        };
        self.one(field)?.map(parse).transpose()
    }

    pub(super) fn required<T: FromStr>(
        &self,
        field: &'static str,
        expected: &'static str,
    ) -> Result<T, CallbackError> {
        self.optional(field, expected)?
            .ok_or(CallbackError::Missing { field })
    }

    /// Refuses a callback with a parameter that its kind never has.
    pub(super) fn absent(
        &self,
        field: &'static str,
        of: &'static str,
    ) -> Result<(), CallbackError> {
        if self.0.iter().any(|(name, _)| name == field) {
            return Err(CallbackError::Misdirected { field, of });
        }
        Ok(())
    }

    /// Returns the value of a numbered parameter, such as `MediaUrl0`. `None` if it is absent,
    /// empty or ambiguous.
    pub(super) fn numbered(&self, field: &str, number: usize) -> Option<&'a str> {
        let wanted = format!("{field}{number}");
        let mut values = self.0.iter().filter(|(name, _)| *name == wanted);
        let (_, first) = values.next()?;
        let is_one = values.all(|(_, other)| other == first) && !first.is_empty();
        is_one.then_some(first.as_str())
    }

    /// Returns every value of a name, in the order received.
    pub(super) fn all(&self, field: &'static str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, value)| name == field && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Returns a describing parameter as personal text.
    pub(super) fn personal(&self, field: &'static str) -> Option<PersonalText> {
        self.readable(field).map(PersonalText::from)
    }

    /// Returns a describing parameter that parses. `None` if it does not.
    pub(super) fn parsed<T: FromStr>(&self, field: &'static str) -> Option<T> {
        self.readable(field)?.parse().ok()
    }

    /// Returns the value of a describing parameter. `None` if it is absent, empty or ambiguous.
    pub(super) fn readable(&self, field: &'static str) -> Option<&'a str> {
        self.one(field).ok().flatten()
    }

    pub(super) fn number(&self, field: &'static str) -> Option<i64> {
        self.readable(field)?.parse().ok()
    }
}
