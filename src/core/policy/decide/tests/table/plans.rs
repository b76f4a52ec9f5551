//! The policies of the table, as plain data, and the oracle, which uses nothing else.

use std::collections::BTreeMap;

use super::{super::*, Approved, Case, Hold, Written};

/// A test policy, as plain data.
pub(super) struct Plan {
    pub(super) version: &'static str,
    recorded_with_consent: bool,
    /// Name, seconds of a grant, and the roles that may break the glass if an approval is required.
    tiers: &'static [(&'static str, i64, Option<&'static [&'static str]>)],
    purposes: &'static [PurposePlan],
}

#[derive(Clone, Copy)]
pub(super) struct PurposePlan {
    name: &'static str,
    tiers: &'static [&'static str],
    roles: &'static [&'static str],
    justification: bool,
    consent: bool,
    pub(super) retention_days: Option<i64>,
    budget: Option<u32>,
    pub(super) view: View,
}

const PURPOSE: PurposePlan = PurposePlan {
    name: "review",
    tiers: &["standard", "sensitive"],
    roles: &["reviewer"],
    justification: false,
    consent: false,
    retention_days: None,
    budget: None,
    view: View::Audio,
};

pub(super) static WIDE: Plan = Plan {
    version: "wide",
    recorded_with_consent: false,
    tiers: &[
        ("standard", 3600, None),
        ("sensitive", 600, None),
        ("restricted", 60, Some(&["officer"])),
    ],
    purposes: &[
        PURPOSE,
        PurposePlan {
            name: "training",
            tiers: &["standard"],
            justification: true,
            consent: true,
            retention_days: Some(30),
            view: View::Window {
                from_s: 0,
                to_s: 60,
            },
            ..PURPOSE
        },
        PurposePlan {
            name: "dispute",
            tiers: &["standard", "sensitive", "restricted"],
            roles: &["officer", "reviewer"],
            justification: true,
            budget: Some(5),
            ..PURPOSE
        },
    ],
};

/// Has no tier `restricted` and no purpose `dispute`, bases recording on consent, and differs in
/// every requirement and permission.
pub(super) static NARROW: Plan = Plan {
    version: "narrow",
    recorded_with_consent: true,
    tiers: &[("standard", 600, None), ("sensitive", 900, Some(&[]))],
    purposes: &[
        PurposePlan {
            justification: true,
            retention_days: Some(5),
            budget: Some(3),
            view: View::Transcript,
            ..PURPOSE
        },
        PurposePlan {
            name: "training",
            tiers: &["standard", "sensitive"],
            roles: &["reviewer", "officer"],
            view: View::RedactedTranscript,
            consent: true,
            ..PURPOSE
        },
    ],
};

impl Plan {
    pub(super) fn rules(&self) -> Rules {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let basis = |consent| if consent { "consent" } else { "contract" };
        let mut text = format!(
            "version = \"{}\"\neffective = 2026-01-01\ndefault_tier = \"standard\"\nhold_purposes = [\"{}\"]\n[controller]\nname = \"C\"\ncontact = \"c\"\n\
             [roles]\nreviewer = \"R\"\nofficer = \"O\"\nlister = \"L\"\n[collection]\nbasis = \"{}\"\nquarantine = \"7d\"\n\
             [actions]\ncatalogue = [\"lister\"]\nshred = [\"officer\"]\naudit = []\n",
            self.version,
            self.held_for(),
            basis(self.recorded_with_consent)
        );
        for (name, seconds, glass) in self.tiers {
            text += &format!(
                "[[tiers]]\nname = \"{name}\"\ndescription = \"T\"\ngrant_lifetime = \"{seconds}s\"\n"
            );
            if let Some(roles) = glass {
                text += &format!(
                    "[tiers.approval]\nroles = [\"officer\"]\nlifetime = \"8h\"\nbreak_glass = [{}]\n",
                    list(roles)
                );
            }
        }
        for purpose in self.purposes {
            let PurposePlan {
                name,
                tiers,
                roles,
                justification,
                consent,
                retention_days,
                budget,
                view,
            } = purpose;
            text += &format!(
                "[[purposes]]\nname = \"{name}\"\ntext = \"P\"\ndpv = \"https://w3id.org/dpv#Purpose\"\ntiers = [{}]\nroles = [{}]\njustification = {justification}\nbasis = \"{}\"\n",
                list(tiers),
                list(roles),
                basis(*consent)
            );
            text += &retention_days
                .map_or_else(String::new, |days| format!("retention = \"{days}d\"\n"));
            text += &budget.map_or_else(String::new, |budget| format!("budget = {budget}\n"));
            text += &match view {
                View::Window { from_s, to_s } => {
                    format!("window = {{ from_s = {from_s}, to_s = {to_s} }}\n")
                }
                view => format!("view = \"{}\"\n", view.as_str()),
            };
        }
        Rules::parse(self.version, &text).unwrap()
    }

    pub(super) fn tier(&self, name: &str) -> Option<(i64, Option<&'static [&'static str]>)> {
        self.tiers
            .iter()
            .find(|tier| tier.0 == name)
            .map(|tier| (tier.1, tier.2))
    }

    pub(super) fn purpose(&self, name: &str) -> Option<&PurposePlan> {
        self.purposes.iter().find(|purpose| purpose.name == name)
    }

    /// Returns the oracle's result for one version: its reasons, each with its clause.
    pub(super) fn says(&self, case: &Case) -> BTreeMap<&'static str, String> {
        let mut told = BTreeMap::new();
        let mut tell = |wrong: bool, code, clause: String| {
            if wrong {
                told.insert(code, clause);
            }
        };
        let has_one = |roles: &[&str]| roles.iter().any(|role| case.roles.contains(role));
        let justified = case.justification != Written::Nothing;
        let tier = self.tier(case.tier);
        tell(tier.is_none(), "tier-unknown", "tiers".into());
        if let Some((_, Some(glass))) = tier {
            let approved = case.approval == Approved::Yes;
            let broken = case.approval == Approved::Glass && has_one(glass) && justified;
            tell(
                !approved && !broken,
                "approval-missing",
                format!("tiers/{}/approval", case.tier),
            );
        }
        let of = |key: &str| format!("purposes/{}/{key}", case.purpose);
        if let Some(purpose) = self.purpose(case.purpose) {
            tell(
                tier.is_some() && !purpose.tiers.contains(&case.tier),
                "purpose-not-for-tier",
                of("tiers"),
            );
            tell(!has_one(purpose.roles), "role-not-allowed", of("roles"));
            tell(
                purpose.justification && !justified,
                "justification-missing",
                of("justification"),
            );
            tell(
                purpose
                    .retention_days
                    .is_some_and(|days| days <= case.age_days),
                "purpose-expired",
                of("retention"),
            );
            tell(
                purpose.budget.is_some_and(|budget| budget <= case.openings)
                    && case.until.is_none(),
                "budget-spent",
                of("budget"),
            );
            tell(
                purpose.consent && !case.all_say_yes(|said| said.to_purpose),
                "consent-missing",
                "fixed/consent".into(),
            );
        } else {
            tell(true, "purpose-unknown", "fixed/purpose".into());
        }
        let is_held = case.hold == Hold::This && case.purpose == self.held_for();
        let kept_for_this = case.revoked && is_held;
        let quarantined = self.recorded_with_consent
            && !case.all_say_yes(|said| said.to_recording)
            && !kept_for_this;
        tell(quarantined, "quarantined", "fixed/quarantine".into());
        tell(
            case.revoked && !is_held,
            "recording-revoked",
            "fixed/hold".into(),
        );
        told
    }

    /// The purpose for which holds are placed.
    fn held_for(&self) -> &'static str {
        if self.recorded_with_consent {
            "review"
        } else {
            "dispute"
        }
    }
}
