//! The archive contains exactly what the view and the approval permit.

use std::time::Duration;

use recvault::{config::SHIPPED_POLICY, flow};
use reqwest::Method;
use serde_json::json;

use super::{NUMBER, WORDS, exported, json_of, named, recorded_in, unpacked, wish};
use crate::world::{Database, Recipe, send};

/// Returns a purpose in TOML that gives this view to an export.
fn giving(view: &str) -> String {
    let purpose = "basis = \"legal-obligation\"\n\n[[purposes]]\nname = \"legal-request\"";
    let policy = SHIPPED_POLICY.replacen(
        purpose,
        &purpose.replacen('\n', &format!("\n{view}\n"), 1),
        1,
    );
    assert_ne!(policy, SHIPPED_POLICY);
    policy
}

async fn what_a_view_gives_is_in_it_and_no_more(database: Database) {
    let sentence = json!({ "leg": "caller", "start_ms": 0, "end_ms": 900, "text": "My card is 4111 1111 1111 1111." });
    let spoken = json!({ "language": "en", "source": "test", "sentences": [sentence] });
    for (view, files, says_number) in [
        (
            "view = \"audio\"",
            &[
                "parties.json",
                "audio.wav",
                "transcript.json",
                "transcript.vtt",
            ][..],
            true,
        ),
        (
            "view = \"transcript\"",
            &["parties.json", "transcript.json", "transcript.vtt"],
            true,
        ),
        (
            "view = \"redacted-transcript\"",
            &["transcript.json", "transcript.vtt"],
            false,
        ),
        ("window = { from_s = 1, to_s = 3 }", &["audio.wav"], false),
    ] {
        // Its tier would require a second person, once the number is found in the transcript.
        let policy = giving(view).replacen(
            "tier = \"restricted\"\n\n[[content]]",
            "tier = \"standard\"\n\n[[content]]",
            1,
        );
        let vault = Recipe {
            policy,
            ..Recipe::on(database)
        }
        .by_hand()
        .await;
        let recorded = vault.sealed().await;
        named(&vault, &recorded, &[("caller", NUMBER)]).await;
        let request = vault.asks("privacy-officer").request(
            Method::PUT,
            &format!("/v1/recordings/{}/transcript", recorded.id),
        );
        let filed = send(request.json(&spoken)).await;
        assert!(filed.status < 300, "{filed:?}");
        let (order, content) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
        let folder = format!("recordings/{}/", recorded.id);
        let theirs: Vec<&str> = order
            .iter()
            .filter_map(|name| name.strip_prefix(&folder))
            .collect();
        assert_eq!(theirs[1..], *files, "{view}");
        assert_eq!(
            json_of(&content, &format!("{folder}recording.json"))["files"],
            json!(files)
        );
        for name in files.iter().filter(|name| name.starts_with("transcript")) {
            let text = String::from_utf8(content[&format!("{folder}{name}")].clone()).unwrap();
            assert!(
                text.contains("My card") && text.contains("4111") == says_number,
                "{view} {name}: {text}"
            );
        }
        if let Some(sound) = content.get(&format!("{folder}audio.wav")) {
            let seconds = if view.starts_with("window") {
                Some(2)
            } else {
                None
            };
            match seconds {
                None => assert!(*sound == recorded.wav),
                Some(seconds) => assert!(
                    sound.len() < recorded.wav.len() / 2 && sound.len() >= 8000 * 2 * seconds,
                    "{}",
                    sound.len()
                ),
            }
        }
    }
}

async fn what_a_second_person_approved_is_in_it(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = recorded_in(&vault, "restricted", vault.record().wav).await;
    named(&vault, &recorded, &[("caller", NUMBER)]).await;
    let wanted = flow::NewToken {
        roles: vec!["privacy-officer".parse().unwrap()],
        ..flow::NewToken::new("second".parse().unwrap(), Duration::from_secs(3600))
    };
    let second = flow::mint_token(&vault.process.db, &vault.clock, wanted)
        .await
        .unwrap();
    let second = vault.process.api.clone().bearing(second.token.expose());
    let asked = json!({ "purpose": "subject-request", "justification": WORDS });
    let asked = vault
        .asks("privacy-officer")
        .post(&format!("/v1/recordings/{}/approvals", recorded.id), asked)
        .await
        .json();
    let approved = second
        .post(
            &format!("/v1/approvals/{}", asked["id"].as_str().unwrap()),
            json!({ "approve": true }),
        )
        .await;
    assert_eq!(approved.status, 200);
    let (_, files) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
    assert!(files[&format!("recordings/{}/audio.wav", recorded.id)] == recorded.wav);
    let (_, files) = unpacked(&second.post("/v1/exports", wish(NUMBER)).await.body);
    assert_eq!(
        json_of(&files, "manifest.json")["left_out"][0]["reasons"][0]["code"],
        "approval-missing",
        "it was not for them"
    );
}

on_both_databases!(
    what_a_view_gives_is_in_it_and_no_more,
    what_a_second_person_approved_is_in_it,
);
