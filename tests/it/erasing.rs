//! Twilio's copies are deleted in a closed loop: found, deleted, confirmed, and listed in the
//! receipt.

mod after_sealing;
mod believing;
mod early;
mod failing;
mod running;
mod shared_calls;
mod subaccounts;

use std::time::Duration;

use recvault::{
    demo::stand_in::{AddOnFacts, Call, RemainingCopies, TranscriptFacts, TranscriptionFacts},
    evidence::{Receipt, Removal, receipt::ReceiptState},
    model::sid::CallSid,
};
use serde_json::{Value, json};

use crate::{
    buckets,
    epochs::{keys, receipt_of},
    s3_server,
    world::{Answer, Database, Recipe, Recorded, TestVault, digits},
};

/// Adds every kind of copy that Twilio can make of a recording. Returns the number of copies,
/// including the recording itself.
fn words_of(vault: &TestVault, recorded: &Recorded) -> usize {
    let stand_in = &vault.stand_in;
    let account = &vault.account;
    let sid = &recorded.sid;
    for _ in 0..2 {
        stand_in.add_transcription(
            account,
            TranscriptionFacts::new(format!("TR{}", digits()), sid.clone(), "Hello."),
        );
    }
    stand_in.add_add_on(
        account,
        AddOnFacts::new(format!("XR{}", digits()), sid.clone()),
    );
    stand_in.add_transcript(
        account,
        TranscriptFacts::new(format!("GT{}", digits()), sid),
    );
    let of_call = TranscriptFacts {
        source: "Call".into(),
        source_sid: Some(call_of(recorded).to_string()),
        ..TranscriptFacts::new(format!("GT{}", digits()), sid)
    };
    stand_in.add_transcript(account, of_call);
    6
}

fn call_of(recorded: &Recorded) -> CallSid {
    format!("CA{}", &recorded.sid.as_str()[2..])
        .parse()
        .unwrap()
}

/// Returns the present receipt of the recording.
async fn receipt(vault: &TestVault, shredded: &Answer) -> Receipt {
    assert_eq!(shredded.status, 200, "{shredded:?}");
    receipt_of(vault, shredded.json()["receipt_id"].as_str().unwrap()).await
}

/// Returns the source's copies in the API.
async fn source(vault: &TestVault, recorded: &Recorded) -> Value {
    vault.details(recorded.id).await["at_source"].clone()
}

/// Whether all audio and text of it is deleted at Twilio.
fn is_gone(kept: &RemainingCopies) -> bool {
    !kept.content() && kept.status.as_deref() == Some("deleted")
}

async fn work_off(vault: &TestVault) {
    vault.process.flow.worker.work_off().await.unwrap();
}

/// Returns the reasons of failing deletions.
async fn stuck(vault: &TestVault) -> Vec<String> {
    let status = vault.process.flow.monitoring.status().await.unwrap();
    status
        .source
        .stuck
        .into_iter()
        .map(|dead| dead.last_error.unwrap())
        .collect()
}

async fn a_shred_deletes_everything_at_twilio_and_the_receipt_closes(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let other = vault.sealed().await;
    let copies = words_of(&vault, &recorded);
    words_of(&vault, &other);
    assert_eq!(
        source(&vault, &recorded).await,
        json!({ "state": "kept", "copies": [], "residue": [] })
    );

    let shredded = vault.shred(recorded.id).await;
    assert_eq!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Pending)
    );
    assert_eq!(source(&vault, &recorded).await["state"], "pending");
    let status = vault.process.flow.monitoring.status().await.unwrap();
    assert_eq!(
        (status.source.pending, status.source.oldest),
        (1, Some(vault.clock.now()))
    );
    vault
        .process
        .flow
        .epochs
        .turn(&keys())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        receipt(&vault, &shredded).await.state(),
        ReceiptState::Unrecoverable
    );

    work_off(&vault).await;
    let kept = vault.stand_in.kept(&recorded.sid);
    assert!(is_gone(&kept), "{kept:?}");
    let closed = receipt(&vault, &shredded).await;
    assert_eq!(
        (closed.state(), closed.source()),
        (
            ReceiptState::Closed,
            Some(Removal::Removed(vault.clock.now()))
        )
    );
    let shown = source(&vault, &recorded).await;
    assert_eq!(
        (&shown["state"], shown["copies"].as_array().unwrap().len()),
        (&json!("deleted"), copies),
        "{shown:#}"
    );
    let until = json!(vault.clock.now().after(Duration::from_secs(40 * 24 * 3600)));
    for copy in shown["copies"].as_array().unwrap() {
        let now = json!(vault.clock.now());
        assert_eq!(
            (&copy["state"], &copy["deleted_at"], &copy["confirmed_at"]),
            (&json!("confirmed"), &now, &now),
            "{copy}"
        );
        assert_eq!(
            copy["left_until"],
            if copy["kind"] == "recording" {
                until.clone()
            } else {
                Value::Null
            },
            "{copy}"
        );
    }
    let entries = vault.entries().await;
    let told: Vec<&Value> = entries
        .iter()
        .filter(|entry| entry["event"] == "source.deleted")
        .collect();
    let counts = json!({ "recording": 1, "transcription": 2, "add-on": 1, "transcript": 2, "confirmed": 6, "left": 0 });
    assert_eq!(
        (told.len(), &told[0]["details"], &told[0]["recording"]),
        (1, &counts, &json!(recorded.id))
    );
    assert!(
        vault.stand_in.kept(&other.sid).content(),
        "what is not shredded is left alone"
    );
    assert_eq!(
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .source
            .pending,
        0
    );
}

async fn a_recording_that_was_never_sealed_waits_for_its_source_too(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let announced = vault.announced().await;
    let absent = vault.record();
    vault.stand_in.set_status(&absent.sid, "absent");
    assert_eq!(vault.tell(&absent, "absent").await.status, 204);
    for recorded in [&announced, &absent] {
        let shredded = vault.shred(recorded.id).await;
        let before = receipt(&vault, &shredded).await;
        assert_eq!(
            (before.state(), before.source()),
            (ReceiptState::Tombstoned, Some(Removal::Pending))
        );
        work_off(&vault).await;
        assert_eq!(
            receipt(&vault, &shredded).await.state(),
            ReceiptState::Closed
        );
        assert_eq!(source(&vault, recorded).await["state"], "deleted");
    }
    assert!(is_gone(&vault.stand_in.kept(&announced.sid)));
    // The absent one has no audio, and Twilio deletes only complete recordings.
    assert_eq!(
        vault.stand_in.kept(&absent.sid).status.as_deref(),
        Some("absent")
    );
    assert_eq!(
        source(&vault, &absent).await["copies"][0]["left_until"],
        Value::Null
    );
}

async fn removing_and_erasing_come_in_any_order(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    for kinds in [
        ["delete-ciphertext", "delete-at-source"],
        ["delete-at-source", "delete-ciphertext"],
    ] {
        let recorded = vault.sealed().await;
        let shredded = vault.shred(recorded.id).await;
        vault.process.flow.epochs.turn(&keys()).await.unwrap();
        vault
            .ground()
            .run(&format!(
                "UPDATE work SET due_at = due_at + 500000 WHERE kind = '{}'",
                kinds[1]
            ))
            .await;
        work_off(&vault).await;
        assert_eq!(
            receipt(&vault, &shredded).await.state(),
            ReceiptState::Unrecoverable,
            "{kinds:?}: one is still to come"
        );
        vault.later().await;
        assert_eq!(
            receipt(&vault, &shredded).await.state(),
            ReceiptState::Closed,
            "{kinds:?}"
        );
    }
}

async fn two_processes_delete_the_same_thing_once(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    let mut shredded = Vec::new();
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(vault.sealed().await);
    }
    for recorded in all {
        words_of(&vault, &recorded);
        shredded.push((vault.shred(recorded.id).await, recorded));
    }
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    let (one, another) = futures_util::join!(
        vault.process.flow.worker.work_off(),
        other.flow.worker.work_off()
    );
    assert_eq!(
        one.unwrap() + another.unwrap(),
        16,
        "each piece of work once"
    );
    for (answer, recorded) in &shredded {
        assert!(is_gone(&vault.stand_in.kept(&recorded.sid)));
        assert_eq!(receipt(&vault, answer).await.state(), ReceiptState::Closed);
    }
    assert_eq!(vault.count("source.deleted").await, 8);
}

async fn a_rebuilt_vault_goes_on_deleting_at_twilio(database: Database) {
    let vault = Recipe {
        account: "delete_source = \"after-sealing\"\nawait_transcript_h = 24",
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let shredded = vault.sealed().await;
    let sealed = vault.sealed().await;
    let answer = vault.shred(shredded.id).await;
    vault.process.flow.recovery.journal().await.unwrap();
    // The database is lost with all its work: only the journal has these two.
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = recvault::vault::plan(&app.parts(), Default::default())
        .await
        .unwrap();
    recvault::vault::restore(app.parts(), &plan, recvault::vault::Claim::TakeOver)
        .await
        .unwrap();
    let process = vault.process_over(app).await;
    vault.clock.advance(Duration::from_secs(25 * 3600));
    process.flow.worker.work_off().await.unwrap();
    for recorded in [&shredded, &sealed] {
        assert!(
            is_gone(&vault.stand_in.kept(&recorded.sid)),
            "{:?}",
            vault.stand_in.kept(&recorded.sid)
        );
    }
    let text = process
        .api
        .get(&format!(
            "/v1/receipts/{}",
            answer.json()["receipt_id"].as_str().unwrap()
        ))
        .await
        .text();
    assert!(matches!(
        Receipt::verify(&text, &process.flow.vault.keys().await.unwrap())
            .unwrap()
            .source(),
        Some(Removal::Removed(_))
    ));
    vault.plays_in(&process, &sealed).await;
}

on_both_databases!(
    a_shred_deletes_everything_at_twilio_and_the_receipt_closes,
    a_recording_that_was_never_sealed_waits_for_its_source_too,
    removing_and_erasing_come_in_any_order,
    two_processes_delete_the_same_thing_once,
    a_rebuilt_vault_goes_on_deleting_at_twilio,
);

#[tokio::test]
async fn an_account_that_deletes_nothing_has_receipts_that_promise_nothing() {
    let vault = Recipe {
        account: "delete_source = \"never\"",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    words_of(&vault, &recorded);
    let shredded = vault.shred(recorded.id).await;
    vault.process.flow.epochs.turn(&keys()).await.unwrap();
    work_off(&vault).await;
    let closed = receipt(&vault, &shredded).await;
    assert_eq!(
        (closed.state(), closed.source()),
        (ReceiptState::Closed, Some(Removal::Unknown))
    );
    assert!(vault.stand_in.kept(&recorded.sid).content());
    assert_eq!(
        vault.stand_in.requests(Call::RecordingFetch)
            + vault.stand_in.requests(Call::RecordingDelete),
        0
    );
    assert_eq!(source(&vault, &recorded).await["state"], "kept");
    assert_eq!(vault.count("source.deleted").await, 0);
}

#[tokio::test]
async fn an_object_in_the_teams_bucket_goes_with_the_rest() {
    let s3 = s3_server::start();
    let vault = Recipe {
        home: buckets::configured(&s3.endpoint, &s3, s3.secret_key),
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = buckets::record(
        &vault,
        &format!("{}/{}/recordings/one.wav", s3.endpoint, s3.bucket),
    );
    buckets::put(&s3, "one.wav");
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work_off(&vault).await;
    vault.plays(&recorded).await;
    let file = s3.root().join(s3.bucket).join("recordings/one.wav");
    let shredded = vault.shred(recorded.id).await;
    assert!(file.exists());
    work_off(&vault).await;
    assert!(!file.exists());
    assert!(matches!(
        receipt(&vault, &shredded).await.source(),
        Some(Removal::Removed(_))
    ));
    assert_eq!(source(&vault, &recorded).await["state"], "deleted");
}

#[tokio::test]
async fn an_object_in_a_bucket_that_the_vault_cannot_delete_is_left_and_told() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    vault.stand_in.add_external_recording(
        &vault.account,
        recorded.sid.clone(),
        &recorded.wav,
        "https://bucket.s3.amazonaws.com/RE.wav",
    );
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    let shredded = vault.shred(recorded.id).await;
    work_off(&vault).await;
    let closed = receipt(&vault, &shredded).await;
    assert_eq!(
        (closed.state(), closed.source()),
        (ReceiptState::Closed, Some(Removal::Unknown)),
        "it is not said to be removed"
    );
    let shown = source(&vault, &recorded).await;
    assert_eq!(shown["state"], "left", "{shown:#}");
    let states: Vec<_> = shown["copies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| (copy["kind"].clone(), copy["state"].clone()))
        .collect();
    assert_eq!(
        states,
        [
            (json!("object"), json!("left")),
            (json!("recording"), json!("confirmed"))
        ]
    );
    assert!(!shown.to_string().contains("amazonaws"));
}
