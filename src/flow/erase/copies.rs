//! One attempt at the copies of one recording: what is there is found, entered, deleted, and
//! confirmed.
//!
//! Owns the order: the evidence before the deed, words before the recording, and nothing counts as
//! gone that the source did not say.
//!
//! INVARIANT: "there is no such thing" is believed only after the same credential opened the
//! account's own things of the same product: recordings, or transcripts of Conversational
//! Intelligence. So a wrong credential, another account's, or a product that is not there never
//! looks like a deletion. What the source refuses to list is not known to be gone:
//! [`Copies::gone_at`] says nothing then.

mod delete;
mod list;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use self::delete::object_name;
use super::{SourceDeletion, trouble::Trouble};
use crate::{
    db::sources,
    model::{
        crash,
        recording::{Recording, RecordingState},
        sid::RecordingSid,
        source::{CopyKind, CopyState, SourceCopy},
        time::Timestamp,
    },
    twilio::{Account, RestError, rest::RecordingResource},
};

/// A copy by name.
type Name = (CopyKind, String);

/// One attempt, and what it has come to so far.
pub(super) struct Copies<'a> {
    deletion: &'a SourceDeletion,
    account: &'a Account,
    recording: &'a Recording,
    /// What the source calls the recording.
    sid: RecordingSid,
    known: BTreeMap<Name, SourceCopy>,
    changed: BTreeSet<Name>,
    /// The products of which the credential has shown in this attempt that it opens the account's
    /// own things.
    open: BTreeSet<Product>,
    /// Kinds of words of which the source did not say all that there is.
    unlisted: BTreeSet<CopyKind>,
    /// Whether another recording of its call is kept, or still to come: what was made of the whole
    /// call is that one's, too.
    shares_call: bool,
}

/// What is asked with one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Product {
    /// Recordings and what stands below them.
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

/// How the recording itself stands at the source.
enum Found {
    /// It was confirmed as deleted before.
    Settled,
    /// The source knows of no such thing.
    Gone,
    /// Deleted, and only words about it are kept.
    Deleted,
    /// There is no sound: too short, or silent.
    Absent,
    /// It is still being made.
    Running(Box<RecordingResource>),
    /// It is made, and not complete yet.
    Unfinished,
    /// It can be deleted, as far as one can see.
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
        let known = sources::of(&mut deletion.db.read().await?, recording.id).await?;
        let known = known
            .into_iter()
            .map(|copy| ((copy.kind, copy.sid.clone()), copy))
            .collect();
        Ok(Self {
            deletion,
            account,
            recording,
            sid,
            known,
            changed: BTreeSet::new(),
            open: BTreeSet::new(),
            unlisted: BTreeSet::new(),
            shares_call: false,
        })
    }

    /// What this attempt changed.
    pub(super) fn changed(&self) -> Vec<SourceCopy> {
        self.changed
            .iter()
            .filter_map(|name| self.known.get(name))
            .cloned()
            .collect()
    }

    /// When the last copy was gone; `None` if something is left that the vault cannot delete, or
    /// the source did not say what there is.
    pub(super) fn gone_at(&self) -> Option<Timestamp> {
        let gone = self
            .known
            .values()
            .filter_map(|copy| copy.deleted_at.or(copy.confirmed_at))
            .max();
        let is_left = self
            .known
            .values()
            .any(|copy| copy.state != CopyState::Confirmed);
        (!is_left && self.unlisted.is_empty())
            .then(|| gone.unwrap_or_else(|| self.deletion.clock.now()))
    }

    /// Deletes everything that can be deleted. When this returns well, every copy is settled.
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
            Found::Running(_) => return Err(Trouble::NotYet("the recording is still being made")),
            Found::Unfinished => {
                return Err(Trouble::NotYet("the source has not finished the recording"));
            }
            _ => {}
        }
        self.delete_words(listed, found.may_have_words()).await?;
        if let Found::Complete(resource) = &found
            && let Some(address) = resource.elsewhere(self.account)
        {
            self.delete_object(address).await?;
        }
        self.delete_recording(&found).await?;
        if !matches!(found, Found::Settled) {
            // What was made of it while it was deleted.
            let late = self.list(false).await?;
            self.enter(&Found::Settled, &late).await?;
            self.delete_words(late, false).await?;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Found, Trouble> {
        if self
            .known
            .get(&self.own_name())
            .is_some_and(|copy| copy.state == CopyState::Confirmed)
        {
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
            // Whatever else there may be: the source says whether it can be deleted.
            _ => Found::Complete(resource),
        })
    }

    /// Enters what is there, before anything is deleted: whatever dies then, the database knows what
    /// was to be deleted.
    async fn enter(&mut self, found: &Found, listed: &BTreeSet<Name>) -> Result<(), Trouble> {
        let mut names: Vec<Name> = listed.iter().cloned().collect();
        let told = sources::told(
            &mut self.deletion.db.read().await?,
            &self.recording.source_ref,
        )
        .await?;
        for name in told {
            if !listed.contains(&name)
                && !self.known.contains_key(&name)
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
        let now = self.deletion.clock.now();
        let mut new = Vec::new();
        for (kind, sid) in names {
            if !self.known.contains_key(&(kind, sid.clone())) {
                let copy = SourceCopy::found(kind, sid, now);
                self.known
                    .insert((copy.kind, copy.sid.clone()), copy.clone());
                new.push(copy);
            }
        }
        Ok(self.deletion.note_source(self.recording.id, &new).await?)
    }

    /// Whether something of what is to be deleted is still to be fetched.
    async fn awaits_words(&self) -> Result<bool, Trouble> {
        let sids: BTreeSet<String> = self.words().map(|(_, sid)| sid.clone()).collect();
        let source = &self.recording.source_ref;
        Ok(sources::awaits(&mut self.deletion.db.read().await?, source, &sids).await?)
    }

    /// The answer to a deletion, where "there is no such thing" is as good as done, if it can be
    /// believed.
    async fn believe(
        &mut self,
        product: Product,
        answer: Result<(), RestError>,
    ) -> Result<(), Trouble> {
        match answer {
            Err(RestError::NotFound) => self.must_open(product).await,
            other => Ok(other?),
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

    /// The words that are not settled.
    fn words(&self) -> impl Iterator<Item = &Name> {
        let is_word = |kind| {
            matches!(
                kind,
                CopyKind::Transcription | CopyKind::AddOn | CopyKind::Transcript
            )
        };
        self.known
            .iter()
            .filter(move |(name, copy)| is_word(name.0) && !copy.is_settled())
            .map(|(name, _)| name)
    }

    fn own_name(&self) -> Name {
        (CopyKind::Recording, self.sid.to_string())
    }

    fn mark_deleted(&mut self, name: &Name) {
        let now = self.deletion.clock.now();
        self.set(name, |copy| {
            copy.state = CopyState::Deleted;
            if copy.deleted_at.is_none() {
                copy.deleted_at = Some(now);
            }
        });
    }

    fn mark_confirmed(&mut self, name: &Name, kept_for: Option<Duration>) {
        let now = self.deletion.clock.now();
        self.set(name, |copy| {
            copy.state = CopyState::Confirmed;
            copy.confirmed_at = Some(now);
            copy.left_until = kept_for.map(|kept| copy.deleted_at.unwrap_or(now).after(kept));
        });
    }

    fn set(&mut self, name: &Name, change: impl FnOnce(&mut SourceCopy)) {
        if let Some(copy) = self.known.get_mut(name) {
            change(copy);
            self.changed.insert(name.clone());
        }
    }
}

impl Found {
    /// Whether words can be listed below it. Of a deleted recording that is not documented: it is
    /// tried, and "no such thing" counts as none.
    fn may_have_words(&self) -> bool {
        !matches!(self, Self::Settled | Self::Gone)
    }
}
