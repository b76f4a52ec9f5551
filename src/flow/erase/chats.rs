//! One attempt to delete a message of a chat at the source: the message with its files, its copies in
//! Programmable Messaging, and the chat once nothing of it is left.
//!
//! Owns that order, and the evidence of each step. INVARIANTS
//! - A copy is recorded before it is deleted, and counts as gone only if the source confirms it: 404
//!   for the message and for each file, after the same credential opened the chat, or the account's
//!   chats where the service of the chat is known.
//! - The copies in Programmable Messaging are those that the message's own receipts name, or its
//!   deliveries named when they were told: each is the same message, delivered to one participant. One
//!   that is a recording of its own stays while the vault keeps that one.
//! - Of a message that was gone before its receipts were read, further copies are unknown.
//! - A chat is deleted as a whole only when it is closed, all of it is shredded here, and the source
//!   lists no message of it: nobody loses what is not due.

use super::{
    SourceDeletion,
    book::{CopyBook, CopyName},
    trouble::Trouble,
};
use crate::{
    db::recordings,
    flow::ingest::{
        failure::FetchFailure,
        messages::chats::source::{ChatSource, MessagePlace},
    },
    model::{
        crash,
        recording::Recording,
        residue::{self, ResidueKind},
        sid::ChatServiceSid,
        source::{CopyKind, SourceCopy},
        subject::Conversation,
        time::Timestamp,
    },
    twilio::{Account, RestError, rest::Deletion},
};

const NO_SID: RestError = RestError::Shape("an id of a file is malformed");
/// The state in which a chat takes no more messages.
const CLOSED: &str = "closed";

/// One attempt and its progress.
pub(super) struct ChatCopies<'a> {
    deletion: &'a SourceDeletion,
    account: &'a Account,
    place: MessagePlace,
    book: CopyBook<'a>,
    /// Whether the credential has opened the chat, or the account's chats, in this attempt.
    is_open: bool,
}

impl<'a> ChatCopies<'a> {
    pub(super) async fn of(
        deletion: &'a SourceDeletion,
        account: &'a Account,
        recording: &Recording,
    ) -> Result<Self, Trouble> {
        let place = ChatSource::of(&deletion.twilio, &deletion.db)
            .place(recording)
            .await;
        let place = place.map_err(|failure| match failure {
            FetchFailure::Ours(error) => Trouble::Ours(error),
            _ => Trouble::Stuck("its chat is not known".to_owned()),
        })?;
        Ok(Self {
            deletion,
            account,
            place,
            book: CopyBook::of(deletion, recording.id).await?,
            is_open: false,
        })
    }

    /// Returns the copies that this attempt changed.
    pub(super) fn changed(&self) -> Vec<SourceCopy> {
        self.book.changed()
    }

    /// Returns when the last copy was gone.
    pub(super) fn gone_at(&self) -> Option<Timestamp> {
        self.book.gone_at()
    }

    /// Deletes every copy. On `Ok`, every copy is confirmed.
    pub(super) async fn delete(&mut self) -> Result<(), Trouble> {
        let own = (CopyKind::ChatMessage, self.place.sid.to_string());
        if !self.book.is_confirmed(&own) {
            let copies = self.copies().await?;
            if copies.is_none() && !self.book.knows(&own) {
                let unknown = (CopyKind::Message, own.1.clone());
                self.book.enter_unknown(unknown).await?;
            }
            let copies = copies.unwrap_or_default().into_iter();
            self.book.enter(copies.chain([own.clone()])).await?;
            crash::point("erase.listed");
            self.delete_message(&own).await?;
        }
        self.confirm_files().await?;
        self.delete_legs().await?;
        self.delete_empty_chat().await
    }

    /// Returns the files of the message, and its copies in Programmable Messaging; `None` if it is not
    /// there any more.
    async fn copies(&mut self) -> Result<Option<Vec<CopyName>>, Trouble> {
        let client = &self.deletion.twilio.client;
        let chat = self.place.chat();
        match client
            .chat_message(self.account, chat, &self.place.sid)
            .await
        {
            Err(RestError::NotFound) => {
                self.must_open().await?;
                Ok(None)
            }
            Ok(message) if !message.media_are_whole => {
                Err(Trouble::NotYet("the list of its files is not readable"))
            }
            message => {
                let files = message?.media.into_iter();
                let files = files.map(|file| (CopyKind::File, file.sid.to_string()));
                let receipts = client
                    .chat_receipts(self.account, chat, &self.place.sid)
                    .await?;
                if receipts.unreadable > 0 {
                    return Err(Trouble::NotYet("the list of its receipts is not readable"));
                }
                let legs = receipts.items.into_iter();
                let legs = legs.filter_map(|receipt| receipt.channel_message);
                let legs = legs.map(|leg| (CopyKind::Message, leg.to_string()));
                Ok(Some(files.chain(legs).collect()))
            }
        }
    }

    /// Deletes the message. Its files have no deletion of their own: they go with it.
    async fn delete_message(&mut self, own: &CopyName) -> Result<(), Trouble> {
        let client = &self.deletion.twilio.client;
        let chat = self.place.chat();
        let answer = client
            .delete_chat_message(self.account, chat, &self.place.sid)
            .await?;
        match answer {
            Deletion::Deleted => {}
            Deletion::Gone => self.must_open().await?,
            Deletion::NotYet => return Err(self.book.not_deletable_yet(own)),
            Deletion::Refused { status, code } => {
                return Err(RestError::Refused { status, code }.into());
            }
        }
        self.book.mark_deleted(own);
        for file in self.book.open(CopyKind::File) {
            self.book.mark_deleted(&file);
        }
        crash::point("erase.deleted");
        let chat = self.place.chat();
        match client
            .chat_message(self.account, chat, &self.place.sid)
            .await
        {
            Err(RestError::NotFound) => {
                self.must_open().await?;
                let kept = residue::stated(CopyKind::ChatMessage, ResidueKind::Metadata);
                self.book.mark_confirmed(own, kept);
                Ok(())
            }
            Ok(_) => Err(Trouble::NotYet(
                "the source does not report the message as deleted yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    async fn confirm_files(&mut self) -> Result<(), Trouble> {
        let files = self.book.open(CopyKind::File);
        if files.is_empty() {
            return Ok(());
        }
        let service = self.service().await?;
        let client = &self.deletion.twilio.client;
        for file in files {
            let sid = file.1.parse().map_err(|_| NO_SID)?;
            match client.chat_media(self.account, &service, &sid).await {
                Err(RestError::NotFound) => {
                    self.must_open().await?;
                    self.book.mark_confirmed(&file, None);
                }
                Ok(_) => {
                    return Err(Trouble::NotYet(
                        "the source still has a file after the deletion of its message",
                    ));
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// Deletes the copies in Programmable Messaging.
    async fn delete_legs(&mut self) -> Result<(), Trouble> {
        let client = &self.deletion.twilio.client;
        for leg in self.book.open(CopyKind::Message) {
            if self.deletion.keeps_itself(self.account, &leg.1).await? {
                self.book.mark_kept(&leg);
                continue;
            }
            let sid = leg.1.parse().map_err(|_| NO_SID)?;
            match client.delete_message(self.account, &sid).await? {
                Deletion::Deleted | Deletion::Gone => self.book.mark_deleted(&leg),
                Deletion::NotYet => return Err(self.book.not_deletable_yet(&leg)),
                Deletion::Refused { status, code } => {
                    return Err(RestError::Refused { status, code }.into());
                }
            }
            crash::point("erase.deleted");
            match client.message(self.account, &sid).await {
                Err(RestError::NotFound) => {
                    client.opens_messages(self.account).await?;
                    let logs = residue::stated(CopyKind::Message, ResidueKind::Logs);
                    self.book.mark_confirmed(&leg, logs);
                }
                Ok(_) => {
                    return Err(Trouble::NotYet(
                        "the source does not report a delivered copy as deleted yet",
                    ));
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(())
    }

    /// Returns the service of the chat, by which its files are known.
    async fn service(&self) -> Result<ChatServiceSid, Trouble> {
        if let Some(service) = &self.place.service {
            return Ok(service.clone());
        }
        let client = &self.deletion.twilio.client;
        let chat = client.chat(self.account, self.place.chat()).await?;
        let unknown = || Trouble::Stuck("the service of its chat is not known".to_owned());
        chat.service.ok_or_else(unknown)
    }

    /// Deletes the chat, if nothing of it is left that is not due.
    async fn delete_empty_chat(&mut self) -> Result<(), Trouble> {
        let client = &self.deletion.twilio.client;
        let chat = self.place.chat();
        let own = (CopyKind::Chat, self.place.chat.to_string());
        if self.book.is_confirmed(&own) {
            return Ok(());
        }
        let is_known = self.book.known.contains_key(&own);
        match client.chat(self.account, chat).await {
            Err(RestError::NotFound) if is_known => {
                self.must_open().await?;
                self.book.mark_deleted(&own);
                self.book.mark_confirmed(&own, None);
                return Ok(());
            }
            Err(RestError::NotFound) => return Ok(()),
            Err(other) => return Err(other.into()),
            Ok(found) if found.state.as_deref() != Some(CLOSED) => return Ok(()),
            Ok(_) => {}
        }
        let conversation = Conversation::Chat(self.place.chat.clone());
        let mut tx = self.deletion.db.read().await?;
        let is_due = recordings::is_all_shredded(&mut tx, &conversation).await?;
        drop(tx);
        if !is_due {
            return Ok(());
        }
        let mut messages = client.chat_messages(self.account, chat);
        let first = messages.next(client, self.account).await?;
        if first.is_some_and(|page| !page.items.is_empty() || page.unreadable > 0) {
            return Ok(());
        }
        self.book.enter([own.clone()]).await?;
        let answer = client.delete_chat(self.account, chat).await?;
        if !matches!(answer, Deletion::Deleted | Deletion::Gone) {
            return Err(Trouble::Stuck(
                "Twilio refuses the deletion of an empty chat".to_owned(),
            ));
        }
        self.book.mark_deleted(&own);
        crash::point("erase.deleted");
        match client.chat(self.account, self.place.chat()).await {
            Err(RestError::NotFound) => {
                client.opens_conversations(self.account).await?;
                self.book.mark_confirmed(&own, None);
                Ok(())
            }
            Ok(_) => Err(Trouble::NotYet(
                "the source does not report the chat as deleted yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// Checks that a 404 proves a deletion.
    async fn must_open(&mut self) -> Result<(), Trouble> {
        if self.is_open {
            return Ok(());
        }
        let client = &self.deletion.twilio.client;
        let opened = match client.chat(self.account, self.place.chat()).await {
            // The chat was deleted as a whole.
            Err(RestError::NotFound) if self.place.service.is_some() => {
                client.opens_conversations(self.account).await
            }
            opened => opened.map(drop),
        };
        match opened {
            Ok(()) => {
                self.is_open = true;
                Ok(())
            }
            Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                Err(Trouble::Stuck(format!(
                    "the credential does not open the chat, so a 404 does not prove a deletion: {error}"
                )))
            }
            Err(other) => Err(other.into()),
        }
    }
}
