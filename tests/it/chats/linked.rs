//! A message of a chat that a line delivers is a message at the source, too: a receipt names it, or
//! nothing does and it is only alike.

use recvault::{
    demo::stand_in::{ChatDeliveryFacts, ChatMessageFacts, ChatParticipantFacts, MessageFacts},
    model::{
        id::RecordingId,
        sid::{ChatMessageSid, MessageSid},
    },
};
use serde_json::{Value, json};

use super::{ANNA, Chat, LINE, TEXT, with};
use crate::{
    sessions::linked::links_of,
    transcribing::work,
    viewing::policy,
    world::{Database, TestVault},
};

async fn vault_on(database: Database) -> TestVault {
    let kinds =
        "[collection]\nkinds = [\"call\", \"message\", \"chat-message\"]\nbots = [\"helper\"]\n";
    with(database, &policy().replacen("[collection]\n", kinds, 1)).await
}

/// What is told of a message that is delivered by a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Written,
    Receipt,
    Status,
}

impl Chat<'_> {
    /// The agent writes to Anna, whose line delivers it.
    fn delivered(&self) -> (ChatMessageSid, MessageSid) {
        self.passes();
        let facts = MessageFacts::outbound(LINE, ANNA, TEXT);
        let sms = self.vault.stand_in.add_message(&self.vault.account, facts);
        let facts = ChatMessageFacts {
            deliveries: vec![ChatDeliveryFacts::new(sms.clone())],
            ..ChatMessageFacts::new("helper", TEXT)
        };
        (self.vault.stand_in.add_chat_message(&self.sid, facts), sms)
    }

    async fn tell(&self, told: Told, message: &ChatMessageSid, sms: &MessageSid) {
        let stand_in = &self.vault.stand_in;
        match told {
            Told::Written => self.tells(message, "onMessageAdded").await,
            Told::Receipt => {
                for signed in stand_in.chat_delivery_callbacks(&self.sid, message, &self.url()) {
                    self.post(signed).await;
                }
            }
            Told::Status => {
                let params = stand_in.message_status_params(sms, "delivered");
                let path = "/twilio/messages/status";
                let answer = self.vault.post_callback(&self.vault.account, path, &params);
                assert!(answer.await.status < 300);
            }
        }
        work(self.vault).await;
    }
}

fn sms_id(vault: &TestVault, sms: &MessageSid) -> RecordingId {
    RecordingId::of_source(vault.made.vault, vault.account.as_str(), sms.as_str())
}

async fn a_receipt_links_both_whatever_comes_first(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    use Told::{Receipt, Status, Written};
    for order in [
        [Written, Receipt, Status],
        [Written, Status, Receipt],
        [Receipt, Written, Status],
        [Receipt, Status, Written],
        [Status, Written, Receipt],
        [Status, Receipt, Written],
    ] {
        let (message, sms) = chat.delivered();
        for told in order {
            chat.tell(told, &message, &sms).await;
        }
        let (id, sms) = (chat.id(&message), sms_id(&vault, &sms));
        for (one, other) in [(id, sms), (sms, id)] {
            let exact = json!({ "recording_id": other, "kind": "exact", "why": "delivery-receipt", "state": "sealed" });
            assert_eq!(links_of(&vault, one).await, [exact], "{order:?}");
        }
        vault.shred(sms).await;
        for gone in [id, sms] {
            assert_eq!(vault.state(gone).await, "shredded", "{order:?}");
        }
    }
    // Whatever comes last falls under the shred of the first.
    for order in [[Written, Receipt, Status], [Status, Receipt, Written]] {
        let (message, sms) = chat.delivered();
        for told in &order[..2] {
            chat.tell(*told, &message, &sms).await;
        }
        let (id, other) = (chat.id(&message), sms_id(&vault, &sms));
        let first = if order[0] == Written { id } else { other };
        vault.shred(first).await;
        chat.tell(order[2], &message, &sms).await;
        for gone in [id, other] {
            assert_eq!(vault.state(gone).await, "shredded", "{order:?}");
        }
    }
}

async fn a_delivered_copy_is_no_second_recording_by_comparison(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let (message, sms) = chat.delivered();
    chat.tell(Told::Written, &message, &sms).await;
    chat.tell(Told::Receipt, &message, &sms).await;
    let later = std::time::Duration::from_secs(2 * 3600);
    vault.clock.advance(later);
    vault.stand_in.advance(later);
    chat.compares().await;
    assert!(!vault.has_row(sms_id(&vault, &sms)).await);
    let links = links_of(&vault, chat.id(&message)).await;
    assert_eq!(links[0]["state"], Value::Null, "{links:?}");
}

async fn lost_receipts_are_asked_for(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let (message, sms) = chat.delivered();
    chat.tell(Told::Status, &message, &sms).await;
    chat.compares().await;
    let links = links_of(&vault, chat.id(&message)).await;
    let sms = sms_id(&vault, &sms);
    assert_eq!(links[0]["recording_id"], json!(sms), "{links:?}");
    vault.shred(chat.id(&message)).await;
    assert_eq!(vault.state(sms).await, "shredded");
}

async fn what_nobody_names_is_linked_as_alike_and_stands_alone(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let anna = chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    for is_chat_first in [true, false] {
        let text = format!("{TEXT} {is_chat_first}");
        let message = chat.wrote(ANNA, Some(&anna), &text);
        let facts = MessageFacts::inbound(ANNA, LINE, &text);
        let sms = vault.stand_in.add_message(&vault.account, facts);
        for is_chat in [is_chat_first, !is_chat_first] {
            if is_chat {
                chat.tells(&message, "onMessageAdded").await;
            } else {
                let params = vault.stand_in.incoming_message_params(&sms);
                let answer = vault.post_callback(&vault.account, "/twilio/messages", &params);
                assert_eq!(answer.await.status, 200);
            }
        }
        let (id, sms) = (chat.id(&message), sms_id(&vault, &sms));
        for (one, other) in [(id, sms), (sms, id)] {
            let inferred = json!({ "recording_id": other, "kind": "inferred", "why": "same-text", "state": "sealed" });
            assert_eq!(links_of(&vault, one).await, [inferred]);
        }
        vault.shred(id).await;
        assert_eq!(vault.state(sms).await, "sealed");
        // Nothing of a shredded text is left by which it could be guessed.
        let of = format!("SELECT COUNT(*) FROM likenesses WHERE recording_id = '{id}'");
        assert_eq!(vault.ground().integer(&of).await, Some(0));
    }
    // Another text, and the same by somebody else, are not alike.
    let message = chat.wrote(ANNA, Some(&anna), "hello");
    chat.tells(&message, "onMessageAdded").await;
    for (from, text) in [(ANNA, "hallo"), ("+493023125002", "hello")] {
        let params = vault
            .stand_in
            .message_params(&vault.account, from, LINE, text, None);
        vault
            .post_callback(&vault.account, "/twilio/messages", &params)
            .await;
    }
    assert_eq!(links_of(&vault, chat.id(&message)).await, [] as [Value; 0]);
}

on_both_databases!(
    a_receipt_links_both_whatever_comes_first,
    a_delivered_copy_is_no_second_recording_by_comparison,
    lost_receipts_are_asked_for,
    what_nobody_names_is_linked_as_alike_and_stands_alone,
);
