//! Requesters and their credentials: principals, tokens and tickets.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use super::{
    actor::Initiator,
    id::{PrincipalId, TokenId},
    name::{Label, Role},
    sid::AccountSid,
    word::{UnknownWord, unknown},
};

/// The kind of a principal.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum PrincipalKind {
    /// A human being.
    Person,
    /// A program.
    Service,
}

crate::word_set!(PrincipalKind);

/// A person or a service with a valid credential, as the policy sees them.
///
/// Whatever is counted, approved or forbidden "for one person" is keyed by `id`; roles, accounts
/// and attributes belong to the credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Their id, which the audit log records.
    pub id: PrincipalId,
    /// The token that they presented.
    pub credential: TokenId,
    /// Their roles.
    pub roles: BTreeSet<Role>,
    /// The accounts whose recordings they may know of; empty means all.
    pub accounts: BTreeSet<AccountSid>,
    /// Attributes for conditions of the policy: values by label, such as the teams and queues that
    /// they work for.
    pub attributes: BTreeMap<Label, BTreeSet<String>>,
}

impl Principal {
    /// Returns the initiator for the audit log.
    pub fn initiator(&self) -> Initiator {
        Initiator::Principal {
            id: self.id,
            credential: self.credential,
        }
    }

    /// Whether this principal may know that recordings of `account` exist.
    pub fn knows(&self, account: &AccountSid) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }

    /// Whether this principal has the role.
    pub fn is(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.as_str() == role)
    }
}

/// The number of a case in another system, named in a request: 1 to 64 ASCII letters, digits and
/// `-_./#:`.
#[derive(Clone, Debug, PartialEq, Eq, serde_with::DeserializeFromStr, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9_./#:-]{1,64}$", examples("CASE-1042"))]
pub struct Ticket(String);

/// The text is not a ticket.
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
