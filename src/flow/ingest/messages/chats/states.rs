//! The states of a message: the first, each edit, and that it was removed at the source.
//!
//! Owns what becomes of a state that arrives when its message is sealed already. Refuses to know how
//! the event or the list that told of it was read.

use std::sync::Arc;

use crate::{
    db::{
        self, Db,
        outbox::OutboxKind,
        recordings,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    flow::{
        error::Error,
        ingest::{keep::Admission, messages::tier::content_tiers},
        reclassification::Reclassification,
        wakeups::Wakeups,
    },
    model::{
        crash,
        details::Participant,
        id::RecordingId,
        name::Tier,
        recording::RecordingState,
        time::{Clock, Timestamp},
        transcript::Transcript,
    },
    policy::{NotKept, RemovedAtSource, Rulebook},
    secret::SecretBuffer,
    vault::{self, ArrivingState, MessageContent, Vault},
};

/// A state of a message.
pub(in crate::flow) struct MessageState<'a> {
    /// Every field, as the source delivered them.
    pub(in crate::flow) form: &'a [u8],
    /// The text.
    pub(in crate::flow) text: &'a Transcript,
    /// What else people wrote in it: content rules apply to it, and it is sealed in the form only.
    pub(in crate::flow) further: &'a [Transcript],
    /// Who wrote it.
    pub(in crate::flow) parties: &'a [Participant],
    /// The edit that left it, in milliseconds; `None` for the first state.
    pub(in crate::flow) edit: Option<u64>,
    /// Whether it is the present state, and not one of which an event told when it came about.
    pub(in crate::flow) is_present: bool,
}

impl MessageState<'_> {
    /// Returns what is sealed.
    pub(in crate::flow) fn content<'a>(&'a self, text: &'a SecretBuffer) -> MessageContent<'a> {
        MessageContent {
            form: self.form,
            text,
            parties: self.parties.to_vec(),
            edit: self.edit,
        }
    }
}

/// Adds states to messages.
pub(in crate::flow) struct MessageStates {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    admission: Arc<Admission>,
    reclassification: Arc<Reclassification>,
}

impl MessageStates {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        wakeups: Wakeups,
        admission: Arc<Admission>,
        reclassification: Arc<Reclassification>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            admission,
            reclassification,
        }
    }

    /// Seals a state beside those of a sealed message, unless it is no new one. Returns false if the
    /// message is not sealed yet; of a shredded one nothing is kept.
    ///
    /// # Errors
    /// The database's, the store's.
    pub(in crate::flow) async fn add(
        &self,
        id: RecordingId,
        state: &MessageState<'_>,
    ) -> Result<bool, Error> {
        let found = recordings::find(&mut self.db.read().await?, id).await?;
        match found.map(|recording| recording.state) {
            Some(RecordingState::Sealed) => {}
            Some(RecordingState::Shredded) => return Ok(true),
            _ => return Ok(false),
        }

        let json = state.text.to_json();
        let arriving = if state.is_present {
            ArrivingState::Present
        } else {
            ArrivingState::Told
        };
        let sealed = match self
            .vault
            .seal_edit(id, &state.content(&json), arriving)
            .await
        {
            Ok(Some(sealed)) => sealed,
            // It is known, or shredded meanwhile.
            Ok(None) | Err(vault::Error::Gone) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        self.raise(id, state).await?;
        crash::point("edits.sealed");
        let entered = self.vault.unit("edits.enter", async |mut unit| {
            let is_new = self.vault.enter_edit(&mut unit, &sealed).await?;
            if !is_new {
                unit.without_entry("a state that is known is no news");
            }
            Ok::<_, vault::Error>(is_new)
        });
        let entered = entered.await;
        // Only if the transaction certainly did not commit.
        let is_orphan = matches!(
            entered,
            Ok(false) | Err(vault::Error::Gone | vault::Error::Db(db::Error::Stale(_)))
        );
        if is_orphan {
            for object in sealed.objects() {
                self.vault.delete_orphan(object).await;
            }
        }
        match entered {
            Ok(_) => self.wakeups.journal.notify_one(),
            // It was shredded meanwhile.
            Err(vault::Error::Db(db::Error::Stale(_))) => {}
            Err(error) => return Err(error.into()),
        }
        crash::point("edits.entered");
        Ok(true)
    }

    /// Moves a message to the tier of its new text, before that is entered.
    async fn raise(&self, id: RecordingId, state: &MessageState<'_>) -> Result<(), Error> {
        let rules = self.rulebook.current();
        let texts = state.further.iter().chain([state.text]);
        let tiers = texts.flat_map(|text| content_tiers(rules, text));
        let tiers: Vec<Tier> = tiers.cloned().collect();
        if tiers.is_empty() {
            return Ok(());
        }
        let to = |recording: &_| rules.raised(recording, &tiers).cloned();
        self.reclassification.raise(id, to, &["content"]).await?;
        Ok(())
    }

    /// Has the present state of a sealed message fetched. One that is not sealed yet is fetched
    /// anyway.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn fetch_again(&self, id: RecordingId) -> Result<(), Error> {
        let found = recordings::find(&mut self.db.read().await?, id).await?;
        if found.is_none_or(|recording| recording.state != RecordingState::Sealed) {
            return Ok(());
        }
        let unit = self.db.unit("edits.fetch", async |mut unit| {
            unit.without_entry("a state that is fetched is told when it is sealed");
            work::begin_anew(&mut unit, WorkKind::FetchMedia, &[id], self.clock.now()).await
        });
        unit.await?;
        self.wakeups.work.notify_one();
        Ok(())
    }

    /// Notes that somebody removed a message at the source, and shreds it if the policy says so.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn removed(
        &self,
        id: RecordingId,
        at: Timestamp,
    ) -> Result<(), Error> {
        let follows = self.follows_removals();
        let unit = self.db.unit("chats.removed", async |mut unit| {
            let now = self.clock.now();
            if recordings::set_removed(&mut unit, id, at).await? {
                unit.to_journal(OutboxKind::Recording, &[id], now);
                let found = recordings::find(&mut unit, id).await?;
                if follows && found.is_some_and(|recording| recording.holds == 0) {
                    // Whoever takes this work finds the removal, should this process die before the
                    // shred below.
                    work::begin_anew(&mut unit, WorkKind::FetchMedia, &[id], now).await?;
                }
                unit.audit(NewEntry::removed_at_source(now, id, at));
            } else {
                unit.without_entry("a removal that is known is no news");
            }
            Ok::<_, db::Error>(())
        });
        unit.await?;
        self.wakeups.journal.notify_one();
        if !follows {
            return Ok(());
        }
        match self.admission.let_go(id, NotKept::RemovedAtSource).await {
            // A hold keeps it: the removal by somebody else does not end a duty to keep.
            Err(Error::Held(_)) => Ok(()),
            gone => gone,
        }
    }

    /// Shreds what is the same as a shredded recording, where one of the two is this.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn shred_left(&self, id: RecordingId) -> Result<(), Error> {
        self.admission.shred_left(&[id]).await.map(|_| ())
    }

    /// Whether the policy in force shreds what somebody removed at the source.
    pub(in crate::flow) fn follows_removals(&self) -> bool {
        let collection = &self.rulebook.current().document().collection;
        collection.removed_at_source == RemovedAtSource::Shred
    }
}
