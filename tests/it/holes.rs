//! Gaps in a restore: each missing part of the journal is named, and is only skipped if the
//! operator accepts it.

use std::{fs, path::PathBuf};

use recvault::{
    app::App,
    db::{audit::AuditFilter, gaps::Gap},
    policy::{Permit, action},
    vault::{self, Choice, Plan},
};

use crate::world::{Database, Process, Recipe, Recorded, TestVault};

/// Returns the pieces of the journal, oldest first.
fn pieces(vault: &TestVault) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(vault.folder().join("objects/journal")) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Writes the journal, and returns the new piece.
async fn journaled(vault: &TestVault) -> PathBuf {
    let before = pieces(vault);
    vault.process.flow.recovery.journal().await.unwrap();
    let mut new: Vec<PathBuf> = pieces(vault)
        .into_iter()
        .filter(|piece| !before.contains(piece))
        .collect();
    assert_eq!(new.len(), 1, "{new:?}");
    new.remove(0)
}

/// Creates a vault whose journal has a shred in a separate piece, between two others.
async fn with_a_shred_between(database: Database) -> (TestVault, [Recorded; 2], PathBuf) {
    let vault = Recipe::on(database).by_hand().await;
    let dies = vault.sealed().await;
    let lives = vault.sealed().await;
    journaled(&vault).await;
    let before = pieces(&vault);
    assert_eq!(vault.shred(dies.id).await.status, 200);
    let shred = pieces(&vault)
        .into_iter()
        .find(|piece| !before.contains(piece))
        .expect("the answer came after the journal");
    vault
        .process
        .flow
        .reclassification
        .move_to(
            &crate::epochs::keys(),
            lives.id,
            &"sensitive".parse().unwrap(),
            false,
        )
        .await
        .unwrap();
    vault.process.flow.recovery.journal().await.unwrap();
    (vault, [dies, lives], shred)
}

async fn planned(app: &App, accept: Vec<Gap>) -> Plan {
    vault::plan(
        &app.parts(),
        Choice {
            accept,
            ..Choice::default()
        },
    )
    .await
    .unwrap()
}

async fn restored(vault: &TestVault, app: App, plan: &Plan) -> Process {
    vault::restore(app.parts(), plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    vault.process_over(app).await
}

async fn a_missing_piece_is_named_and_accepted_only_by_name(database: Database) {
    let (vault, [dies, lives], shred) = with_a_shred_between(database).await;
    fs::remove_file(&shred).unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = planned(&app, Vec::new()).await;
    let [gap] = plan.gaps[..] else {
        panic!("{plan:?}")
    };
    let refused = vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&gap.to_string()) && refused.contains("--accept-gap"),
        "{refused}"
    );
    for wrong in [
        Gap {
            last: gap.last + 1,
            ..gap
        },
        Gap {
            first: gap.first - 1,
            ..gap
        },
    ] {
        let refused = vault::restore(
            app.parts(),
            &planned(&app, vec![wrong]).await,
            vault::Claim::TakeOver,
        )
        .await
        .unwrap_err()
        .to_string();
        assert!(refused.contains("no such gap"), "{refused}");
    }
    let before = vault.entries().await;
    let process = restored(
        &vault,
        app,
        &planned(&app_again(&vault, database).await.0, vec![gap]).await,
    )
    .await;
    // The shred is the lost change, and the loss stays visible.
    vault.plays_in(&process, &dies).await;
    vault.plays_in(&process, &lives).await;
    let status = process.flow.monitoring.status().await.unwrap();
    assert_eq!(
        status
            .journal
            .gaps
            .iter()
            .map(|(gap, _)| *gap)
            .collect::<Vec<_>>(),
        [gap]
    );
    let log = process
        .flow
        .catalogue
        .audit(
            &Permit::of_operator(action::Audit),
            AuditFilter::default(),
            1000,
        )
        .await
        .unwrap();
    let told = log
        .items
        .iter()
        .find(|entry| entry.event.as_str() == "restore.gap-accepted")
        .unwrap();
    assert_eq!(
        told.details.to_string(),
        format!(r#"{{"first":{},"last":{}}}"#, gap.first, gap.last)
    );
    // In the log, each entry of the gap marks a lost one; all others keep their numbers.
    let told = log.items.iter().map(serde_json::to_value);
    for (seq, (entry, before)) in (1..).zip(told.zip(&before)) {
        let entry = entry.unwrap();
        if (gap.first..=gap.last).contains(&seq) {
            let lost = (&entry["seq"], &entry["event"]);
            assert_eq!(lost, (&before["seq"], &"entry.lost".into()));
        } else {
            assert_eq!(&entry, before);
        }
    }
    // Also after the next loss.
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = planned(&app, Vec::new()).await;
    assert_eq!(plan.gaps, []);
    let again = restored(&vault, app, &plan).await;
    assert_eq!(
        again
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .journal
            .gaps
            .len(),
        1
    );
}

async fn app_again(vault: &TestVault, database: Database) -> (App, impl Sized) {
    vault.app_on_an_empty_database(database).await
}

async fn a_piece_that_does_not_open_is_one_that_is_missing(database: Database) {
    let (vault, _, shred) = with_a_shred_between(database).await;
    let mut bytes = fs::read(&shred).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&shred, bytes).unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = planned(&app, Vec::new()).await;
    assert_eq!((plan.gaps.len(), plan.unreadable), (1, 1));
    assert!(
        plan.check()
            .unwrap_err()
            .to_string()
            .contains("--accept-gap")
    );
}

async fn a_snapshot_that_is_spoilt_in_its_middle_is_passed_over(database: Database) {
    let (vault, _, _) = with_a_shred_between(database).await;
    let newest = vault.process.flow.vault.snapshot().await.unwrap().snapshot;
    let path = vault.folder().join("objects").join(newest.to_string());
    let mut bytes = fs::read(&path).unwrap();
    // Behind the header and before the final segment, if there is space between them; otherwise
    // anywhere in the body.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = planned(&app, Vec::new()).await;
    assert!(
        plan.snapshot < newest && plan.gaps.is_empty() && plan.unreadable == 1,
        "{plan:?}"
    );
}

async fn a_snapshot_that_does_not_open_leads_to_the_one_before_without_a_hole(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let [first, second, third] = [
        vault.sealed().await,
        vault.sealed().await,
        vault.sealed().await,
    ];
    vault.process.flow.vault.snapshot().await.unwrap();
    vault.shred(first.id).await;
    let newest = vault.process.flow.vault.snapshot().await.unwrap().snapshot;
    vault.shred(second.id).await;
    vault.process.flow.recovery.journal().await.unwrap();
    fs::write(
        vault.folder().join("objects").join(newest.to_string()),
        b"rotten",
    )
    .unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = planned(&app, Vec::new()).await;
    assert!(
        plan.snapshot < newest && plan.gaps.is_empty() && plan.unreadable == 1,
        "{plan:?}"
    );
    let process = restored(&vault, app, &plan).await;
    vault.plays_in(&process, &third).await;
    let officer = process
        .api
        .clone()
        .bearing(vault.minted("privacy-officer").token.expose());
    for gone in [&first, &second] {
        let body = serde_json::json!({ "purpose": "dispute-resolution", "justification": "x" });
        officer
            .post(&format!("/v1/recordings/{}/grants", gone.id), body)
            .await
            .problem(410, "shredded");
    }
}

async fn an_end_that_is_missing_is_missed_by_who_knows_of_it(database: Database) {
    let (vault, _, _) = with_a_shred_between(database).await;
    let known = recvault::db::audit::position(&mut vault.process.db.read().await.unwrap())
        .await
        .unwrap()
        .unwrap();
    fs::remove_file(pieces(&vault).last().unwrap()).unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    assert_eq!(
        planned(&app, Vec::new()).await.gaps,
        [],
        "nothing in the store tells of it"
    );
    let plan = vault::plan(
        &app.parts(),
        Choice {
            not_before: Some(known),
            ..Choice::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(
        plan.gaps.iter().map(|gap| gap.last).collect::<Vec<_>>(),
        [known.seq]
    );
    assert!(
        vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
            .await
            .is_err()
    );
}

async fn two_processes_write_one_chain(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other = vault.another_process().await;
    for round in 0..8 {
        let recorded = vault.sealed().await;
        let (one, two) = tokio::join!(
            vault.process.flow.recovery.journal(),
            other.flow.recovery.journal()
        );
        one.unwrap();
        two.unwrap();
        if round % 2 == 0 {
            assert_eq!(vault.shred(recorded.id).await.status, 200);
        }
    }
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = planned(&app, Vec::new()).await;
    assert_eq!((plan.gaps.len(), plan.unreadable), (0, 0), "{plan:?}");
    assert_eq!(
        vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
            .await
            .unwrap()
            .tombstones,
        4
    );
}

async fn snapshots_made_at_once_leave_the_newest_and_lose_none(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.sealed().await;
    let other = vault.another_process().await;
    for round in 0..8 {
        let (one, two) = tokio::join!(
            vault.process.flow.vault.snapshot(),
            other.flow.vault.snapshot()
        );
        let one = one.unwrap();
        let two = two.unwrap();
        let kept = vault.process.flow.vault.snapshots().await.unwrap();
        let verified = kept
            .iter()
            .find(|kept| kept.verified)
            .unwrap_or_else(|| panic!("round {round}: the noted one is gone: {kept:?}"));
        assert!(
            verified.snapshot >= one.snapshot.max(two.snapshot),
            "{kept:?}"
        );
        vault
            .process
            .flow
            .vault
            .verify_snapshot(verified.snapshot)
            .await
            .unwrap();
    }
}

async fn a_restore_that_was_interrupted_before_it_settled_is_gone_on_with(database: Database) {
    let (vault, [_, lives], _) = with_a_shred_between(database).await;
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    assert_eq!(vault::unfinished(&app.db).await.unwrap(), None);
    let plan = planned(&app, Vec::new()).await;
    vault::restore(app.parts(), &plan, vault::Claim::TakeOver)
        .await
        .unwrap();
    assert_eq!(
        vault::unfinished(&app.db).await.unwrap(),
        Some(vault.made.vault)
    );
    app.unlock().await.unwrap().finish_restore().await.unwrap();
    assert_eq!(vault::unfinished(&app.db).await.unwrap(), None);
    let process = vault.process_over(app).await;
    vault.plays_in(&process, &lives).await;
}

on_both_databases!(
    a_missing_piece_is_named_and_accepted_only_by_name,
    a_piece_that_does_not_open_is_one_that_is_missing,
    a_snapshot_that_does_not_open_leads_to_the_one_before_without_a_hole,
    a_snapshot_that_is_spoilt_in_its_middle_is_passed_over,
    an_end_that_is_missing_is_missed_by_who_knows_of_it,
    two_processes_write_one_chain,
    snapshots_made_at_once_leave_the_newest_and_lose_none,
    a_restore_that_was_interrupted_before_it_settled_is_gone_on_with,
);
