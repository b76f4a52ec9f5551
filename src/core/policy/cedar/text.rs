//! The rules of a policy file, as Cedar.
//!
//! Owns the mapping from keys of the file to rules. Refuses to evaluate any. INVARIANT: a purpose
//! is permitted by one rule that contains every requirement itself. The rules that forbid repeat
//! them, each with its reason: omitting one would lose a reason and permit nothing.

use std::{fmt::Write as _, time::Duration};

use crate::policy::{
    document::{PolicyDocument, PurposeRule, TierRule},
    reason::Reason,
};

/// The rules that no file can change.
pub(super) const FIXED: &str = include_str!("../fixed.cedar");

/// Returns all rules of one version as text, for Cedar and for people. The enforced rules are
/// parsed from it.
pub(super) fn text(document: &PolicyDocument) -> String {
    let mut text = format!(
        "{FIXED}\n// The rules of version `{}` of the policy file.\n\n",
        document.version
    );
    let mut add = |rule: String| {
        text.push_str(&rule);
        text.push('\n');
    };
    let effective = format!("context.now < datetime(\"{}\")", document.effective);
    add(forbid(
        Reason::PolicyNotInForce,
        "effective",
        None,
        &format!("when {{ {effective} }}"),
    ));
    let known: Vec<String> = document.tiers.iter().map(is_of_tier).collect();
    add(forbid(
        Reason::TierUnknown,
        "tiers",
        None,
        &format!("unless {{ {} }}", any(&known)),
    ));
    for tier in &document.tiers {
        if let Some(rule) = approval(tier) {
            add(rule);
        }
    }
    for purpose in &document.purposes {
        for rule in of_purpose(document, purpose) {
            add(rule);
        }
    }
    text
}

fn approval(tier: &TierRule) -> Option<String> {
    let approval = tier.approval.as_ref()?;
    let mut unless = String::from(
        "unless { context has approved_until && context.now < context.approved_until }",
    );
    if !approval.break_glass.is_empty() {
        let roles: Vec<String> = approval
            .break_glass
            .iter()
            .map(|role| format!("principal in Recvault::Role::\"{role}\""))
            .collect();
        let _ = write!(
            unless,
            "\nunless {{ context.break_glass && context.justified && ({}) }}",
            any(&roles)
        );
    }
    let clause = format!("tiers/{}/approval", tier.name);
    Some(forbid(
        Reason::ApprovalMissing,
        &clause,
        None,
        &format!("when {{ {} }}\n{unless}", is_of_tier(tier)),
    ))
}

fn of_purpose(document: &PolicyDocument, purpose: &PurposeRule) -> Vec<String> {
    let name = purpose.name.as_str();
    let roles = any_role(purpose);
    let (own, foreign): (Vec<&TierRule>, Vec<&TierRule>) = document
        .tiers
        .iter()
        .partition(|tier| purpose.tiers.contains(&tier.name));
    let [own, foreign] =
        [own, foreign].map(|tiers| tiers.into_iter().map(is_of_tier).collect::<Vec<_>>());
    // On lines of its own, so that a comment at its end hides nothing; it was parsed as one
    // expression before.
    let when = purpose.when.as_ref().map(|when| format!("(\n{when}\n)"));
    let refuse = |reason: Reason, key: &str, conditions: String| {
        let clause = format!("purposes/{name}/{key}");
        forbid(reason, &clause, Some(name), &conditions)
    };
    [
        Some(permit_of(purpose, &any(&own), when.as_deref())),
        Some(refuse(
            Reason::RoleNotAllowed,
            "roles",
            format!("unless {{ {roles} }}"),
        )),
        (!foreign.is_empty()).then(|| {
            let conditions = format!("when {{ {} }}", any(&foreign));
            refuse(Reason::PurposeNotForTier, "tiers", conditions)
        }),
        purpose.justification.then(|| {
            let conditions = "unless { context.justified }".to_owned();
            refuse(Reason::JustificationMissing, "justification", conditions)
        }),
        when.as_ref().map(|when| {
            let conditions = format!("unless {{ {when} }}");
            refuse(Reason::ConditionNotMet, "when", conditions)
        }),
        purpose.retention.map(|retention| {
            let conditions = format!(
                "when {{ resource.collected_at.offset(duration(\"{}\")) <= context.now }}",
                period(retention)
            );
            refuse(Reason::PurposeExpired, "retention", conditions)
        }),
        // At the opening under an earlier grant the database counts, in one statement with the
        // opening itself.
        purpose.budget.map(|budget| {
            let conditions =
                format!("when {{ !(context has until) && context.openings_today >= {budget} }}");
            refuse(Reason::BudgetSpent, "budget", conditions)
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the rule that permits a purpose, for recordings of one of its own tiers.
fn permit_of(purpose: &PurposeRule, own: &str, when: Option<&str>) -> String {
    let name = purpose.name.as_str();
    let roles = any_role(purpose);
    let mut permit = format!("when {{ {roles} }}\nwhen {{ {own} }}");
    if let Some(when) = when {
        let _ = write!(permit, "\nwhen {{ {when} }}");
    }
    if purpose.justification {
        permit.push_str("\nwhen { context.justified }");
    }
    format!(
        "// {}\n@clause(\"purposes/{name}\")\npermit (principal, action == Recvault::Action::\"{name}\", resource)\n{permit};\n",
        plain(&purpose.text)
    )
}

/// Returns the condition that the principal has one of a purpose's roles.
fn any_role(purpose: &PurposeRule) -> String {
    let roles: Vec<String> = purpose
        .roles
        .iter()
        .map(|role| format!("principal in Recvault::Role::\"{role}\""))
        .collect();
    any(&roles)
}

fn forbid(reason: Reason, clause: &str, purpose: Option<&str>, conditions: &str) -> String {
    let action = purpose.map_or_else(
        || "action".to_owned(),
        |name| format!("action == Recvault::Action::\"{name}\""),
    );
    format!(
        "@reason(\"{reason}\")\n@clause(\"{clause}\")\nforbid (principal, {action}, resource)\n{conditions};\n"
    )
}

fn is_of_tier(tier: &TierRule) -> String {
    format!("resource.tier == Recvault::Tier::\"{}\"", tier.name)
}

/// Returns the disjunction; false for an empty list.
fn any(conditions: &[String]) -> String {
    if conditions.is_empty() {
        "false".to_owned()
    } else {
        conditions.join(" || ")
    }
}

/// Returns a period in the largest unit that fits.
fn period(period: Duration) -> String {
    let seconds = period.as_secs();
    let units = [(86_400, "d"), (3600, "h"), (60, "m")];
    let fits = units
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit));
    fits.map_or_else(
        || format!("{seconds}s"),
        |(unit, letter)| format!("{}{letter}", seconds / unit),
    )
}

/// Returns the text for a comment, which ends with its line.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}
