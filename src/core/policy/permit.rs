//! Permits for actions other than playback.
//!
//! Owns the decision who may list recordings, shred them and read the audit log. Refuses to decide
//! about plaintext: the decision does. INVARIANT: a permit comes from the rules, or from the
//! machine itself, and is for one action, which its type names.

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

/// Permission for one action, and for no other: a function that requires it takes the permit for
/// its own action, so that nothing is left to check when it runs. A permit is converted only into
/// one that the rules gave to the same initiator at the same time ([`Permit::also`]).
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
/// A permit for the catalogue does not allow a shred:
///
/// ```compile_fail,E0308
/// use recvault_core::policy::{Permit, action};
/// fn shred(_: &Permit<action::Shred>) {}
/// shred(&Permit::of_operator(action::Catalogue));
/// ```
///
/// The right permit does:
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
    /// Returns a permit for the command line on the machine itself. A user who can read the root
    /// file there needs no token, which would protect nothing.
    pub fn of_operator(_: A) -> Self {
        Self {
            initiator: Initiator::Operator,
            action: PhantomData,
            accounts: BTreeSet::new(),
            also: Action::ALL.into(),
        }
    }

    /// Returns a permit for the vault's own scheduled work.
    pub fn of_vault(_: A) -> Self {
        Self {
            initiator: Initiator::Vault,
            action: PhantomData,
            accounts: BTreeSet::new(),
            also: Action::ALL.into(),
        }
    }

    /// Returns a permit for the vault's own work on what one account of the source told: it covers
    /// nothing of another account.
    pub fn of_vault_for(action: A, account: &AccountSid) -> Self {
        Self {
            accounts: [account.clone()].into(),
            ..Self::of_vault(action)
        }
    }

    /// Returns a permit for another action, if the rules also give it to the same initiator; for
    /// the same accounts. For example, naming the parties can cause shreds, for which the permit to
    /// revoke is needed too.
    pub fn also<B: PermitAction>(&self, _: B) -> Option<Permit<B>> {
        self.also.contains(&B::ACTION).then(|| Permit {
            initiator: self.initiator,
            action: PhantomData,
            accounts: self.accounts.clone(),
            also: self.also.clone(),
        })
    }

    /// The permitted actor.
    pub fn actor(&self) -> Actor {
        self.initiator.actor()
    }

    /// The permitted actor, with the presented credential.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// Returns whether it covers the recordings of this account. Others appear not to exist.
    pub fn covers(&self, account: &AccountSid) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    /// The accounts that it covers, to filter a list; empty means all.
    pub fn accounts(&self) -> &BTreeSet<AccountSid> {
        &self.accounts
    }
}

/// Decides by the current rules whether the principal may do this.
///
/// # Errors
/// The refusal with every reason. It is hidden if the principal may not know that recordings exist;
/// for a question about no single recording there is nothing to hide.
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

/// The check behind [`permit`].
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
