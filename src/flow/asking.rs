//! A request to listen and the database's facts about it: together they are the facts of a
//! decision.
//!
//! Owns the collection of the facts. Refuses to decide.

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
    policy::DecisionFacts,
};

/// A request to listen.
#[derive(Clone, Debug)]
pub struct Asking<'a> {
    /// The purpose.
    pub purpose: Purpose,
    /// The justification in the requester's own words.
    pub justification: Option<&'a str>,
    /// The ticket in another system that the request names.
    pub ticket: Option<Ticket>,
    /// Whether the request bypasses the approval that the tier requires.
    pub break_glass: bool,
    /// The network address of the requester, where known.
    pub network: Option<IpAddr>,
}

impl<'a> Asking<'a> {
    /// A request with nothing but the purpose.
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

/// The facts in the database that apply to one request.
pub(super) struct Circumstances {
    known: KnownFacts,
    approved: Option<(ApprovalId, Timestamp)>,
    /// The number of recordings that the principal has opened for the purpose today; 0 if this is
    /// one of them.
    pub(super) openings_today: u32,
    /// Whether this recording is already counted today, so that opening it again costs nothing.
    pub(super) is_counted: bool,
}

impl Circumstances {
    /// Collects the facts as of `now`.
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

    /// The same for several recordings; each has an entry in the result.
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

    /// Returns the facts of a request that states only its purpose.
    pub(super) fn facts<'a>(
        &'a self,
        principal: &'a Principal,
        recording: &'a Recording,
        purpose: Purpose,
    ) -> DecisionFacts<'a> {
        DecisionFacts {
            consents: &self.known.consents,
            holds: &self.known.holds,
            approved_until: self.approved.map(|(_, until)| until),
            approval: self.approved.map(|(id, _)| id),
            openings_today: self.openings_today,
            ..DecisionFacts::new(principal, recording, purpose)
        }
    }

    /// Returns the facts of a request.
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
