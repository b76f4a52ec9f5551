//! Both versions as current ones: each case is decided by the code and by the oracle, and compared.

use std::collections::BTreeMap;

use super::{
    super::*,
    Approved, Case, Hold, MINDS, Point, Written, case,
    plans::{NARROW, Plan, WIDE},
};

/// Both versions as current ones, with the other beside them.
pub(super) struct World {
    books: [Rulebook; 2],
    digests: [String; 2],
    long: String,
}

impl World {
    pub(super) fn new() -> Self {
        let digests = [&WIDE, &NARROW].map(|plan| plan.rules().digest().to_owned());
        let books = [
            Rulebook::new(WIDE.rules(), [NARROW.rules()]),
            Rulebook::new(NARROW.rules(), [WIDE.rules()]),
        ];
        Self {
            books,
            digests,
            long: "é".repeat(MAX_JUSTIFICATION + 1),
        }
    }

    /// Decides by the code.
    fn decide(&self, case: &Case, current: usize, pin: Option<usize>) -> Decision {
        let mut principal = principal(case.roles);
        if !case.own_account {
            principal
                .accounts
                .insert(format!("AC{}", "1".repeat(32)).parse().unwrap());
        }
        let collected_at = days(-case.age_days);
        let recording = Recording {
            collected_at,
            revoked_at: case.revoked.then_some(NOW),
            ..recording(
                case.state,
                case.tier,
                pin.map_or("0000", |pin| &self.digests[pin]),
            )
        };
        let mut consents = Consents::NONE;
        for (place, mind) in case.minds.iter().enumerate() {
            // The first party is known, and makes statements for every call; of the second only the
            // leg in this call is known.
            let (leg, who) = [("caller", Some(subject(1))), ("callee", None)][place];
            consents.parties.push(party(leg, who));
            for (answer, purposes, day, under_current) in MINDS[*mind].words {
                let whom = who.map_or_else(|| in_call(Some(leg)), Whom::Subject);
                let at = Timestamp::from_millis(collected_at.as_millis() + day * 86_400_000);
                let version = under_current.then(|| [&WIDE, &NARROW][current].version.to_owned());
                consents.statements.push(Statement {
                    policy_version: version,
                    ..said(*answer, whom, purposes, at)
                });
            }
        }
        let own: Purpose = case.purpose.parse().unwrap();
        let holds = match case.hold {
            Hold::None => vec![],
            Hold::This => vec!["anything".parse().unwrap(), own.clone()],
            Hold::Other => vec!["anything".parse().unwrap()],
        };
        let facts = DecisionFacts {
            justification: match case.justification {
                Written::Nothing => Some(" .\u{200b}\t"),
                Written::Something => Some("call 17"),
                Written::TooMuch => Some(&self.long),
            },
            consents: &consents,
            holds: &holds,
            approval: match case.approval {
                Approved::No | Approved::Glass => None,
                Approved::Yes => Some(StandingApproval::some_until(after(30))),
                Approved::Ended => Some(StandingApproval::some_until(NOW)),
            },
            break_glass: case.approval == Approved::Glass,
            openings_today: case.openings,
            until: case.until.map(after),
            ..DecisionFacts::new(&principal, &recording, own)
        };
        decide(&facts, &self.books[current], NOW)
    }

    /// Decides by the code and by the oracle, and compares. Returns whether it was allowed.
    pub(super) fn check(&self, point: &Point) -> bool {
        let case = case(point);
        let current = point[13];
        let pin = [Some(current), Some(1 - current), None][point[14]];
        let plans = [&WIDE, &NARROW];
        let plan = plans[current];
        let mut own = plan.says(&case);
        let mut tell = |wrong: bool, code, clause: &str| {
            if wrong {
                own.insert(code, clause.to_owned());
            }
        };
        tell(
            !case.own_account,
            "account-unknown-to-principal",
            "fixed/account",
        );
        tell(
            case.state == RecordingState::Shredded,
            "recording-shredded",
            "fixed/state",
        );
        tell(
            ![RecordingState::Shredded, RecordingState::Sealed].contains(&case.state),
            "recording-not-sealed",
            "fixed/state",
        );
        tell(
            case.justification == Written::TooMuch,
            "justification-too-long",
            "fixed/justification",
        );
        tell(
            case.until.is_some_and(|seconds| seconds <= 0),
            "grant-expired",
            "fixed/grant",
        );
        tell(pin.is_none(), "policy-unknown", "fixed/pin");
        let earlier = pin.filter(|pin| *pin != current).map(|pin| plans[pin]);
        // Some say yes to the purposes by name, which is impossible for an undeclared purpose.
        let renewed =
            case.all_say_yes(|said| said.renewed && (said.to_recording || case.purpose != "alien"));
        let mut theirs = earlier
            .map(|earlier| earlier.says(&case))
            .unwrap_or_default();
        theirs.retain(|code, _| !renewed || *code == "quarantined");
        theirs.retain(|code, _| !own.contains_key(code));

        let binding: Vec<&Plan> = [Some(plan), earlier.filter(|_| !renewed)]
            .into_iter()
            .flatten()
            .collect();
        let mut view = Some(View::Audio);
        if own.is_empty() && theirs.is_empty() {
            for plan in &binding {
                view =
                    view.and_then(|view| narrower(view, plan.purpose(case.purpose).unwrap().view));
            }
            if view.is_none() {
                theirs.insert(
                    "condition-not-met",
                    format!("purposes/{}/view", case.purpose),
                );
            }
        }
        match self.decide(&case, current, pin) {
            Decision::Allow(grant) => {
                assert!(
                    own.is_empty() && theirs.is_empty(),
                    "{case:?} was allowed in spite of {own:?} {theirs:?}"
                );
                let mut ends: Vec<i64> = case.until.into_iter().collect();
                let mut glass = false;
                for plan in binding {
                    let (seconds, approval) = plan.tier(case.tier).unwrap();
                    ends.push(seconds);
                    ends.extend(
                        plan.purpose(case.purpose)
                            .unwrap()
                            .retention_days
                            .map(|days| (days - case.age_days) * 86_400),
                    );
                    if approval.is_some() {
                        ends.extend((case.approval == Approved::Yes).then_some(30));
                        glass |= case.approval == Approved::Glass;
                    }
                }
                assert_eq!(
                    grant.expires_at(),
                    after(ends.into_iter().min().unwrap()),
                    "{case:?}"
                );
                assert_eq!(
                    (Some(grant.view()), grant.is_break_glass()),
                    (view, glass),
                    "{case:?}"
                );
                assert_eq!(grant.clause(), format!("purposes/{}", case.purpose));
                true
            }
            Decision::Deny(denial) => {
                let told = |pinned: bool| -> BTreeMap<&str, String> {
                    let refusals = denial
                        .refusals()
                        .iter()
                        .filter(|refusal| refusal.pinned.is_some() == pinned);
                    refusals
                        .map(|refusal| (refusal.reason.code(), refusal.clause.to_string()))
                        .collect()
                };
                assert_eq!(
                    (told(false), told(true)),
                    (own, theirs),
                    "{case:?} by {} pinned to {pin:?}",
                    plan.version
                );
                let knows_role = case
                    .roles
                    .iter()
                    .any(|role| ["lister", "reviewer", "officer"].contains(role));
                assert_eq!(
                    denial.is_hidden(),
                    !case.own_account || !knows_role,
                    "{case:?}"
                );
                false
            }
        }
    }
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + seconds * 1000)
}

/// Returns the oracle's intersection of two views.
fn narrower(one: View, other: View) -> Option<View> {
    match (one, other) {
        (one, other) if one == other => Some(one),
        (View::Audio, other) => Some(other),
        (one, View::Audio) => Some(one),
        (
            View::Transcript | View::RedactedTranscript,
            View::Transcript | View::RedactedTranscript,
        ) => Some(View::RedactedTranscript),
        _ => None,
    }
}
