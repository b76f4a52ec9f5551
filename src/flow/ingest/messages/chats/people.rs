//! Who takes part in a chat, as the source names them.
//!
//! Owns the legs: one for each participation, so that its bounds in time belong to it alone. Own
//! lines, bots and `system` are no persons. INVARIANT: no leg tells who somebody is.

use crate::{
    flow::consent::parties::members::Member,
    flow::ingest::messages::told::{LINE, leg},
    model::{
        details::Participant,
        name::LegName,
        sid::ChatParticipantSid,
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
    is_person: bool,
}

impl ChatAuthor {
    /// Reads the author of a message.
    pub(in crate::flow) fn of(rules: &Rules, vault: &Vault, message: &ChatMessage) -> Self {
        let told = message.author.as_ref().map_or("", |author| author.expose());
        if is_nobody(rules, told, message.participant.is_some()) {
            return Self {
                leg: leg(LINE),
                address: None,
                is_person: false,
            };
        }
        let address = Address::of_chat(told).ok();
        let leg = match (&message.participant, &address) {
            (Some(participant), _) => leg_of(participant, 0),
            (None, Some(address)) => {
                let person = vault.subject(address).to_string();
                let hash = person.rsplit('_').next().unwrap_or_default();
                leg(&format!("author-{}", hash.get(..HASH).unwrap_or(hash)))
            }
            (None, None) => leg("author"),
        };
        Self {
            leg,
            address,
            is_person: true,
        }
    }

    /// Returns the participation that their message proves.
    pub(in crate::flow) fn member(&self) -> Option<Member> {
        self.is_person.then(|| Member {
            leg: self.leg.clone(),
            address: self.address.clone(),
            presence: if self.leg.as_str().starts_with("author") {
                // They wrote it, and receive nothing.
                NEVER
            } else {
                Presence::ALWAYS
            },
        })
    }

    /// Returns them as a participant of their message.
    pub(in crate::flow) fn participant(&self) -> Option<Participant> {
        self.is_person.then(|| Participant {
            address: self.address.clone(),
            ..Participant::at(self.leg.clone())
        })
    }
}

/// No time in a chat.
const NEVER: Presence = Presence {
    joined_at: None,
    left_at: Some(Timestamp::from_millis(0)),
};

/// Returns the party that stands for receivers whom nobody named.
pub(in crate::flow) fn others() -> Member {
    Member {
        leg: leg(OTHERS),
        address: None,
        presence: Presence::ALWAYS,
    }
}

/// Returns the same once the participants were read: nobody is left who is not named.
pub(in crate::flow) fn no_others() -> Member {
    Member {
        presence: NEVER,
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
        .enumerate()
        .filter(|(_, told)| !is_nobody(rules, told, true))
        .map(|(number, told)| Member {
            leg: leg_of(&participant.sid, number),
            address: Address::of_chat(told).ok(),
            presence,
        })
        .collect()
}

/// Whether a name stands for no person.
fn is_nobody(rules: &Rules, told: &str, participates: bool) -> bool {
    rules.is_bot(told) || told == SYSTEM && !participates
}

/// Returns the leg of a participation.
pub(in crate::flow) fn leg_of(participant: &ChatParticipantSid, number: usize) -> LegName {
    let sid = participant.as_str().to_ascii_lowercase();
    if number == 0 {
        leg(&sid)
    } else {
        leg(&format!("{sid}-{}", number + 1))
    }
}

fn second_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - at.as_millis().rem_euclid(1000))
}

fn second_after(at: Timestamp) -> Timestamp {
    second_of(Timestamp::from_millis(at.as_millis().saturating_add(999)))
}
