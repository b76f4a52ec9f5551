//! The accounts for whose recordings somebody with the `revoke` action vouched.

use std::collections::BTreeSet;

use crate::{
    model::sid::AccountSid,
    policy::{Permit, action},
};

/// The accounts for which a naming extends earlier revocations. Derived from a `revoke` permit;
/// empty without one, and then the recordings that the naming would release wait for a caller with
/// the permit. A later revocation reaches every leg that is named by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched(String);

impl Vouched {
    /// Stands for all accounts.
    pub(super) const FOR_ALL: &str = "*";

    /// Wraps the stored text.
    pub(in crate::db) fn kept(text: String) -> Self {
        Self(text)
    }

    /// The stored text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it includes this account.
    pub fn is_for(&self, account: &AccountSid) -> bool {
        self.0 == Self::FOR_ALL || self.0.contains(account.as_str())
    }

    /// The accounts of a `revoke` permit; none without one.
    pub fn by(revoke: Option<&Permit<action::Revoke>>) -> Self {
        revoke.map_or_else(
            || Self(String::new()),
            |permit| Self::of_accounts(permit.accounts()),
        )
    }

    /// The accounts that a revocation is limited to; an empty set means all.
    pub fn of_accounts(accounts: &BTreeSet<AccountSid>) -> Self {
        if accounts.is_empty() {
            return Self(Self::FOR_ALL.into());
        }
        let accounts: Vec<&str> = accounts.iter().map(AccountSid::as_str).collect();
        Self(accounts.join(" "))
    }

    /// Returns the stored text after both are combined; `None` if `before` includes all of it
    /// already.
    pub(super) fn beyond(&self, before: &str) -> Option<String> {
        let is_known = |account: &str| before == Self::FOR_ALL || before.contains(account);
        let new: Vec<&str> = self.0.split(' ').filter(|new| !is_known(new)).collect();
        match (new.is_empty(), self.0 == Self::FOR_ALL) {
            (true, _) => None,
            (false, true) => Some(self.0.clone()),
            (false, false) => Some(format!("{before} {}", new.join(" ")).trim().to_owned()),
        }
    }
}
