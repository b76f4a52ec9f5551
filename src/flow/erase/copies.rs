//! One attempt to delete the copies of one recording: copies are found, recorded, deleted, and
//! confirmed.
//!
//! Owns the order: evidence before deletion, text before the recording. A copy counts as deleted
//! only if the source confirms it.
//!
//! INVARIANT: a 404 is trusted only after the same credential has opened other resources of the
//! account in the same product: recordings, or transcripts of Conversational Intelligence. A wrong
//! credential, another account's credential, or an unavailable product therefore never looks like a
//! deletion. A copy that the source refuses to list is not known to be deleted: [`Copies::gone_at`]
//! returns `None` then.

mod delete;
mod list;

use std::collections::BTreeSet;

use super::{
    SourceDeletion,
    book::{CopyBook, CopyName},
    object::object_name,
    trouble::Trouble,
};
use crate::{
    db::sources,
    model::{
        crash,
        recording::{Recording, RecordingState},
        sid::RecordingSid,
        source::{CopyKind, SourceCopy},
        time::Timestamp,
    },
    twilio::{
        Account, RestError,
        rest::{Deletion, RecordingResource},
    },
};

/// One attempt and its progress.
pub(super) struct Copies<'a> {
    deletion: &'a SourceDeletion,
    account: &'a Account,
    recording: &'a Recording,
    /// The source's id of the recording.
    sid: RecordingSid,
    book: CopyBook<'a>,
    /// The products for which the credential has opened a resource of the account in this attempt.
    open: BTreeSet<Product>,
    /// Kinds of text copies that the source did not list completely.
    unlisted: BTreeSet<CopyKind>,
    /// Whether another recording of the call is kept or expected: transcripts of the whole call
    /// belong to that one, too.
    shares_call: bool,
}

/// The resources that share a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Product {
    /// Recordings and their subresources.
    Voice,
    /// Conversational Intelligence.
    Intelligence,
}

impl Product {
    fn of(kind: CopyKind) -> Self {
        if kind == CopyKind::Transcript {
            Self::Intelligence
        } else {
            Self::Voice
        }
    }
}

/// The state of the recording itself at the source.
enum Found {
    /// It was confirmed as deleted before.
    Settled,
    /// The source does not know it.
    Gone,
    /// Deleted, and only its metadata is kept.
    Deleted,
    /// It has no audio: too short, or silent.
    Absent,
    /// It is still in progress.
    Running(Box<RecordingResource>),
    /// It has ended and is not complete yet.
    Unfinished,
    /// It can probably be deleted.
    Complete(Box<RecordingResource>),
}

impl<'a> Copies<'a> {
    pub(super) async fn of(
        deletion: &'a SourceDeletion,
        account: &'a Account,
        recording: &'a Recording,
    ) -> Result<Self, Trouble> {
        let sid = recording.source_ref.recording_sid();
        let sid = sid.map_err(|error| Trouble::Stuck(error.to_string()))?;
        Ok(Self {
            deletion,
            account,
            recording,
            sid,
            book: CopyBook::of(deletion, recording.id).await?,
            open: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            shares_call: false,
        })
    }

    /// Returns the copies that this attempt changed.
    pub(super) fn changed(&self) -> Vec<SourceCopy> {
        self.book.changed()
    }

    /// Returns when the last copy was gone; `None` if a copy is left that the vault cannot delete,
    /// or the source did not list all copies.
    pub(super) fn gone_at(&self) -> Option<Timestamp> {
        self.book.gone_at().filter(|_| self.is_all_listed())
    }

    /// Returns whether the source listed all copies.
    pub(super) fn is_all_listed(&self) -> bool {
        self.unlisted.is_empty()
    }

    /// Deletes every copy that can be deleted. On `Ok`, every copy is settled.
    pub(super) async fn delete(&mut self) -> Result<(), Trouble> {
        let is_shredded = self.recording.state == RecordingState::Shredded;
        let found = self.look().await?;
        self.shares_call = self.shares_its_call().await?;
        let listed = self.list(found.may_have_words()).await?;
        self.enter(&found, &listed).await?;
        crash::point("erase.listed");
        if !is_shredded && self.awaits_words().await? {
            return Err(Trouble::NotYet("a transcript of it is still to be fetched"));
        }
        match &found {
            Found::Running(resource) if is_shredded => return self.stop(resource).await,
            Found::Running(_) => return Err(Trouble::NotYet("the recording is still in progress")),
            Found::Unfinished => {
                return Err(Trouble::NotYet("the source has not finished the recording"));
            }
            _ => {}
        }
        self.delete_words(listed, found.may_have_words()).await?;
        if let Found::Complete(resource) = &found
            && let Some(address) = resource.elsewhere(self.account)
        {
            self.book.delete_object(self.account, address).await?;
        }
        self.delete_recording(&found).await?;
        if !matches!(found, Found::Settled) {
            // Copies that were made during the deletion.
            let late = self.list(false).await?;
            self.enter(&Found::Settled, &late).await?;
            self.delete_words(late, false).await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Found, Trouble> {
        if self.book.is_confirmed(&self.own_name()) {
            return Ok(Found::Settled);
        }
        let resource = match self
            .deletion
            .twilio
            .client
            .recording(self.account, &self.sid, true)
            .await
        {
            Ok(resource) => Box::new(resource),
            Err(RestError::NotFound) => {
                self.must_open(Product::Voice).await?;
                return Ok(Found::Gone);
            }
            Err(other) => return Err(other.into()),
        };
        Ok(match resource.status.as_str() {
            "deleted" => Found::Deleted,
            "absent" => Found::Absent,
            "in-progress" | "paused" => Found::Running(resource),
            "processing" | "stopped" => Found::Unfinished,
            // Any other status: the source refuses the deletion if it is not possible.
            _ => Found::Complete(resource),
        })
    }

    /// Records the copies before anything is deleted, so that after a crash the database knows what
    /// was to be deleted.
    async fn enter(&mut self, found: &Found, listed: &BTreeSet<CopyName>) -> Result<(), Trouble> {
        if matches!(found, Found::Gone | Found::Deleted) {
            let own = self.own_name();
            self.book.enter_untold(self.account, &own).await?;
        }
        let mut names: Vec<CopyName> = listed.iter().cloned().collect();
        let told = sources::told(
            &mut self.deletion.db.read().await?,
            &self.recording.source_ref,
        )
        .await?;
        for name in told {
            if !listed.contains(&name)
                && !self.book.known.contains_key(&name)
                && !self.is_another_ones_too(&name).await?
            {
                names.push(name);
            }
        }
        if !matches!(found, Found::Settled | Found::Gone) {
            names.push(self.own_name());
        }
        if let Found::Complete(resource) = found {
            names.extend(resource.elsewhere(self.account).map(object_name));
        }
        Ok(self.book.enter(names).await?)
    }

    /// Returns whether a transcript that is to be deleted still has to be fetched.
    async fn awaits_words(&self) -> Result<bool, Trouble> {
        let sids: BTreeSet<String> = self.words().map(|(_, sid)| sid.clone()).collect();
        let source = &self.recording.source_ref;
        Ok(sources::awaits(&mut self.deletion.db.read().await?, source, &sids).await?)
    }

    /// Converts the answer to a deletion: a 404 counts as deleted if it can be trusted.
    async fn believe(
        &mut self,
        name: &CopyName,
        answer: Result<Deletion, RestError>,
    ) -> Result<(), Trouble> {
        match answer? {
            Deletion::Deleted => Ok(()),
            Deletion::Gone => self.must_open(Product::of(name.0)).await,
            Deletion::NotYet => Err(self.book.not_deletable_yet(name)),
            Deletion::Refused { status, code } => Err(RestError::Refused { status, code }.into()),
        }
    }

    async fn must_open(&mut self, product: Product) -> Result<(), Trouble> {
        if self.open.contains(&product) {
            return Ok(());
        }
        let (opened, what) = match product {
            Product::Voice => (
                self.deletion
                    .twilio
                    .client
                    .opens_recordings(self.account)
                    .await,
                "recordings",
            ),
            Product::Intelligence => (
                self.deletion
                    .twilio
                    .client
                    .opens_transcripts(self.account)
                    .await,
                "Conversational Intelligence transcripts",
            ),
        };
        match opened {
            Ok(()) => {
                self.open.insert(product);
                Ok(())
            }
            Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                Err(Trouble::Stuck(format!(
                    "the credential does not open the {what} of the account, so a 404 does not prove a deletion: {error}"
                )))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Returns the text copies that are not settled.
    fn words(&self) -> impl Iterator<Item = &CopyName> {
        let is_word = |kind| {
            matches!(
                kind,
                CopyKind::Transcription | CopyKind::AddOn | CopyKind::Transcript
            )
        };
        self.book
            .known
            .iter()
            .filter(move |(name, copy)| is_word(name.0) && !copy.is_settled())
            .map(|(name, _)| name)
    }

    fn own_name(&self) -> CopyName {
        (CopyKind::Recording, self.sid.to_string())
    }
}

impl Found {
    /// Returns whether text copies can be listed below it. For a deleted recording this is
    /// undocumented: it is tried, and a 404 counts as none.
    fn may_have_words(&self) -> bool {
        !matches!(self, Self::Settled | Self::Gone)
    }
}
