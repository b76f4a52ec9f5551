//! Commands that fail state the reason and the remedy.

use std::fs;

use crate::{
    process::{recvault, run_in},
    world::{World, sound},
};

#[test]
fn what_is_no_command_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["frobnicate"][..],
        &[],
        &["shred"],
        &["shred", "rec_1", "--reason", "x"],
        &["shred", "rec_00000000000000000000000000000000"],
        &[
            "shred",
            "rec_00000000000000000000000000000000",
            "--reason",
            "Frau Meier asked",
        ],
        &["sweep", "--older-than-h", "0"],
        &["receipt", "verify"],
        &["status", "--verbose"],
    ] {
        let ended = run_in(folder.path(), args, &[]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{args:?}: {ended:?}"
        );
        assert!(
            ended.stderr.contains("--help") || ended.stderr.contains("Usage"),
            "{args:?}: {}",
            ended.stderr
        );
    }
    assert!(
        run_in(folder.path(), &["--version"], &[])
            .done()
            .starts_with("recvault ")
    );
    for command in [
        "demo", "init", "serve", "token", "policy", "shred", "retry", "sweep", "audit", "receipt",
        "custody", "status", "doctor", "config",
    ] {
        assert!(
            run_in(folder.path(), &["--help"], &[])
                .done()
                .contains(&format!("\n  {command} ")),
            "{command} is not in the help"
        );
        run_in(folder.path(), &[command, "--help"], &[]).done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_opens_nothing() {
    let world = World::sqlite().await;
    fs::write(world.path("custody/passphrase"), "hunter2").unwrap();
    for command in [
        &["serve"][..],
        &["status"],
        &["audit", "list"],
        &["sweep"],
        &["retry"],
    ] {
        let why = world.run(command).refused();
        assert!(
            why.contains("the passphrase is wrong, the root key was altered"),
            "{command:?}: {why}"
        );
        assert!(!why.contains("hunter2"), "{why}");
    }
    let doctor = world.run(&["doctor"]);
    assert_eq!(doctor.code, Some(1));
    assert!(
        doctor
            .stdout
            .contains("broken  vault: the root key does not open"),
        "{}",
        doctor.stdout
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_of_another_vault_is_not_opened() {
    let world = World::sqlite().await;
    let other = World::sqlite().await;
    fs::copy(other.path("vault.db"), world.path("vault.db")).unwrap();
    let why = world.run(&["status"]).refused();
    assert!(
        why.contains(&world.vault.to_string()) && why.contains(&other.vault.to_string()),
        "{why}"
    );
    assert!(
        why.contains("`[custody]`") && why.contains("`database.url`"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_beside_a_root_file_is_not_filled() {
    let world = World::sqlite().await;
    fs::remove_file(world.path("vault.db")).unwrap();
    let why = world.run(&["serve"]).refused();
    assert!(why.contains("snapshot restore"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_of_a_restore_refuses_what_the_restore_refuses() {
    let world = World::sqlite().await;
    world.run(&["snapshot", "create"]).done();
    for more in [&[][..], &["--take-over"]] {
        let restore = [&["snapshot", "restore"], more].concat();
        let why = world.run(&restore).refused();
        let dry = world.run(&[&restore[..], &["--dry-run"]].concat());
        assert_eq!((dry.code, &dry.stderr), (Some(1), &why), "{dry:?}");
        assert!(dry.stdout.starts_with("Would refuse "), "{dry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shredded_while_the_store_is_away_is_shredded() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await.to_string();
    service.process.stop().await;
    let shred = ["shred", &id, "--reason", "subject-request"];
    fs::rename(world.path("objects"), world.path("elsewhere")).unwrap();
    let why = world.run(&shred).refused();
    assert!(why.contains("done, but not durable yet"), "{why}");
    assert!(
        !world.path("objects").exists(),
        "nothing is made in its place"
    );
    let refused = world.run(&["retry"]).refused();
    assert!(
        refused.contains("does not exist"),
        "no other command: {refused}"
    );
    let keys = "SELECT CAST(COUNT(*) AS TEXT) FROM tombstones";
    assert_eq!(world.database.texts(keys).await, ["1"]);

    fs::rename(world.path("elsewhere"), world.path("objects")).unwrap();
    let again = world.run(&[&shred[..], &["--json"]].concat()).json();
    assert!(again["receipt_id"].is_string(), "confirmed: {again}");
    let service = world.serve().await;
    let removed = crate::client::eventually(async || world.objects().is_empty()).await;
    assert!(removed, "its bytes are removed:\n{}", service.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let world = World::sqlite().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = recvault()
        .current_dir(world.folder.path())
        .arg("serve")
        .env("RECVAULT__SERVER__LISTEN", &address)
        .output()
        .unwrap();
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1) && why.contains("server.listen") && why.contains(&address),
        "{why}"
    );
}
