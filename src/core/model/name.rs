//! Names that an operator chooses in the policy file: tiers, purposes, roles.

use std::{fmt, str::FromStr};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a {what} name: use 1 to 64 lower-case letters, digits, `-` and `_`, starting with a letter"
)]
pub struct InvalidName {
    text: String,
    what: &'static str,
}

macro_rules! name {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, $example:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde_with::DeserializeFromStr)]
        #[serde(transparent)]
        pub struct $name(String);

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                super::schema::text(concat!($($doc,)*), "^[a-z][a-z0-9_-]{0,63}$".into(), $example.into())
            }
        }

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let fits = matches!(text.len(), 1..=64)
                    && text.starts_with(|c: char| c.is_ascii_lowercase())
                    && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
                if fits { Ok(Self(text.to_owned())) } else { Err(InvalidName { text: super::text::repeated(text, 80), what: $what }) }
            }
        }
    };
}

name!(/** A sensitivity tier, as the policy names it: `standard`, `sensitive`, `restricted`. */ Tier, "tier", "standard");
name!(/** Why somebody wants to listen, as the policy names it. */ Purpose, "purpose", "quality-review");
name!(/** A participant's place in a conversation, as the application calls it: `caller`, `callee`, `channel-1`. */ LegName, "leg", "caller");
name!(/** A stop on shredding, as who places it calls it. */ HoldName, "hold", "litigation");
name!(/** A property of recordings and principals that conditions may look at, as the policy declares it: `team`, `queue`. */ Label, "label", "queue");
name!(/** What a principal is, as the policy names it: `reviewer`, `privacy-officer`. */ Role, "role", "reviewer");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert!("quality-review".parse::<Purpose>().is_ok());
        for bad in ["", "Quality", "1st", "a b", "ä", &"x".repeat(65)] {
            assert!(bad.parse::<Purpose>().is_err(), "{bad}");
        }
    }
}
