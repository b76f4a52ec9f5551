//! Permits: leave to do what is not listening.
//!
//! Owns who may list recordings, shred them and read the audit log. Refuses to decide about
//! plaintext: that is the decision's. INVARIANT: a permit comes from the rules, or from the machine
//! itself, and is for one action, which its type names.

use std::{collections::BTreeSet, marker::PhantomData};

use super::{
    action::{Action, PermitAction},
    reason::{Denial, Grounds, Reason},
    rules::{Rulebook, has_any},
};
use crate::model::{
    access::Principal,
    actor::{Actor, Initiator},
    sid::AccountSid,
    time::Timestamp,
};

/// Leave to do one kind of thing, and no other: a function that needs it takes the permit for its
/// own action, so there is nothing left to check when it runs. No permit is turned into another
/// that the rules did not give to the same initiator at the same time ([`Permit::also`]).
///
/// Only the rules and the machine itself make one:
///
/// ```compile_fail,E0451
/// # use std::marker::PhantomData;
/// use recvault_core::{model::actor::Initiator, policy::{Permit, action}};
/// Permit::<action::Shred> {
///     initiator: Initiator::Vault,
///     action: PhantomData,
///     accounts: Default::default(),
///     also: Default::default(),
/// };
/// ```
///
/// Who may see the catalogue may not shred:
///
/// ```compile_fail,E0308
/// use recvault_core::policy::{Permit, action};
/// fn shred(_: &Permit<action::Shred>) {}
/// shred(&Permit::of_operator(action::Catalogue));
/// ```
///
/// With the permit for it, they may:
///
/// ```
/// use recvault_core::policy::{Permit, action};
/// fn shred(_: &Permit<action::Shred>) {}
/// shred(&Permit::of_operator(action::Shred));
/// ```
///
/// There is no action but those that the policy names:
///
/// ```compile_fail,E0277
/// recvault_core::policy::Permit::of_operator(());
/// ```
#[derive(Debug)]
pub struct Permit<A: PermitAction> {
    initiator: Initiator,
    action: PhantomData<A>,
    accounts: BTreeSet<AccountSid>,
    also: BTreeSet<Action>,
}

impl<A: PermitAction> Permit<A> {
    /// For the command line on the machine itself. Who can read the root file there needs no token:
    /// asking for one would guard nothing.
    pub fn of_operator(_: A) -> Self {
        Self {
            initiator: Initiator::Operator,
            action: PhantomData,
            accounts: BTreeSet::new(),
            also: Action::ALL.into(),
        }
    }

    /// For what the vault does by itself when its time has come.
    pub fn of_vault(_: A) -> Self {
        Self {
            initiator: Initiator::Vault,
            action: PhantomData,
            accounts: BTreeSet::new(),
            also: Action::ALL.into(),
        }
    }

    /// Leave to do something else, where the rules give it to the same initiator, too; for the same
    /// accounts. What somebody tells of people can let go of recordings, for one: only who may also
    /// revoke does that.
    pub fn also<B: PermitAction>(&self, _: B) -> Option<Permit<B>> {
        self.also.contains(&B::ACTION).then(|| Permit {
            initiator: self.initiator,
            action: PhantomData,
            accounts: self.accounts.clone(),
            also: self.also.clone(),
        })
    }

    /// Who may.
    pub fn actor(&self) -> Actor {
        self.initiator.actor()
    }

    /// Who may, with the credential that they came with.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// Whether it reaches the recordings of this account. Where it does not, they do not exist.
    pub fn covers(&self, account: &AccountSid) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    /// The accounts it reaches, to narrow a list by; empty means all.
    pub fn accounts(&self) -> &BTreeSet<AccountSid> {
        &self.accounts
    }
}

/// Decides by the current rules whether the principal may do this.
///
/// # Errors
/// The refusal with every reason. It is hidden where the principal may not know that recordings
/// exist; for a question about no single recording there is nothing to hide.
pub fn permit<A: PermitAction>(
    principal: &Principal,
    _: A,
    rulebook: &Rulebook,
    now: Timestamp,
) -> Result<Permit<A>, Denial> {
    check(principal, A::ACTION, rulebook, now)?;
    Ok(Permit {
        initiator: principal.initiator(),
        action: PhantomData,
        accounts: principal.accounts.clone(),
        also: Action::ALL
            .into_iter()
            .filter(|also| check(principal, *also, rulebook, now).is_ok())
            .collect(),
    })
}

/// What [`permit`] decides by.
pub(super) fn check(
    principal: &Principal,
    action: Action,
    rulebook: &Rulebook,
    now: Timestamp,
) -> Result<(), Denial> {
    let rules = rulebook.current();
    let mut against = Grounds::default();
    against.add_if(
        !rules.is_in_force(now),
        Reason::PolicyNotInForce,
        "effective",
    );
    against.add_if(
        !has_any(principal, rules.roles_for(action)),
        Reason::RoleNotAllowed,
        format!("actions/{action}"),
    );
    if against.is_empty() {
        return Ok(());
    }
    let hidden = !rules.shows_recordings_to(principal);
    Err(Denial::by_current(&against, hidden, rules.shared_digest()))
}
