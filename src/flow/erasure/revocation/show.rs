//! The status of a revocation, for callers who may revoke.

use std::collections::BTreeSet;

use super::Revocations;
use crate::{
    db::{
        revocations::{self, OutcomeCounts, ReachedRecording, Revocation, RevocationFilter},
        shreds,
    },
    evidence::{CountedKind, ShredReason},
    flow::{
        erasure::shredding::units::SayCount,
        error::Error,
        page::{self, Page},
        refusal::waits,
    },
    model::{
        id::{RecordingId, RevocationId},
        name::Purpose,
        revocation::{RevocationOutcome, Target},
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// The status of a revocation.
#[derive(Clone, Debug)]
pub struct RevocationStatus {
    /// The revocation, with its receipt once all recordings have an outcome.
    pub revocation: Revocation,
    /// The number of recordings with each outcome so far.
    pub counts: OutcomeCounts,
    /// The same by kind and part.
    pub kinds: Vec<CountedKind>,
    /// The number of recordings still to be processed.
    pub pending: u64,
    /// The first shredded recordings, 1000 at most, in the order of their ids.
    pub shredded: Vec<ReachedRecording>,
    /// The first held recordings, 1000 at most.
    pub held: Vec<RecordingId>,
}

/// The most recordings listed in a status.
const NAMED: i64 = 1000;

impl Revocations {
    /// Revokes, and returns when all reached recordings have an outcome. `say` is called with the
    /// size of each processed batch.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Self::go_on`].
    pub async fn revoke(
        &self,
        permit: &Permit<action::Revoke>,
        target: Target,
        purposes: BTreeSet<Purpose>,
        reason: &ShredReason,
        say: SayCount<'_>,
    ) -> Result<RevocationStatus, Error> {
        let revocation = self.begin(permit, target, purposes, reason).await?;
        self.go_on(revocation.id, say).await?;
        self.status(permit, revocation.id).await
    }

    /// Returns the status of a revocation.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a revocation that reaches further than the permit.
    /// [`crate::vault::Error::NotDurable`] inside if it is done but the store does not have all its
    /// shreds yet.
    pub async fn status(
        &self,
        permit: &Permit<action::Revoke>,
        id: RevocationId,
    ) -> Result<RevocationStatus, Error> {
        let revocation = self.visible(permit, id).await?;
        let mut tx = self.db.read().await?;
        if revocation.is_done && shreds::undurable_of(&mut tx, id).await? > 0 {
            return Err(waits());
        }
        let kinds = revocations::count(&mut tx, id).await?;
        let pending = if revocation.is_done {
            0
        } else {
            revocations::pending(&mut tx, &revocation).await?
        };
        let shredded =
            revocations::outcomes(&mut tx, id, Some(RevocationOutcome::Shredded), None, NAMED)
                .await?;
        let held =
            revocations::outcomes(&mut tx, id, Some(RevocationOutcome::Held), None, NAMED).await?;
        let held = held.into_iter().map(|reached| reached.recording).collect();
        Ok(RevocationStatus {
            revocation,
            counts: OutcomeCounts::of(&kinds),
            kinds,
            pending,
            shredded,
            held,
        })
    }

    /// A page of revocations that reach no further than the permit, the latest first. `limit` is 1 to
    /// 1000.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        permit: &Permit<action::Revoke>,
        mut filter: RevocationFilter,
        limit: u16,
    ) -> Result<Page<Revocation, (Timestamp, RevocationId)>, Error> {
        filter.accounts = permit.accounts().clone();
        let mut tx = self.db.read().await?;
        let rows = revocations::list(&mut tx, &filter, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, Revocation::place))
    }

    /// Returns the outcome for each recording that a revocation reached, in the order of their ids,
    /// after the given one. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// As [`Self::status`].
    pub async fn outcomes(
        &self,
        permit: &Permit<action::Revoke>,
        id: RevocationId,
        after: Option<RecordingId>,
        limit: u16,
    ) -> Result<Page<ReachedRecording, RecordingId>, Error> {
        self.visible(permit, id).await?;
        let mut tx = self.db.read().await?;
        let many = page::rows(limit);
        let rows = revocations::outcomes(&mut tx, id, None, after, many).await?;
        Ok(Page::cut(rows, limit, |last| last.recording))
    }

    async fn visible(
        &self,
        permit: &Permit<action::Revoke>,
        id: RevocationId,
    ) -> Result<Revocation, Error> {
        let found = revocations::find(&mut self.db.read().await?, id).await?;
        found
            .filter(|revocation| revocation.is_within(permit.accounts()))
            .ok_or(Error::NotFound)
    }
}
