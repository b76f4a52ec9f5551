//! The facts of a request for playback.
//!
//! Owns the input of a decision. Refuses to know how the facts were gathered; the caller guarantees
//! them.

use std::net::IpAddr;

use super::consent::Consents;
use crate::model::{
    access::{Principal, Ticket},
    id::ApprovalId,
    name::Purpose,
    recording::Recording,
    time::Timestamp,
};

/// The longest justification, in characters. `fixed.cedar` repeats it.
pub const MAX_JUSTIFICATION: usize = 1000;

/// A valid approval, on which a grant can rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingApproval {
    /// Its id.
    pub id: ApprovalId,
    /// Its end.
    pub until: Timestamp,
}

impl StandingApproval {
    /// Returns an approval that nobody gave, for a question about the rules alone.
    pub(crate) fn some_until(until: Timestamp) -> Self {
        Self {
            id: ApprovalId::NOBODYS,
            until,
        }
    }
}

/// The input of a decision besides the rules and the time.
#[derive(Clone, Debug)]
pub struct DecisionFacts<'a> {
    /// The requester.
    pub principal: &'a Principal,
    /// The recording, as the catalogue describes it now.
    pub recording: &'a Recording,
    /// The purpose.
    pub purpose: Purpose,
    /// The justification. At an opening: the one that was given for the grant.
    pub justification: Option<&'a str>,
    /// The ticket: a case in another system.
    pub ticket: Option<&'a Ticket>,
    /// The network address of the requester.
    pub network: Option<IpAddr>,
    /// The parties of the recording, and every statement that applies to them.
    pub consents: &'a Consents,
    /// The purposes of the present holds.
    pub holds: &'a [Purpose],
    /// Another person's approval that this principal opens this recording for this purpose.
    pub approval: Option<StandingApproval>,
    /// Whether the requester asks to bypass the approval that the tier requires.
    pub break_glass: bool,
    /// How many recordings the requester has opened for this purpose today; 0 if this one is among
    /// them, because opening it again costs nothing.
    pub openings_today: u32,
    /// The end of an earlier grant; `None` for a new one. A stored grant is only a claim: the
    /// decision is made again at each opening.
    pub until: Option<Timestamp>,
}

impl<'a> DecisionFacts<'a> {
    /// Returns the bare request, without any fact in its favour.
    pub fn new(principal: &'a Principal, recording: &'a Recording, purpose: Purpose) -> Self {
        Self {
            principal,
            recording,
            purpose,
            justification: None,
            ticket: None,
            network: None,
            consents: const { &Consents::NONE },
            holds: &[],
            approval: None,
            break_glass: false,
            openings_today: 0,
            until: None,
        }
    }

    /// Returns whether a justification was given. White space, punctuation and invisible marks
    /// alone do not count.
    pub fn is_justified(&self) -> bool {
        is_justified(self.justification)
    }
}

/// See [`DecisionFacts::is_justified`].
pub(super) fn is_justified(justification: Option<&str>) -> bool {
    justification.is_some_and(|text| text.contains(char::is_alphanumeric))
}
