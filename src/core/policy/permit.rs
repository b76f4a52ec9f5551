//! Permits: leave to do what is not listening.
//!
//! Owns who may list recordings, shred them and read the audit log. Refuses to decide about
//! plaintext: that is the decision's. INVARIANT: a permit comes from the rules, or from the machine
//! itself.

use std::{collections::BTreeSet, fmt};

use super::{
    reason::{Denial, Grounds, Reason},
    rules::{Rulebook, has_any},
};
use crate::model::{
    access::Principal,
    actor::{Actor, Initiator},
    sid::AccountSid,
    time::Timestamp,
};

/// What is not listening and yet not for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// List recordings and see what the catalogue knows of them.
    Catalogue,
    /// Shred recordings.
    Shred,
    /// Read the audit log.
    Audit,
    /// Name the parties of conversations, record and read statements of consent.
    Consent,
    /// Revoke: by subject, recording or account.
    Revoke,
    /// Place, list and lift holds.
    Hold,
    /// Correct what the catalogue says of a recording.
    Correct,
    /// File transcripts.
    Transcribe,
    /// Turn epochs, renew and move keys. For the operator on the machine only; no role of a policy
    /// reaches it.
    Keys,
}

impl Action {
    /// The word used in the policy file and in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalogue => "catalogue",
            Self::Shred => "shred",
            Self::Audit => "audit",
            Self::Consent => "consent",
            Self::Revoke => "revoke",
            Self::Hold => "hold",
            Self::Correct => "correct",
            Self::Transcribe => "transcribe",
            Self::Keys => "keys",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Leave to do one kind of thing.
///
/// ```compile_fail,E0451
/// use recvault_core::{model::actor::Initiator, policy::{Action, Permit}};
/// Permit { initiator: Initiator::Vault, action: Action::Shred, accounts: Default::default() };
/// ```
#[derive(Debug)]
pub struct Permit {
    initiator: Initiator,
    action: Action,
    accounts: BTreeSet<AccountSid>,
}

impl Permit {
    /// For the command line on the machine itself. Who can read the root file there needs no token:
    /// asking for one would guard nothing.
    pub fn of_operator(action: Action) -> Self {
        Self {
            initiator: Initiator::Operator,
            action,
            accounts: BTreeSet::new(),
        }
    }

    /// For what the vault does by itself when its time has come.
    pub fn of_vault(action: Action) -> Self {
        Self {
            initiator: Initiator::Vault,
            action,
            accounts: BTreeSet::new(),
        }
    }

    /// Who may.
    pub fn actor(&self) -> Actor {
        self.initiator.actor()
    }

    /// Who may, with the credential that they came with.
    pub fn initiator(&self) -> Initiator {
        self.initiator
    }

    /// What they may.
    pub fn action(&self) -> Action {
        self.action
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
pub fn permit(
    principal: &Principal,
    action: Action,
    rulebook: &Rulebook,
    now: Timestamp,
) -> Result<Permit, Denial> {
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
        return Ok(Permit {
            initiator: principal.initiator(),
            action,
            accounts: principal.accounts.clone(),
        });
    }
    let hidden = !rules.shows_recordings_to(principal);
    Err(Denial::new(
        &against,
        &Grounds::default(),
        None,
        hidden,
        rules.shared_digest(),
    ))
}
