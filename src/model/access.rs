//! Who asks, and with what in hand: principals and tickets.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use super::{
    id::TokenId,
    name::{Label, Role},
    sid::AccountSid,
};

/// Somebody with a valid bearer token, as the policy sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token they came with; the audit log names them by it.
    pub id: TokenId,
    /// What they are.
    pub roles: BTreeSet<Role>,
    /// The accounts whose recordings they may know of; empty means all.
    pub accounts: BTreeSet<AccountSid>,
    /// What conditions of the policy may look at: values by label, such as the teams and queues
    /// that they work for.
    pub attributes: BTreeMap<Label, BTreeSet<String>>,
}

impl Principal {
    /// Whether this principal may know that recordings of `account` exist.
    pub fn knows(&self, account: &AccountSid) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    /// Whether this principal has the role.
    pub fn is(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.as_str() == role)
    }
}

/// The number of a case in another system, as somebody who wants to listen names it: 1 to 64 of
/// ASCII letters, digits and `-_./#:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(String);

/// The text is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket: use 1 to 64 of ASCII letters, digits and `-_./#:`, such as `CASE-1042`")]
pub struct InvalidTicket;

impl Ticket {
    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ticket {
    type Err = InvalidTicket;

    fn from_str(text: &str) -> Result<Self, InvalidTicket> {
        let fits = matches!(text.len(), 1..=64)
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_./#:".contains(&b));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTicket)
        }
    }
}

impl<'de> serde::Deserialize<'de> for Ticket {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
