//! Who acted: the one form in which the audit log names a person, a machine or the vault itself.
//!
//! INVARIANT: an actor is an id or a fixed word, never a name that somebody typed.

use std::{fmt, str::FromStr};

use super::id::TokenId;

/// Who did a thing. Text form: `tok_…`, `operator` or `vault`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Actor {
    /// Somebody who came with a bearer token.
    Token(TokenId),
    /// Somebody at the command line of the machine itself.
    Operator,
    /// The vault on its own: work it took up, time that passed.
    Vault,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => id.fmt(f),
            Self::Operator => f.write_str("operator"),
            Self::Vault => f.write_str("vault"),
        }
    }
}

/// The text names no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an actor: expected a token id (`tok_…`), `operator` or `vault`")]
pub struct UnknownActor;

impl FromStr for Actor {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, UnknownActor> {
        match text {
            "operator" => Ok(Self::Operator),
            "vault" => Ok(Self::Vault),
            _ => text.parse().map(Self::Token).map_err(|_| UnknownActor),
        }
    }
}

impl serde::Serialize for Actor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_nothing_else_parses() {
        for actor in [
            Actor::Token(TokenId::random(&mut rand::rng())),
            Actor::Operator,
            Actor::Vault,
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for bad in [
            "",
            "Operator",
            "root",
            "tok_",
            "rec_00000000000000000000000000000000",
        ] {
            assert_eq!(bad.parse::<Actor>(), Err(UnknownActor), "{bad}");
        }
    }
}
