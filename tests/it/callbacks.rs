//! Twilio's callbacks: a signed one is stored, any other has no effect.

mod signing;

use futures_util::future::join_all;
use recvault::{model::id::RecordingId, secret::SecretText, twilio::signature};
use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, Database, Recipe, Recorded, TestVault, send};

const PATH: &str = "/twilio/recordings";

/// Returns the id of a recording, if it were announced for this account.
fn id_for(vault: &TestVault, account: &str, recorded: &Recorded) -> RecordingId {
    RecordingId::of_source(vault.made.vault, account, recorded.sid.as_str())
}

/// Posts the usual form with some parameters replaced or added, signed.
async fn tell_with(vault: &TestVault, recorded: &Recorded, changed: &[(&str, &str)]) -> Answer {
    let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
    for (name, value) in changed {
        params.retain(|(existing, _)| existing != name);
        params.push(((*name).to_owned(), (*value).to_owned()));
    }
    vault.post_callback(&vault.account, PATH, &params).await
}

async fn twilio_tells_of_a_recording_and_it_is_announced(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    let answer = tell_with(
        &vault,
        &recorded,
        &[("RecordingStartTime", "Tue, 28 May 2019 02:18:02 +0000")],
    )
    .await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    let details = vault.details(recorded.id).await;
    let expected = json!({
        "state": "announced", "tier": "standard", "policy_version": "1", "account_sid": vault.account, "recording_sid": recorded.sid,
        "source": "DialVerb", "source_status": "completed", "error_code": 0, "duration_s": 27, "channels": 2,
        "started_at": "2019-05-28T02:18:02.000Z", "sealed_at": null, "shredded_at": null, "artefacts": [], "receipt_id": null,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&details[field], value, "{field}");
    }
    assert_eq!(vault.due_in_ms(recorded.id).await, Some(0));
}

async fn twilio_repeats_itself_in_any_order_and_nothing_changes(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for order in [
        ["in-progress", "completed", "completed"],
        ["completed", "in-progress", "completed"],
        ["absent", "completed", "failed"],
    ] {
        let recorded = vault.record();
        for status in order {
            assert_eq!(vault.tell(&recorded, status).await.status, 204);
        }
        let details = vault.details(recorded.id).await;
        assert_eq!(
            (&details["state"], &details["source_status"]),
            (&json!("announced"), &json!("completed")),
            "{order:?}"
        );
        assert_eq!(
            vault.process.flow.worker.work_off().await.unwrap(),
            1,
            "{order:?}"
        );
        for status in order {
            assert_eq!(vault.tell(&recorded, status).await.status, 204);
        }
        assert_eq!(
            vault.process.flow.worker.work_off().await.unwrap(),
            0,
            "a sealed recording is not fetched again"
        );
        vault.plays(&recorded).await;
    }
}

async fn twilio_says_that_there_is_no_file_and_the_fact_is_kept(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for (status, code) in [("absent", 16101), ("failed", 0)] {
        let recorded = vault.record();
        assert_eq!(vault.tell(&recorded, status).await.status, 204);
        let details = vault.details(recorded.id).await;
        assert_eq!(
            (&details["state"], &details["source_status"]),
            (&json!(status), &json!(status))
        );
        assert_eq!(details["error_code"], code);
        assert_eq!(
            vault.due_in_ms(recorded.id).await,
            None,
            "there is nothing to fetch"
        );
    }
}

async fn a_crowd_of_callbacks_is_kept_to_the_last(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded: Vec<Recorded> = (0..300).map(|_| vault.record()).collect();
    // Each one twice at the same time.
    let told = join_all(
        recorded
            .iter()
            .chain(&recorded)
            .map(|recorded| vault.tell(recorded, "completed")),
    )
    .await;
    assert!(told.iter().all(|answer| answer.status == 204));
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM recordings")
            .await,
        Some(300)
    );
    assert_eq!(
        vault.ground().integer("SELECT COUNT(*) FROM work").await,
        Some(300)
    );
}

async fn the_database_refuses_rows_and_nothing_is_half_written(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    // The row of the recording can be written, but that of its work cannot.
    vault.ground().refuse_rows_of("work").await;
    let answer = vault.tell(&recorded, "completed").await;
    answer.problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!vault.has_row(recorded.id).await);
    vault.ground().take_rows_of("work").await;
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    vault.plays(&recorded).await;
}

on_both_databases!(
    twilio_tells_of_a_recording_and_it_is_announced,
    twilio_repeats_itself_in_any_order_and_nothing_changes,
    twilio_says_that_there_is_no_file_and_the_fact_is_kept,
    a_crowd_of_callbacks_is_kept_to_the_last,
    the_database_refuses_rows_and_nothing_is_half_written,
    a_label_that_no_label_may_be_costs_no_callback,
    a_text_that_cannot_be_kept_is_refused_by_name_wherever_it_comes_from,
);

#[tokio::test]
async fn somebody_holds_the_database_and_twilio_is_told_to_come_again() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let mut other = vault.ground().sqlite().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    vault
        .tell(&recorded, "completed")
        .await
        .problem(503, "unavailable");
    assert!(!vault.has_row(recorded.id).await);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert!(!vault.has_row(recorded.id).await);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert!(vault.has_row(recorded.id).await);
}

#[tokio::test]
async fn twilio_gets_instead_of_posting() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&params)
        .finish();
    let path = format!("{PATH}?{query}");
    let token = SecretText::new(vault.auth_token.clone());
    let signature = signature::sign(&token, &vault.process.public(&path), &[]);
    let forged = vault
        .anybody()
        .with(
            Method::GET,
            &path,
            &[(signature::HEADER, "bm90IHNpZ25lZA==")],
        )
        .await;
    forged.problem(403, "bad-signature");
    assert!(!vault.has_row(recorded.id).await);
    assert_eq!(
        vault
            .anybody()
            .with(Method::GET, &path, &[(signature::HEADER, &signature)])
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn a_body_over_the_bound_is_refused_and_one_on_it_is_not() {
    const BOUND: usize = 64 * 1024;
    let vault = Recipe::default().by_hand().await;
    for (extra, status) in [(0, 204), (1, 413)] {
        let recorded = vault.record();
        let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
        params.push(("Padding".into(), String::new()));
        let url = vault.process.public(PATH);
        let bare = vault
            .stand_in
            .callback(&vault.account, &url, &params)
            .body
            .len();
        params.last_mut().unwrap().1 = "x".repeat(BOUND - bare + extra);
        let answer = vault.post_callback(&vault.account, PATH, &params).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(vault.has_row(recorded.id).await, status == 204);
        if status == 413 {
            answer.problem(413, "too-large");
        }
    }
}

#[tokio::test]
async fn a_malformed_callback_is_told_which_field() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    for (field, value) in [
        ("RecordingSid", "RE12"),
        ("RecordingSid", ""),
        ("RecordingSid", "../../etc/passwd"),
        ("CallSid", "CA!"),
        ("ConferenceSid", "CF-1"),
        ("RecordingStatus", ""),
        ("RecordingStatus", "Completed!"),
    ] {
        let answer = tell_with(&vault, &recorded, &[(field, value)]).await;
        let problem = answer.problem(400, "bad-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("`{field}`")),
            "{field}={value}: {detail}"
        );
        assert!(
            value.is_empty() || !detail.contains(value),
            "the value is not repeated: {detail}"
        );
    }
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM recordings")
            .await,
        Some(0)
    );
}

#[tokio::test]
async fn a_callback_in_another_form_is_refused() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let signed = vault
        .stand_in
        .callback(&vault.account, &vault.process.public(PATH), &params);
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json",
    ] {
        let request = vault
            .anybody()
            .request(Method::POST, PATH)
            .header("content-type", kind);
        let answer = send(
            request
                .header(signature::HEADER, &signed.signature)
                .body(signed.body.clone()),
        )
        .await;
        // JSON is accepted from Twilio, but this is not JSON.
        let expected = match kind {
            "application/json" => (400, "bad-request"),
            _ => (415, "unsupported-media-type"),
        };
        answer.problem(expected.0, expected.1);
    }
    assert!(!vault.has_row(recorded.id).await);
}

#[tokio::test]
async fn what_twilio_adds_later_does_no_harm() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let news = [
        ("RecordingStatus", "paused"),
        ("NewThing", "x'\" \u{fc}\n"),
        ("RecordingDuration", "soon"),
        ("RecordingSource", ""),
    ];
    assert_eq!(tell_with(&vault, &recorded, &news).await.status, 204);
    let details = vault.details(recorded.id).await;
    assert_eq!(
        (&details["state"], &details["source_status"]),
        (&json!("announced"), &json!("paused"))
    );
    assert_eq!(
        (&details["duration_s"], &details["source"]),
        (&json!(null), &json!(null))
    );
    assert_eq!(
        vault.due_in_ms(recorded.id).await,
        None,
        "nothing is fetched before it is complete"
    );
    // A later callback adds facts that an earlier one lacked.
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.details(recorded.id).await["duration_s"], 27);
    vault.process.flow.worker.work_off().await.unwrap();
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn the_callback_url_chooses_the_tier() {
    let vault = Recipe::default().by_hand().await;
    for (query, tier) in [
        ("", "standard"),
        ("?tier=restricted", "restricted"),
        ("?tier=sensitive&x=1", "sensitive"),
        ("?tier=none", "standard"),
    ] {
        let recorded = vault.record();
        let params = vault.stand_in.callback_params(&recorded.sid, "completed");
        let answer = vault
            .post_callback(&vault.account, &format!("{PATH}{query}"), &params)
            .await;
        assert_eq!(answer.status, 204);
        assert_eq!(vault.details(recorded.id).await["tier"], tier, "{query}");
    }
}

async fn a_label_that_no_label_may_be_costs_no_callback(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded: Vec<Recorded> = (0..24).map(|_| vault.record()).collect();
    let told = recorded.iter().enumerate().map(|(number, recorded)| {
        let query = [
            "?queue=sales",
            "?queue=a%00b",
            "?queue=a%0Ab",
            "?queue=%E2%80%AEsales",
        ][number % 4];
        let params = vault.stand_in.callback_params(&recorded.sid, "completed");
        let vault = &vault;
        async move {
            vault
                .post_callback(&vault.account, &format!("{PATH}{query}"), &params)
                .await
                .status
        }
    });
    assert_eq!(join_all(told).await, [204; 24]);
    vault.process.flow.worker.work_off().await.unwrap();
    for (number, recorded) in recorded.iter().enumerate() {
        let details = vault.details(recorded.id).await;
        let labels = if number % 4 == 0 {
            json!({ "queue": "sales" })
        } else {
            json!({})
        };
        assert_eq!(
            (&details["state"], &details["labels"]),
            (&json!("sealed"), &labels),
            "{number}"
        );
    }
}

async fn a_text_that_cannot_be_kept_is_refused_by_name_wherever_it_comes_from(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}", recorded.id);
    let officer = vault.asks("privacy-officer");
    let hold = |authority: &str| json!({ "purpose": "legal-request", "reason": "litigation", "authority": authority, "review_at": "2099-01-01T00:00:00Z" });
    for bad in ["a\0b", "a\nb", "\u{202e}b"] {
        let answers = [
            send(
                officer
                    .request(Method::PATCH, &path)
                    .json(&json!({ "labels": { "queue": bad } })),
            )
            .await,
            officer
                .post(
                    &format!("{path}/grants"),
                    json!({ "purpose": "quality-review", "justification": bad }),
                )
                .await,
            send(
                officer
                    .request(Method::PUT, &format!("{path}/holds/court"))
                    .json(&hold(bad)),
            )
            .await,
        ];
        for (answer, field) in
            answers
                .into_iter()
                .zip(["labels.queue", "justification", "authority"])
        {
            assert_eq!(answer.status, 400, "{bad:?} {field}");
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains(field) && !detail.contains(bad), "{detail}");
        }
    }
    for path in [
        "/v1/policies/a%00b",
        "/v1/policies/a%00b/statement",
        "/privacy/a%00b",
    ] {
        assert_eq!(vault.anybody().get(path).await.status, 404, "{path}");
    }
    for path in [
        "/v1/recordings?cursor=a%00b",
        "/v1/holds?cursor=a%00b",
        "/v1/consents?subject=a%00b",
        "/v1/recordings?tier=a%00b",
    ] {
        assert_eq!(officer.get(path).await.status, 400, "{path}");
    }
}
