//! Subaccounts and their parent accounts.
//!
//! Owns the rules by which a parent lends its credential. INVARIANT: only a parent lends, only to
//! its subaccounts, and only for requests: signatures are checked with a subaccount's own tokens.

use super::Account;

/// Lends each subaccount without an API key its parent's credential. Reports faults with the index
/// of the subaccount.
pub(super) fn join(accounts: &mut [Account], mut fault: impl FnMut(usize, &'static str)) {
    let mut lent = Vec::new();
    for (at, account) in accounts.iter().enumerate() {
        let Some(parent) = &account.parent else {
            continue;
        };
        match accounts.iter().find(|other| other.sid == *parent) {
            None => fault(
                at,
                "this account has no entry of its own under `twilio.accounts`; add one",
            ),
            Some(parent) if parent.sid == account.sid => {
                fault(at, "an account cannot be its own parent")
            }
            Some(parent) if parent.parent.is_some() => fault(
                at,
                "this is itself a subaccount; Twilio has only one level of subaccounts",
            ),
            Some(parent) if account.credentials.api_key.is_none() => {
                lent.extend(parent.lend().map(|credential| (at, credential)));
            }
            Some(_) => {}
        }
    }
    for (at, credential) in lent {
        if let Some(account) = accounts.get_mut(at) {
            account.credentials.parent = Some(credential);
        }
    }
}
