//! The laws that no policy can break, checked for the shipped policy and for one that bases
//! recording on consent.

use proptest::prelude::*;

use super::*;
use crate::policy::Basis;

/// Every property of a request and a recording.
#[derive(Clone, Debug)]
struct World {
    roles: Vec<&'static str>,
    queues: Option<Vec<&'static str>>,
    queue: Option<&'static str>,
    tier: &'static str,
    purpose: &'static str,
    state: RecordingState,
    revoked: bool,
    holds: Vec<Purpose>,
    consents: Consents,
    justified: bool,
    approved: bool,
    break_glass: bool,
    age_days: i64,
    /// Whether the recording is pinned to the version beside the current one.
    pinned: bool,
}

const PURPOSES: [&str; 7] = [
    "follow-up",
    "quality-review",
    "training",
    "dispute-resolution",
    "subject-request",
    "legal-request",
    "unknown",
];

impl World {
    fn is_allowed(&self, book: &Rulebook, pin: &str) -> bool {
        matches!(self.decide(book, pin), Decision::Allow(_))
    }

    fn decide(&self, book: &Rulebook, pin: &str) -> Decision {
        let principal = principal(&self.roles);
        let principal = match &self.queues {
            Some(queues) => with_labels(principal, &[("queue", queues)]),
            None => principal,
        };
        let mut recording = Recording {
            collected_at: days(-self.age_days),
            revoked_at: self.revoked.then_some(NOW),
            ..recording(
                self.state,
                self.tier,
                if self.pinned {
                    pin
                } else {
                    book.current().digest()
                },
            )
        };
        recording.labels.extend(
            self.queue
                .map(|queue| ("queue".parse().unwrap(), queue.to_owned())),
        );
        let facts = DecisionFacts {
            justification: self.justified.then_some("call 17"),
            consents: &self.consents,
            holds: &self.holds,
            approval: self
                .approved
                .then_some(StandingApproval::some_until(days(1))),
            break_glass: self.break_glass,
            ..DecisionFacts::new(&principal, &recording, self.purpose.parse().unwrap())
        };
        decide(&facts, book, NOW)
    }
}

fn statement() -> impl Strategy<Value = Statement> {
    let whom = prop_oneof![
        (1..3_u8).prop_map(|number| Whom::Subject(subject(number))),
        Just(in_call(None)),
        Just(in_call(Some("caller"))),
        Just(in_call(Some("callee"))),
    ];
    let purposes = prop_oneof![
        Just(vec![]),
        Just(vec!["recording"]),
        Just(vec!["training"]),
        Just(vec!["training", "quality-review", "recording"])
    ];
    let version = prop_oneof![
        Just(None),
        Just(Some("1".to_owned())),
        Just(Some("2".to_owned()))
    ];
    (
        whom,
        proptest::sample::select(Answer::ALL),
        purposes,
        -15..1_i64,
        version,
    )
        .prop_map(|(whom, answer, purposes, day, policy_version)| Statement {
            policy_version,
            ..said(answer, whom, &purposes, days(day))
        })
}

fn consents() -> impl Strategy<Value = Consents> {
    let who = || {
        prop_oneof![
            Just(None),
            (1..3_u8).prop_map(|number| Some(subject(number)))
        ]
    };
    let parties = prop_oneof![
        Just(vec![]),
        who().prop_map(|who| vec![party("caller", who)]),
        (who(), who()).prop_map(|(one, other)| vec![party("caller", one), party("callee", other)]),
    ];
    (parties, proptest::collection::vec(statement(), 0..5)).prop_map(|(parties, statements)| {
        Consents {
            parties,
            statements,
        }
    })
}

fn world() -> impl Strategy<Value = World> {
    let roles = proptest::sample::subsequence(
        vec!["agent", "reviewer", "privacy-officer", "auditor"],
        0..=4,
    );
    let queues = proptest::option::of(proptest::sample::subsequence(
        vec!["sales", "service"],
        0..=2,
    ));
    let queue = proptest::option::of(proptest::sample::select(vec!["sales", "service"]));
    let tier = proptest::sample::select(vec!["standard", "standard", "sensitive", "restricted"]);
    let state =
        prop_oneof![9 => Just(RecordingState::Sealed), 1 => proptest::sample::select(&STATES[..])];
    let holds = proptest::sample::subsequence(PURPOSES.to_vec(), 0..=7);
    let request = (
        roles,
        queues,
        queue,
        tier,
        proptest::sample::select(&PURPOSES[..]),
        state,
    );
    let flags = (
        proptest::bool::weighted(0.3),
        proptest::bool::weighted(0.8),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
    );
    (request, holds, consents(), flags, 0..200_i64).prop_map(
        |(request, holds, consents, flags, age_days)| {
            let (roles, queues, queue, tier, purpose, state) = request;
            let (revoked, justified, approved, break_glass, pinned) = flags;
            let holds = holds
                .into_iter()
                .map(|purpose| purpose.parse().unwrap())
                .collect();
            World {
                roles,
                queues,
                queue,
                tier,
                purpose,
                state,
                revoked,
                holds,
                consents,
                justified,
                approved,
                break_glass,
                age_days,
                pinned,
            }
        },
    )
}

/// The shipped version, and another one that bases recording and quality review on consent; each as
/// the current one.
fn books() -> [(Rulebook, String); 2] {
    let other = SHIPPED.replacen("version = \"1\"", "version = \"2\"", 1);
    let other = other.replace("basis = \"legitimate-interest\"", "basis = \"consent\"");
    // No hold is placed for a purpose that is based on consent.
    let other = other.replace(", \"dispute-resolution\"]", "]");
    let [one, other] =
        [SHIPPED, other.as_str()].map(|text| move || Rules::parse("p", text).unwrap());
    let digests = [one().digest().to_owned(), other().digest().to_owned()];
    let [own, foreign] = digests;
    [
        (Rulebook::new(one(), [other()]), foreign),
        (Rulebook::new(other(), [one()]), own),
    ]
}

/// Checks a law on many worlds. The macro of proptest would parse both policies again for each.
fn every_world(law: impl Fn(&World, &Rulebook, &str) -> Result<(), TestCaseError>) {
    let books = books();
    let mut runner = proptest::test_runner::TestRunner::default();
    let tried = runner.run(&world(), |world| {
        books
            .iter()
            .try_for_each(|(book, pin)| law(&world, book, pin))
    });
    if let Err(broken) = tried {
        panic!("{broken}");
    }
}

#[test]
fn any_yes_more_denies_nothing() {
    every_world(|world, book, pin| {
        for (whom, version) in [
            (Whom::Subject(subject(1)), "1"),
            (in_call(None), "2"),
            (in_call(Some("callee")), "9"),
        ] {
            let mut more = world.clone();
            more.consents.statements.push(Statement {
                policy_version: Some(version.into()),
                ..said(Answer::Given, whom, &[], days(0))
            });
            prop_assert!(!world.is_allowed(book, pin) || more.is_allowed(book, pin));
        }
        Ok(())
    });
}

#[test]
fn any_hold_opens_nothing_that_was_not_revoked() {
    every_world(|world, book, pin| {
        let without = World {
            revoked: false,
            holds: vec![],
            ..world.clone()
        };
        for holds in [
            PURPOSES.map(|purpose| purpose.parse().unwrap()).to_vec(),
            vec![world.purpose.parse().unwrap()],
        ] {
            let held = World {
                holds,
                ..without.clone()
            };
            prop_assert_eq!(without.is_allowed(book, pin), held.is_allowed(book, pin));
        }
        Ok(())
    });
}

#[test]
fn any_withdrawal_beats_everything_but_a_hold() {
    every_world(|world, book, pin| {
        // Every participant withdraws everything; other statements are irrelevant.
        let mut withdrawn = world.clone();
        withdrawn
            .consents
            .statements
            .push(said(Answer::Withdrawn, in_call(None), &[], days(0)));
        let rules = book.current();
        if let Decision::Allow(grant) = withdrawn.decide(book, pin) {
            let basis = rules.purpose(grant.purpose()).unwrap().basis;
            prop_assert_ne!(
                basis,
                Some(Basis::Consent),
                "no hold stands in for consent to the purpose"
            );
            let by_consent = rules.document().collection.basis == Some(Basis::Consent);
            prop_assert!(!by_consent || (world.revoked && world.holds.contains(grant.purpose())));
        }
        let revoked = World {
            revoked: true,
            ..world.clone()
        };
        prop_assert!(
            !revoked.is_allowed(book, pin)
                || revoked
                    .holds
                    .iter()
                    .any(|hold| hold.as_str() == world.purpose)
        );
        Ok(())
    });
}

#[test]
fn any_unknown_party_is_a_no() {
    every_world(|world, book, pin| {
        let mut stranger = world.clone();
        stranger.consents.parties.push(party("channel-9", None));
        stranger
            .consents
            .statements
            .retain(|said| said.whom != in_call(None));
        if let Decision::Allow(grant) = stranger.decide(book, pin) {
            prop_assert_ne!(
                book.current().purpose(grant.purpose()).unwrap().basis,
                Some(Basis::Consent)
            );
        }
        Ok(())
    });
}

#[test]
fn any_role_less_opens_nothing() {
    every_world(|world, book, pin| {
        for lost in 0..world.roles.len() {
            let mut fewer = world.clone();
            fewer.roles.remove(lost);
            match (world.decide(book, pin), fewer.decide(book, pin)) {
                (Decision::Deny(_), Decision::Allow(_)) => {
                    prop_assert!(false, "a role less opened it")
                }
                (Decision::Deny(before), Decision::Deny(after)) => {
                    prop_assert!(after.is_hidden() || !before.is_hidden())
                }
                _ => {}
            }
        }
        Ok(())
    });
}

#[test]
fn any_earlier_version_gives_nothing_that_the_current_one_does_not() {
    every_world(|world, book, pin| {
        let [pinned, current] = [true, false].map(|pinned| World {
            pinned,
            ..world.clone()
        });
        prop_assert!(!pinned.is_allowed(book, pin) || current.is_allowed(book, pin));
        Ok(())
    });
}
