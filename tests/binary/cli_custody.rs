//! The root key's home: another passphrase, and a vault whose root is in a token.

use std::{fs, path::Path, process::Command};

use recvault::config::SHIPPED;

use crate::{process::run_in, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_passphrase_is_written_down_and_opens_the_vault() {
    let world = World::sqlite().await;
    let entries = || {
        let listed = world.run(&["audit", "list"]).done();
        listed.lines().filter(|line| line.contains("custody.changed")).count()
    };
    let root = fs::read(world.path("custody/root")).unwrap();
    fs::write(world.path("new"), "a better passphrase\n").unwrap();
    let change = ["custody", "change-passphrase", "--new-passphrase-file", "new", "--json"];

    // What is only tried changes nothing.
    let facts = world.run(&[&change[..], &["--dry-run"]].concat()).json();
    assert_eq!((&facts["epochs"], &facts["changed"]), (&serde_json::json!([1]), &serde_json::json!(false)));
    assert_eq!((fs::read(world.path("custody/root")).unwrap(), entries()), (root, 0));

    // Neither does somebody without the passphrase so far, nor a new one that is none.
    let passphrase = fs::read(world.path("custody/passphrase")).unwrap();
    fs::write(world.path("custody/passphrase"), "a guess").unwrap();
    assert!(world.run(&change).refused().contains("wrong passphrase"));
    fs::write(world.path("custody/passphrase"), passphrase).unwrap();
    fs::write(world.path("empty"), "\n").unwrap();
    assert!(world.run(&["custody", "change-passphrase", "--new-passphrase-file", "empty"]).refused().contains("`empty` is empty"));
    assert_eq!(entries(), 0);

    let facts = world.run(&change).json();
    assert_eq!((&facts["epochs"], &facts["changed"]), (&serde_json::json!([1]), &serde_json::json!(true)));
    assert!(facts["next"].as_str().unwrap().contains("custody/passphrase"), "{facts}");
    assert!(world.run(&["status"]).refused().contains("wrong passphrase"), "the old one opens nothing");
    fs::rename(world.path("new"), world.path("custody/passphrase")).unwrap();
    world.run(&["status"]).done();
    assert_eq!(entries(), 1);
}

#[test]
fn other_kinds_have_no_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("recvault.toml"), "[custody]\nkind = \"aws-kms\"\n").unwrap();
    fs::write(folder.path().join("new"), "a better passphrase\n").unwrap();
    let why = run_in(folder.path(), &["custody", "change-passphrase", "--new-passphrase-file", "new"], &[]).refused();
    assert!(why.contains("`custody.kind`: custody by `aws-kms` has no passphrase"), "{why}");
    let why = run_in(folder.path(), &["status"], &[]).refused();
    assert!(why.contains("`custody.aws_kms.key_id`: missing"), "{why}");
}

/// SoftHSM's library; prints a line where there is none.
fn softhsm() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one switch of this test")]
    let library = std::env::var("RECVAULT_TEST_SOFTHSM").ok().filter(|path| !path.is_empty());
    if library.is_none() {
        println!("skipped: RECVAULT_TEST_SOFTHSM names no library");
    }
    library
}

/// A new token; the path of its configuration.
fn token(folder: &Path) -> String {
    fs::create_dir(folder.join("tokens")).unwrap();
    let configuration = folder.join("softhsm2.conf");
    fs::write(&configuration, format!("directories.tokendir = {}\n", folder.join("tokens").display())).unwrap();
    let mut maker = Command::new("softhsm2-util");
    maker.args(["--init-token", "--free", "--label", "recvault", "--so-pin", "officer", "--pin", "0042"]);
    assert!(maker.env("SOFTHSM2_CONF", &configuration).output().unwrap().status.success());
    configuration.display().to_string()
}

#[test]
fn a_vault_with_its_root_in_a_token_turns_its_epoch() {
    let Some(library) = softhsm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let configuration = token(folder.path());
    fs::write(folder.path().join("recvault.toml"), SHIPPED.replace("kind = \"passphrase\"", "kind = \"pkcs11\"")).unwrap();
    let variables = [
        ("SOFTHSM2_CONF", configuration.as_str()),
        ("RECVAULT__CUSTODY__PKCS11__MODULE", &library),
        ("RECVAULT__CUSTODY__PKCS11__TOKEN", "recvault"),
        ("RECVAULT__CUSTODY__PKCS11__PIN", "0042"),
    ];
    let run = |args: &[&str]| run_in(folder.path(), args, &variables);
    run(&["init", "."]).done();
    assert!(!folder.path().join("custody").exists(), "no root file, no passphrase");
    run(&["epoch", "turn"]).done();
    run(&["status"]).done();
    let doctor = run(&["doctor"]).done();
    assert!(doctor.contains("ok      custody: pkcs11. Destroying a root: the key object is destroyed inside the token"), "{doctor}");
    let printed = run(&["config", "print"]).done();
    assert!(printed.contains("pin = \"(secret)\"") && !printed.contains("0042"), "{printed}");
}
