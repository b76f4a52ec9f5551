//! Chats: their messages, sealed and durable before the source is answered, and their participants.
//!
//! Owns what each event of a chat changes in the vault. Refuses to know how a message is sealed
//! (`messages`), and what a participant means for consent (`consent::parties`). INVARIANTS
//! - Where the policy keeps chats, an answer of success means that the state of a message that the
//!   event holds is sealed and in the database.
//! - Events in any order, and repeated, leave the same states of a message and the same
//!   participants.

mod deliveries;
pub(in crate::flow) mod people;
pub(in crate::flow) mod read;
pub(in crate::flow) mod source;
pub(in crate::flow) mod states;

use std::sync::Arc;

use self::{
    people::{ChatAuthor, members_of, others},
    states::{MessageState, MessageStates},
};
use super::{MessageIntake, tier::tier_of, told::Told};
use crate::{
    db::{
        self, Db,
        accept::Announcement,
        chats::{self, ChatId, ChatRow},
        outbox::OutboxKind,
        work::{self, WorkKind},
    },
    flow::{
        consent::parties::{PartyRegister, members::Member},
        error::Error,
        wakeups::Wakeups,
    },
    model::{
        id::RecordingId,
        media::MediaKind,
        name::LegName,
        recording::DiscoveredBy,
        sid::{AccountSid, ChatSid},
        subject::{Address, Conversation},
        time::{Clock, Timestamp},
        transcript::Transcript,
    },
    policy::Rulebook,
    twilio::{
        ChatEvent,
        conversations::{ChatMessage, ChatParticipant},
    },
    vault::Vault,
};

/// The state in which a chat takes no more messages.
const CLOSED: &str = "closed";

/// An event of a chat, and what came with it.
#[derive(Clone, Copy)]
pub struct ChatNews<'a> {
    /// The account.
    pub account: &'a AccountSid,
    /// The event.
    pub event: &'a ChatEvent,
    /// The origin of the change: `sdk`, `api`, `sms`; an open set.
    pub source: Option<&'a str>,
    /// The whole event as received.
    pub form: &'a [u8],
    /// The query of our own URL, for classification.
    pub query: &'a [(String, String)],
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Updated,
    Removed,
}

/// Keeps chats.
pub struct ChatIntake {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    parties: Arc<PartyRegister>,
    messages: Arc<MessageIntake>,
    states: MessageStates,
}

impl ChatIntake {
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
        parties: Arc<PartyRegister>,
        messages: Arc<MessageIntake>,
        states: MessageStates,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            parties,
            messages,
            states,
        }
    }

    /// Whether the policy in force keeps chats.
    pub(in crate::flow) fn keeps(&self) -> bool {
        self.rulebook.current().keeps(MediaKind::ChatMessage)
    }

    /// Takes an event in, if the policy in force keeps chats. When this returns, what it changes is
    /// durable; repeating it changes nothing.
    ///
    /// # Errors
    /// [`crate::db::Error::Unavailable`] inside: it is not durable, and the source should send it
    /// again; the store's, for a long message.
    pub async fn take(&self, news: ChatNews<'_>) -> Result<(), Error> {
        if !self.keeps() {
            return Ok(());
        }
        let row = |chat: &ChatSid| ChatRow::of(news.account, chat);
        match news.event {
            ChatEvent::MessageAdded(message) => self.message(news, message, Change::Added).await,
            ChatEvent::MessageUpdated(message) => {
                self.message(news, message, Change::Updated).await
            }
            ChatEvent::MessageRemoved(message) => {
                self.message(news, message, Change::Removed).await
            }
            ChatEvent::ParticipantAdded(participant)
            | ChatEvent::ParticipantUpdated(participant)
            | ChatEvent::ParticipantRemoved(participant) => {
                let chat = ChatRow {
                    service: participant.service.clone(),
                    ..row(&participant.chat)
                };
                self.note(chat).await?;
                self.name(news.account, participant).await
            }
            ChatEvent::ChatAdded(chat)
            | ChatEvent::ChatUpdated(chat)
            | ChatEvent::ChatRemoved(chat) => {
                let chat = ChatRow {
                    service: chat.service.clone(),
                    state: chat.state.clone(),
                    state_at: chat.updated_at.or(chat.created_at),
                    removed_at: chat.removed_at,
                    ..row(&chat.sid)
                };
                self.note(chat).await.map(|_| ())
            }
            ChatEvent::StateChanged(change) => {
                let chat = ChatRow {
                    service: change.service.clone(),
                    state: change.to.clone(),
                    state_at: change.at,
                    ..row(&change.chat)
                };
                self.note(chat).await.map(|_| ())
            }
            ChatEvent::DeliveryUpdated(delivery) => {
                let chat = ChatRow {
                    service: delivery.service.clone(),
                    ..row(&delivery.chat)
                };
                self.note(chat).await?;
                self.delivered(news.account, delivery).await
            }
            ChatEvent::Other => Ok(()),
        }
    }

    async fn message(
        &self,
        news: ChatNews<'_>,
        message: &ChatMessage,
        change: Change,
    ) -> Result<(), Error> {
        let chat_removed_at = self
            .note(ChatRow {
                service: message.service.clone(),
                told_index: message.index,
                ..ChatRow::of(news.account, &message.chat)
            })
            .await?;
        let author = self.author(news.account, message).await?;
        let is_gone = change == Change::Removed;
        let announcement = self.announcement(news, message, &author, is_gone);
        let id = announcement.id;
        // A removed message cannot be fetched any more: its last event is what there is.
        let is_whole = message.media_are_whole || is_gone;
        match message.body.as_ref().filter(|_| is_whole) {
            Some(body) if change != Change::Updated || message.updated_at.is_some() => {
                let state = MessageState {
                    form: news.form,
                    text: &Transcript::written(body.expose(), &author.leg),
                    further: &attributes_of(message, &author.leg),
                    parties: &Vec::from_iter(author.participant()),
                    edit: edit_of(message, change),
                    is_present: is_gone,
                };
                self.keep(announcement, &author, &state).await?;
            }
            _ if is_gone => self.messages.accept(announcement).await?,
            _ => {
                self.messages.accept(announcement).await?;
                self.states.fetch_again(id).await?;
            }
        }
        let at = || message.removed_at.unwrap_or_else(|| self.clock.now());
        let removed_at = chat_removed_at.or_else(|| is_gone.then(at));
        if let Some(at) = removed_at {
            self.removed(id, at).await?;
        }
        Ok(())
    }

    /// Takes in a message that the source lists, in its present state. Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(in crate::flow) async fn take_listed(
        &self,
        account: &AccountSid,
        message: &ChatMessage,
    ) -> Result<(), Error> {
        let form = source::form(message);
        let author = self.author(account, message).await?;
        let news = ChatNews {
            account,
            event: &ChatEvent::Other,
            source: None,
            form: &form,
            query: &[],
        };
        let announcement = Announcement {
            heard_by: DiscoveredBy::Reconcile,
            ..self.announcement(news, message, &author, false)
        };
        let body = message.body.as_ref().map_or("", |body| body.expose());
        if !message.media_are_whole {
            return self.messages.accept(announcement).await;
        }
        let state = MessageState {
            form: &form,
            text: &Transcript::written(body, &author.leg),
            further: &attributes_of(message, &author.leg),
            parties: &Vec::from_iter(author.participant()),
            edit: present_edit(message),
            is_present: true,
        };
        self.keep(announcement, &author, &state).await
    }

    /// Seals the state of a message, unless it is sealed.
    async fn keep(
        &self,
        announcement: Announcement,
        author: &ChatAuthor,
        state: &MessageState<'_>,
    ) -> Result<(), Error> {
        let id = announcement.id;
        // An edit mostly finds its message sealed.
        if state.edit.is_some() && self.states.add(id, state).await? {
            return Ok(());
        }
        let rules = self.rulebook.current();
        let ends: Vec<&Address> = author.address.iter().collect();
        let tier = tier_of(
            rules,
            &announcement,
            &ends,
            state.further.iter().chain([state.text]),
        );
        let announcement = Announcement {
            tier,
            ..announcement
        };
        let json = state.text.to_json();
        self.messages
            .seal(announcement, state.content(&json), Vec::new())
            .await?;
        // It was sealed before, in another state.
        self.states.add(id, state).await?;
        Ok(())
    }

    fn announcement(
        &self,
        news: ChatNews<'_>,
        message: &ChatMessage,
        author: &ChatAuthor,
        is_gone: bool,
    ) -> Announcement {
        let is_there = !is_gone || message.body.is_some();
        let told = Told {
            source_ref: message.source_ref(news.account),
            thread: Some(Conversation::Chat(message.chat.clone())),
            source: news.source,
            author: author.leg.clone(),
            status: if is_there { "received" } else { "absent" },
            error_code: None,
            files: message.media.len(),
            query: news.query,
            at: message.created_at,
        };
        self.messages.announcement(self.rulebook.current(), &told)
    }

    /// Returns who wrote a message, and names them in their chat unless they are named.
    pub(in crate::flow) async fn author(
        &self,
        account: &AccountSid,
        message: &ChatMessage,
    ) -> Result<ChatAuthor, Error> {
        let author = ChatAuthor::of(self.rulebook.current(), &self.vault, message);
        let chat = Conversation::Chat(message.chat.clone());
        let members: Vec<Member> = author.member().into_iter().chain([others()]).collect();
        let legs = self.name_members(account, &chat, &members).await?;
        // The first of them, before the others.
        Ok(author.at(legs.into_iter().next()))
    }

    /// Names a participant, with the time that they are there.
    pub(in crate::flow) async fn name(
        &self,
        account: &AccountSid,
        participant: &ChatParticipant,
    ) -> Result<(), Error> {
        let chat = Conversation::Chat(participant.chat.clone());
        let members = members_of(self.rulebook.current(), participant);
        let members: Vec<Member> = members.into_iter().chain([others()]).collect();
        self.name_members(account, &chat, &members).await?;
        Ok(())
    }

    /// Adds a state to a sealed message, unless it is no new one.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(in crate::flow) async fn add(
        &self,
        id: RecordingId,
        state: &MessageState<'_>,
    ) -> Result<(), Error> {
        self.states.add(id, state).await.map(|_| ())
    }

    /// Notes that somebody removed a message at the source.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn removed(
        &self,
        id: RecordingId,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.states.removed(id, at).await
    }

    /// Whether the policy in force shreds what somebody removed at the source.
    pub(in crate::flow) fn follows_removals(&self) -> bool {
        self.states.follows_removals()
    }

    /// Has the participants of a chat read again.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn read_again(&self, chat: ChatId) -> Result<(), Error> {
        let unit = self.db.unit("chats.read_again", async |mut unit| {
            unit.without_entry("the state of a chat is no news about a recording");
            let now = self.clock.now();
            let chat = std::slice::from_ref(&chat);
            work::enqueue(&mut unit, WorkKind::ReadChat, chat, now).await
        });
        unit.await?;
        self.wakeups.work.notify_one();
        Ok(())
    }

    /// Names participants of a chat, for the recordings of this account. Returns their legs.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn name_members(
        &self,
        account: &AccountSid,
        chat: &Conversation,
        members: &[Member],
    ) -> Result<Vec<LegName>, Error> {
        self.parties.name_members(account, chat, members).await
    }

    /// Notes what is known of a chat. The participants of a new one are read, and the messages of a
    /// removed one are marked.
    ///
    /// Returns when it was removed, if it was.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn note(&self, row: ChatRow) -> Result<Option<Timestamp>, Error> {
        let known = chats::find(&mut self.db.read().await?, &row.account, &row.chat).await?;
        let says_nothing = |known: &ChatRow| {
            (row.service.is_none() || known.service.is_some())
                && (row.state_at.is_none() || row.state_at <= known.state_at)
                && (row.removed_at.is_none() || known.removed_at.is_some())
                && (row.read_at.is_none() || row.read_at <= known.read_at)
                && (row.told_index.is_none() || row.told_index <= known.told_index)
        };
        let removed_at = known
            .as_ref()
            .and_then(|known| known.removed_at)
            .or(row.removed_at);
        if known.as_ref().is_some_and(says_nothing) {
            return Ok(removed_at);
        }
        // What came before the first message that was told is no gap.
        let next = known
            .as_ref()
            .and_then(|known| known.told_index)
            .map(|told| told + 1);
        // Of a chat that is closed the last messages may be lacking: no later number shows it.
        let closes = row.state.as_deref() == Some(CLOSED)
            && known
                .as_ref()
                .is_some_and(|known| known.state.as_deref() != Some(CLOSED));
        let gap_from =
            next.filter(|next| closes || row.told_index.is_some_and(|told| told > *next));
        let is_read = known.is_none() || row.removed_at.is_some() || gap_from.is_some();
        let row = ChatRow { gap_from, ..row };
        let unit = self.db.unit("chats.note", async |mut unit| {
            let now = self.clock.now();
            if chats::note(&mut unit, &row).await? {
                unit.to_journal(OutboxKind::Conversation, &[&row.chat], now);
            }
            if is_read {
                work::enqueue(&mut unit, WorkKind::ReadChat, &[row.id()], now).await?;
            }
            unit.without_entry("the state of a chat is no news about a recording");
            Ok::<_, db::Error>(())
        });
        unit.await?;
        if is_read {
            self.wakeups.work.notify_one();
        }
        Ok(removed_at)
    }
}

/// Returns what is written in a message besides its text.
pub(super) fn attributes_of(message: &ChatMessage, author: &LegName) -> Vec<Transcript> {
    let attributes = message.attributes.iter();
    attributes
        .map(|data| Transcript::written(data.expose(), author))
        .collect()
}

/// Returns the edit that left a state, in milliseconds; `None` for the first state. A removal may
/// change the time of the last edit, so it counts only if it is not that of the removal.
fn edit_of(message: &ChatMessage, change: Change) -> Option<u64> {
    let edited = message.updated_at.filter(|at| match change {
        Change::Added => false,
        Change::Updated => true,
        Change::Removed => {
            Some(*at) > message.created_at && message.removed_at.is_none_or(|gone| *at < gone)
        }
    });
    edited.and_then(millis)
}

/// Returns the edit that left the present state of a listed message.
pub(in crate::flow) fn present_edit(message: &ChatMessage) -> Option<u64> {
    let edited = message
        .updated_at
        .filter(|at| Some(*at) > message.created_at);
    edited.and_then(millis)
}

/// Returns a time as part of an artefact's name.
fn millis(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_millis()).ok()
}
