//! Work that is not completed: its display, and its retry.
//!
//! Owns what counts as stuck. Refuses to do the work.

use crate::{
    db::{
        self, Db, Tx, recordings, sources, transcripts,
        work::{self, Backlog, DeadWorkItem, WorkKind},
    },
    evidence::NewEntry,
    flow::{
        error::Error,
        patience::WorkSettings,
        retry::{NOT_DELETABLE_YET, STUCK},
        wakeups::Wakeups,
    },
    model::{
        actor::Initiator,
        id::RecordingId,
        source::CopyKind,
        time::{Clock, Timestamp},
    },
};

/// The state of the deletions at the source.
#[derive(Debug, serde::Serialize)]
pub struct SourceStatus {
    /// Recordings whose copies at the source are to be deleted, now or on a later date.
    pub pending: i64,
    /// When the oldest of them was enqueued, if it is due.
    pub oldest: Option<Timestamp>,
    /// Deletions that failed, with the reason: refused by the source, or retried many times. Oldest
    /// first, up to 20.
    pub stuck: Vec<DeadWorkItem>,
    /// Copies that the source does not delete yet, because they are not complete there. Longest
    /// refused first, up to 20.
    pub not_deletable_yet: Vec<NotDeletableYet>,
}

/// A copy that the source does not delete yet.
#[derive(Debug, serde::Serialize)]
pub struct NotDeletableYet {
    /// Its recording.
    pub recording: RecordingId,
    /// Its kind.
    pub kind: CopyKind,
    /// The source's id.
    pub sid: String,
    /// When the source first refused its deletion.
    pub since: Option<Timestamp>,
    /// When that becomes a fault.
    pub until: Option<Timestamp>,
}

/// Lists and retries work that is not completed.
pub struct DeadWork {
    db: Db,
    clock: Clock,
    settings: WorkSettings,
    wakeups: Wakeups,
}

impl DeadWork {
    pub(in crate::flow) fn new(
        db: Db,
        clock: Clock,
        settings: WorkSettings,
        wakeups: Wakeups,
    ) -> Self {
        Self {
            db,
            clock,
            settings,
            wakeups,
        }
    }

    /// Returns deletions at the source that keep failing.
    ///
    /// # Errors
    /// Any database error.
    pub async fn stuck_deletions(&self) -> Result<Vec<DeadWorkItem>, Error> {
        Ok(self.stuck(&mut self.db.read().await?).await?)
    }

    async fn stuck(&self, tx: &mut Tx) -> Result<Vec<DeadWorkItem>, db::Error> {
        let attempts = self.settings.attempts.into();
        work::stuck_deletions(tx, attempts, STUCK, NOT_DELETABLE_YET, 20).await
    }

    pub(super) async fn source_status(
        &self,
        tx: &mut Tx,
        backlog: &[Backlog],
    ) -> Result<SourceStatus, Error> {
        let erasures = || {
            backlog
                .iter()
                .filter(|work| work.kind == WorkKind::DeleteAtSource.as_str())
        };
        let oldest = erasures()
            .map(|work| Timestamp::from_millis(work.oldest_at))
            .min()
            .filter(|oldest| *oldest <= self.clock.now());
        let stuck = self.stuck(tx).await?;
        let early = sources::not_deletable_yet(tx, 20).await?;
        let early = early.into_iter().map(|(recording, copy)| NotDeletableYet {
            recording,
            kind: copy.kind,
            since: copy.refused_at,
            until: copy.deletable_until(),
            sid: copy.sid,
        });
        Ok(SourceStatus {
            pending: erasures().map(|work| work.count).sum(),
            oldest,
            stuck,
            not_deletable_yet: early.collect(),
        })
    }

    /// Makes dead work, given-up transcripts, and failed deletions at the source due again, for one
    /// recording or for all. Returns the number of pieces.
    ///
    /// # Errors
    /// Any database error.
    pub async fn retry(&self, recording: Option<RecordingId>) -> Result<u64, Error> {
        let retried = self.db.unit("status.retry", async |mut unit| {
            let mut revived = work::revive(&mut unit, recording, self.clock.now()).await?;
            let of = match recording {
                Some(id) => recordings::find(&mut unit, id).await?,
                None => None,
            };
            if recording.is_none() || of.is_some() {
                revived += transcripts::revive(&mut unit, of.as_ref(), self.clock.now()).await?;
            }
            if revived > 0 {
                unit.audit(NewEntry::work_retried(
                    self.clock.now(),
                    Initiator::Operator,
                    recording,
                    revived,
                ));
            }
            Ok::<_, db::Error>(revived)
        });
        let revived = retried.await?;
        self.wakeups.work.notify_one();
        Ok(revived)
    }
}
