//! The queue of work: leasing, extending and giving back, for any kind of work.
//!
//! Owns the length of a lease and the handling of work that was not completed. `retry.rs` decides
//! when it is retried. Refuses to know who performs the work, and in which lane.

use std::{fmt::Display, str::FromStr, sync::Arc, time::Duration};

use super::{
    clock::TrustedClock,
    error::Error,
    patience::WorkSettings,
    retry::{self, RetryDecision, Setback},
};
use crate::{
    db::{
        self, Db, Term, Tx, Unit,
        work::{self, Lease, WorkKind},
    },
    evidence::NewEntry,
    model::id::{HolderId, RecordingId},
};

/// No lease and no pause is longer than this, unless the settings say so.
const LONGEST: Duration = Duration::from_secs(3600);

/// Leases work, extends leases, and gives back work that was not completed.
pub(in crate::flow) struct WorkQueue {
    db: Db,
    clock: Arc<TrustedClock>,
    settings: WorkSettings,
}

impl WorkQueue {
    pub(in crate::flow) fn new(db: Db, clock: Arc<TrustedClock>, settings: WorkSettings) -> Self {
        Self {
            db,
            clock,
            settings,
        }
    }

    /// Returns the kinds that have work that can be leased. Reads only.
    pub(super) async fn due(&self, kinds: &[WorkKind]) -> Result<Vec<WorkKind>, Error> {
        let mut looking = self.db.read().await?;
        let term = self.term(&mut looking).await?;
        Ok(work::due(&mut looking, kinds, term).await?)
    }

    /// Leases up to `limit` pieces of work of these kinds, if any is due.
    pub(super) async fn lease(
        &self,
        kinds: &[WorkKind],
        limit: usize,
    ) -> Result<Vec<Lease<String>>, Error> {
        if self.due(kinds).await?.is_empty() {
            return Ok(Vec::new());
        }
        self.lease_due(kinds, limit).await
    }

    /// Leases up to `limit` pieces of work of these kinds; always a write.
    pub(super) async fn lease_due(
        &self,
        kinds: &[WorkKind],
        limit: usize,
    ) -> Result<Vec<Lease<String>>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let holder = HolderId::random(&mut rand::rng());
        let leased = self.db.unit("work.lease", async |mut unit| {
            unit.without_entry("whose the work is");
            let term = self.term(&mut unit).await?;
            work::lease(&mut unit, kinds, holder, term, limit).await
        });
        Ok(leased.await?)
    }

    /// Leases the piece that has been due longest, if there is one.
    pub(super) async fn lease_one<K>(&self, kind: WorkKind) -> Result<Option<Lease<K>>, Error>
    where
        K: FromStr,
    {
        let leases = self.lease(&[kind], 1).await?;
        let lease = leases.into_iter().next();
        Ok(lease.map(|lease| lease.parsed()).transpose()?)
    }

    /// Returns the longest time that a correct clock can put into a row.
    fn longest(&self) -> Duration {
        self.settings
            .lease_length()
            .max(LONGEST)
            .max(Duration::from_secs(self.settings.max_backoff_s.into()))
    }

    /// Creates the term of a lease on work that begins now.
    pub(super) async fn term(&self, tx: &mut Tx) -> Result<Term, db::Error> {
        let term = Term::begin(tx, self.settings.lease_length()).await?;
        Ok(term.believing(self.longest()))
    }

    /// Makes work due that a clock ahead of time has postponed for longer than is possible with a
    /// correct clock.
    ///
    /// # Errors
    /// Any database error.
    pub(super) async fn free_strays(&self) -> Result<(), Error> {
        let freed = self.db.unit("work.free_strays", async |mut unit| {
            unit.without_entry("when work is due");
            let term = Term::begin(&mut unit, self.longest()).await?;
            work::free_strays(&mut unit, term).await
        });
        let freed = freed.await?;
        if freed > 0 {
            tracing::warn!(
                freed,
                "work was postponed by a clock in the future; it is due now"
            );
        }
        Ok(())
    }

    /// Extends the lease regularly; returns when it is lost.
    pub(super) async fn keep<K: Display + Sync>(&self, lease: &Lease<K>) {
        let third = self.settings.lease_length() / 3;
        loop {
            tokio::time::sleep(third).await;
            let extended = self.db.unit("work.keep", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = self.term(&mut unit).await?;
                work::extend(&mut unit, lease, term).await
            });
            if let Err(db::Error::LeaseLost) = extended.await {
                return;
            }
        }
    }

    /// Finishes work that is no longer needed.
    pub(super) async fn drop_work<K: Display + Sync>(&self, lease: &Lease<K>) -> Result<(), Error> {
        let dropped = self.db.unit("work.drop_work", async |mut unit| {
            unit.without_entry("there is nothing to do");
            work::finish(&mut unit, lease).await
        });
        match dropped.await {
            // A shred has removed the work, with the same result.
            Err(db::Error::LeaseLost) => Ok(()),
            finished => Ok(finished?),
        }
    }

    /// Returns the decision after a setback, and the reason for the row.
    pub(super) async fn decided<K: Display + Sync>(
        &self,
        lease: &Lease<K>,
        setback: &Setback,
    ) -> (RetryDecision, String) {
        let decision = self.judged(lease, setback).await;
        let now = self.clock.now();
        let why = setback.reason(decision, now);
        let kind = lease.kind.as_str();
        let subject = lease.subject.to_string();
        let attempt = lease.attempts;
        if retry::is_usual(lease.kind, setback, now) {
            tracing::info!(
                kind,
                subject,
                attempt,
                "work was not completed, {decision}: {why}"
            );
        } else {
            tracing::warn!(
                kind,
                subject,
                attempt,
                "work was not completed, {decision}: {why}"
            );
        }
        (decision, why)
    }

    /// Gives work up for being late only if the clock is trusted.
    async fn judged<K: Sync>(&self, lease: &Lease<K>, setback: &Setback) -> RetryDecision {
        let settings = &self.settings;
        let decision = retry::decide(settings, lease, self.clock.now(), setback);
        if retry::rests_on_the_clock(decision, setback) && self.clock.believed().await.is_err() {
            return retry::without_clock(settings, lease);
        }
        decision
    }

    /// Gives back work that was not completed.
    pub(super) async fn give_back<K: Display + Sync>(&self, lease: &Lease<K>, setback: &Setback) {
        let (decision, why) = self.decided(lease, setback).await;
        let now = self.clock.now();
        let put_back = self
            .db
            .unit("work.put_back", async |mut unit| match decision {
                RetryDecision::Lost => Ok(()),
                RetryDecision::Again { after } => {
                    unit.without_entry("work that is put off is no act");
                    work::postpone(&mut unit, lease, now.after(after), &why).await
                }
                RetryDecision::Bury => self.bury(&mut unit, lease, &why).await,
            });
        given_back(lease, put_back.await);
    }

    async fn bury<K: Display + Sync>(
        &self,
        unit: &mut Unit,
        lease: &Lease<K>,
        why: &str,
    ) -> Result<(), db::Error> {
        work::bury(unit, lease, why).await?;
        let kind = lease.kind.as_str();
        // Transcripts are buried by their own code; all other work that may be buried is about a
        // recording.
        let recording: RecordingId = lease
            .subject
            .to_string()
            .parse()
            .map_err(|_| db::Error::Statement("this work is about no recording".into()))?;
        unit.audit(NewEntry::work_dead(
            self.clock.now(),
            kind,
            lease.attempts,
            recording,
        ));
        unit.count("recvault_work_dead_total", 1);
        Ok(())
    }
}

/// Logs a warning if work could not be given back; its lease then expires. A lost lease is no
/// failure.
pub(super) fn given_back<K: Display>(lease: &Lease<K>, put_back: Result<(), db::Error>) {
    if let Err(error) = put_back
        && !matches!(error, db::Error::LeaseLost)
    {
        let kind = lease.kind.as_str();
        let subject = lease.subject.to_string();
        tracing::warn!(kind, subject, %error, "the lease of work cannot be released");
    }
}
