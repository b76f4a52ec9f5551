//! Decisions against an oracle that was written by itself, and the laws that no policy can break.

use std::{collections::BTreeSet, time::Duration};

use super::*;
use crate::{
    model::{
        access::Principal,
        id::{RecordingId, TokenId},
        name::Role,
        recording::Recording,
    },
    policy::{Action, Permit, permit},
};

const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const STATES: [State; 5] = [State::Announced, State::Absent, State::Failed, State::Sealed, State::Shredded];

/// What a test policy says, as plain data: version, tiers with seconds, purposes with tiers, roles and justification.
struct Plan {
    version: &'static str,
    effective: &'static str,
    tiers: &'static [(&'static str, u64)],
    purposes: &'static [(&'static str, &'static [&'static str], &'static [&'static str], bool)],
}

const WIDE: Plan = Plan {
    version: "wide",
    effective: "2026-01-01",
    tiers: &[("standard", 3600), ("sensitive", 600), ("restricted", 60)],
    purposes: &[
        ("review", &["standard", "sensitive"], &["reviewer"], false),
        ("dispute", &["standard", "sensitive", "restricted"], &["officer", "reviewer"], true),
    ],
};

/// Knows no tier `restricted` and no purpose `dispute`, wants a justification and grants less time.
const NARROW: Plan = Plan {
    version: "narrow",
    effective: "2026-01-02",
    tiers: &[("standard", 600), ("sensitive", 900)],
    purposes: &[("review", &["standard"], &["reviewer"], true)],
};

const FUTURE: Plan = Plan { version: "future", effective: "2099-01-01", ..WIDE };

const EMPTY: Plan = Plan { version: "empty", purposes: &[], ..WIDE };

impl Plan {
    fn rules(&self) -> Rules {
        let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "version = \"{}\"\neffective = {}\ndefault_tier = \"standard\"\n[controller]\nname = \"C\"\ncontact = \"c\"\n\
             [roles]\nreviewer = \"R\"\nofficer = \"O\"\nlister = \"L\"\n[actions]\ncatalogue = [\"lister\"]\nshred = [\"officer\"]\naudit = []\n",
            self.version, self.effective
        );
        for (name, seconds) in self.tiers {
            text += &format!("[[tiers]]\nname = \"{name}\"\ndescription = \"T\"\ngrant_lifetime = \"{seconds}s\"\n");
        }
        for (name, tiers, roles, justification) in self.purposes {
            text += &format!(
                "[[purposes]]\nname = \"{name}\"\ntext = \"P\"\ndpv = \"https://w3id.org/dpv#Purpose\"\ntiers = [{}]\nroles = [{}]\njustification = {justification}\n",
                list(tiers),
                list(roles)
            );
        }
        Rules::parse(self.version, &text).unwrap()
    }

    /// The oracle for one version: its own reasons and, where a tier is known, its lifetime.
    fn says(&self, case: &Case<'_>) -> (BTreeSet<&'static str>, Option<u64>) {
        let mut codes = BTreeSet::new();
        if self.effective > "2027-01-15" {
            codes.insert("policy-not-in-force");
        }
        let lifetime = self.tiers.iter().find(|(name, _)| *name == case.tier).map(|(_, seconds)| *seconds);
        if lifetime.is_none() {
            codes.insert("tier-unknown");
        }
        if let Some((_, tiers, roles, justification)) = self.purposes.iter().find(|(name, ..)| *name == case.purpose) {
            if lifetime.is_some() && !tiers.contains(&case.tier) {
                codes.insert("purpose-not-for-tier");
            }
            if case.roles.iter().all(|role| !roles.contains(role)) {
                codes.insert("role-not-allowed");
            }
            if *justification && case.justification.is_none_or(|text| text.trim_matches([' ', '\t', '.', '\u{200b}']).is_empty()) {
                codes.insert("justification-missing");
            }
        } else {
            codes.insert("purpose-unknown");
        }
        (codes, lifetime)
    }
}

#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    state: State,
    tier: &'a str,
    roles: &'a [&'a str],
    purpose: &'a str,
    justification: Option<&'a str>,
    own_account: bool,
    until: Option<i64>,
}

const PLAIN: Case<'_> = Case {
    state: State::Sealed,
    tier: "standard",
    roles: &["reviewer"],
    purpose: "review",
    justification: Some("call 17"),
    own_account: true,
    until: None,
};

fn principal(roles: &[&str]) -> Principal {
    let id = TokenId::random(&mut rand::rng());
    Principal {
        id,
        roles: roles.iter().map(|role| role.parse::<Role>().unwrap()).collect(),
        accounts: BTreeSet::new(),
        attributes: Default::default(),
    }
}

fn recording(state: State, tier: &str, policy_digest: &str) -> Recording {
    Recording {
        id: RecordingId::random(&mut rand::rng()),
        state,
        account: format!("AC{}", "0".repeat(32)).parse().unwrap(),
        source_sid: format!("RE{}", "0".repeat(32)).parse().unwrap(),
        call: None,
        conference: None,
        source: None,
        source_status: "completed".into(),
        error_code: None,
        duration_s: None,
        channels: None,
        tier: tier.parse().unwrap(),
        policy_version: "whatever".into(),
        policy_digest: policy_digest.into(),
        started_at: None,
        announced_at: NOW,
        sealed_at: None,
        shredded_at: None,
        collected_at: NOW,
        labels: Default::default(),
        holds: 0,
        revoked_at: None,
        quarantine_ends: None,
    }
}

fn decide_case(case: Case<'_>, rulebook: &Rulebook, pin: &str) -> Decision {
    let mut principal = principal(case.roles);
    if !case.own_account {
        principal.accounts.insert(format!("AC{}", "1".repeat(32)).parse().unwrap());
    }
    let recording = recording(case.state, case.tier, pin);
    let facts = Facts {
        justification: case.justification,
        until: case.until.map(|seconds| Timestamp::from_millis(NOW.as_millis() + seconds * 1000)),
        ..Facts::new(&principal, &recording, case.purpose.parse().unwrap())
    };
    decide(&facts, rulebook, NOW)
}

fn allows(case: Case<'_>, rulebook: &Rulebook, pin: &str) -> bool {
    matches!(decide_case(case, rulebook, pin), Decision::Allow(_))
}

fn denial(case: Case<'_>, rulebook: &Rulebook, pin: &str) -> Denial {
    match decide_case(case, rulebook, pin) {
        Decision::Allow(grant) => panic!("allowed: {grant:?}"),
        Decision::Deny(denial) => denial,
    }
}

/// `code` for a reason of the current rules, `code@version` for one that only the pinned rules give.
fn codes(denial: &Denial) -> BTreeSet<String> {
    let told = denial.refusals().iter().map(|refusal| match &refusal.pinned {
        None => refusal.reason.code().to_owned(),
        Some(version) => format!("{}@{version}", refusal.reason.code()),
    });
    told.collect()
}

fn check(case: Case<'_>, current: &Plan, pinned: Option<&Plan>, rulebook: &Rulebook, pin: &str) {
    let mut request = BTreeSet::new();
    if !case.own_account {
        request.insert("account-unknown-to-principal");
    }
    if case.state == State::Shredded {
        request.insert("recording-shredded");
    } else if case.state != State::Sealed {
        request.insert("recording-not-sealed");
    }
    if case.justification.is_some_and(|text| text.chars().count() > 1000) {
        request.insert("justification-too-long");
    }
    if case.until.is_some_and(|seconds| seconds <= 0) {
        request.insert("grant-expired");
    }
    if pinned.is_none() {
        request.insert("policy-unknown");
    }
    let (own, lifetime) = current.says(&case);
    let (other, other_lifetime) = pinned.map_or_else(|| (BTreeSet::new(), lifetime), |plan| plan.says(&case));
    let mut expected: BTreeSet<String> = request.union(&own).map(|code| (*code).to_owned()).collect();
    expected.extend(other.difference(&own).map(|code| format!("{code}@{}", pinned.unwrap().version)));

    match decide_case(case, rulebook, pin) {
        Decision::Allow(grant) => {
            assert!(expected.is_empty(), "{case:?} allowed in spite of {expected:?}");
            let seconds = [lifetime.map(i64::try_from), other_lifetime.map(i64::try_from)].map(|seconds| seconds.unwrap().unwrap());
            let end = seconds.into_iter().chain(case.until).min().unwrap();
            assert_eq!(grant.expires_at().as_millis(), NOW.as_millis() + end * 1000, "{case:?}");
        }
        Decision::Deny(denial) => {
            assert_eq!(codes(&denial), expected, "{case:?}");
            let knows_role = ["lister", "reviewer"].iter().any(|role| case.roles.contains(role))
                || (current.purposes.len() > 1 && case.roles.contains(&"officer"));
            assert_eq!(denial.is_hidden(), !case.own_account || !knows_role, "{case:?}");
        }
    }
}

#[test]
fn every_decision_is_the_oracles() {
    let thousand = "é".repeat(1000);
    let more = "é".repeat(1001);
    let justifications = [None, Some(""), Some(" \t.\u{200b}"), Some("call 17"), Some(&thousand), Some(&more)];
    let role_sets: [&[&str]; 6] = [&[], &["reviewer"], &["officer"], &["officer", "reviewer"], &["lister"], &["alien"]];
    let wide = WIDE.rules().digest().to_owned();
    let narrow = NARROW.rules().digest().to_owned();
    let mut decided = 0;
    for (current, other) in [(&WIDE, &NARROW), (&NARROW, &WIDE)] {
        let rulebook = Rulebook::new(current.rules(), [other.rules()]);
        for (pinned, pin) in [(Some(&WIDE), wide.as_str()), (Some(&NARROW), narrow.as_str()), (None, "0000")] {
            for state in STATES {
                for tier in ["standard", "sensitive", "restricted", "alien"] {
                    for roles in role_sets {
                        for purpose in ["review", "dispute", "alien"] {
                            for justification in justifications {
                                for (own_account, until) in
                                    [(true, None), (false, None), (true, Some(0)), (true, Some(1)), (false, Some(-1))]
                                {
                                    let case = Case { state, tier, roles, purpose, justification, own_account, until };
                                    check(case, current, pinned, &rulebook, pin);
                                    decided += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(decided, 2 * 3 * 5 * 4 * 6 * 3 * 6 * 5);
}

#[test]
fn an_empty_policy_denies_everything() {
    let rulebook = Rulebook::new(EMPTY.rules(), []);
    let pin = rulebook.current().digest();
    for roles in [&["reviewer"][..], &["officer"], &["lister"]] {
        for purpose in ["review", "dispute"] {
            assert!(!allows(Case { roles, purpose, ..PLAIN }, &rulebook, pin));
        }
    }
}

#[test]
fn a_narrower_version_denies_whether_it_is_the_newer_or_the_pinned_one() {
    let sensitive = Case { tier: "sensitive", ..PLAIN };
    let wide = Rulebook::new(WIDE.rules(), [NARROW.rules()]);
    let narrow = Rulebook::new(NARROW.rules(), [WIDE.rules()]);
    assert!(allows(sensitive, &wide, WIDE.rules().digest()));
    let pinned = denial(sensitive, &wide, NARROW.rules().digest());
    assert_eq!(codes(&pinned), ["purpose-not-for-tier@narrow".to_owned()].into());
    assert!(pinned.refusals().iter().all(|refusal| refusal.sentence().contains("version `narrow`")));
    assert_eq!(codes(&denial(sensitive, &narrow, WIDE.rules().digest())), ["purpose-not-for-tier".to_owned()].into());
}

#[test]
fn a_policy_allows_from_its_effective_instant_on() {
    let rulebook = Rulebook::new(FUTURE.rules(), [WIDE.rules()]);
    let effective = Timestamp::parse_rfc3339("2099-01-01T00:00:00Z").unwrap();
    let principal = principal(&["reviewer"]);
    let recording = recording(State::Sealed, "standard", rulebook.current().digest());
    let facts = Facts::new(&principal, &recording, "review".parse().unwrap());
    let one = Duration::from_millis(1);
    assert!(matches!(decide(&facts, &rulebook, effective.before(one)), Decision::Deny(denial) if denial.names(Reason::PolicyNotInForce)));
    assert!(matches!(decide(&facts, &rulebook, effective), Decision::Allow(_)));
    let officer = self::principal(&["officer"]);
    assert!(permit(&officer, Action::Shred, &rulebook, effective.before(one)).unwrap_err().names(Reason::PolicyNotInForce));
    assert!(permit(&officer, Action::Shred, &rulebook, effective).is_ok());
}

#[test]
fn every_reason_comes_at_once() {
    let rulebook = Rulebook::new(FUTURE.rules(), []);
    let blank = " ".repeat(1001);
    let worst = Case {
        state: State::Shredded,
        tier: "alien",
        roles: &["alien"],
        purpose: "dispute",
        justification: Some(&blank),
        own_account: false,
        until: Some(0),
    };
    let told: Vec<_> = denial(worst, &rulebook, "0000").refusals().iter().map(|refusal| refusal.reason).collect();
    let rest = [Reason::RecordingNotSealed, Reason::PurposeUnknown, Reason::PurposeNotForTier];
    let expected: Vec<_> = Reason::ALL.into_iter().filter(|reason| !rest.contains(reason)).collect();
    assert_eq!(told, expected, "in the order of the list");
    let narrow = Rulebook::new(NARROW.rules(), []);
    let other = Case { state: State::Failed, tier: "sensitive", purpose: "review", roles: &[], justification: None, ..PLAIN };
    let told = denial(other, &narrow, narrow.current().digest());
    assert!([Reason::RecordingNotSealed, Reason::PurposeNotForTier].into_iter().all(|reason| told.names(reason)));
    assert!(denial(Case { purpose: "alien", ..other }, &narrow, "0000").names(Reason::PurposeUnknown));
}

#[test]
fn losing_a_role_never_allows_more_nor_shows_more() {
    let rulebook = Rulebook::new(Rules::parse("shipped", SHIPPED).unwrap(), []);
    let pin = rulebook.current().digest();
    let document = rulebook.current().document();
    let names: Vec<&str> = document.roles.iter().map(|(role, _)| role.as_str()).collect();
    let subset = |bits: u32| names.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, name)| *name).collect::<Vec<_>>();
    let mut allowed = 0;
    for bits in 0..1_u32 << names.len() {
        for lost in (0..names.len()).filter(|at| bits & (1 << at) != 0) {
            let (more, fewer) = (subset(bits), subset(bits & !(1 << lost)));
            for purpose in &document.purposes {
                for tier in &document.tiers {
                    let case = Case { tier: tier.name.as_str(), purpose: purpose.name.as_str(), ..PLAIN };
                    let after = decide_case(Case { roles: &fewer, ..case }, &rulebook, pin);
                    match (decide_case(Case { roles: &more, ..case }, &rulebook, pin), after) {
                        (Decision::Allow(_), _) => allowed += 1,
                        (Decision::Deny(_), Decision::Allow(grant)) => panic!("{fewer:?} may, {more:?} may not: {grant:?}"),
                        (Decision::Deny(before), Decision::Deny(after)) => assert!(after.is_hidden() || !before.is_hidden()),
                    }
                }
            }
            for action in [Action::Catalogue, Action::Shred, Action::Audit] {
                let may = |roles: &[&str]| permit(&principal(roles), action, &rulebook, NOW).is_ok();
                assert!(may(&more) || !may(&fewer), "{action}");
            }
        }
    }
    assert!(allowed > 0);
}

#[test]
fn everything_shipped_is_of_use() {
    let rulebook = Rulebook::new(Rules::parse("shipped", SHIPPED).unwrap(), []);
    let document = rulebook.current().document();
    for purpose in &document.purposes {
        for tier in &purpose.tiers {
            for role in &purpose.roles {
                let case = Case { tier: tier.as_str(), purpose: purpose.name.as_str(), roles: &[role.as_str()], ..PLAIN };
                assert!(allows(case, &rulebook, rulebook.current().digest()), "{case:?}");
            }
        }
    }
}

#[test]
fn a_grant_names_what_was_decided() {
    let rulebook = Rulebook::new(WIDE.rules(), []);
    let Decision::Allow(grant) = decide_case(PLAIN, &rulebook, rulebook.current().digest()) else { panic!("denied") };
    assert_eq!(grant.policy_version(), "wide");
    assert_eq!(grant.policy_digest(), rulebook.current().digest());
    assert_eq!(
        (grant.purpose().as_str(), grant.tier().as_str(), grant.view(), grant.is_justified()),
        ("review", "standard", View::Audio, true)
    );
}

#[test]
fn a_permit_reaches_only_the_principals_accounts() {
    let rulebook = Rulebook::new(WIDE.rules(), []);
    let [own, foreign] = ["0", "1"].map(|digit| format!("AC{}", digit.repeat(32)).parse().unwrap());
    let mut officer = principal(&["officer"]);
    let everywhere = permit(&officer, Action::Shred, &rulebook, NOW).unwrap();
    assert!(everywhere.covers(&own) && everywhere.covers(&foreign));
    officer.accounts.insert(own);
    let own = officer.accounts.first().unwrap();
    let narrow = permit(&officer, Action::Shred, &rulebook, NOW).unwrap();
    assert!(narrow.covers(own) && !narrow.covers(&foreign));
    assert_eq!((narrow.actor().to_string(), narrow.action()), (officer.id.to_string(), Action::Shred));
    let refused = permit(&principal(&["lister"]), Action::Shred, &rulebook, NOW).unwrap_err();
    assert!(refused.names(Reason::RoleNotAllowed) && !refused.is_hidden());
    assert!(permit(&principal(&[]), Action::Catalogue, &rulebook, NOW).unwrap_err().is_hidden());
    let operator = Permit::of_operator(Action::Shred);
    assert!(operator.covers(&foreign) && operator.actor().to_string() == "operator");
}
