//! The whole decision space against an oracle that was written by itself: it knows plans, not
//! policies, and what people said, not statements.
//!
//! Where two dimensions can have to do with each other, every combination is tried; and, of the
//! whole space, a sample that holds every pair.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What a test policy says, as plain data.
struct Plan {
    version: &'static str,
    recorded_with_consent: bool,
    /// Name, seconds of a grant, and the roles that may break the glass where an approval is asked
    /// for.
    tiers: &'static [(&'static str, i64, Option<&'static [&'static str]>)],
    purposes: &'static [PurposePlan],
}

#[derive(Clone, Copy)]
struct PurposePlan {
    name: &'static str,
    tiers: &'static [&'static str],
    roles: &'static [&'static str],
    justification: bool,
    consent: bool,
    retention_days: Option<i64>,
    budget: Option<u32>,
    view: View,
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

static WIDE: Plan = Plan {
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

/// Knows no tier `restricted` and no purpose `dispute`, rests recording on consent, and wants and
/// gives otherwise in everything.
static NARROW: Plan = Plan {
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
    fn rules(&self) -> Rules {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let basis = |consent| if consent { "consent" } else { "contract" };
        let mut text = format!(
            "version = \"{}\"\neffective = 2026-01-01\ndefault_tier = \"standard\"\n[controller]\nname = \"C\"\ncontact = \"c\"\n\
             [roles]\nreviewer = \"R\"\nofficer = \"O\"\nlister = \"L\"\n[collection]\nbasis = \"{}\"\nquarantine = \"7d\"\n\
             [actions]\ncatalogue = [\"lister\"]\nshred = [\"officer\"]\naudit = []\n",
            self.version,
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
                view => format!("view = \"{view}\"\n"),
            };
        }
        Rules::parse(self.version, &text).unwrap()
    }

    fn tier(&self, name: &str) -> Option<(i64, Option<&'static [&'static str]>)> {
        self.tiers
            .iter()
            .find(|tier| tier.0 == name)
            .map(|tier| (tier.1, tier.2))
    }

    fn purpose(&self, name: &str) -> Option<&PurposePlan> {
        self.purposes.iter().find(|purpose| purpose.name == name)
    }

    /// The oracle for one version: its reasons, each with its clause.
    fn says(&self, case: &Case) -> BTreeMap<&'static str, String> {
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
        let kept_for_this = case.revoked && case.hold == Hold::This;
        let quarantined = self.recorded_with_consent
            && !case.all_say_yes(|said| said.to_recording)
            && !kept_for_this;
        tell(quarantined, "quarantined", "fixed/quarantine".into());
        told
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Something,
    TooMuch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    None,
    This,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Approved {
    No,
    Yes,
    Ended,
    Glass,
}

/// What somebody said in the course of time, and what it comes to.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// Answers to which purposes, so many days after the recording was collected, and under the
    /// current version.
    words: &'static [(Answer, &'static [&'static str], i64, bool)],
    to_purpose: bool,
    to_recording: bool,
    renewed: bool,
}

const ALL: &[&str] = &[];
const NEVER: Said = Said {
    words: &[],
    to_purpose: false,
    to_recording: false,
    renewed: false,
};

/// Every way in which people make up their minds.
const MINDS: [Said; 9] = [
    NEVER,
    Said {
        words: &[(Answer::Given, ALL, -5, false)],
        to_purpose: true,
        to_recording: true,
        ..NEVER
    },
    Said {
        words: &[(Answer::Given, &["review", "training", "dispute"], -5, false)],
        to_purpose: true,
        ..NEVER
    },
    Said {
        words: &[(Answer::Given, &["recording"], -5, false)],
        to_recording: true,
        ..NEVER
    },
    Said {
        words: &[
            (Answer::Declined, ALL, -6, false),
            (Answer::Given, ALL, 1, true),
        ],
        to_purpose: true,
        to_recording: true,
        renewed: true,
    },
    Said {
        words: &[
            (Answer::Declined, &["recording"], 0, false),
            (Answer::Given, &["review", "training", "dispute"], 1, true),
        ],
        to_purpose: true,
        renewed: true,
        ..NEVER
    },
    Said {
        words: &[
            (Answer::Given, ALL, -5, false),
            (Answer::Declined, ALL, -4, false),
        ],
        ..NEVER
    },
    Said {
        words: &[
            (Answer::Given, ALL, -5, false),
            (Answer::Withdrawn, ALL, 1, false),
        ],
        ..NEVER
    },
    Said {
        words: &[
            (Answer::Withdrawn, ALL, 0, false),
            (Answer::Given, ALL, 1, true),
        ],
        ..NEVER
    },
];

#[derive(Clone, Copy, Debug)]
struct Case {
    state: State,
    tier: &'static str,
    roles: &'static [&'static str],
    purpose: &'static str,
    justification: Written,
    /// What each party says; without any, nobody is known to have taken part.
    minds: &'static [usize],
    hold: Hold,
    revoked: bool,
    approval: Approved,
    own_account: bool,
    until: Option<i64>,
    openings: u32,
    age_days: i64,
}

impl Case {
    fn all_say_yes(&self, yes: impl Fn(&Said) -> bool) -> bool {
        !self.minds.is_empty() && self.minds.iter().all(|mind| yes(&MINDS[*mind]))
    }
}

/// One value of each dimension, by number.
type Point = [usize; DIMENSIONS];

const DIMENSIONS: usize = 15;
const ROLES: [&[&str]; 6] = [
    &[],
    &["reviewer"],
    &["officer"],
    &["officer", "reviewer"],
    &["lister"],
    &["alien"],
];
const MIND_SETS: [&[usize]; 15] = [
    &[],
    &[0],
    &[1],
    &[2],
    &[3],
    &[4],
    &[5],
    &[6],
    &[7],
    &[8],
    &[1, 1],
    &[1, 0],
    &[4, 4],
    &[4, 1],
    &[1, 7],
];
const UNTIL: [Option<i64>; 4] = [None, Some(1), Some(0), Some(100_000)];
/// How many values each dimension has, in the order of [`point`]; the last two are the current
/// version and the one to which the recording is pinned.
const SIZES: Point = [
    5,
    4,
    6,
    4,
    3,
    MIND_SETS.len(),
    3,
    2,
    4,
    2,
    UNTIL.len(),
    3,
    4,
    2,
    3,
];

/// Nothing speaks against it.
const PLAIN: Point = [3, 0, 3, 0, 1, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn case(point: &Point) -> Case {
    let [
        state,
        tier,
        roles,
        purpose,
        written,
        minds,
        hold,
        revoked,
        approval,
        account,
        until,
        openings,
        age,
        _,
        _,
    ] = *point;
    Case {
        state: STATES[state],
        tier: ["standard", "sensitive", "restricted", "alien"][tier],
        roles: ROLES[roles],
        purpose: ["review", "training", "dispute", "alien"][purpose],
        justification: [Written::Nothing, Written::Something, Written::TooMuch][written],
        minds: MIND_SETS[minds],
        hold: [Hold::None, Hold::This, Hold::Other][hold],
        revoked: revoked == 1,
        approval: [
            Approved::No,
            Approved::Yes,
            Approved::Ended,
            Approved::Glass,
        ][approval],
        own_account: account == 0,
        until: UNTIL[until],
        openings: [0, 3, 5][openings],
        age_days: [2, 5, 10, 30][age],
    }
}

/// Both versions as current ones, with the other beside them.
struct World {
    books: [Rulebook; 2],
    digests: [String; 2],
    long: String,
}

impl World {
    fn new() -> Self {
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
            // The first is known, and speaks in every call; of the second only the place in this
            // one is known.
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
        let facts = Facts {
            justification: match case.justification {
                Written::Nothing => Some(" .\u{200b}\t"),
                Written::Something => Some("call 17"),
                Written::TooMuch => Some(&self.long),
            },
            consents: &consents,
            holds: &holds,
            approved_until: match case.approval {
                Approved::No | Approved::Glass => None,
                Approved::Yes => Some(after(30)),
                Approved::Ended => Some(NOW),
            },
            break_glass: case.approval == Approved::Glass,
            openings_today: case.openings,
            until: case.until.map(after),
            ..Facts::new(&principal, &recording, own)
        };
        decide(&facts, &self.books[current], NOW)
    }

    /// Decides by the code and by the oracle, and compares. Gives whether it was allowed.
    fn check(&self, point: &Point) -> bool {
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
            case.state == State::Shredded,
            "recording-shredded",
            "fixed/state",
        );
        tell(
            ![State::Shredded, State::Sealed].contains(&case.state),
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
        tell(
            case.revoked && case.hold != Hold::This,
            "recording-revoked",
            "fixed/hold",
        );
        tell(pin.is_none(), "policy-unknown", "fixed/pin");
        let earlier = pin.filter(|pin| *pin != current).map(|pin| plans[pin]);
        // Some say yes to the purposes by name, and nobody knows the name of one that there is not.
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

/// What the oracle thinks is in two views.
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

/// Every combination of these dimensions, the others plain.
fn product(dimensions: &[usize]) -> Vec<Point> {
    dimensions.iter().fold(vec![PLAIN], |points, dimension| {
        let each = |point: Point| {
            (0..SIZES[*dimension]).map(move |value| {
                let mut point = point;
                point[*dimension] = value;
                point
            })
        };
        points.into_iter().flat_map(each).collect()
    })
}

/// Decides all of them; some must be allowed and some not, or nothing was shown.
fn check_all(points: &[Point]) {
    let world = World::new();
    let allowed = points.iter().filter(|point| world.check(point)).count();
    assert!(
        allowed > 0 && allowed < points.len(),
        "{allowed} of {} allowed",
        points.len()
    );
}

#[test]
fn state_tier_role_and_purpose() {
    check_all(&product(&[0, 1, 2, 3, 13, 14]));
}

#[test]
fn consent_purpose_hold_and_revocation() {
    check_all(&product(&[3, 5, 6, 7, 13, 14]));
}

#[test]
fn approval_role_justification_and_tier() {
    let mut points = product(&[1, 2, 4, 8, 13, 14]);
    // The purpose that opens every tier under one version, and the one that opens `sensitive` under
    // the other.
    points
        .iter_mut()
        .for_each(|point| point[3] = if point[13] == 0 { 2 } else { 1 });
    check_all(&points);
}

#[test]
fn budget_age_end_and_account() {
    check_all(&product(&[3, 9, 10, 11, 12, 13, 14]));
}

#[test]
fn the_whole_space_in_a_sample_that_holds_every_pair() {
    let world = World::new();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        // Steele, Lea and Flood's SplitMix64: the same sample in every run.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    };
    let mut pairs = BTreeSet::new();
    for round in 0..6000 {
        // Every other one is plain in most dimensions, or nearly all would be refused for many
        // reasons at once.
        let mut point = PLAIN;
        for dimension in 0..DIMENSIONS {
            if round % 2 == 0 || next(4) == 0 {
                point[dimension] = next(SIZES[dimension]);
            }
        }
        world.check(&point);
        for (dimension, value) in point.iter().enumerate() {
            pairs.extend(
                point
                    .iter()
                    .enumerate()
                    .skip(dimension + 1)
                    .map(|(other, theirs)| (dimension, *value, other, *theirs)),
            );
        }
    }
    let all: usize = (0..DIMENSIONS)
        .flat_map(|one| (one + 1..DIMENSIONS).map(move |other| SIZES[one] * SIZES[other]))
        .sum();
    assert_eq!(pairs.len(), all);
}
