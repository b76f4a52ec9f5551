//! Messages that the source delivers whole: sealed and durable before it is answered.
//!
//! Owns the order: whether the policy keeps messages, the thread and its parties, the tier, the
//! seal, the commit. Refuses to know what a message means for consent (`consent::message`).
//! INVARIANT: where the policy keeps messages, an answer of success means that this one is sealed
//! and in the database: on some accounts the callback is its only copy.

pub(in crate::flow) mod commit;

use std::sync::Arc;

use self::commit::{ArrivingMessage, MessageSender};
use crate::{
    db::{Db, accept::Announcement, parties},
    flow::{consent::parties::PartyRegister, error::Error, wakeups::Wakeups},
    model::{
        details::Participant,
        media::MediaKind,
        name::{LegName, Tier},
        recording::DiscoveredBy,
        subject::{Conversation, ThreadId},
        time::Clock,
        transcript::Transcript,
    },
    policy::{ClassificationFacts, Rulebook, Rules, content},
    twilio::IncomingMessage,
    vault::{Keeping, MessageContent, Vault},
};

/// The person's place in a thread.
const CONTACT: &str = "contact";

/// Keeps messages.
pub struct MessageIntake {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    parties: Arc<PartyRegister>,
    queue: MessageSender,
}

impl MessageIntake {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        wakeups: Wakeups,
        parties: Arc<PartyRegister>,
        queue: MessageSender,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            parties,
            queue,
        }
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

        let source_ref = message.source_ref();
        let id = source_ref.recording_id(self.vault.id());
        let author = leg(CONTACT);
        let thread = self.thread(message);
        let text = Transcript::written(&message.body, &author);
        let tier = tier_of(&rules, message, &text);
        let contact = Participant {
            address: message.from.clone(),
            ..Participant::at(author.clone())
        };
        let conversation = Conversation::Thread(thread);
        self.name(&conversation, &contact).await?;

        let content = MessageContent {
            form: message.form.as_bytes(),
            text: &text.to_json(),
            parties: vec![contact],
        };
        let sealed = self.vault.seal_message(id, content).await?;
        let announcement = Announcement {
            id,
            source_ref,
            call: None,
            conference: None,
            thread: Some(conversation),
            author: Some(author),
            source: message.sender.channel().map(str::to_ascii_lowercase),
            source_status: "received".into(),
            error_code: None,
            duration_s: None,
            channels: None,
            tier,
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            started_at: Some(self.clock.now().as_millis()),
            labels: rules.labels(&message.query),
            heard_by: DiscoveredBy::Callback,
            encryption: None,
        };
        self.queue
            .send(ArrivingMessage {
                announcement,
                sealed,
            })
            .await?;
        self.wakeups.journal.notify_one();
        Ok(())
    }

    /// Returns the thread of a message: the same for every message between these two addresses.
    fn thread(&self, message: &IncomingMessage) -> ThreadId {
        let [sender, receiver] = [&message.sender, &message.receiver].map(|address| {
            address
                .address()
                .map_or(address.expose(), |known| known.expose_person())
        });
        self.vault.thread(&message.account, sender, receiver)
    }

    /// Names the person of a thread, unless they are named. The account's own line is no person.
    async fn name(&self, thread: &Conversation, contact: &Participant) -> Result<(), Error> {
        let known = parties::of(&mut self.db.read().await?, std::slice::from_ref(thread)).await?;
        let is_known = known.values().flatten().any(|party| {
            party.leg == contact.leg && (party.subject.is_some() || contact.address.is_none())
        });
        if !is_known {
            let only = std::slice::from_ref(contact);
            self.parties
                .name_found(thread, only, Keeping::Carried)
                .await?;
        }
        Ok(())
    }
}

/// Returns the tier of a message: by the rules of classification, raised by those of content.
fn tier_of(rules: &Rules, message: &IncomingMessage, text: &Transcript) -> Tier {
    let tier = rules.classify(&ClassificationFacts {
        account: &message.account,
        source: message.sender.channel(),
        conference: false,
        parameters: &message.query,
    });
    let content = &rules.document().content;
    let found = content::found_in(text, content);
    let found = found
        .into_iter()
        .filter_map(|(rule, _)| content.get(rule))
        .map(|rule| &rule.tier);
    rules.raised_from(tier, found).unwrap_or(tier).clone()
}

fn leg(name: &str) -> LegName {
    name.parse().expect("the places of the house are places")
}
