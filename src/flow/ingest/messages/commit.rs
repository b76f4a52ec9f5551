//! The commit of sealed messages, many in one unit of work.
//!
//! Owns the consequences that a message has in the unit that enters it: quarantine without evidence
//! of consent, and revocations that cover it. Refuses to know how it is sealed.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    db::{
        self, Db, Unit,
        accept::{self, Announcement, Then},
        group_commit::{GroupCommit, GroupReceiver, GroupSender},
        revocations,
        work::{self, WorkKind},
    },
    flow::{
        Flow,
        erasure::{revocation::close::close_arriving, shredding::Shredding},
        error::Error,
        ingest::arriving::quarantine_uncovered,
        units::unit_with_keys,
    },
    model::{
        crash,
        id::RecordingId,
        recording::Recording,
        time::{Clock, Timestamp},
    },
    policy::{self, Rulebook},
    vault::{self, Cause, OnHold, SealedMessage, ShredOutcome, Vault},
};

/// A sealed message that waits for its commit.
pub struct ArrivingMessage {
    pub(super) announcement: Announcement,
    pub(super) sealed: SealedMessage,
    /// When the source's copy is to be deleted; `None` for never.
    pub(super) erase_at: Option<Timestamp>,
}

/// The sending end of the queue of messages.
pub type MessageSender = GroupSender<ArrivingMessage>;

/// The receiving end of the queue of messages: makes them durable.
pub struct MessageCommitter {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    shredding: Arc<Shredding>,
    queue: GroupReceiver<ArrivingMessage>,
}

impl MessageCommitter {
    /// Creates the committer for the messages that the use cases send.
    pub fn new(flow: &Flow, db: Db, clock: Clock, queue: GroupReceiver<ArrivingMessage>) -> Self {
        Self {
            vault: flow.vault.clone(),
            db,
            rulebook: Arc::clone(&flow.rulebook),
            clock,
            shredding: Arc::clone(&flow.shredding),
            queue,
        }
    }

    /// Commits batches until every sender is dropped and the queue is empty.
    pub async fn run(&self) {
        self.queue.run(self).await;
    }

    async fn commit_all(&self, batch: &[&ArrivingMessage]) -> Result<(), Error> {
        let earliest = batch
            .iter()
            .filter_map(|message| message.announcement.started_at)
            .min();
        let is_covered = match earliest {
            Some(at) => revocations::is_any_since(&mut self.db.read().await?, at).await?,
            None => true,
        };
        if is_covered {
            // One unit each: a shred is the last act of its unit.
            for message in batch {
                self.commit_unit(&[*message]).await?;
            }
            return Ok(());
        }
        self.commit_unit(batch).await
    }

    async fn commit_unit(&self, batch: &[&ArrivingMessage]) -> Result<(), Error> {
        let (gone, done) = unit_with_keys(
            &self.db,
            &self.vault,
            "messages.commit",
            async |mut unit| self.enter(&mut unit, batch).await,
        )
        .await?;
        crash::point("messages.after_commit");
        if !gone.is_empty() {
            // Durable with the next piece of the journal, as the message itself.
            let _ = self.shredding.done(&gone, done).kept()?;
        }
        Ok(())
    }

    /// Enters messages, and everything that must hold from then on. Returns what was shredded at
    /// once.
    async fn enter(
        &self,
        unit: &mut Unit,
        batch: &[&ArrivingMessage],
    ) -> Result<(Vec<Recording>, ShredOutcome), Error> {
        let now = self.clock.now();
        let announcements: Vec<&Announcement> =
            batch.iter().map(|message| &message.announcement).collect();
        let sealed: Vec<&SealedMessage> = batch.iter().map(|message| &message.sealed).collect();
        accept::announce(unit, &announcements, Then::Seal, now).await?;
        let entered = self.vault.enter_messages(unit, &sealed).await?;
        if entered.is_empty() {
            unit.without_entry("a message that came before is no news");
        }
        let mut gone = Vec::new();
        let mut done = ShredOutcome::default();
        let erase_at = |id| {
            let message = batch
                .iter()
                .find(|message| message.sealed.recording() == id)?;
            message.erase_at
        };
        follow_entering(unit, &self.rulebook, &entered, erase_at, now).await?;
        for recording in entered {
            match close_arriving(unit, &recording, now).await {
                Ok(()) => {}
                Err(vault::Error::Gone) => {
                    let covering = revocations::covering(unit, &recording).await?;
                    let whole = covering.iter().find(|revocation| revocation.is_whole());
                    let cause = Cause::revoked(whole.ok_or(vault::Error::Gone)?);
                    done = self
                        .vault
                        .shred(unit, &[&recording], cause, OnHold::Close)
                        .await?;
                    gone.push(recording);
                }
                Err(error) => return Err(error.into()),
            }
        }
        crash::point("messages.before_commit");
        Ok((gone, done))
    }
}

impl GroupCommit<ArrivingMessage> for MessageCommitter {
    async fn commit(&self, batch: &[&ArrivingMessage]) -> Result<(), db::Error> {
        self.commit_all(batch).await.map_err(|error| match error {
            Error::Vault(vault::Error::Db(error)) => error,
            other => db::Error::Unavailable(other.to_string()),
        })
    }
}

/// Applies what follows when messages are entered: files are fetched, the source's copies are deleted
/// when it is time, and messages without evidence of consent are in quarantine.
pub(super) async fn follow_entering(
    unit: &mut Unit,
    rulebook: &Rulebook,
    entered: &[Recording],
    erase_at: impl Fn(RecordingId) -> Option<Timestamp>,
    now: Timestamp,
) -> Result<(), vault::Error> {
    let with_files: Vec<RecordingId> = entered
        .iter()
        .filter(|recording| recording.files > 0)
        .map(|recording| recording.id)
        .collect();
    work::enqueue(unit, WorkKind::FetchFiles, &with_files, now).await?;
    let mut by_time: BTreeMap<Timestamp, Vec<RecordingId>> = BTreeMap::new();
    for recording in entered {
        if let Some(at) = erase_at(recording.id) {
            by_time.entry(at).or_default().push(recording.id);
        }
    }
    for (at, ids) in by_time {
        work::enqueue_at(unit, WorkKind::DeleteAtSource, &ids, at, now).await?;
    }
    let waiting = entered.iter().filter_map(|recording| {
        let period = policy::quarantine(recording, rulebook)?;
        Some((recording.clone(), now.after(period)))
    });
    quarantine_uncovered(unit, waiting.collect(), now).await
}
