//! The facts of a request to listen: who, what, why.
//!
//! Owns what a decision looks at. Refuses to know how the facts were gathered; the caller vouches for them.

use crate::model::{access::Principal, name::Purpose, recording::Recording, time::Timestamp};

/// Everything that a decision looks at besides the rules and the time.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What they want to hear, as the catalogue knows it now.
    pub recording: &'a Recording,
    /// Why.
    pub purpose: Purpose,
    /// Their reason in their own words. At an opening: what they wrote when the grant was made.
    pub justification: Option<&'a str>,
    /// When a grant that was made earlier ends; `None` when a new one is wanted. A stored grant is only a claim: the same decision is
    /// taken again at each opening.
    pub until: Option<Timestamp>,
}

impl Facts<'_> {
    /// Whether a justification was written. White space, punctuation and invisible marks alone are none.
    pub fn is_justified(&self) -> bool {
        self.justification.is_some_and(|text| text.contains(char::is_alphanumeric))
    }
}
