//! Fetching of messages that were announced without their text: outgoing ones, and those that only
//! the source's list named.
//!
//! Owns the order: text, tier, seal, entry. Refuses to know how the source is asked (`twilio`).

use std::sync::Arc;

use super::{
    MessageIntake,
    chats::{
        ChatIntake, attributes_of, present_edit,
        source::{self, ChatSource},
        states::MessageState,
    },
    commit::follow_entering,
    erase_at,
    likeness::{Likeness, find_alike},
    tier::content_tiers,
    told::{LINE, contact_of, form_of, leg},
};
use crate::{
    db::{
        self, Db,
        outbox::OutboxKind,
        parties,
        work::{self, Lease},
    },
    flow::{
        erasure::revocation::close::close_arriving,
        error::Error,
        ingest::{failure::FetchFailure, fetched::Fetched, keep::lets_go_unheard},
        reclassification::Reclassification,
        twilio_access::TwilioAccess,
        units::unit_with_keys,
        wakeups::Wakeups,
    },
    model::{
        details::Participant,
        id::RecordingId,
        media::MediaKind,
        name::Tier,
        recording::{Recording, RecordingState},
        subject::{Address, Conversation},
        time::Clock,
        transcript::Transcript,
    },
    policy::Rulebook,
    twilio::{FetchError, MessageAddress, rest::MessageResource},
    vault::{self, SealedMessage, Vault},
};

/// Fetches and seals messages.
pub(in crate::flow) struct MessageFetching {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    wakeups: Wakeups,
    reclassification: Arc<Reclassification>,
    intake: Arc<MessageIntake>,
    chats: Arc<ChatIntake>,
}

impl MessageFetching {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a dependency of its own, given once by the assembly"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        wakeups: Wakeups,
        reclassification: Arc<Reclassification>,
        intake: Arc<MessageIntake>,
        chats: Arc<ChatIntake>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            twilio,
            wakeups,
            reclassification,
            intake,
            chats,
        }
    }

    /// Fetches and seals the announced message of a lease.
    pub(in crate::flow) async fn fetch(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
    ) -> Result<Fetched, FetchFailure> {
        let ours = FetchFailure::Ours;
        if self
            .intake
            .admission()
            .is_revoked(recording)
            .await
            .map_err(ours)?
        {
            return Ok(Fetched::LetGo);
        }
        if let Some(why) = lets_go_unheard(&self.rulebook, recording) {
            let gone = self.intake.admission().let_go(recording.id, why).await;
            gone.map_err(ours)?;
            return Ok(Fetched::LetGo);
        }
        if recording.state == RecordingState::Sealed && recording.removed_at.is_some() {
            return Ok(Fetched::Nothing);
        }
        let fetched = match recording.kind() {
            MediaKind::ChatMessage => self.chat_message(recording).await?,
            _ => self.message(recording).await?,
        };
        if recording.state == RecordingState::Sealed {
            self.add(lease, recording, &fetched).await.map_err(ours)?;
            return Ok(Fetched::Sealed);
        }
        let placed = self.place(recording, &fetched).await.map_err(ours)?;
        let Some(recording) = &placed else {
            return Ok(Fetched::LetGo);
        };
        self.raise(recording, &fetched).await.map_err(ours)?;
        let text = fetched.text.to_json();
        let state = fetched.state();
        let sealed = self
            .vault
            .seal_message(recording.id, state.content(&text))
            .await;
        let sealed = sealed.map_err(|error| ours(error.into()))?;
        let entered = self.enter(lease, recording, &fetched, &sealed);
        match entered.await {
            Ok(()) => {
                self.wakeups.journal.notify_one();
                Ok(Fetched::Sealed)
            }
            Err(error) => {
                // Discarded immediately only if the transaction certainly did not commit.
                if did_not_commit(&error) {
                    for object in sealed.objects() {
                        self.vault.delete_orphan(object).await;
                    }
                }
                // Revoked during the fetch.
                let is_gone = matches!(error, Error::Vault(vault::Error::Gone));
                if is_gone
                    && self
                        .intake
                        .admission()
                        .is_revoked(recording)
                        .await
                        .map_err(ours)?
                {
                    return Ok(Fetched::LetGo);
                }
                Err(ours(error))
            }
        }
    }

    /// Notes the thread of a message that was announced without one, in which a revocation may
    /// cover it. Returns the message with it; `None` if it is let go.
    async fn place(
        &self,
        recording: &Recording,
        fetched: &FetchedMessage,
    ) -> Result<Option<Recording>, Error> {
        let Some(thread) = fetched
            .thread
            .as_ref()
            .filter(|_| recording.thread.is_none())
        else {
            return Ok(Some(recording.clone()));
        };
        let noted = self.db.unit("messages.placed", async |mut unit| {
            unit.without_entry("the thread of a message is no act");
            db::recordings::set_thread(&mut unit, recording.id, thread).await?;
            unit.to_journal(OutboxKind::Recording, &[recording.id], self.clock.now());
            db::recordings::find(&mut unit, recording.id).await
        });
        let Some(placed) = noted.await? else {
            return Ok(None);
        };
        let is_revoked = self.intake.admission().is_revoked(&placed).await?;
        Ok((!is_revoked).then_some(placed))
    }

    /// Fetches a message of Programmable Messaging.
    async fn message(&self, recording: &Recording) -> Result<FetchedMessage, FetchFailure> {
        let resource = self.resource(recording).await?;
        let author = recording.author.clone().unwrap_or_else(|| leg(LINE));
        let thread = self.intake.place(recording.account(), &resource).await;
        let ends = [&resource.from, &resource.to];
        Ok(FetchedMessage {
            text: Transcript::written(body(&resource), &author),
            further: Vec::new(),
            form: form(&resource),
            parties: contact(&resource).map(contact_of).into_iter().collect(),
            ends: ends
                .into_iter()
                .flatten()
                .filter_map(|end| end.address().cloned())
                .collect(),
            files: resource.num_media.unwrap_or_default(),
            thread: thread.map_err(FetchFailure::Ours)?,
            edit: None,
        })
    }

    /// Fetches a message of a chat, in its present state.
    async fn chat_message(&self, recording: &Recording) -> Result<FetchedMessage, FetchFailure> {
        let ours = FetchFailure::Ours;
        let source = ChatSource::of(&self.twilio, &self.db);
        let message = source.message(recording).await?;
        let author = self.chats.author(recording.account(), &message).await;
        let author = author.map_err(ours)?;
        let body = message.body.as_ref().map_or("", |body| body.expose());
        Ok(FetchedMessage {
            text: Transcript::written(body, &author.leg),
            further: attributes_of(&message, &author.leg),
            form: source::form(&message),
            parties: author.participant().into_iter().collect(),
            ends: author.address.into_iter().collect(),
            files: i64::try_from(message.media.len()).unwrap_or(i64::MAX),
            thread: recording.thread.clone(),
            edit: present_edit(&message),
        })
    }

    async fn resource(&self, recording: &Recording) -> Result<MessageResource, FetchFailure> {
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .ok_or(FetchFailure::UnknownAccount)?;
        let sid = recording.source_ref.sid().parse();
        let sid = sid.map_err(|_| FetchFailure::Source(FetchError::NotYet))?;
        let told = self.twilio.client.message(account, &sid).await;
        told.map_err(|error| FetchFailure::Source(error.into()))
    }

    /// Adds the present state of a message that is sealed already.
    async fn add(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
        fetched: &FetchedMessage,
    ) -> Result<(), Error> {
        self.chats.add(recording.id, &fetched.state()).await?;
        let done = self.db.unit("messages.added", async |mut unit| {
            unit.without_entry("a new state has an entry of its own");
            work::finish(&mut unit, lease).await
        });
        Ok(done.await?)
    }

    /// Moves the message to the tier of its numbers and its content, before anything of it is
    /// sealed.
    async fn raise(&self, recording: &Recording, fetched: &FetchedMessage) -> Result<(), Error> {
        self.reclassification
            .reclassify_by_lines(recording, &fetched.ends)
            .await?;
        let rules = self.rulebook.current();
        let texts = fetched.further.iter().chain([&fetched.text]);
        let tiers = texts.flat_map(|text| content_tiers(rules, text));
        let tiers: Vec<Tier> = tiers.cloned().collect();
        if tiers.is_empty() {
            return Ok(());
        }
        self.reclassification
            .raise(
                recording.id,
                |recording| rules.raised(recording, &tiers).cloned(),
                &["content"],
            )
            .await?;
        Ok(())
    }

    fn likeness(&self, recording: &Recording, fetched: &FetchedMessage) -> Option<Likeness> {
        let rules = self.rulebook.current();
        let (account, id) = (recording.account(), recording.id);
        Likeness::of(
            rules,
            &self.vault,
            account,
            id,
            &fetched.parties,
            &fetched.text,
        )
    }

    async fn enter(
        &self,
        lease: &Lease<RecordingId>,
        recording: &Recording,
        fetched: &FetchedMessage,
        sealed: &SealedMessage,
    ) -> Result<(), Error> {
        let erase_at = erase_at(&self.twilio, &recording.source_ref, self.clock.now());
        unit_with_keys(&self.db, &self.vault, "messages.enter", async |mut unit| {
            let now = self.clock.now();
            let unit = &mut unit;
            let threads: Vec<Conversation> = fetched
                .thread
                .as_ref()
                .or(recording.thread.as_ref())
                .cloned()
                .into_iter()
                .collect();
            parties::share(unit, [recording.account()], &threads).await?;
            db::recordings::set_files(unit, recording.id, fetched.files).await?;
            if let Some(thread) = &fetched.thread {
                db::recordings::set_thread(unit, recording.id, thread).await?;
            }
            let entered = self.vault.enter_messages(unit, &[sealed]).await?;
            let [recording] = entered.as_slice() else {
                return Err(db::Error::Stale("the message is not waiting to be sealed").into());
            };
            work::finish(unit, lease).await?;
            let likeness = self.likeness(recording, fetched);
            find_alike(unit, &entered, likeness.into_iter().collect(), now).await?;
            follow_entering(unit, &self.rulebook, &entered, |_| erase_at, now).await?;
            match close_arriving(unit, &self.rulebook, recording, now).await? {
                Some(_) => Err(vault::Error::Gone.into()),
                None => Ok(()),
            }
        })
        .await
    }
}

/// A message as the source has it now.
struct FetchedMessage {
    form: zeroize::Zeroizing<Vec<u8>>,
    text: Transcript,
    further: Vec<Transcript>,
    parties: Vec<Participant>,
    /// The addresses by which rules for numbers apply.
    ends: Vec<Address>,
    files: i64,
    thread: Option<Conversation>,
    edit: Option<u64>,
}

impl FetchedMessage {
    fn state(&self) -> MessageState<'_> {
        MessageState {
            form: &self.form,
            text: &self.text,
            further: &self.further,
            parties: &self.parties,
            edit: self.edit,
            is_present: true,
        }
    }
}

fn did_not_commit(error: &Error) -> bool {
    matches!(
        error,
        Error::Vault(
            vault::Error::Gone | vault::Error::Db(db::Error::Stale(_) | db::Error::LeaseLost)
        )
    )
}

fn body(resource: &MessageResource) -> &str {
    resource.body.as_ref().map_or("", |body| body.expose())
}

/// Returns the end that is not the account's own.
fn contact(resource: &MessageResource) -> Option<&MessageAddress> {
    if resource.is_inbound() {
        resource.from.as_ref()
    } else {
        resource.to.as_ref()
    }
}

/// Returns the message as the source's list states it, in the form of a callback.
fn form(resource: &MessageResource) -> zeroize::Zeroizing<Vec<u8>> {
    let address = |end: &Option<MessageAddress>| {
        end.as_ref()
            .map(|address| address.expose().to_owned())
            .unwrap_or_default()
    };
    let sent = resource.date_sent.map(|at| at.to_string());
    form_of(
        &[
            ("MessageSid", resource.sid.to_string()),
            ("Direction", resource.direction.clone()),
            ("MessageStatus", resource.status.clone()),
            ("From", address(&resource.from)),
            ("To", address(&resource.to)),
            ("Body", body(resource).to_owned()),
            (
                "NumMedia",
                resource.num_media.unwrap_or_default().to_string(),
            ),
            ("DateSent", sent.unwrap_or_default()),
        ]
        .map(|(name, value)| (name, zeroize::Zeroizing::new(value))),
    )
}
