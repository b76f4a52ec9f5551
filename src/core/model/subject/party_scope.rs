//! The account for whose recordings a naming of parties counts.
//!
//! Owns the form of it. INVARIANT: the text is an account's id, or `*` for every account.

use std::{fmt, str::FromStr};

use crate::model::sid::AccountSid;

/// Stands for every account.
const EVERY: &str = "*";

/// For whose recordings a naming of parties counts. A callback speaks for its own account only: the
/// same id of a conversation, told by another account, is another conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartyScope {
    /// For the recordings of every account: named by an application that may see all of them.
    Every,
    /// For the recordings of this account.
    Of(AccountSid),
}

/// The text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of an account, or `*`")]
pub struct InvalidPartyScope;

impl PartyScope {
    /// Returns the stored text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Every => EVERY,
            Self::Of(account) => account.as_str(),
        }
    }

    /// Returns whether a naming in it counts for the recordings of an account.
    pub fn is_for(&self, account: &AccountSid) -> bool {
        match self {
            Self::Every => true,
            Self::Of(own) => own == account,
        }
    }

    /// Returns whether there may be a recording for which namings in both count.
    pub fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Of(own), Self::Of(other)) => own == other,
            _ => true,
        }
    }
}

impl From<&AccountSid> for PartyScope {
    fn from(account: &AccountSid) -> Self {
        Self::Of(account.clone())
    }
}

impl fmt::Display for PartyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PartyScope {
    type Err = InvalidPartyScope;

    fn from_str(text: &str) -> Result<Self, InvalidPartyScope> {
        if text == EVERY {
            return Ok(Self::Every);
        }
        text.parse().map(Self::Of).map_err(|_| InvalidPartyScope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_comes_back_as_it_went_and_meets_its_own_account_only() {
        let [one, other]: [AccountSid; 2] =
            ["1", "2"].map(|digit| format!("AC{}", digit.repeat(32)).parse().unwrap());
        for scope in [PartyScope::Every, PartyScope::from(&one)] {
            assert_eq!(scope.as_str().parse(), Ok(scope.clone()));
        }
        assert_eq!("AC".parse::<PartyScope>(), Err(InvalidPartyScope));
        let [own, others] = [&one, &other].map(PartyScope::from);
        assert!(own.is_for(&one) && !own.is_for(&other) && PartyScope::Every.is_for(&one));
        assert!(own.meets(&own) && !own.meets(&others));
        assert!(own.meets(&PartyScope::Every) && PartyScope::Every.meets(&own));
    }
}
