//! The facts of a request to listen: who, what, why.
//!
//! Owns what a decision looks at. Refuses to know how the facts were gathered; the caller vouches
//! for them.

use std::net::IpAddr;

use super::consent::Consents;
use crate::model::{
    access::{Principal, Ticket},
    id::ApprovalId,
    name::Purpose,
    recording::Recording,
    time::Timestamp,
};

/// The longest justification, in characters. `fixed.cedar` has it too.
pub const MAX_JUSTIFICATION: usize = 1000;

/// An approval: a grant that needs one rests on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingApproval {
    /// Which.
    pub id: ApprovalId,
    /// Until when it holds.
    pub until: Timestamp,
}

impl StandingApproval {
    /// One that nobody gave, for a question about the rules alone.
    pub(crate) fn some_until(until: Timestamp) -> Self {
        Self {
            id: ApprovalId::NOBODYS,
            until,
        }
    }
}

/// Everything that a decision looks at besides the rules and the time.
#[derive(Clone, Debug)]
pub struct DecisionFacts<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What they want to hear, as the catalogue knows it now.
    pub recording: &'a Recording,
    /// Why.
    pub purpose: Purpose,
    /// Their reason in their own words. At an opening: what they wrote when the grant was made.
    pub justification: Option<&'a str>,
    /// The case in another system that they name.
    pub ticket: Option<&'a Ticket>,
    /// Where they ask from.
    pub network: Option<IpAddr>,
    /// The parties of the recording, and every statement that bears on them.
    pub consents: &'a Consents,
    /// The purposes of the holds that stand.
    pub holds: &'a [Purpose],
    /// That somebody else has approved that this principal opens this recording for this purpose.
    pub approval: Option<StandingApproval>,
    /// Whether they want to do without the approval that the tier asks for.
    pub break_glass: bool,
    /// How many recordings they have opened for this purpose today; 0 where this one is among them:
    /// to open it again costs nothing.
    pub openings_today: u32,
    /// When a grant that was made earlier ends; `None` when a new one is wanted. A stored grant is
    /// only a claim: the same decision is taken again at each opening.
    pub until: Option<Timestamp>,
}

impl<'a> DecisionFacts<'a> {
    /// The bare request: nothing that could speak for it is known.
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

    /// Whether a justification was written. White space, punctuation and invisible marks alone are
    /// none.
    pub fn is_justified(&self) -> bool {
        is_justified(self.justification)
    }
}

/// See [`DecisionFacts::is_justified`].
pub(super) fn is_justified(justification: Option<&str>) -> bool {
    justification.is_some_and(|text| text.contains(char::is_alphanumeric))
}
