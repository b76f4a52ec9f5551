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
