//! Revocations: whom they reach, and what becomes of each recording.
//!
//! Owns the words. Refuses to know what is covered when: the database and the flows say that.

use std::{fmt, str::FromStr};

use super::{
    id::{RecordingId, SubjectId},
    sid::AccountSid,
    subject::Conversation,
};

/// The target of a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Every recording in whose conversation this person took part.
    Subject(SubjectId),
    /// One recording.
    Recording(RecordingId),
    /// Every recording of an account.
    Account(AccountSid),
    /// Every recording of a conversation: who withdrew is known only by their place in it.
    Conversation(Conversation),
}

impl Target {
    /// The word used in rows and JSON: `subject`, `recording`, `account` or `conversation`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject",
            Self::Recording(_) => "recording",
            Self::Account(_) => "account",
            Self::Conversation(_) => "conversation",
        }
    }

    /// The id in it, as text.
    pub fn id(&self) -> String {
        match self {
            Self::Subject(subject) => subject.to_string(),
            Self::Recording(recording) => recording.to_string(),
            Self::Account(account) => account.to_string(),
            Self::Conversation(conversation) => conversation.to_string(),
        }
    }

    /// The target of this kind with this id; `None` for any other text.
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "subject" => id.parse().ok().map(Self::Subject),
            "recording" => id.parse().ok().map(Self::Recording),
            "account" => id.parse().ok().map(Self::Account),
            "conversation" => id.parse().ok().map(Self::Conversation),
            _ => None,
        }
    }
}

/// The outcome of a revocation for a recording.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RevocationOutcome {
    /// It is shredded, by this revocation or before it.
    Shredded,
    /// A hold keeps it: it is closed to everything but the hold's own purpose, and shredded when
    /// the last hold ends.
    Held,
    /// It is closed to the purposes that were revoked, and to no other.
    Closed,
}

impl RevocationOutcome {
    /// The word used in rows and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shredded => "shredded",
            Self::Held => "held",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for RevocationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of `shredded`, `held`, `closed`")]
pub struct UnknownOutcome;

impl FromStr for RevocationOutcome {
    type Err = UnknownOutcome;

    fn from_str(text: &str) -> Result<Self, UnknownOutcome> {
        [Self::Shredded, Self::Held, Self::Closed]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or(UnknownOutcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_comes_back_as_it_went() {
        let recording = RecordingId::random(&mut rand::rng());
        let subject = SubjectId::of_hash(&[7; 32]);
        let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
        let call = format!("CA{}", "0".repeat(32)).parse().unwrap();
        for target in [
            Target::Recording(recording),
            Target::Subject(subject),
            Target::Account(account),
            Target::Conversation(call),
        ] {
            assert_eq!(
                Target::parse(target.kind(), &target.id()),
                Some(target.clone())
            );
            assert_eq!(Target::parse("call", &target.id()), None);
        }
        assert_eq!(Target::parse("subject", &recording.to_string()), None);
        for outcome in [
            RevocationOutcome::Shredded,
            RevocationOutcome::Held,
            RevocationOutcome::Closed,
        ] {
            assert_eq!(outcome.to_string().parse(), Ok(outcome));
        }
        assert_eq!("kept".parse::<RevocationOutcome>(), Err(UnknownOutcome));
    }
}
