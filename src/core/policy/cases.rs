//! A table of expected decisions, for the operator's own tests: requests and the decisions that the
//! policy must make.
//!
//! Owns the form of the table and the comparison. Refuses to know a vault: each case defines its
//! principal and its recording, which is pinned to the tested version. INVARIANT: a fact that a
//! case does not state is absent, as for a real request.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    consent::Consents,
    decide::{Decision, decide},
    facts::{DecisionFacts, StandingApproval},
    reason::Reason,
    rules::Rulebook,
};
use crate::model::{
    access::{Principal, Ticket},
    consent::{Answer, Method, Statement, Whom},
    id::{ConsentId, PrincipalId, RecordingId, TokenId},
    media::SourceRef,
    name::{Label, LegName, Purpose, Role, Tier},
    recording::{DiscoveredBy, Recording, RecordingState},
    sid::{AccountSid, CallSid, RecordingSid},
    subject::{Conversation, Party, Presence},
    time::Timestamp,
};

/// The word for an expected grant.
const ALLOW: &str = "allow";

const DAY: Duration = Duration::from_secs(86_400);

/// A table of cases.
#[derive(Debug)]
pub struct Cases(Vec<Case>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

/// One request and the expected result.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default)]
    attributes: BTreeMap<Label, BTreeSet<String>>,
    #[serde(default)]
    foreign_account: bool,
    tier: Tier,
    #[serde(default = "sealed")]
    state: RecordingState,
    #[serde(default)]
    labels: BTreeMap<Label, String>,
    #[serde(default)]
    collected_days_ago: u32,
    purpose: Purpose,
    justification: Option<String>,
    ticket: Option<Ticket>,
    network: Option<IpAddr>,
    #[serde(default)]
    consent: Vec<Said>,
    hold: Option<Purpose>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    approval: bool,
    #[serde(default)]
    break_glass: bool,
    #[serde(default)]
    openings_today: u32,
    expect: Expect,
    view: Option<String>,
}

/// The statements of one party, by purpose. They are made when the recording is made; withdrawals
/// come later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    given: BTreeSet<Purpose>,
    #[serde(default)]
    declined: BTreeSet<Purpose>,
    #[serde(default)]
    withdrawn: BTreeSet<Purpose>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expect {
    Word(String),
    Reasons(Vec<String>),
}

fn sealed() -> RecordingState {
    RecordingState::Sealed
}

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseOutcome {
    /// The case.
    pub name: String,
    /// Whether it is as expected.
    pub holds: bool,
    /// The expected result: `allow` or codes of reasons, and the view if one is named.
    pub expected: Vec<String>,
    /// The policy's decision.
    pub found: Vec<String>,
}

impl Cases {
    /// Parses a table.
    ///
    /// # Errors
    /// The fault and its position.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let mut names = BTreeSet::new();
        for case in &file.cases {
            let refuse = |why: String| Err(format!("case `{}`: {why}", case.name));
            if !names.insert(case.name.as_str()) {
                return refuse("two cases have this name".into());
            }
            match &case.expect {
                Expect::Word(word) if word != ALLOW => {
                    return refuse(format!(
                        "`expect` is `{ALLOW}` or a list of reasons, not `{word}`"
                    ));
                }
                Expect::Reasons(codes) if codes.is_empty() => {
                    return refuse(
                        "`expect` lists no reason: give `allow`, or the reasons of the refusal"
                            .into(),
                    );
                }
                Expect::Reasons(codes) => {
                    for code in codes {
                        if let Err(error) = code.parse::<Reason>() {
                            let known = error.expected();
                            return refuse(format!("`{code}` is no reason; use one of {known}"));
                        }
                    }
                    if case.view.is_some() {
                        return refuse("a refusal has no `view`; remove it".into());
                    }
                }
                Expect::Word(_) => {}
            }
        }
        Ok(Self(file.cases))
    }

    /// Returns the number of cases.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decides every case by the rules in force, as of `now`, or of the day on which they take
    /// effect if that is later.
    pub fn decide(&self, rulebook: &Rulebook, now: Timestamp) -> Vec<CaseOutcome> {
        let now = now.max(rulebook.current().document().effective);
        self.0
            .iter()
            .map(|case| case.decide(rulebook, now))
            .collect()
    }
}

impl Case {
    fn decide(&self, rulebook: &Rulebook, now: Timestamp) -> CaseOutcome {
        let recording = self.recording(rulebook, now);
        let principal = self.principal();
        let consents = self.consents(&recording, now);
        let holds: Vec<Purpose> = self.hold.iter().cloned().collect();
        let facts = DecisionFacts {
            justification: self.justification.as_deref(),
            ticket: self.ticket.as_ref(),
            network: self.network,
            consents: &consents,
            holds: &holds,
            approval: self
                .approval
                .then(|| StandingApproval::some_until(now.after(DAY))),
            break_glass: self.break_glass,
            openings_today: self.openings_today,
            ..DecisionFacts::new(&principal, &recording, self.purpose.clone())
        };
        let (found, view) = match decide(&facts, rulebook, now) {
            Decision::Allow(grant) => (
                BTreeSet::from([ALLOW.to_owned()]),
                Some(grant.view().as_str()),
            ),
            Decision::Deny(denial) => (
                denial
                    .refusals()
                    .iter()
                    .map(|refusal| refusal.reason.code().to_owned())
                    .collect(),
                None,
            ),
        };
        let expected: BTreeSet<String> = match &self.expect {
            Expect::Word(word) => BTreeSet::from([word.clone()]),
            Expect::Reasons(codes) => codes.iter().cloned().collect(),
        };
        let wanted = self.view.as_deref();
        let holds = found == expected && wanted.is_none_or(|wanted| view == Some(wanted));
        // The view is included only if the case names one.
        let told = |answer: BTreeSet<String>, view: Option<&str>| {
            answer
                .into_iter()
                .chain(view.map(|view| format!("view {view}")))
                .collect()
        };
        CaseOutcome {
            name: self.name.clone(),
            holds,
            expected: told(expected, wanted),
            found: told(found, view.filter(|_| wanted.is_some())),
        }
    }

    fn principal(&self) -> Principal {
        let accounts = if self.foreign_account {
            BTreeSet::from([sid::<AccountSid>("AC", '1')])
        } else {
            BTreeSet::new()
        };
        Principal {
            id: id::<PrincipalId>("prn_"),
            credential: id::<TokenId>("tok_"),
            roles: self.roles.clone(),
            accounts,
            attributes: self.attributes.clone(),
        }
    }

    fn recording(&self, rulebook: &Rulebook, now: Timestamp) -> Recording {
        let collected_at = now.before(DAY * self.collected_days_ago);
        Recording {
            id: id::<RecordingId>("rec_"),
            state: self.state,
            source_ref: SourceRef::of_call(
                &sid::<AccountSid>("AC", '0'),
                &sid::<RecordingSid>("RE", '0'),
            ),
            call: Some(sid::<CallSid>("CA", '0')),
            conference: None,
            thread: None,
            author: None,
            files: 0,
            source: None,
            source_status: "completed".into(),
            error_code: None,
            duration_s: None,
            channels: None,
            tier: self.tier.clone(),
            policy_version: rulebook.current().version().to_owned(),
            policy_digest: rulebook.current().digest().to_owned(),
            started_at: None,
            announced_at: collected_at,
            sealed_at: (self.state == RecordingState::Sealed).then_some(collected_at),
            shredded_at: (self.state == RecordingState::Shredded).then_some(now),
            collected_at,
            labels: self.labels.clone(),
            holds: self.hold.is_some().into(),
            revoked_at: self.revoked.then_some(now),
            quarantine_ends: None,
            heard_by: DiscoveredBy::Callback,
            encryption: None,
            removed_at: None,
            shows: None,
        }
    }

    fn consents(&self, recording: &Recording, now: Timestamp) -> Consents {
        let mut consents = Consents::default();
        for (number, said) in self.consent.iter().enumerate() {
            let leg: LegName = format!("party-{number}")
                .parse()
                .expect("letters, a dash and a number are a name");
            consents.parties.push(Party {
                leg: leg.clone(),
                subject: None,
                channel: None,
                presence: Presence::ALWAYS,
            });
            let answers = [
                (Answer::Given, &said.given, recording.collected_at),
                (Answer::Declined, &said.declined, recording.collected_at),
                (Answer::Withdrawn, &said.withdrawn, now),
            ];
            let said = answers
                .into_iter()
                .filter(|(_, purposes, _)| !purposes.is_empty());
            consents
                .statements
                .extend(said.map(|(answer, purposes, at)| Statement {
                    id: id::<ConsentId>("cns_"),
                    whom: Whom::Leg(
                        Conversation::Call(sid::<CallSid>("CA", '0')),
                        Some(leg.clone()),
                    ),
                    purposes: purposes.clone(),
                    answer,
                    method: Method::Speech,
                    disclosure: None,
                    policy_version: Some(recording.policy_version.clone()),
                    at,
                    recorded_at: at,
                }));
        }
        consents
    }
}

/// An arbitrary id.
fn id<T: std::str::FromStr>(prefix: &str) -> T {
    format!("{prefix}{}", "0".repeat(32))
        .parse()
        .unwrap_or_else(|_| unreachable!("a prefix and 32 digits are an id"))
}

fn sid<T: std::str::FromStr>(prefix: &str, digit: char) -> T {
    let digits: String = std::iter::repeat_n(digit, 32).collect();
    format!("{prefix}{digits}")
        .parse()
        .unwrap_or_else(|_| unreachable!("two letters and 32 digits are a SID"))
}

#[cfg(test)]
mod tests;
