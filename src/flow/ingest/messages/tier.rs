//! The tier of a message: that of its announcement, raised by the rules for numbers and for content.

use crate::{
    db::accept::Announcement,
    model::{
        name::{LegName, Tier},
        subject::Address,
        transcript::Transcript,
    },
    policy::{NumberRuleFacts, Rules, content},
    twilio::ReceivedForm,
};

/// The fields of a form, besides the text, in which people write.
const WRITTEN: [&str; 6] = [
    "ButtonPayload",
    "ButtonText",
    "FlowData",
    "InteractiveData",
    "ReferralBody",
    "ReferralHeadline",
];

/// Returns what a person wrote in a form, besides its text.
pub(super) fn further_texts(form: &ReceivedForm, author: &LegName) -> Vec<Transcript> {
    let fields = WRITTEN.iter().flat_map(|name| form.values(name));
    fields
        .map(|value| Transcript::written(&value, author))
        .collect()
}

/// Returns the tier of an arriving message: that of its announcement, raised by the rules for the
/// numbers at its ends and by those for content.
pub(super) fn tier_of<'a>(
    rules: &Rules,
    announcement: &Announcement,
    ends: &[&Address],
    texts: impl IntoIterator<Item = &'a Transcript>,
) -> Tier {
    let labels = announcement
        .labels
        .iter()
        .map(|(label, value)| (label.clone(), value.to_string()))
        .collect();
    let facts = NumberRuleFacts {
        account: announcement.source_ref.account(),
        source: announcement.source.as_deref(),
        conference: false,
        labels: &labels,
        tier: &announcement.tier,
    };
    let by_number = rules.raised_by_numbers(&facts, |number| ends.contains(&number));
    let by_content = texts
        .into_iter()
        .flat_map(|text| content_tiers(rules, text));
    rules
        .raised_from(&announcement.tier, by_content.chain(by_number))
        .unwrap_or(&announcement.tier)
        .clone()
}

pub(super) fn content_tiers<'a>(
    rules: &'a Rules,
    text: &Transcript,
) -> impl Iterator<Item = &'a Tier> {
    let content = &rules.document().content;
    content::found_in(text, content)
        .into_keys()
        .filter_map(|rule| content.get(rule))
        .map(|rule| &rule.tier)
}
