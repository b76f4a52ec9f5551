//! What somebody says with a request to listen, and what the database knows when they do: together
//! they are the facts of a decision.
//!
//! Owns the gathering. Refuses to decide.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    error::Error,
    facts::{KnownFacts, known_all},
};
use crate::{
    db::{Tx, approvals, budgets},
    model::{
        access::{Principal, Ticket},
        id::{ApprovalId, RecordingId},
        name::Purpose,
        recording::Recording,
        time::Timestamp,
    },
    policy::{DecisionFacts, StandingApproval},
};

/// What somebody says.
#[derive(Clone, Debug)]
pub struct Asking<'a> {
    /// Why they want to listen.
    pub purpose: Purpose,
    /// The same in their own words.
    pub justification: Option<&'a str>,
    /// The case in another system that they name.
    pub ticket: Option<Ticket>,
    /// Whether they want to do without the approval that the tier asks for.
    pub break_glass: bool,
    /// Where they ask from, as far as that is known.
    pub network: Option<IpAddr>,
}

impl<'a> Asking<'a> {
    /// The bare purpose.
    pub fn new(purpose: Purpose, justification: Option<&'a str>) -> Self {
        Self {
            purpose,
            justification,
            ticket: None,
            break_glass: false,
            network: None,
        }
    }
}

/// What the database knows that bears on one request.
pub(super) struct Circumstances {
    known: KnownFacts,
    approved: Option<(ApprovalId, Timestamp)>,
    /// How many recordings the principal has opened for the purpose today; 0 if this is one of them.
    pub(super) openings_today: u32,
    /// Whether this is one of them, so that it counts no more.
    pub(super) is_counted: bool,
}

impl Circumstances {
    /// Gathers it, as of `now`.
    pub(super) async fn gather(
        tx: &mut Tx,
        principal: &Principal,
        recording: &Recording,
        purpose: &Purpose,
        now: Timestamp,
    ) -> Result<Self, Error> {
        Self::gather_all(tx, principal, std::slice::from_ref(recording), purpose, now)
            .await?
            .remove(&recording.id)
            .ok_or(Error::NotFound)
    }

    /// The same for many recordings, each of which has its place in the answer.
    pub(super) async fn gather_all(
        tx: &mut Tx,
        principal: &Principal,
        recordings: &[Recording],
        purpose: &Purpose,
        now: Timestamp,
    ) -> Result<BTreeMap<RecordingId, Self>, Error> {
        let used = budgets::used(tx, principal.id, purpose, now).await?;
        let ids: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
        let counted = if used == 0 {
            BTreeSet::new()
        } else {
            budgets::counted(tx, principal.id, purpose, &ids, now).await?
        };
        let mut all = BTreeMap::new();
        for (id, known) in known_all(tx, recordings).await? {
            let approved = approvals::standing(tx, id, principal.id, purpose, now).await?;
            let is_counted = counted.contains(&id);
            all.insert(
                id,
                Self {
                    known,
                    approved,
                    openings_today: if is_counted { 0 } else { used },
                    is_counted,
                },
            );
        }
        Ok(all)
    }

    /// The facts of a request about which nothing else is said than its purpose.
    pub(super) fn facts<'a>(
        &'a self,
        principal: &'a Principal,
        recording: &'a Recording,
        purpose: Purpose,
    ) -> DecisionFacts<'a> {
        DecisionFacts {
            consents: &self.known.consents,
            holds: &self.known.holds,
            approval: self
                .approved
                .map(|(id, until)| StandingApproval { id, until }),
            openings_today: self.openings_today,
            ..DecisionFacts::new(principal, recording, purpose)
        }
    }

    /// The facts of a request.
    pub(super) fn asked<'a>(
        &'a self,
        principal: &'a Principal,
        recording: &'a Recording,
        asking: &'a Asking<'_>,
    ) -> DecisionFacts<'a> {
        DecisionFacts {
            justification: asking.justification,
            ticket: asking.ticket.as_ref(),
            network: asking.network,
            break_glass: asking.break_glass,
            ..self.facts(principal, recording, asking.purpose.clone())
        }
    }
}
