//! Events of chats that come by Event Streams.

use serde_json::json;

use super::{Chat, ChatParticipantFacts, Database, TEXT, service, vault_on};
use crate::transcribing::work;

async fn an_event_of_a_chat_by_event_streams_is_sealed_once(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    let sent = chat.wrote("dave", Some(&dave), TEXT);
    let event = json!({
        "specversion": "1.0",
        "type": "com.twilio.conversations.message.added",
        "source": "/v1/Conversations",
        "id": "EZ1",
        "time": vault.clock.now().to_string(),
        "data": {
            "AccountSid": vault.account.as_str(),
            "ConversationSid": chat.sid.as_str(),
            "ChatServiceSid": service().as_str(),
            "MessageSid": sent.as_str(),
            "ParticipantSid": dave.as_str(),
            "Author": "dave",
            "Body": TEXT,
            "Index": 0,
            "DateCreated": vault.clock.now().to_string(),
        },
    });
    vault.streams(&json!([event])).await;
    // Before any work, and nothing is asked of Twilio.
    assert_eq!(vault.states(chat.id(&sent)).await.1, TEXT);

    // Its webhook and the event again are no news.
    vault.streams(&json!([event])).await;
    chat.tells(&sent, "onMessageAdded").await;
    work(&vault).await;
    assert_eq!(vault.count("recording.sealed").await, 1);
    assert_eq!(vault.count("edit.sealed").await, 0);
}

on_both_databases!(an_event_of_a_chat_by_event_streams_is_sealed_once,);
