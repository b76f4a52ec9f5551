//! The effect of statements of consent.
//!
//! Owns the all-party rule. Refuses to know where statements come from.
//! INVARIANTS
//! - No party is ignored: a conversation without known parties has one unknown party.
//! - A withdrawal ends consent for everything that was collected until the vault received it. A
//!   later yes counts only for recordings collected after it.
//! - An additional yes never removes consent, and the order of statements is irrelevant.
//! - In doubt the answer is no: of a yes and a no at the same moment the no counts, and a no counts
//!   as soon as it is known, even if it is dated in the future.

use crate::model::{
    consent::{Answer, Statement, Whom},
    name::{LegName, Purpose},
    recording::Recording,
    sid::CallSid,
    subject::{Conversation, Party},
    time::Timestamp,
};

/// The scope of consent: the conversation and the time of collection.
#[derive(Clone, Debug)]
struct Occasion<'a> {
    conversation: Option<Conversation>,
    /// The call, even if it is a leg of the conversation.
    call: Option<&'a CallSid>,
    collected_at: Timestamp,
}

impl<'a> Occasion<'a> {
    fn of(recording: &'a Recording) -> Self {
        Self {
            conversation: recording.conversation(),
            call: recording.call.as_ref(),
            collected_at: recording.collected_at,
        }
    }
}

/// The parties of one recording, and every statement that may apply to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consents {
    /// The participants, as far as they were reported.
    pub parties: Vec<Party>,
    /// Their statements and those of others, in any order.
    pub statements: Vec<Statement>,
}

impl Consents {
    /// Without parties and statements.
    pub const NONE: Self = Self {
        parties: Vec::new(),
        statements: Vec::new(),
    };

    /// Returns whether every party consents to this purpose for this recording, as of now.
    pub fn cover(&self, recording: &Recording, purpose: &Purpose, now: Timestamp) -> bool {
        let occasion = Occasion::of(recording);
        self.every_party(|party| self.says_yes(&occasion, party, purpose, now, |_| true))
    }

    /// Returns whether every party of a running call consents to this purpose, for audio collected
    /// from now on.
    pub fn cover_from_now(&self, call: &CallSid, purpose: &Purpose, now: Timestamp) -> bool {
        let occasion = Occasion {
            conversation: Some(Conversation::Call(call.clone())),
            call: Some(call),
            collected_at: now,
        };
        self.every_party(|party| self.says_yes(&occasion, party, purpose, now, |_| true))
    }

    /// Returns whether every party said yes to this purpose under this version of the policy, after
    /// the recording was collected.
    pub fn renew(
        &self,
        recording: &Recording,
        purpose: &Purpose,
        version: &str,
        now: Timestamp,
    ) -> bool {
        let is_new = |yes: &Statement| {
            yes.policy_version.as_deref() == Some(version) && yes.at >= recording.collected_at
        };
        let occasion = Occasion::of(recording);
        self.every_party(|party| self.says_yes(&occasion, party, purpose, now, is_new))
    }

    fn every_party(&self, holds: impl Fn(Option<&Party>) -> bool) -> bool {
        if self.parties.is_empty() {
            holds(None)
        } else {
            self.parties.iter().all(|party| holds(Some(party)))
        }
    }

    /// Returns whether a party has made a yes that `counts`, has not said no since, and has not
    /// withdrawn since the recording was collected.
    fn says_yes(
        &self,
        occasion: &Occasion<'_>,
        party: Option<&Party>,
        purpose: &Purpose,
        now: Timestamp,
        counts: impl Fn(&Statement) -> bool,
    ) -> bool {
        let about = || self.statements.iter().filter(|said| said.is_about(purpose));
        let noes = |answer| {
            about().filter(move |said| said.answer == answer && is_no_of(said, occasion, party))
        };
        // The vault continued to collect until it received the withdrawal; recordings from that
        // period are withdrawn too.
        let withdrawn = noes(Answer::Withdrawn)
            .map(|said| said.at.max(said.recorded_at))
            .max();
        if withdrawn.is_some_and(|withdrawn| withdrawn >= occasion.collected_at) {
            return false;
        }
        let no = noes(Answer::Declined)
            .map(|said| said.at)
            .max()
            .max(withdrawn);
        let mut yeses =
            about().filter(|said| said.answer == Answer::Given && is_yes_of(said, occasion, party));
        yeses.any(|yes| yes.at <= now && no.is_none_or(|no| no < yes.at) && counts(yes))
    }
}

/// Returns whether a yes is this party's; for an unknown party, only a yes for everybody in the
/// conversation.
fn is_yes_of(said: &Statement, occasion: &Occasion<'_>, party: Option<&Party>) -> bool {
    match &said.whom {
        Whom::Subject(subject) => is_subject(party, *subject),
        // A call may be one leg of a conference. A statement for everybody in the call does not
        // cover the conference.
        Whom::Leg(conversation, leg) => {
            occasion.conversation.as_ref() == Some(conversation) && is_at(leg.as_ref(), party)
        }
    }
}

/// Returns whether a no may be this party's. In a call that is a leg of a conference, legs have
/// other names than in the conference, so a no may be any party's.
fn is_no_of(said: &Statement, occasion: &Occasion<'_>, party: Option<&Party>) -> bool {
    match &said.whom {
        Whom::Subject(subject) => is_subject(party, *subject),
        Whom::Leg(conversation, leg) if occasion.conversation.as_ref() == Some(conversation) => {
            // An unknown party may be the one who spoke.
            party.is_none() || is_at(leg.as_ref(), party)
        }
        Whom::Leg(Conversation::Call(call), _) => occasion.call == Some(call),
        Whom::Leg(
            Conversation::Conference(_)
            | Conversation::Chat(_)
            | Conversation::Thread(_)
            | Conversation::Room(_)
            | Conversation::Session(_),
            _,
        ) => false,
    }
}

fn is_subject(party: Option<&Party>, subject: crate::model::id::SubjectId) -> bool {
    party.is_some_and(|party| party.subject == Some(subject))
}

fn is_at(leg: Option<&LegName>, party: Option<&Party>) -> bool {
    leg.is_none_or(|leg| party.is_some_and(|party| party.leg == *leg))
}

#[cfg(test)]
mod tests;
