//! Revocations: their targets, the outcome for each recording, and the person's part in it.
//!
//! Owns the names. Refuses to know the scope of a revocation over time: the database and the flows
//! define it.

use super::{
    id::{RecordingId, SubjectId},
    name::LegName,
    sid::AccountSid,
    subject::Conversation,
    word::{UnknownWord, unknown},
};

/// The target of a revocation.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::IntoStaticStr,
    strum::EnumDiscriminants,
)]
#[strum(serialize_all = "lowercase")]
#[strum_discriminants(name(TargetKind), vis(), derive(strum::EnumString))]
#[strum_discriminants(strum(serialize_all = "lowercase"))]
pub enum Target {
    /// Every recording in whose conversation this person took part.
    Subject(SubjectId),
    /// One recording.
    Recording(RecordingId),
    /// Every recording of an account.
    Account(AccountSid),
    /// Every recording of a conversation: the person who withdrew is identified only by their leg.
    Conversation(Conversation),
    /// What the party at one leg of a thread or chat wrote and received.
    #[strum(serialize = "conversation")]
    #[strum_discriminants(strum(disabled))]
    Place(Conversation, LegName),
}

impl Target {
    /// Returns the kind used in rows and JSON: `subject`, `recording`, `account` or `conversation`.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Returns its id as text.
    pub fn id(&self) -> String {
        match self {
            Self::Subject(subject) => subject.to_string(),
            Self::Recording(recording) => recording.to_string(),
            Self::Account(account) => account.to_string(),
            Self::Conversation(conversation) => conversation.to_string(),
            Self::Place(conversation, leg) => format!("{conversation}/{leg}"),
        }
    }

    /// Returns the conversation that it is about, if it is about one.
    pub fn conversation(&self) -> Option<&Conversation> {
        match self {
            Self::Conversation(conversation) | Self::Place(conversation, _) => Some(conversation),
            Self::Subject(_) | Self::Recording(_) | Self::Account(_) => None,
        }
    }

    /// Returns the target of this kind with this id; `None` for invalid text.
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind.parse().ok()? {
            TargetKind::Subject => id.parse().ok().map(Self::Subject),
            TargetKind::Recording => id.parse().ok().map(Self::Recording),
            TargetKind::Account => id.parse().ok().map(Self::Account),
            TargetKind::Conversation | TargetKind::Place => match id.split_once('/') {
                Some((conversation, leg)) => {
                    Some(Self::Place(conversation.parse().ok()?, leg.parse().ok()?))
                }
                None => id.parse().ok().map(Self::Conversation),
            },
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
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum RevocationOutcome {
    /// It is shredded, by this revocation or before it.
    Shredded,
    /// A hold keeps it: it is closed to everything but the hold's own purpose, and shredded when
    /// the last hold ends.
    Held,
    /// It is closed to the purposes that were revoked, and to no other.
    Closed,
}

crate::word_set!(RevocationOutcome);

/// The part of a revoking person in a recording.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum Authorship {
    /// They made it, alone or with others: a message that they wrote, a call that they were in.
    /// Also whatever a revocation reaches that is not of a person.
    Own,
    /// Somebody else wrote it to them.
    Received,
}

crate::word_set!(Authorship);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_comes_back_as_it_went() {
        let recording = RecordingId::random(&mut rand::rng());
        let subject = SubjectId::of_hash(&[7; 32]);
        let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
        let call = format!("CA{}", "0".repeat(32)).parse().unwrap();
        let chat = format!("CH{}", "0".repeat(32)).parse().unwrap();
        let leg = "mb-2".parse().unwrap();
        for target in [
            Target::Recording(recording),
            Target::Subject(subject),
            Target::Account(account),
            Target::Conversation(call),
            Target::Place(chat, leg),
        ] {
            assert_eq!(
                Target::parse(target.kind(), &target.id()),
                Some(target.clone())
            );
            assert_eq!(Target::parse("call", &target.id()), None);
        }
        assert_eq!(Target::parse("subject", &recording.to_string()), None);
    }

    #[test]
    fn outcomes_have_their_words_everywhere() {
        crate::samples::words_are::<RevocationOutcome>("shredded held closed");
        crate::samples::json_has_the_words::<RevocationOutcome>();
        crate::samples::words_are::<Authorship>("own received");
        crate::samples::json_has_the_words::<Authorship>();
    }
}
