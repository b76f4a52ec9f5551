//! Warnings: documents that load, but are probably not as intended.
//!
//! Owns the warnings. Refuses to reject anything.

use toml::de::DeTable;

use crate::policy::document::{MessageRule, PolicyDocument, PolicyFaults, PurposeRule, TierRule};

/// Twilio's default words for opting out of messages.
const OPT_OUTS: [&str; 8] = [
    "stop",
    "stopall",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    "revoke",
    "optout",
];

impl PolicyDocument {
    /// Reports the oddities of a document without faults.
    pub(super) fn warn(&self, table: &DeTable<'_>, warnings: &mut PolicyFaults) {
        let line = |warnings: &PolicyFaults, key: &str, index: usize| {
            let entries = table.get(key).and_then(|list| list.get_ref().as_array());
            entries
                .and_then(|list| list.get(index))
                .map_or(1, |entry| warnings.line(entry.span().start))
        };
        for (index, tier) in self.tiers.iter().enumerate() {
            let line = line(warnings, "tiers", index);
            for odd in self.odd_tier(tier) {
                warnings.add(line, odd);
            }
        }
        let line_of_consent = table
            .get("consent")
            .map_or(1, |consent| warnings.line(consent.span().start));
        for odd in self.odd_messages() {
            warnings.add(line_of_consent, odd);
        }
        for (index, purpose) in self.purposes.iter().enumerate() {
            let line = line(warnings, "purposes", index);
            for odd in self.odd_purpose(purpose) {
                warnings.add(line, odd);
            }
        }
    }

    /// Returns the oddities of message rules; all at one line, because they are below another
    /// table.
    fn odd_messages(&self) -> Vec<String> {
        let of_opt_outs = |rule: &&MessageRule| {
            let only_opt_out = rule.words.is_empty() && rule.opt_out.is_some();
            let theirs = rule
                .words
                .iter()
                .find(|word| OPT_OUTS.contains(&word.as_str()));
            rule.reply.is_some() && (only_opt_out || theirs.is_some())
        };
        let replies = self.consent.messages.iter().filter(of_opt_outs).map(|_| {
            "a `reply` in `[[messages]]` belongs to an opt-out word: Twilio replies to it itself, \
             and delivers no other reply (error 21610)"
                .to_owned()
        });
        replies.collect()
    }

    fn odd_tier(&self, tier: &TierRule) -> Vec<String> {
        let name = &tier.name;
        let mut odd = Vec::new();
        if !self
            .purposes
            .iter()
            .any(|purpose| purpose.tiers.contains(name) && !purpose.roles.is_empty())
        {
            odd.push(format!("no purpose opens the tier `{name}`"));
        }
        if let Some(approval) = &tier.approval
            && approval.roles.is_empty()
        {
            let rest = if approval.break_glass.is_empty() {
                "its recordings are never opened"
            } else {
                "its recordings are opened in emergencies only"
            };
            odd.push(format!(
                "the tier `{name}` requires an approval that no role may give: {rest}"
            ));
        }
        odd
    }

    fn odd_purpose(&self, purpose: &PurposeRule) -> Vec<String> {
        let name = &purpose.name;
        let mut odd = Vec::new();
        if purpose.roles.is_empty() || purpose.tiers.is_empty() {
            let what = if purpose.roles.is_empty() {
                "may be stated by no role"
            } else {
                "opens no tier"
            };
            odd.push(format!("the purpose `{name}` {what}"));
        }
        if purpose.basis.is_none() {
            odd.push(format!(
                "the purpose `{name}` has no `basis`: the published policy names no \
                              legal basis for it, and no consent is required"
            ));
        }
        let kept = self
            .tiers
            .iter()
            .filter(|tier| purpose.tiers.contains(&tier.name))
            .map(|tier| tier.retention);
        // `None` means forever, so nothing outlasts it.
        let longest = kept
            .reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))
            .flatten();
        if let (Some(retention), Some(longest)) = (purpose.retention, longest)
            && retention > longest
        {
            odd.push(format!(
                "the `retention` of the purpose `{name}` is longer than the retention of its tiers"
            ));
        }
        odd
    }
}
