//! Statements survive the loss of the database, and leave no forbidden data in it or in the store.

use std::collections::BTreeSet;

use recvault::{flow::ImportFormat, vault};
use serde_json::json;

use super::{CALLEE, CALLER, both_are_named, call_of, consent, says, seal, strict};
use crate::world::{Database, Process, TestVault, files_below};

/// A new process over an empty database, rebuilt from the store.
async fn rebuilt(vault: &TestVault, database: Database) -> (Process, impl Sized) {
    let (app, ground) = vault.app_on_an_empty_database(database).await;
    let plan = vault::plan(&app.parts(), Default::default()).await.unwrap();
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    (vault.process_over(app).await, ground)
}

async fn what_was_said_outlives_the_database(database: Database) {
    let vault = strict(database).await;
    let [early, late] = [vault.record(), vault.record()];
    both_are_named(&vault, &early).await;
    says(&vault, CALLER, "given").await;
    seal(&vault, &early).await;
    vault.process.flow.vault.snapshot().await.unwrap();
    // In the journal only.
    says(&vault, CALLEE, "given").await;
    both_are_named(&vault, &late).await;
    seal(&vault, &late).await;
    vault.process.flow.recovery.journal().await.unwrap();
    says(&vault, CALLER, "declined").await;

    for other in Database::given() {
        let (process, _ground) = rebuilt(&vault, other).await;
        let officer = process
            .api
            .clone()
            .bearing(vault.minted("privacy-officer").token.expose());
        for (number, answers) in [(CALLER, vec!["declined", "given"]), (CALLEE, vec!["given"])] {
            let page = officer
                .post("/v1/consents/search", json!({ "subject": number }))
                .await
                .json();
            let found: BTreeSet<&str> = page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["answer"].as_str().unwrap())
                .collect();
            assert_eq!(
                found,
                answers.into_iter().collect(),
                "a no is in the store before it is told"
            );
        }
        for recorded in [&early, &late] {
            let parties = officer
                .get(&format!("/v1/calls/{}/parties", call_of(recorded)))
                .await
                .json();
            assert_eq!(parties["parties"].as_array().unwrap().len(), 2);
            let shown = officer
                .get(&format!("/v1/recordings/{}", recorded.id))
                .await
                .json();
            assert!(
                !shown["quarantine_ends"].is_null(),
                "by the no that came last"
            );
        }
    }
}

async fn nothing_personal_is_left_in_the_database_or_the_store(database: Database) {
    let vault = strict(database).await;
    let recorded = vault.record();
    both_are_named(&vault, &recorded).await;
    says(&vault, CALLER, "given").await;
    seal(&vault, &recorded).await;
    let file = format!(
        "subject,answer,method,evidence,at\n{CALLEE},given,contract,contract of Ophelia Brandywine,2026-01-01T00:00:00Z\n"
    );
    vault
        .process
        .flow
        .consents
        .import(&consent(), ImportFormat::Csv, file.as_bytes(), false)
        .await
        .unwrap();
    vault.process.flow.recovery.journal().await.unwrap();
    vault.process.flow.vault.snapshot().await.unwrap();
    vault.audio(recorded.id).await;
    let mut places = vec![vault.ground().all_rows().await.into_bytes()];
    places.extend(
        files_below(vault.folder())
            .iter()
            .map(|file| std::fs::read(file).unwrap()),
    );
    for needle in [
        "3023125001",
        "3023125002",
        "23125-00",
        "second 3 of the call",
        "Brandywine",
    ] {
        let found = |hay: &Vec<u8>| {
            hay.windows(needle.len())
                .any(|window| window == needle.as_bytes())
        };
        assert!(!places.iter().any(found), "{needle}");
    }
}

on_both_databases!(
    what_was_said_outlives_the_database,
    nothing_personal_is_left_in_the_database_or_the_store,
);
