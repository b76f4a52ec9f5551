//! Custody of the root key: another passphrase, and a vault whose root is in a token.

use std::{fs, path::Path, process::Command};

use recvault::config::SHIPPED;

use crate::{
    client::eventually,
    database::Database,
    needs,
    process::{recvault, run_in},
    world::World,
};

/// Writes a second configuration of the same vault, with an empty database.
fn elsewhere(world: &World) -> Database {
    let text = fs::read_to_string(world.path("recvault.toml")).unwrap();
    let url = format!("url = \"{}\"", world.database.url());
    assert_eq!(text.matches(&url).count(), 1);
    fs::write(
        world.path("elsewhere.toml"),
        text.replace(&url, "url = \"sqlite:elsewhere.db\""),
    )
    .unwrap();
    Database::Sqlite(world.path("elsewhere.db"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_beside_a_live_service_takes_custody_in_one_explicit_act() {
    let world = World::sqlite().await;
    let restored = elsewhere(&world);
    world.run(&["snapshot", "create"]).done();
    let service = world.serve().await;

    // Without `--take-over` nothing happens, in either database.
    let refused = world
        .run(&["--config", "elsewhere.toml", "snapshot", "restore"])
        .refused();
    assert!(
        refused.contains("--take-over") && refused.contains(&world.vault.to_string()),
        "{refused}"
    );
    world.turn();
    world.run(&["drill"]).done();
    assert_eq!(service.client.get("/readyz").await.unwrap().0, 200);

    world
        .run(&[
            "--config",
            "elsewhere.toml",
            "snapshot",
            "restore",
            "--take-over",
        ])
        .done();
    let told = "SELECT details FROM audit WHERE event = 'custody.taken'";
    let ids = async |database: &Database| {
        database
            .texts("SELECT database_id FROM vault")
            .await
            .remove(0)
    };
    let former = ids(&world.database).await;
    let owner = ids(&restored).await;
    let taken = restored.texts(told).await.remove(0);
    assert!(taken.contains(&former) && taken.contains(&owner), "{taken}");

    // The running service notices the take-over, logs it, and stops serving.
    assert!(
        eventually(async || service.client.get("/readyz").await.unwrap().0 == 503).await,
        "{}",
        service.process.log()
    );
    let lost = "SELECT details FROM audit WHERE event = 'custody.lost'";
    assert!(eventually(async || world.database.texts(lost).await.len() == 1).await);
    assert!(world.database.texts(lost).await[0].contains(&owner));
    for command in [&["epoch", "turn"][..], &["snapshot", "create"], &["status"]] {
        let refused = world.run(command).refused();
        assert!(
            refused.contains(&format!("belongs to database {owner}"))
                && refused.contains("--take-over"),
            "{refused}"
        );
    }
    // The owner continues.
    world
        .run(&["--config", "elsewhere.toml", "epoch", "turn"])
        .done();
    world.run(&["--config", "elsewhere.toml", "status"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_init_in_the_same_place_adopts_nothing() {
    let world = World::sqlite().await;
    let other = tempfile::tempdir().unwrap();
    let root = world.path("custody/root").display().to_string();
    let passphrase = world.path("custody/passphrase").display().to_string();
    let variables = [
        ("RECVAULT__CUSTODY__ROOT_FILE", root.as_str()),
        ("RECVAULT__CUSTODY__PASSPHRASE_FILE", &passphrase),
    ];
    let before = fs::read(&root).unwrap();
    let refused = run_in(other.path(), &["init", "."], &variables).refused();
    assert!(
        refused.contains(&world.vault.to_string()) && refused.contains("snapshot restore"),
        "{refused}"
    );
    assert_eq!(fs::read(&root).unwrap(), before);
    world.turn();
}

#[test]
fn two_inits_of_one_folder_at_once_make_one_vault_that_turns() {
    for _ in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            recvault()
                .current_dir(folder.path())
                .args(["init", "."])
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let both = [start(), start()].map(|init| init.wait_with_output().unwrap());
        let made = both.iter().filter(|init| init.status.success()).count();
        let said: Vec<String> = both
            .iter()
            .map(|init| String::from_utf8_lossy(&init.stderr).into_owned())
            .collect();
        assert_eq!(made, 1, "one of them makes it: {said:?}");
        assert!(
            said.iter()
                .any(|said| said.contains("never replaces one") || said.contains("exists")),
            "the other says so: {said:?}"
        );
        run_in(folder.path(), &["epoch", "turn"], &[]).done();
        run_in(folder.path(), &["status"], &[]).done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_changed_beside_turns_and_no_root_is_lost() {
    let world = World::sqlite().await;
    for round in 0..3 {
        let new = format!("passphrase {round}");
        fs::write(world.path("new"), &new).unwrap();
        let start = |args: &[&str]| {
            recvault()
                .current_dir(world.path(""))
                .args(args)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        };
        let turning = start(&["epoch", "turn"]);
        let changing = start(&[
            "custody",
            "change-passphrase",
            "--new-passphrase-file",
            "new",
        ]);
        let [_, changed] = [turning, changing].map(|mut child| child.wait().unwrap().success());
        if changed {
            fs::write(world.path("custody/passphrase"), new).unwrap();
        }
        // In either order, the vault opens, and a turn resumes wherever the other one had to stop.
        world
            .database
            .execute("UPDATE work SET due_at = 0 WHERE kind = 'epoch-turn'")
            .await;
        world.run(&["status"]).done();
        world.turn();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_slot_is_an_alarm_and_a_copy_of_it_is_refused_by_name() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    fs::rename(world.path("custody/root"), world.path("gone")).unwrap();
    assert!(eventually(async || service.client.get("/readyz").await.unwrap().0 == 503).await);
    assert!(
        service
            .process
            .log()
            .contains("custody holds no root key of vault"),
        "{}",
        service.process.log()
    );
    fs::rename(world.path("gone"), world.path("custody/root")).unwrap();
    assert!(eventually(async || service.client.get("/readyz").await.unwrap().0 == 200).await);

    // A copy beside the slot outlives the destroyed root.
    fs::copy(world.path("custody/root"), world.path("custody/root.bak")).unwrap();
    for command in [&["epoch", "turn"][..], &["sweep"]] {
        let refused = world.run(command).refused();
        assert!(
            refused.contains("custody/root.bak") && refused.contains("destroy it"),
            "{refused}"
        );
    }
    let doctor = world.run(&["doctor"]);
    assert!(
        doctor.code == Some(1)
            && doctor
                .stdout
                .contains("custody/root.bak is not part of the slot, with the root key of epoch 1"),
        "{doctor:?}"
    );
    fs::remove_file(world.path("custody/root.bak")).unwrap();
    world.turn();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_passphrase_is_written_down_and_opens_the_vault() {
    let world = World::sqlite().await;
    let entries = || {
        let listed = world.run(&["audit", "list"]).done();
        listed
            .lines()
            .filter(|line| line.contains("custody.changed"))
            .count()
    };
    let root = fs::read(world.path("custody/root")).unwrap();
    fs::write(world.path("new"), "a better passphrase\n").unwrap();
    let change = [
        "custody",
        "change-passphrase",
        "--new-passphrase-file",
        "new",
        "--json",
    ];

    // A dry run changes nothing.
    let facts = world.run(&[&change[..], &["--dry-run"]].concat()).json();
    assert_eq!(
        (&facts["epochs"], &facts["changed"]),
        (&serde_json::json!([1]), &serde_json::json!(false))
    );
    assert_eq!(
        (fs::read(world.path("custody/root")).unwrap(), entries()),
        (root, 0)
    );

    // Nor does a wrong present passphrase, or an invalid new one.
    let passphrase = fs::read(world.path("custody/passphrase")).unwrap();
    fs::write(world.path("custody/passphrase"), "a guess").unwrap();
    assert!(
        world
            .run(&change)
            .refused()
            .contains("the passphrase is wrong")
    );
    fs::write(world.path("custody/passphrase"), passphrase).unwrap();
    fs::write(world.path("empty"), "\n").unwrap();
    assert!(
        world
            .run(&[
                "custody",
                "change-passphrase",
                "--new-passphrase-file",
                "empty"
            ])
            .refused()
            .contains("`empty` is empty")
    );
    assert_eq!(entries(), 0);

    let facts = world.run(&change).json();
    assert_eq!(
        (&facts["epochs"], &facts["changed"]),
        (&serde_json::json!([1]), &serde_json::json!(true))
    );
    assert!(
        facts["next"]
            .as_str()
            .unwrap()
            .contains("custody/passphrase"),
        "{facts}"
    );
    assert!(
        world
            .run(&["status"])
            .refused()
            .contains("the passphrase is wrong"),
        "the old one opens nothing"
    );
    fs::rename(world.path("new"), world.path("custody/passphrase")).unwrap();
    world.run(&["status"]).done();
    assert_eq!(entries(), 1);
}

#[test]
fn other_kinds_have_no_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("recvault.toml"),
        "[custody]\nkind = \"aws-kms\"\n",
    )
    .unwrap();
    fs::write(folder.path().join("new"), "a better passphrase\n").unwrap();
    let why = run_in(
        folder.path(),
        &[
            "custody",
            "change-passphrase",
            "--new-passphrase-file",
            "new",
        ],
        &[],
    )
    .refused();
    assert!(
        why.contains("`custody.kind`: custody by `aws-kms` has no passphrase"),
        "{why}"
    );
    let why = run_in(folder.path(), &["status"], &[]).refused();
    assert!(why.contains("`custody.aws_kms.key_id`: missing"), "{why}");
}

/// Creates a token; returns the path of its configuration.
pub(crate) fn token(folder: &Path) -> String {
    fs::create_dir(folder.join("tokens")).unwrap();
    let configuration = folder.join("softhsm2.conf");
    fs::write(
        &configuration,
        format!(
            "directories.tokendir = {}\n",
            folder.join("tokens").display()
        ),
    )
    .unwrap();
    let mut maker = Command::new("softhsm2-util");
    maker.args([
        "--init-token",
        "--free",
        "--label",
        "recvault",
        "--so-pin",
        "officer",
        "--pin",
        "0042",
    ]);
    assert!(
        maker
            .env("SOFTHSM2_CONF", &configuration)
            .output()
            .unwrap()
            .status
            .success()
    );
    configuration.display().to_string()
}

#[test]
#[ignore = "needs SoftHSM: run `tests/run`"]
fn a_vault_with_its_root_in_a_token_turns_its_epoch() {
    let library = needs::required("RECVAULT_TEST_SOFTHSM");
    let folder = tempfile::tempdir().unwrap();
    let configuration = token(folder.path());
    fs::write(
        folder.path().join("recvault.toml"),
        SHIPPED.replace("kind = \"passphrase\"", "kind = \"pkcs11\""),
    )
    .unwrap();
    let variables = [
        ("SOFTHSM2_CONF", configuration.as_str()),
        ("RECVAULT__CUSTODY__PKCS11__MODULE", &library),
        ("RECVAULT__CUSTODY__PKCS11__TOKEN", "recvault"),
        ("RECVAULT__CUSTODY__PKCS11__PIN", "0042"),
    ];
    let run = |args: &[&str]| run_in(folder.path(), args, &variables);
    run(&["init", "."]).done();
    assert!(
        !folder.path().join("custody").exists(),
        "no root file, no passphrase"
    );
    assert!(folder.path().join("custody.lock").exists());
    run(&["epoch", "turn"]).done();
    run(&["status"]).done();
    let doctor = run(&["doctor"]).done();
    assert!(doctor.contains("ok      custody: pkcs11. Destruction of a root key: the key object is destroyed inside the token"), "{doctor}");
    let printed = run(&["config", "print"]).done();
    assert!(
        printed.contains("pin = \"(secret)\"") && !printed.contains("0042"),
        "{printed}"
    );
}
