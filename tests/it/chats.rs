//! Chats: sealed before the answer, in every state, with who was there.

mod accounts;
mod comparing;
mod leaving;
mod linked;
mod order;
mod streamed;

use std::time::Duration;

use recvault::{
    db::{chats, parties},
    demo::stand_in::{ChatFile, ChatMessageFacts, ChatParticipantFacts},
    flow::Reconciling,
    model::{
        id::RecordingId,
        media::SourceRef,
        sid::{ChatMessageSid, ChatParticipantSid, ChatServiceSid, ChatSid},
        subject::{Conversation, PartyScope},
    },
};
use serde_json::{Value, json};

use crate::{
    consenting::consent_policy,
    restoring::rebuilt,
    transcribing::work,
    viewing::{granted, policy, token_of},
    world::{Answer, Database, Recipe, TestVault, that_keeps_everything},
};

const ANNA: &str = "+493023125001";
const LINE: &str = "+493023125009";
const TEXT: &str = "The spare key is under the third pot";
const URL: &str = "/twilio/conversations";

/// Returns a policy that keeps chats, too.
fn keeping(policy: &str) -> String {
    policy.replacen(
        "[collection]\n",
        "[collection]\nkinds = [\"call\", \"chat-message\"]\nbots = [\"helper\"]\n",
        1,
    )
}

async fn vault_on(database: Database) -> TestVault {
    with(database, &keeping(&policy())).await
}

async fn with(database: Database, policy: &str) -> TestVault {
    Recipe {
        policy: policy.to_owned(),
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

fn service() -> ChatServiceSid {
    format!("IS{}", "9".repeat(32)).parse().unwrap()
}

/// A chat at Twilio, and what the vault is told of it.
struct Chat<'a> {
    vault: &'a TestVault,
    sid: ChatSid,
}

impl<'a> Chat<'a> {
    fn begun(vault: &'a TestVault) -> Self {
        let sid = vault.stand_in.add_chat(&vault.account, &service());
        Self { vault, sid }
    }

    /// Lets a second pass, so that two events have two times.
    fn passes(&self) {
        let second = Duration::from_secs(1);
        self.vault.clock.advance(second);
        self.vault.stand_in.advance(second);
    }

    async fn post(&self, signed: recvault::demo::stand_in::SignedCallback) {
        let answer = self
            .vault
            .process
            .api
            .form(URL, &signed.body, &[&signed.signature])
            .await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    fn url(&self) -> String {
        self.vault.process.public(URL)
    }

    fn joined(&self, facts: ChatParticipantFacts) -> ChatParticipantSid {
        self.vault.stand_in.add_chat_participant(&self.sid, facts)
    }

    async fn tells_of(&self, participant: &ChatParticipantSid, event: &str) {
        let signed = self.vault.stand_in.chat_participant_callback(
            &self.sid,
            participant,
            event,
            &self.url(),
        );
        self.post(signed).await;
    }

    /// Somebody joins, and the vault is told.
    async fn joins(&self, facts: ChatParticipantFacts) -> ChatParticipantSid {
        let participant = self.joined(facts);
        self.tells_of(&participant, "onParticipantAdded").await;
        participant
    }

    async fn leaves(&self, participant: &ChatParticipantSid) {
        self.tells_of(participant, "onParticipantRemoved").await;
        self.vault
            .stand_in
            .remove_chat_participant(&self.sid, participant);
    }

    fn wrote(&self, author: &str, by: Option<&ChatParticipantSid>, text: &str) -> ChatMessageSid {
        self.passes();
        let facts = ChatMessageFacts {
            participant: by.cloned(),
            ..ChatMessageFacts::new(author, text)
        };
        self.vault.stand_in.add_chat_message(&self.sid, facts)
    }

    async fn tells(&self, message: &ChatMessageSid, event: &str) {
        let signed =
            self.vault
                .stand_in
                .chat_message_callback(&self.sid, message, event, &self.url());
        self.post(signed).await;
    }

    /// Somebody writes, and the vault is told.
    async fn writes(
        &self,
        author: &str,
        by: &ChatParticipantSid,
        text: &str,
    ) -> (ChatMessageSid, RecordingId) {
        let message = self.wrote(author, Some(by), text);
        self.tells(&message, "onMessageAdded").await;
        let id = self.id(&message);
        (message, id)
    }

    fn edits(&self, message: &ChatMessageSid, text: &str) {
        self.passes();
        self.vault
            .stand_in
            .edit_chat_message(&self.sid, message, text);
    }

    fn id(&self, message: &ChatMessageSid) -> RecordingId {
        let account = self.vault.account.clone();
        let source = SourceRef::parse(account, message.as_str()).unwrap();
        source.recording_id(self.vault.made.vault)
    }

    async fn compares(&self) -> recvault::flow::AccountReconciled {
        let reconciliation = &self.vault.process.flow.reconciliation;
        let mut done = reconciliation
            .reconcile(&Reconciling::default())
            .await
            .unwrap();
        work(self.vault).await;
        assert_eq!(done[0].fault, None);
        done.remove(0)
    }
}

impl TestVault {
    /// Returns the texts of every state of a message, and the one that its text is.
    async fn states(&self, id: RecordingId) -> (Vec<String>, String) {
        let grant = granted(self, id, "hear").await;
        let mut texts = Vec::new();
        for state in grant["states"].as_array().unwrap() {
            let path = self
                .process
                .path_of(state["transcript_url"].as_str().unwrap());
            texts.push(text_of(&self.anybody().get(&path).await));
            let path = self.process.path_of(state["message_url"].as_str().unwrap());
            assert_eq!(self.anybody().get(&path).await.status, 200);
        }
        let path = format!("/v1/media/{}/transcript.json", token_of(&grant));
        (texts, text_of(&self.anybody().get(&path).await))
    }

    async fn names(&self, id: RecordingId, member: &str) -> Value {
        self.details(id).await[member].clone()
    }
}

fn text_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["sentences"][0]["text"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn a_message_of_a_chat_is_sealed_before_the_answer(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let anna = chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let (message, id) = chat.writes(ANNA, &anna, TEXT).await;
    // Told twice, it is one.
    chat.tells(&message, "onMessageAdded").await;
    let shown = vault.details(id).await;
    assert_eq!(
        (&shown["kind"], &shown["state"], &shown["chat_sid"]),
        (&json!("chat-message"), &json!("sealed"), &json!(chat.sid))
    );
    assert_eq!(
        shown["author"],
        anna.as_str().to_ascii_lowercase(),
        "{shown}"
    );
    assert_eq!(vault.states(id).await, (vec![], TEXT.to_owned()));
    assert_eq!(vault.count("recording.sealed").await, 1);
    let grant = granted(&vault, id, "hear").await;
    let path = format!("/v1/media/{}/message.json", token_of(&grant));
    let form = vault.anybody().get(&path).await.json();
    let has = |pair: Value| form.as_array().unwrap().contains(&pair);
    assert!(has(json!(["Body", TEXT])) && has(json!(["EventType", "onMessageAdded"])));
    let path = format!("/v1/media/{}/parties.json", token_of(&grant));
    let parties = vault.anybody().get(&path).await.json();
    assert_eq!(parties["parties"][0]["address"], ANNA);
    assert_eq!(parties["parties"].as_array().unwrap().len(), 1);
    // Nothing of it costs an object, and nothing is in the clear.
    assert_eq!(vault.objects().await, []);
    vault.process.flow.vault.journal().await.unwrap();
    for file in crate::world::files_below(vault.folder()) {
        let bytes = std::fs::read(&file).unwrap();
        let is_there = |secret: &str| {
            bytes
                .windows(secret.len())
                .any(|some| some == secret.as_bytes())
        };
        assert!(
            !is_there("third pot") && !is_there(&ANNA[1..]),
            "{}",
            file.display()
        );
    }
}

async fn a_policy_that_does_not_keep_chats_keeps_none(database: Database) {
    let vault = with(database, &policy()).await;
    let chat = Chat::begun(&vault);
    let anna = chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let (_, id) = chat.writes(ANNA, &anna, TEXT).await;
    assert!(!vault.has_row(id).await);
    assert_eq!(
        vault.ground().integer("SELECT COUNT(*) FROM parties").await,
        Some(0)
    );
}

async fn every_state_of_an_edited_message_opens_whatever_the_order(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let message = chat.wrote("dave", Some(&dave), "one");
        let sign = |event: &str| {
            vault
                .stand_in
                .chat_message_callback(&chat.sid, &message, event, &chat.url())
        };
        let mut told = vec![sign("onMessageAdded")];
        for text in ["two", "three"] {
            chat.edits(&message, text);
            told.push(sign("onMessageUpdated"));
        }
        for which in order.into_iter().chain(order) {
            chat.post(told[which].clone()).await;
        }
        let id = chat.id(&message);
        let (states, text) = vault.states(id).await;
        assert_eq!(states, ["one", "two", "three"], "{order:?}");
        assert_eq!(text, "three");
        assert_eq!(vault.key_entry(id).await.iter().count(), 1);
        // All of them die together.
        vault.shred(id).await;
        assert_eq!(vault.state(id).await, "shredded");
        chat.post(told[1].clone()).await;
        work(&vault).await;
        assert_eq!(vault.artefacts(id).await, []);
    }
}

async fn an_edit_with_a_card_number_moves_the_message_to_a_stricter_tier(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    let (message, id) = chat.writes("dave", &dave, "my card").await;
    assert_eq!(vault.names(id, "tier").await, "standard");
    chat.edits(&message, "my card is 4111 1111 1111 1111");
    chat.tells(&message, "onMessageUpdated").await;
    assert_eq!(vault.names(id, "tier").await, "restricted");
    // A redacted view redacts each state.
    let grant = granted(&vault, id, "see-less").await;
    for state in grant["states"].as_array().unwrap() {
        let path = vault
            .process
            .path_of(state["transcript_url"].as_str().unwrap());
        assert!(!vault.anybody().get(&path).await.text().contains("1111"));
        assert_eq!(state["message_url"], Value::Null);
    }
}

async fn what_is_removed_at_twilio_stays_and_says_so_or_goes(database: Database) {
    for (follow, state) in [("keep", "sealed"), ("shred", "shredded")] {
        let key = format!("[collection]\nremoved_at_source = \"{follow}\"\n");
        let policy = keeping(&policy()).replacen("[collection]\n", &key, 1);
        let vault = with(database, &policy).await;
        let chat = Chat::begun(&vault);
        let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
        let (told, kept) = chat.writes("dave", &dave, "first").await;
        // Of this one only the removal arrives: it has the last state.
        let lost = chat.wrote("dave", Some(&dave), "second");
        for message in [&told, &lost] {
            chat.tells(message, "onMessageRemoved").await;
            chat.tells(message, "onMessageRemoved").await;
        }
        for id in [kept, chat.id(&lost)] {
            assert_eq!(vault.state(id).await, state, "{follow}");
            if follow == "keep" {
                assert_ne!(vault.names(id, "removed_at_source").await, Value::Null);
            }
        }
        assert_eq!(vault.count("source.removed").await, 2);
    }
}

async fn files_of_a_chat_are_fetched_with_new_addresses_and_die_with_their_message(
    database: Database,
) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    let file = |bytes: &'static [u8]| ChatFile::new("a b.jpg", "image/jpeg", bytes);
    let facts = ChatMessageFacts {
        participant: Some(dave.clone()),
        media: vec![file(b"\xff\xd8one"), file(b"\xff\xd8two")],
        ..ChatMessageFacts::new("dave", "")
    };
    chat.passes();
    let message = vault.stand_in.add_chat_message(&chat.sid, facts);
    chat.tells(&message, "onMessageAdded").await;
    work(&vault).await;
    let id = chat.id(&message);
    let grant = granted(&vault, id, "hear").await;
    let mut shown = Vec::new();
    for url in grant["file_urls"].as_array().unwrap() {
        let path = vault.process.path_of(url.as_str().unwrap());
        shown.push(vault.anybody().get(&path).await.body.to_vec());
    }
    assert_eq!(shown, [b"\xff\xd8one".to_vec(), b"\xff\xd8two".to_vec()]);

    vault.shred(id).await;
    work(&vault).await;
    assert_eq!(vault.objects().await, []);
    assert_eq!(vault.stand_in.remaining_chat(&chat.sid), Some(vec![]));
    let copies = vault.names(id, "at_source").await;
    assert_eq!(copies["state"], "deleted", "{copies}");
    let listed = copies["copies"].as_array().unwrap();
    let states: Vec<_> = listed
        .iter()
        .map(|copy| (copy["kind"].clone(), copy["state"].clone()))
        .collect();
    let confirmed = |kind: &str| (json!(kind), json!("confirmed"));
    assert_eq!(
        states,
        [
            confirmed("chat-message"),
            confirmed("file"),
            confirmed("file")
        ]
    );
}

async fn only_who_was_there_has_to_agree(database: Database) {
    let policy = keeping(&that_keeps_everything(&consent_policy()));
    let vault = with(database, &policy).await;
    let chat = Chat::begun(&vault);
    let anna = chat.joins(ChatParticipantFacts::sms(ANNA, LINE)).await;
    let ben = chat.joins(ChatParticipantFacts::identity("Ben")).await;
    let (_, early) = chat.writes(ANNA, &anna, "early").await;
    chat.passes();
    let carl = chat.joins(ChatParticipantFacts::identity("carl")).await;
    chat.joins(ChatParticipantFacts::identity("helper")).await;
    let (_, late) = chat.writes("Ben", &ben, "late").await;
    chat.passes();
    chat.leaves(&carl).await;
    let (_, last) = chat.writes(ANNA, &anna, "last").await;
    let program = chat.wrote("helper", None, "I am a program");
    chat.tells(&program, "onMessageAdded").await;
    let bots = chat.id(&program);
    let waits = async |id| vault.names(id, "quarantine_ends").await != Value::Null;
    for person in [ANNA, "chat:Ben"] {
        vault.agrees(person).await;
    }
    // Who received them is not known before the participants were read.
    assert!(waits(early).await && waits(last).await);
    work(&vault).await;
    assert!(!waits(early).await && !waits(last).await && !waits(bots).await);
    assert!(waits(late).await);
    vault.agrees("client:carla").await;
    assert!(waits(late).await);
    vault.agrees("client:Carl").await;
    assert!(!waits(late).await);
}

async fn store_and_custody_alone_rebuild_a_chat(database: Database) {
    let vault = vault_on(database).await;
    let chat = Chat::begun(&vault);
    let dave = chat.joins(ChatParticipantFacts::identity("dave")).await;
    let (message, id) = chat.writes("dave", &dave, "one").await;
    vault.process.flow.vault.snapshot().await.unwrap();
    chat.edits(&message, "two");
    chat.tells(&message, "onMessageUpdated").await;
    let (removed, gone) = chat.writes("dave", &dave, "removed").await;
    chat.tells(&removed, "onMessageRemoved").await;
    work(&vault).await;
    vault.process.flow.vault.journal().await.unwrap();
    for other in Database::given() {
        let (_, process, _ground) = rebuilt(&vault, other).await;
        let only = [Conversation::Chat(chat.sid.clone())];
        let mut tx = process.db.read().await.unwrap();
        let found = chats::find(&mut tx, &vault.account, &chat.sid).await;
        let row = found.unwrap().unwrap();
        assert_eq!(
            (row.service, row.read_at.is_some()),
            (Some(service()), true)
        );
        let named = parties::of(&mut tx, &PartyScope::Every, &only).await;
        let named = named.unwrap().remove(&only[0]).unwrap();
        let bounds: Vec<_> = named
            .iter()
            .map(|party| {
                (
                    party.presence.joined_at.is_some(),
                    party.presence.left_at.is_some(),
                )
            })
            .collect();
        // The participant, and nobody else.
        assert_eq!(bounds, [(true, false), (false, true)]);
        drop(tx);
        let of = |who: &str| {
            process
                .api
                .clone()
                .bearing(vault.minted(who).token.expose())
        };
        let path = format!("/v1/recordings/{id}/grants");
        let grant = of("reviewer")
            .post(&path, json!({ "purpose": "hear" }))
            .await;
        assert_eq!(grant.status, 201, "{grant:?}");
        let grant = grant.json();
        assert_eq!(grant["states"].as_array().unwrap().len(), 2);
        let path = format!("/v1/media/{}/transcript.json", token_of(&grant));
        assert_eq!(text_of(&process.api.get(&path).await), "two");
        let shown = of("privacy-officer")
            .get(&format!("/v1/recordings/{gone}"))
            .await;
        assert_ne!(shown.json()["removed_at_source"], Value::Null);
    }
}

on_both_databases!(
    a_message_of_a_chat_is_sealed_before_the_answer,
    a_policy_that_does_not_keep_chats_keeps_none,
    every_state_of_an_edited_message_opens_whatever_the_order,
    an_edit_with_a_card_number_moves_the_message_to_a_stricter_tier,
    what_is_removed_at_twilio_stays_and_says_so_or_goes,
    files_of_a_chat_are_fetched_with_new_addresses_and_die_with_their_message,
    only_who_was_there_has_to_agree,
    store_and_custody_alone_rebuild_a_chat,
);
