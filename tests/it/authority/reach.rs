//! The reach of statements and names: limited by the principal's accounts and the action `revoke`.

use std::time::Duration;

use recvault::flow::Ended;
use serde_json::{Value, json};

use super::{ANNA, call, end_of, listening, names, somebody, with_a_desk_on};
use crate::consenting::consent_policy;
use crate::world::{Caller, Database, Recorded, TestVault};

const WITHOUT_END: &str = "4000-01-01T00:00:00.000Z";

/// Records a statement at the caller's leg.
async fn says(who: &Caller, recorded: &Recorded, answer: &str) {
    let said =
        json!({ "call": call(recorded), "leg": "caller", "answer": answer, "method": "letter" });
    let told = who.post("/v1/consents", said).await;
    assert_eq!(told.status, 201, "{told:?}");
}

async fn arrives(vault: &TestVault, recorded: &Recorded) {
    assert_eq!(vault.tell(recorded, "completed").await.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
}

async fn a_second_later(vault: &TestVault) {
    vault.clock.advance(Duration::from_secs(1));
}

async fn a_withdrawal_reaches_the_accounts_of_who_tells_it_only(database: Database) {
    let (vault, _) = with_a_desk_on(database, &consent_policy()).await;
    let accounts = std::slice::from_ref(&vault.other_account);
    let limited = somebody(&vault, "privacy-officer", accounts).await;
    let officer = vault.asks("privacy-officer");
    // The participants of the call are unknown yet.
    let late = vault.record();
    assert_eq!(names(&officer, &late, ANNA).await.status, 200);
    says(&officer, &late, "given").await;
    a_second_later(&vault).await;
    says(&limited, &late, "withdrawn").await;
    arrives(&vault, &late).await;
    vault.process.flow.revocations.continue_all().await.unwrap();
    assert_eq!(vault.state(late.id).await, "sealed");
    a_second_later(&vault).await;
    says(&officer, &late, "withdrawn").await;
    vault.process.flow.revocations.continue_all().await.unwrap();
    assert_eq!(vault.state(late.id).await, "shredded");
}

/// Returns the state of a recording after the quarantine period.
async fn after_the_quarantine(vault: &TestVault, recorded: &Recorded) -> String {
    vault.clock.advance(Duration::from_secs(8 * 24 * 3600));
    vault.process.flow.quarantine.sweep().await.unwrap();
    vault.state(recorded.id).await
}

async fn ends(vault: &TestVault, recorded: &Recorded) -> Value {
    vault.details(recorded.id).await["quarantine_ends"].clone()
}

/// Adds an unknown participant to the call.
async fn adds_a_place(who: &Caller, recorded: &Recorded) {
    let parties = json!({ "parties": [{ "leg": "third" }] });
    let path = format!("/v1/calls/{}/parties", call(recorded));
    assert_eq!(who.post(&path, parties).await.status, 200);
}

async fn what_is_told_without_leave_to_revoke_lets_go_of_nothing_before_sealing_either(
    database: Database,
) {
    let (vault, desk) = with_a_desk_on(database, &consent_policy()).await;
    let officer = vault.asks("privacy-officer");
    let recorded = [vault.record(), vault.record(), vault.record()];
    for one in &recorded {
        assert_eq!(names(&officer, one, ANNA).await.status, 200);
        says(&officer, one, "given").await;
    }
    a_second_later(&vault).await;
    let [third, declined, told_again] = &recorded;
    adds_a_place(&desk, third).await;
    says(&desk, declined, "declined").await;
    says(&desk, told_again, "declined").await;
    for one in &recorded {
        arrives(&vault, one).await;
        assert_eq!(ends(&vault, one).await, WITHOUT_END);
    }
    // The same statement of a principal with `revoke` counts at once, too.
    says(&officer, told_again, "declined").await;
    assert_ne!(ends(&vault, told_again).await, WITHOUT_END);
    for (one, state) in recorded.iter().zip(["sealed", "sealed", "shredded"]) {
        assert_eq!(after_the_quarantine(&vault, one).await, state);
    }
}

async fn a_deadline_that_runs_is_not_kept_by_what_a_desk_tells(database: Database) {
    let (vault, desk) = with_a_desk_on(database, &consent_policy()).await;
    let officer = vault.asks("privacy-officer");
    let recorded = vault.record();
    assert_eq!(names(&officer, &recorded, ANNA).await.status, 200);
    arrives(&vault, &recorded).await;
    assert_ne!(ends(&vault, &recorded).await, WITHOUT_END);
    adds_a_place(&desk, &recorded).await;
    assert_ne!(ends(&vault, &recorded).await, WITHOUT_END, "no yes yet");
    says(&officer, &recorded, "given").await;
    assert_eq!(ends(&vault, &recorded).await, WITHOUT_END);
    assert_eq!(after_the_quarantine(&vault, &recorded).await, "sealed");
}

async fn a_yes_sets_no_deadline(database: Database) {
    let (vault, desk) = with_a_desk_on(database, &consent_policy()).await;
    let officer = vault.asks("privacy-officer");
    let recorded = vault.record();
    assert_eq!(names(&officer, &recorded, ANNA).await.status, 200);
    says(&officer, &recorded, "given").await;
    arrives(&vault, &recorded).await;
    assert_eq!(ends(&vault, &recorded).await, Value::Null);
    adds_a_place(&desk, &recorded).await;
    assert_eq!(ends(&vault, &recorded).await, WITHOUT_END);
    a_second_later(&vault).await;
    says(&officer, &recorded, "given").await;
    assert_eq!(ends(&vault, &recorded).await, WITHOUT_END);
    // Nor does naming a consenting participant again, or another one.
    assert_eq!(names(&officer, &recorded, ANNA).await.status, 200);
    assert_eq!(after_the_quarantine(&vault, &recorded).await, "sealed");
    // A principal with `revoke` names the leg that closed it.
    adds_a_place(&officer, &recorded).await;
    assert_ne!(ends(&vault, &recorded).await, WITHOUT_END);
    assert_eq!(after_the_quarantine(&vault, &recorded).await, "shredded");
}

async fn quarantine_ends_running_streams_in_every_process(database: Database) {
    let (vault, desk) = with_a_desk_on(database, &consent_policy()).await;
    let other = vault.another_process().await;
    let mut watch = other.flow.playback.watch().await.unwrap();
    let officer = vault.asks("privacy-officer");
    let recorded = [vault.record(), vault.record()];
    for one in &recorded {
        assert_eq!(names(&officer, one, ANNA).await.status, 200);
        says(&officer, one, "given").await;
        arrives(&vault, one).await;
    }
    a_second_later(&vault).await;
    let mut streams = Vec::new();
    for one in &recorded {
        let path = vault.audio(one.id).await;
        streams.push((
            listening(&vault.process, &path).await,
            listening(&other, &path).await,
        ));
    }
    says(&officer, &recorded[0], "declined").await;
    adds_a_place(&desk, &recorded[1]).await;
    for (here, _) in &mut streams {
        assert_eq!(end_of(here).await, Some(Ended::Refused));
    }
    watch.look().await.unwrap();
    for (_, there) in &mut streams {
        assert_eq!(end_of(there).await, Some(Ended::Refused));
    }
}

async fn what_ended_before_a_stream_began_does_not_end_it(database: Database) {
    let (vault, _) = with_a_desk_on(database, &consent_policy()).await;
    let other = vault.another_process().await;
    let mut watch = other.flow.playback.watch().await.unwrap();
    let officer = vault.asks("privacy-officer");
    let recorded = vault.record();
    assert_eq!(names(&officer, &recorded, ANNA).await.status, 200);
    says(&officer, &recorded, "given").await;
    arrives(&vault, &recorded).await;
    // While there is no access, and so no check, it is closed and opened again.
    for answer in ["declined", "given"] {
        a_second_later(&vault).await;
        says(&officer, &recorded, answer).await;
    }
    let mut stream = listening(&other, &vault.audio(recorded.id).await).await;
    watch.look().await.unwrap();
    assert_eq!(end_of(&mut stream).await, None);
}

on_both_databases!(
    a_withdrawal_reaches_the_accounts_of_who_tells_it_only,
    what_is_told_without_leave_to_revoke_lets_go_of_nothing_before_sealing_either,
    a_deadline_that_runs_is_not_kept_by_what_a_desk_tells,
    a_yes_sets_no_deadline,
    quarantine_ends_running_streams_in_every_process,
    what_ended_before_a_stream_began_does_not_end_it,
);
