//! Two timelines changed the same recording, person or version, independently: the result of a
//! restore of both.

use recvault::{
    config::SHIPPED_POLICY,
    db::{details, holds, recordings, shreds, work},
    model::{
        access::PrincipalKind,
        id::{PrincipalId, RecordingId},
        recording::{Recording, RecordingState},
    },
    policy::Rules,
};
use reqwest::Method;
use serde_json::Value;

use super::*;
use crate::world::{Answer, Recorded, send};

/// Returns a recording that is in the journal of the first timeline but not in its snapshot; and
/// the process of the later lost database, which continues.
async fn forked(database: Database) -> (TestVault, Recorded, Process, impl Sized) {
    let mut vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.process.flow.vault.journal_all().await.unwrap();
    let (_, former, ground) = lose(&mut vault, database).await;
    (vault, recorded, former, ground)
}

/// Merges the writes of both, without a snapshot of the second.
async fn merged(vault: &mut TestVault, database: Database, former: &Process) -> impl Sized + use<> {
    // Confirmed changes of the former process are in the store. After it has noticed the loss of
    // custody, it writes nothing.
    let _ = former.flow.vault.journal_all().await;
    vault.process.flow.vault.journal_all().await.unwrap();
    lose_snapshots(vault);
    let (_, second, ground) = lose(vault, database).await;
    (second, ground)
}

/// Sends a request to one of the processes, as the privacy officer.
async fn asks(
    vault: &TestVault,
    process: &Process,
    (method, path): (Method, String),
    body: Value,
) -> Answer {
    let officer = vault.minted("privacy-officer").token.expose().to_owned();
    let caller = process.api.clone().bearing(&officer);
    let answer = send(caller.request(method, &path).json(&body)).await;
    // The former process confirms nothing: custody belongs to another database.
    let is_former = !std::ptr::eq(process, &vault.process);
    let expected = if is_former { 503 } else { 200 };
    assert_eq!(answer.status, expected, "{path}: {answer:?}");
    answer
}

async fn shred(vault: &TestVault, process: &Process, id: RecordingId) -> String {
    let path = format!("/v1/recordings/{id}");
    let reason = json!({ "reason": "subject-request" });
    asks(vault, process, (Method::DELETE, path), reason).await;
    let mut tx = process.db.read().await.unwrap();
    let tombstone = shreds::find_tombstone(&mut tx, id).await.unwrap();
    tombstone.unwrap().1.to_string()
}

async fn place(vault: &TestVault, process: &Process, id: RecordingId, name: &str) {
    let hold = json!({
        "purpose": "legal-request",
        "reason": "lawsuit",
        "authority": "Landgericht Berlin, 12 O 345/26",
        "review_at": "2099-01-01T00:00:00Z",
    });
    let path = format!("/v1/recordings/{id}/holds/{name}");
    asks(vault, process, (Method::PUT, path), hold).await;
}

async fn lift(vault: &TestVault, process: &Process, id: RecordingId, name: &str) {
    let path = format!("/v1/recordings/{id}/holds/{name}");
    asks(vault, process, (Method::DELETE, path), json!({})).await;
}

/// Returns a recording with the names of its holds in force.
async fn found(vault: &TestVault, id: RecordingId) -> (Recording, Vec<String>) {
    let mut tx = vault.process.db.read().await.unwrap();
    let recording = recordings::find(&mut tx, id).await.unwrap().unwrap();
    let holds = holds::standing(&mut tx, &[id]).await.unwrap();
    assert_eq!(recording.holds, holds.len() as i64, "the rows are counted");
    let names = holds.iter().map(|hold| hold.name.to_string()).collect();
    (recording, names)
}

async fn a_shred_of_a_lost_database_wins_over_what_the_next_did_later(database: Database) {
    let (mut vault, dies, former, _first) = forked(database).await;
    let other = vault.sealed().await;
    let receipt = shred(&vault, &former, dies.id).await;
    // The next database continues: one hold is lifted again, one stays.
    place(&vault, &vault.process, dies.id, "case-7").await;
    place(&vault, &vault.process, dies.id, "case-8").await;
    lift(&vault, &vault.process, dies.id, "case-8").await;

    let _second = merged(&mut vault, database, &former).await;
    let (recording, standing) = found(&vault, dies.id).await;
    assert_eq!(recording.state, RecordingState::Shredded);
    assert!(recording.shredded_at.is_some());
    assert_eq!(standing, [""; 0], "a hold over a tombstone keeps nothing");
    assert_eq!(vault.key_entry(dies.id).await, None);
    let mut tx = vault.process.db.read().await.unwrap();
    assert!(!details::is_there(&mut tx, dies.id).await.unwrap());
    let deletes = work::WorkKind::DeleteCiphertext;
    let is_asked = work::is_asked(&mut tx, deletes, dies.id).await;
    assert!(is_asked.unwrap(), "its bytes are still to go");
    drop(tx);
    let log = Log::of(&vault.process).await;
    let lifted = log
        .entries
        .iter()
        .rfind(|entry| entry.event == AuditEvent::HoldLifted);
    assert!(
        serde_json::to_string(lifted.unwrap())
            .unwrap()
            .contains("case-7")
    );

    // A second shred of it in the other timeline yields the existing receipt.
    let both = json!({ "account": vault.account, "reason": "contract-ended" });
    let path = (Method::POST, "/v1/revocations".to_owned());
    let revoked = asks(&vault, &vault.process, path, both).await.json();
    assert_eq!(revoked["counts"]["shredded"], json!(2), "{revoked}");
    assert_eq!(vault.state(other.id).await, "shredded");
    assert_eq!(shred(&vault, &vault.process, dies.id).await, receipt);
}

async fn a_hold_that_a_lost_database_placed_is_kept(database: Database) {
    let (mut vault, kept, former, _first) = forked(database).await;
    place(&vault, &former, kept.id, "case-7").await;
    // The next database does not know of it.
    place(&vault, &vault.process, kept.id, "case-8").await;
    lift(&vault, &vault.process, kept.id, "case-8").await;
    assert_eq!(found(&vault, kept.id).await.1, [""; 0]);

    let _second = merged(&mut vault, database, &former).await;
    let (recording, standing) = found(&vault, kept.id).await;
    assert_eq!(recording.state, RecordingState::Sealed);
    assert_eq!(standing, ["case-7"]);
    vault.shred(kept.id).await.problem(409, "held");
    // Only the hold kept it.
    lift(&vault, &vault.process, kept.id, "case-7").await;
    assert_eq!(vault.shred(kept.id).await.status, 200);
}

async fn a_recording_that_two_timelines_shredded_keeps_its_first_receipt(database: Database) {
    let (mut vault, dies, former, _first) = forked(database).await;
    let first = shred(&vault, &former, dies.id).await;
    let second = shred(&vault, &vault.process, dies.id).await;
    assert_ne!(first, second);

    let _second = merged(&mut vault, database, &former).await;
    assert_eq!(shred(&vault, &vault.process, dies.id).await, first);
    // A restore from the older snapshot has the same result.
    vault.process.flow.vault.journal_all().await.unwrap();
    lose_snapshots(&vault);
    let (_, _third, _ground) = lose(&mut vault, database).await;
    assert_eq!(shred(&vault, &vault.process, dies.id).await, first);
    assert_eq!(vault.key_entry(dies.id).await, None);
}

async fn mint(vault: &TestVault, process: &Process, label: &str) -> PrincipalId {
    let wanted = NewToken {
        principal: Some("alice".parse().unwrap()),
        kind: Some(PrincipalKind::Person),
        ..NewToken::new(label.parse().unwrap(), Duration::from_secs(3600))
    };
    let minted = flow::mint_token(&process.db, &vault.clock, wanted).await;
    minted.unwrap().principal.id
}

async fn a_person_whom_two_timelines_named_is_one(database: Database) {
    let (mut vault, _, former, _first) = forked(database).await;
    let first = mint(&vault, &former, "phone").await;
    let second = mint(&vault, &vault.process, "desk").await;
    assert_ne!(first, second);

    let _second = merged(&mut vault, database, &former).await;
    let tokens = flow::list_tokens(&vault.process.db).await.unwrap();
    let hers = tokens
        .iter()
        .filter(|token| token.subject.as_str() == "alice");
    let hers: Vec<PrincipalId> = hers.map(|token| token.row.principal).collect();
    assert_eq!(hers, [first, first], "both credentials are hers");
}

async fn a_version_that_two_timelines_published_as_two_files_is_refused_by_name(
    database: Database,
) {
    let (vault, _, former, _first) = forked(database).await;
    for (process, company) in [
        (&former, "First Company"),
        (&vault.process, "Second Company"),
    ] {
        let text = SHIPPED_POLICY.replacen("version = \"1\"", "version = \"next\"", 1);
        let text = text.replace("Example Company", company);
        let rules = Rules::parse("new", &text).unwrap();
        let published = flow::publish(&process.db, &process.flow.vault, &rules, false).await;
        assert!(published.unwrap().new);
        process.flow.vault.journal_all().await.unwrap();
    }
    lose_snapshots(&vault);

    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    let refused = vault::restore(app.parts(), &plan, Claim::TakeOver).await;
    let refused = refused.map(drop).unwrap_err().to_string();
    let last = plan.journal.last().unwrap().to_string();
    assert!(
        refused.contains(&last) && refused.contains("`next`"),
        "{refused}"
    );
}

on_both_databases!(
    a_shred_of_a_lost_database_wins_over_what_the_next_did_later,
    a_hold_that_a_lost_database_placed_is_kept,
    a_recording_that_two_timelines_shredded_keeps_its_first_receipt,
    a_person_whom_two_timelines_named_is_one,
    a_version_that_two_timelines_published_as_two_files_is_refused_by_name,
);
