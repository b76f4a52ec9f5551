//! The effect of another version on the existing recordings: per purpose, how many it opens now and
//! would open.
//!
//! Owns the counting, which uses the decision itself. Each recording is requested by a hypothetical
//! principal that meets every requirement: every role of the purpose, all accounts, a
//! justification, a ticket, an approval, and the attributes that match the recording's labels. So
//! the count covers what the policy opens to any principal at all. INVARIANT: a decision is reused
//! only if everything that it can depend on is the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use serde::Serialize;

use super::{
    consent::Consents,
    decide::{Decision, decide},
    document::ToRevoked,
    facts::{DecisionFacts, StandingApproval},
    retention::due,
    rules::{Rulebook, Rules},
};
use crate::model::{
    access::{Principal, Ticket},
    consent::RECORDING,
    id::{PrincipalId, TokenId},
    media::MediaKind,
    name::{Label, Purpose, Role, Tier},
    recording::{Recording, RecordingState},
    sid::AccountSid,
    time::Timestamp,
};

/// The differences.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// The time of the comparison: now, or the day on which the new version takes effect, if that
    /// is later.
    pub at: Timestamp,
    /// The version in force.
    pub from_version: String,
    /// The new version.
    pub to_version: String,
    /// Recordings that were counted: all that are not shredded.
    pub recordings: u64,
    /// The same, by kind; kinds without any are left out.
    pub kinds: BTreeMap<MediaKind, u64>,
    /// By purpose, in the order of the new version; purposes that it no longer has come last.
    pub purposes: Vec<Tally>,
    /// What becomes of what others wrote to a person who revokes, under the version in force.
    pub to_revoked_now: ToRevoked,
    /// The same under the new version.
    pub to_revoked_then: ToRevoked,
    /// Recordings that are due by retention under the version in force.
    pub due_now: u64,
    /// Recordings that would be due immediately under the new version.
    pub due_then: u64,
}

/// The differences for one purpose.
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
    /// The same, by kind; kinds without any recording are left out.
    pub kinds: BTreeMap<MediaKind, KindTally>,
}

/// The differences for one purpose and one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindTally {
    /// Recordings that it opens.
    pub opens_now: u64,
    /// Recordings that it would open.
    pub opens_then: u64,
}

/// All properties of a recording on which a decision can depend, besides purpose and version: the
/// attributes of `cedar::Question`, and the pinned version.
#[derive(PartialEq, Eq, Hash)]
struct Likeness {
    kind: MediaKind,
    state: RecordingState,
    tier: Tier,
    policy_digest: String,
    account: AccountSid,
    labels: BTreeMap<Label, String>,
    held: bool,
    revoked: bool,
    /// Consent to the purpose, to being recorded, and renewed under either version.
    consents: [bool; 4],
    /// The number of periods of any version that have passed since its collection.
    age: usize,
    /// Further attributes for conditions; only if the purpose has a condition.
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

/// Counts recordings one by one.
pub struct PolicyComparison<'a> {
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

/// A purpose with every role that may state it in any version.
struct Asked {
    name: Purpose,
    roles: BTreeSet<Role>,
    conditional: bool,
}

/// The justification of the hypothetical principal.
const JUSTIFICATION: &str = "policy diff";

impl<'a> PolicyComparison<'a> {
    /// Compares the version in force of `from` with that of `to`, as of `now`.
    pub fn new(from: &'a Rulebook, to: &'a Rulebook, now: Timestamp) -> Self {
        let at = now.max(to.current().document().effective);
        let all: Vec<&Rules> = from.versions().chain(to.versions()).collect();
        let names = |rules: &Rules| {
            rules
                .document()
                .purposes
                .iter()
                .map(|purpose| purpose.name.clone())
                .collect::<Vec<_>>()
        };
        let mut ordered = names(to.current());
        ordered.extend(
            names(from.current())
                .into_iter()
                .filter(|name| to.current().purpose(name).is_none()),
        );
        let purposes: Vec<Asked> = ordered
            .into_iter()
            .map(|name| Asked::of(name, &all))
            .collect();
        let periods: BTreeSet<Duration> = all
            .iter()
            .flat_map(|rules| {
                rules
                    .document()
                    .purposes
                    .iter()
                    .filter_map(|purpose| purpose.retention)
            })
            .collect();
        let tally = |asked: &Asked| Tally {
            purpose: asked.name.clone(),
            opens_now: 0,
            opens_then: 0,
            gained: 0,
            lost: 0,
            kinds: BTreeMap::new(),
        };
        Self {
            from,
            to,
            at,
            counted: Diff {
                at,
                from_version: from.current().version().to_owned(),
                to_version: to.current().version().to_owned(),
                recordings: 0,
                kinds: BTreeMap::new(),
                purposes: purposes.iter().map(tally).collect(),
                to_revoked_now: from.current().document().collection.to_revoked,
                to_revoked_then: to.current().document().collection.to_revoked,
                due_now: 0,
                due_then: 0,
            },
            purposes,
            periods: periods.into_iter().collect(),
            ticket: "POLICY-DIFF"
                .parse()
                .expect("letters and a dash are a ticket"),
            of_recording: RECORDING.parse().expect("it is the name of a purpose"),
            known: HashMap::new(),
        }
    }

    /// Counts one recording with its consents and holds. Shredded ones do not count.
    pub fn count(&mut self, recording: &Recording, consents: &Consents, holds: &[Purpose]) {
        if recording.state == RecordingState::Shredded {
            return;
        }
        self.counted.recordings += 1;
        *self.counted.kinds.entry(recording.kind()).or_default() += 1;
        let is_due = |rulebook| due(recording, rulebook).is_some_and(|due| due <= self.at);
        let due_now = is_due(self.from);
        let due_then = is_due(self.to);
        self.counted.due_now += u64::from(due_now);
        self.counted.due_then += u64::from(due_then);
        for place in 0..self.purposes.len() {
            let (now, then) = self.opens(place, recording, consents, holds);
            if let Some(tally) = self.counted.purposes.get_mut(place) {
                tally.opens_now += u64::from(now);
                tally.opens_then += u64::from(then);
                tally.gained += u64::from(then && !now);
                tally.lost += u64::from(now && !then);
                let of_kind = tally.kinds.entry(recording.kind()).or_default();
                of_kind.opens_now += u64::from(now);
                of_kind.opens_then += u64::from(then);
            }
        }
    }

    /// Returns the counts.
    pub fn finish(self) -> Diff {
        self.counted
    }

    fn opens(
        &mut self,
        place: usize,
        recording: &Recording,
        consents: &Consents,
        holds: &[Purpose],
    ) -> (bool, bool) {
        let Some(asked) = self.purposes.get(place) else {
            return (false, false);
        };
        let decided = || {
            let opens = |rulebook| {
                asked.may_open(recording, consents, holds, &self.ticket, rulebook, self.at)
            };
            (opens(self.from), opens(self.to))
        };
        let key = (place, self.likeness(asked, recording, consents, holds));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let answer = decided();
        // If conditions use attributes that differ for every recording, cached decisions would only
        // fill the memory.
        if self.known.len() < KEPT {
            self.known.insert(key, answer);
        }
        answer
    }

    fn likeness(
        &self,
        asked: &Asked,
        recording: &Recording,
        consents: &Consents,
        holds: &[Purpose],
    ) -> Likeness {
        let over = |period: &&Duration| recording.collected_at.after(**period) <= self.at;
        let renewed = |rulebook: &Rulebook| {
            consents.renew(
                recording,
                &asked.name,
                rulebook.current().version(),
                self.at,
            )
        };
        Likeness {
            kind: recording.kind(),
            state: recording.state,
            tier: recording.tier.clone(),
            policy_digest: recording.policy_digest.clone(),
            account: recording.account().clone(),
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

/// The maximum number of cached decisions.
const KEPT: usize = 100_000;

impl Asked {
    fn of(name: Purpose, all: &[&Rules]) -> Self {
        let rules = || all.iter().filter_map(|rules| rules.purpose(&name));
        let roles = rules()
            .flat_map(|rule| rule.roles.iter().cloned())
            .collect();
        let conditional = rules().any(|rule| rule.when.is_some());
        Self {
            name,
            roles,
            conditional,
        }
    }

    /// Returns whether a principal that meets every requirement may open it: with the attributes
    /// that match its labels, or with none at all.
    fn may_open(
        &self,
        recording: &Recording,
        consents: &Consents,
        holds: &[Purpose],
        ticket: &Ticket,
        rulebook: &Rulebook,
        at: Timestamp,
    ) -> bool {
        let attributes = recording
            .labels
            .iter()
            .map(|(label, value)| (label.clone(), BTreeSet::from([value.clone()])))
            .collect();
        let digits = "0".repeat(32);
        let id: PrincipalId = format!("prn_{digits}")
            .parse()
            .expect("a prefix and 32 digits are an id");
        let credential: TokenId = format!("tok_{digits}")
            .parse()
            .expect("a prefix and 32 digits are an id");
        let fitting = Principal {
            id,
            credential,
            roles: self.roles.clone(),
            accounts: BTreeSet::new(),
            attributes,
        };
        let plain = Principal {
            attributes: BTreeMap::new(),
            ..fitting.clone()
        };
        let asks = |principal: &Principal| {
            let facts = DecisionFacts {
                justification: Some(JUSTIFICATION),
                ticket: Some(ticket),
                consents,
                holds,
                approval: Some(StandingApproval::some_until(
                    at.after(Duration::from_secs(86_400)),
                )),
                ..DecisionFacts::new(principal, recording, self.name.clone())
            };
            matches!(decide(&facts, rulebook, at), Decision::Allow(_))
        };
        asks(&fitting)
            || (fitting.attributes != plain.attributes && self.conditional && asks(&plain))
    }
}

#[cfg(test)]
mod tests;
