//! How far what somebody tells reaches: no further than their accounts and their leave to revoke.

use std::time::Duration;

use serde_json::json;

use super::{ANNA, call, names, somebody, with_a_desk_on};
use crate::consenting::consent_policy;
use crate::world::{Caller, Database, Recorded, TestVault};

/// Somebody says so at the caller's place.
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
    // Nobody knows yet whose call it is.
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

on_both_databases!(a_withdrawal_reaches_the_accounts_of_who_tells_it_only,);
