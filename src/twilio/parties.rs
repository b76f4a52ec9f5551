//! The participants of a call or conference, from Twilio's resources and callbacks.
//!
//! Owns the meaning of each field: the person of a leg, the person's channel, and values that are
//! no person's address. Refuses to know the participants that are known already.
//!
//! A call has two sides. A leg belongs to one person: for an inbound leg the caller (`from`), for
//! an outbound leg the called party (`to`). The legs that a call dialled are the other side. In a
//! two-channel recording, the first channel is the recorded call, and the second the dialled legs
//! (<https://www.twilio.com/docs/voice/twiml/dial>). In that of a conference, the first channel is
//! the first participant, and the second all others.
//!
//! INVARIANT: a second side without data is listed as an unknown participant.

use super::{
    params::VerifiedParams,
    rest::{CallResource, ParticipantResource},
    signature::Verified,
};
use crate::model::{
    details::Participant,
    name::LegName,
    sid::CallSid,
    subject::{Address, Conversation},
};

/// Twilio's source of a recording of a caller alone (`<Record>`).
const ALONE: &str = "RecordVerb";
/// Twilio's source of a recording of a SIP trunk.
const TRUNK: &str = "Trunking";

/// Labels that are a role and not a name. Every other label may be a name, and is stored as one:
/// sealed.
const PARTS: [&str; 16] = [
    "agent",
    "bot",
    "caller",
    "callee",
    "coach",
    "customer",
    "expert",
    "guest",
    "host",
    "interpreter",
    "moderator",
    "operator",
    "patient",
    "speaker",
    "supervisor",
    "teacher",
];

/// Returns the participants of a recorded call and of the legs that it dialled. `source` is the
/// recording's source, as Twilio reports it.
pub fn of_call(
    call: &CallResource,
    children: &[CallResource],
    source: Option<&str>,
) -> Vec<Participant> {
    let Some(side) = Side::of(call).filter(|_| source != Some(TRUNK)) else {
        // A trunking call has no child legs; `from` and `to` are the two sides, and Twilio does not
        // document their channels.
        return vec![
            person("caller", None, call.from.as_deref()),
            person("callee", None, call.to.as_deref()),
        ];
    };
    let mut dialled: Vec<&CallResource> =
        children.iter().filter(|child| was_there(child)).collect();
    dialled.sort_by_key(|child| (child.start_time, child.sid.as_ref().map(CallSid::as_str)));
    if dialled.is_empty() {
        return side.alone(call, children.is_empty() && source != Some(ALONE));
    }
    let channel = (dialled.len() == 1).then_some(2);
    let callee = |(number, child): (usize, &&CallResource)| {
        let leg = if number == 1 {
            "callee".to_owned()
        } else {
            format!("callee-{number}")
        };
        person(&leg, channel, child.to.as_deref())
    };
    let caller = Participant {
        leg: leg("caller"),
        ..side.person(call)
    };
    std::iter::once(caller)
        .chain((1..).zip(&dialled).map(callee))
        .collect()
}

/// Returns the participants of a conference, from its participants in any order, each with its call
/// if that was found.
pub fn of_conference(
    participants: &[(ParticipantResource, Option<CallResource>)],
) -> Vec<Participant> {
    let came = |(participant, call): &(ParticipantResource, Option<CallResource>)| {
        (
            participant.date_created,
            call.as_ref().and_then(|call| call.start_time),
        )
    };
    let sid = |all: &(ParticipantResource, Option<CallResource>)| {
        all.0.call_sid.as_ref().map(ToString::to_string)
    };
    let mut participants: Vec<_> = participants.iter().collect();
    participants.sort_by(|a, b| came(a).cmp(&came(b)).then_with(|| sid(a).cmp(&sid(b))));
    // Channels are known only if the join order is.
    let first_is_known = match participants.as_slice() {
        [first, second, ..] => came(first) < came(second) && came(first).0.is_some(),
        _ => true,
    };
    let mut found: Vec<Participant> = Vec::with_capacity(participants.len());
    for (number, (participant, call)) in (1..).zip(&participants) {
        let channel = match (first_is_known, number) {
            (true, 1) => Some(1),
            (true, 2) if participants.len() == 2 => Some(2),
            _ => None,
        };
        let told = call.as_ref().map(|call| {
            (
                address_of(call),
                call.caller_name.as_deref().and_then(Participant::name),
            )
        });
        let (address, name) = told.unwrap_or_default();
        let label = participant.label.as_deref().unwrap_or_default();
        let part = part(label).filter(|part| found.iter().all(|other| other.leg != *part));
        let name = if part.is_some() {
            name
        } else {
            Participant::name(label).or(name)
        };
        found.push(Participant {
            leg: part.unwrap_or_else(|| leg(&format!("participant-{number}"))),
            channel,
            address,
            name,
        });
    }
    found
}

/// Returns the participants of a conference that has ended: Twilio has no list of them any more,
/// only the call that the recording names. The others are one unknown participant.
pub fn of_ended_conference(call: &CallResource) -> Vec<Participant> {
    let known = Participant {
        leg: leg("participant-1"),
        channel: None,
        address: address_of(call),
        name: name_of(call),
    };
    vec![known, Participant::at(leg("participant-2"))]
}

/// The participants of a call, from a callback with the parameters of a call, or with our own
/// parameters in its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackParties {
    /// The call.
    pub conversation: Conversation,
    /// The participants, at least one of them with an address.
    pub parties: Vec<Participant>,
}

impl CallbackParties {
    /// Parses a verified request. `None` if it names no participant, or does not identify the call.
    ///
    /// There are two forms. Twilio sends `Direction` with `From` and `To` in requests about a call;
    /// a recording status callback has none of them so far. And the query of our own URL may
    /// contain `caller` and `callee`, each a `client:` or `sip:` address. A number there is
    /// ignored, because URLs are logged by Twilio and by proxies; numbers are named by `POST
    /// /v1/calls/{sid}/parties`. A conference's callback is ignored, because it describes one leg
    /// only.
    pub fn parse(verified: &Verified) -> Option<Self> {
        let params = VerifiedParams::of(verified);
        if params.one("ConferenceSid") != Ok(None) {
            return None;
        }
        let call: CallSid = params.readable("CallSid")?.parse().ok()?;
        let side = params.readable("Direction").and_then(Side::parse);
        let told = match side {
            Some(side) => {
                let text = match side {
                    Side::Called => params.readable("To").or_else(|| params.readable("Called")),
                    Side::Calling => params
                        .readable("From")
                        .or_else(|| params.readable("Caller")),
                };
                let name = params
                    .readable("CallerName")
                    .filter(|_| side == Side::Calling)
                    .and_then(Participant::name);
                Some(Participant {
                    name,
                    ..person(side.leg(), Some(1), text)
                })
                .filter(|found| found.address.is_some())
            }
            None => None,
        };
        let own = ["caller", "callee"].into_iter().filter_map(|side| {
            let mut values = verified
                .query()
                .iter()
                .filter(|(name, _)| name == side)
                .map(|(_, value)| value.as_str());
            let (Some(text), None) = (values.next(), values.next()) else {
                return None;
            };
            let address = Address::parse(text)
                .ok()
                .filter(|address| !address.expose().starts_with('+'))?;
            Some(Participant {
                address: Some(address),
                ..Participant::at(leg(side))
            })
        });
        // Our own query parameters take precedence; an address is listed once.
        let mut parties: Vec<Participant> = own.collect();
        parties.extend(told.filter(|told| {
            parties
                .iter()
                .all(|own| own.leg != told.leg && own.address != told.address)
        }));
        if let ([only], true) = (
            parties.as_slice(),
            params.readable("RecordingSource") != Some(ALONE),
        ) {
            let other = if only.leg.as_str() == "caller" {
                "callee"
            } else {
                "caller"
            };
            parties.push(Participant {
                channel: only.channel.map(|_| 2),
                ..Participant::at(leg(other))
            });
        }
        (!parties.is_empty()).then_some(Self {
            conversation: Conversation::Call(call),
            parties,
        })
    }
}

/// The end of a leg that belongs to a person, and not to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The caller.
    Calling,
    /// The called party.
    Called,
}

impl Side {
    /// `None` for any other direction, as on a trunk.
    fn parse(direction: &str) -> Option<Self> {
        match direction {
            "inbound" => Some(Self::Calling),
            _ if direction.starts_with("outbound") => Some(Self::Called),
            _ => None,
        }
    }

    fn of(call: &CallResource) -> Option<Self> {
        call.direction.as_deref().and_then(Self::parse)
    }

    fn leg(self) -> &'static str {
        match self {
            Self::Calling => "caller",
            Self::Called => "callee",
        }
    }

    fn person(self, call: &CallResource) -> Participant {
        match self {
            Self::Calling => Participant {
                name: name_of(call),
                ..person(self.leg(), Some(1), call.from.as_deref())
            },
            Self::Called => person(self.leg(), Some(1), call.to.as_deref()),
        }
    }

    /// Returns the participant of a call without dialled legs, and the other side, if there may be
    /// one.
    fn alone(self, call: &CallResource, with_another: bool) -> Vec<Participant> {
        let other = match self {
            Self::Calling => Self::Called,
            Self::Called => Self::Calling,
        };
        let another = with_another.then(|| Participant {
            channel: Some(2),
            ..Participant::at(leg(other.leg()))
        });
        std::iter::once(self.person(call)).chain(another).collect()
    }
}

/// Whether a dialled leg was answered.
fn was_there(child: &CallResource) -> bool {
    let status = child.status.as_deref().unwrap_or_default();
    !matches!(
        status,
        "queued" | "ringing" | "busy" | "failed" | "no-answer" | "canceled"
    ) && child.duration != Some(0)
}

fn address_of(call: &CallResource) -> Option<Address> {
    match Side::of(call)? {
        Side::Calling => address(call.from.as_deref()),
        Side::Called => address(call.to.as_deref()),
    }
}

/// Returns the caller's name. Twilio has no name of a called party.
fn name_of(call: &CallResource) -> Option<String> {
    call.caller_name
        .as_deref()
        .filter(|_| Side::of(call) == Some(Side::Calling))
        .and_then(Participant::name)
}

fn person(side: &str, channel: Option<u8>, text: Option<&str>) -> Participant {
    Participant {
        channel,
        address: address(text),
        ..Participant::at(leg(side))
    }
}

/// Returns the address. A value that is no address (`anonymous`, a short code) is an unknown
/// person.
fn address(text: Option<&str>) -> Option<Address> {
    text.and_then(|text| Address::parse(text).ok())
}

/// Returns a label that is a role: one of the words, with at most one number behind it.
fn part(label: &str) -> Option<LegName> {
    let label = label.to_ascii_lowercase();
    let (word, number) = label.split_once(['-', '_']).unwrap_or((&label, "1"));
    let is_number = matches!(number.len(), 1 | 2) && number.bytes().all(|b| b.is_ascii_digit());
    if PARTS.contains(&word) && is_number {
        label.parse().ok()
    } else {
        None
    }
}

fn leg(name: &str) -> LegName {
    name.parse()
        .expect("lower-case words with numbers are names of legs")
}

#[cfg(test)]
mod tests;
