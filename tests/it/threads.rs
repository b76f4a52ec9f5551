//! Messages that come in: sealed before the answer, read by purpose, rebuilt, revoked.

use recvault::model::id::RecordingId;
use serde_json::{Value, json};

use crate::{
    restoring::rebuilt,
    viewing::{granted, policy, token_of},
    world::{Answer, Database, Recipe, TestVault, files_below},
};

const ANNA: &str = "+493090182001";
const BEN: &str = "+493090182002";
const LINE: &str = "+493090182009";
const TEXT: &str = "The parcel is at the neighbours, Geranienweg 12";

/// Returns a policy that keeps messages, too.
pub(crate) fn keeping(policy: &str) -> String {
    policy.replacen(
        "[collection]\n",
        "[collection]\nkinds = [\"call\", \"message\"]\n",
        1,
    )
}

async fn vault_on(database: Database) -> TestVault {
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
    async fn kept(&self, from: &str, body: &str) -> RecordingId {
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

    async fn reads(&self, id: RecordingId) -> String {
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
    let thread = |at: usize, all: &[Value]| all[at]["thread_id"].as_str().unwrap().to_owned();
    let all = vault.messages().await;
    assert_eq!(thread(0, &all), thread(1, &all));
    assert_ne!(thread(0, &all), thread(2, &all));
    let listed = vault
        .asks("privacy-officer")
        .get(&format!("/v1/recordings?thread={}", thread(0, &all)))
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

on_both_databases!(
    a_message_is_sealed_before_the_answer_and_read_for_a_purpose,
    a_message_that_comes_twice_is_one,
    a_policy_that_does_not_keep_messages_keeps_none,
    messages_between_two_are_one_thread_and_a_revocation_takes_what_one_wrote,
    store_and_custody_alone_rebuild_messages,
    a_text_with_a_card_number_is_in_a_stricter_tier_from_the_start,
);
