//! Transcripts are filed, and can move the recording to a more sensitive tier.

use std::sync::Arc;

use bytes::Bytes;
use recvault::{
    db::audit::AuditFilter,
    demo::{conversation, stand_in::MediaFault},
    model::{id::RecordingId, subject::Address},
    policy::{Permit, action},
};
use serde_json::{Value, json};

use super::{CARD, file, filed, granted, media, policy, transcript, vault_on};
use crate::world::{Database, FaultyStore, GatedHost, Op, Plan, Recipe, TestVault, digits};

async fn tier(vault: &TestVault, id: RecordingId) -> String {
    vault.details(id).await["tier"].as_str().unwrap().to_owned()
}

async fn reclassified(vault: &TestVault) -> Vec<Value> {
    let entries = vault
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry["event"] == "recording.reclassified");
    entries.map(|entry| entry["details"].clone()).collect()
}

async fn a_newer_transcript_takes_the_place_of_the_older(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    assert_eq!(
        granted(&vault, recorded.id, "hear").await["transcript_url"],
        Value::Null,
        "there is none yet"
    );
    for (text, status) in [("First.", 201), ("Second.", 200), ("Third.", 200)] {
        let body = transcript(&[text]);
        let answer = file(&vault, "privacy-officer", recorded.id, body.to_string()).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            answer.json(),
            json!({
                "recording_id": recorded.id, "replaced": status == 200, "tier_before": "standard",
                "tier_after": "standard", "found": [], "grants_ended": [],
            })
        );
        assert_eq!(
            media(
                &vault,
                &granted(&vault, recorded.id, "see").await,
                "transcript.json"
            )
            .await
            .json(),
            body
        );
        assert_eq!(
            vault.objects().await.len(),
            2,
            "the sound and one transcript"
        );
    }
    assert_eq!(vault.count("transcript.sealed").await, 3);
    let artefacts = vault.details(recorded.id).await["artefacts"].clone();
    let names: Vec<&str> = artefacts
        .as_array()
        .unwrap()
        .iter()
        .map(|artefact| artefact["artefact"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["audio", "transcript"]);
    vault.plays(&recorded).await;
}

async fn only_who_may_files_and_only_what_is_a_transcript(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let announced = vault.record();
    assert_eq!(vault.tell(&announced, "in-progress").await.status, 204);
    let body = || transcript(&["Hello."]).to_string();
    assert_eq!(
        file(&vault, "reviewer", recorded.id, body())
            .await
            .reasons(),
        ["role-not-allowed"]
    );
    for who in ["stranger", "nobody"] {
        file(&vault, who, recorded.id, body())
            .await
            .problem(404, "not-found");
    }
    let missing = RecordingId::random(&mut rand::rng());
    file(&vault, "privacy-officer", missing, body())
        .await
        .problem(404, "not-found");
    file(&vault, "privacy-officer", announced.id, body())
        .await
        .problem(409, "conflict");
    for bad in [
        "",
        "{}",
        "[]",
        &body().replace("\"en\"", "\"no tag\""),
        &body().replace("\"text\"", "\"words\""),
    ] {
        let problem = file(&vault, "privacy-officer", recorded.id, bad.to_owned())
            .await
            .problem(400, "bad-request");
        assert!(!problem["detail"].as_str().unwrap().contains("Hello"));
    }
    // Much larger than the limit of other bodies, and its own limit.
    let long = transcript(&["All is well. ".repeat(1000).as_str(); 500]).to_string();
    assert_eq!(
        file(&vault, "privacy-officer", recorded.id, long)
            .await
            .status,
        201
    );
    file(
        &vault,
        "privacy-officer",
        recorded.id,
        vec![b' '; 8 * 1024 * 1024 + 1],
    )
    .await
    .problem(413, "too-large");
    assert_eq!(vault.count("transcript.sealed").await, 1);
}

async fn the_answer_says_what_the_filing_did(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let ends = granted(&vault, recorded.id, "quality-review").await;
    let stays = granted(&vault, recorded.id, "hear").await;
    let said = [&format!("It is {CARD}."), "And DE89370400440532013000."];
    let body = transcript(&said).to_string();
    let answer = file(&vault, "privacy-officer", recorded.id, body.clone()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let told = answer.json();
    assert_eq!(
        told,
        json!({
            "recording_id": recorded.id, "replaced": false, "tier_before": "standard",
            "tier_after": "restricted",
            "found": [{ "kind": "card-number", "count": 1 }, { "kind": "iban", "count": 1 }],
            "grants_ended": [ends["id"]],
        })
    );
    assert!(!told.to_string().contains("3704"), "never the text");
    assert_eq!(
        media(&vault, &ends, "audio.wav").await.reasons(),
        ["purpose-not-for-tier"],
        "and so it is"
    );
    assert_eq!(media(&vault, &stays, "audio.wav").await.status, 200);
    let again = file(&vault, "privacy-officer", recorded.id, body).await;
    assert_eq!(
        (
            &again.json()["tier_before"],
            &again.json()["grants_ended"],
            &again.json()["replaced"]
        ),
        (&json!("restricted"), &json!([]), &json!(true))
    );
}

async fn what_was_said_raises_the_tier_and_never_lowers_it(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    let page = async || vault.key_entry(recorded.id).await.unwrap().place.page;
    let first = page().await;
    let object = vault.artefacts(recorded.id).await[0].object;
    filed(&vault, recorded.id, &["Nothing in particular."]).await;
    assert_eq!(
        (tier(&vault, recorded.id).await, page().await),
        ("standard".into(), first)
    );
    filed(
        &vault,
        recorded.id,
        &["To DE89 3704 0044", "0532 0130 00 please."],
    )
    .await;
    assert_eq!(tier(&vault, recorded.id).await, "sensitive");
    let second = page().await;
    assert_ne!(second, first, "the key moved");
    filed(
        &vault,
        recorded.id,
        &[
            &format!("It is {CARD}."),
            "And DE89370400440532013000.",
            "A Lawsuit.",
        ],
    )
    .await;
    assert_eq!(tier(&vault, recorded.id).await, "restricted");
    assert_ne!(page().await, second);
    for harmless in ["Nothing in particular.", "To DE89 3704 0044 0532 0130 00."] {
        filed(&vault, recorded.id, &[harmless]).await;
        assert_eq!(tier(&vault, recorded.id).await, "restricted");
    }
    let steps = [
        json!({ "from": "standard", "to": "sensitive", "because": ["iban"] }),
        json!({ "from": "sensitive", "to": "restricted", "because": ["card-number", "iban", "words"] }),
    ];
    assert_eq!(reclassified(&vault).await, steps);
    // Nothing is sealed again, and all of it opens with the key at its new position.
    assert_eq!(vault.artefacts(recorded.id).await[0].object, object);
    assert_eq!(
        media(
            &vault,
            &granted(&vault, recorded.id, "hear").await,
            "audio.wav"
        )
        .await
        .body,
        recorded.wav
    );
    assert_eq!(
        media(
            &vault,
            &granted(&vault, recorded.id, "see").await,
            "transcript.json"
        )
        .await
        .status,
        200
    );
    assert_eq!(
        vault
            .grant("reviewer", recorded.id, "quality-review")
            .await
            .reasons(),
        ["purpose-not-for-tier"]
    );
    let log = vault
        .process
        .flow
        .catalogue
        .audit(
            &Permit::of_operator(action::Audit),
            AuditFilter::default(),
            1000,
        )
        .await
        .unwrap();
    let log = serde_json::to_string(&log.items).unwrap();
    assert!(
        !log.contains("4111")
            && !log.contains("DE89")
            && !vault
                .details(recorded.id)
                .await
                .to_string()
                .contains("4111")
    );
}

async fn a_transcript_that_is_on_its_way_when_its_recording_is_shredded_leaves_nothing(
    database: Database,
) {
    let store = FaultyStore::new();
    let vault = Recipe {
        policy: policy(),
        adapter: Some(Arc::new(store.clone())),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    filed(&vault, recorded.id, &["First."]).await;
    // Its key was read and its ciphertext is being stored when the key is destroyed.
    store.plan(Op::Put, [Plan::Gate]);
    let shredding = async {
        store.reached().await;
        assert_eq!(vault.shred(recorded.id).await.status, 200);
        store.open();
    };
    let body = transcript(&["Second."]).to_string();
    let (late, ()) = tokio::join!(
        file(&vault, "privacy-officer", recorded.id, body),
        shredding
    );
    late.problem(410, "shredded");
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (
            vault.key_entry(recorded.id).await,
            vault.artefacts(recorded.id).await
        ),
        (None, vec![])
    );
    assert_eq!(
        (
            vault.objects().await,
            vault.count("transcript.sealed").await
        ),
        (vec![], 1)
    );
}

async fn a_recording_that_is_moved_while_it_is_fetched_has_its_key_where_it_belongs(
    database: Database,
) {
    let vault = Recipe {
        policy: policy(),
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let host = GatedHost::start(Bytes::from_static(conversation::WAV)).await;
    let recorded = vault.announced().await;
    vault.stand_in.fail(
        &recorded.sid,
        MediaFault::RedirectTo {
            url: host.url.clone(),
        },
    );
    let moving = async {
        host.reached().await;
        let to = "restricted".parse().unwrap();
        vault
            .process
            .flow
            .reclassification
            .move_to(&Permit::of_operator(action::Keys), recorded.id, &to, false)
            .await
            .unwrap();
        host.open();
    };
    let (done, ()) = tokio::join!(vault.process.flow.worker.work_off(), moving);
    assert_eq!(
        (done.unwrap(), vault.state(recorded.id).await.as_str()),
        (1, "sealed")
    );
    let in_place = "SELECT COUNT(*) FROM key_entries JOIN pages ON pages.id = page_id JOIN recordings ON recordings.id = recording_id \
                    WHERE pages.tier = 'restricted' AND recordings.tier = 'restricted'";
    assert_eq!(vault.ground().integer(in_place).await, Some(1));
    let sealed = vault
        .entries()
        .await
        .into_iter()
        .rfind(|entry| entry["event"] == "recording.sealed")
        .unwrap();
    assert_eq!(sealed["details"]["tier"], "restricted");
}

async fn a_line_is_known_by_its_number_once_its_parties_are_named(database: Database) {
    let line = "[[classification]]\nnumber = \"+49 30 12345678\"\ntier = \"restricted\"\n\n[[classification]]";
    let vault = Recipe {
        policy: policy().replacen("[[classification]]", line, 1),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let on_it = vault.announced().await;
    let on_another = vault.announced().await;
    for (recorded, number) in [(&on_it, "+493012345678"), (&on_another, "+493012345679")] {
        let subject = vault
            .process
            .flow
            .vault
            .subject(&number.parse::<Address>().unwrap());
        let call = vault.details(recorded.id).await["call_sid"]
            .as_str()
            .unwrap()
            .to_owned();
        for (leg, subject) in [
            ("caller", "NULL".to_owned()),
            ("callee", format!("'{subject}'")),
        ] {
            let row = format!(
                "INSERT INTO parties (conversation, account, leg, subject, named_at) VALUES ('{call}', '*', '{leg}', {subject}, 1)"
            );
            vault.ground().run(&row).await;
        }
    }
    assert_eq!(
        tier(&vault, on_it.id).await,
        "standard",
        "an announcement names nobody"
    );
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        [
            tier(&vault, on_it.id).await,
            tier(&vault, on_another.id).await
        ],
        ["restricted", "standard"]
    );
    assert_eq!(
        reclassified(&vault).await,
        [json!({ "from": "standard", "to": "restricted", "because": ["number"] })]
    );
    let pages = [
        vault.key_entry(on_it.id).await.unwrap().place.page,
        vault.key_entry(on_another.id).await.unwrap().place.page,
    ];
    assert_ne!(
        pages[0], pages[1],
        "the key is in the tree of its tier from the beginning"
    );
    assert_eq!(
        media(
            &vault,
            &granted(&vault, on_it.id, "hear").await,
            "audio.wav"
        )
        .await
        .body,
        on_it.wav
    );
}

async fn a_queue_is_known_by_its_label(database: Database) {
    let label = "[[classification]]\nlabel = { name = \"queue\", value = \"claims\" }\ntier = \"restricted\"\n\n[[classification]]";
    let vault = Recipe {
        policy: policy().replacen("[[classification]]", label, 1),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    for (queue, expected) in [
        ("claims", "restricted"),
        ("sales", "standard"),
        ("", "standard"),
    ] {
        let recorded = vault.record();
        let params = vault.stand_in.callback_params(&recorded.sid, "completed");
        let path = format!("/twilio/recordings?other={}&queue={queue}", digits());
        assert_eq!(
            vault
                .post_callback(&vault.account, &path, &params)
                .await
                .status,
            204
        );
        assert_eq!(tier(&vault, recorded.id).await, expected, "{queue}");
    }
}

on_both_databases!(
    a_newer_transcript_takes_the_place_of_the_older,
    only_who_may_files_and_only_what_is_a_transcript,
    the_answer_says_what_the_filing_did,
    what_was_said_raises_the_tier_and_never_lowers_it,
    a_transcript_that_is_on_its_way_when_its_recording_is_shredded_leaves_nothing,
    a_recording_that_is_moved_while_it_is_fetched_has_its_key_where_it_belongs,
    a_line_is_known_by_its_number_once_its_parties_are_named,
    a_queue_is_known_by_its_label,
);
