//! Matching of participants that the source reports to the legs of a conversation whose parties may
//! be named already.
//!
//! Owns that matching. INVARIANT: a known party keeps its leg, and nobody gets two.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    details::Participant,
    id::SubjectId,
    name::LegName,
    subject::{Address, Party},
};

/// Participants of a conference have numbered legs without further meaning.
const NUMBERED: &str = "participant-";
/// The two sides of a call.
const SIDES: [&str; 2] = ["caller", "callee"];

/// Assigns legs to the participants that were found in a conversation in which `known` are named. A
/// known person keeps their leg, whatever its name. An unknown participant gets a new leg only if
/// no party was named before: an earlier naming is taken as complete. A new leg is not added for a
/// known person either, unless more participants were found than named: it would be a third one in
/// a call of two. Also returns the number of participants without a leg for that reason.
pub(super) fn match_participants(
    known: &[Party],
    found: &[Participant],
    subject: impl Fn(&Address) -> SubjectId,
) -> (Vec<Participant>, usize) {
    let mut places: BTreeMap<LegName, Option<SubjectId>> = known
        .iter()
        .map(|party| (party.leg.clone(), party.subject))
        .collect();
    let mut used = BTreeSet::new();
    let mut matched = Vec::new();
    let mut pending = Vec::new();
    let mut taken = 0;
    for found in found {
        let theirs = found.address.as_ref().map(&subject);
        let own = theirs
            .and_then(|theirs| places.iter().find(|(_, there)| **there == Some(theirs)))
            .map(|(leg, _)| leg.clone());
        match (theirs, own) {
            (Some(_), Some(leg)) if used.insert(leg.clone()) => matched.push(Participant {
                leg,
                ..found.clone()
            }),
            // The same person on two legs.
            (Some(_), Some(_)) => {}
            (Some(theirs), None) => pending.push((found, theirs)),
            (None, _) if known.is_empty() || places.contains_key(&found.leg) => {
                pending_unknown(found, &mut places, &mut used, &mut matched)
            }
            (None, _) => {}
        }
    }
    let unknown: Vec<&LegName> = known
        .iter()
        .filter(|party| party.subject.is_none() && !used.contains(&party.leg))
        .map(|party| &party.leg)
        .collect();
    // Of two participants, the one who is not the other.
    let left = match (unknown.as_slice(), pending.as_slice()) {
        ([only], [_]) if known.len() == 2 && found.len() == 2 => Some((*only).clone()),
        _ => None,
    };
    let numbered = |leg: &LegName| leg.as_str().starts_with(NUMBERED);
    let may_grow = known.len() < found.len() || known.iter().any(|party| numbered(&party.leg));
    for (found, theirs) in pending {
        let free = |leg: &LegName| {
            !used.contains(leg) && places.get(leg).map_or(may_grow, Option::is_none)
        };
        let leg = left
            .clone()
            .filter(|leg| free(leg))
            .or_else(|| candidates(&found.leg).find(|leg| free(leg)));
        match leg {
            Some(leg) => {
                places.insert(leg.clone(), Some(theirs));
                used.insert(leg.clone());
                matched.push(Participant {
                    leg,
                    ..found.clone()
                });
            }
            None => taken += 1,
        }
    }
    (matched, taken)
}

/// Assigns participants to the legs that the source's own ids of them name: each id is one leg, and
/// others may follow. A known party keeps its leg, and whoever was named on it stays. Also returns
/// the number of participants whose leg has another person.
pub(super) fn match_by_leg(
    known: &[Party],
    found: &[Participant],
    subject: impl Fn(&Address) -> SubjectId,
) -> (Vec<Participant>, usize) {
    let is_free = |found: &&Participant| {
        let theirs = found.address.as_ref().map(&subject);
        let there = known.iter().find(|party| party.leg == found.leg);
        let there = there.and_then(|party| party.subject);
        there.is_none() || theirs.is_none() || there == theirs
    };
    let matched: Vec<Participant> = found.iter().filter(is_free).cloned().collect();
    let taken = found.len() - matched.len();
    (matched, taken)
}

fn pending_unknown(
    found: &Participant,
    places: &mut BTreeMap<LegName, Option<SubjectId>>,
    used: &mut BTreeSet<LegName>,
    matched: &mut Vec<Participant>,
) {
    places.entry(found.leg.clone()).or_default();
    if used.insert(found.leg.clone()) {
        matched.push(found.clone());
    }
}

/// Returns the legs that a participant may get, the best first.
fn candidates(leg: &LegName) -> impl Iterator<Item = LegName> {
    let other = SIDES
        .iter()
        .position(|side| *side == leg.as_str())
        .and_then(|side| SIDES.get(1 - side))
        .map(|side| (*side).to_owned());
    let numbers = if leg.as_str().starts_with(NUMBERED) {
        1..501
    } else {
        0..0
    };
    let texts = other
        .into_iter()
        .chain(numbers.map(|number| format!("{NUMBERED}{number}")));
    std::iter::once(leg.clone()).chain(texts.filter_map(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(name: &str) -> LegName {
        name.parse().unwrap()
    }

    /// Maps numbers to subjects.
    fn subject(address: &Address) -> SubjectId {
        let mut hash = [0; 32];
        address
            .expose()
            .bytes()
            .rev()
            .zip(&mut hash)
            .for_each(|(byte, place)| *place = byte);
        SubjectId::of_hash(&hash)
    }

    fn number(last: u32) -> Address {
        Address::parse(&format!("+4930{:08}", 10_000_000 + last)).unwrap()
    }

    fn party(name: &str, who: Option<u32>) -> Party {
        Party {
            leg: leg(name),
            subject: who.map(|who| subject(&number(who))),
            channel: None,
            presence: crate::model::subject::Presence::ALWAYS,
        }
    }

    fn found(name: &str, who: Option<u32>) -> Participant {
        Participant {
            address: who.map(number),
            ..Participant::at(leg(name))
        }
    }

    #[track_caller]
    fn holds(known: &[Party], all: &[Participant], expected: &[(&str, Option<u32>)], taken: usize) {
        let (matched, left) = match_participants(known, all, subject);
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|(name, who)| found(name, *who))
            .collect();
        assert_eq!(
            (matched.into_iter().collect::<BTreeSet<_>>(), left),
            (expected, taken)
        );
    }

    #[test]
    fn where_nobody_was_named_everybody_sits_where_they_were_found() {
        holds(
            &[],
            &[found("caller", Some(1)), found("callee", None)],
            &[("caller", Some(1)), ("callee", None)],
            0,
        );
        holds(
            &[],
            &[found("caller", None), found("callee", None)],
            &[("caller", None), ("callee", None)],
            0,
        );
        holds(&[], &[], &[], 0);
        holds(
            &[],
            &[found("caller", Some(1)), found("callee", Some(1))],
            &[("caller", Some(1)), ("callee", Some(1))],
            0,
        );
    }

    #[test]
    fn who_is_known_keeps_the_place_that_the_application_gave_them() {
        let known = [party("customer", Some(1)), party("agent", Some(2))];
        let both = [found("caller", Some(2)), found("callee", Some(1))];
        holds(
            &known,
            &both,
            &[("agent", Some(2)), ("customer", Some(1))],
            0,
        );
        holds(
            &known[..1],
            &both,
            &[("customer", Some(1)), ("caller", Some(2))],
            0,
        );
        // No participant is added to those who were named.
        holds(
            &known[..1],
            &[found("caller", Some(1)), found("callee", None)],
            &[("customer", Some(1))],
            0,
        );
    }

    #[test]
    fn of_two_the_one_who_is_left_is_the_other() {
        let known = [party("customer", Some(1)), party("agent", None)];
        holds(
            &known,
            &[found("caller", Some(1)), found("callee", Some(2))],
            &[("customer", Some(1)), ("agent", Some(2))],
            0,
        );
        let known = [party("customer", None), party("agent", None)];
        holds(
            &known,
            &[found("caller", Some(1)), found("callee", Some(2))],
            &[],
            2,
        );
    }

    #[test]
    fn each_id_of_the_source_is_a_leg_of_its_own() {
        let known = [party("kp1", Some(1)), party("kp2", None)];
        let all = [
            found("kp1", Some(2)),
            found("kp2", Some(1)),
            found("kp3", Some(3)),
            found("kp4", None),
        ];
        let (matched, taken) = match_by_leg(&known, &all, subject);
        // Nobody moves to another leg, whoever they are, and a known one keeps theirs.
        assert_eq!((matched, taken), (all[1..].to_vec(), 1));
        let again = [found("kp1", Some(1)), found("kp1", None)];
        assert_eq!(match_by_leg(&known, &again, subject), (again.to_vec(), 0));
    }

    #[test]
    fn nobody_takes_the_place_of_who_is_known() {
        let known = [party("caller", Some(1)), party("callee", Some(2))];
        holds(
            &known,
            &[found("caller", Some(3)), found("callee", Some(2))],
            &[("callee", Some(2))],
            1,
        );
        // The legs were reported the other way round.
        holds(
            &known[..1],
            &[found("caller", Some(2)), found("callee", Some(1))],
            &[("caller", Some(1)), ("callee", Some(2))],
            0,
        );
        let known = [
            party("participant-1", Some(1)),
            party("participant-3", Some(3)),
        ];
        let all = [
            found("participant-1", Some(3)),
            found("participant-2", Some(4)),
            found("participant-3", Some(5)),
        ];
        holds(
            &known,
            &all,
            &[
                ("participant-3", Some(3)),
                ("participant-2", Some(4)),
                ("participant-4", Some(5)),
            ],
            0,
        );
    }
}
