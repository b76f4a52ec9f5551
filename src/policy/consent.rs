//! What follows from statements of consent.
//!
//! Owns the all-party rule. Refuses to know where statements come from.
//! INVARIANTS
//! - Nobody is left out: a conversation of which no party is known has one that nobody knows.
//! - A withdrawal ends consent for everything that was collected until the vault learnt of it, for good. A later yes counts for what is collected after.
//! - One more yes never takes anything away.

use crate::model::{
    consent::{Answer, Statement, Whom},
    name::{LegName, Purpose},
    recording::Recording,
    subject::{Conversation, Party},
    time::Timestamp,
};

/// The parties of one recording, and every statement that may bear on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    /// Who took part, as far as it was told.
    pub parties: Vec<Party>,
    /// What they, or others, said; in any order.
    pub statements: Vec<Statement>,
}

impl Consents {
    /// Nothing is known.
    pub const NONE: Self = Self { parties: Vec::new(), statements: Vec::new() };

    /// Whether every party consents to this purpose for this recording, as of now.
    pub fn cover(&self, recording: &Recording, purpose: &Purpose, now: Timestamp) -> bool {
        self.every_party(|party| self.yes(recording, party, purpose, now).is_some())
    }

    /// Whether every party said yes to this purpose under this version of the policy, after the recording was collected.
    pub fn renew(&self, recording: &Recording, purpose: &Purpose, version: &str, now: Timestamp) -> bool {
        self.every_party(|party| {
            self.yes(recording, party, purpose, now)
                .is_some_and(|yes| yes.policy_version.as_deref() == Some(version) && yes.at >= recording.collected_at)
        })
    }

    fn every_party(&self, holds: impl Fn(Option<&Party>) -> bool) -> bool {
        if self.parties.is_empty() { holds(None) } else { self.parties.iter().all(|party| holds(Some(party))) }
    }

    /// The yes by which a party consents: the last thing they said, and not withdrawn since the recording was collected.
    fn yes(&self, recording: &Recording, party: Option<&Party>, purpose: &Purpose, now: Timestamp) -> Option<&Statement> {
        let theirs = || self.statements.iter().filter(|said| said.is_about(purpose) && is_by(said, recording, party));
        let withdrawn = theirs().filter(|said| said.answer == Answer::Withdrawn).map(|said| said.at.max(said.recorded_at)).max();
        if withdrawn.is_some_and(|withdrawn| withdrawn >= recording.collected_at) {
            return None;
        }
        let no = theirs().filter(|said| said.answer == Answer::Declined).map(|said| said.at).max().max(withdrawn);
        let yes = theirs().filter(|said| said.answer == Answer::Given && said.at <= now).max_by_key(|said| said.at)?;
        no.is_none_or(|no| no < yes.at).then_some(yes)
    }
}

/// Whether a statement speaks of this party; of somebody who is not known, only if it speaks of everybody in the conversation.
fn is_by(said: &Statement, recording: &Recording, party: Option<&Party>) -> bool {
    match &said.whom {
        Whom::Subject(subject) => party.is_some_and(|party| party.subject == Some(*subject)),
        Whom::Leg(conversation, leg) => is_of(recording, conversation) && is_at(leg.as_ref(), party),
    }
}

fn is_of(recording: &Recording, conversation: &Conversation) -> bool {
    match conversation {
        Conversation::Call(sid) => recording.call.as_ref() == Some(sid),
        Conversation::Conference(sid) => recording.conference.as_ref() == Some(sid),
    }
}

fn is_at(leg: Option<&LegName>, party: Option<&Party>) -> bool {
    leg.is_none_or(|leg| party.is_some_and(|party| party.leg == *leg))
}
