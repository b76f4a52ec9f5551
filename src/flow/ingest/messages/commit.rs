//! The commit of sealed messages, many in one unit of work.
//!
//! Owns the consequences that a message has in the unit that enters it: quarantine without evidence
//! of consent, and revocations that cover it. Refuses to know how it is sealed.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    db::{
        self, Db, Unit,
        accept::{self, Announcement, Then},
        group_commit::{CommitFailure, GroupCommit, GroupReceiver, GroupSender},
        outbox::OutboxKind,
        recordings, revocations, sources,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    flow::{
        Flow,
        erasure::{revocation::close::close_arriving, shredding::Shredding},
        error::Error,
        ingest::{
            arriving::quarantine_uncovered,
            keep::{NOT_KEPT, lets_go_unheard, reason_of},
            messages::{
                likeness::{Likeness, find_alike},
                notice::tell_first,
            },
        },
        links::link_copies,
        reclassification::Reclassification,
        units::unit_with_keys,
    },
    keyring,
    model::{
        crash,
        id::{RecordingId, VaultId},
        name::Tier,
        recording::{Recording, RecordingState},
        source::SourceCopy,
        subject::Conversation,
        time::{Clock, Timestamp},
    },
    policy::{self, NotKept, Permit, Rulebook, action},
    vault::{self, Cause, OnHold, SealedMessage, ShredOutcome, Vault},
};

/// A sealed message that waits for its commit.
pub struct ArrivingMessage {
    pub(super) announcement: Announcement,
    pub(super) sealed: SealedMessage,
    /// Its copies at the source, as far as the source told of them.
    pub(super) copies: Vec<SourceCopy>,
    /// When the source's copy is to be deleted; `None` for never.
    pub(super) erase_at: Option<Timestamp>,
    /// What it has in common with another recording of the same text.
    pub(super) likeness: Option<Likeness>,
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
    reclassification: Arc<Reclassification>,
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
            reclassification: Arc::clone(&flow.reclassification),
            queue,
        }
    }

    /// Commits batches until every sender is dropped and the queue is empty.
    pub async fn run(&self) {
        self.queue.run(self).await;
    }

    async fn commit_unit(&self, batch: &[&ArrivingMessage]) -> Result<(), Error> {
        let Refused {
            recordings: refused,
            shreds,
        } = unit_with_keys(
            &self.db,
            &self.vault,
            "messages.commit",
            async |mut unit| self.enter(&mut unit, batch).await,
        )
        .await?;
        if !refused.is_empty() {
            // Durable with the next piece of the journal, as the message itself.
            let _ = self.shredding.done(&refused, shreds).kept()?;
        }
        crash::point("messages.after_commit");
        let ids: Vec<RecordingId> = batch
            .iter()
            .map(|message| message.sealed.recording())
            .collect();
        if let Err(error) = self.shredding.shred_left(Some(&ids)).await {
            // They are durable; the sweep finds them.
            tracing::warn!(%error, "messages that are the same as shredded ones are not shredded yet");
        }
        self.raise_sealed(batch).await
    }

    /// Moves messages that were sealed before this news of them came to its tier. The source is
    /// answered after that, and sends the news again if this process dies before.
    async fn raise_sealed(&self, batch: &[&ArrivingMessage]) -> Result<(), Error> {
        let rules = self.rulebook.current();
        let ids: Vec<RecordingId> = batch.iter().map(|told| told.announcement.id).collect();
        let found = recordings::find_all(&mut self.db.read().await?, &ids).await?;
        for recording in &found {
            let told = batch
                .iter()
                .filter(|told| told.announcement.id == recording.id);
            let tiers: Vec<&Tier> = told.map(|told| &told.announcement.tier).collect();
            let to = |recording: &Recording| rules.raised(recording, tiers.clone()).cloned();
            if to(recording).is_some() {
                let raised = self.reclassification.raise(recording.id, to, &["content"]);
                raised.await?;
            }
        }
        Ok(())
    }

    /// Enters messages, and everything that must hold from then on. Returns those that are shredded
    /// at once.
    ///
    /// # Errors
    /// [`vault::Error::Gone`] inside if one of several must not be kept: a shred is the last act of
    /// its unit, so that one needs a unit of its own.
    async fn enter(&self, unit: &mut Unit, batch: &[&ArrivingMessage]) -> Result<Refused, Error> {
        let now = self.clock.now();
        let announcements: Vec<&Announcement> =
            batch.iter().map(|message| &message.announcement).collect();
        let sealed: Vec<&SealedMessage> = batch.iter().map(|message| &message.sealed).collect();
        accept::share_names(unit, &announcements).await?;
        accept::announce(unit, &announcements, Then::Seal, now).await?;
        for recording in self.raise_tiers(unit, &announcements, now).await? {
            if let Some(why) = lets_go_unheard(&self.rulebook, &recording) {
                return self.let_go(unit, batch, recording, why).await;
            }
        }

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
        enter_copies(unit, self.vault.id(), batch, now).await?;
        let likenesses = batch.iter().filter_map(|message| message.likeness.clone());
        find_alike(unit, &entered, likenesses.collect(), now).await?;
        follow_entering(unit, &self.rulebook, &entered, erase_at, now).await?;
        let refused = self.close(unit, batch, entered, now).await?;
        crash::point("messages.before_commit");
        Ok(refused)
    }

    /// Closes messages for the revocations that cover them.
    async fn close(
        &self,
        unit: &mut Unit,
        batch: &[&ArrivingMessage],
        entered: Vec<Recording>,
        now: Timestamp,
    ) -> Result<Refused, Error> {
        let earliest = entered.iter().map(|recording| recording.collected_at).min();
        let Some(earliest) = earliest else {
            return Ok(Refused::default());
        };
        if !revocations::is_any_since(unit, earliest).await? {
            return Ok(Refused::default());
        }
        for recording in entered {
            let revoked = close_arriving(unit, &self.rulebook, &recording, now).await?;
            if let Some(revocation) = revoked {
                let cause = Cause::revoked(&revocation);
                return self.refuse(unit, batch, recording, cause).await;
            }
        }
        Ok(Refused::default())
    }

    /// Shreds a message that the policy does not keep, before it is sealed.
    async fn let_go(
        &self,
        unit: &mut Unit,
        batch: &[&ArrivingMessage],
        recording: Recording,
        why: NotKept,
    ) -> Result<Refused, Error> {
        let permit = Permit::of_vault(action::Shred);
        let reason = reason_of(why);
        let cause = Cause::permitted(&permit, &reason);
        let refused = self.refuse(unit, batch, recording, cause).await?;
        unit.count_as(NOT_KEPT, "reason", why.code(), 1);
        Ok(refused)
    }

    async fn refuse(
        &self,
        unit: &mut Unit,
        batch: &[&ArrivingMessage],
        recording: Recording,
        cause: Cause<'_>,
    ) -> Result<Refused, Error> {
        if batch.len() > 1 {
            return Err(vault::Error::Gone.into());
        }
        let only = [&recording];
        let shred = self.vault.shred(unit, &only, cause, OnHold::Close);
        Ok(Refused {
            shreds: shred.await?,
            recordings: vec![recording],
        })
    }

    /// Moves messages that were announced before to the tier of their content, before they are
    /// sealed. Returns those that wait to be sealed.
    async fn raise_tiers(
        &self,
        unit: &mut Unit,
        announcements: &[&Announcement],
        now: Timestamp,
    ) -> Result<Vec<Recording>, Error> {
        let rules = self.rulebook.current();
        let ids: Vec<RecordingId> = announcements.iter().map(|told| told.id).collect();
        let mut waiting = recordings::find_all(unit, &ids).await?;
        waiting.retain(|recording| recording.state == RecordingState::Announced);
        for recording in &mut waiting {
            let told = announcements.iter().find(|told| told.id == recording.id);
            let Some(tier) = told.and_then(|told| rules.raised(recording, [&told.tier])) else {
                continue;
            };
            recordings::set_tier(unit, recording.id, &recording.tier, tier).await?;
            unit.audit(NewEntry::recording_reclassified(
                now,
                recording.id,
                &recording.tier,
                tier,
                &["content"],
            ));
            recording.tier = tier.clone();
        }
        Ok(waiting)
    }
}

/// Messages that are not kept, and their shreds.
#[derive(Default)]
struct Refused {
    recordings: Vec<Recording>,
    shreds: ShredOutcome,
}

impl GroupCommit<ArrivingMessage> for MessageCommitter {
    async fn commit(&self, batch: &[&ArrivingMessage]) -> Result<(), CommitFailure> {
        let Err(error) = self.commit_unit(batch).await else {
            return Ok(());
        };
        let is_of_item = is_of_item(&error);
        if let Error::Vault(vault::Error::Db(error)) = error {
            return Err(error.into());
        }
        if is_of_item && batch.len() == 1 {
            tracing::error!(%error, "a message cannot be entered");
        }
        let error = db::Error::Unavailable(error.to_string());
        Err(match is_of_item {
            true => CommitFailure::OfItem(error),
            false => CommitFailure::OfAll(error),
        })
    }
}

/// Returns whether a message, its tier or its thread may be the cause, so that others may be entered
/// without it.
fn is_of_item(error: &Error) -> bool {
    use vault::Error as Failed;
    match error {
        Error::Vault(Failed::Keyring(error)) => !matches!(error, keyring::Error::OtherEpoch(_)),
        Error::Vault(error) => matches!(
            error,
            Failed::Gone | Failed::Seal(_) | Failed::WrongKey | Failed::BrokenReceipt(_)
        ),
        _ => false,
    }
}

/// Enters the copies at the source that are not known: also of messages that came before, because a
/// later callback can tell of more.
async fn enter_copies(
    unit: &mut Unit,
    vault: VaultId,
    batch: &[&ArrivingMessage],
    now: Timestamp,
) -> Result<(), db::Error> {
    for message in batch.iter().filter(|message| !message.copies.is_empty()) {
        let id = message.sealed.recording();
        let known = sources::of(unit, id).await?;
        let is_new = |copy: &&SourceCopy| {
            let mut known = known.iter();
            known.all(|known| (known.kind, &known.sid) != (copy.kind, &copy.sid))
        };
        let new: Vec<SourceCopy> = message.copies.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            sources::enter(unit, id, &new).await?;
            link_copies(unit, vault, &message.announcement.source_ref, &new, now).await?;
            unit.to_journal(OutboxKind::Recording, &[id], now);
        }
    }
    Ok(())
}

/// Applies what follows when messages are entered: files are fetched, the source's copies are deleted
/// when it is time, and messages without evidence of consent are in quarantine, of which their person
/// is told.
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
    let is_in_session =
        |recording: &&Recording| matches!(recording.thread, Some(Conversation::Session(_)));
    let in_sessions: Vec<RecordingId> = entered
        .iter()
        .filter(is_in_session)
        .map(|recording| recording.id)
        .collect();
    work::enqueue(unit, WorkKind::ReadSession, &in_sessions, now).await?;
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
    let closed = quarantine_uncovered(unit, waiting.collect(), now).await?;
    tell_first(unit, rulebook, &closed, now).await
}
