//! `recvault init`: creates a working vault folder, and never replaces one.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::process::{run_in, run_with_open_umask};

/// Returns every file below a folder with its bytes, without the write-ahead log of SQLite, which
/// depends on open connections.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !name.ends_with("-wal") && !name.ends_with("-shm") {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_makes_a_folder_whose_secrets_are_the_owners() {
    let world = tempfile::tempdir().unwrap();
    let said = run_in(world.path(), &["init", "calls"], &[]).done();
    let folder = world.path().join("calls");
    assert_eq!(
        (
            mode(&folder),
            mode(&folder.join("custody")),
            mode(&folder.join("objects"))
        ),
        (0o700, 0o700, 0o700)
    );
    assert_eq!(
        (
            mode(&folder.join("custody/root")),
            mode(&folder.join("custody/passphrase"))
        ),
        (0o600, 0o600)
    );
    assert_eq!(
        fs::read_to_string(folder.join("recvault.toml")).unwrap(),
        recvault::config::SHIPPED
    );
    assert_eq!(
        fs::read_to_string(folder.join("privacy-policy.toml")).unwrap(),
        recvault::config::SHIPPED_POLICY
    );
    let token = said
        .split_whitespace()
        .find(|word| word.starts_with("rvt_"))
        .expect("the first token is shown")
        .to_owned();
    let passphrase = fs::read_to_string(folder.join("custody/passphrase")).unwrap();
    assert!(
        !said.contains(passphrase.trim()),
        "the passphrase is not shown"
    );

    // The token is only on the screen, and the passphrase only in its file.
    for (name, bytes) in files(&folder) {
        let holds = |secret: &str| {
            bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
        };
        assert!(
            !holds(&token) && !holds(token.trim_start_matches("rvt_")),
            "{name} holds the token"
        );
        assert!(
            name.ends_with("custody/passphrase") || !holds(passphrase.trim()),
            "{name} holds the passphrase"
        );
    }
    // It runs without changes.
    run_in(
        world.path(),
        &["--config", "calls/recvault.toml", "status"],
        &[],
    )
    .done();
}

#[test]
fn what_init_makes_is_its_users_alone_whatever_the_umask_and_the_folder() {
    let world = tempfile::tempdir().unwrap();
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let folder = world.path().join("calls");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    run_with_open_umask(world.path(), &["init", "calls"]).done();

    let mut seen = 0;
    let mut folders = vec![folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            seen += 1;
            assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    assert!(seen > 8, "{seen} files and folders");

    // `doctor` names files that others may read, with the remedy; if a folder above them denies
    // access, it names nothing.
    let doctor = || {
        let args = ["--config", "calls/recvault.toml", "doctor"];
        run_with_open_umask(world.path(), &args).stdout
    };
    assert!(!doctor().contains("chmod"), "{}", doctor());
    for name in ["vault.db", "custody/root", "custody/passphrase"] {
        let file = folder.join(name);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(folder.join("custody"), fs::Permissions::from_mode(0o755)).unwrap();
        let said = doctor();
        assert!(said.contains("weak"), "{said}");
        assert!(
            said.contains(&format!("chmod go-rwx calls/{name}")),
            "{said}"
        );
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(!doctor().contains("chmod"), "{}", doctor());
}

#[test]
fn init_makes_a_vault_on_another_database_and_store_in_one_step() {
    let world = tempfile::tempdir().unwrap();
    let args = [
        "init",
        "calls",
        "--database",
        "sqlite:of-calls.db",
        "--store",
        "folder:./sealed",
    ];
    run_in(world.path(), &args, &[]).done();
    let folder = world.path().join("calls");
    assert!(folder.join("of-calls.db").exists() && folder.join("sealed").exists());
    assert!(!folder.join("vault.db").exists() && !folder.join("objects").exists());
    run_in(
        world.path(),
        &["--config", "calls/recvault.toml", "status"],
        &[],
    )
    .done();

    // An existing configuration is not changed.
    let why = run_in(
        world.path(),
        &["init", "calls", "--store", "folder:./b"],
        &[],
    )
    .refused();
    assert!(why.contains("recvault.toml` exists"), "{why}");
}

#[test]
fn init_makes_the_configuration_that_is_named() {
    let world = tempfile::tempdir().unwrap();
    run_in(world.path(), &["--config", "calls/other.toml", "init"], &[]).done();
    assert!(world.path().join("calls/other.toml").exists());
    assert!(world.path().join("calls/vault.db").exists());
    assert!(!world.path().join("vault").exists());
    run_in(
        world.path(),
        &["--config", "calls/other.toml", "status"],
        &[],
    )
    .done();

    let two = ["--config", "calls/other.toml", "init", "elsewhere"];
    let why = run_in(world.path(), &two, &[]).refused();
    assert!(why.contains("is not in the folder `elsewhere`"), "{why}");
    assert!(!world.path().join("elsewhere").exists());
}

#[test]
fn a_second_init_refuses_and_changes_nothing() {
    let world = tempfile::tempdir().unwrap();
    let made = run_in(world.path(), &["init", "calls", "--json"], &[]).json();
    let before = files(world.path());
    let why = run_in(world.path(), &["init", "calls"], &[]).refused();
    assert!(
        why.contains(made["vault"].as_str().unwrap()) && why.contains("never replaces"),
        "{why}"
    );
    assert_eq!(files(world.path()), before);
}

#[test]
fn init_uses_the_files_that_are_there() {
    let world = tempfile::tempdir().unwrap();
    let config = "[database]\nurl = \"sqlite:of-my-own.db\"\n[custody]\nroot_file = \"keys/root\"\npassphrase_file = \"pass\"\n";
    fs::write(world.path().join("recvault.toml"), config).unwrap();
    fs::write(world.path().join("pass"), "correct horse battery staple\n").unwrap();
    let policy =
        recvault::config::SHIPPED_POLICY.replace("version = \"1\"", "version = \"of-my-own\"");
    assert_ne!(policy, recvault::config::SHIPPED_POLICY);
    fs::write(world.path().join("privacy-policy.toml"), &policy).unwrap();

    let said = run_in(world.path(), &["init", "."], &[]).done();
    assert!(
        !said.contains("random passphrase"),
        "none was chosen: {said}"
    );
    assert_eq!(
        fs::read_to_string(world.path().join("recvault.toml")).unwrap(),
        config
    );
    assert_eq!(
        fs::read_to_string(world.path().join("privacy-policy.toml")).unwrap(),
        policy
    );
    assert_eq!(
        fs::read_to_string(world.path().join("pass")).unwrap(),
        "correct horse battery staple\n"
    );
    assert_eq!(mode(&world.path().join("keys/root")), 0o600);
    assert!(world.path().join("of-my-own.db").exists() && !world.path().join("custody").exists());
    let log = run_in(world.path(), &["audit", "list"], &[]).done();
    assert!(log.contains("\"version\":\"of-my-own\""), "{log}");
}

#[test]
fn init_with_a_passphrase_from_the_environment_writes_none() {
    let world = tempfile::tempdir().unwrap();
    let variables = [(
        "RECVAULT__CUSTODY__PASSPHRASE",
        "correct horse battery staple",
    )];
    run_in(world.path(), &["init", "calls"], &variables).done();
    assert!(!world.path().join("calls/custody/passphrase").exists());
    run_in(
        world.path(),
        &["--config", "calls/recvault.toml", "status"],
        &variables,
    )
    .done();
    let why = run_in(
        world.path(),
        &["--config", "calls/recvault.toml", "status"],
        &[],
    )
    .refused();
    assert!(why.contains("custody/passphrase"), "{why}");
}

#[test]
fn init_with_a_faulty_config_makes_nothing() {
    let world = tempfile::tempdir().unwrap();
    fs::write(
        world.path().join("recvault.toml"),
        "[database]\nurll = \"sqlite:x.db\"\n",
    )
    .unwrap();
    let why = run_in(world.path(), &["init", "."], &[]).refused();
    assert!(
        why.contains("recvault.toml:2: `database.urll`: unknown field"),
        "{why}"
    );
    assert_eq!(files(world.path()).len(), 1);
}

/// A wrong URL in the configuration would have to be corrected by hand.
#[test]
fn init_with_places_that_cannot_be_used_leaves_nothing() {
    let world = tempfile::tempdir().unwrap();
    fs::write(world.path().join("file"), "").unwrap();
    run_in(world.path(), &["init", "another"], &[]).done();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    let postgres = format!("postgres://vault:hunter2@{nobody}/recordings");
    let s3 = format!("http://{nobody}");
    let keys = [
        ("RECVAULT__STORE__ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("RECVAULT__STORE__SECRET_ACCESS_KEY", "hunter2"),
    ];
    let before = files(world.path());
    for (args, said) in [
        (&["--database", &postgres][..], nobody.as_str()),
        (&["--database", "sqlite:gone/x.db"], "gone"),
        (
            &["--database", "sqlite:../another/vault.db"],
            "already holds",
        ),
        (&["--store", "folder:../file/x"], "file"),
        (&["--store", "folder:../another/objects"], "recovery file"),
        (
            &["--store", "s3://calls", "--store-endpoint", &s3],
            "s3 store",
        ),
    ] {
        let why = run_in(world.path(), &[&["init", "calls"], args].concat(), &keys).refused();
        assert!(
            why.contains(said) && !why.contains("hunter2"),
            "{args:?}: {why}"
        );
        assert!(!world.path().join("calls").exists(), "{args:?}");
        assert_eq!(files(world.path()), before, "{args:?}");
    }
    run_in(
        world.path(),
        &["init", "calls", "--database", "sqlite:x.db"],
        &[],
    )
    .done();
}
