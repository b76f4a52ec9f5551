//! A transcript is matched with its recording, in whatever order they arrive.

use std::time::Duration;

use bytes::Bytes;
use recvault::{
    demo::stand_in::{Call, TranscriptFacts},
    model::sid::CallSid,
};

use super::{dead, made, reads, told, transcribed, words, work};
use crate::{
    viewing::{granted, vault_on},
    world::{Database, Recorded, TestVault},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns the number of waiting rows and of requested deletions.
async fn waiting(vault: &TestVault) -> i64 {
    vault
        .ground()
        .integer("SELECT COUNT(*) FROM work WHERE state = 'due' AND kind = 'transcript'")
        .await
        .unwrap()
}

async fn a_transcript_comes_before_its_recording_and_waits(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.record();
    assert_eq!(vault.tell(&recorded, "in-progress").await.status, 204);
    let facts = made(&vault, &recorded.sid, &["Hello."]);
    told(&vault, &facts.sid).await;
    work(&vault).await;
    assert_eq!(
        vault.stand_in.requests(Call::TranscriptSentences),
        0,
        "what was said is not fetched to wait here"
    );
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work(&vault).await;
    assert_eq!(
        (
            vault.state(recorded.id).await,
            reads(&vault, recorded.id).await
        ),
        ("sealed".into(), None)
    );
    vault.later().await;
    assert_eq!(words(&vault, recorded.id).await, ["Hello."]);
    assert_eq!(waiting(&vault).await, 0);
}

async fn a_transcript_comes_long_after_its_recording(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    vault.clock.advance(20 * DAY);
    transcribed(&vault, &recorded.sid, "Hello.").await;
    work(&vault).await;
    assert_eq!(words(&vault, recorded.id).await, ["Hello."]);
}

/// The recording was not announced before, and is now.
async fn found(vault: &TestVault, recorded: &Recorded) {
    work(vault).await;
    assert_eq!(vault.state(recorded.id).await, "sealed");
    let heard = format!(
        "SELECT COUNT(*) FROM recordings WHERE id = '{}' AND heard_by = 'transcript'",
        recorded.id
    );
    assert_eq!(vault.ground().integer(&heard).await, Some(1));
    vault.later().await;
    assert_eq!(words(vault, recorded.id).await, ["Hello."]);
    vault.plays(recorded).await;
}

async fn a_transcript_finds_a_recording_that_nobody_told_of(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.record();
    told(&vault, &made(&vault, &recorded.sid, &["Hello."]).sid).await;
    found(&vault, &recorded).await;
    let recorded = vault.record();
    transcribed(&vault, &recorded.sid, "Hello.").await;
    found(&vault, &recorded).await;
    // By its call: a real-time transcript that Intelligence stores.
    let recorded = vault.record();
    let call: CallSid = format!("CA{}", &recorded.sid.as_str()[2..])
        .parse()
        .unwrap();
    let facts = TranscriptFacts {
        source: "Call".into(),
        source_sid: Some(call.to_string()),
        ..made(&vault, &recorded.sid, &["Hello."])
    };
    vault.stand_in.add_transcript(&vault.account, facts.clone());
    told(&vault, &facts.sid).await;
    found(&vault, &recorded).await;
}

async fn a_transcript_of_nothing_is_given_up_after_two_days(database: Database) {
    let vault = vault_on(database).await;
    let foreign = vault.record_for(&vault.other_account, Bytes::from_static(b"RIFF"));
    let missing = vault.record();
    vault.stand_in.remove_recording(&missing.sid);
    for recorded in [&foreign, &missing] {
        told(&vault, &made(&vault, &recorded.sid, &["Hello."]).sid).await;
    }
    work(&vault).await;
    assert_eq!((dead(&vault).await.len(), waiting(&vault).await), (0, 2));
    vault.clock.advance(2 * DAY);
    work(&vault).await;
    let given_up = dead(&vault).await;
    assert!(
        given_up.len() == 2
            && given_up
                .iter()
                .all(|(_, why)| why.contains("does not exist")),
        "{given_up:?}"
    );
    assert!(
        !vault.has_row(foreign.id).await && !vault.has_row(missing.id).await,
        "another account's is nobody's business"
    );
    // It exists after all.
    vault
        .stand_in
        .add_recording(&vault.account, missing.sid.clone(), missing.wav.clone());
    vault.process.flow.dead_work.retry(None).await.unwrap();
    work(&vault).await;
    vault.later().await;
    assert_eq!(words(&vault, missing.id).await, ["Hello."]);
}

async fn a_recording_without_sound_has_no_words(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.record();
    assert_eq!(vault.tell(&recorded, "absent").await.status, 204);
    told(&vault, &made(&vault, &recorded.sid, &["Hello."]).sid).await;
    work(&vault).await;
    let [(_, why)] = dead(&vault).await.try_into().unwrap();
    assert!(why.contains("`absent`"), "{why}");
}

async fn a_transcript_of_a_shredded_recording_is_never_filed(database: Database) {
    let vault = vault_on(database).await;
    let [before, after] = [vault.sealed().await, vault.sealed().await];
    // One waits while its recording is shredded, one arrives after it.
    let waits = made(&vault, &before.sid, &["Before."]);
    vault.stand_in.set_transcript_status(&waits.sid, "queued");
    transcribed(&vault, &before.sid, "Recorded.").await;
    told(&vault, &waits.sid).await;
    for recorded in [&before, &after] {
        assert_eq!(vault.shred(recorded.id).await.status, 200);
    }
    vault
        .stand_in
        .set_transcript_status(&waits.sid, "completed");
    work(&vault).await;
    let late = made(&vault, &after.sid, &["After."]);
    told(&vault, &late.sid).await;
    vault.later().await;
    vault.later().await;
    assert_eq!(
        (
            vault.count("transcript.sealed").await,
            vault.objects().await,
            dead(&vault).await
        ),
        (0, vec![], vec![])
    );
    assert_eq!(
        (
            waiting(&vault).await,
            vault.stand_in.requests(Call::TranscriptSentences)
        ),
        (0, 0)
    );
    let passed =
        "SELECT COUNT(*) FROM transcripts WHERE state = 'passed' AND source_sid IS NOT NULL";
    assert!(
        vault.ground().integer(passed).await >= Some(2),
        "their ids are known, so that Twilio's copies can be deleted"
    );
    for recorded in [&before, &after] {
        assert!(!vault.stand_in.kept(&recorded.sid).content());
    }
}

async fn transcripts_that_nobody_asked_for_are_found(database: Database) {
    let vault = vault_on(database).await;
    let recorded = vault.sealed().await;
    assert_eq!(
        (
            granted(&vault, recorded.id, "see").await["transcript_url"].is_null(),
            vault.stand_in.requests(Call::TranscriptList)
        ),
        (true, 0)
    );
    made(&vault, &recorded.sid, &["Thank you for calling."]);
    vault.clock.advance(Duration::from_secs(599));
    work(&vault).await;
    assert_eq!(vault.stand_in.requests(Call::TranscriptList), 0);
    vault.clock.advance(Duration::from_secs(1));
    work(&vault).await;
    assert_eq!(words(&vault, recorded.id).await, ["Thank you for calling."]);
    assert_eq!(vault.stand_in.requests(Call::TranscriptFetch), 1);
    // One that takes hours, and one that is known.
    made(&vault, &recorded.sid, &["Thank you for waiting."]);
    vault.clock.advance(Duration::from_secs(6 * 3600));
    work(&vault).await;
    assert_eq!(words(&vault, recorded.id).await, ["Thank you for waiting."]);
    assert_eq!(
        (
            vault.stand_in.requests(Call::TranscriptFetch),
            vault.stand_in.requests(Call::TranscriptList)
        ),
        (2, 2)
    );
    vault.clock.advance(10 * DAY);
    work(&vault).await;
    assert_eq!(
        vault.stand_in.requests(Call::TranscriptList),
        2,
        "nobody looks for ever"
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM work WHERE kind = 'transcript-poll'")
            .await,
        Some(0)
    );
}

on_both_databases!(
    a_transcript_comes_before_its_recording_and_waits,
    a_transcript_comes_long_after_its_recording,
    a_transcript_finds_a_recording_that_nobody_told_of,
    a_transcript_of_nothing_is_given_up_after_two_days,
    a_recording_without_sound_has_no_words,
    a_transcript_of_a_shredded_recording_is_never_filed,
    transcripts_that_nobody_asked_for_are_found,
);
