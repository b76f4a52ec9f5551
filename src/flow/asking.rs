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
    db::{Tx, approvals, budgets, grants::GrantRow},
    model::{
        access::{Principal, Ticket},
        grant_object::GrantObject,
        id::{ApprovalId, RecordingId},
        name::Purpose,
        recording::Recording,
        subject::Conversation,
        time::Timestamp,
    },
    policy::{DecisionFacts, Rulebook, StandingApproval},
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

/// What stands for the words of a justification at an opening: the words themselves are not kept,
/// only that they were given.
pub(super) const GIVEN_BEFORE: &str = "given with the request";

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
        let ids: Vec<GrantObject> = recordings
            .iter()
            .map(|recording| recording.id.into())
            .collect();
        let counted = if used == 0 {
            BTreeSet::new()
        } else {
            budgets::counted(tx, principal.id, purpose, &ids, now).await?
        };
        let openings = |id: RecordingId| match counted.contains(&GrantObject::from(id)) {
            true => (0, true),
            false => (used, false),
        };
        Self::gather_counted(tx, principal, recordings, purpose, openings, now).await
    }

    /// The same for recordings of one conversation that are read together: all of them are one
    /// opening.
    pub(super) async fn gather_in(
        tx: &mut Tx,
        principal: &Principal,
        conversation: &Conversation,
        recordings: &[Recording],
        purpose: &Purpose,
        now: Timestamp,
    ) -> Result<BTreeMap<RecordingId, Self>, Error> {
        let used = budgets::used(tx, principal.id, purpose, now).await?;
        let whole = [GrantObject::from(conversation.clone())];
        let counted = budgets::counted(tx, principal.id, purpose, &whole, now).await?;
        let is_counted = !counted.is_empty();
        // Besides this one: it may have been counted for messages with a larger budget.
        let openings = used.saturating_sub(is_counted.into());
        let openings = |_| (openings, is_counted);
        Self::gather_counted(tx, principal, recordings, purpose, openings, now).await
    }

    async fn gather_counted(
        tx: &mut Tx,
        principal: &Principal,
        recordings: &[Recording],
        purpose: &Purpose,
        openings: impl Fn(RecordingId) -> (u32, bool),
        now: Timestamp,
    ) -> Result<BTreeMap<RecordingId, Self>, Error> {
        let ids: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
        let mut approved = approvals::standing_all(tx, &ids, principal.id, purpose, now).await?;
        let known = known_all(tx, recordings).await?.into_iter();
        let circumstances = known.map(|(id, known)| {
            let (openings_today, is_counted) = openings(id);
            let circumstances = Self {
                known,
                approved: approved.remove(&id),
                openings_today,
                is_counted,
            };
            (id, circumstances)
        });
        Ok(circumstances.collect())
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
            approval: self
                .approved
                .map(|(id, until)| StandingApproval { id, until }),
            openings_today: self.openings_today,
            ..DecisionFacts::new(principal, recording, purpose)
        }
    }

    /// The facts of a claim to a grant that was given before, asked from here.
    pub(super) fn claimed<'a>(
        &'a self,
        principal: &'a Principal,
        recording: &'a Recording,
        row: &'a GrantRow,
        network: Option<IpAddr>,
    ) -> DecisionFacts<'a> {
        DecisionFacts {
            justification: row.justified.then_some(GIVEN_BEFORE),
            ticket: row.ticket.as_ref(),
            network,
            break_glass: row.break_glass,
            // What was ended is over by anybody's clock.
            until: Some(
                row.ended_at
                    .map_or(row.expires_at, |_| Timestamp::from_millis(0)),
            ),
            ..self.facts(principal, recording, row.purpose.clone())
        }
    }

    /// The same for a message of a conversation: the grant over it lasts no longer for a message than
    /// one for the message alone would.
    pub(super) fn claimed_in<'a>(
        &'a self,
        principal: &'a Principal,
        recording: &'a Recording,
        row: &'a GrantRow,
        network: Option<IpAddr>,
        rulebook: &Rulebook,
    ) -> DecisionFacts<'a> {
        let facts = self.claimed(principal, recording, row, network);
        let alone = rulebook
            .grant_lifetime(recording)
            .map(|lifetime| row.issued_at.after(lifetime));
        DecisionFacts {
            until: facts.until.into_iter().chain(alone).min(),
            ..facts
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
