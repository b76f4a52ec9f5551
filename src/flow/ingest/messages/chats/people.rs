//! Who takes part in a chat, as the source names them.
//!
//! Owns the legs: one for each participation, so that its bounds in time belong to it alone. Own
//! lines, bots and `system` are no persons. INVARIANT: no leg tells who somebody is.

use crate::{
    flow::consent::parties::members::{Member, NOBODY_KNOWN, Seat, leg_of},
    flow::ingest::messages::told::{LINE, leg},
    model::{
        details::Participant,
        name::LegName,
        subject::{Address, Presence},
        time::Timestamp,
    },
    policy::Rules,
    twilio::conversations::{ChatMessage, ChatParticipant},
    vault::Vault,
};

/// Stands for receivers whom nobody named, until the participants were read.
const OTHERS: &str = "others";
/// Twilio's own author.
const SYSTEM: &str = "system";
/// The characters of a person's keyed hash in the leg of an author who is no participant.
const HASH: usize = 16;

/// Who wrote a message.
pub(in crate::flow) struct ChatAuthor {
    /// Their leg.
    pub(in crate::flow) leg: LegName,
    /// Their address; `None` for nobody, or for a person who is not known.
    pub(in crate::flow) address: Option<Address>,
    seat: Option<Seat>,
}

impl ChatAuthor {
    /// Reads the author of a message.
    pub(in crate::flow) fn of(rules: &Rules, vault: &Vault, message: &ChatMessage) -> Self {
        let told = message.author.as_ref().map_or("", |author| author.expose());
        if is_nobody(rules, told, message.participant.is_some()) {
            return Self {
                leg: leg(LINE),
                address: None,
                seat: None,
            };
        }
        let address = Address::of_chat(told).ok();
        let (leg, seat) = match (&message.participant, &address) {
            (Some(participant), _) => (leg_of(participant, 0), Seat::Author(participant.clone())),
            (None, Some(address)) => {
                let person = vault.subject(address).to_string();
                let hash = person.rsplit('_').next().unwrap_or_default();
                let leg = leg(&format!("author-{}", hash.get(..HASH).unwrap_or(hash)));
                (leg.clone(), Seat::At(leg))
            }
            (None, None) => (leg(NOBODY_KNOWN), Seat::At(leg(NOBODY_KNOWN))),
        };
        Self {
            leg,
            address,
            seat: Some(seat),
        }
    }

    /// Returns them at the leg that the naming gave them: a participation has one for each of its
    /// addresses.
    #[must_use]
    pub(in crate::flow) fn at(self, named: Option<LegName>) -> Self {
        match (&self.seat, named) {
            (Some(_), Some(leg)) => Self { leg, ..self },
            _ => self,
        }
    }

    /// Returns the participation that their message proves.
    pub(in crate::flow) fn member(&self) -> Option<Member> {
        let seat = self.seat.clone()?;
        let presence = match &seat {
            // They wrote it, and receive nothing.
            Seat::At(_) => Presence::NEVER,
            Seat::In(_) | Seat::Author(_) => Presence::ALWAYS,
        };
        Some(Member {
            seat,
            address: self.address.clone(),
            presence,
        })
    }

    /// Returns them as a participant of their message.
    pub(in crate::flow) fn participant(&self) -> Option<Participant> {
        self.seat.is_some().then(|| Participant {
            address: self.address.clone(),
            ..Participant::at(self.leg.clone())
        })
    }
}

/// Returns the party that stands for receivers whom nobody named.
pub(in crate::flow) fn others() -> Member {
    Member {
        seat: Seat::At(leg(OTHERS)),
        address: None,
        presence: Presence::ALWAYS,
    }
}

/// Returns the same once the participants were read: nobody is left who is not named.
pub(in crate::flow) fn no_others() -> Member {
    Member {
        presence: Presence::NEVER,
        ..others()
    }
}

/// Returns the participations of a participant: of one in a group, one for each address.
pub(in crate::flow) fn members_of(rules: &Rules, participant: &ChatParticipant) -> Vec<Member> {
    let presence = Presence {
        joined_at: participant.joined_at.map(second_of),
        left_at: participant.left_at.map(second_after),
    };
    let identity = participant
        .identity
        .iter()
        .map(|identity| identity.expose());
    let bound = participant
        .binding
        .iter()
        .flat_map(|binding| binding.addresses.iter().map(|address| address.expose()));
    let told: Vec<&str> = identity.chain(bound).collect();
    told.into_iter()
        .filter(|told| !is_nobody(rules, told, true))
        .map(|told| Member {
            seat: Seat::In(participant.sid.clone()),
            address: Address::of_chat(told).ok(),
            presence,
        })
        .collect()
}

/// Whether a name stands for no person.
fn is_nobody(rules: &Rules, told: &str, participates: bool) -> bool {
    rules.is_bot(told) || told == SYSTEM && !participates
}

fn second_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - at.as_millis().rem_euclid(1000))
}

fn second_after(at: Timestamp) -> Timestamp {
    second_of(Timestamp::from_millis(at.as_millis().saturating_add(999)))
}
