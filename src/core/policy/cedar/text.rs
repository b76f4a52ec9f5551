//! The rules that a policy file makes, as Cedar.
//!
//! Owns which key of the file becomes which rule. Refuses to evaluate any. INVARIANT: a purpose is
//! permitted by one rule that asks for everything by itself. The rules that forbid say the same
//! again, each with its reason: a rule that was left out would cost a reason and open nothing.

use std::{fmt::Write as _, time::Duration};

use crate::policy::{
    document::{PolicyDocument, PurposeRule, TierRule},
    reason::Reason,
};

/// The rules that no file can change.
pub(super) const FIXED: &str = include_str!("../fixed.cedar");

/// All rules of one version as text, for Cedar and for people. What is enforced is parsed from
/// this.
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
    let clause = |key: &str| format!("purposes/{name}/{key}");
    let roles: Vec<String> = purpose
        .roles
        .iter()
        .map(|role| format!("principal in Recvault::Role::\"{role}\""))
        .collect();
    let (own, foreign): (Vec<&TierRule>, Vec<&TierRule>) = document
        .tiers
        .iter()
        .partition(|tier| purpose.tiers.contains(&tier.name));
    let [own, foreign] =
        [own, foreign].map(|tiers| tiers.into_iter().map(is_of_tier).collect::<Vec<_>>());
    // On lines of its own, so that a comment at its end hides nothing; and it was parsed as one
    // expression before.
    let when = purpose.when.as_ref().map(|when| format!("(\n{when}\n)"));
    let mut permit = format!("when {{ {} }}\nwhen {{ {} }}", any(&roles), any(&own));
    if let Some(when) = &when {
        let _ = write!(permit, "\nwhen {{ {when} }}");
    }
    if purpose.justification {
        permit.push_str("\nwhen { context.justified }");
    }
    let mut rules = vec![
        format!(
            "// {}\n@clause(\"purposes/{name}\")\npermit (principal, action == Recvault::Action::\"{name}\", resource)\n{permit};\n",
            plain(&purpose.text)
        ),
        forbid(
            Reason::RoleNotAllowed,
            &clause("roles"),
            Some(name),
            &format!("unless {{ {} }}", any(&roles)),
        ),
    ];
    if !foreign.is_empty() {
        rules.push(forbid(
            Reason::PurposeNotForTier,
            &clause("tiers"),
            Some(name),
            &format!("when {{ {} }}", any(&foreign)),
        ));
    }
    if purpose.justification {
        rules.push(forbid(
            Reason::JustificationMissing,
            &clause("justification"),
            Some(name),
            "unless { context.justified }",
        ));
    }
    if let Some(when) = &when {
        rules.push(forbid(
            Reason::ConditionNotMet,
            &clause("when"),
            Some(name),
            &format!("unless {{ {when} }}"),
        ));
    }
    if let Some(retention) = purpose.retention {
        let ends = format!(
            "when {{ resource.collected_at.offset(duration(\"{}\")) <= context.now }}",
            period(retention)
        );
        rules.push(forbid(
            Reason::PurposeExpired,
            &clause("retention"),
            Some(name),
            &ends,
        ));
    }
    if let Some(budget) = purpose.budget {
        // At the opening of an earlier grant the database counts, in one statement with the opening
        // itself.
        let spent =
            format!("when {{ !(context has until) && context.openings_today >= {budget} }}");
        rules.push(forbid(
            Reason::BudgetSpent,
            &clause("budget"),
            Some(name),
            &spent,
        ));
    }
    rules
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

/// Nothing is true of an empty list.
fn any(conditions: &[String]) -> String {
    if conditions.is_empty() {
        "false".to_owned()
    } else {
        conditions.join(" || ")
    }
}

/// In the largest unit that fits, as people would write it.
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

/// For a comment, which ends with its line.
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
