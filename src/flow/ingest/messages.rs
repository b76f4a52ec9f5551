//! Messages that the source delivers whole: sealed and durable before it is answered.
//!
//! Owns the order: whether the policy keeps messages, the thread and its parties, the tier, the
//! seal, the commit. Refuses to know what a message means for consent (`consent::message`).
//! INVARIANT: where the policy keeps messages, an answer of success means that this one is sealed
//! and in the database: on some accounts the callback is its only copy.

pub(in crate::flow) mod chats;
pub(in crate::flow) mod commit;
pub(in crate::flow) mod events;
pub(in crate::flow) mod fetch;
pub(in crate::flow) mod files;
pub(in crate::flow) mod interactions;
mod likeness;
mod naming;
pub(in crate::flow) mod notice;
mod tier;
mod told;

use std::{sync::Arc, time::Duration};

use zeroize::{Zeroize as _, Zeroizing};

use self::{
    commit::{ArrivingMessage, MessageSender},
    likeness::Likeness,
    tier::{further_texts, tier_of},
    told::{CONTACT, LINE, MessageTold, Told, author_of, ends, group_of, leg},
};
use crate::{
    db::{
        Db,
        accept::{Acceptor, Announcement},
    },
    flow::{
        consent::parties::PartyRegister, error::Error, ingest::keep::Admission,
        reclassification::Reclassification, twilio_access::TwilioAccess, wakeups::Wakeups,
    },
    model::{
        media::{MediaKind, SourceRef},
        recording::DiscoveredBy,
        sid::AccountSid,
        source::SourceCopy,
        subject::{Address, Conversation},
        time::{Clock, Timestamp},
        transcript::Transcript,
    },
    policy::{ClassificationFacts, Rulebook, Rules},
    twilio::{
        DeleteSource, IncomingMessage, MessageAddress, MessageStatusCallback, ReceivedForm,
        rest::MessageResource,
    },
    vault::{MessageContent, Vault},
};

/// Keeps messages.
pub struct MessageIntake {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    twilio: Arc<TwilioAccess>,
    parties: Arc<PartyRegister>,
    admission: Arc<Admission>,
    reclassification: Arc<Reclassification>,
    acceptor: Acceptor,
    queue: MessageSender,
}

impl MessageIntake {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a dependency of its own, given once by the assembly"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        wakeups: Wakeups,
        twilio: Arc<TwilioAccess>,
        parties: Arc<PartyRegister>,
        admission: Arc<Admission>,
        reclassification: Arc<Reclassification>,
        acceptor: Acceptor,
        queue: MessageSender,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            twilio,
            parties,
            admission,
            reclassification,
            acceptor,
            queue,
        }
    }

    /// Decides which messages are not kept.
    fn admission(&self) -> Arc<Admission> {
        Arc::clone(&self.admission)
    }

    /// Keeps a message, if the policy in force keeps messages. When this returns, it is sealed and
    /// durable; repeating it changes nothing.
    ///
    /// # Errors
    /// [`crate::db::Error::Unavailable`] inside: it is not durable, and the source should send it
    /// again; the store's, for a long one.
    pub async fn keep(&self, message: &IncomingMessage) -> Result<(), Error> {
        let rules = self.rulebook.current();
        if !rules.keeps(MediaKind::Message) {
            return Ok(());
        }

        let told = MessageTold::incoming(message);
        self.seal_message(rules, &told, &message.body, &message.form)
            .await
    }

    /// Seals a message that was delivered with its content, and makes it durable.
    async fn seal_message(
        &self,
        rules: &Rules,
        told: &MessageTold<'_>,
        body: &str,
        form: &ReceivedForm,
    ) -> Result<(), Error> {
        let mut announcement = self.message_announcement(rules, told);
        let parties = self.name(&announcement, told).await?;
        let author = author_of(told, &parties);
        announcement.author = Some(author.clone());
        let text = Transcript::written(body, &author);
        let ends = told.persons().chain([told.line]);
        let ends: Vec<&Address> = ends.filter_map(MessageAddress::address).collect();
        let further = further_texts(form, &author);
        let tier = tier_of(rules, &announcement, &ends, further.iter().chain([&text]));
        let content = MessageContent {
            form: form.as_bytes(),
            text: &text.to_json(),
            parties: parties.clone(),
            edit: None,
        };
        let in_group = group_of(told, &announcement, &author);
        let announcement = Announcement {
            tier,
            ..announcement
        };
        self.seal(announcement, content, Vec::new()).await?;
        match in_group {
            Some(message) => self.regroup(&message, &parties).await,
            None => Ok(()),
        }
    }

    /// Seals an announced message and makes it durable, unless it is sealed or shredded already.
    /// `copies` are those at the source that it told of besides the message itself.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) async fn seal(
        &self,
        announcement: Announcement,
        content: MessageContent<'_>,
        copies: Vec<SourceCopy>,
    ) -> Result<(), Error> {
        let erase_at = self.erase_at(&announcement.source_ref);
        let likeness = self.likeness(&announcement, &content);
        let sealed = self.vault.seal_message(announcement.id, content).await?;
        self.queue
            .send(ArrivingMessage {
                announcement,
                sealed,
                copies,
                erase_at,
                likeness,
            })
            .await?;
        self.wakeups.journal.notify_one();
        self.wakeups.work.notify_one();
        Ok(())
    }

    /// Returns what a message has in common with another recording of the same text.
    fn likeness(
        &self,
        announcement: &Announcement,
        content: &MessageContent<'_>,
    ) -> Option<Likeness> {
        let text = Transcript::parse(content.text).ok()?;
        let account = announcement.source_ref.account();
        let rules = self.rulebook.current();
        let parties = &content.parties;
        Likeness::of(rules, &self.vault, account, announcement.id, parties, &text)
    }

    /// Makes an announcement durable. The message is fetched if the source has it.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) async fn accept(&self, announcement: Announcement) -> Result<(), Error> {
        let id = announcement.id;
        let tier = announcement.tier.clone();
        self.acceptor.accept(announcement).await?;
        // Other news of the message may have come first, with a tier of its own.
        let rules = self.rulebook.current();
        let to = |recording: &_| rules.raised(recording, [&tier]).cloned();
        let raised = self.reclassification.raise(id, to, &["announcement"]);
        raised.await?;
        self.wakeups.work.notify_one();
        Ok(())
    }

    /// Makes the status of an outgoing message durable, if the policy in force keeps messages. The
    /// callback has no text, so the message is fetched once it was sent.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub async fn announce(&self, status: &MessageStatusCallback) -> Result<(), Error> {
        let rules = self.rulebook.current();
        if !rules.keeps(MediaKind::Message) {
            return Ok(());
        }

        let told = MessageTold {
            source_ref: status.source_ref(),
            line: &status.from,
            contact: &status.to,
            others: &[],
            author: LINE,
            status: &status.status,
            error_code: status.error_code,
            files: 0,
            query: &status.query,
            at: None,
        };
        self.announce_told(rules, &told).await
    }

    /// Makes what was told of a message without its content durable.
    async fn announce_told(&self, rules: &Rules, told: &MessageTold<'_>) -> Result<(), Error> {
        let mut announcement = self.message_announcement(rules, told);
        let parties = self.name(&announcement, told).await?;
        let author = author_of(told, &parties);
        let in_group = group_of(told, &announcement, &author);
        announcement.author = Some(author);
        self.accept(announcement).await?;
        if let Some(message) = in_group {
            self.regroup(&message, &parties).await?;
        }
        Ok(())
    }

    /// Whether the policy in force keeps messages.
    pub(in crate::flow) fn keeps(&self) -> bool {
        self.rulebook.current().keeps(MediaKind::Message)
    }

    /// Whether the policy in force keeps the recordings of calls.
    pub(in crate::flow) fn keeps_calls(&self) -> bool {
        self.rulebook.current().keeps(MediaKind::CallAudio)
    }

    /// Announces a message that the source lists and no callback told of. It is fetched.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(in crate::flow) async fn announce_listed(
        &self,
        account: &AccountSid,
        listed: &MessageResource,
    ) -> Result<(), Error> {
        let nobody = MessageAddress::parse("");
        let (line, contact) = ends(listed, &nobody);
        let Ok(source_ref) = SourceRef::parse(account.clone(), listed.sid.as_str()) else {
            return Ok(());
        };
        let rules = self.rulebook.current();
        let told = MessageTold {
            source_ref,
            line,
            contact,
            others: &[],
            author: if listed.is_inbound() { CONTACT } else { LINE },
            status: &listed.status,
            error_code: listed.error_code,
            files: usize::try_from(listed.num_media.unwrap_or_default()).unwrap_or_default(),
            query: &[],
            at: listed.date_sent,
        };
        let announcement = self.message_announcement(rules, &told);
        self.name(&announcement, &told).await?;
        self.accept(Announcement {
            heard_by: DiscoveredBy::Reconcile,
            ..announcement
        })
        .await
    }

    /// Returns the announcement of a message between a line and people.
    fn message_announcement(&self, rules: &Rules, told: &MessageTold<'_>) -> Announcement {
        let persons: Vec<&MessageAddress> = told.persons().collect();
        let now = self.clock.now();
        self.announcement(
            rules,
            &Told {
                source_ref: told.source_ref.clone(),
                thread: self.thread(told.source_ref.account(), told.line, &persons),
                source: told.contact.channel(),
                author: leg(told.author),
                status: told.status,
                error_code: told.error_code,
                files: told.files,
                query: told.query,
                at: told.at.map(|at| at.min(now)),
            },
        )
    }

    /// Returns the announcement of a message, in the tier that the rules give it.
    fn announcement(&self, rules: &Rules, told: &Told<'_>) -> Announcement {
        let source = told.source.map(str::to_ascii_lowercase);
        let tier = rules.classify(&ClassificationFacts {
            account: told.source_ref.account(),
            source: source.as_deref(),
            conference: false,
            parameters: told.query,
        });
        Announcement {
            id: told.source_ref.recording_id(self.vault.id()),
            source_ref: told.source_ref.clone(),
            call: None,
            conference: None,
            thread: told.thread.clone(),
            author: Some(told.author.clone()),
            files: u8::try_from(told.files).unwrap_or(u8::MAX),
            source,
            source_status: told.status.to_owned(),
            error_code: told.error_code,
            duration_s: None,
            channels: None,
            tier: tier.clone(),
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            started_at: Some(told.at.unwrap_or_else(|| self.clock.now()).as_millis()),
            labels: rules.labels(told.query),
            heard_by: DiscoveredBy::Callback,
            encryption: None,
        }
    }

    /// Returns the thread of the messages between a line and these people; `None` while one is not
    /// known.
    fn thread(
        &self,
        account: &AccountSid,
        line: &MessageAddress,
        persons: &[&MessageAddress],
    ) -> Option<Conversation> {
        let plain = |address: &'_ MessageAddress| -> String {
            let known = address.address();
            let text = known.map_or(address.expose(), |known| known.expose_person());
            text.to_owned()
        };
        let line = Zeroizing::new(plain(line));
        let mut persons: Vec<String> = persons.iter().map(|person| plain(person)).collect();
        persons.sort();
        persons.dedup();
        let all = Zeroizing::new(persons.join(","));
        let is_known = !line.is_empty() && persons.iter().all(|person| !person.is_empty());
        persons.zeroize();
        is_known.then(|| Conversation::Thread(self.vault.thread(account, &line, &all)))
    }

    /// Names the person of a fetched message in its thread, which its announcement may not have
    /// known. Returns the thread.
    ///
    /// # Errors
    /// Any database error.
    pub(in crate::flow) async fn place(
        &self,
        account: &AccountSid,
        listed: &MessageResource,
    ) -> Result<Option<Conversation>, Error> {
        let nobody = MessageAddress::parse("");
        let (line, contact) = ends(listed, &nobody);
        let thread = self.thread(account, line, &[contact]);
        self.name_in(account, thread.as_ref(), contact).await?;
        Ok(thread)
    }

    /// Returns when the source's copy of a message that is sealed now is to be deleted; `None` for
    /// never.
    fn erase_at(&self, source_ref: &SourceRef) -> Option<Timestamp> {
        erase_at(&self.twilio, source_ref, self.clock.now())
    }
}

/// Twilio deletes a message only some time after it was delivered
/// (<https://www.twilio.com/docs/api/errors/20009>).
const DELETABLE_AFTER: Duration = Duration::from_secs(120);

fn erase_at(twilio: &TwilioAccess, source_ref: &SourceRef, now: Timestamp) -> Option<Timestamp> {
    if !is_deleted_after_sealing(source_ref.kind()) {
        return None;
    }
    let accounts = twilio.accounts();
    let account = accounts.get(source_ref.account())?;
    (account.delete_source() == DeleteSource::AfterSealing).then(|| now.after(DELETABLE_AFTER))
}

/// Whether `delete_source = "after-sealing"` is about a kind. In a chat people read on: a message goes
/// from it only when the vault's own copy goes.
pub(in crate::flow) const fn is_deleted_after_sealing(kind: MediaKind) -> bool {
    !matches!(kind, MediaKind::ChatMessage)
}
