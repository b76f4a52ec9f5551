//! Classification: the tier of a newly announced recording.
//!
//! Owns the facts that are known of a recording before it is fetched, and the matching of rules.
//! Refuses to know their origin. A callback carries no phone number
//! (<https://www.twilio.com/docs/voice/api/recording#recording-status-callback>). A line is
//! therefore distinguished by a query parameter of the callback URL that was configured at Twilio
//! for it, or, once the parties are named, by its number.

use std::collections::BTreeMap;

use crate::model::{
    name::{Label, Tier},
    recording::Recording,
    sid::AccountSid,
    subject::Address,
    text::{InvalidText, LabelValue},
};

/// The facts of a new recording that classification can use.
#[derive(Clone, Copy, Debug)]
pub struct ClassificationFacts<'a> {
    /// The account or subaccount it was made under.
    pub account: &'a AccountSid,
    /// `RecordingSource` (`DialVerb`, …), where the source named one.
    pub source: Option<&'a str>,
    /// Whether it is of a conference.
    pub conference: bool,
    /// Query parameters of the callback URL, decoded. The operator configured them at Twilio, and
    /// Twilio signs them.
    pub parameters: &'a [(String, String)],
}

/// The facts that rules for numbers can use: what is known of a recording once its parties are.
#[derive(Clone, Copy, Debug)]
pub struct NumberRuleFacts<'a> {
    /// The account or subaccount it was made under.
    pub account: &'a AccountSid,
    /// How it was made, where the source named it.
    pub source: Option<&'a str>,
    /// Whether it is of a conference.
    pub conference: bool,
    /// The values of its labels.
    pub labels: &'a BTreeMap<Label, String>,
    /// Its tier.
    pub tier: &'a Tier,
}

impl<'a> From<&'a Recording> for NumberRuleFacts<'a> {
    fn from(recording: &'a Recording) -> Self {
        Self {
            account: recording.account(),
            source: recording.source.as_deref(),
            conference: recording.conference.is_some(),
            labels: &recording.labels,
            tier: &recording.tier,
        }
    }
}

/// One classification rule: all its conditions must hold.
#[derive(Debug)]
pub struct Classification {
    /// The chosen tier.
    pub tier: Tier,
    /// Made under this account.
    pub account: Option<AccountSid>,
    /// Made in this way.
    pub source: Option<String>,
    /// Is, or is not, of a conference.
    pub conference: Option<bool>,
    /// Some parameter of the callback URL has this name and this value.
    pub parameter: Option<(String, String)>,
    /// A label that the policy declares has this value.
    pub label: Option<(Label, LabelValue)>,
    /// A party has this address. Known only once parties are named.
    pub number: Option<Address>,
}

/// Returns the value of a label in the parameters of a callback URL: the first non-blank one. A
/// value that is too long is cut; a value with a forbidden character is an error, so the label is
/// omitted and the recording kept.
pub(super) fn label_value(
    parameters: &[(String, String)],
    label: &Label,
) -> Option<Result<LabelValue, InvalidText>> {
    let value = parameters
        .iter()
        .find(|(name, value)| *name == label.as_str() && !value.trim().is_empty());
    value.map(|(_, value)| LabelValue::cut(value))
}

impl Classification {
    /// Returns whether every condition holds. A rule for a number never matches, because an
    /// announcement names no party.
    pub fn matches(&self, announcement: &ClassificationFacts<'_>) -> bool {
        self.number.is_none()
            && self.label.as_ref().is_none_or(|(label, wanted)| {
                label_value(announcement.parameters, label) == Some(Ok(wanted.clone()))
            })
            && self
                .account
                .as_ref()
                .is_none_or(|account| account == announcement.account)
            && self
                .source
                .as_deref()
                .is_none_or(|source| announcement.source == Some(source))
            && self
                .conference
                .is_none_or(|conference| conference == announcement.conference)
            && self
                .parameter
                .as_ref()
                .is_none_or(|parameter| announcement.parameters.contains(parameter))
    }

    /// Returns whether it is a rule for a number, `is_party` confirms that number, and every other
    /// condition holds after the announcement. Parameters are unknown by then, so a rule has either
    /// a parameter or a number.
    pub(super) fn matches_party(
        &self,
        facts: &NumberRuleFacts<'_>,
        is_party: impl Fn(&Address) -> bool,
    ) -> bool {
        self.number.as_ref().is_some_and(is_party)
            && self.parameter.is_none()
            && self.label.as_ref().is_none_or(|(label, wanted)| {
                facts
                    .labels
                    .get(label)
                    .is_some_and(|value| value == wanted.as_str())
            })
            && self
                .account
                .as_ref()
                .is_none_or(|account| account == facts.account)
            && self
                .source
                .as_deref()
                .is_none_or(|source| facts.source == Some(source))
            && self
                .conference
                .is_none_or(|conference| conference == facts.conference)
    }

    /// Returns whether it has any condition; a rule without one would match every recording.
    pub(super) fn is_conditional(&self) -> bool {
        self.account.is_some()
            || self.source.is_some()
            || self.conference.is_some()
            || self.parameter.is_some()
            || self.label.is_some()
            || self.number.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Rules, keep::tests::recording};

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    fn rules(more: &str) -> Rules {
        Rules::parse(
            "p",
            &SHIPPED.replacen(
                "[[classification]]",
                &format!("{more}\n[[classification]]"),
                1,
            ),
        )
        .unwrap()
    }

    #[test]
    fn a_label_is_the_first_parameter_of_its_name_that_is_not_empty() {
        let rules = rules(
            "[[classification]]\nlabel = { name = \"queue\", value = \"sales\" }\ntier = \"restricted\"",
        );
        let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
        let tier = |parameters: &[(&str, &str)]| {
            let parameters: Vec<_> = parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let announcement = ClassificationFacts {
                account: &account,
                source: None,
                conference: false,
                parameters: &parameters,
            };
            (
                rules.classify(&announcement).as_str().to_owned(),
                rules.labels(&parameters).len(),
            )
        };
        assert_eq!(tier(&[("queue", "sales")]), ("restricted".into(), 1));
        assert_eq!(
            tier(&[("queue", ""), ("queue", "sales"), ("queue", "care")]),
            ("restricted".into(), 1)
        );
        assert_eq!(
            tier(&[("queue", "care"), ("queue", "sales")]),
            ("standard".into(), 1)
        );
        assert_eq!(tier(&[("team", "sales")]), ("standard".into(), 1));
        // No label, and no recording lost for it.
        for bad in ["a\0b", "sales\n", "\u{202e}selas"] {
            assert_eq!(
                tier(&[("queue", bad), ("team", "north")]),
                ("standard".into(), 1)
            );
            let left_out = rules.labels_left_out(&[("queue".to_owned(), bad.to_owned())]);
            assert_eq!(left_out.len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn a_number_counts_when_its_party_is_known_and_only_raises() {
        let line = |tier: &str, more: &str| {
            format!("[[classification]]\nnumber = \"+49 30 12345678\"\ntier = \"{tier}\"\n{more}\n")
        };
        let is_party = |number: &Address| number.expose() == "+493012345678";
        let to = |policy: &str, tier: &str| {
            let rules = rules(policy);
            let mut recording = recording(&rules, None, tier);
            recording.labels = [("queue".parse().unwrap(), "sales".to_owned())].into();
            assert_eq!(rules.reclassify(&recording, |_| false), None);
            rules
                .reclassify(&recording, is_party)
                .map(|tier| tier.as_str().to_owned())
        };
        assert_eq!(
            to(&line("restricted", ""), "standard").as_deref(),
            Some("restricted")
        );
        assert_eq!(to(&line("sensitive", ""), "sensitive"), None);
        assert_eq!(to(&line("standard", ""), "restricted"), None);
        assert_eq!(to(&line("restricted", ""), "unheard-of"), None);
        assert_eq!(
            to(
                &(line("sensitive", "") + &line("restricted", "")),
                "standard"
            )
            .as_deref(),
            Some("restricted")
        );
        assert_eq!(
            to(
                &line(
                    "restricted",
                    "label = { name = \"queue\", value = \"sales\" }"
                ),
                "standard"
            )
            .as_deref(),
            Some("restricted")
        );
        for other in [
            "label = { name = \"queue\", value = \"care\" }",
            "conference = true",
            "source = \"DialVerb\"",
        ] {
            assert_eq!(to(&line("restricted", other), "standard"), None, "{other}");
        }
        // An announcement names no party.
        let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
        let announcement = ClassificationFacts {
            account: &account,
            source: None,
            conference: false,
            parameters: &[],
        };
        assert_eq!(
            rules(&line("restricted", ""))
                .classify(&announcement)
                .as_str(),
            "standard"
        );
    }

    #[test]
    fn tiers_are_ordered_as_the_file_lists_them() {
        let rules = rules("");
        let is_more = |one: &str, other: &str| {
            rules.more_sensitive(&one.parse().unwrap(), &other.parse().unwrap())
        };
        assert!(
            is_more("restricted", "standard")
                && is_more("sensitive", "standard")
                && is_more("restricted", "sensitive")
        );
        for (one, other) in [
            ("standard", "restricted"),
            ("standard", "standard"),
            ("other", "standard"),
            ("standard", "other"),
        ] {
            assert!(!is_more(one, other), "{one} {other}");
        }
    }
}
