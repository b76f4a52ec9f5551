//! Chats of Conversations: where they are at the source, and their state.
//!
//! INVARIANT: rows contain no personal data, and what is known of a chat only grows: facts that
//! arrive in any order and repeatedly leave the same row.

use std::{fmt, str::FromStr};

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::{
    sid::{AccountSid, ChatServiceSid, ChatSid},
    time::Timestamp,
};

table! {
    "chats" { subject: Some("chat") }

    /// A chat, as far as the source told of it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChatRow {
        key {
            /// Its id.
            pub chat: ChatSid = "chat",
            /// Its account. Another account may tell of the same id: that is another row.
            pub account: AccountSid = "account",
        }
        /// Its service, where told.
        pub service: Option<ChatServiceSid> = "service",
        /// `active`, `inactive` or `closed`; an open set.
        pub state: Option<String> = "state",
        /// Since when, as told.
        pub state_at: Option<Timestamp> = "state_at",
        /// When it was removed with all of its messages.
        pub removed_at: Option<Timestamp> = "removed_at",
        /// When its participants were last read.
        pub read_at: Option<Timestamp> = "read_at",
        /// The highest index of a message that was told.
        pub told_index: Option<u64> = "told_index",
        /// The index from which on messages may be lacking, until they are read.
        pub gap_from: Option<u64> = "gap_from",
    }
}

impl ChatRow {
    /// Returns a chat of which nothing else is known.
    pub fn of(account: &AccountSid, chat: &ChatSid) -> Self {
        Self {
            chat: chat.clone(),
            account: account.clone(),
            service: None,
            state: None,
            state_at: None,
            removed_at: None,
            read_at: None,
            told_index: None,
            gap_from: None,
        }
    }

    /// Returns its name in the queue of work.
    pub fn id(&self) -> ChatId {
        ChatId {
            account: self.account.clone(),
            chat: self.chat.clone(),
        }
    }
}

/// The subject of a chat's work: its account and its SID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatId {
    /// Its account.
    pub account: AccountSid,
    /// Its id.
    pub chat: ChatSid,
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.chat)
    }
}

/// The text is not the name of a chat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a chat: expected its account and its SID with a slash between")]
pub struct InvalidChatId;

impl FromStr for ChatId {
    type Err = InvalidChatId;

    fn from_str(text: &str) -> Result<Self, InvalidChatId> {
        let (account, chat) = text.split_once('/').ok_or(InvalidChatId)?;
        Ok(Self {
            account: account.parse().map_err(|_| InvalidChatId)?,
            chat: chat.parse().map_err(|_| InvalidChatId)?,
        })
    }
}

/// Adds facts about a chat. Returns whether any was new.
pub async fn note(tx: &mut Tx, facts: &ChatRow) -> Result<bool, Error> {
    const SQL: &str = formatcp!(
        "/* chats.note */ {}
        ON CONFLICT (chat, account) DO UPDATE SET
          service = COALESCE(chats.service, excluded.service),
          state = CASE WHEN excluded.state_at > COALESCE(chats.state_at, -1) THEN excluded.state ELSE chats.state END,
          state_at = CASE WHEN excluded.state_at > COALESCE(chats.state_at, -1) THEN excluded.state_at ELSE chats.state_at END,
          removed_at = COALESCE(chats.removed_at, excluded.removed_at),
          read_at = CASE WHEN excluded.read_at > COALESCE(chats.read_at, -1) THEN excluded.read_at ELSE chats.read_at END,
          told_index = CASE WHEN excluded.told_index > COALESCE(chats.told_index, -1) THEN excluded.told_index ELSE chats.told_index END,
          gap_from = CASE WHEN excluded.gap_from < COALESCE(chats.gap_from, excluded.gap_from + 1) THEN excluded.gap_from ELSE chats.gap_from END
        WHERE (chats.service IS NULL AND excluded.service IS NOT NULL) OR excluded.state_at > COALESCE(chats.state_at, -1)
          OR (chats.removed_at IS NULL AND excluded.removed_at IS NOT NULL) OR excluded.read_at > COALESCE(chats.read_at, -1)
          OR excluded.told_index > COALESCE(chats.told_index, -1) OR excluded.gap_from < COALESCE(chats.gap_from, excluded.gap_from + 1)",
        ChatRow::INSERT
    );
    Ok(tx.insert_row(SQL, facts, &[]).await? == 1)
}

/// Notes that the messages from this index on were read, unless a later one was told meanwhile:
/// `row` is the chat as it was when the reading began.
pub async fn close_gap(tx: &mut Tx, row: &ChatRow, from: u64) -> Result<(), Error> {
    const SQL: &str = "/* chats.close_gap */ UPDATE chats SET gap_from = NULL
        WHERE chat = $1 AND account = $2 AND gap_from = $3 AND COALESCE(told_index, -1) = $4";
    let number = |index: u64| i64::try_from(index).unwrap_or(i64::MAX);
    let args = [
        Arg::Text(row.chat.as_str()),
        Arg::Text(row.account.as_str()),
        Arg::Int(number(from)),
        Arg::Int(row.told_index.map_or(-1, number)),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Returns the chats of an account to which messages may still come, oldest name first.
pub async fn open_chats(tx: &mut Tx, account: &AccountSid) -> Result<Vec<ChatRow>, Error> {
    const SQL: &str = formatcp!(
        "/* chats.open_chats */ SELECT {} FROM chats
        WHERE account = $1 AND removed_at IS NULL AND COALESCE(state, '') <> 'closed' ORDER BY chat",
        ChatRow::COLUMNS
    );
    tx.fetch_rows(SQL, &[Arg::Text(account.as_str())]).await
}

/// Returns the services of an account's chats.
pub async fn services(tx: &mut Tx, account: &AccountSid) -> Result<Vec<ChatServiceSid>, Error> {
    const SQL: &str = "/* chats.services */
        SELECT DISTINCT service FROM chats WHERE account = $1 AND service IS NOT NULL ORDER BY service";
    let rows = tx.fetch_all(SQL, &[Arg::Text(account.as_str())]).await?;
    rows.iter()
        .map(|row| row.parse("chats", "service", "service"))
        .collect()
}

/// Returns a chat, as far as this account told of it.
pub async fn find(
    tx: &mut Tx,
    account: &AccountSid,
    chat: &ChatSid,
) -> Result<Option<ChatRow>, Error> {
    const SQL: &str = formatcp!(
        "/* chats.find */ SELECT {} FROM chats WHERE chat = $1 AND account = $2",
        ChatRow::COLUMNS
    );
    let args = [Arg::Text(chat.as_str()), Arg::Text(account.as_str())];
    let rows = tx.fetch_rows(SQL, &args).await?;
    Ok(rows.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_of_an_account_comes_back_as_it_went() {
        let text = format!("AC{}/CH{}", "0".repeat(32), "6".repeat(32));
        let id: ChatId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for other in ["", "/", "AC/CH", &text[..40], &text[35..]] {
            assert_eq!(other.parse::<ChatId>(), Err(InvalidChatId), "{other}");
        }
    }
}
