//! What another version would change for the recordings that are there: per purpose, how many it opens now and would open.
//!
//! Owns the counting, by the decision itself. Each recording is asked for in the name of somebody to whom nothing is lacking: every role of the purpose, all
//! accounts, a justification, a ticket, an approval, and the attributes that go with the recording's labels. So what is counted is what the policy opens to
//! anybody at all.
//! INVARIANT: a decision is taken again unless everything that it can depend on is the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use serde::Serialize;

use super::{
    consent::Consents,
    decide::{Decision, decide},
    facts::Facts,
    retention::due,
    rules::{Rulebook, Rules},
};
use crate::model::{
    access::{Principal, Ticket},
    consent::RECORDING,
    id::TokenId,
    name::{Label, Purpose, Role, Tier},
    recording::{Recording, State},
    sid::AccountSid,
    time::Timestamp,
};

/// What would change.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// As of when both were asked: now, or the day on which the new version takes effect, if that comes later.
    pub at: Timestamp,
    /// The version in force.
    pub from_version: String,
    /// The new one.
    pub to_version: String,
    /// Recordings that were counted: all that are not shredded.
    pub recordings: u64,
    /// By purpose, in the order of the new version; purposes that it does not have any more come last.
    pub purposes: Vec<Tally>,
    /// Recordings that are due by retention under the version in force.
    pub due_now: u64,
    /// Recordings that would be due at once under the new one.
    pub due_then: u64,
}

/// What would change for one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Its name.
    pub purpose: Purpose,
    /// Recordings that it opens.
    pub opens_now: u64,
    /// Recordings that it would open.
    pub opens_then: u64,
    /// Recordings that it would open and does not.
    pub gained: u64,
    /// Recordings that it opens and would not.
    pub lost: u64,
}

/// Everything about a recording that a decision can depend on, besides purpose and version: what `cedar::Question` puts, and what pins.
#[derive(PartialEq, Eq, Hash)]
struct Likeness {
    state: State,
    tier: Tier,
    policy_digest: String,
    account: AccountSid,
    labels: BTreeMap<Label, String>,
    held: bool,
    revoked: bool,
    /// Consent to the purpose, to being recorded, and renewed under either version.
    consents: [bool; 4],
    /// How many of the periods in any version are over since its collection.
    age: usize,
    /// What else a condition may look at; only where the purpose has one.
    particulars: Option<Particulars>,
}

#[derive(PartialEq, Eq, Hash)]
struct Particulars {
    source: Option<String>,
    conference: bool,
    duration_s: Option<i64>,
    channels: Option<i64>,
    collected_at: Timestamp,
}

/// Counts recordings one after another.
pub struct Comparison<'a> {
    from: &'a Rulebook,
    to: &'a Rulebook,
    at: Timestamp,
    purposes: Vec<Asked>,
    periods: Vec<Duration>,
    ticket: Ticket,
    of_recording: Purpose,
    counted: Diff,
    known: HashMap<(usize, Likeness), (bool, bool)>,
}

/// A purpose with everybody who may state it in any version.
struct Asked {
    name: Purpose,
    roles: BTreeSet<Role>,
    conditional: bool,
}

/// What everybody writes who is counted for.
const JUSTIFICATION: &str = "policy diff";

impl<'a> Comparison<'a> {
    /// Compares the version in force of `from` with that of `to`, as of `now`.
    pub fn new(from: &'a Rulebook, to: &'a Rulebook, now: Timestamp) -> Self {
        let at = now.max(to.current().document().effective);
        let all: Vec<&Rules> = from.versions().chain(to.versions()).collect();
        let names = |rules: &Rules| rules.document().purposes.iter().map(|purpose| purpose.name.clone()).collect::<Vec<_>>();
        let mut ordered = names(to.current());
        ordered.extend(names(from.current()).into_iter().filter(|name| to.current().purpose(name).is_none()));
        let purposes: Vec<Asked> = ordered.into_iter().map(|name| Asked::of(name, &all)).collect();
        let periods: BTreeSet<Duration> =
            all.iter().flat_map(|rules| rules.document().purposes.iter().filter_map(|purpose| purpose.retention)).collect();
        let tally = |asked: &Asked| Tally { purpose: asked.name.clone(), opens_now: 0, opens_then: 0, gained: 0, lost: 0 };
        Self {
            from,
            to,
            at,
            counted: Diff {
                at,
                from_version: from.current().version().to_owned(),
                to_version: to.current().version().to_owned(),
                recordings: 0,
                purposes: purposes.iter().map(tally).collect(),
                due_now: 0,
                due_then: 0,
            },
            purposes,
            periods: periods.into_iter().collect(),
            ticket: "POLICY-DIFF".parse().expect("letters and a dash are a ticket"),
            of_recording: RECORDING.parse().expect("it is the name of a purpose"),
            known: HashMap::new(),
        }
    }

    /// Counts one recording, with what is known of it. Shredded ones do not count.
    pub fn count(&mut self, recording: &Recording, consents: &Consents, holds: &[Purpose]) {
        if recording.state == State::Shredded {
            return;
        }
        self.counted.recordings += 1;
        let is_due = |rulebook| due(recording, rulebook).is_some_and(|due| due <= self.at);
        let (due_now, due_then) = (is_due(self.from), is_due(self.to));
        self.counted.due_now += u64::from(due_now);
        self.counted.due_then += u64::from(due_then);
        for place in 0..self.purposes.len() {
            let (now, then) = self.opens(place, recording, consents, holds);
            if let Some(tally) = self.counted.purposes.get_mut(place) {
                tally.opens_now += u64::from(now);
                tally.opens_then += u64::from(then);
                tally.gained += u64::from(then && !now);
                tally.lost += u64::from(now && !then);
            }
        }
    }

    /// What was counted.
    pub fn finish(self) -> Diff {
        self.counted
    }

    fn opens(&mut self, place: usize, recording: &Recording, consents: &Consents, holds: &[Purpose]) -> (bool, bool) {
        let Some(asked) = self.purposes.get(place) else { return (false, false) };
        let decided = || {
            let opens = |rulebook| asked.may_open(recording, consents, holds, &self.ticket, rulebook, self.at);
            (opens(self.from), opens(self.to))
        };
        let key = (place, self.likeness(asked, recording, consents, holds));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let answer = decided();
        // Where conditions look at what every recording has of its own, keeping answers would only fill the memory.
        if self.known.len() < KEPT {
            self.known.insert(key, answer);
        }
        answer
    }

    fn likeness(&self, asked: &Asked, recording: &Recording, consents: &Consents, holds: &[Purpose]) -> Likeness {
        let over = |period: &&Duration| recording.collected_at.after(**period) <= self.at;
        let renewed = |rulebook: &Rulebook| consents.renew(recording, &asked.name, rulebook.current().version(), self.at);
        Likeness {
            state: recording.state,
            tier: recording.tier.clone(),
            policy_digest: recording.policy_digest.clone(),
            account: recording.account.clone(),
            labels: recording.labels.clone(),
            held: holds.contains(&asked.name),
            revoked: recording.revoked_at.is_some(),
            consents: [
                consents.cover(recording, &asked.name, self.at),
                consents.cover(recording, &self.of_recording, self.at),
                renewed(self.from),
                renewed(self.to),
            ],
            age: self.periods.iter().filter(over).count(),
            particulars: asked.conditional.then(|| Particulars {
                source: recording.source.clone(),
                conference: recording.conference.is_some(),
                duration_s: recording.duration_s,
                channels: recording.channels,
                collected_at: recording.collected_at,
            }),
        }
    }
}

/// Answers that are kept.
const KEPT: usize = 100_000;

impl Asked {
    fn of(name: Purpose, all: &[&Rules]) -> Self {
        let rules = || all.iter().filter_map(|rules| rules.purpose(&name));
        let roles = rules().flat_map(|rule| rule.roles.iter().cloned()).collect();
        let conditional = rules().any(|rule| rule.when.is_some());
        Self { name, roles, conditional }
    }

    /// Whether somebody to whom nothing is lacking may open it: with the attributes that go with its labels, or with none at all.
    fn may_open(
        &self,
        recording: &Recording,
        consents: &Consents,
        holds: &[Purpose],
        ticket: &Ticket,
        rulebook: &Rulebook,
        at: Timestamp,
    ) -> bool {
        let attributes = recording.labels.iter().map(|(label, value)| (label.clone(), BTreeSet::from([value.clone()]))).collect();
        let id: TokenId = format!("tok_{}", "0".repeat(32)).parse().expect("a prefix and 32 digits are an id");
        let fitting = Principal { id, roles: self.roles.clone(), accounts: BTreeSet::new(), attributes };
        let plain = Principal { attributes: BTreeMap::new(), ..fitting.clone() };
        let asks = |principal: &Principal| {
            let facts = Facts {
                justification: Some(JUSTIFICATION),
                ticket: Some(ticket),
                consents,
                holds,
                approved_until: Some(at.after(Duration::from_secs(86_400))),
                ..Facts::new(principal, recording, self.name.clone())
            };
            matches!(decide(&facts, rulebook, at), Decision::Allow(_))
        };
        asks(&fitting) || (fitting.attributes != plain.attributes && self.conditional && asks(&plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::consent::Answer,
        policy::cast::{self, NOW, in_call, said},
    };

    const SHIPPED: &str = include_str!("../../config/privacy-policy.toml");

    fn changed(from: &str, to: &str) -> Rules {
        assert!(SHIPPED.contains(from), "{from}");
        let text = SHIPPED.replacen(from, to, 1).replacen("version = \"1\"", "version = \"2\"", 1);
        Rules::parse("new", &text).unwrap()
    }

    fn shipped() -> Rules {
        Rules::parse("old", SHIPPED).unwrap()
    }

    fn recording(tier: &str, days: u64, state: State) -> Recording {
        let collected_at = NOW.before(Duration::from_secs(days * 86_400));
        Recording { collected_at, ..cast::recording(state, tier, shipped().digest()) }
    }

    fn diff(new: Rules, recordings: &[Recording]) -> Diff {
        let (from, to) = (Rulebook::new(shipped(), []), Rulebook::new(new, [shipped()]));
        let mut comparison = Comparison::new(&from, &to, NOW);
        for recording in recordings {
            comparison.count(recording, &Consents::NONE, &[]);
        }
        comparison.finish()
    }

    fn tally(diff: &Diff, purpose: &str) -> (u64, u64, u64, u64) {
        let tally = diff.purposes.iter().find(|tally| tally.purpose.as_str() == purpose).unwrap();
        (tally.opens_now, tally.opens_then, tally.gained, tally.lost)
    }

    #[test]
    fn a_purpose_that_opens_less_loses_what_it_opened() {
        let narrower = changed("name = \"quality-review\"", "name = \"quality-check\"");
        let all =
            [recording("standard", 1, State::Sealed), recording("sensitive", 1, State::Sealed), recording("restricted", 1, State::Sealed)];
        let diff = diff(narrower, &all);
        assert_eq!(diff.recordings, 3);
        assert_eq!(tally(&diff, "quality-review"), (2, 0, 0, 2));
        // What is new is not in the version to which the recordings are pinned.
        assert_eq!(tally(&diff, "quality-check"), (0, 0, 0, 0));
        assert_eq!(tally(&diff, "follow-up"), (1, 1, 0, 0));
        assert_eq!(tally(&diff, "subject-request"), (3, 3, 0, 0));
    }

    #[test]
    fn a_version_that_opens_more_gains_nothing_of_what_is_pinned() {
        let tiers = "tiers = [\"standard\"]\n# The roles that may state it.";
        let wider = changed(tiers, &tiers.replace("]", ", \"sensitive\"]"));
        assert_eq!(tally(&diff(wider, &[recording("sensitive", 1, State::Sealed)]), "follow-up"), (0, 0, 0, 0));
    }

    #[test]
    fn what_is_shredded_does_not_count_and_what_is_not_sealed_opens_for_nothing() {
        let all = [recording("standard", 1, State::Shredded), recording("standard", 1, State::Announced)];
        let diff = diff(changed("budget = 200", "budget = 100"), &all);
        assert_eq!((diff.recordings, tally(&diff, "quality-review")), (1, (0, 0, 0, 0)));
    }

    #[test]
    fn a_shorter_retention_tells_how_much_is_due_at_once() {
        let shorter = changed("retention = \"365d\"", "retention = \"30d\"");
        let all = [1, 29, 30, 31, 364, 366].map(|days| recording("standard", days, State::Sealed));
        let diff = diff(shorter, &all);
        assert_eq!((diff.due_now, diff.due_then), (1, 4));
    }

    #[test]
    fn a_version_of_the_future_is_asked_on_its_first_day() {
        let later = changed("effective = 2026-01-01", "effective = 2099-01-01");
        let at = later.document().effective;
        let diff = diff(later, &[recording("standard", 0, State::Sealed)]);
        assert_eq!((diff.at, diff.due_then), (at, 1));
    }

    #[test]
    fn answers_are_kept_and_asked_for_again_where_they_must() {
        let (from, to) = (Rulebook::new(shipped(), []), Rulebook::new(changed("budget = 200", "budget = 100"), [shipped()]));
        let mut comparison = Comparison::new(&from, &to, NOW);
        for days in [1, 2, 3, 200] {
            comparison.count(&recording("standard", days, State::Sealed), &Consents::NONE, &[]);
        }
        // One purpose has a condition, and looks at each; the other five tell two ages apart.
        assert_eq!(comparison.known.len(), 4 + 5 * 2);
    }

    #[test]
    fn what_somebody_consented_to_is_counted_as_open() {
        let (from, to) = (Rulebook::new(shipped(), []), Rulebook::new(changed("basis = \"contract\"", "basis = \"consent\""), [shipped()]));
        let mut comparison = Comparison::new(&from, &to, NOW);
        let all = [1, 2, 3].map(|days| recording("standard", days, State::Sealed));
        let yes = Consents { parties: Vec::new(), statements: vec![said(Answer::Given, in_call(None), &["follow-up"], NOW)] };
        for (recording, consents) in all.iter().zip([&yes, &Consents::NONE, &yes]) {
            comparison.count(recording, consents, &[]);
        }
        let diff = comparison.finish();
        assert_eq!((tally(&diff, "follow-up"), tally(&diff, "training")), ((3, 2, 0, 1), (0, 0, 0, 0)));
    }
}
