//! Classification: which tier a newly announced recording belongs to.
//!
//! Owns what can be known of a recording before it is heard, and how a rule matches it. Refuses to know where that came from.
//! A callback carries no phone number; a line that matters is told apart by a query parameter of the callback URL that was given to
//! Twilio for it (<https://www.twilio.com/docs/voice/api/recording#recording-status-callback>).

use crate::model::{name::Tier, sid::AccountSid};

/// What the source tells of a new recording, as far as classification may look at it.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// The account or subaccount it was made under.
    pub account: &'a AccountSid,
    /// `RecordingSource` (`DialVerb`, …), where the source named one.
    pub source: Option<&'a str>,
    /// Whether it is of a conference.
    pub conference: bool,
    /// Query parameters of the callback URL, decoded. The operator gave them to Twilio and Twilio signs them.
    pub parameters: &'a [(String, String)],
}

/// One classification rule: all its conditions must hold.
#[derive(Debug)]
pub struct Classification {
    /// The tier it chooses.
    pub tier: Tier,
    /// Made under this account.
    pub account: Option<AccountSid>,
    /// Came about this way.
    pub source: Option<String>,
    /// Is, or is not, of a conference.
    pub conference: Option<bool>,
    /// Some parameter of the callback URL has this name and this value.
    pub parameter: Option<(String, String)>,
}

impl Classification {
    /// Whether every condition holds.
    pub fn matches(&self, announcement: &Announcement<'_>) -> bool {
        self.account.as_ref().is_none_or(|account| account == announcement.account)
            && self.source.as_deref().is_none_or(|source| announcement.source == Some(source))
            && self.conference.is_none_or(|conference| conference == announcement.conference)
            && self.parameter.as_ref().is_none_or(|parameter| announcement.parameters.contains(parameter))
    }

    /// Whether it has any condition; without one it would swallow every recording.
    pub(super) fn is_conditional(&self) -> bool {
        self.account.is_some() || self.source.is_some() || self.conference.is_some() || self.parameter.is_some()
    }
}
