//! Incoming messages: statements of consent, and their consequences.

use std::collections::BTreeMap;

use recvault::{config::SHIPPED_POLICY, policy::Rules};
use roxmltree::Document;
use serde_json::{Value, json};

use crate::{
    consenting::consent_policy,
    world::{Answer, Database, Recipe, TestVault, files_below, that_keeps_everything},
};

const ANNA: &str = "+493090182001";
const OURS: &str = "+493090182009";
const MESSAGES: &str = "/twilio/messages";

/// The keywords of the policy.
const MEANS: &str = r#"
[[consent.messages]]
words = ["stop recording"]
answer = "withdrawn"
reply = "Done & <gone>: what rested on your \"yes\" is destroyed."

[[consent.messages]]
words = ["you may train", "yes"]
answer = "given"
purposes = ["training"]

[[consent.messages]]
words = ["recording help"]
reply = "Send STOP RECORDING."
"#;

/// Twilio's `STOP` withdraws consent here.
const STOP_MEANS: &str = r#"
[[consent.messages]]
opt_out = "STOP"
answer = "withdrawn"
"#;

async fn reading(database: Database, more: &str) -> TestVault {
    let policy = that_keeps_everything(&format!("{}{MEANS}{more}", consent_policy()));
    Rules::parse("p", &policy).unwrap();
    Recipe {
        policy,
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

impl TestVault {
    fn message(&self, from: &str, body: &str, opt_out: Option<&str>) -> Vec<(String, String)> {
        self.stand_in
            .message_params(&self.account, from, OURS, body, opt_out)
    }

    async fn posts(&self, params: &[(String, String)]) -> Answer {
        self.post_callback(&self.account, MESSAGES, params).await
    }

    /// Posts a message; returns the reply.
    async fn writes(&self, from: &str, body: &str, opt_out: Option<&str>) -> Option<String> {
        reply(&self.posts(&self.message(from, body, opt_out)).await)
    }

    /// Returns the number of statements, by answer.
    async fn said(&self) -> BTreeMap<&'static str, i64> {
        let mut said = BTreeMap::new();
        for answer in ["given", "declined", "withdrawn"] {
            let count = self
                .ground()
                .integer(&format!(
                    "SELECT COUNT(*) FROM consents WHERE answer = '{answer}'"
                ))
                .await
                .unwrap();
            if count > 0 {
                said.insert(answer, count);
            }
        }
        said
    }

    pub(crate) async fn agrees(&self, number: &str) {
        let told = json!({ "subject": number, "answer": "given", "method": "contract" });
        assert_eq!(
            self.asks("privacy-officer")
                .post("/v1/consents", told)
                .await
                .status,
            201
        );
    }
}

fn reply(answer: &Answer) -> Option<String> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/xml; charset=utf-8"),
        "{answer:?}"
    );
    let text = answer.text();
    let read = Document::parse(&text).unwrap();
    let verbs: Vec<_> = read.root_element().children().collect();
    assert!(
        verbs.len() <= 1 && verbs.iter().all(|verb| verb.has_tag_name("Message")),
        "{text}"
    );
    verbs
        .first()
        .map(|verb| verb.text().unwrap_or_default().to_owned())
}

async fn a_person_withdraws_by_message_and_what_rested_on_it_is_gone(database: Database) {
    let vault = reading(database, "").await;
    vault.agrees(ANNA).await;
    let recorded = vault.record();
    vault.took_part(&recorded, "caller", ANNA).await;
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    let path = vault.audio(recorded.id).await;
    let replied = vault.writes(ANNA, " Stop recording! ", None).await;
    assert_eq!(
        replied.as_deref(),
        Some("Done & <gone>: what rested on your \"yes\" is destroyed.")
    );
    assert_eq!(vault.state(recorded.id).await, "shredded");
    assert_ne!(vault.anybody().get(&path).await.status, 200);
    let found = vault
        .asks("privacy-officer")
        .post("/v1/consents/search", json!({ "subject": ANNA }))
        .await
        .json();
    let said = found["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|said| said["answer"] == "withdrawn")
        .unwrap();
    assert_eq!(
        (&said["method"], &said["purposes"], &said["conversation"]),
        (&json!("sms"), &json!([]), &Value::Null)
    );
    assert!(
        vault
            .events()
            .await
            .contains(&"revocation.begun".to_owned())
    );
}

async fn who_is_known_by_no_recording_is_told_so(database: Database) {
    let vault = reading(database, "").await;
    let replied = vault.writes(ANNA, "stop recording", None).await.unwrap();
    assert!(
        replied.starts_with("Done & <gone>")
            && replied.contains("No recording with this number was found"),
        "{replied}"
    );
    assert!(
        vault
            .writes(ANNA, "stop recording", None)
            .await
            .unwrap()
            .contains("No recording"),
        "also when it is told again"
    );
    // One number in two spellings, those of WhatsApp and of the carrier.
    let recorded = vault.record();
    vault.took_part(&recorded, "caller", "+525512345678").await;
    vault.agrees("+525512345678").await;
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    let replied = vault
        .writes("whatsapp:+5215512345678", "stop recording", None)
        .await
        .unwrap();
    assert!(!replied.contains("No recording"), "{replied}");
    assert_eq!(vault.state(recorded.id).await, "shredded");
}

async fn a_message_that_comes_again_is_the_same_message(database: Database) {
    let vault = reading(database, "").await;
    let params = vault.message(ANNA, "stop recording", None);
    let first = vault.posts(&params).await;
    vault.clock.advance(std::time::Duration::from_secs(60));
    let second = vault.posts(&params).await;
    assert_eq!(first.body, second.body);
    assert_eq!(vault.said().await, [("withdrawn", 1)].into());
    let begun = vault
        .events()
        .await
        .iter()
        .filter(|event| *event == "revocation.begun")
        .count();
    assert_eq!(begun, 1);
    // They consent again, and the old message is delivered again: it withdraws nothing.
    vault.agrees(ANNA).await;
    vault.posts(&params).await;
    assert_eq!(vault.said().await, [("given", 1), ("withdrawn", 1)].into());
}

async fn stop_is_about_messages_unless_the_policy_says_otherwise(database: Database) {
    let vault = reading(database, "").await;
    for (body, opt_out) in [
        ("STOP", None),
        ("stop", Some("STOP")),
        ("UNSUBSCRIBE", Some("STOP")),
        ("HELP", Some("HELP")),
        ("", None),
    ] {
        assert_eq!(vault.writes(ANNA, body, opt_out).await, None, "{body}");
    }
    assert_eq!(vault.said().await, [].into());

    let vault = reading(database, STOP_MEANS).await;
    assert_eq!(
        vault.writes(ANNA, "STOP", None).await,
        None,
        "Twilio did not say that it took it for an opt-out"
    );
    assert_eq!(vault.said().await, [].into());
    assert_eq!(
        vault.writes(ANNA, "Arrêt", Some("STOP")).await,
        None,
        "Twilio replies to it itself"
    );
    assert_eq!(vault.said().await, [("withdrawn", 1)].into());
}

async fn a_yes_to_messages_is_no_yes_to_anything_else(database: Database) {
    let vault = reading(database, "").await;
    assert_eq!(vault.writes(ANNA, "YES", Some("START")).await, None);
    assert_eq!(vault.said().await, [].into());
    // A refusal beside an opt-out counts, but gets no reply.
    assert_eq!(
        vault.writes(ANNA, "Stop recording", Some("STOP")).await,
        None
    );
    assert_eq!(vault.said().await, [("withdrawn", 1)].into());
    assert_eq!(vault.writes(ANNA, "You may train", None).await, None);
    assert_eq!(vault.said().await, [("given", 1), ("withdrawn", 1)].into());
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM consents WHERE purposes = '[\"training\"]'")
            .await,
        Some(1)
    );
}

async fn what_a_message_says_is_not_kept_where_it_cannot_be_recorded(database: Database) {
    let vault = reading(database, "").await;
    vault.ground().refuse_rows_of("consents").await;
    let params = vault.message(ANNA, "stop recording", None);
    let refused = vault.posts(&params).await;
    assert!(matches!(refused.status, 500 | 503), "{refused:?}");
    vault.ground().take_rows_of("consents").await;
    assert_eq!(vault.said().await, [].into());
    assert!(reply(&vault.posts(&params).await).is_some());
    assert_eq!(vault.said().await, [("withdrawn", 1)].into());
}

on_both_databases!(
    a_person_withdraws_by_message_and_what_rested_on_it_is_gone,
    who_is_known_by_no_recording_is_told_so,
    a_message_that_comes_again_is_the_same_message,
    stop_is_about_messages_unless_the_policy_says_otherwise,
    a_yes_to_messages_is_no_yes_to_anything_else,
    what_a_message_says_is_not_kept_where_it_cannot_be_recorded,
);

#[tokio::test]
async fn whoever_has_no_number_is_nobody() {
    let vault = reading(Database::Sqlite, "").await;
    for from in ["12345", "ACME", "messenger:123456789", "anonymous", ""] {
        assert_eq!(
            vault.writes(from, "stop recording", None).await,
            None,
            "{from}"
        );
    }
    assert_eq!(vault.said().await, [].into());
    // On WhatsApp there is a reply.
    assert!(
        vault
            .writes(&format!("whatsapp:{ANNA}"), "stop recording", None)
            .await
            .is_some()
    );
    let found = vault
        .asks("privacy-officer")
        .post("/v1/consents/search", json!({ "subject": ANNA }))
        .await
        .json();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_message_that_means_nothing_leaves_nothing_behind() {
    let vault = reading(Database::Sqlite, "").await;
    let body = "the parcel is under the doormat, please stop recording";
    assert_eq!(vault.writes("+493090182077", body, None).await, None);
    assert_eq!(
        vault.writes(ANNA, "Recording help", None).await.as_deref(),
        Some("Send STOP RECORDING.")
    );
    assert_eq!(vault.said().await, [].into());
    for file in files_below(vault.folder()) {
        let bytes = std::fs::read(&file).unwrap();
        for part in ["parcel", "90182077"] {
            assert!(
                !bytes
                    .windows(part.len())
                    .any(|window| window == part.as_bytes()),
                "{part} is in {}",
                file.display()
            );
        }
    }
}

#[tokio::test]
async fn a_stranger_cannot_withdraw_for_somebody() {
    let vault = reading(Database::Sqlite, "").await;
    let params = vault.message(ANNA, "hello", None);
    let signed = vault
        .stand_in
        .callback(&vault.account, &vault.process.public(MESSAGES), &params);
    let changed = signed.body.replace("Body=hello", "Body=stop+recording");
    assert_ne!(changed, signed.body);
    vault
        .anybody()
        .form(MESSAGES, &changed, &[&signed.signature])
        .await
        .problem(403, "bad-signature");
    assert_eq!(vault.said().await, [].into());
    let params: Vec<_> = params
        .into_iter()
        .filter(|(name, _)| !name.ends_with("Sid") || name == "AccountSid")
        .collect();
    vault.posts(&params).await.problem(400, "bad-request");
}

#[tokio::test]
async fn the_shipped_policy_reads_no_message() {
    let vault = Recipe::default().by_hand().await;
    for body in ["STOP", "stop recording", "yes", "delete my recordings"] {
        assert_eq!(vault.writes(ANNA, body, None).await, None, "{body}");
    }
    assert_eq!(vault.said().await, [].into());
    let published: Value = Rules::parse("p", SHIPPED_POLICY).unwrap().to_json();
    assert_eq!(published["consent"]["messages"], json!([]));
}
