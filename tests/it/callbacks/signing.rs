//! Accepted and refused signatures: forgers, other accounts, rotated tokens, proxies.

use recvault::{secret::SecretText, twilio::signature};
use reqwest::Method;
use serde_json::json;

use super::{PATH, id_for};
use crate::world::{Recipe, digits, send};

#[tokio::test]
async fn a_forger_leaves_no_row() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let signed = vault
        .stand_in
        .callback(&vault.account, &vault.process.public(PATH), &params);
    let elsewhere = vault.stand_in.callback(
        &vault.account,
        "https://elsewhere.example/twilio/recordings",
        &params,
    );
    let by_other =
        vault
            .stand_in
            .callback(&vault.other_account, &vault.process.public(PATH), &params);
    let flipped = signed
        .signature
        .replacen(|c: char| c.is_ascii_lowercase(), "A", 1);
    let cases: [(&str, &[&str]); 7] = [
        ("without a signature", &[]),
        ("with an empty one", &[""]),
        ("with a wrong one", &["bm90IHNpZ25lZCBieSBUd2lsaW8="]),
        ("with one letter changed", &[&flipped]),
        (
            "with the right one twice",
            &[&signed.signature, &signed.signature],
        ),
        ("signed for another address", &[&elsewhere.signature]),
        (
            "signed by another account of the vault",
            &[&by_other.signature],
        ),
    ];
    for (case, signatures) in cases {
        let answer = vault.anybody().form(PATH, &signed.body, signatures).await;
        assert_eq!(answer.status, 403, "{case}: {answer:?}");
        answer.problem(403, "bad-signature");
        assert!(!vault.has_row(recorded.id).await, "{case}");
    }
    // One parameter was changed after the signature.
    let body = signed
        .body
        .replace("RecordingChannels=2", "RecordingChannels=1");
    assert_ne!(body, signed.body);
    vault
        .anybody()
        .form(PATH, &body, &[&signed.signature])
        .await
        .problem(403, "bad-signature");
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM recordings")
            .await,
        Some(0)
    );
    assert_eq!(
        vault.ground().integer("SELECT COUNT(*) FROM work").await,
        Some(0)
    );
}

#[tokio::test]
async fn an_account_that_is_not_ours_is_refused_like_a_forger() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record_for(&vault.unknown_account, bytes::Bytes::from_static(b"RIFF"));
    let unknown = vault.tell(&recorded, "completed").await;
    let ours = vault.record();
    let signed_by_unknown = vault.stand_in.callback_params(&ours.sid, "completed");
    let forged = vault
        .post_callback(&vault.unknown_account, PATH, &signed_by_unknown)
        .await;
    unknown.problem(403, "bad-signature");
    assert_eq!(unknown.body, forged.body);
    assert!(
        !vault
            .has_row(id_for(&vault, vault.unknown_account.as_str(), &recorded))
            .await
    );
    assert!(!vault.has_row(ours.id).await);
}

#[tokio::test]
async fn a_token_is_rotated_and_both_are_believed() {
    let newer = digits();
    let vault = Recipe {
        newer_tokens: vec![newer.clone()],
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let with_old = vault.announced().await;
    assert!(vault.has_row(with_old.id).await);
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&params)
        .finish();
    let signature = signature::sign(
        &SecretText::new(newer),
        &vault.process.public(PATH),
        &params,
    );
    assert_eq!(
        vault
            .anybody()
            .form(PATH, &body, &[&signature])
            .await
            .status,
        204
    );
    assert!(vault.has_row(recorded.id).await);
    let third = signature::sign(
        &SecretText::new(digits()),
        &vault.process.public(PATH),
        &params,
    );
    vault
        .anybody()
        .form(PATH, &body, &[&third])
        .await
        .problem(403, "bad-signature");
}

#[tokio::test]
async fn a_subaccount_tells_of_its_own_recordings() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record_for(&vault.other_account, vault.record().wav);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        vault.details(recorded.id).await["account_sid"],
        json!(vault.other_account)
    );
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn twilio_signs_the_public_address_whatever_a_proxy_makes_of_it() {
    let public = "https://vault.example.com/records";
    let vault = Recipe {
        public_url: Some(public.to_owned()),
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.announced().await;
    vault.process.flow.worker.work_off().await.unwrap();
    vault.plays(&recorded).await;
    let answer = vault.grant("reviewer", recorded.id, "quality-review").await;
    assert!(
        answer.json()["audio_url"]
            .as_str()
            .unwrap()
            .starts_with("https://vault.example.com/records/v1/media/rvg_")
    );

    // The address of the process itself and the headers do not count.
    let stranger = vault.record();
    let params = vault.stand_in.callback_params(&stranger.sid, "completed");
    for url in [
        "https://evil.example/twilio/recordings",
        "http://127.0.0.1/twilio/recordings",
    ] {
        let signed = vault.stand_in.callback(&vault.account, url, &params);
        let request = vault.anybody().request(Method::POST, PATH);
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header(signature::HEADER, &signed.signature)
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("forwarded", "host=evil.example;proto=https")
            .header("host", "evil.example");
        send(request.body(signed.body))
            .await
            .problem(403, "bad-signature");
    }
    assert!(!vault.has_row(stranger.id).await);
    // And they do not affect correctly signed requests.
    let signed = vault
        .stand_in
        .callback(&vault.account, &vault.process.public(PATH), &params);
    let request = vault
        .anybody()
        .request(Method::POST, PATH)
        .header("content-type", "application/x-www-form-urlencoded");
    let request = request
        .header(signature::HEADER, &signed.signature)
        .header("x-forwarded-host", "evil.example");
    assert_eq!(send(request.body(signed.body)).await.status, 204);
}
