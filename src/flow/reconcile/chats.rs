//! Comparison of the chats that Twilio has with those of the vault.
//!
//! Owns which chats are read: those that began in the compared period, and those to which messages
//! may still come; how far back each is read; and what the absence of a message proves. Refuses to
//! decide what a listed message needs (`step`). The source lists chats by service: those of a service
//! of which no event told are not found.
//!
//! A chat is mostly read from the last message on that was told. Once a day, where something lacks,
//! and if an operator asks, the whole compared period is read: only that finds lost edits and
//! removals of messages that were told.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::{
    ASKED_SINGLY, ReconcileFailure, Reconciliation, SLACK,
    compare::Comparison,
    list::Patience,
    step::{ReconcileAction, ReconcileTerms, step},
};
use crate::{
    db::{
        chats::{self, ChatRow},
        recordings,
    },
    flow::{error::Error, ingest::messages::chats::present_edit},
    model::{
        id::RecordingId,
        media::MediaKind,
        recording::{Recording, RecordingState},
        sid::{ChatMessageSid, ChatSid},
        subject::Conversation,
        time::Timestamp,
    },
    twilio::{
        Account, DeleteSource, RestError,
        conversations::ChatMessage,
        rest::{ChatPlace, ListPage, Pages},
    },
};

/// The whole period and the participants of a chat to which messages may come are read again after
/// this time.
const READ_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// How far back the messages of a chat are read, the latest first.
struct ChatSpan {
    /// The highest index that was told.
    told: Option<u64>,
    /// Whether the whole compared period is read.
    is_whole: bool,
    is_over: bool,
}

impl ChatSpan {
    fn of(row: &ChatRow, is_whole: bool) -> Self {
        Self {
            told: row.told_index,
            // Without one, nothing says what is known.
            is_whole: is_whole || row.told_index.is_none(),
            is_over: false,
        }
    }

    /// Notes a page, and whether something of it was lacking: then more may be.
    fn read(&mut self, page: &[ChatMessage], lacks: bool) {
        self.is_whole |= lacks;
        let is_told = |message: &ChatMessage| message.index.is_some() && message.index <= self.told;
        self.is_over = page.is_empty() || !self.is_whole && page.iter().any(is_told);
    }
}

impl Reconciliation {
    /// Reads Twilio's chats, if the policy in force keeps chats.
    pub(super) async fn walk_chats(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        if !self.chats.keeps() {
            return Ok(());
        }
        for row in self.found_chats(comparison, since).await?.values() {
            self.compare_chat(comparison, row, since).await?;
        }
        Ok(())
    }

    /// Returns the chats to compare.
    async fn found_chats(
        &self,
        comparison: &Comparison<'_>,
        since: Timestamp,
    ) -> Result<BTreeMap<ChatSid, ChatRow>, ReconcileFailure> {
        let account = comparison.account;
        let mut reader = self.db.read().await.map_err(Error::from)?;
        let open = chats::open_chats(&mut reader, account.sid()).await;
        let services = chats::services(&mut reader, account.sid()).await;
        drop(reader);
        let open = open.map_err(Error::from)?;
        let mut found: BTreeMap<ChatSid, ChatRow> = open
            .into_iter()
            .map(|row| (row.chat.clone(), row))
            .collect();
        let services = services.map_err(Error::from)?;
        for service in std::iter::once(None).chain(services.into_iter().map(Some)) {
            let client = &self.twilio.client;
            let mut pages = client.chats(account, service.as_ref(), since, None);
            while let Some(page) = self.next_page(account, &mut pages).await? {
                for chat in page.items {
                    let row = ChatRow {
                        service: chat.service.clone().or(service.clone()),
                        state: chat.state.clone(),
                        state_at: chat.updated_at.or(chat.created_at),
                        ..ChatRow::of(account.sid(), &chat.sid)
                    };
                    if !comparison.is_dry() {
                        self.chats.note(row.clone()).await?;
                    }
                    found.entry(chat.sid).or_insert(row);
                }
            }
        }
        Ok(found)
    }

    async fn compare_chat(
        &self,
        comparison: &mut Comparison<'_>,
        row: &ChatRow,
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account;
        let place = ChatPlace {
            service: row.service.as_ref(),
            sid: &row.chat,
        };
        let client = &self.twilio.client;
        let mut pages = client.latest_chat_messages(account, place);
        let mut listed = HashSet::new();
        // Events of participants may be lost like others.
        let mut is_due = row.gap_from.is_some()
            || row
                .read_at
                .is_none_or(|at| at.after(READ_AGAIN) <= self.clock.now());
        let mut reading = ChatSpan::of(row, is_due || comparison.terms().by_hand);
        while !reading.is_over {
            let page = match self.next_page(account, &mut pages).await {
                Err(ReconcileFailure::Source(RestError::NotFound)) if listed.is_empty() => {
                    return self.chat_is_gone(comparison, row).await;
                }
                page => page?,
            };
            let Some(page) = page else { break };
            if page.unreadable > 0 {
                return Ok(());
            }
            let is_within = |message: &ChatMessage| {
                message.chat == row.chat && message.created_at.is_none_or(|at| at >= since)
            };
            let within: Vec<ChatMessage> = page.items.into_iter().filter(is_within).collect();
            listed.extend(within.iter().map(|message| message.sid.to_string()));
            let lacking = self.compare_chat_messages(comparison, &within).await?;
            is_due |= !lacking.is_empty();
            reading.read(&within, !lacking.is_empty());
            self.link_deliveries(comparison, place, &lacking).await?;
        }
        if is_due && !comparison.is_dry() {
            self.chats.read_again(row.id()).await?;
        }
        if !reading.is_whole {
            return Ok(());
        }
        self.look_for_missing(comparison, row, since, &listed).await
    }

    /// Notes that a chat is gone. Without its service, a 404 proves nothing.
    async fn chat_is_gone(
        &self,
        comparison: &Comparison<'_>,
        row: &ChatRow,
    ) -> Result<(), ReconcileFailure> {
        if row.service.is_none() || comparison.is_dry() {
            return Ok(());
        }
        self.twilio
            .client
            .opens_conversations(comparison.account)
            .await?;
        let gone = ChatRow {
            removed_at: Some(self.clock.now()),
            ..ChatRow::of(&row.account, &row.chat)
        };
        self.chats.note(gone).await?;
        Ok(())
    }

    /// Asks for the receipts of messages of which no event told: nor did one tell, then, which other
    /// messages they were delivered as.
    async fn link_deliveries(
        &self,
        comparison: &Comparison<'_>,
        place: ChatPlace<'_>,
        messages: &[ChatMessageSid],
    ) -> Result<(), ReconcileFailure> {
        if comparison.is_dry() || !self.messages.keeps() {
            return Ok(());
        }
        let account = comparison.account;
        for sid in messages.iter().take(ASKED_SINGLY) {
            let client = &self.twilio.client;
            match client.chat_receipts(account, place, sid).await {
                Ok(receipts) => {
                    for receipt in &receipts.items {
                        self.chats.delivered(account.sid(), receipt).await?;
                    }
                }
                // It was removed meanwhile.
                Err(RestError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns the messages that were unknown.
    async fn compare_chat_messages(
        &self,
        comparison: &mut Comparison<'_>,
        page: &[ChatMessage],
    ) -> Result<Vec<ChatMessageSid>, ReconcileFailure> {
        let account = comparison.account.sid();
        let id = |message: &ChatMessage| message.source_ref(account).recording_id(self.vault.id());
        let ids: Vec<RecordingId> = page.iter().map(id).collect();
        let known = comparison.known(&ids).await?;
        let terms = comparison.terms();
        let terms = ReconcileTerms {
            // In a chat people read on: a message goes from it only when the vault's own copy goes.
            delete_source: match terms.delete_source {
                DeleteSource::AfterSealing => DeleteSource::AfterShredding,
                other => other,
            },
            ..terms
        };
        let mut take = Vec::new();
        let mut fetch = Vec::new();
        let mut files = Vec::new();
        let mut erase = Vec::new();
        let mut new = Vec::new();
        for (message, id) in page.iter().zip(ids) {
            let step = step("completed", known.of(id), terms);
            comparison
                .found
                .note_told_once(id, MediaKind::ChatMessage, step, true);
            if known.lacks_files(id, terms) {
                files.push(id);
            }
            comparison.would(id, step);
            if step == ReconcileAction::Announce {
                new.push(message.sid.clone());
            }
            match step {
                ReconcileAction::Announce | ReconcileAction::Advance => take.push(message),
                ReconcileAction::Fetch => fetch.push(id),
                ReconcileAction::Erase => erase.push(id),
                // It may have been edited.
                ReconcileAction::Nothing if present_edit(message).is_some() => take.push(message),
                ReconcileAction::Nothing | ReconcileAction::Ghost => {}
            }
        }
        if comparison.is_dry() {
            return Ok(new);
        }
        for message in take {
            self.chats.take_listed(account, message).await?;
        }
        comparison.enqueue(&fetch, &files, &erase).await?;
        Ok(new)
    }

    /// Looks for messages of a chat that the vault has and the source does not list. Each is asked
    /// for by itself: who has the list has opened the chat, so a 404 proves that it was removed.
    async fn look_for_missing(
        &self,
        comparison: &Comparison<'_>,
        row: &ChatRow,
        since: Timestamp,
        listed: &HashSet<String>,
    ) -> Result<(), ReconcileFailure> {
        if comparison.is_dry() {
            return Ok(());
        }
        let now = self.clock.now();
        let conversation = Conversation::Chat(row.chat.clone());
        let mut reader = self.db.read().await.map_err(Error::from)?;
        let all = recordings::of_conversation(&mut reader, &conversation).await;
        drop(reader);
        let follows = self.chats.follows_removals();
        let is_missing = |recording: &&Recording| {
            let at = recording.started_at.unwrap_or(recording.collected_at);
            recording.state != RecordingState::Shredded
                && *recording.account() == row.account
                && (recording.removed_at.is_none() || follows)
                && at >= since.after(SLACK)
                && !listed.contains(recording.source_ref.sid())
        };
        let all = all.map_err(Error::from)?;
        for recording in all.iter().filter(is_missing).take(ASKED_SINGLY) {
            let Ok(sid) = recording.source_ref.sid().parse() else {
                continue;
            };
            let place = ChatPlace {
                service: row.service.as_ref(),
                sid: &row.chat,
            };
            let client = &self.twilio.client;
            if recording.removed_at.is_some() {
                // The process may have died before it was shredded.
                self.chats.removed(recording.id, now).await?;
                continue;
            }
            match client.chat_message(comparison.account, place, &sid).await {
                Err(RestError::NotFound) => self.chats.removed(recording.id, now).await?,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// Returns the next page of a list, with retries.
    async fn next_page<T: DeserializeOwned>(
        &self,
        account: &Account,
        pages: &mut Pages<T>,
    ) -> Result<Option<ListPage<T>>, ReconcileFailure> {
        let mut patience = Patience::default();
        loop {
            match pages.next(&self.twilio.client, account).await {
                Ok(page) => return Ok(page),
                Err(error) => patience.after(error).await?,
            }
        }
    }
}
