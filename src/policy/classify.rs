//! Classification: which tier a newly announced recording belongs to.
//!
//! Owns what can be known of a recording before it is heard, and how a rule matches it. Refuses to know where that came from.
//! A callback carries no phone number (<https://www.twilio.com/docs/voice/api/recording#recording-status-callback>); a line that matters is told
//! apart by a query parameter of the callback URL that was given to Twilio for it, or, once somebody has named the parties, by its number.

use crate::model::{
    name::{Label, Tier},
    recording::Recording,
    sid::AccountSid,
    subject::Address,
};

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
    /// A label that the policy declares has this value.
    pub label: Option<(Label, String)>,
    /// A party has this address. Known only when parties are named.
    pub number: Option<Address>,
}

/// Characters of a label's value, at most; what is longer is cut.
pub(super) const LABEL_CHARS: usize = 64;

/// The value of a label in the parameters of a callback URL: the first that is not empty, cut to [`LABEL_CHARS`].
pub(super) fn label_value(parameters: &[(String, String)], label: &Label) -> Option<String> {
    let value = parameters.iter().find(|(name, value)| *name == label.as_str() && !value.is_empty());
    value.map(|(_, value)| value.chars().take(LABEL_CHARS).collect())
}

impl Classification {
    /// Whether every condition holds. One for a number does not: an announcement names nobody.
    pub fn matches(&self, announcement: &Announcement<'_>) -> bool {
        self.number.is_none()
            && self.label.as_ref().is_none_or(|(label, wanted)| label_value(announcement.parameters, label).as_ref() == Some(wanted))
            && self.account.as_ref().is_none_or(|account| account == announcement.account)
            && self.source.as_deref().is_none_or(|source| announcement.source == Some(source))
            && self.conference.is_none_or(|conference| conference == announcement.conference)
            && self.parameter.as_ref().is_none_or(|parameter| announcement.parameters.contains(parameter))
    }

    /// Whether it is for a number, `is_party` says that somebody with that number took part, and every other condition holds, as far as it can be
    /// known after the announcement. Parameters cannot, so that a rule has either them or a number.
    pub(super) fn matches_party(&self, recording: &Recording, is_party: impl Fn(&Address) -> bool) -> bool {
        self.number.as_ref().is_some_and(is_party)
            && self.parameter.is_none()
            && self.label.as_ref().is_none_or(|(label, wanted)| recording.labels.get(label) == Some(wanted))
            && self.account.as_ref().is_none_or(|account| *account == recording.account)
            && self.source.as_deref().is_none_or(|source| recording.source.as_deref() == Some(source))
            && self.conference.is_none_or(|conference| conference == recording.conference.is_some())
    }

    /// Whether it has any condition; without one it would swallow every recording.
    pub(super) fn is_conditional(&self) -> bool {
        self.account.is_some()
            || self.source.is_some()
            || self.conference.is_some()
            || self.parameter.is_some()
            || self.label.is_some()
            || self.number.is_some()
    }
}
