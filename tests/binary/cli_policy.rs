//! `policy` and `retention`: published versions, decisions, and shreds by retention.

use std::fs;

use recvault::config::SHIPPED_POLICY;
use serde_json::json;

use crate::{
    process::run_in,
    world::{World, sound},
};

/// A folder with the shipped configuration and policy, and no vault.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("recvault.toml"),
        recvault::config::SHIPPED,
    )
    .unwrap();
    fs::write(folder.path().join("privacy-policy.toml"), SHIPPED_POLICY).unwrap();
    folder
}

#[test]
fn a_purpose_is_explained_in_words_and_as_data() {
    let folder = folder();
    let said = run_in(folder.path(), &["policy", "explain"], &[]).done();
    for part in [
        "training\n",
        "your consent",
        "only the first 5 minutes of the audio",
        "Tier restricted: for 365 days",
        "privacy-officer",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let one = run_in(
        folder.path(),
        &["policy", "explain", "--purpose", "training", "--json"],
        &[],
    )
    .json();
    assert_eq!(
        (one.as_array().unwrap().len(), &one[0]["basis"]["code"]),
        (1, &json!("consent"))
    );
    let why = run_in(
        folder.path(),
        &["policy", "explain", "--purpose", "curiosity"],
        &[],
    )
    .refused();
    assert!(
        why.contains("`curiosity`") || why.contains("no such purpose") && why.contains("training"),
        "{why}"
    );
}

#[test]
fn the_rules_are_printed_for_cedars_own_tools() {
    let folder = folder();
    let rules = run_in(folder.path(), &["policy", "cedar"], &[]).done();
    assert!(
        rules.contains("@clause(\"fixed/state\")") && rules.contains("Action::\"training\""),
        "{rules}"
    );
    assert!(
        run_in(folder.path(), &["policy", "cedar", "--schema"], &[])
            .done()
            .contains("namespace Recvault")
    );
    let facts = run_in(folder.path(), &["policy", "cedar", "--json"], &[]).json();
    assert_eq!(
        (&facts["version"], &facts["policies"]),
        (&json!("1"), &json!(rules))
    );
}

#[test]
fn a_table_of_cases_is_decided_without_a_vault() {
    let folder = folder();
    let good = "[[cases]]\nname = \"an agent\"\nroles = [\"agent\"]\ntier = \"standard\"\npurpose = \"follow-up\"\njustification = \"call\"\nexpect = \"allow\"\n";
    fs::write(folder.path().join("good.toml"), good).unwrap();
    let facts = run_in(
        folder.path(),
        &["policy", "test", "good.toml", "--json"],
        &[],
    )
    .json();
    assert_eq!((&facts["cases"], &facts["failed"]), (&json!(1), &json!([])));
    fs::write(
        folder.path().join("shipped.toml"),
        include_str!("../../config/policy-tests.toml"),
    )
    .unwrap();
    assert!(
        run_in(folder.path(), &["policy", "test", "shipped.toml"], &[])
            .done()
            .contains("21 of 21 cases hold")
    );
    fs::write(
        folder.path().join("bad.toml"),
        good.replace("roles = [\"agent\"]", "roles = [\"auditor\"]"),
    )
    .unwrap();
    let ended = run_in(folder.path(), &["policy", "test", "bad.toml"], &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in [
        "failed: an agent",
        "expected  allow",
        "found     role-not-allowed",
        "0 of 1 case holds",
    ] {
        assert!(
            ended.stdout.contains(part),
            "{part} is not in {}",
            ended.stdout
        );
    }
    fs::write(
        folder.path().join("odd.toml"),
        good.replace("\"allow\"", "[\"sometimes\"]"),
    )
    .unwrap();
    let why = run_in(folder.path(), &["policy", "test", "odd.toml"], &[]).refused();
    assert!(
        why.contains("odd.toml") && why.contains("`sometimes`") && why.contains("role-not-allowed"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_published_once_and_never_changed() {
    let world = World::sqlite().await;
    let second = SHIPPED_POLICY.replacen("version = \"1\"", "version = \"2\"", 1);
    fs::write(world.path("new.toml"), &second).unwrap();
    let dry = world
        .run(&["policy", "publish", "new.toml", "--dry-run"])
        .done();
    assert!(
        dry.contains("Would publish version 2") && dry.contains("Nothing was done"),
        "{dry}"
    );
    let done = world
        .run(&["policy", "publish", "new.toml", "--json"])
        .json();
    assert_eq!(
        (&done["version"], &done["new"]),
        (&json!("2"), &json!(true))
    );
    assert_eq!(done["statement"].as_str().unwrap().split('.').count(), 3);
    assert!(
        world
            .run(&["policy", "publish", "new.toml"])
            .done()
            .contains("was published before")
    );
    assert!(
        world
            .run(&["policy", "publish"])
            .done()
            .contains("Version 1 was published before"),
        "init did it"
    );
    fs::write(world.path("new.toml"), second + "# changed\n").unwrap();
    let why = world.run(&["policy", "publish", "new.toml"]).refused();
    assert!(
        why.contains("version 2 was published with another file"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_service_refuses_does_not_pass_the_check() {
    let world = World::sqlite().await;
    assert_eq!(
        world.run(&["policy", "check", "--json"]).json()["compared"],
        true
    );
    let file = world.path("privacy-policy.toml");
    let changed = fs::read_to_string(&file).unwrap() + "# changed\n";
    fs::write(&file, changed).unwrap();
    let check = world.run(&["policy", "check", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&check.refused()).unwrap();
    assert_eq!(error["error"]["code"], "policy", "{error}");
    let why = error["error"]["message"].as_str().unwrap();
    let serve = world.run(&["serve"]).refused();
    assert!(
        why.contains("a published version never changes") && serve.contains(why),
        "{why}\n{serve}"
    );

    // Without a vault, only the file is checked.
    let afar = tempfile::tempdir().unwrap();
    fs::copy(&file, afar.path().join("policy.toml")).unwrap();
    let alone = ["policy", "check", "policy.toml", "--json"];
    assert_eq!(run_in(afar.path(), &alone, &[]).json()["compared"], false);
    let named = ["--config", "gone.toml", "policy", "check", "policy.toml"];
    let why = run_in(afar.path(), &named, &[]).refused();
    assert!(why.contains("gone.toml"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_asks_why_not_and_what_would_change() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 2)).await.to_string();
    service.process.stop().await;
    let token = world
        .run(&[
            "token", "create", "--label", "agents", "--role", "agent", "--json",
        ])
        .json()["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let allowed = world
        .run(&[
            "policy",
            "why-not",
            &id,
            &token,
            "follow-up",
            "--justification",
            "call",
            "--json",
        ])
        .json();
    assert_eq!(
        (&allowed["allowed"], &allowed["view"], &allowed["reasons"]),
        (&json!(true), &json!("audio"), &json!([]))
    );
    let refused = world.run(&["policy", "why-not", &id, &token, "subject-request"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in [
        "may not, with tok_",
        "role-not-allowed (clause purposes/subject-request/roles, version 1)",
        "Required change: a token with the role privacy-officer",
        "justification-missing",
    ] {
        assert!(
            refused.stdout.contains(part),
            "{part} is not in {}",
            refused.stdout
        );
    }
    let audit = world.run(&["audit", "list"]).done();
    assert!(
        !audit.contains("decision."),
        "nothing was asked for: {audit}"
    );
    let nobody = format!("tok_{}", "0".repeat(32));
    assert!(
        world
            .run(&["policy", "why-not", &id, &nobody, "follow-up"])
            .refused()
            .contains("token list")
    );
    let nothing = format!("rec_{}", "0".repeat(32));
    assert!(
        world
            .run(&["policy", "why-not", &nothing, &token, "follow-up"])
            .refused()
            .contains("does not exist")
    );

    let new = SHIPPED_POLICY
        .replacen("version = \"1\"", "version = \"2\"", 1)
        .replacen("name = \"follow-up\"", "name = \"call-back\"", 1);
    fs::write(world.path("new.toml"), new).unwrap();
    let diff = world.run(&["policy", "diff", "new.toml", "--json"]).json();
    assert_eq!(
        (
            &diff["recordings"],
            &diff["from_version"],
            &diff["to_version"]
        ),
        (&json!(1), &json!("1"), &json!("2"))
    );
    let tally = |purpose: &str| {
        diff["purposes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tally| tally["purpose"] == purpose)
            .unwrap()
            .clone()
    };
    assert_eq!(tally("follow-up")["lost"], 1);
    assert_eq!(
        (
            &tally("call-back")["gained"],
            &tally("quality-review")["opens_then"]
        ),
        (&json!(0), &json!(1))
    );
    assert!(
        world
            .run(&["policy", "diff", "new.toml"])
            .done()
            .contains("Due by retention: 0 now")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_what_is_kept_and_lets_go_of_what_is_due() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 2)).await;
    service.process.stop().await;
    let report = world.run(&["retention", "report", "--json"]).json();
    assert_eq!(
        (
            &report["groups"][0]["tier"],
            &report["groups"][0]["recordings"]
        ),
        (&json!("standard"), &json!(1))
    );
    let said = world.run(&["retention", "report"]).done();
    assert!(
        said.contains("tier standard, version 1: 1 recording,") && said.contains("next due"),
        "{said}"
    );
    assert!(
        world
            .run(&["retention", "sweep"])
            .done()
            .contains("Shredded 0 recordings")
    );
    // A shorter period takes effect at once.
    let policy = fs::read_to_string(world.path("privacy-policy.toml")).unwrap();
    let shorter = policy
        .replacen("version = \"1\"", "version = \"2\"", 1)
        .replacen("retention = \"365d\"", "retention = \"1s\"", 1);
    fs::write(world.path("privacy-policy.toml"), shorter).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let dry = world.run(&["retention", "sweep", "--dry-run"]).done();
    assert!(
        dry.contains("Would shred 1 recording whose") && dry.contains(&format!("\n  {id}\n")),
        "{dry}"
    );
    let swept = world.run(&["retention", "sweep", "--json"]).json();
    assert_eq!(
        (&swept["shredded"], &swept["conflicts"]),
        (&json!(1), &json!([]))
    );
    let again = world
        .run(&[
            "shred",
            &id.to_string(),
            "--reason",
            "operator",
            "--dry-run",
        ])
        .done();
    assert!(again.contains("is shredded already"), "{again}");
}
