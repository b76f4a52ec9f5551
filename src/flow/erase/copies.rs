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

mod list;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{super::Flow, Trouble};
use crate::{
    ledger::sources,
    model::{
        crash,
        recording::{Recording, State},
        source::{CopyKind, CopyState, SourceCopy},
        time::Timestamp,
    },
    twilio::{Account, RestError, rest::RecordingResource},
};

/// For so long Twilio keeps the metadata of a deleted recording.
const METADATA: Duration = Duration::from_secs(40 * 24 * 3600);
/// Rounds of deleting what is listed and listing it again, before the rest is left to another
/// attempt.
const ROUNDS: usize = 3;

/// A copy by name.
type Name = (CopyKind, String);

/// One attempt, and what it has come to so far.
pub(super) struct Copies<'a> {
    flow: &'a Flow,
    account: &'a Account,
    recording: &'a Recording,
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
        flow: &'a Flow,
        account: &'a Account,
        recording: &'a Recording,
    ) -> Result<Self, Trouble> {
        let known = sources::of(&mut flow.0.ledger.read().await?, recording.id).await?;
        let known = known
            .into_iter()
            .map(|copy| ((copy.kind, copy.sid.clone()), copy))
            .collect();
        Ok(Self {
            flow,
            account,
            recording,
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
        (!is_left && self.unlisted.is_empty()).then(|| gone.unwrap_or_else(|| self.flow.now()))
    }

    /// Deletes everything that can be deleted. When this returns well, every copy is settled.
    pub(super) async fn delete(&mut self) -> Result<(), Trouble> {
        let is_shredded = self.recording.state == State::Shredded;
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
            .flow
            .0
            .client
            .recording(self.account, &self.recording.source_sid, true)
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

    /// Enters what is there, before anything is deleted: whatever dies then, the ledger knows what
    /// was to be deleted.
    async fn enter(&mut self, found: &Found, listed: &BTreeSet<Name>) -> Result<(), Trouble> {
        let mut names: Vec<Name> = listed.iter().cloned().collect();
        let told = sources::told(
            &mut self.flow.0.ledger.read().await?,
            &self.recording.account,
            &self.recording.source_sid,
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
        let now = self.flow.now();
        let mut new = Vec::new();
        for (kind, sid) in names {
            if !self.known.contains_key(&(kind, sid.clone())) {
                let copy = SourceCopy::found(kind, sid, now);
                self.known
                    .insert((copy.kind, copy.sid.clone()), copy.clone());
                new.push(copy);
            }
        }
        Ok(self
            .flow
            .0
            .vault
            .note_source(self.recording.id, &new)
            .await?)
    }

    /// Whether something of what is to be deleted is still to be fetched.
    async fn awaits_words(&self) -> Result<bool, Trouble> {
        let sids: BTreeSet<String> = self.words().map(|(_, sid)| sid.clone()).collect();
        let account = &self.recording.account;
        let sid = &self.recording.source_sid;
        Ok(sources::awaits(&mut self.flow.0.ledger.read().await?, account, sid, &sids).await?)
    }

    /// Ends a recording that is still being made. What it comes to can be deleted once it is
    /// complete; the source tells of that.
    async fn stop(&self, resource: &RecordingResource) -> Result<(), Trouble> {
        let client = &self.flow.0.client;
        let account = self.account;
        let recording = self.recording;
        let conference = recording
            .conference
            .as_ref()
            .or(resource.conference_sid.as_ref());
        let call = recording.call.as_ref().or(resource.call_sid.as_ref());
        let stopped = match (conference, call) {
            (Some(conference), _) => {
                client
                    .stop_conference_recording(account, conference, &recording.source_sid)
                    .await
            }
            (None, Some(call)) => {
                client
                    .stop_recording(account, call, &recording.source_sid)
                    .await
            }
            (None, None) => {
                return Err(Trouble::NotYet(
                    "the recording is still being made, of an unknown call",
                ));
            }
        };
        match stopped {
            Ok(_) => {
                self.flow.0.vault.note_stopped(recording.id).await?;
                Err(Trouble::NotYet(
                    "the recording was stopped, and is not complete yet",
                ))
            }
            // The call ended by itself.
            Err(RestError::NotFound | RestError::Refused { .. }) => Err(Trouble::NotYet(
                "the call is over, and its recording not complete yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// Deletes words, and lists them again until none is left.
    async fn delete_words(
        &mut self,
        mut listed: BTreeSet<Name>,
        below: bool,
    ) -> Result<(), Trouble> {
        for _ in 0..ROUNDS {
            let open: Vec<Name> = self.words().cloned().collect();
            if open.is_empty() {
                return Ok(());
            }
            for name in open {
                let is_there = self
                    .known
                    .get(&name)
                    .is_some_and(|copy| copy.state != CopyState::Deleted);
                if is_there || listed.contains(&name) {
                    let answer = self.delete_word(&name).await;
                    self.believe(Product::of(name.0), answer).await?;
                    self.mark_deleted(&name);
                    crash::point("erase.deleted");
                }
            }
            listed = self.list(below).await?;
            self.enter(&Found::Settled, &listed).await?;
            let open: Vec<Name> = self
                .words()
                .filter(|name| !listed.contains(*name))
                .cloned()
                .collect();
            for name in open {
                if self
                    .known
                    .get(&name)
                    .is_none_or(|copy| copy.state != CopyState::Deleted)
                {
                    continue;
                }
                if self.unlisted.contains(&name.0) {
                    // It was taken, and nobody says that it is gone.
                    self.set(&name, |copy| copy.state = CopyState::Left);
                } else {
                    self.mark_confirmed(&name, None);
                }
            }
        }
        if self.words().next().is_none() {
            Ok(())
        } else {
            Err(Trouble::NotYet(
                "the source still lists what it was told to delete",
            ))
        }
    }

    async fn delete_word(&self, (kind, sid): &Name) -> Result<(), RestError> {
        const NO_SID: RestError = RestError::Shape("an id of it is not one");
        let client = &self.flow.0.client;
        let account = self.account;
        match kind {
            CopyKind::Transcription => {
                client
                    .delete_transcription(account, &sid.parse().map_err(|_| NO_SID)?)
                    .await
            }
            CopyKind::AddOn => {
                client
                    .delete_add_on(
                        account,
                        &self.recording.source_sid,
                        &sid.parse().map_err(|_| NO_SID)?,
                    )
                    .await
            }
            CopyKind::Transcript => {
                client
                    .delete_transcript(account, &sid.parse().map_err(|_| NO_SID)?)
                    .await
            }
            CopyKind::Recording | CopyKind::Object => Ok(()),
        }
    }

    /// The sound in a bucket of the customer's. Where no bucket is configured, or its credential
    /// may not delete, it is left, and told as that.
    async fn delete_object(&mut self, address: &str) -> Result<(), Trouble> {
        let name = object_name(address);
        if self
            .known
            .get(&name)
            .is_some_and(|copy| copy.state == CopyState::Confirmed)
        {
            return Ok(());
        }
        match self
            .flow
            .0
            .client
            .delete_object(self.account, address)
            .await
        {
            Ok(()) => self.mark_deleted(&name),
            Err(RestError::NotFound) => {}
            Err(error @ RestError::Refused { .. }) => {
                tracing::error!(recording = %self.recording.id, %error, "the sound in a bucket is left there: the vault cannot delete it");
                self.set(&name, |copy| copy.state = CopyState::Left);
                return Ok(());
            }
            Err(other) => return Err(other.into()),
        }
        crash::point("erase.deleted");
        // The bucket is asked again, and has to say that there is no such object.
        match self
            .flow
            .0
            .client
            .delete_object(self.account, address)
            .await
        {
            Err(RestError::NotFound) => {
                self.mark_deleted(&name);
                self.mark_confirmed(&name, None);
                Ok(())
            }
            Ok(()) => Err(Trouble::NotYet(
                "the bucket still has the object that it was told to delete",
            )),
            Err(other) => Err(other.into()),
        }
    }

    async fn delete_recording(&mut self, found: &Found) -> Result<(), Trouble> {
        let name = self.own_name();
        let now = self.flow.now();
        match found {
            Found::Settled => return Ok(()),
            Found::Gone => {
                self.known
                    .entry(name.clone())
                    .or_insert_with(|| SourceCopy::found(CopyKind::Recording, name.1.clone(), now));
                self.mark_deleted(&name);
                self.mark_confirmed(&name, None);
                return Ok(());
            }
            Found::Deleted => {
                self.mark_deleted(&name);
                self.mark_confirmed(&name, Some(METADATA));
                return Ok(());
            }
            Found::Absent | Found::Running(_) | Found::Unfinished | Found::Complete(_) => {}
        }
        let answer = self
            .flow
            .0
            .client
            .delete_recording(self.account, &self.recording.source_sid)
            .await;
        if matches!(
            (found, &answer),
            (Found::Absent, Err(RestError::Refused { .. }))
        ) {
            // Twilio deletes only what is complete. There is nothing of this one but words about
            // it, and no day on which they go is published.
            self.mark_confirmed(&name, None);
            return Ok(());
        }
        self.believe(Product::Voice, answer).await?;
        self.mark_deleted(&name);
        crash::point("erase.deleted");
        match self.look().await? {
            Found::Deleted => self.mark_confirmed(&name, Some(METADATA)),
            Found::Gone => self.mark_confirmed(&name, None),
            _ => {
                return Err(Trouble::NotYet(
                    "the source does not say yet that the recording is deleted",
                ));
            }
        }
        Ok(())
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
                self.flow.0.client.opens_recordings(self.account).await,
                "recordings",
            ),
            Product::Intelligence => (
                self.flow.0.client.opens_transcripts(self.account).await,
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
        (CopyKind::Recording, self.recording.source_sid.to_string())
    }

    fn mark_deleted(&mut self, name: &Name) {
        let now = self.flow.now();
        self.set(name, |copy| {
            copy.state = CopyState::Deleted;
            if copy.deleted_at.is_none() {
                copy.deleted_at = Some(now);
            }
        });
    }

    fn mark_confirmed(&mut self, name: &Name, kept_for: Option<Duration>) {
        let now = self.flow.now();
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

fn object_name(address: &str) -> Name {
    (
        CopyKind::Object,
        hex::encode(aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            address.as_bytes(),
        )),
    )
}
