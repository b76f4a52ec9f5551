//! Who asks: principals.

use std::collections::BTreeSet;

use super::{id::TokenId, name::Role, sid::AccountSid};

/// Somebody with a valid bearer token, as the policy sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token they came with; the audit log names them by it.
    pub id: TokenId,
    /// What they are.
    pub roles: BTreeSet<Role>,
    /// The accounts whose recordings they may know of; empty means all.
    pub accounts: BTreeSet<AccountSid>,
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
