//! One of several in a chat revokes, and what Twilio loses of it.

use recvault::{
    db::shreds,
    demo::stand_in::{
        ChatDeliveryFacts, ChatMessageFacts, ChatParticipantFacts, MessageFacts, RemainingMessage,
    },
    evidence::{Receipt, Removal},
    model::{
        id::RecordingId,
        sid::{ChatMessageSid, MessageSid},
    },
};
use serde_json::{Value, json};

use super::{ANNA, Chat, LINE, vault_on};
use crate::{
    transcribing::work,
    world::{Database, TestVault},
};

async fn a_revocation_takes_what_one_wrote_and_the_chat_stays(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let anna = chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    let (edited, theirs) = chat.writes(ANNA, &anna, "mine").await;
    chat.edits(&edited, "mine, edited");
    chat.tells(&edited, "onMessageUpdated").await;
    let (kept, other) = chat.writes("ben", &ben, "not theirs").await;
    // They come back as another participant.
    chat.passes();
    chat.leaves(&anna).await;
    let again = chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let (_, second) = chat.writes(ANNA, &again, "mine again").await;
    work(&vault).await;
    vault.stand_in.set_chat_state(&chat.sid, "closed");

    vault.revoked(json!({ "subject": ANNA })).await;
    for gone in [theirs, second] {
        assert_eq!(vault.state(gone).await, "shredded");
    }
    assert_eq!(vault.states(other).await.1, "not theirs");
    work(&vault).await;
    // At Twilio the others' messages stay, and with them the chat.
    assert_eq!(vault.stand_in.remaining_chat(&chat.sid), Some(vec![kept]));

    vault.shred(other).await;
    work(&vault).await;
    assert_eq!(vault.stand_in.remaining_chat(&chat.sid), None);
    let copies = vault.names(other, "at_source").await;
    assert_eq!(copies["state"], "deleted", "{copies}");
    let listed = copies["copies"].as_array().unwrap();
    let kinds: Vec<_> = listed.iter().map(|copy| copy["kind"].clone()).collect();
    assert_eq!(kinds, [json!("chat"), json!("chat-message")]);
}

async fn the_delivered_copy_of_a_message_is_deleted_with_it(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    let copy = MessageFacts::outbound(LINE, ANNA, "to all");
    let copy = vault.stand_in.add_message(&vault.account, copy);
    let facts = ChatMessageFacts {
        participant: Some(ben),
        deliveries: vec![ChatDeliveryFacts::new(copy.clone())],
        ..ChatMessageFacts::new("ben", "to all")
    };
    chat.passes();
    let message = vault.stand_in.add_chat_message(&chat.sid, facts);
    chat.tells(&message, "onMessageAdded").await;
    for signed in vault
        .stand_in
        .chat_delivery_callbacks(&chat.sid, &message, &chat.url())
    {
        chat.post(signed).await;
    }
    let id = chat.id(&message);
    vault.shred(id).await;
    work(&vault).await;
    assert_eq!(
        vault.stand_in.remaining_message(&copy),
        RemainingMessage::default()
    );
    let copies = vault.names(id, "at_source").await;
    let listed = copies["copies"].as_array().unwrap();
    let kinds: Vec<_> = listed.iter().map(|copy| copy["kind"].clone()).collect();
    assert_eq!(kinds, [json!("chat-message"), json!("message")]);
    assert_eq!(copies["state"], "deleted", "{copies}");
}

/// A message of Ben's that was delivered to Anna, and the vault was told of both.
async fn delivered(vault: &TestVault, chat: &Chat<'_>) -> (ChatMessageSid, MessageSid) {
    chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    let copy = MessageFacts::outbound(LINE, ANNA, "to all");
    let copy = vault.stand_in.add_message(&vault.account, copy);
    let facts = ChatMessageFacts {
        participant: Some(ben),
        deliveries: vec![ChatDeliveryFacts::new(copy.clone())],
        ..ChatMessageFacts::new("ben", "to all")
    };
    chat.passes();
    let message = vault.stand_in.add_chat_message(&chat.sid, facts);
    chat.tells(&message, "onMessageAdded").await;
    for _ in 0..2 {
        tells_of_delivery(vault, chat, &message).await;
    }
    (message, copy)
}

async fn tells_of_delivery(vault: &TestVault, chat: &Chat<'_>, message: &ChatMessageSid) {
    let told = vault
        .stand_in
        .chat_delivery_callbacks(&chat.sid, message, &chat.url());
    for signed in told {
        chat.post(signed).await;
    }
}

/// Returns what a shredded message's receipt says of the source.
async fn source_said(vault: &TestVault, id: RecordingId) -> Option<Removal> {
    let mut tx = vault.process.db.read().await.unwrap();
    let (_, receipt) = shreds::find_tombstone(&mut tx, id).await.unwrap().unwrap();
    let text = shreds::find_receipt(&mut tx, receipt).await.unwrap();
    drop(tx);
    let keys = vault.process.flow.vault.keys().await.unwrap();
    Receipt::verify(&text.unwrap(), &keys).unwrap().source()
}

/// Returns the kinds and states of the copies, and the state of all.
async fn copies(vault: &TestVault, id: RecordingId) -> (Vec<(String, String)>, String) {
    let at_source = vault.names(id, "at_source").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let copies = at_source["copies"].as_array().unwrap().iter();
    let copies = copies.map(|copy| (text(&copy["kind"]), text(&copy["state"])));
    (copies.collect(), text(&at_source["state"]))
}

fn states(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(kind, state): &(&str, &str)| ((*kind).to_owned(), (*state).to_owned());
    all.iter().map(owned).collect()
}

async fn a_delivered_copy_goes_though_somebody_removed_its_message_first(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let (message, copy) = delivered(&vault, &chat).await;
    vault.stand_in.remove_chat_message(&chat.sid, &message);
    let id = chat.id(&message);
    vault.shred(id).await;
    work(&vault).await;
    assert!(!vault.stand_in.remaining_message(&copy).entry);
    // Others may have been delivered, of which nobody told.
    let expected = states(&[
        ("chat-message", "confirmed"),
        ("message", "unknown"),
        ("message", "confirmed"),
    ]);
    let (found, state) = copies(&vault, id).await;
    assert_eq!((found, state.as_str()), (expected, "left"));
    assert_eq!(source_said(&vault, id).await, Some(Removal::Unknown));
}

async fn a_copy_that_is_told_of_after_the_shred_goes_too(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    let copy = MessageFacts::outbound(LINE, ANNA, "to all");
    let copy = vault.stand_in.add_message(&vault.account, copy);
    let facts = ChatMessageFacts {
        participant: Some(ben),
        deliveries: vec![ChatDeliveryFacts::new(copy.clone())],
        ..ChatMessageFacts::new("ben", "to all")
    };
    chat.passes();
    let message = vault.stand_in.add_chat_message(&chat.sid, facts);
    chat.tells(&message, "onMessageAdded").await;
    let told = vault
        .stand_in
        .chat_delivery_callbacks(&chat.sid, &message, &chat.url());
    vault.stand_in.remove_chat_message(&chat.sid, &message);
    let id = chat.id(&message);
    vault.shred(id).await;
    work(&vault).await;
    assert!(vault.stand_in.remaining_message(&copy).entry);
    for signed in told {
        chat.post(signed).await;
    }
    work(&vault).await;
    assert!(!vault.stand_in.remaining_message(&copy).entry);
}

async fn an_open_chat_is_not_deleted_though_all_of_it_is_shredded(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    let (_, id) = chat.writes("ben", &ben, "all there is").await;
    vault.shred(id).await;
    work(&vault).await;
    assert_eq!(vault.stand_in.remaining_chat(&chat.sid), Some(vec![]));
    assert_eq!(vault.names(id, "at_source").await["state"], "deleted");
}

async fn a_closed_chat_with_a_message_that_the_vault_never_had_is_not_deleted(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let unknown = chat.wrote("ben", None, "from before");
    let ben = chat.joins(ChatParticipantFacts::identity("ben")).await;
    let (_, id) = chat.writes("ben", &ben, "known").await;
    vault.stand_in.set_chat_state(&chat.sid, "closed");
    vault.shred(id).await;
    work(&vault).await;
    assert_eq!(
        vault.stand_in.remaining_chat(&chat.sid),
        Some(vec![unknown])
    );
}

async fn who_revoked_before_they_were_named_loses_what_they_wrote(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    chat.passes();
    vault.clock.advance(std::time::Duration::from_secs(60));
    vault.revoked(json!({ "subject": ANNA })).await;
    // Written before, told after.
    let anna = chat.joined(ChatParticipantFacts::sms(ANNA, LINE));
    let facts = ChatMessageFacts {
        participant: Some(anna),
        ..ChatMessageFacts::new(ANNA, "before")
    };
    let message = vault.stand_in.add_chat_message(&chat.sid, facts);
    chat.tells(&message, "onMessageAdded").await;
    assert_eq!(vault.state(chat.id(&message)).await, "shredded");
}

on_both_databases!(
    a_revocation_takes_what_one_wrote_and_the_chat_stays,
    the_delivered_copy_of_a_message_is_deleted_with_it,
    a_delivered_copy_goes_though_somebody_removed_its_message_first,
    a_copy_that_is_told_of_after_the_shred_goes_too,
    an_open_chat_is_not_deleted_though_all_of_it_is_shredded,
    a_closed_chat_with_a_message_that_the_vault_never_had_is_not_deleted,
    who_revoked_before_they_were_named_loses_what_they_wrote,
);
