//! The queue of work: leasing, keeping and giving back, whatever the work is about.
//!
//! Owns how long a lease lasts and what becomes of work that was not done. When something is tried
//! again is judged in `retry.rs`. Refuses to know who does the work, and in which lane.

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

/// Leases work, keeps it, and gives back what was not done.
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

    /// Which of these kinds have work that can be leased. To look costs no write.
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

    /// Leases up to `limit` pieces of work of these kinds; costs a write.
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

    /// Leases the piece that is due for longest, if one is.
    pub(super) async fn lease_one<K>(&self, kind: WorkKind) -> Result<Option<Lease<K>>, Error>
    where
        K: FromStr,
    {
        let leases = self.lease(&[kind], 1).await?;
        let lease = leases.into_iter().next();
        Ok(lease.map(|lease| lease.parsed()).transpose()?)
    }

    /// The longest that anything honest lasts here.
    fn longest(&self) -> Duration {
        self.settings
            .lease_length()
            .max(LONGEST)
            .max(Duration::from_secs(self.settings.max_backoff_s.into()))
    }

    /// A term of a lease on work that begins now.
    pub(super) async fn term(&self, tx: &mut Tx) -> Result<Term, db::Error> {
        let term = Term::begin(tx, self.settings.lease_length()).await?;
        Ok(term.believing(self.longest()))
    }

    /// Makes due what a clock that was ahead, and is not any more, has put off for longer than
    /// anything honest lasts.
    ///
    /// # Errors
    /// The database's.
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

    /// Extends the lease again and again; returns when it is lost.
    pub(super) async fn keep<K: Display + Sync>(&self, lease: &Lease<K>) {
        let third = self.settings.lease_length() / 3;
        loop {
            tokio::time::sleep(third).await;
            let extended = self.db.unit("work.keep", async |mut unit| {
                unit.without_entry("whose the work is");
                let term = self.term(&mut unit).await?;
                work::extend(&mut unit, lease, term).await
            });
            if let Err(db::Error::Stale(_)) = extended.await {
                return;
            }
        }
    }

    /// There is nothing to do.
    pub(super) async fn drop_work<K: Display + Sync>(&self, lease: &Lease<K>) -> Result<(), Error> {
        let dropped = self.db.unit("work.drop_work", async |mut unit| {
            unit.without_entry("there is nothing to do");
            work::finish(&mut unit, lease).await
        });
        match dropped.await {
            // A shred took the work away; that is as good.
            Err(db::Error::Stale(_)) => Ok(()),
            finished => Ok(finished?),
        }
    }

    /// What follows from a setback, and the reason that stands in the row.
    pub(super) async fn decided<K: Display + Sync>(
        &self,
        lease: &Lease<K>,
        setback: &Setback,
    ) -> (RetryDecision, String) {
        let decision = self.judged(lease, setback).await;
        let why = setback.reason(decision);
        let kind = lease.kind.as_str();
        let subject = lease.subject.to_string();
        let attempt = lease.attempts;
        if retry::is_usual(lease.kind, setback) {
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

    /// What is given up because it is late is given up by a clock that is believed only.
    async fn judged<K: Sync>(&self, lease: &Lease<K>, setback: &Setback) -> RetryDecision {
        let settings = &self.settings;
        let decision = retry::decide(settings, lease, self.clock.now(), setback);
        if retry::rests_on_the_clock(decision, setback) && self.clock.believed().await.is_err() {
            return retry::without_clock(settings, lease);
        }
        decision
    }

    /// Gives work back that was not done.
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
        // Only work about a recording is ever set aside without more.
        let recording: RecordingId = lease
            .subject
            .to_string()
            .parse()
            .map_err(|_| db::Error::Stale("this work is about no recording"))?;
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

/// Says so if work cannot be given back; the lease runs out by itself. That it was done all the
/// same, or that somebody else has it, is no trouble.
pub(super) fn given_back<K: Display>(lease: &Lease<K>, put_back: Result<(), db::Error>) {
    if let Err(error) = put_back
        && !matches!(error, db::Error::Stale(_))
    {
        let kind = lease.kind.as_str();
        let subject = lease.subject.to_string();
        tracing::warn!(kind, subject, %error, "the lease of work cannot be released");
    }
}
