//! What no event told of is found by comparison, and a gap in the numbers at once.

use recvault::demo::stand_in::ChatParticipantFacts;
use serde_json::Value;

use super::{ANNA, Chat, LINE, vault_on};
use crate::{transcribing::work, world::Database};

async fn lost_messages_edits_and_removals_are_found(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    let (edited, told) = chat.writes("dave", &dave, "told").await;
    let (removed, gone) = chat.writes("dave", &dave, "removed later").await;
    chat.edits(&edited, "edited");
    let missed = chat.wrote("dave", Some(&dave), "missed");
    vault.stand_in.remove_chat_message(&chat.sid, &removed);
    // A chat of the service of which nobody told.
    let other = Chat::begun(&vault);
    let unheard = other.wrote(ANNA, None, "unheard");
    chat.passes();
    for announced in [2, 0] {
        let found = chat.compares().await.found;
        assert_eq!((found.listed, found.announced), (3, announced));
    }
    let (states, text) = vault.states(told).await;
    assert_eq!((states.len(), text.as_str()), (2, "edited"));
    assert_eq!(vault.states(chat.id(&missed)).await.1, "missed");
    assert_eq!(vault.states(other.id(&unheard)).await.1, "unheard");
    assert_ne!(vault.names(gone, "removed_at_source").await, Value::Null);
    assert_eq!(vault.count("source.removed").await, 1);
}

async fn a_gap_in_the_numbers_is_looked_up(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    // What came before the first that was told is no gap.
    let before = chat.wrote("dave", Some(&dave), "before");
    chat.writes("dave", &dave, "one").await;
    work(&vault).await;
    let lost = chat.wrote("dave", Some(&dave), "two");
    chat.writes("dave", &dave, "three").await;
    work(&vault).await;
    assert_eq!(vault.states(chat.id(&lost)).await.1, "two");
    assert!(!vault.has_row(chat.id(&before)).await);
    let gaps = "SELECT COUNT(*) FROM chats WHERE gap_from IS NOT NULL";
    assert_eq!(vault.ground().integer(gaps).await, Some(0));
}

async fn the_last_messages_of_a_chat_are_looked_up_when_it_is_closed(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    chat.writes("dave", &dave, "one").await;
    work(&vault).await;
    let lost = chat.wrote("dave", Some(&dave), "two");
    chat.passes();
    vault.stand_in.set_chat_state(&chat.sid, "closed");
    let event = "onConversationUpdated";
    let signed = vault
        .stand_in
        .chat_changed_callback(&chat.sid, event, &chat.url());
    chat.post(signed).await;
    work(&vault).await;
    assert_eq!(vault.states(chat.id(&lost)).await.1, "two");
}

async fn who_left_unheard_is_known_to_have_left(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let anna = chat.joined(ChatParticipantFacts::sms(ANNA, LINE));
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    work(&vault).await;
    let there = "SELECT COUNT(*) FROM parties WHERE left_at IS NULL";
    assert_eq!(vault.ground().integer(there).await, Some(2));
    vault.stand_in.remove_chat_participant(&chat.sid, &anna);
    chat.passes();
    // A gap has the chat read again.
    chat.writes("ben", &ben, "one").await;
    chat.wrote("ben", Some(&ben), "two");
    chat.writes("ben", &ben, "three").await;
    work(&vault).await;
    assert_eq!(vault.ground().integer(there).await, Some(1));
}

async fn a_chat_that_is_removed_as_a_whole_marks_all_of_its_messages(database: Database) {
    let vault = vault_on(database).await;
    let (told, found) = (Chat::begun(&vault), Chat::begun(&vault));
    let mut ids = Vec::new();
    for chat in [&told, &found] {
        let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
        for text in ["one", "two"] {
            ids.push(chat.writes("dave", &dave, text).await.1);
        }
    }
    work(&vault).await;
    told.passes();
    let url = told.url();
    let event = "onConversationRemoved";
    let signed = vault.stand_in.chat_changed_callback(&told.sid, event, &url);
    for chat in [&told, &found] {
        vault.stand_in.remove_chat(&chat.sid);
    }
    told.post(signed).await;
    work(&vault).await;
    assert_eq!(vault.count("source.removed").await, 2);
    found.compares().await;
    for id in ids {
        assert_ne!(vault.names(id, "removed_at_source").await, Value::Null);
        assert_eq!(vault.state(id).await, "sealed");
    }
}

on_both_databases!(
    lost_messages_edits_and_removals_are_found,
    a_gap_in_the_numbers_is_looked_up,
    the_last_messages_of_a_chat_are_looked_up_when_it_is_closed,
    who_left_unheard_is_known_to_have_left,
    a_chat_that_is_removed_as_a_whole_marks_all_of_its_messages,
);
