//! Retention: recordings are shredded when their period ends, held ones stay, and every principal
//! who may list recordings can see the reason.

use std::time::Duration;

use recvault::{
    config::SHIPPED_POLICY,
    model::id::RecordingId,
    policy::{Permit, action},
};
use serde_json::json;

use crate::world::{Database, Recipe, Recorded, TestVault};

const DAY: Duration = Duration::from_secs(86_400);

async fn sealed_in(vault: &TestVault, tier: &str) -> Recorded {
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    let answer = vault
        .post_callback(
            &vault.account,
            &format!("/twilio/recordings?tier={tier}"),
            &params,
        )
        .await;
    assert_eq!(answer.status, 204);
    vault.process.flow.worker.work_off().await.unwrap();
    recorded
}

/// The tokens of the tests live for 30 days, so later states are read directly.
async fn state(vault: &TestVault, id: RecordingId) -> String {
    let details = vault
        .process
        .flow
        .catalogue
        .show(&Permit::of_operator(action::Catalogue), id)
        .await
        .unwrap();
    details.recording.state.to_string()
}

/// Inserts a hold directly.
async fn hold(vault: &TestVault, id: RecordingId, name: &str) {
    vault
        .ground()
        .run(&format!(
            "INSERT INTO holds (recording_id, name, purpose, reason, authority, review_at, placed_at, placed_by)
             VALUES ('{id}', '{name}', 'legal-request', 'lawsuit', 'Court of Example, 7 C 1', 1900000000000, 0, 'operator:root');
             UPDATE recordings SET holds = holds + 1 WHERE id = '{id}'"
        ))
        .await;
}

async fn lift(vault: &TestVault, id: RecordingId) {
    vault
        .ground()
        .run(&format!("UPDATE holds SET lifted_at = 1 WHERE recording_id = '{id}'; UPDATE recordings SET holds = 0 WHERE id = '{id}'"))
        .await;
}

/// Returns the time until the recording has this age. It began shortly before its announcement.
async fn until_age(vault: &TestVault, id: RecordingId, age: Duration) -> Duration {
    let details = vault
        .process
        .flow
        .catalogue
        .show(&Permit::of_operator(action::Catalogue), id)
        .await
        .unwrap();
    details
        .recording
        .collected_at
        .after(age)
        .since(vault.clock.now())
}

async fn what_is_kept_long_enough_is_shredded_to_the_millisecond(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let standard = sealed_in(&vault, "standard").await;
    let sensitive = sealed_in(&vault, "sensitive").await;
    let flow = &vault.process.flow;
    vault
        .clock
        .advance(until_age(&vault, sensitive.id, 180 * DAY).await - Duration::from_millis(1));
    assert_eq!(flow.retention.sweep(false).await.unwrap().shredded, 0);
    vault.clock.advance(Duration::from_millis(1));
    let dry = flow.retention.sweep(true).await.unwrap();
    assert_eq!(
        (dry.shredded, dry.groups.len(), dry.groups[0].tier.as_str()),
        (1, 1, "sensitive")
    );
    assert_eq!(dry.groups[0].clause, "`retention` of the tier, version 1");
    assert_eq!(
        state(&vault, sensitive.id).await,
        "sealed",
        "a dry run does nothing"
    );
    // As the hourly sweep does.
    assert_eq!(
        flow.sweeper
            .sweep(Duration::from_secs(3600))
            .await
            .unwrap()
            .retired,
        1
    );
    assert_eq!(
        (
            state(&vault, sensitive.id).await,
            state(&vault, standard.id).await
        ),
        ("shredded".into(), "sealed".into())
    );
    assert_eq!(
        flow.retention.sweep(false).await.unwrap().shredded,
        0,
        "once is enough"
    );
    let entries = vault.entries().await;
    let tombstoned = entries
        .iter()
        .find(|entry| entry["event"] == "shred.tombstoned")
        .unwrap();
    assert_eq!(
        (&tombstoned["actor"], &tombstoned["details"]["reason"]),
        (&json!("vault"), &json!("retention"))
    );
    assert_eq!(tombstoned["recording"], json!(sensitive.id));
    // Its bytes are removed too, and the receipt states it.
    flow.worker.work_off().await.unwrap();
    assert_eq!(vault.artefacts(sensitive.id).await, []);
    assert_eq!(vault.artefacts(standard.id).await.len(), 1);
}

async fn what_was_never_fetched_goes_as_well(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let announced = vault.announced().await;
    let absent = vault.record();
    assert_eq!(vault.tell(&absent, "absent").await.status, 204);
    vault.clock.advance(366 * DAY);
    assert_eq!(
        vault
            .process
            .flow
            .retention
            .sweep(false)
            .await
            .unwrap()
            .shredded,
        2
    );
    for id in [announced.id, absent.id] {
        assert_eq!(state(&vault, id).await, "shredded");
    }
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        vault.objects().await,
        [],
        "nothing of it is fetched any more"
    );
}

async fn a_hold_keeps_what_is_due_until_it_is_lifted(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let held = vault.sealed().await;
    let free = vault.sealed().await;
    hold(&vault, held.id, "lawsuit-7").await;
    let flow = &vault.process.flow;
    vault.clock.advance(366 * DAY);
    let swept = flow.retention.sweep(false).await.unwrap();
    assert_eq!(swept.shredded, 1);
    let [conflict] = swept.conflicts.try_into().unwrap();
    assert_eq!(
        (
            conflict.recording_id,
            conflict.holds.as_ref().unwrap()[0].as_str()
        ),
        (held.id, "lawsuit-7")
    );
    assert_eq!(
        (state(&vault, held.id).await, state(&vault, free.id).await),
        ("sealed".into(), "shredded".into())
    );
    let report = flow
        .retention
        .report(&Permit::of_operator(action::Catalogue))
        .await
        .unwrap();
    assert_eq!(
        (
            report.held,
            report.conflicts.len(),
            report.holds.as_ref().unwrap()[0].recordings
        ),
        (1, 1, 1)
    );
    lift(&vault, held.id).await;
    let swept = flow.retention.sweep(false).await.unwrap();
    assert_eq!((swept.shredded, swept.conflicts.len()), (1, 0));
    assert_eq!(state(&vault, held.id).await, "shredded");
}

async fn a_later_version_keeps_shorter_at_once_and_never_longer(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let later = |days: u64| {
        let text = SHIPPED_POLICY.replacen("version = \"1\"", &format!("version = \"{days}\""), 1);
        std::fs::write(
            vault.folder().join("privacy-policy.toml"),
            text.replacen(
                "retention = \"365d\"",
                &format!("retention = \"{days}d\""),
                1,
            ),
        )
        .unwrap();
    };
    later(1000);
    let longer = vault.another_process().await;
    vault
        .clock
        .advance(until_age(&vault, recorded.id, 100 * DAY).await);
    assert_eq!(longer.flow.retention.sweep(true).await.unwrap().shredded, 0);
    later(100);
    let shorter = vault.another_process().await;
    let due = shorter.flow.retention.sweep(true).await.unwrap();
    assert_eq!(
        (due.shredded, due.groups[0].clause.as_str()),
        (1, "`retention` of the tier, version 100")
    );
    vault.clock.advance(265 * DAY);
    let due = longer.flow.retention.sweep(true).await.unwrap();
    assert_eq!(
        (due.shredded, due.groups[0].clause.as_str()),
        (1, "`retention` of the tier, version 1")
    );
}

async fn who_may_list_reads_what_is_kept_and_why(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let (standard, _) = (vault.sealed().await, sealed_in(&vault, "restricted").await);
    hold(&vault, standard.id, "audit-2026").await;
    let officer = vault.asks("privacy-officer");
    let report = officer.get("/v1/retention").await.json();
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(
        groups
            .iter()
            .map(|group| group["tier"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["restricted", "standard"]
    );
    for group in groups {
        assert_eq!(
            (&group["recordings"], &group["policy_version"]),
            (&json!(1), &json!("1")),
            "{report}"
        );
        assert_eq!(group["clause"], "`retention` of the tier, version 1");
        assert!(group["next_due_at"].is_string());
    }
    assert_eq!(
        (
            &report["held"],
            &report["holds"][0]["name"],
            &report["conflicts"]
        ),
        (&json!(1), &json!("audit-2026"), &json!([]))
    );
    // Other accounts are not included.
    let strangers = vault.asks("stranger").get("/v1/retention").await.json();
    assert_eq!(
        (
            &strangers["groups"],
            &strangers["held"],
            &strangers["holds"]
        ),
        (&json!([]), &json!(0), &json!([]))
    );
    vault
        .asks("nobody")
        .get("/v1/retention")
        .await
        .problem(404, "not-found");
    vault
        .anybody()
        .get("/v1/retention")
        .await
        .problem(401, "unauthorized");
}

async fn a_whole_leaf_page_goes_with_one_write(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(vault.sealed().await);
    }
    let page = vault.key_entry(all[0].id).await.unwrap().place.page;
    for recorded in &all {
        assert_eq!(
            vault.key_entry(recorded.id).await.unwrap().place.page,
            page,
            "they share a leaf page"
        );
    }
    let generation = async || {
        vault
            .ground()
            .integer(&format!("SELECT generation FROM pages WHERE id = '{page}'"))
            .await
            .unwrap()
    };
    let before = generation().await;
    vault.clock.advance(366 * DAY);
    assert_eq!(
        vault
            .process
            .flow
            .retention
            .sweep(false)
            .await
            .unwrap()
            .shredded,
        5
    );
    assert_eq!(generation().await, before + 1);
}

on_both_databases!(
    what_is_kept_long_enough_is_shredded_to_the_millisecond,
    what_was_never_fetched_goes_as_well,
    a_hold_keeps_what_is_due_until_it_is_lifted,
    a_later_version_keeps_shorter_at_once_and_never_longer,
    who_may_list_reads_what_is_kept_and_why,
    a_whole_leaf_page_goes_with_one_write,
);

#[tokio::test]
async fn what_no_version_limits_is_kept() {
    let policy = SHIPPED_POLICY.replace("retention = \"365d\"\n", "");
    let vault = Recipe {
        policy,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    vault.clock.advance(36_000 * DAY);
    assert_eq!(
        vault
            .process
            .flow
            .retention
            .sweep(false)
            .await
            .unwrap()
            .shredded,
        0
    );
    let report = vault
        .process
        .flow
        .retention
        .report(&Permit::of_operator(action::Catalogue))
        .await
        .unwrap();
    assert_eq!(
        (report.groups[0].next_due_at, &report.groups[0].clause),
        (None, &None)
    );
    assert_eq!(state(&vault, recorded.id).await, "sealed");
}

#[tokio::test]
async fn a_policy_that_is_not_in_force_yet_shreds_nothing() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let text = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"2\"", 1)
        .replacen("retention = \"365d\"", "retention = \"1d\"", 1);
    let future = vault.clock.now().after(10 * DAY);
    let text = text.replacen(
        "effective = 2026-01-01",
        &format!("effective = \"{future}\""),
        1,
    );
    std::fs::write(vault.folder().join("privacy-policy.toml"), text).unwrap();
    let process = vault.another_process().await;
    vault.clock.advance(10 * DAY - Duration::from_millis(1));
    assert_eq!(
        process.flow.retention.sweep(true).await.unwrap().shredded,
        0
    );
    vault.clock.advance(Duration::from_millis(1));
    assert_eq!(
        process.flow.retention.sweep(false).await.unwrap().shredded,
        1
    );
    assert_eq!(state(&vault, recorded.id).await, "shredded");
}
