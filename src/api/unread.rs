//! Addresses of persons in bodies, read after the permission.
//!
//! Owns the one type. INVARIANT: a caller without the permission gets the same answer whatever the
//! body says of a person, and no fault repeats the text.

use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

use super::problem::Problem;
use crate::model::subject::Address;

/// What a body says of a person, before it is read.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct UnreadAddress(Value);

impl UnreadAddress {
    /// Reads it, once the caller's permission is known.
    pub(super) fn read(&self) -> Result<Address, Problem> {
        let text = self.0.as_str().ok_or("expected a text".to_owned());
        let address = text.and_then(|text| Address::parse(text).map_err(|fault| fault.to_string()));
        address.map_err(|why| Problem::bad_request(format!("`subject`: {why}")))
    }
}

impl ToSchema for UnreadAddress {}

impl PartialSchema for UnreadAddress {
    fn schema() -> RefOr<Schema> {
        Address::schema()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fault_repeats_what_was_said() {
        for value in [
            "491577777777",
            "\"0049 1577777777\"",
            "[491577777777]",
            "null",
        ] {
            let unread: UnreadAddress = serde_json::from_str(value).unwrap();
            let fault = format!("{:?}", unread.read().unwrap_err());
            assert!(!fault.contains("577777"), "{fault}");
        }
        let known: UnreadAddress = serde_json::from_str("\"+493012345678\"").unwrap();
        assert!(known.read().is_ok());
    }
}
