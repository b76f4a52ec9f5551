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
        recordings, revocations,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    flow::{
        Flow,
        erasure::{revocation::close::close_arriving, shredding::Shredding},
        error::Error,
        ingest::{
            arriving::quarantine_uncovered,
            keep::{Admission, lets_go_unheard},
        },
        units::unit_with_keys,
    },
    model::{
        crash,
        id::RecordingId,
        recording::{Recording, RecordingState},
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
    admission: Arc<Admission>,
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
            admission: flow.message_intake.admission(),
            queue,
        }
    }

    /// Commits batches until every sender is dropped and the queue is empty.
    pub async fn run(&self) {
        self.queue.run(self).await;
    }

    async fn commit_all(&self, batch: &[&ArrivingMessage]) -> Result<(), Error> {
        match self.commit_unit(batch).await {
            // One unit each: a shred is the last act of its unit.
            Err(Error::Vault(vault::Error::Gone)) if batch.len() > 1 => {
                for message in batch {
                    let entered = self.commit_unit(&[*message]).await?;
                    self.check_again(&entered).await?;
                }
                Ok(())
            }
            entered => self.check_again(&entered?).await,
        }
    }

    /// Handles what the unit that entered a message could not see: a revocation or a statement that
    /// was committed beside it. Whatever is committed later finds the message.
    async fn check_again(&self, entered: &[Recording]) -> Result<(), Error> {
        let Some(earliest) = entered.iter().map(|recording| recording.collected_at).min() else {
            return Ok(());
        };
        let mut tx = self.db.read().await?;
        let is_covered = revocations::is_any_since(&mut tx, earliest).await?;
        drop(tx);
        let now = self.clock.now();
        let mut waiting = Vec::new();
        for recording in entered {
            if let Some(why) = lets_go_unheard(&self.rulebook, recording) {
                self.admission.let_go(recording.id, why).await?;
            } else if is_covered && self.admission.is_revoked(recording).await? {
                continue;
            } else if let Some(period) = policy::quarantine(recording, &self.rulebook) {
                waiting.push((recording.clone(), now.after(period)));
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let unit = self.db.unit("messages.quarantine", async |mut unit| {
            quarantine_uncovered(&mut unit, waiting.clone(), now).await?;
            unit.without_entry("a message that is in quarantine is no news");
            Ok::<_, vault::Error>(())
        });
        Ok(unit.await?)
    }

    async fn commit_unit(&self, batch: &[&ArrivingMessage]) -> Result<Vec<Recording>, Error> {
        let Committed {
            entered,
            gone,
            shreds,
        } = unit_with_keys(
            &self.db,
            &self.vault,
            "messages.commit",
            async |mut unit| self.enter(&mut unit, batch).await,
        )
        .await?;
        if !gone.is_empty() {
            // Durable with the next piece of the journal, as the message itself.
            let _ = self.shredding.done(&gone, shreds).kept()?;
        }
        crash::point("messages.after_commit");
        Ok(entered)
    }

    /// Enters messages, and everything that must hold from then on.
    ///
    /// # Errors
    /// [`vault::Error::Gone`] inside if a revocation leaves nothing of one of several.
    async fn enter(&self, unit: &mut Unit, batch: &[&ArrivingMessage]) -> Result<Committed, Error> {
        let now = self.clock.now();
        let announcements: Vec<&Announcement> =
            batch.iter().map(|message| &message.announcement).collect();
        let sealed: Vec<&SealedMessage> = batch.iter().map(|message| &message.sealed).collect();
        accept::announce(unit, &announcements, Then::Seal, now).await?;
        self.raise_tiers(unit, &announcements, now).await?;
        let entered = self.vault.enter_messages(unit, &sealed).await?;
        if entered.is_empty() {
            unit.without_entry("a message that came before is no news");
        }
        let erase_at = |id| {
            let message = batch
                .iter()
                .find(|message| message.sealed.recording() == id)?;
            message.erase_at
        };
        follow_entering(unit, &self.rulebook, &entered, erase_at, now).await?;
        let mut committed = Committed::default();
        for recording in entered {
            match close_arriving(unit, &recording, now).await {
                Ok(()) => committed.entered.push(recording),
                Err(vault::Error::Gone) if batch.len() == 1 => {
                    let covering = revocations::covering(unit, &recording).await?;
                    let whole = covering.iter().find(|revocation| revocation.is_whole());
                    let cause = Cause::revoked(whole.ok_or(vault::Error::Gone)?);
                    let only = [&recording];
                    let shred = self.vault.shred(unit, &only, cause, OnHold::Close);
                    committed.shreds = shred.await?;
                    committed.gone.push(recording);
                }
                Err(error) => return Err(error.into()),
            }
        }
        crash::point("messages.before_commit");
        Ok(committed)
    }

    /// Moves messages that were announced before to the tier of their content, before they are
    /// sealed.
    async fn raise_tiers(
        &self,
        unit: &mut Unit,
        announcements: &[&Announcement],
        now: Timestamp,
    ) -> Result<(), Error> {
        let rules = self.rulebook.current();
        let ids: Vec<RecordingId> = announcements.iter().map(|told| told.id).collect();
        for recording in recordings::find_all(unit, &ids).await? {
            let told = announcements.iter().find(|told| told.id == recording.id);
            let Some(tier) = told.and_then(|told| rules.raised(&recording, [&told.tier])) else {
                continue;
            };
            if recording.state != RecordingState::Announced {
                continue;
            }
            recordings::set_tier(unit, recording.id, &recording.tier, tier).await?;
            unit.audit(NewEntry::recording_reclassified(
                now,
                recording.id,
                &recording.tier,
                tier,
                &["content"],
            ));
        }
        Ok(())
    }
}

/// What a unit did.
#[derive(Default)]
struct Committed {
    /// Messages that are sealed now.
    entered: Vec<Recording>,
    /// Those that a revocation left nothing of.
    gone: Vec<Recording>,
    shreds: ShredOutcome,
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
