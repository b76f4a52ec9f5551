//! Messages that come in: sealed before the answer, read by purpose, rebuilt, revoked.

mod backfilled;
mod joining;
pub(crate) mod moments;
mod outgoing;
mod revoking;
mod streamed;
mod telling;

use recvault::{
    demo::stand_in::{MessageFacts, MessageFile, RemainingMessage},
    model::{artefact::Artefact, id::RecordingId, sid::MessageSid},
};
use serde_json::{Value, json};

use crate::{
    restoring::rebuilt,
    transcribing::work,
    viewing::{granted, policy, token_of},
    world::{Answer, Database, Recipe, TestVault, files_below},
};

pub(crate) const ANNA: &str = "+493090182001";
pub(crate) const BEN: &str = "+493090182002";
pub(crate) const LINE: &str = "+493090182009";
const TEXT: &str = "The parcel is at the neighbours, Geranienweg 12";

/// Returns a policy that keeps messages, too.
pub(crate) fn keeping(policy: &str) -> String {
    policy.replacen(
        "[collection]\n",
        "[collection]\nkinds = [\"call\", \"message\"]\n",
        1,
    )
}

pub(crate) async fn vault_on(database: Database) -> TestVault {
    Recipe {
        policy: keeping(&policy()),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

impl TestVault {
    /// Posts a message to the account's line.
    pub(crate) async fn texts(&self, from: &str, body: &str) -> Answer {
        let params = self
            .stand_in
            .message_params(&self.account, from, LINE, body, None);
        self.told_message(&params).await
    }

    async fn told_message(&self, params: &[(String, String)]) -> Answer {
        self.post_callback(&self.account, "/twilio/messages", params)
            .await
    }

    /// Returns the messages in the catalogue, in the order in which they came.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        let found = self
            .asks("privacy-officer")
            .get("/v1/recordings?kind=message&sort=announced_at")
            .await;
        assert_eq!(found.status, 200, "{found:?}");
        found.json()["items"].as_array().unwrap().clone()
    }

    /// Keeps a message from this person. Returns its id.
    pub(crate) async fn kept(&self, from: &str, body: &str) -> RecordingId {
        let before = self.messages().await;
        assert_eq!(self.texts(from, body).await.status, 200);
        let after = self.messages().await;
        let new = after
            .iter()
            .find(|message| before.iter().all(|other| other["id"] != message["id"]))
            .unwrap();
        assert_eq!(new["state"], "sealed");
        id_of(new)
    }

    pub(crate) async fn reads(&self, id: RecordingId) -> String {
        let grant = granted(self, id, "see").await;
        let path = format!("/v1/media/{}/transcript.json", token_of(&grant));
        let text = self.anybody().get(&path).await;
        assert_eq!(text.status, 200, "{text:?}");
        text.json()["sentences"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

impl TestVault {
    /// Adds a message at Twilio and posts its callback. Returns its ids.
    pub(crate) async fn sent(&self, facts: MessageFacts) -> (MessageSid, RecordingId) {
        let before = self.messages().await;
        let is_inbound = facts.direction == "inbound";
        let sid = self.stand_in.add_message(&self.account, facts);
        let answer = if is_inbound {
            let params = self.stand_in.incoming_message_params(&sid);
            self.told_message(&params).await
        } else {
            let params = self.stand_in.message_status_params(&sid, "delivered");
            self.post_callback(&self.account, "/twilio/messages/status", &params)
                .await
        };
        assert!(answer.status < 300, "{answer:?}");
        work(self).await;
        let after = self.messages().await;
        let new = after
            .iter()
            .find(|message| before.iter().all(|other| other["id"] != message["id"]))
            .unwrap();
        assert_eq!(new["state"], "sealed", "{new}");
        (sid, id_of(new))
    }
}

impl TestVault {
    /// Returns a member of a recording's catalogue data.
    pub(crate) async fn member(&self, id: RecordingId, name: &str) -> Value {
        self.details(id).await[name].clone()
    }
}

fn picture(bytes: &'static [u8]) -> MessageFile {
    MessageFile::new("image/jpeg", bytes)
}

fn id_of(message: &Value) -> RecordingId {
    message["id"].as_str().unwrap().parse().unwrap()
}

async fn a_message_is_sealed_before_the_answer_and_read_for_a_purpose(database: Database) {
    let vault = vault_on(database).await;
    let id = vault.kept(ANNA, TEXT).await;
    let shown = vault.messages().await.remove(0);
    assert_eq!(
        (&shown["kind"], &shown["author"], &shown["source_status"]),
        (&json!("message"), &json!("contact"), &json!("received"))
    );
    assert_eq!(vault.reads(id).await, TEXT);

    // All of it, for who may know all: the form as Twilio sent it, and the person.
    let grant = granted(&vault, id, "hear").await;
    let token = token_of(&grant);
    let form = vault
        .anybody()
        .get(&format!("/v1/media/{token}/message.json"))
        .await
        .json();
    let has = |name: &str, value: &str| {
        form.as_array()
            .unwrap()
            .iter()
            .any(|pair| pair == &json!([name, value]))
    };
    assert!(has("Body", TEXT) && has("From", ANNA) && has("SmsStatus", "received"));
    let parties = vault
        .anybody()
        .get(&format!("/v1/media/{token}/parties.json"))
        .await
        .json();
    assert_eq!(parties["parties"][0]["address"], ANNA);

    // A view of the text alone does not give the form.
    let less = token_of(&granted(&vault, id, "see").await);
    let refused = vault
        .anybody()
        .get(&format!("/v1/media/{less}/message.json"))
        .await;
    assert_eq!(refused.status, 404);

    // Nothing of it costs an object, and nothing of it is anywhere in the clear.
    assert_eq!(vault.objects().await, []);
    vault.process.flow.vault.journal().await.unwrap();
    for file in files_below(vault.folder()) {
        let bytes = std::fs::read(&file).unwrap();
        for secret in ["Geranienweg", &ANNA[1..]] {
            let is_there = bytes
                .windows(secret.len())
                .any(|some| some == secret.as_bytes());
            assert!(!is_there, "{secret} is in {}", file.display());
        }
    }
}

async fn a_message_that_comes_twice_is_one(database: Database) {
    let vault = vault_on(database).await;
    let params = vault
        .stand_in
        .message_params(&vault.account, ANNA, LINE, TEXT, None);
    let both = tokio::join!(vault.told_message(&params), vault.told_message(&params));
    assert_eq!((both.0.status, both.1.status), (200, 200));
    assert_eq!(vault.told_message(&params).await.status, 200);
    let [only] = &vault.messages().await[..] else {
        panic!("not one message")
    };
    assert_eq!(vault.reads(id_of(only)).await, TEXT);
    assert_eq!(vault.count("recording.sealed").await, 1);
}

async fn a_policy_that_does_not_keep_messages_keeps_none(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    assert_eq!(vault.texts(ANNA, TEXT).await.status, 200);
    assert_eq!(vault.messages().await, [] as [Value; 0]);
}

async fn messages_between_two_are_one_thread_and_a_revocation_takes_what_one_wrote(
    database: Database,
) {
    let vault = vault_on(database).await;
    let first = vault.kept(ANNA, "one").await;
    let second = vault.kept(ANNA, "two").await;
    let other = vault.kept(BEN, "three").await;
    let thread = vault.member(first, "thread_id").await;
    assert_eq!(vault.member(second, "thread_id").await, thread);
    assert_ne!(vault.member(other, "thread_id").await, thread);
    let listed = vault
        .asks("privacy-officer")
        .get(&format!(
            "/v1/recordings?thread={}",
            thread.as_str().unwrap()
        ))
        .await
        .json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);

    vault.revoked(json!({ "subject": ANNA })).await;
    for gone in [first, second] {
        assert_eq!(vault.state(gone).await, "shredded");
    }
    assert_eq!(vault.reads(other).await, "three");
}

async fn store_and_custody_alone_rebuild_messages(database: Database) {
    let vault = vault_on(database).await;
    vault.kept(ANNA, "before").await;
    vault.process.flow.vault.snapshot().await.unwrap();
    let late = vault.kept(ANNA, TEXT).await;
    let gone = vault.kept(BEN, "gone").await;
    vault.shred(gone).await;
    vault.process.flow.vault.journal().await.unwrap();

    for other in Database::given() {
        let (_, process, _ground) = rebuilt(&vault, other).await;
        let officer = process
            .api
            .clone()
            .bearing(vault.minted("reviewer").token.expose());
        let granted = officer
            .post(
                &format!("/v1/recordings/{late}/grants"),
                json!({ "purpose": "see" }),
            )
            .await;
        assert_eq!(granted.status, 201, "{granted:?}");
        let path = format!("/v1/media/{}/transcript.json", token_of(&granted.json()));
        let read = process.api.get(&path).await.json();
        assert_eq!(read["sentences"][0]["text"], TEXT);
        officer
            .post(
                &format!("/v1/recordings/{gone}/grants"),
                json!({ "purpose": "see" }),
            )
            .await
            .problem(410, "shredded");
    }
}

async fn a_text_with_a_card_number_is_in_a_stricter_tier_from_the_start(database: Database) {
    let vault = vault_on(database).await;
    let id = vault.kept(ANNA, "my card is 4111 1111 1111 1111").await;
    let shown = vault.details(id).await;
    assert_eq!(shown["tier"], "restricted");
    let grant = granted(&vault, id, "see-less").await;
    let path = format!("/v1/media/{}/transcript.json", token_of(&grant));
    let text = vault.anybody().get(&path).await.text();
    assert!(!text.contains("1111"), "{text}");
}

async fn a_picture_that_was_not_fetched_yet_is_fetched_after_a_rebuilding(database: Database) {
    let vault = vault_on(database).await;
    let facts = MessageFacts {
        media: vec![picture(b"\xff\xd8late")],
        ..MessageFacts::inbound(ANNA, LINE, "look")
    };
    let sid = vault.stand_in.add_message(&vault.account, facts);
    let params = vault.stand_in.incoming_message_params(&sid);
    assert_eq!(vault.told_message(&params).await.status, 200);
    let id = id_of(&vault.messages().await[0]);
    vault.process.flow.vault.journal().await.unwrap();
    let (_, process, _ground) = rebuilt(&vault, database).await;
    process.flow.worker.work_off().await.unwrap();
    let officer = process
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    let shown = officer.get(&format!("/v1/recordings/{id}")).await.json();
    let has = |name: &str| {
        let artefacts = shown["artefacts"].as_array().unwrap();
        artefacts.iter().any(|sealed| sealed["artefact"] == name)
    };
    assert!(
        has("form") && has("transcript") && has("media/0"),
        "{shown}"
    );
}

async fn pictures_are_sealed_with_their_message_and_die_with_it(database: Database) {
    let vault = vault_on(database).await;
    let facts = MessageFacts {
        media: vec![picture(b"\xff\xd8one"), picture(b"\xff\xd8two")],
        ..MessageFacts::inbound(ANNA, LINE, "")
    };
    let (sid, id) = vault.sent(facts).await;
    let files: Vec<Artefact> = vault
        .artefacts(id)
        .await
        .into_iter()
        .map(|sealed| sealed.artefact)
        .filter(|artefact| matches!(artefact, Artefact::Media(_)))
        .collect();
    assert_eq!(files, [Artefact::Media(0), Artefact::Media(1)]);
    assert_eq!(vault.objects().await.len(), 2);
    assert_eq!(vault.key_entry(id).await.iter().count(), 1);
    assert_eq!(vault.count("file.sealed").await, 2);
    let grant = granted(&vault, id, "hear").await;
    let urls = grant["file_urls"].as_array().unwrap();
    assert_eq!(urls.len(), 2);
    let mut shown = Vec::new();
    for url in urls {
        let path = vault.process.path_of(url.as_str().unwrap());
        let file = vault.anybody().get(&path).await;
        assert_eq!(
            (
                file.status,
                file.header("content-disposition"),
                file.header("content-type")
            ),
            (200, "attachment", "image/jpeg")
        );
        shown.push(file.body.to_vec());
    }
    shown.sort();
    assert_eq!(shown, [b"\xff\xd8one".to_vec(), b"\xff\xd8two".to_vec()]);
    let less = granted(&vault, id, "see").await;
    assert_eq!(less["file_urls"], json!([]));

    vault.shred(id).await;
    work(&vault).await;
    assert_eq!(vault.objects().await, []);
    assert_eq!(vault.artefacts(id).await, []);
    assert_eq!(
        vault.stand_in.remaining_message(&sid),
        RemainingMessage::default()
    );
    let copies = vault.details(id).await["at_source"].clone();
    assert_eq!(copies["state"], "deleted", "{copies}");
    let kinds: Vec<_> = copies["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| {
            (
                copy["kind"].as_str().unwrap(),
                copy["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            ("file", "confirmed"),
            ("file", "confirmed"),
            ("message", "confirmed")
        ]
    );
}

async fn a_whatsapp_user_without_a_number_can_revoke(database: Database) {
    const USER: &str = "whatsapp:US.ABC123XYZ";
    let vault = vault_on(database).await;
    let theirs = vault.kept(USER, "mine").await;
    let other = vault.kept("whatsapp:US.ABC123xyz", "not mine").await;
    vault.revoked(json!({ "subject": USER })).await;
    assert_eq!(vault.state(theirs).await, "shredded");
    assert_eq!(vault.reads(other).await, "not mine");
}

on_both_databases!(
    a_whatsapp_user_without_a_number_can_revoke,
    a_picture_that_was_not_fetched_yet_is_fetched_after_a_rebuilding,
    pictures_are_sealed_with_their_message_and_die_with_it,
    a_message_is_sealed_before_the_answer_and_read_for_a_purpose,
    a_message_that_comes_twice_is_one,
    a_policy_that_does_not_keep_messages_keeps_none,
    messages_between_two_are_one_thread_and_a_revocation_takes_what_one_wrote,
    store_and_custody_alone_rebuild_messages,
    a_text_with_a_card_number_is_in_a_stricter_tier_from_the_start,
);
