//! An account with `delete_source = "after-sealing"`: Twilio's copies are deleted as soon as the
//! vault has its own, and not before.

use std::{fs, path::PathBuf, time::Duration};

use recvault::{
    demo::stand_in::{Call, RequestFault, TranscriptFacts},
    evidence::{Removal, receipt::ReceiptState},
    model::{sid::RecordingSid, transcript::Transcript},
    policy::{Permit, action},
};

use super::{Database, Recorded, TestVault, is_gone, receipt, source, stuck, words_of, work_off};
use crate::{
    epochs::keys,
    transcribing::told,
    viewing::transcript,
    world::{Recipe, digits},
};

const AT_ONCE: &str = "delete_source = \"after-sealing\"";
/// Twilio's transcripts are not fetched, so that only the deadline ends the wait.
const A_DAY_LATER: &str =
    "delete_source = \"after-sealing\"\nawait_transcript_h = 24\nfetch_transcripts = false";
const A_DAY_LATER_WITH_WORDS: &str = "delete_source = \"after-sealing\"\nawait_transcript_h = 24";

/// Returns a sealed recording with copies at Twilio whose deletion waits for its day.
async fn sealed(vault: &TestVault) -> Recorded {
    let recorded = vault.sealed().await;
    words_of(vault, &recorded);
    recorded
}

async fn a_day_later(vault: &TestVault) {
    vault.clock.advance(Duration::from_secs(24 * 3600));
    work_off(vault).await;
}

async fn twilios_copies_go_after_the_vault_has_read_its_own_back(database: Database) {
    let vault = Recipe {
        account: A_DAY_LATER,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = sealed(&vault).await;
    assert_eq!(source(&vault, &recorded).await["state"], "pending");
    a_day_later(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(source(&vault, &recorded).await["state"], "deleted");
    assert_eq!(vault.count("source.deleted").await, 1);
    vault.plays(&recorded).await;

    // Later it is shredded. Confirmed copies are not requested again, but late copies are searched
    // for.
    let asked = vault.stand_in.requests(Call::RecordingFetch)
        + vault.stand_in.requests(Call::RecordingDelete);
    let deleted = vault.clock.now();
    vault.stand_in.add_transcript(
        &vault.account,
        TranscriptFacts::new(format!("GT{}", digits()), &recorded.sid),
    );
    vault.clock.advance(Duration::from_secs(20 * 24 * 3600));
    let shredded = vault.shred(recorded.id).await;
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    work_off(&vault).await;
    let closed = receipt(&vault, &shredded).await;
    let Some(Removal::Removed(at)) = closed.source() else {
        panic!("{closed:?}")
    };
    assert!(
        closed.state() == ReceiptState::Closed && at > deleted,
        "the late words went last"
    );
    assert_eq!(
        asked,
        vault.stand_in.requests(Call::RecordingFetch)
            + vault.stand_in.requests(Call::RecordingDelete)
    );
    assert!(!vault.stand_in.kept(&recorded.sid).content());
    let nothing = source(&vault, &recorded).await["copies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|copy| copy["state"] != "confirmed")
        .count();
    assert_eq!(nothing, 0);
}

async fn a_shred_while_the_source_waits_for_its_day_does_not_wait(database: Database) {
    let vault = Recipe {
        account: A_DAY_LATER,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = sealed(&vault).await;
    let shredded = vault.shred(recorded.id).await;
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    work_off(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Closed
    );
}

on_both_databases!(
    twilios_copies_go_after_the_vault_has_read_its_own_back,
    a_shred_while_the_source_waits_for_its_day_does_not_wait,
);

#[tokio::test]
async fn without_a_transcript_to_wait_for_they_go_at_once() {
    let vault = Recipe {
        account: AT_ONCE,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    vault.plays(&recorded).await;
}

/// Returns the file of the audio in the folder store.
async fn file_of(vault: &TestVault, recorded: &Recorded) -> PathBuf {
    let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
    let digits = hex::encode(artefact.object.unwrap().as_bytes());
    vault
        .folder()
        .join("objects/objects")
        .join(&digits[..2])
        .join(format!("{digits}.floe"))
}

#[tokio::test]
async fn an_object_that_is_not_what_was_sealed_keeps_everything_at_twilio() {
    let vault = Recipe {
        account: A_DAY_LATER,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = sealed(&vault).await;
    let file = file_of(&vault, &recorded).await;
    let whole = fs::read(&file).unwrap();
    let altered = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let middle = whole.len() / 2;
    let longer = [whole.as_slice(), b"more"].concat();
    let cases = [
        ("header", altered(3)),
        ("middle", altered(middle)),
        ("end", altered(whole.len() - 1)),
        ("short", whole[..whole.len() - 1].to_vec()),
        ("cut", whole[..middle].to_vec()),
        ("long", longer),
        ("empty", Vec::new()),
    ];
    vault.clock.advance(Duration::from_secs(24 * 3600));
    for (case, bytes) in cases {
        fs::write(&file, bytes).unwrap();
        vault.later().await;
        assert!(
            vault.stand_in.kept(&recorded.sid).media
                && vault.stand_in.kept(&recorded.sid).transcripts.len() == 2,
            "{case}"
        );
        let why = stuck(&vault).await;
        assert!(
            why[0].starts_with(
                "stuck: nothing is deleted, because the vault's own copy cannot be verified"
            ),
            "{case}: {why:?}"
        );
    }
    fs::remove_file(&file).unwrap();
    vault.later().await;
    assert!(
        vault.stand_in.kept(&recorded.sid).media,
        "the object is gone"
    );
    assert_eq!(
        vault.stand_in.requests(Call::RecordingFetch)
            + vault.stand_in.requests(Call::RecordingDelete),
        0,
        "Twilio was not even asked"
    );

    // Authentic to the last segment, but not the object in the catalogue.
    fs::write(&file, &whole).unwrap();
    let other = "0".repeat(64);
    vault
        .ground()
        .run(&format!("UPDATE artefacts SET sealed_sha256 = '{other}'"))
        .await;
    vault.later().await;
    assert!(vault.stand_in.kept(&recorded.sid).media);
    let sha256 = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &whole,
    ));
    vault
        .ground()
        .run(&format!("UPDATE artefacts SET sealed_sha256 = '{sha256}'"))
        .await;
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(stuck(&vault).await, [""; 0]);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn they_go_when_the_transcript_is_in_and_not_before_its_deadline() {
    let vault = Recipe {
        account: A_DAY_LATER,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let told = sealed(&vault).await;
    let untold = sealed(&vault).await;
    work_off(&vault).await;
    vault.later().await;
    for recorded in [&told, &untold] {
        assert!(vault.stand_in.kept(&recorded.sid).media);
    }
    let text = Transcript::parse(transcript(&["Hello."]).to_string().as_bytes()).unwrap();
    vault
        .process
        .flow
        .transcripts
        .file_new(&Permit::of_operator(action::Transcribe), told.id, text)
        .await
        .unwrap();
    work_off(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&told.sid)));
    assert!(vault.stand_in.kept(&untold.sid).media);
    a_day_later(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&untold.sid)));
}

#[tokio::test]
async fn a_transcript_that_is_still_to_be_fetched_is_not_deleted() {
    let vault = Recipe {
        account: AT_ONCE,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    for is_shredded in [false, true] {
        let recorded = vault.record();
        let sid = format!("GT{}", digits());
        vault
            .stand_in
            .add_transcript(&vault.account, TranscriptFacts::new(&sid, &recorded.sid));
        vault.stand_in.set_transcript_status(&sid, "in-progress");
        told(&vault, &sid).await;
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        work_off(&vault).await;
        vault.later().await;
        assert!(
            vault.stand_in.kept(&recorded.sid).media
                && vault.stand_in.kept(&recorded.sid).transcripts.len() == 1,
            "{is_shredded}"
        );
        if is_shredded {
            // Its transcript is no longer awaited.
            vault.shred(recorded.id).await;
        } else {
            vault.stand_in.set_transcript_status(&sid, "completed");
        }
        vault.later().await;
        assert!(
            is_gone(&vault.stand_in.kept(&recorded.sid)),
            "{is_shredded}"
        );
        assert_eq!(
            vault.artefacts(recorded.id).await.len(),
            if is_shredded { 0 } else { 2 }
        );
    }
}

#[tokio::test]
async fn words_that_nobody_asked_for_are_fetched_and_then_go_however_late_they_are() {
    let vault = Recipe {
        account: A_DAY_LATER_WITH_WORDS,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let late = |sid: &RecordingSid| {
        vault.stand_in.add_transcript(
            &vault.account,
            TranscriptFacts::new(format!("GT{}", digits()), sid),
        )
    };
    late(&recorded.sid);
    // The first check, ten minutes after sealing: transcripts are filed, and nothing is awaited any
    // more.
    vault.later().await;
    assert_eq!(vault.artefacts(recorded.id).await.len(), 2);
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));

    // Made after the deletion; the second check, six hours later, finds it.
    late(&recorded.sid);
    assert!(vault.stand_in.kept(&recorded.sid).content());
    vault.clock.advance(Duration::from_secs(6 * 3600));
    work_off(&vault).await;
    assert!(!vault.stand_in.kept(&recorded.sid).content());
    assert_eq!(source(&vault, &recorded).await["state"], "deleted");
}

#[tokio::test]
async fn a_hold_keeps_the_sealed_copy_and_twilios_may_go() {
    let vault = Recipe {
        account: A_DAY_LATER,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = sealed(&vault).await;
    vault.ground().run("UPDATE recordings SET holds = 1").await;
    a_day_later(&vault).await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    assert_eq!(vault.state(recorded.id).await, "sealed");
}

#[tokio::test]
async fn a_source_that_fails_after_sealing_is_tried_again() {
    let vault = Recipe {
        account: A_DAY_LATER,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = sealed(&vault).await;
    vault
        .stand_in
        .fail_call(Call::RecordingDelete, RequestFault::ServerError);
    a_day_later(&vault).await;
    assert!(vault.stand_in.kept(&recorded.sid).media);
    assert_eq!(source(&vault, &recorded).await["state"], "pending");
    vault.later().await;
    assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
    // The sealed copy became unreadable between two attempts: nothing more is deleted.
    let other = sealed(&vault).await;
    vault
        .stand_in
        .fail_call(Call::RecordingDelete, RequestFault::ServerError);
    a_day_later(&vault).await;
    let file = file_of(&vault, &other).await;
    fs::write(&file, b"gone").unwrap();
    vault.later().await;
    assert!(vault.stand_in.kept(&other.sid).media);
}
