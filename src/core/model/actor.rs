//! Actors: the one form in which the audit log names a person, a machine or the vault itself.
//!
//! Owns the text of an actor and the difference between an actor ([`Actor`]) and an actor with the
//! credential that was presented ([`Initiator`]). Refuses to know any permissions. INVARIANT: an
//! actor is an id, a fixed word or the account's name on the machine, never free text.

use std::{fmt, str::FromStr, sync::OnceLock};

use arrayvec::ArrayString;

use super::id::{PrincipalId, TokenId};

/// The actor of an entry. Text form: `prn_…`, `operator:<user>` or `vault`.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
pub enum Actor {
    /// A person or a service that the vault knows.
    Principal(PrincipalId),
    /// A user of the machine at its command line.
    Operator(OsUser),
    /// The vault itself: scheduled work and deadlines.
    Vault,
}

/// A user of the operating system: the account's name, or `uid:1000` if it has no valid one. A name
/// has 1 to 64 of ASCII letters, digits and `-_.@$+\`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OsUser {
    /// The account's name.
    Name(ArrayString<64>),
    /// The number of an account without a name.
    Uid(u32),
}

impl OsUser {
    /// Returns the user of this process: the real one, not the effective one. Looked up once,
    /// because neither changes while the process lives.
    pub fn of_process() -> Self {
        static USER: OnceLock<OsUser> = OnceLock::new();
        *USER.get_or_init(|| {
            let uid = rustix::process::getuid().as_raw();
            let account = nix::unistd::User::from_uid(uid.into()).ok().flatten();
            Self::of_account(uid, account.as_ref().map(|account| account.name.as_str()))
        })
    }

    fn of_account(uid: u32, name: Option<&str>) -> Self {
        name.and_then(account_name)
            .map_or(Self::Uid(uid), Self::Name)
    }
}

fn account_name(text: &str) -> Option<ArrayString<64>> {
    let fits = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || br"-_.@$+\".contains(&b));
    fits.then(|| ArrayString::from(text).ok()).flatten()
}

impl fmt::Display for OsUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Uid(uid) => write!(f, "uid:{uid}"),
        }
    }
}

impl FromStr for OsUser {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, UnknownActor> {
        let user = match text.strip_prefix("uid:") {
            Some(uid) => uid.parse().ok().map(Self::Uid),
            None => account_name(text).map(Self::Name),
        };
        // One text per user: `uid:007` and `uid:+7` are invalid.
        user.filter(|user| user.to_string() == text)
            .ok_or(UnknownActor)
    }
}

/// The initiator of an act, with the presented credential. Every entry of the audit log is made
/// from one, so that no entry lacks the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// A principal with one of their credentials.
    Principal {
        /// The principal.
        id: PrincipalId,
        /// The presented credential.
        credential: TokenId,
    },
    /// The user of the machine under whose account this process runs.
    Operator,
    /// The vault itself.
    Vault,
    /// The initiator of an act that the vault continues later: the entry of its beginning names the
    /// credential.
    Recorded(Actor),
}

impl Initiator {
    /// Returns the actor, without the credential.
    pub fn actor(self) -> Actor {
        match self {
            Self::Principal { id, .. } => Actor::Principal(id),
            Self::Operator => Actor::Operator(OsUser::of_process()),
            Self::Vault => Actor::Vault,
            Self::Recorded(actor) => actor,
        }
    }

    /// Returns the presented credential, if there was one.
    pub fn credential(self) -> Option<TokenId> {
        match self {
            Self::Principal { credential, .. } => Some(credential),
            Self::Operator | Self::Vault | Self::Recorded(_) => None,
        }
    }
}

const OPERATOR: &str = "operator:";

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Principal(id) => id.fmt(f),
            Self::Operator(user) => write!(f, "{OPERATOR}{user}"),
            Self::Vault => f.write_str("vault"),
        }
    }
}

/// The text is not an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an actor: expected a principal's id (`prn_…`), `operator:<user>` or `vault`")]
pub struct UnknownActor;

impl FromStr for Actor {
    type Err = UnknownActor;

    fn from_str(text: &str) -> Result<Self, UnknownActor> {
        if let Some(user) = text.strip_prefix(OPERATOR) {
            return user.parse().map(Self::Operator);
        }
        match text {
            "vault" => Ok(Self::Vault),
            _ => text.parse().map(Self::Principal).map_err(|_| UnknownActor),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_round_trips_and_nothing_else_parses() {
        let rng = &mut rand::rng();
        for actor in [
            Actor::Principal(PrincipalId::random(rng)),
            Actor::Operator(OsUser::of_process()),
            Actor::Operator(OsUser::Uid(0)),
            Actor::Vault,
        ] {
            assert_eq!(actor.to_string().parse(), Ok(actor));
        }
        for bad in [
            "",
            "Operator",
            "operator",
            "root",
            "tok_00000000000000000000000000000000",
            "prn_",
            "operator:",
            "operator:a b",
            "operator:a\nb",
            "operator:zoë",
            "operator:uid:",
            "operator:uid:+7",
            "operator:uid:007",
            "operator:uid:4294967296",
            "rec_00000000000000000000000000000000",
        ] {
            assert_eq!(bad.parse::<Actor>(), Err(UnknownActor), "{bad}");
        }
    }

    #[test]
    fn a_user_without_a_plain_name_is_a_number() {
        let name = |name| OsUser::of_account(1000, name).to_string();
        assert_eq!(name(Some("alice")), "alice");
        assert_eq!(name(Some(r"CORP\alice")), r"CORP\alice");
        let long = "x".repeat(65);
        for none in [None, Some(""), Some("a:b"), Some("a\u{1b}[2J"), Some(&long)] {
            assert_eq!(name(none), "uid:1000", "{none:?}");
        }
    }

    #[test]
    fn only_who_shows_a_credential_has_one() {
        let rng = &mut rand::rng();
        let id = PrincipalId::random(rng);
        let credential = TokenId::random(rng);
        let with = Initiator::Principal { id, credential };
        assert_eq!(
            (with.actor(), with.credential()),
            (Actor::Principal(id), Some(credential))
        );
        let recorded = Initiator::Recorded(with.actor());
        assert_eq!(
            (recorded.actor(), recorded.credential()),
            (with.actor(), None)
        );
        assert_eq!(Initiator::Operator.credential(), None);
    }

    proptest! {
        #[test]
        fn one_text_is_one_actor(text in r"(operator:|tok_|prn_|vault)?(uid:)?[-a-z0-9_.@$+\\: ]{0,70}") {
            if let Ok(actor) = text.parse::<Actor>() {
                prop_assert_eq!(actor.to_string(), text);
            }
        }

        #[test]
        fn whatever_the_machine_calls_its_user_is_an_actor(uid in any::<u32>(), name in any::<Option<String>>()) {
            let actor = Actor::Operator(OsUser::of_account(uid, name.as_deref()));
            let text = actor.to_string();
            prop_assert!(text.len() <= 73 && text.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(text.parse(), Ok(actor));
        }
    }
}
