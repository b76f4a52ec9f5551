//! Batches of Event Streams: messages, in either direction, and chats.
//!
//! Owns which events bring content and which only announce. Refuses to remember the ids of events:
//! whatever an event leads to is keyed by the id of its message, so that an event that comes again,
//! late, or after another has no further effect, in this process or after a restart.
//! INVARIANT: an event that cannot be applied costs no other one of its batch, and the batch is
//! acknowledged only if everything of it is durable.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    MessageIntake,
    chats::{ChatIntake, ChatNews},
    told::{LINE, MessageTold},
};
use crate::{
    flow::{consent::message::MessageConsent, error::Error},
    model::media::MediaKind,
    twilio::{EventBatch, IncomingMessage, StreamEvent, StreamEventKind, StreamedMessage},
};

/// The most events that are applied at once: they share commits.
const AT_ONCE: usize = 200;
/// The status of an incoming message whose content was not delivered yet.
const RECEIVING: &str = "receiving";

/// Applies the events of a sink.
pub struct EventIntake {
    messages: Arc<MessageIntake>,
    consent: Arc<MessageConsent>,
    chats: Arc<ChatIntake>,
}

impl EventIntake {
    pub(in crate::flow) fn new(
        messages: Arc<MessageIntake>,
        consent: Arc<MessageConsent>,
        chats: Arc<ChatIntake>,
    ) -> Self {
        Self {
            messages,
            consent,
            chats,
        }
    }

    /// Makes a batch durable. Repeating it changes nothing.
    ///
    /// # Errors
    /// The first error of an event: the batch should be sent again.
    pub async fn take(&self, batch: &EventBatch) -> Result<(), Error> {
        let count = |result: &'static str, events: usize| {
            metrics::counter!("recvault_events_total", "result" => result).increment(events as u64);
        };
        count("unknown", batch.unknown);
        count("faulty", batch.faults.len());
        count("foreign", batch.foreign);
        for fault in &batch.faults {
            tracing::warn!(account = %batch.account, %fault, "an event cannot be read");
        }
        if batch.foreign > 0 {
            tracing::warn!(
                account = %batch.account, foreign = batch.foreign,
                "events are about accounts that the signer does not speak for; add them to `twilio.accounts` with its SID as `parent`"
            );
        }
        let mut applied = Ok(());
        for some in batch.events.chunks(AT_ONCE) {
            let outcomes = join_all(some.iter().map(|event| self.apply(event, &batch.query))).await;
            let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            count("applied", done);
            applied = outcomes.into_iter().fold(applied, Result::and);
        }
        applied
    }

    async fn apply(&self, event: &StreamEvent, query: &[(String, String)]) -> Result<(), Error> {
        match &event.kind {
            StreamEventKind::IncomingMessage(message) => {
                let incoming = event.incoming(message, query);
                if message.is_whole() {
                    self.messages.keep(&incoming).await?;
                } else {
                    self.messages.expect_incoming(&incoming).await?;
                }
                // No answer can carry a reply.
                self.consent.take(&incoming).await.map(drop)
            }
            StreamEventKind::OutgoingMessage(message) => {
                self.messages.take_outgoing(event, message, query).await
            }
            StreamEventKind::Chat(chat) => {
                let form = event.form();
                let news = ChatNews {
                    account: &event.account,
                    event: chat,
                    source: None,
                    form: form.as_bytes(),
                    query,
                };
                self.chats.take(news).await
            }
        }
    }
}

impl MessageIntake {
    /// Announces a message that came in and whose text is to come: by its webhook, or by the next
    /// comparison, which leaves the webhook time because it has more than the source's list.
    async fn expect_incoming(&self, message: &IncomingMessage) -> Result<(), Error> {
        let rules = self.rulebook.current();
        if !rules.keeps(MediaKind::Message) {
            return Ok(());
        }
        let told = MessageTold {
            status: RECEIVING,
            ..MessageTold::incoming(message)
        };
        self.announce_told(rules, &told).await
    }

    /// Keeps an outgoing message, if its event has its content and it was sent; otherwise announces
    /// its status.
    async fn take_outgoing(
        &self,
        event: &StreamEvent,
        message: &StreamedMessage,
        query: &[(String, String)],
    ) -> Result<(), Error> {
        let rules = self.rulebook.current();
        if !rules.keeps(MediaKind::Message) {
            return Ok(());
        }
        let status = message.status.as_deref().unwrap_or_default();
        let told = MessageTold {
            source_ref: message.source_ref(&event.account),
            line: &message.from,
            contact: &message.to,
            others: &[],
            author: LINE,
            status,
            error_code: message.error_code,
            files: message.files().unwrap_or_default(),
            query,
            at: message.at.or(event.at),
        };
        match &message.body {
            Some(body) if message.is_whole() && MediaKind::Message.is_complete(status) => {
                self.seal_message(rules, &told, body.expose(), &event.form())
                    .await
            }
            _ => self.announce_told(rules, &told).await,
        }
    }
}
