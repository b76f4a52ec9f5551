//! Messages that the source delivers whole: sealed and durable before it is answered.
//!
//! Owns the order: whether the policy keeps messages, the thread and its parties, the tier, the
//! seal, the commit. Refuses to know what a message means for consent (`consent::message`).
//! INVARIANT: where the policy keeps messages, an answer of success means that this one is sealed
//! and in the database: on some accounts the callback is its only copy.

pub(in crate::flow) mod chats;
pub(in crate::flow) mod commit;
pub(in crate::flow) mod fetch;
pub(in crate::flow) mod files;

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use self::commit::{ArrivingMessage, MessageSender};
use crate::{
    db::{
        Db,
        accept::{Acceptor, Announcement},
        parties,
    },
    flow::{
        consent::parties::PartyRegister, error::Error, ingest::keep::Admission,
        twilio_access::TwilioAccess, wakeups::Wakeups,
    },
    model::{
        details::Participant,
        media::{MediaKind, SourceRef},
        name::{LegName, Tier},
        recording::DiscoveredBy,
        sid::AccountSid,
        subject::{Address, Conversation},
        time::{Clock, Timestamp},
        transcript::Transcript,
    },
    policy::{ClassificationFacts, NumberRuleFacts, Rulebook, Rules, content},
    twilio::{
        DeleteSource, IncomingMessage, MessageAddress, MessageStatusCallback, rest::MessageResource,
    },
    vault::{Keeping, MessageContent, Vault},
};

/// The person's place in a thread.
const CONTACT: &str = "contact";
/// The place of the account's own line, which is no person.
pub(super) const LINE: &str = "line";

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

        let announcement = self.announcement(
            rules,
            &Told {
                source_ref: message.source_ref(),
                thread: self.thread(&message.account, &message.receiver, &message.sender),
                source: message.sender.channel(),
                author: leg(CONTACT),
                status: "received",
                error_code: None,
                files: message.num_media,
                query: &message.query,
                at: None,
            },
        );
        let author = leg(CONTACT);
        let text = Transcript::written(&message.body, &author);
        let contact = self.name(&announcement, &message.sender).await?;
        let ends = [&message.sender, &message.receiver];
        let ends: Vec<&Address> = ends.iter().filter_map(|end| end.address()).collect();
        let fields = WRITTEN.iter().flat_map(|name| message.form.values(name));
        let further: Vec<Transcript> = fields
            .map(|value| Transcript::written(&value, &author))
            .collect();
        let texts = further.iter().chain([&text]);
        let tier = tier_of(rules, &announcement, &ends, texts);
        let content = MessageContent {
            form: message.form.as_bytes(),
            text: &text.to_json(),
            parties: vec![contact],
            edit: None,
        };
        let announcement = Announcement {
            tier,
            ..announcement
        };
        self.seal(announcement, content).await
    }

    /// Seals an announced message and makes it durable, unless it is sealed or shredded already.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) async fn seal(
        &self,
        announcement: Announcement,
        content: MessageContent<'_>,
    ) -> Result<(), Error> {
        let erase_at = self.erase_at(&announcement.source_ref);
        let sealed = self.vault.seal_message(announcement.id, content).await?;
        self.queue
            .send(ArrivingMessage {
                announcement,
                sealed,
                erase_at,
            })
            .await?;
        self.wakeups.journal.notify_one();
        self.wakeups.work.notify_one();
        Ok(())
    }

    /// Makes an announcement durable. The message is fetched if the source has it.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(super) async fn accept(&self, announcement: Announcement) -> Result<(), Error> {
        self.acceptor.accept(announcement).await?;
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

        let announcement = self.announcement(
            rules,
            &Told {
                source_ref: status.source_ref(),
                thread: self.thread(&status.account, &status.from, &status.to),
                source: status.to.channel(),
                author: leg(LINE),
                status: &status.status,
                error_code: status.error_code,
                files: 0,
                query: &status.query,
                at: None,
            },
        );
        self.name(&announcement, &status.to).await?;
        self.accept(announcement).await
    }

    /// Whether the policy in force keeps messages.
    pub(in crate::flow) fn keeps(&self) -> bool {
        self.rulebook.current().keeps(MediaKind::Message)
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
        let announcement = self.announcement(
            rules,
            &Told {
                source_ref,
                thread: self.thread(account, line, contact),
                source: contact.channel(),
                author: leg(if listed.is_inbound() { CONTACT } else { LINE }),
                status: &listed.status,
                error_code: listed.error_code,
                files: usize::try_from(listed.num_media.unwrap_or_default()).unwrap_or_default(),
                query: &[],
                at: listed.date_sent,
            },
        );
        self.name(&announcement, contact).await?;
        self.accept(Announcement {
            heard_by: DiscoveredBy::Reconcile,
            ..announcement
        })
        .await
    }

    /// Returns the announcement of a message, in the tier that the rules give it.
    pub(super) fn announcement(&self, rules: &Rules, told: &Told<'_>) -> Announcement {
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

    /// Returns the thread of the messages between these ends; `None` while one is not known.
    fn thread(
        &self,
        account: &AccountSid,
        line: &MessageAddress,
        contact: &MessageAddress,
    ) -> Option<Conversation> {
        let [line, contact] = [line, contact].map(|address| {
            address
                .address()
                .map_or(address.expose(), |known| known.expose_person())
        });
        let is_known = !line.is_empty() && !contact.is_empty();
        is_known.then(|| Conversation::Thread(self.vault.thread(account, line, contact)))
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
        let thread = self.thread(account, line, contact);
        self.name_in(thread.as_ref(), contact).await?;
        Ok(thread)
    }

    /// Names the person of a thread, unless they are named. Returns them.
    async fn name(
        &self,
        announcement: &Announcement,
        address: &MessageAddress,
    ) -> Result<Participant, Error> {
        self.name_in(announcement.thread.as_ref(), address).await
    }

    async fn name_in(
        &self,
        thread: Option<&Conversation>,
        address: &MessageAddress,
    ) -> Result<Participant, Error> {
        let contact = contact_of(address);
        let Some(thread) = thread else {
            return Ok(contact);
        };
        let known = parties::of(&mut self.db.read().await?, std::slice::from_ref(thread)).await?;
        let is_known = known.values().flatten().any(|party| {
            party.leg == contact.leg && (party.subject.is_some() || contact.address.is_none())
        });
        if !is_known {
            let only = std::slice::from_ref(&contact);
            self.parties
                .name_found(thread, only, Keeping::Carried)
                .await?;
        }
        Ok(contact)
    }

    /// Returns when the source's copy of a message that is sealed now is to be deleted; `None` for
    /// never.
    fn erase_at(&self, source_ref: &SourceRef) -> Option<Timestamp> {
        erase_at(&self.twilio, source_ref, self.clock.now())
    }
}

/// What the source told of a message, in either direction.
pub(super) struct Told<'a> {
    pub(super) source_ref: SourceRef,
    /// Its thread or chat; `None` while one is not known.
    pub(super) thread: Option<Conversation>,
    /// The channel over which it came, or who made it.
    pub(super) source: Option<&'a str>,
    /// The place of who wrote it.
    pub(super) author: LegName,
    pub(super) status: &'a str,
    pub(super) error_code: Option<i64>,
    pub(super) files: usize,
    pub(super) query: &'a [(String, String)],
    /// When it was written; `None` for now.
    pub(super) at: Option<Timestamp>,
}

fn contact_of(address: &MessageAddress) -> Participant {
    Participant {
        address: address.address().cloned(),
        ..Participant::at(leg(CONTACT))
    }
}

/// Returns fields in the form of a callback.
pub(super) fn form_of(fields: &[(&str, Zeroizing<String>)]) -> Zeroizing<Vec<u8>> {
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Zeroizing::new(serde_json::to_vec(&pairs).expect("pairs of texts have a JSON form"))
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

/// Returns the account's own end of a listed message, and the other; `nobody` for one that the list
/// does not name.
fn ends<'a>(
    listed: &'a MessageResource,
    nobody: &'a MessageAddress,
) -> (&'a MessageAddress, &'a MessageAddress) {
    let from = listed.from.as_ref().unwrap_or(nobody);
    let to = listed.to.as_ref().unwrap_or(nobody);
    if listed.is_inbound() {
        (to, from)
    } else {
        (from, to)
    }
}

/// The fields of a form, besides the text, in which people write.
const WRITTEN: [&str; 6] = [
    "ButtonPayload",
    "ButtonText",
    "FlowData",
    "InteractiveData",
    "ReferralBody",
    "ReferralHeadline",
];

/// Returns the tier of an arriving message: that of its announcement, raised by the rules for the
/// numbers at its ends and by those for content.
pub(super) fn tier_of<'a>(
    rules: &Rules,
    announcement: &Announcement,
    ends: &[&Address],
    texts: impl IntoIterator<Item = &'a Transcript>,
) -> Tier {
    let labels = announcement
        .labels
        .iter()
        .map(|(label, value)| (label.clone(), value.to_string()))
        .collect();
    let facts = NumberRuleFacts {
        account: announcement.source_ref.account(),
        source: announcement.source.as_deref(),
        conference: false,
        labels: &labels,
        tier: &announcement.tier,
    };
    let by_number = rules.raised_by_numbers(&facts, |number| ends.contains(&number));
    let by_content = texts
        .into_iter()
        .flat_map(|text| content_tiers(rules, text));
    rules
        .raised_from(&announcement.tier, by_content.chain(by_number))
        .unwrap_or(&announcement.tier)
        .clone()
}

pub(super) fn content_tiers<'a>(
    rules: &'a Rules,
    text: &Transcript,
) -> impl Iterator<Item = &'a Tier> {
    let content = &rules.document().content;
    content::found_in(text, content)
        .into_keys()
        .filter_map(|rule| content.get(rule))
        .map(|rule| &rule.tier)
}

pub(super) fn leg(name: &str) -> LegName {
    name.parse().expect("the places of the house are places")
}
