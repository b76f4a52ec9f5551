//! One version of the policy, explained purpose by purpose: roles, contents, legal basis,
//! conditions, durations.
//!
//! Owns the combination of statements from several places of the file. Refuses to add anything that
//! the file does not state, and to decide.

use std::time::Duration;

use serde::Serialize;

use super::{
    document::{Basis, PurposeRule, TierRule},
    rules::Rules,
    words,
};
use crate::model::{
    name::{Purpose, Role, Tier},
    numerals::counted,
};

/// A purpose with all its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Its name.
    pub purpose: Purpose,
    /// What it means.
    pub text: String,
    /// The term of the W3C Data Privacy Vocabulary.
    pub dpv: String,
    /// Its legal basis, if the file states one.
    pub basis: Option<SaidBasis>,
    /// The roles that may state it.
    pub roles: Vec<SaidRole>,
    /// The tiers that it opens.
    pub tiers: Vec<OpenedTier>,
    /// The part of a recording that it gives, as a word.
    pub view: &'static str,
    /// The same in text.
    pub view_text: String,
    /// Whether a justification is required each time.
    pub justification: bool,
    /// A condition in the syntax of Cedar.
    pub condition: Option<String>,
    /// How many recordings one principal may open for it on one day.
    pub budget: Option<u32>,
    /// The recipients of recordings for it.
    pub recipients: Vec<String>,
}

/// A legal basis with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaidBasis {
    /// The code in the file.
    pub code: &'static str,
    /// Text for people.
    pub text: &'static str,
    /// The term of the W3C Data Privacy Vocabulary.
    pub dpv: &'static str,
}

impl From<Basis> for SaidBasis {
    fn from(basis: Basis) -> Self {
        Self {
            code: basis.as_str(),
            text: basis.text(),
            dpv: basis.dpv(),
        }
    }
}

/// A role with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaidRole {
    /// Its name.
    pub role: Role,
    /// Its description.
    pub text: String,
}

/// A tier that a purpose opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenedTier {
    /// Its name.
    pub tier: Tier,
    /// How long one grant opens a recording, in seconds.
    pub grant_lifetime_s: u64,
    /// How long after its collection a recording of the tier can be opened for the purpose, in
    /// seconds; `None`: the policy sets no end.
    pub openable_for_s: Option<u64>,
    /// The same in text.
    pub openable_for: String,
    /// The roles of approvers; empty if no approval is required.
    pub approval: Vec<Role>,
    /// The roles that may bypass it in an emergency.
    pub break_glass: Vec<Role>,
}

impl Rules {
    /// Explains every purpose, in the order of the file.
    pub fn explain(&self) -> Vec<Explanation> {
        self.document()
            .purposes
            .iter()
            .map(|purpose| self.explanation(purpose))
            .collect()
    }

    fn explanation(&self, purpose: &PurposeRule) -> Explanation {
        let document = self.document();
        let role = |role: &Role| SaidRole {
            role: role.clone(),
            text: document.role_text(role).to_owned(),
        };
        let recipients = document
            .recipients
            .iter()
            .filter(|recipient| recipient.purposes.contains(&purpose.name));
        Explanation {
            purpose: purpose.name.clone(),
            text: purpose.text.clone(),
            dpv: purpose.dpv.clone(),
            basis: purpose.basis.map(SaidBasis::from),
            roles: purpose.roles.iter().map(role).collect(),
            tiers: purpose
                .tiers
                .iter()
                .filter_map(|tier| Some(self.opened(purpose, self.tier(tier)?)))
                .collect(),
            view: purpose.view.as_str(),
            view_text: words::view(purpose.view),
            justification: purpose.justification,
            condition: purpose.when.clone(),
            budget: purpose.budget,
            recipients: recipients.map(|recipient| recipient.name.clone()).collect(),
        }
    }

    fn opened(&self, purpose: &PurposeRule, tier: &TierRule) -> OpenedTier {
        let kept = self.limit(&tier.name).map(|limit| limit.period);
        let openable = [purpose.retention, kept].into_iter().flatten().min();
        OpenedTier {
            tier: tier.name.clone(),
            grant_lifetime_s: tier.grant_lifetime.as_secs(),
            openable_for_s: openable.as_ref().map(Duration::as_secs),
            openable_for: openable.map_or_else(
                || "as long as it is kept".to_owned(),
                |period| format!("for {}", words::period(period)),
            ),
            approval: tier
                .approval
                .as_ref()
                .map(|approval| approval.roles.clone())
                .unwrap_or_default(),
            break_glass: tier
                .approval
                .as_ref()
                .map(|approval| approval.break_glass.clone())
                .unwrap_or_default(),
        }
    }
}

impl Explanation {
    /// Returns the explanation in sentences, the most important first.
    pub fn sentences(&self) -> Vec<String> {
        let names = |roles: &[Role]| {
            words::listed(&roles.iter().map(Role::as_str).collect::<Vec<_>>(), "or")
        };
        let mut said = vec![self.text.clone()];
        let roles: Vec<Role> = self.roles.iter().map(|said| said.role.clone()).collect();
        said.push(if roles.is_empty() {
            "Nobody may state it.".into()
        } else {
            format!("It may be stated by: {}.", names(&roles))
        });
        said.push(match &self.basis {
            Some(basis) => format!("Legal basis: {} ({}).", basis.text, basis.dpv),
            None => "The file names no legal basis.".into(),
        });
        if self
            .basis
            .as_ref()
            .is_some_and(|basis| basis.code == Basis::Consent.as_str())
        {
            said.push("Every known party of a recording must have consented to it.".into());
        }
        said.push(format!("It gives {}.", self.view_text));
        for opened in &self.tiers {
            let lifetime = words::period(Duration::from_secs(opened.grant_lifetime_s));
            let mut line = format!(
                "Tier {}: {} after it was recorded, {lifetime} at a time",
                opened.tier, opened.openable_for
            );
            if !opened.approval.is_empty() {
                line += &format!(
                    "; a second person must approve ({})",
                    names(&opened.approval)
                );
            }
            if !opened.break_glass.is_empty() {
                line += &format!(
                    ", except in an emergency for {}",
                    names(&opened.break_glass)
                );
            }
            said.push(line + ".");
        }
        if self.tiers.is_empty() {
            said.push("It opens no tier.".into());
        }
        if self.justification {
            said.push("Each request needs a written justification.".into());
        }
        said.extend(
            self.condition
                .as_ref()
                .map(|condition| format!("Only when: {condition}")),
        );
        said.extend(self.budget.map(|budget| {
            let most = counted(budget, "recording", "recordings");
            format!("At most {most} for each principal and day.")
        }));
        if !self.recipients.is_empty() {
            said.push(format!(
                "Recordings are disclosed for it to: {}.",
                words::listed(&self.recipients, "and")
            ));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    fn explained(purpose: &str, text: &str) -> Explanation {
        let all = Rules::parse("p", text).unwrap().explain();
        all.into_iter()
            .find(|said| said.purpose.as_str() == purpose)
            .unwrap()
    }

    #[test]
    fn a_purpose_is_explained_with_what_other_parts_of_the_file_say_of_it() {
        let training = explained("training", SHIPPED);
        assert_eq!(training.view_text, "only the first 5 minutes of the audio");
        assert_eq!(
            training.basis.as_ref().map(|basis| basis.code),
            Some("consent")
        );
        assert_eq!(
            training.roles[0].text,
            "Listens to recordings to check and improve the service."
        );
        let said = training.sentences().join("\n");
        for part in [
            "reviewer",
            "Every known party",
            "Tier standard: for 180 days",
            "1 hour at a time",
            "Each request needs a written",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let legal = explained("legal-request", SHIPPED).sentences().join("\n");
        for part in [
            "a second person must approve (privacy-officer)",
            "disclosed for it to: Courts",
            "Tier sensitive: for 180 days",
        ] {
            assert!(legal.contains(part), "{part} in {legal}");
        }
        assert!(
            explained("quality-review", SHIPPED)
                .sentences()
                .join("\n")
                .contains("Only when: if principal has queue")
        );
    }

    #[test]
    fn a_purpose_ends_with_its_tier() {
        // The tier `sensitive` is kept for 180 days, `standard` for 365; the purpose says 300.
        let text = SHIPPED.replacen(
            "basis = \"legitimate-interest\"\nretention = \"180d\"",
            "basis = \"legitimate-interest\"\nretention = \"300d\"",
            1,
        );
        let days: Vec<_> = explained("quality-review", &text)
            .tiers
            .iter()
            .map(|tier| tier.openable_for_s.unwrap() / 86_400)
            .collect();
        assert_eq!(days, [300, 180]);
        let endless = SHIPPED.replace("retention = \"365d\"\n", "");
        assert_eq!(
            explained("subject-request", &endless).tiers[0].openable_for,
            "as long as it is kept"
        );
    }
}
