//! Deletion of a recording's copies at the source.
//!
//! Owns when copies may be deleted, and when the deletion is done. After a shred everything is
//! deleted without delay. After sealing, copies are deleted only when the vault has read back its
//! own copy and no transcript of the source is pending; a hold does not delay this, because it
//! keeps the sealed copy.
//!
//! INVARIANT: copies of a recording that is not shredded are deleted only if the vault's own copy
//! was just read back and matches what was sealed.

mod book;
mod chats;
mod copies;
mod kept;
mod messages;
mod object;
mod settle;
mod trouble;
mod videos;

use std::sync::Arc;

use self::{
    chats::ChatCopies, copies::Copies, messages::MessageCopies, trouble::Trouble,
    videos::VideoCopies,
};
use super::{
    clock::TrustedClock, error::Error, ingest::messages::is_deleted_after_sealing,
    patience::WorkSettings, queue::WorkQueue, retry::Setback, twilio_access::TwilioAccess,
    wakeups::Wakeups,
};
use crate::{
    db::{self, Db, recordings, work::Lease},
    evidence::Removal,
    model::{
        artefact::Artefact,
        id::RecordingId,
        media::MediaKind,
        recording::{Recording, RecordingState},
        source::SourceCopy,
        subject::Conversation,
        time::Timestamp,
    },
    policy::Rulebook,
    store,
    twilio::{Account, DeleteSource},
    vault::{self, Vault},
};

/// Deletes copies at the source.
pub(in crate::flow) struct SourceDeletion {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Arc<TrustedClock>,
    settings: WorkSettings,
    twilio: Arc<TwilioAccess>,
    wakeups: Wakeups,
    queue: Arc<WorkQueue>,
}

impl SourceDeletion {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a dependency of its own, given once by the assembly"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Arc<TrustedClock>,
        settings: WorkSettings,
        twilio: Arc<TwilioAccess>,
        wakeups: Wakeups,
        queue: Arc<WorkQueue>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            settings,
            twilio,
            wakeups,
            queue,
        }
    }

    /// Whether the policy in force keeps recordings of this kind.
    fn keeps(&self, kind: MediaKind) -> bool {
        self.rulebook.current().keeps(kind)
    }

    /// Deletes the copies of a recording at the source.
    pub(super) async fn erase(&self, lease: &Lease<RecordingId>) -> Result<(), Setback> {
        self.erase_copies(lease)
            .await
            .map_err(|trouble| self.bear(lease, trouble))
    }

    async fn erase_copies(&self, lease: &Lease<RecordingId>) -> Result<(), Trouble> {
        let Some(recording) = recordings::find(&mut self.db.read().await?, lease.subject).await?
        else {
            return Ok(self.queue.drop_work(lease).await?);
        };
        let accounts = self.twilio.accounts();
        let Some(account) = accounts
            .get(recording.account())
            .filter(|account| is_to_be_deleted(account, &recording))
        else {
            // Copies of this account are not to be deleted, or the account is no longer configured.
            // The receipt states that the result is unknown.
            return Ok(self.source_settled(lease, &[], Removal::Unknown).await?);
        };
        if recording.state == RecordingState::Sealed {
            self.may_rely_on_its_own(account, &recording).await?;
        }
        let (done, changed, gone_at): Attempt = match recording.kind() {
            MediaKind::Message => {
                let mut copies = MessageCopies::of(self, account, &recording).await?;
                (copies.delete().await, copies.changed(), copies.gone_at())
            }
            MediaKind::ChatMessage => {
                let mut copies = ChatCopies::of(self, account, &recording).await?;
                (copies.delete().await, copies.changed(), copies.gone_at())
            }
            MediaKind::VideoTrack | MediaKind::VideoComposition => {
                let mut copies = VideoCopies::of(self, account, &recording).await?;
                (copies.delete().await, copies.changed(), copies.gone_at())
            }
            MediaKind::CallAudio => self.erase_call(account, &recording).await?,
        };
        if let Err(trouble) = done {
            self.note_source(recording.id, &changed).await?;
            return Err(trouble);
        }
        let source = gone_at.map_or(Removal::Unknown, Removal::Removed);
        match self.source_settled(lease, &changed, source).await {
            // A shred came in between and requested the same deletion again; copies that are
            // deleted by now stay deleted.
            Err(error @ Error::Vault(vault::Error::Db(db::Error::LeaseLost))) => {
                self.note_source(recording.id, &changed).await?;
                Err(error.into())
            }
            settled => {
                settled?;
                self.wakeups.journal.notify_one();
                Ok(())
            }
        }
    }

    /// Deletes the copies of a call's recording, and what a session has of the call.
    async fn erase_call(
        &self,
        account: &Account,
        recording: &Recording,
    ) -> Result<Attempt, Trouble> {
        let mut copies = Copies::of(self, account, recording).await?;
        let done = copies.delete().await;
        let attempt = (done, copies.changed(), copies.gone_at());
        if attempt.0.is_err() || !matches!(recording.thread, Some(Conversation::Session(_))) {
            return Ok(attempt);
        }
        self.note_source(recording.id, &attempt.1).await?;
        let Some(mut call) = MessageCopies::of_call(self, account, recording).await? else {
            return Ok(attempt);
        };
        let done = call.delete_call().await;
        let gone_at = call.gone_at().filter(|_| copies.is_all_listed());
        Ok((done, call.changed(), gone_at))
    }

    /// Checks, for a sealed recording, that the vault no longer needs the source.
    async fn may_rely_on_its_own(
        &self,
        account: &Account,
        recording: &Recording,
    ) -> Result<(), Trouble> {
        match self.clock.believed().await {
            // It is deleted by date, which a wrong clock may have reached too early.
            Err(Error::Conflict(why)) => return Err(Trouble::Stuck(why)),
            believed => believed?,
        };
        let sealed = recordings::artefacts(&mut self.db.read().await?, recording.id).await?;
        let has_words = sealed.iter().any(|sealed| sealed.artefact.is_text());
        let files = sealed
            .iter()
            .filter(|sealed| matches!(sealed.artefact, Artefact::Media(_)))
            .count();
        if files < usize::from(recording.files) {
            return Err(Trouble::NotYet("a file of it is still to be fetched"));
        }
        let awaited_until = recording
            .sealed_at
            .unwrap_or(recording.announced_at)
            .after(account.await_transcript());
        let may_have_words = recording.kind() == MediaKind::CallAudio;
        if may_have_words && !has_words && awaited_until > self.clock.now() {
            return Err(Trouble::Until(
                awaited_until,
                "the deletion waits for its transcript",
            ));
        }
        match self.vault.read_back(recording).await {
            Ok(()) => Ok(()),
            Err(
                error @ (vault::Error::Altered
                | vault::Error::CiphertextMissing(_)
                | vault::Error::Seal(_)
                | vault::Error::WrongKey
                | vault::Error::Store(
                    store::Error::NotFound { .. } | store::Error::OutOfRange { .. },
                )),
            ) => Err(Trouble::Stuck(format!(
                "nothing is deleted, because the vault's own copy cannot be verified: {error}"
            ))),
            Err(other) => Err(Error::from(other).into()),
        }
    }
}

/// The result of an attempt, the copies that it changed, and when the last copy was gone.
type Attempt = (Result<(), Trouble>, Vec<SourceCopy>, Option<Timestamp>);

/// Returns whether the account wants the source's copies of this recording deleted now.
fn is_to_be_deleted(account: &Account, recording: &Recording) -> bool {
    match (account.delete_source(), recording.state) {
        (DeleteSource::Never, _) => false,
        (_, RecordingState::Shredded) => true,
        (DeleteSource::AfterSealing, RecordingState::Sealed) => {
            is_deleted_after_sealing(recording.kind())
        }
        _ => false,
    }
}
