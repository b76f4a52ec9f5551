//! The rules: a policy document with its digest, and the rulebook of all versions that still bind a
//! recording.
//!
//! Owns look-up in one version and among versions. Refuses to know requests. INVARIANT: the rules
//! and the digest that names them come from the same bytes, which are stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::digest;

use super::{
    action::Action,
    cedar::Compiled,
    classify::{ClassificationFacts, NumberRuleFacts, label_value},
    document::{Forgotten, PolicyDocument, PolicyFault, PurposeRule, TierRule},
};
use crate::model::{
    access::Principal,
    media::MediaKind,
    name::{Label, Purpose, Role, Tier},
    recording::Recording,
    subject::Address,
    text::{InvalidText, LabelValue},
    time::Timestamp,
};

/// One version of the privacy policy, ready for decisions.
#[derive(Debug)]
pub struct Rules {
    document: PolicyDocument,
    compiled: Compiled,
    warnings: Vec<PolicyFault>,
    text: Box<str>,
    version: Arc<str>,
    digest: Arc<str>,
}

impl Rules {
    /// Parses the text of a policy file; `file` is its name in faults.
    ///
    /// # Errors
    /// Every fault of the text with its line. A policy with a fault never loads.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<PolicyFault>> {
        let (document, warnings) = PolicyDocument::read(file, text)?;
        // Every parsed document can be compiled. If that were ever wrong, the policy would not
        // load.
        let compiled = Compiled::of(&document).map_err(|reasons| {
            let fault = |reason| PolicyFault {
                file: file.into(),
                line: 1,
                reason: format!("the policy cannot be compiled: {reason}"),
            };
            reasons.into_iter().map(fault).collect::<Vec<_>>()
        })?;
        let digest = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
        Ok(Self {
            version: document.version.as_str().into(),
            document,
            compiled,
            warnings,
            text: text.into(),
            digest: digest.into(),
        })
    }

    /// The contents of the file, for the privacy page and the policy as data.
    pub fn document(&self) -> &PolicyDocument {
        &self.document
    }

    /// Every rule of this version in the syntax of Cedar, including those that no file can change:
    /// [`decide`](super::decide()) evaluates these.
    pub fn cedar(&self) -> String {
        self.compiled.text().to_owned()
    }

    /// The schema of the rules, in the syntax of Cedar: the attributes for rules and conditions.
    pub fn schema(&self) -> String {
        self.compiled.schema().to_owned()
    }

    /// Warnings: a tier that nothing opens, a purpose that no role may state.
    pub fn warnings(&self) -> &[PolicyFault] {
        &self.warnings
    }

    /// The exact text of the digest; stored with the recordings that are pinned to it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The operator's name for this version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of the exact bytes of the file, 64 lower-case hex digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns whether this version keeps communication of this kind.
    pub fn keeps(&self, kind: MediaKind) -> bool {
        self.document.collection.kinds.contains(&kind)
    }

    /// Returns whether the author of a chat message is no person: a program, or the operator's own
    /// number.
    pub fn is_bot(&self, author: &str) -> bool {
        self.document.collection.bots.contains(author)
    }

    /// Returns the tier of a new recording: of the first classification rule that matches, or the
    /// default.
    pub fn classify(&self, announcement: &ClassificationFacts<'_>) -> &Tier {
        let rule = self
            .document
            .classification
            .iter()
            .find(|rule| rule.matches(announcement));
        rule.map_or(&self.document.default_tier, |rule| &rule.tier)
    }

    /// Returns the values of the labels that the policy declares, from parameters of the callback
    /// URL with the same names; the first of each, cut to 64 characters. Invalid values are
    /// omitted.
    pub fn labels(&self, parameters: &[(String, String)]) -> BTreeMap<Label, LabelValue> {
        let declared = self.document.collection.labels.iter();
        declared
            .filter_map(|label| Some((label.clone(), label_value(parameters, label)?.ok()?)))
            .collect()
    }

    /// Returns the labels that [`Self::labels`] omits, and why.
    pub fn labels_left_out(&self, parameters: &[(String, String)]) -> Vec<(&Label, InvalidText)> {
        let declared = self.document.collection.labels.iter();
        declared
            .filter_map(|label| Some((label, label_value(parameters, label)?.err()?)))
            .collect()
    }

    /// Returns whether this version uses this parameter of a callback URL: a label, or a rule of
    /// classification.
    pub fn heeds(&self, parameter: &str) -> bool {
        let rules = self
            .document
            .classification
            .iter()
            .filter_map(|rule| rule.parameter.as_ref());
        self.document
            .collection
            .labels
            .iter()
            .any(|label| label.as_str() == parameter)
            || rules.into_iter().any(|(name, _)| name == parameter)
    }

    /// Returns whether `one` is a more sensitive tier than `other`: the file lists them from the
    /// least to the most sensitive. An unlisted tier opens for nobody, so nothing is more
    /// sensitive; and no recording can be moved to it.
    pub fn more_sensitive(&self, one: &Tier, other: &Tier) -> bool {
        let place = |name: &Tier| {
            self.document
                .tiers
                .iter()
                .position(|tier| tier.name == *name)
        };
        matches!((place(one), place(other)), (Some(one), Some(other)) if one > other)
    }

    /// Returns the most sensitive of these tiers, if it is more sensitive than that of the
    /// recording.
    pub fn raised<'a>(
        &self,
        recording: &Recording,
        tiers: impl IntoIterator<Item = &'a Tier>,
    ) -> Option<&'a Tier> {
        self.raised_from(&recording.tier, tiers)
    }

    /// Returns the most sensitive of these tiers, if it is more sensitive than `from`.
    pub fn raised_from<'a>(
        &self,
        from: &Tier,
        tiers: impl IntoIterator<Item = &'a Tier>,
    ) -> Option<&'a Tier> {
        let most = tiers.into_iter().reduce(|most, tier| {
            if self.more_sensitive(tier, most) {
                tier
            } else {
                most
            }
        });
        most.filter(|tier| self.more_sensitive(tier, from))
    }

    /// Returns the tier to which the participants of a recording move it, if that is a more
    /// sensitive one. `is_party` returns whether an address belongs to a participant.
    pub fn reclassify(
        &self,
        recording: &Recording,
        is_party: impl Fn(&Address) -> bool,
    ) -> Option<&Tier> {
        self.raised_by_numbers(&NumberRuleFacts::from(recording), is_party)
    }

    /// The same by its facts, for what is not in the catalogue yet.
    pub fn raised_by_numbers(
        &self,
        facts: &NumberRuleFacts<'_>,
        is_party: impl Fn(&Address) -> bool,
    ) -> Option<&Tier> {
        let rules = self
            .document
            .classification
            .iter()
            .filter(|rule| rule.matches_party(facts, &is_party));
        self.raised_from(facts.tier, rules.map(|rule| &rule.tier))
    }

    /// Returns whether any classification rule is for a number.
    pub fn knows_numbers(&self) -> bool {
        self.document
            .classification
            .iter()
            .any(|rule| rule.number.is_some())
    }

    /// Returns the tiers whose shreds turn the epoch immediately.
    pub fn immediate_tiers(&self) -> Vec<&Tier> {
        let immediate = self
            .document
            .tiers
            .iter()
            .filter(|tier| tier.forgotten == Forgotten::Immediately);
        immediate.map(|tier| &tier.name).collect()
    }

    /// Returns whether the policy's effective date has come.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.document.effective <= now
    }

    /// Returns whether this principal may know that a recording exists, by their roles: they may
    /// list recordings or state some purpose.
    pub fn shows_recordings_to(&self, principal: &Principal) -> bool {
        has_any(principal, &self.document.actions.catalogue)
            || self
                .document
                .purposes
                .iter()
                .any(|purpose| has_any(principal, &purpose.roles))
    }

    pub(super) fn tier(&self, name: &Tier) -> Option<&TierRule> {
        self.document.tiers.iter().find(|tier| tier.name == *name)
    }

    pub(super) fn purpose(&self, name: &Purpose) -> Option<&PurposeRule> {
        self.document
            .purposes
            .iter()
            .find(|purpose| purpose.name == *name)
    }

    /// Returns the roles that may do this.
    pub(super) fn roles_for(&self, action: Action) -> &[Role] {
        match action {
            Action::Catalogue => &self.document.actions.catalogue,
            Action::Shred => &self.document.actions.shred,
            Action::Audit => &self.document.actions.audit,
            Action::Consent => &self.document.actions.consent,
            Action::Revoke => &self.document.actions.revoke,
            Action::Hold => &self.document.actions.hold,
            Action::Correct => &self.document.actions.correct,
            Action::Transcribe => &self.document.actions.transcribe,
            Action::Export => &self.document.actions.export,
            Action::Keys => &[],
        }
    }

    pub(super) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    pub(super) fn shared_version(&self) -> Arc<str> {
        Arc::clone(&self.version)
    }

    pub(super) fn shared_digest(&self) -> Arc<str> {
        Arc::clone(&self.digest)
    }
}

/// Returns whether the principal has one of the roles.
pub(super) fn has_any(principal: &Principal, roles: &[Role]) -> bool {
    roles.iter().any(|role| principal.roles.contains(role))
}

/// The version in force and the earlier ones to which recordings are pinned.
#[derive(Debug)]
pub struct Rulebook {
    current: Rules,
    earlier: BTreeMap<Arc<str>, Rules>,
    /// The digests of versions that were published and never in force.
    only_published: BTreeSet<String>,
}

impl Rulebook {
    /// Creates a rulebook with `current` in force. An `earlier` version with the same bytes is
    /// dropped.
    pub fn new(current: Rules, earlier: impl IntoIterator<Item = Rules>) -> Self {
        let earlier = earlier
            .into_iter()
            .filter(|rules| rules.digest != current.digest)
            .map(|rules| (rules.shared_digest(), rules));
        let earlier = earlier.collect();
        Self {
            current,
            earlier,
            only_published: BTreeSet::new(),
        }
    }

    /// Marks the versions with these digests as published and never in force.
    #[must_use]
    pub fn without_force(self, only_published: BTreeSet<String>) -> Self {
        Self {
            only_published,
            ..self
        }
    }

    /// Returns the version in force.
    pub fn current(&self) -> &Rules {
        &self.current
    }

    /// Returns every version, the current one first.
    pub fn versions(&self) -> impl Iterator<Item = &Rules> {
        std::iter::once(&self.current).chain(self.earlier.values())
    }

    /// Returns whether this version was in force at that time: it had begun, and no later one had
    /// begun, unless it is the current one. A version that was only published never counts.
    pub fn was_in_force(&self, version: &str, at: Timestamp) -> bool {
        let begun = |rules: &&Rules| rules.document.effective <= at;
        let is_current = |rules: &Rules| rules.digest == self.current.digest;
        let bound = || {
            self.versions()
                .filter(|rules| is_current(rules) || !self.only_published.contains(&*rules.digest))
        };
        let Some(named) = bound().find(|rules| rules.version() == version) else {
            return false;
        };
        let is_current = is_current(named);
        let mut later = bound()
            .filter(begun)
            .filter(|rules| rules.document.effective > named.document.effective);
        begun(&named) && (is_current || later.next().is_none())
    }

    /// Returns the versions that bind recordings pinned to this digest: the one in force, and the
    /// pinned one if it is another and available.
    pub fn binding(&self, pinned_digest: &str) -> impl Iterator<Item = &Rules> {
        std::iter::once(&self.current).chain(self.other(pinned_digest))
    }

    /// Returns how long a grant for this recording lasts at most; `None` if no version that binds it
    /// knows its tier.
    pub fn grant_lifetime(&self, recording: &Recording) -> Option<Duration> {
        self.binding(&recording.policy_digest)
            .filter_map(|rules| rules.tier(&recording.tier))
            .map(|tier| tier.grant_lifetime)
            .min()
    }

    /// Returns the version with this digest, if it is available and not the one in force.
    pub(super) fn other(&self, pinned_digest: &str) -> Option<&Rules> {
        self.find(pinned_digest)
            .filter(|rules| rules.digest() != self.current.digest())
    }

    /// Returns the version with this digest, current or earlier.
    pub fn find(&self, digest: &str) -> Option<&Rules> {
        if *self.current.digest == *digest {
            Some(&self.current)
        } else {
            self.earlier.get(digest)
        }
    }
}

#[cfg(test)]
mod tests;
