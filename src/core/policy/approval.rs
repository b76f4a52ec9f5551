//! Approval by a second person, and other questions besides a decision: who may approve and for how
//! long, and who may ask about a person.
//!
//! Owns the questions that come before and after a decision. Refuses to decide about plaintext: the
//! decision does. Both versions count, the one in force and the pinned one, and the stricter
//! applies.

use std::time::Duration;

use super::{
    document::ApprovalRule,
    facts::{MAX_JUSTIFICATION, is_justified},
    reason::{Denial, Grounds, Reason},
    rules::{Rulebook, has_any},
};
use crate::model::{
    access::Principal,
    name::{Purpose, Tier},
    recording::Recording,
    time::Timestamp,
};

/// Returns how long an approval for this recording is valid, and how long a request waits for one;
/// `None` if no second person is required.
pub fn approval_lifetime(recording: &Recording, rulebook: &Rulebook) -> Option<Duration> {
    asked_for(recording, rulebook)
        .map(|approval| approval.lifetime)
        .min()
}

/// Decides whether this principal may approve that another principal opens this recording.
///
/// # Errors
/// The refusal with every reason; hidden if the principal may not know that the recording exists.
pub fn may_approve(
    principal: &Principal,
    recording: &Recording,
    rulebook: &Rulebook,
    now: Timestamp,
) -> Result<(), Denial> {
    let rules = rulebook.current();
    let mut against = Grounds::default();
    against.add_if(
        !rules.is_in_force(now),
        Reason::PolicyNotInForce,
        "effective",
    );
    against.add_if(
        rulebook.find(&recording.policy_digest).is_none(),
        Reason::PolicyUnknown,
        "fixed/pin",
    );
    against.add_if(
        !principal.knows(recording.account()),
        Reason::AccountUnknownToPrincipal,
        "fixed/account",
    );
    against.add_if(
        rules.tier(&recording.tier).is_none(),
        Reason::TierUnknown,
        "tiers",
    );
    let mut asked = asked_for(recording, rulebook).peekable();
    let may = asked.peek().is_some() && asked.all(|approval| has_any(principal, &approval.roles));
    against.add_if(
        !may,
        Reason::RoleNotAllowed,
        format!("tiers/{}/approval", recording.tier),
    );
    if against.is_empty() {
        return Ok(());
    }
    let hidden = !principal.knows(recording.account()) || !rules.shows_recordings_to(principal);
    Err(Denial::by_current(&against, hidden, rules.shared_digest()))
}

/// Returns the tiers for whose recordings this principal may approve, by the version in force.
///
/// # Errors
/// The refusal if there is none.
pub fn approvable(
    principal: &Principal,
    rulebook: &Rulebook,
    now: Timestamp,
) -> Result<Vec<Tier>, Denial> {
    let rules = rulebook.current();
    let theirs = rules.document().tiers.iter();
    let theirs = theirs.filter(|tier| {
        tier.approval
            .as_ref()
            .is_some_and(|approval| has_any(principal, &approval.roles))
    });
    let theirs: Vec<Tier> = theirs.map(|tier| tier.name.clone()).collect();
    let mut against = Grounds::default();
    against.add_if(
        !rules.is_in_force(now),
        Reason::PolicyNotInForce,
        "effective",
    );
    against.add_if(theirs.is_empty(), Reason::RoleNotAllowed, "tiers/approval");
    if against.is_empty() {
        return Ok(theirs);
    }
    let hidden = !rules.shows_recordings_to(principal);
    Err(Denial::by_current(&against, hidden, rules.shared_digest()))
}

/// Returns the refusal of an opening that was allowed, after concurrent openings had used up the
/// day's budget.
pub fn over_budget(purpose: &Purpose, rulebook: &Rulebook) -> Denial {
    let against = Grounds::of(
        Reason::BudgetSpent,
        format!("purposes/{purpose}/budget").into(),
    );
    Denial::by_current(&against, false, rulebook.current().shared_digest())
}

/// Returns the refusal of a grant that has ended.
pub fn grant_over(rulebook: &Rulebook) -> Denial {
    let against = Grounds::of(Reason::GrantExpired, "fixed/grant".into());
    Denial::by_current(&against, false, rulebook.current().shared_digest())
}

/// Decides whether a principal may state a purpose at all, regardless of the recording: for
/// requests about a person. An unauthorised principal must learn nothing about that person, not
/// even that the person is unknown.
///
/// # Errors
/// The refusal with every reason; hidden if the principal may not know that recordings exist.
pub fn may_state(
    principal: &Principal,
    purpose: &Purpose,
    justification: Option<&str>,
    rulebook: &Rulebook,
    now: Timestamp,
) -> Result<(), Denial> {
    let rules = rulebook.current();
    let mut against = Grounds::default();
    against.add_if(
        !rules.is_in_force(now),
        Reason::PolicyNotInForce,
        "effective",
    );
    match rules.purpose(purpose) {
        None => against.add_if(true, Reason::PurposeUnknown, "fixed/purpose"),
        Some(purpose) => {
            let clause = |key: &str| format!("purposes/{}/{key}", purpose.name);
            against.add_if(
                !has_any(principal, &purpose.roles),
                Reason::RoleNotAllowed,
                clause("roles"),
            );
            against.add_if(
                purpose.justification && !is_justified(justification),
                Reason::JustificationMissing,
                clause("justification"),
            );
        }
    }
    let too_long = justification.is_some_and(|text| text.chars().nth(MAX_JUSTIFICATION).is_some());
    against.add_if(
        too_long,
        Reason::JustificationTooLong,
        "fixed/justification",
    );
    if against.is_empty() {
        return Ok(());
    }
    let hidden = !rules.shows_recordings_to(principal);
    Err(Denial::by_current(&against, hidden, rules.shared_digest()))
}

fn asked_for<'a>(
    recording: &Recording,
    rulebook: &'a Rulebook,
) -> impl Iterator<Item = &'a ApprovalRule> {
    let tier = recording.tier.clone();
    rulebook
        .binding(&recording.policy_digest)
        .filter_map(move |rules| rules.tier(&tier)?.approval.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::recording::RecordingState,
        policy::{
            Rules,
            cast::{self, NOW},
        },
    };

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");

    fn principal(role: &str) -> Principal {
        cast::principal(&[role])
    }

    /// The shipped policy with another approval for its most sensitive tier.
    fn rules(version: &str, approval: &str) -> Rules {
        let (before, rest) = SHIPPED.split_once("[tiers.approval]").unwrap();
        let (_, after) = rest
            .split_once("# How a new recording gets its tier.")
            .unwrap();
        let text = format!("{before}{approval}\n# How a new recording gets its tier.{after}");
        Rules::parse(
            "p",
            &text.replacen("version = \"1\"", &format!("version = \"{version}\""), 1),
        )
        .unwrap()
    }

    fn approval(roles: &str, hours: u32) -> String {
        format!("[tiers.approval]\nroles = [{roles}]\nlifetime = \"{hours}h\"\nbreak_glass = []\n")
    }

    fn of(rulebook: &Rulebook, pinned: &str, tier: &str) -> Recording {
        let digest = if pinned.is_empty() {
            rulebook.current().digest()
        } else {
            pinned
        };
        cast::recording(RecordingState::Sealed, tier, digest)
    }

    #[test]
    fn of_two_versions_the_narrower_holds() {
        let old = rules("old", &approval("\"auditor\", \"privacy-officer\"", 2));
        let pinned = old.digest().to_owned();
        let book = Rulebook::new(
            rules("new", &approval("\"privacy-officer\", \"reviewer\"", 4)),
            [old],
        );
        let recording = |pinned: &str| of(&book, pinned, "restricted");
        let hours = |pinned: &str| {
            approval_lifetime(&recording(pinned), &book).map(|lifetime| lifetime.as_secs() / 3600)
        };
        assert_eq!((hours(""), hours(&pinned)), (Some(4), Some(2)));
        for (role, by_the_new, by_both) in [
            ("privacy-officer", true, true),
            ("reviewer", true, false),
            ("auditor", false, false),
        ] {
            let may = |pinned: &str| {
                may_approve(&principal(role), &recording(pinned), &book, NOW).is_ok()
            };
            assert_eq!((may(""), may(&pinned)), (by_the_new, by_both), "{role}");
        }
        assert!(
            may_approve(
                &principal("privacy-officer"),
                &recording("unknown"),
                &book,
                NOW
            )
            .unwrap_err()
            .names(Reason::PolicyUnknown)
        );
    }

    #[test]
    fn where_no_second_person_is_asked_for_nobody_approves() {
        let book = Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), []);
        let standard = of(&book, "", "standard");
        assert_eq!(approval_lifetime(&standard, &book), None);
        let denial = may_approve(&principal("privacy-officer"), &standard, &book, NOW).unwrap_err();
        assert!(denial.names(Reason::RoleNotAllowed) && !denial.is_hidden());
        assert_eq!(
            approvable(&principal("privacy-officer"), &book, NOW).unwrap(),
            ["restricted".parse().unwrap()]
        );
        assert!(
            !approvable(&principal("agent"), &book, NOW)
                .unwrap_err()
                .is_hidden()
        );
        assert!(
            approvable(&principal("visitor"), &book, NOW)
                .unwrap_err()
                .is_hidden()
        );
    }

    #[test]
    fn a_foreign_account_is_hidden_from_who_may_approve() {
        let book = Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), []);
        let accounts = [format!("AC{}", "9".repeat(32)).parse().unwrap()].into();
        let stranger = Principal {
            accounts,
            ..principal("privacy-officer")
        };
        let denial = may_approve(&stranger, &of(&book, "", "restricted"), &book, NOW).unwrap_err();
        assert!(denial.is_hidden() && denial.names(Reason::AccountUnknownToPrincipal));
    }

    #[test]
    fn a_purpose_is_stated_by_its_roles_and_with_reason() {
        let book = Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), []);
        let asked = |role: &str, purpose: &str, words: Option<&str>| {
            let denied = may_state(
                &principal(role),
                &purpose.parse().unwrap(),
                words,
                &book,
                NOW,
            )
            .err();
            denied
                .map(|denial| {
                    denial
                        .refusals()
                        .iter()
                        .map(|refusal| refusal.reason)
                        .collect::<Vec<_>>()
                })
                .unwrap_or_default()
        };
        assert_eq!(asked("privacy-officer", "subject-request", Some("x")), []);
        assert_eq!(
            asked("privacy-officer", "subject-request", Some(" .")),
            [Reason::JustificationMissing]
        );
        assert_eq!(
            asked(
                "privacy-officer",
                "subject-request",
                Some(&"x".repeat(1001))
            ),
            [Reason::JustificationTooLong]
        );
        assert_eq!(
            asked("agent", "subject-request", None),
            [Reason::RoleNotAllowed, Reason::JustificationMissing]
        );
        assert_eq!(asked("agent", "curiosity", None), [Reason::PurposeUnknown]);
        assert_eq!(asked("reviewer", "quality-review", None), []);
    }
}
