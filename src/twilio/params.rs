//! Parameters of a callback, by name.
//!
//! Owns how strictly they are read: what says *which* thing a callback is about has one value of
//! the right form or is a fault; what only describes it is taken when it can be read. INVARIANT: a
//! fault names the parameter, never its value.

use std::str::FromStr;

use super::signature::Verified;

/// Why a signed request is not the callback that it should be. The value is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// A parameter without which there is nothing to do.
    #[error("`{field}` is missing; check that this URL is configured for this kind of callback")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A parameter of another form.
    #[error("`{field}` is malformed: expected {expected}")]
    Malformed {
        /// Its name.
        field: &'static str,
        /// The form it should have.
        expected: &'static str,
    },
    /// Two different values.
    #[error("`{field}` is given more than once, with different values")]
    Ambiguous {
        /// Its name.
        field: &'static str,
    },
}

/// The parameters of a verified request, asked for by name.
pub(super) struct VerifiedParams<'a>(&'a [(String, String)]);

impl<'a> VerifiedParams<'a> {
    pub(super) fn of(verified: &'a Verified) -> Self {
        Self(verified.params())
    }

    /// Those of our own URL. In a GET, Twilio's stand beside them.
    pub(super) fn of_query(verified: &'a Verified) -> Self {
        Self(verified.query())
    }

    /// The value of a name; an empty one counts as absent.
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

    /// The value of a describing parameter, if there is exactly one.
    pub(super) fn readable(&self, field: &'static str) -> Option<&'a str> {
        self.one(field).ok().flatten()
    }

    pub(super) fn number(&self, field: &'static str) -> Option<i64> {
        self.readable(field)?.parse().ok()
    }
}
