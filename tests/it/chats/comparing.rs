//! What no event told of is found by comparison, and a gap in the numbers at once.

use std::time::Duration;

use recvault::demo::stand_in::{Call, ChatParticipantFacts};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{ANNA, Chat, LINE, keeping, vault_on};
use crate::{
    transcribing::work,
    viewing::policy,
    world::{Database, Recipe, TestVault, until},
};

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

/// The service compares by itself. Returns how many pages of messages it read.
async fn compared_by_itself(vault: &TestVault, after: Duration) -> u64 {
    vault.clock.advance(after);
    vault.stand_in.advance(after);
    let before = vault.stand_in.requests(Call::ChatMessageList);
    let now = vault.clock.now().as_millis();
    let sql = format!("SELECT COUNT(*) FROM reconciliations WHERE done_at >= {now}");
    let accounts = "SELECT COUNT(*) FROM reconciliations";
    let reconciliation = vault.process.flow.reconciliation.clone();
    let compared = until("all are compared", async || {
        let done = vault.ground().integer(&sql).await;
        done > Some(0) && done == vault.ground().integer(accounts).await
    });
    tokio::select! {
        () = reconciliation.watch(CancellationToken::new()) => unreachable!("it goes on"),
        () = compared => {}
    }
    work(vault).await;
    vault.stand_in.requests(Call::ChatMessageList) - before
}

async fn a_long_chat_is_read_from_what_was_told(database: Database) {
    let vault = Recipe {
        policy: keeping(&policy()),
        every_m: 1,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    for number in 0..230 {
        chat.wrote("dave", Some(&dave), &format!("message {number}"));
    }
    chat.writes("dave", &dave, "told").await;
    // An operator has all of it read.
    chat.compares().await;
    assert_eq!(vault.count("recording.sealed").await, 231);
    let minute = Duration::from_secs(61);
    assert_eq!(compared_by_itself(&vault, minute).await, 1);
    // Once a day, and where something lacks, all of it is read.
    let day = Duration::from_secs(25 * 3600);
    assert_eq!(compared_by_itself(&vault, day).await, 3);
    assert_eq!(compared_by_itself(&vault, minute).await, 1);
    let lost = chat.wrote("dave", Some(&dave), "lost");
    assert!(compared_by_itself(&vault, minute).await >= 3);
    assert_eq!(vault.states(chat.id(&lost)).await.1, "lost");
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
    a_long_chat_is_read_from_what_was_told,
    the_last_messages_of_a_chat_are_looked_up_when_it_is_closed,
    who_left_unheard_is_known_to_have_left,
    a_chat_that_is_removed_as_a_whole_marks_all_of_its_messages,
);
