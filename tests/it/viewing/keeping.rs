//! Recordings that the policy discards, and of which nothing is stored.

use recvault::{
    config::SHIPPED_POLICY,
    demo::conversation::{self, Channels},
    evidence::Receipt,
};

use crate::world::{Database, Recipe, Recorded, TestVault, that_keeps_everything};

async fn vault_on(database: Database, policy: impl FnOnce(String) -> String) -> TestVault {
    let shipped = SHIPPED_POLICY.replacen("shorter_than = \"1s\"", "shorter_than = \"3s\"", 1);
    assert!(shipped.contains("quieter_than = 16\n"));
    Recipe {
        policy: policy(shipped),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

/// Checks that a recording was discarded for this reason, that nothing of it was ever stored, and
/// that it does not come back.
async fn is_not_kept(vault: &TestVault, recorded: &Recorded, reason: &str) {
    let details = vault.details(recorded.id).await;
    assert_eq!(
        (
            &details["state"],
            details["artefacts"].as_array().map(Vec::len)
        ),
        (&"shredded".into(), Some(0)),
        "{details}"
    );
    let receipt = vault
        .anybody()
        .get(&format!(
            "/v1/receipts/{}",
            details["receipt_id"].as_str().unwrap()
        ))
        .await;
    let keys = vault.process.flow.vault.keys().await.unwrap();
    let receipt = Receipt::verify(receipt.text().trim(), &keys).unwrap();
    assert_eq!(receipt.reason().as_str(), reason);
    let tombstone = vault
        .entries()
        .await
        .into_iter()
        .rfind(|entry| entry["event"] == "shred.tombstoned")
        .unwrap();
    assert_eq!(
        (&tombstone["actor"], &tombstone["details"]["reason"]),
        (&"vault".into(), &reason.into())
    );
    let requests = vault.stand_in.media_requests();
    let refused = vault.count("recording.refused").await;
    assert_eq!(vault.tell(recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        (
            vault.stand_in.media_requests(),
            vault.count("recording.refused").await
        ),
        (requests, refused + 1)
    );
    assert_eq!(
        (
            vault.key_entry(recorded.id).await,
            vault.state(recorded.id).await.as_str()
        ),
        (None, "shredded")
    );
    assert_eq!(vault.count("recording.sealed").await, 0);
    assert_eq!(
        (
            vault.objects().await,
            vault
                .process
                .flow
                .monitoring
                .status()
                .await
                .unwrap()
                .work
                .len()
        ),
        (Vec::new(), 0)
    );
}

/// Posts the callback of a recording without its length.
async fn tell_without_length(vault: &TestVault, recorded: &Recorded) {
    let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
    params.retain(|(name, _)| name != "RecordingDuration");
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/recordings", &params)
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
}

async fn what_is_told_to_be_too_short_is_not_even_fetched(database: Database) {
    let vault = vault_on(database, |policy| policy).await;
    let recorded = vault.record_wav(conversation::repeat_to(2, Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(vault.stand_in.media_requests(), 0);
    is_not_kept(&vault, &recorded, "too-short").await;
}

async fn what_turns_out_to_be_too_short_is_not_kept(database: Database) {
    let vault = vault_on(database, |policy| policy).await;
    let wav = conversation::repeat_to(3, Channels::Dual);
    // One frame less than the policy requires.
    let mut short = wav[..wav.len() - 4].to_vec();
    let len = u32::try_from(short.len()).unwrap();
    short[4..8].copy_from_slice(&(len - 8).to_le_bytes());
    let recorded = vault.record_wav(short.into());
    tell_without_length(&vault, &recorded).await;
    assert_eq!(vault.stand_in.media_requests(), 1);
    is_not_kept(&vault, &recorded, "too-short").await;
    let whole = vault.record_wav(wav.into());
    tell_without_length(&vault, &whole).await;
    vault.plays(&whole).await;
}

async fn silence_is_not_kept(database: Database) {
    let vault = vault_on(database, |policy| policy).await;
    // Longer than a part of an upload, so that some of it was sent before the end was known.
    let mut wav = conversation::repeat_to(300, Channels::Dual);
    for sample in wav[conversation::HEADER_LEN..].as_chunks_mut::<2>().0 {
        *sample = 16i16.to_le_bytes();
    }
    let recorded = vault.record_wav(wav.clone().into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    is_not_kept(&vault, &recorded, "silent").await;
    assert_eq!(
        vault
            .process
            .store
            .sweep_uploads(vault.clock.now())
            .await
            .unwrap(),
        0,
        "no half of an upload is left"
    );
    // The last sample is louder than the policy's limit.
    let end = wav.len();
    wav[end - 2..].copy_from_slice(&(-17i16).to_le_bytes());
    let heard = vault.sealed_wav(wav.into()).await;
    vault.plays(&heard).await;
}

async fn what_no_purpose_opens_is_not_even_fetched(database: Database) {
    let closed = |policy: String| {
        policy.replace(
            "tiers = [\"standard\", \"sensitive\", \"restricted\"]",
            "tiers = [\"sensitive\"]",
        )
    };
    let vault = vault_on(database, closed).await;
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    assert_eq!(
        vault
            .post_callback(
                &vault.account,
                "/twilio/recordings?tier=restricted",
                &params
            )
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(vault.stand_in.media_requests(), 0);
    is_not_kept(&vault, &recorded, "no-purpose").await;
    vault.plays(&vault.sealed().await).await;
}

async fn without_bounds_the_shortest_silence_is_kept(database: Database) {
    let vault = vault_on(database, |policy| that_keeps_everything(&policy)).await;
    let mut wav = conversation::repeat_to(1, Channels::Mono);
    wav[conversation::HEADER_LEN..].fill(0);
    let recorded = vault.sealed_wav(wav.into()).await;
    vault.plays(&recorded).await;
}

on_both_databases!(
    what_is_told_to_be_too_short_is_not_even_fetched,
    what_turns_out_to_be_too_short_is_not_kept,
    silence_is_not_kept,
    what_no_purpose_opens_is_not_even_fetched,
    without_bounds_the_shortest_silence_is_kept,
);
