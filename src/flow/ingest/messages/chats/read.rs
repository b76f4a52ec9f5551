//! Reading of a chat over REST: who takes part in it, and what is no longer there.
//!
//! Owns what the source's list of participants proves. INVARIANT: until it was read, every message
//! of a chat has a receiver whom nobody knows.

use std::{collections::BTreeSet, sync::Arc};

use super::{ChatIntake, people::no_others};
use crate::{
    db::{
        self, Db,
        chats::{self, ChatId, ChatRow},
        parties, recordings,
        work::{self, Lease, WorkKind},
    },
    flow::{
        consent::parties::members::{Member, Seat, leg_of},
        error::Error,
        ingest::failure::FetchFailure,
        twilio_access::TwilioAccess,
    },
    model::{
        name::LegName,
        recording::RecordingState,
        sid::ChatParticipantSid,
        subject::{Conversation, PartyScope, Presence},
        time::{Clock, Timestamp},
    },
    twilio::{
        Account, RestError,
        conversations::ChatMessage,
        rest::{ChatPlace, Pages},
    },
};

/// Reads chats.
pub(in crate::flow) struct ChatReading {
    db: Db,
    clock: Clock,
    twilio: Arc<TwilioAccess>,
    intake: Arc<ChatIntake>,
}

impl ChatReading {
    pub(in crate::flow) fn new(
        db: Db,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        intake: Arc<ChatIntake>,
    ) -> Self {
        Self {
            db,
            clock,
            twilio,
            intake,
        }
    }

    /// Reads the chat of a lease.
    pub(in crate::flow) async fn read(&self, lease: &Lease<ChatId>) -> Result<(), FetchFailure> {
        let ours = FetchFailure::Ours;
        let ChatId { account, chat } = &lease.subject;
        let found = chats::find(
            &mut self.db.read().await.map_err(|error| ours(error.into()))?,
            account,
            chat,
        )
        .await;
        let row = found
            .map_err(|error| ours(error.into()))?
            .unwrap_or_else(|| ChatRow::of(account, chat));
        if let Some(at) = row.removed_at {
            self.mark_removed(&row, at).await.map_err(ours)?;
        }
        let accounts = self.twilio.accounts();
        let account = accounts.get(account).ok_or(FetchFailure::UnknownAccount)?;
        if row.removed_at.is_none() && self.intake.keeps() {
            match self.participants(account, &row).await {
                // It is gone, or of another service: nobody can tell who received its messages.
                Err(FetchFailure::Parties(RestError::NotFound)) => {}
                read => read?,
            }
        }
        let mut gap = row.gap_from.filter(|_| row.removed_at.is_none());
        if let Some(from) = gap {
            match self.messages(account, &row, from).await {
                // It stays: without its service, a 404 proves nothing.
                Err(FetchFailure::Parties(RestError::NotFound)) => gap = None,
                read => read?,
            }
        }
        let done = self.db.unit("chats.read", async |mut unit| {
            unit.without_entry("what was read is told by itself");
            if let Some(from) = gap {
                chats::close_gap(&mut unit, &row, from).await?;
            }
            work::finish(&mut unit, lease).await?;
            // What became known meanwhile found this work in the queue.
            let now = chats::find(&mut unit, &row.account, &row.chat).await?;
            let is_left = now.is_some_and(|now| {
                let is_news = now.gap_from != row.gap_from || now.told_index != row.told_index;
                let has_gap = now.gap_from.is_some() && is_news;
                let is_gone = now.removed_at.is_some();
                has_gap && !is_gone || is_gone && row.removed_at.is_none()
            });
            if is_left {
                let id = std::slice::from_ref(&lease.subject);
                work::enqueue(&mut unit, WorkKind::ReadChat, id, self.clock.now()).await?;
            }
            Ok::<_, db::Error>(())
        });
        done.await.map_err(|error| ours(error.into()))
    }

    async fn participants(&self, account: &Account, row: &ChatRow) -> Result<(), FetchFailure> {
        let ours = FetchFailure::Ours;
        let client = &self.twilio.client;
        let place = ChatPlace {
            service: row.service.as_ref(),
            sid: &row.chat,
        };
        // The short address of a chat states its service.
        let chat = client.chat(account, place).await;
        let chat = chat.map_err(FetchFailure::Parties)?;
        let begun = self.clock.now();
        let mut pages: Pages<_> = client.chat_participants(account, place);
        let mut there = BTreeSet::new();
        let mut is_whole = true;
        while let Some(page) = pages
            .next(client, account)
            .await
            .map_err(FetchFailure::Parties)?
        {
            is_whole &= page.unreadable == 0;
            for participant in page.items.iter().filter(|one| one.chat == row.chat) {
                let named = self.intake.name(&row.account, participant).await;
                named.map_err(ours)?;
                there.insert(leg_of(&participant.sid, 0));
            }
        }
        let left = self.who_left(account, row, &there, begun).await?;
        let conversation = Conversation::Chat(row.chat.clone());
        for leg in left {
            let gone = Member {
                seat: Seat::At(leg),
                address: None,
                presence: Presence {
                    joined_at: None,
                    left_at: Some(begun),
                },
            };
            self.intake
                .name_members(&row.account, &conversation, &[gone])
                .await
                .map_err(ours)?;
        }
        if is_whole {
            self.intake
                .name_members(&row.account, &conversation, &[no_others()])
                .await
                .map_err(ours)?;
        }
        self.intake
            .note(ChatRow {
                service: chat.service,
                state: chat.state,
                state_at: chat.updated_at,
                read_at: is_whole.then_some(begun),
                ..ChatRow::of(&row.account, &row.chat)
            })
            .await
            .map_err(ours)?;
        Ok(())
    }

    /// Takes in the messages from an index on: an index that no event told may be a lost message, or
    /// may never have been one.
    async fn messages(
        &self,
        account: &Account,
        row: &ChatRow,
        from: u64,
    ) -> Result<(), FetchFailure> {
        let client = &self.twilio.client;
        let place = ChatPlace {
            service: row.service.as_ref(),
            sid: &row.chat,
        };
        let mut pages = client.latest_chat_messages(account, place);
        while let Some(page) = pages
            .next(client, account)
            .await
            .map_err(FetchFailure::Parties)?
        {
            let own = |message: &&ChatMessage| message.chat == row.chat;
            for message in page.items.iter().filter(own) {
                if message.index.is_some_and(|index| index < from) {
                    return Ok(());
                }
                let taken = self.intake.take_listed(&row.account, message).await;
                taken.map_err(FetchFailure::Ours)?;
            }
        }
        Ok(())
    }

    /// Returns the participants that are known as present, and that the source no longer has. Each
    /// is asked for: who joined after the list was read is not in it either.
    async fn who_left(
        &self,
        account: &Account,
        row: &ChatRow,
        there: &BTreeSet<LegName>,
        begun: Timestamp,
    ) -> Result<Vec<LegName>, FetchFailure> {
        let ours = |error: db::Error| FetchFailure::Ours(error.into());
        let place = ChatPlace {
            service: row.service.as_ref(),
            sid: &row.chat,
        };
        let conversation = Conversation::Chat(row.chat.clone());
        let only = std::slice::from_ref(&conversation);
        let scope = PartyScope::from(&row.account);
        let known = parties::of(&mut self.db.read().await.map_err(ours)?, &scope, only)
            .await
            .map_err(ours)?;
        let present = known
            .into_values()
            .flatten()
            .filter(|party| party.presence.includes(begun));
        let mut left = Vec::new();
        for party in present {
            let sid = participant_of(&party.leg);
            let Some(sid) = sid.filter(|sid| !there.contains(&leg_of(sid, 0))) else {
                continue;
            };
            let client = &self.twilio.client;
            match client.chat_participant(account, place, &sid).await {
                Err(RestError::NotFound) => left.push(party.leg),
                Err(error) => return Err(FetchFailure::Parties(error)),
                Ok(_) => {}
            }
        }
        Ok(left)
    }

    /// Marks every message of a chat that was removed as a whole.
    async fn mark_removed(&self, row: &ChatRow, at: Timestamp) -> Result<(), Error> {
        let conversation = Conversation::Chat(row.chat.clone());
        let all = recordings::of_conversation(&mut self.db.read().await?, &conversation).await?;
        // Only its own account can tell that a message is gone.
        for recording in all
            .into_iter()
            .filter(|recording| *recording.account() == row.account)
        {
            let is_known = recording.removed_at.is_some();
            if recording.state != RecordingState::Shredded && !is_known {
                self.intake.removed(recording.id, at).await?;
            }
        }
        Ok(())
    }
}

/// Returns the participant of a leg, if it is that of one.
fn participant_of(leg: &LegName) -> Option<ChatParticipantSid> {
    let (sid, _) = leg.as_str().split_at_checked(34)?;
    format!("MB{}", sid.strip_prefix("mb")?).parse().ok()
}
