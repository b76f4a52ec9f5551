//! The whole decision space against an independently written oracle: it knows plans, not policies,
//! and answers, not statements.
//!
//! Where two dimensions can interact, every combination is tested; and, of the whole space, a
//! sample that contains every pair.

mod both;
mod plans;

use std::collections::BTreeSet;

use self::both::World;
use super::*;

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

/// The answers of a person over time, and their result.
#[derive(Clone, Copy, Debug)]
struct Said {
    /// Answers with their purposes, the number of days after the recording was collected, and
    /// whether they are under the current version.
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

/// Every course of a person's answers.
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
    state: RecordingState,
    tier: &'static str,
    roles: &'static [&'static str],
    purpose: &'static str,
    justification: Written,
    /// The answers of each party; if empty, no participant is known.
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
/// The number of values of each dimension, in the order of [`point`]; the last two are the current
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

/// The point at which nothing refuses.
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

/// Returns every combination of these dimensions, with the others plain.
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

/// Decides all of them; some must be allowed and some not, because the test would otherwise show
/// nothing.
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
        // Every other one is plain in most dimensions, because otherwise nearly all would be
        // refused for many reasons at once.
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
