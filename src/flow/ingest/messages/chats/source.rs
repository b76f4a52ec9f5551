//! Messages and files of chats at the source.
//!
//! Owns where a chat is: below its service, if it is known. Refuses to seal.

use zeroize::Zeroizing;

use crate::{
    db::{Db, chats},
    flow::{
        ingest::{failure::FetchFailure, messages::told::form_of},
        twilio_access::TwilioAccess,
    },
    model::{
        recording::Recording,
        sid::{ChatMessageSid, ChatServiceSid, ChatSid},
        subject::Conversation,
        time::Timestamp,
    },
    twilio::{FetchError, conversations::ChatMessage, rest::ChatPlace},
};

/// Reads messages of chats.
pub(in crate::flow) struct ChatSource<'a> {
    twilio: &'a TwilioAccess,
    db: &'a Db,
}

/// A message's place at the source.
pub(in crate::flow) struct MessagePlace {
    /// Its chat.
    pub(in crate::flow) chat: ChatSid,
    /// The chat's service, if it is known.
    pub(in crate::flow) service: Option<ChatServiceSid>,
    /// The message.
    pub(in crate::flow) sid: ChatMessageSid,
}

impl MessagePlace {
    /// Returns the place of its chat.
    pub(in crate::flow) fn chat(&self) -> ChatPlace<'_> {
        ChatPlace {
            service: self.service.as_ref(),
            sid: &self.chat,
        }
    }
}

impl<'a> ChatSource<'a> {
    pub(in crate::flow) fn of(twilio: &'a TwilioAccess, db: &'a Db) -> Self {
        Self { twilio, db }
    }

    /// Returns the place of a message.
    ///
    /// # Errors
    /// The database's; that of a message whose chat is not known.
    pub(in crate::flow) async fn place(
        &self,
        recording: &Recording,
    ) -> Result<MessagePlace, FetchFailure> {
        let no_place = || FetchFailure::Source(FetchError::NotYet);
        let Some(Conversation::Chat(chat)) = &recording.thread else {
            return Err(no_place());
        };
        let sid = recording.source_ref.sid().parse().map_err(|_| no_place())?;
        let account = recording.account();
        let found = async { chats::find(&mut self.db.read().await?, account, chat).await };
        let found = found
            .await
            .map_err(|error| FetchFailure::Ours(error.into()))?;
        Ok(MessagePlace {
            chat: chat.clone(),
            service: found.and_then(|row| row.service),
            sid,
        })
    }

    /// Fetches a message in its present state.
    ///
    /// # Errors
    /// As [`Self::place`]; the source's.
    pub(in crate::flow) async fn message(
        &self,
        recording: &Recording,
    ) -> Result<ChatMessage, FetchFailure> {
        let place = self.place(recording).await?;
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .ok_or(FetchFailure::UnknownAccount)?;
        let client = &self.twilio.client;
        let message = client.chat_message(account, place.chat(), &place.sid).await;
        let message = message.map_err(|error| FetchFailure::Source(error.into()))?;
        // A file that cannot be read must not look like none.
        if message.media_are_whole {
            Ok(message)
        } else {
            Err(FetchFailure::Source(FetchError::NotYet))
        }
    }
}

/// Returns a message as the source's list states it, in the form of a webhook.
pub(in crate::flow) fn form(message: &ChatMessage) -> Zeroizing<Vec<u8>> {
    let text = |text: Option<&str>| Zeroizing::new(text.unwrap_or_default().to_owned());
    let shown = |text: Option<String>| Zeroizing::new(text.unwrap_or_default());
    let time = |at: Option<Timestamp>| shown(at.map(|at| at.to_string()));
    let files: Vec<serde_json::Value> = message
        .media
        .iter()
        .map(|file| {
            serde_json::json!({
                "Sid": file.sid,
                "Category": file.category,
                "Filename": file.filename.as_ref().map(|name| name.expose()),
                "ContentType": file.content_type,
                "Size": file.size,
            })
        })
        .collect();
    form_of(&[
        ("ConversationSid", shown(Some(message.chat.to_string()))),
        ("MessageSid", shown(Some(message.sid.to_string()))),
        ("Index", shown(message.index.map(|index| index.to_string()))),
        (
            "Author",
            text(message.author.as_ref().map(|author| author.expose())),
        ),
        (
            "ParticipantSid",
            shown(message.participant.as_ref().map(ToString::to_string)),
        ),
        (
            "Body",
            text(message.body.as_ref().map(|body| body.expose())),
        ),
        (
            "Attributes",
            text(message.attributes.as_ref().map(|data| data.expose())),
        ),
        (
            "Media",
            shown(Some(serde_json::Value::from(files).to_string())),
        ),
        ("DateCreated", time(message.created_at)),
        ("DateUpdated", time(message.updated_at)),
    ])
}
