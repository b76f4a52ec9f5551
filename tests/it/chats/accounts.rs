//! Who takes part: as the chat's own account tells it, by each of their addresses.

use recvault::{
    db::{parties, recordings},
    flow::ChatNews,
    model::{
        id::RecordingId,
        sid::{AccountSid, ChatMessageSid, ChatParticipantSid},
        subject::Conversation,
    },
    twilio::{
        ChatEvent, MessageAddress,
        conversations::{ChatMessage, ChatParticipant, MessagingBinding},
    },
};
use serde_json::json;

use super::{ANNA, Chat, LINE, URL, keeping, service, vault_on, with};
use crate::{
    consenting::consent_policy,
    threads::moments::somebody_waits,
    transcribing::work,
    world::{Database, TestVault, digits, that_keeps_everything},
};

impl Chat<'_> {
    /// The source tells of a participant, with whatever addresses they have.
    async fn takes(
        &self,
        account: &AccountSid,
        sid: &ChatParticipantSid,
        identity: Option<&str>,
        addresses: &[&str],
    ) {
        let binding = MessagingBinding {
            kind: Some("sms".to_owned()),
            addresses: addresses
                .iter()
                .map(|one| MessageAddress::parse(one))
                .collect(),
            proxy_address: Some(MessageAddress::parse(LINE)),
            projected_address: None,
            author_address: None,
        };
        let participant = ChatParticipant {
            chat: self.sid.clone(),
            sid: sid.clone(),
            service: Some(service()),
            identity: identity.map(Into::into),
            binding: Some(binding),
            attributes: None,
            joined_at: Some(self.vault.clock.now()),
            updated_at: None,
            left_at: None,
        };
        self.hears(account, ChatEvent::ParticipantAdded(participant))
            .await;
    }

    /// The source tells of a message that came through this participation.
    async fn reads(
        &self,
        by: &ChatParticipantSid,
        author: &str,
        attributes: Option<&str>,
    ) -> RecordingId {
        let message = self.message(by, author, attributes);
        let id = self.id(&message.sid);
        self.hears(&self.vault.account, ChatEvent::MessageAdded(message))
            .await;
        id
    }

    fn message(
        &self,
        by: &ChatParticipantSid,
        author: &str,
        attributes: Option<&str>,
    ) -> ChatMessage {
        let sid: ChatMessageSid = format!("IM{}", digits()).parse().unwrap();
        ChatMessage {
            chat: self.sid.clone(),
            sid,
            service: Some(service()),
            index: None,
            author: Some(author.into()),
            participant: Some(by.clone()),
            body: Some("some words".into()),
            attributes: attributes.map(Into::into),
            media: Vec::new(),
            media_are_whole: true,
            messaging_service: None,
            created_at: Some(self.vault.clock.now()),
            updated_at: None,
            removed_at: None,
        }
    }

    async fn hears(&self, account: &AccountSid, event: ChatEvent) {
        let news = ChatNews {
            account,
            event: &event,
            source: None,
            form: b"Body=some+words",
            query: &[],
        };
        let chats = &self.vault.process.flow.chat_intake;
        chats.take(news).await.unwrap();
    }
}

fn participation() -> ChatParticipantSid {
    format!("MB{}", digits()).parse().unwrap()
}

/// The other account is configured, too, and knows the ids.
async fn another_account_names_nobody_in_a_chat(database: Database) {
    let policy = keeping(&that_keeps_everything(&consent_policy()));
    let vault = with(database, &policy).await;
    let chat = Chat::begun(&vault);
    let anna = participation();
    // Before anybody was named, and under the id of whoever comes.
    let params: Vec<(&str, String)> = vec![
        ("AccountSid", vault.other_account.to_string()),
        ("EventType", "onParticipantAdded".to_owned()),
        ("ConversationSid", chat.sid.to_string()),
        ("ParticipantSid", anna.to_string()),
        ("Identity", "mallory".to_owned()),
    ];
    let params: Vec<(String, String)> = params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let told = vault
        .post_callback(&vault.other_account, URL, &params)
        .await;
    assert_eq!(told.status, 204, "{told:?}");
    chat.takes(&vault.account, &anna, None, &[ANNA]).await;
    let written = chat.reads(&anna, ANNA, None).await;
    work(&vault).await;

    // Only whoever is there has to agree.
    vault.agrees("client:mallory").await;
    assert_ne!(vault.names(written, "quarantine_ends").await, json!(null));
    let officer = vault.asks("privacy-officer");
    let search = json!({ "subject": "client:mallory" });
    let found = officer.post("/v1/recordings/search", search).await.json();
    assert_eq!(found["items"], json!([]), "{found}");
    vault.revoked(json!({ "subject": "client:mallory" })).await;
    assert_eq!(vault.state(written).await, "sealed");
    vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(vault.state(written).await, "shredded");
}

async fn an_author_is_whoever_has_the_address_in_any_order(database: Database) {
    const OTHER: &str = "+493023125007";
    for is_message_first in [true, false] {
        let vault = vault_on(database).await;
        let chat = Chat::begun(&vault);
        let group = participation();
        let joins = async || {
            chat.takes(&vault.account, &group, Some("dave"), &[ANNA, OTHER])
                .await;
        };
        if !is_message_first {
            joins().await;
        }
        let mut written = Vec::new();
        for author in [OTHER, "dave", ANNA] {
            written.push((author, chat.reads(&group, author, None).await));
        }
        if is_message_first {
            joins().await;
        }
        let count = "SELECT COUNT(*) FROM parties WHERE subject IS NOT NULL";
        assert_eq!(vault.ground().integer(count).await, Some(3));
        // An identity is one person in chats and calls.
        for (who, author) in [("client:Dave", "dave"), (ANNA, ANNA), (OTHER, OTHER)] {
            vault.revoked(json!({ "subject": who })).await;
            let id = written.iter().find(|(by, _)| *by == author).unwrap().1;
            assert_eq!(
                vault.state(id).await,
                "shredded",
                "{is_message_first} {who}"
            );
        }
    }
}

async fn what_an_author_wrote_goes_and_no_words_of_others(database: Database) {
    const OTHER: &str = "+493023125007";
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let group = participation();
    chat.takes(&vault.account, &group, None, &[ANNA, OTHER])
        .await;
    let annas = chat.reads(&group, ANNA, None).await;
    let others = chat.reads(&group, OTHER, None).await;
    vault.revoked(json!({ "subject": OTHER })).await;
    assert_eq!(vault.state(annas).await, "sealed");
    assert_eq!(vault.state(others).await, "shredded");
}

async fn a_withdrawal_for_a_place_takes_what_it_wrote(database: Database) {
    const BEN: &str = "+493023125007";
    let policy = keeping(&that_keeps_everything(&consent_policy()));
    let vault = with(database, &policy).await;
    let chat = Chat::begun(&vault);
    let [anna, ben] = [participation(), participation()];
    chat.takes(&vault.account, &anna, None, &[ANNA]).await;
    chat.takes(&vault.account, &ben, None, &[BEN]).await;
    let own = chat.reads(&anna, ANNA, None).await;
    let received = chat.reads(&ben, BEN, None).await;
    let place = anna.as_str().to_ascii_lowercase();
    withdraws(&vault, &chat, &place).await;
    assert_eq!(vault.state(own).await, "shredded");
    assert_eq!(vault.state(received).await, "sealed");
    // Closed to whatever rests on consent.
    vault.agrees(BEN).await;
    assert_ne!(vault.names(received, "quarantine_ends").await, json!(null));
    // Of a place that nobody has, it is everything.
    withdraws(&vault, &chat, "nobody").await;
    assert_eq!(vault.state(received).await, "shredded");
}

/// A naming waits for a unit that enters content of its chat before it locks a row: that unit can
/// still lock every row.
async fn a_naming_locks_names_before_rows(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let [anna, ben] = [participation(), participation()];
    chat.takes(&vault.account, &anna, None, &[ANNA]).await;
    let id = chat.reads(&anna, ANNA, None).await;
    let other = vault.another_process().await;
    let conversation = Conversation::Chat(chat.sid.clone());
    let has_begun = tokio::sync::Notify::new();
    let entering = other.db.unit("test.entering", async |mut unit| {
        unit.without_entry("a test");
        let only = std::slice::from_ref(&conversation);
        parties::share(&mut unit, [&vault.account], only).await?;
        has_begun.notify_one();
        while !somebody_waits(&vault).await {
            tokio::task::yield_now().await;
        }
        recordings::set_removed(&mut unit, id, vault.clock.now()).await
    });
    let naming = async {
        has_begun.notified().await;
        chat.takes(&vault.account, &ben, None, &["+493023125007"])
            .await;
    };
    let (entered, ()) = tokio::join!(entering, naming);
    // A deadlock would have been found out by the database, and the unit run again.
    assert!(entered.unwrap(), "it was entered once");
    let retried = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    if vault.ground().is_postgres() {
        assert_eq!(vault.ground().integer(retried).await, Some(0));
    }
}

async fn withdraws(vault: &TestVault, chat: &Chat<'_>, leg: &str) {
    use recvault::{
        flow::{About, NewStatement},
        model::consent::{Answer, Method},
        policy::{Permit, action},
    };
    let told = NewStatement {
        about: About::Place(
            Conversation::Chat(chat.sid.clone()),
            Some(leg.parse().unwrap()),
        ),
        purposes: [].into(),
        answer: Answer::Withdrawn,
        method: Method::Letter,
        evidence: None,
        disclosure: None,
        policy_version: None,
        at: None,
        once: None,
    };
    let permit = Permit::of_operator(action::Consent);
    let consents = &vault.process.flow.consents;
    consents.record(&permit, vec![told]).await.unwrap();
    work(vault).await;
}

on_both_databases!(
    another_account_names_nobody_in_a_chat,
    an_author_is_whoever_has_the_address_in_any_order,
    what_an_author_wrote_goes_and_no_words_of_others,
    a_withdrawal_for_a_place_takes_what_it_wrote,
    a_naming_locks_names_before_rows,
);
