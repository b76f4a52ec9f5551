//! Output that cannot be written, and messages on standard error.

use std::{
    fs::OpenOptions,
    process::{Output, Stdio},
};

use crate::{
    database::Kind,
    process::recvault,
    world::{World, sound},
};

/// Runs a command whose standard output is a full disk.
fn on_a_full_disk(world: &World, args: &[&str]) -> (Option<i32>, String) {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = recvault();
    command
        .current_dir(world.folder.path())
        .args(args)
        .stdout(full)
        .stderr(Stdio::piped());
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_told_by_the_exit_code_where_it_cannot_be_printed() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await;
    service.process.stop().await;
    let id = id.to_string();
    for act in [
        &["shred", &id, "--reason", "subject-request"][..],
        &["snapshot", "create"],
        &["epoch", "turn", "--json"],
    ] {
        let (code, said) = on_a_full_disk(&world, act);
        assert_eq!(code, Some(0), "{act:?}: {said}");
        assert!(
            said.contains("the command is done") && said.contains("cannot be printed"),
            "{act:?}: {said}"
        );
    }
    assert_eq!(
        world
            .database
            .texts("SELECT CAST(COUNT(*) AS TEXT) FROM tombstones")
            .await,
        ["1"],
        "and it was done"
    );
    for listing in [
        &["snapshot", "list"][..],
        &["status", "--json"],
        &["epoch", "turn", "--dry-run"],
    ] {
        let (code, said) = on_a_full_disk(&world, listing);
        assert_eq!(code, Some(1), "{listing:?}: {said}");
        assert!(
            said.contains("standard output cannot be written"),
            "{listing:?}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_accepted_is_no_error() {
    let world = World::sqlite().await;
    let jump = "UPDATE clock SET read_at = read_at - 864000000 RETURNING CAST(read_at AS TEXT)";
    assert_eq!(world.database.texts(jump).await.len(), 1);
    let status = world.run(&["clock", "status"]);
    assert_eq!(
        (status.code, status.stderr.as_str()),
        (Some(1), ""),
        "{status:?}"
    );
    assert!(status.stdout.contains("NOT BELIEVED"), "{status:?}");
    let accepted = world.run(&["clock", "accept"]);
    assert_eq!(
        (accepted.code, accepted.stderr.as_str()),
        (Some(0), ""),
        "{accepted:?}"
    );
    world.run(&["clock", "status"]).done();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn a_command_does_not_repeat_what_the_database_notices() {
    let world = World::on(Kind::Postgres).await;
    let listed = world.run(&["token", "list"]);
    assert_eq!(
        (listed.code, listed.stderr.as_str()),
        (Some(0), ""),
        "{listed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_a_vault_names_both_ways_out() {
    let world = World::sqlite().await;
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(
        world.path("recvault.toml"),
        elsewhere.path().join("recvault.toml"),
    )
    .unwrap();
    for name in ["custody", "objects", "secrets"] {
        std::fs::create_dir(elsewhere.path().join(name)).unwrap();
    }
    for secret in ["custody/passphrase", "secrets/twilio-auth-token"] {
        std::fs::copy(world.path(secret), elsewhere.path().join(secret)).unwrap();
    }
    let why = crate::process::run_in(elsewhere.path(), &["status"], &[]).refused();
    assert!(
        why.contains("recvault init") && why.contains("snapshot restore --take-over"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_nobody_saw_is_taken_back() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await.to_string();
    std::fs::write(world.path("token"), &world.token).unwrap();
    let create = ["token", "create", "--label", "a", "--role", "agent"];
    let (code, said) = on_a_full_disk(&world, &create);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("which nobody has seen, is revoked"), "{said}");
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let mut command = recvault();
    command.current_dir(world.folder.path()).args(create);
    let ended = command
        .stdout(closed())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("is revoked"), "{said}");
    let listed = world.run(&["token", "list", "--json"]).json();
    let living = listed.as_array().unwrap().iter();
    let living = living.filter(|token| token["revoked_at"].is_null() && token["label"] == "a");
    assert_eq!(living.count(), 0, "{listed}");

    let grant = [
        "grant",
        "create",
        &id,
        "--purpose",
        "quality-review",
        "--token-file",
        "token",
    ];
    let (code, said) = on_a_full_disk(&world, &grant);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("whose addresses nobody has seen, is ended"),
        "{said}"
    );
    let living = ["grant", "list", "--state", "living", "--json"];
    assert_eq!(world.run(&living).json(), serde_json::json!([]));

    let (code, said) = on_a_full_disk(&world, &["init", "another"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("is revoked: create another with `recvault token create`"),
        "{said}"
    );
    let tokens = [
        "--config",
        "another/recvault.toml",
        "token",
        "list",
        "--json",
    ];
    let tokens = world.run(&tokens).json();
    assert!(
        tokens[0]["revoked_at"].is_string() && tokens[1].is_null(),
        "{tokens}"
    );
}
