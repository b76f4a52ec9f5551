//! Output of the command line for programs, shells and pipes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use crate::{
    process::{recvault, run_in},
    world::World,
};

/// Returns the error object on the last line of standard error.
fn error_of(stderr: &str) -> serde_json::Value {
    let last = stderr.lines().last().unwrap_or_default();
    let object: serde_json::Value =
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    object["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_json_if_json_was_asked_for() {
    let world = World::sqlite().await;
    let none = "rec_00000000000000000000000000000000";
    for (args, code, exit_code, said) in [
        (&["shred", none, "--reason", "x"][..], "not-found", 1, none),
        (&["recordings", "show", none], "not-found", 1, none),
        (&["receipt", "show", none], "not-found", 1, none),
        (&["rotate", "--tier", "gone"], "invalid", 1, "--tier gone"),
        (
            &["--config", "gone.toml", "status"],
            "config",
            1,
            "gone.toml",
        ),
        (&["policy", "check", "gone.toml"], "file", 1, "gone.toml"),
        (
            &["policy", "check", "recvault.toml"],
            "policy",
            1,
            "policy file has faults",
        ),
        (&["policy", "test", "gone.toml"], "file", 1, "gone.toml"),
        (
            &["policy", "test", "recvault.toml"],
            "invalid",
            1,
            "recvault.toml",
        ),
        (
            &["receipt", "verify", "gone", "--keys", "none"],
            "file",
            1,
            "`none`",
        ),
        (&["receipt", "verify", "gone"], "file", 1, "`gone`"),
        (&["consent", "import", "gone.csv"], "file", 1, "gone.csv"),
        (
            &["consent", "import", "recvault.toml"],
            "invalid",
            1,
            "--format",
        ),
        (
            &["man", "--dir", "recvault.toml/pages"],
            "file",
            1,
            "recvault.toml/pages",
        ),
        (
            &[
                "grant",
                "create",
                none,
                "--purpose",
                "x",
                "--token-file",
                "gone",
            ],
            "file",
            1,
            "`gone`",
        ),
        (
            &["revoke", "--subject", "no", "--reason", "x"],
            "invalid",
            1,
            "`--subject`",
        ),
        (&[], "usage", 2, "a command is missing"),
        (&["frobnicate"], "usage", 2, "frobnicate"),
        (&["shred"], "usage", 2, "required"),
        (
            &["sweep", "--older-than-h", "0"],
            "usage",
            2,
            "older-than-h",
        ),
    ] {
        let ended = world.run(&[args, &["--json"]].concat());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(exit_code), ""),
            "{ended:?}"
        );
        let error = error_of(&ended.stderr);
        assert_eq!(
            (&error["code"], &error["exit_code"]),
            (&code.into(), &exit_code.into()),
            "{args:?}: {error}"
        );
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(said) && !message.contains("Usage:"),
            "{args:?}: {message}"
        );
        let plain = world.run(args);
        assert!(
            serde_json::from_str::<serde_json::Value>(&plain.stderr).is_err(),
            "people read text: {plain:?}"
        );
    }
    fs::write(world.path("custody/passphrase"), "wrong").unwrap();
    let ended = world.run(&["status", "--json"]);
    let code = &error_of(&ended.stderr)["code"];
    assert!(
        ["custody", "vault"].map(Into::into).contains(code),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_is_closed_early_ends_a_long_list_quietly() {
    let world = World::sqlite().await;
    // More than a pipe's buffer.
    for _ in 0..4 {
        world.run(&["snapshot", "create"]).done();
    }
    let long = "INSERT INTO audit (seq, at, actor, event, recording_id, details)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        SELECT 1000000 + i, 0, 'vault', 'work.retried', NULL, '{\"pieces\":1}' FROM n";
    world.database.execute(long).await;
    for args in [&["audit", "list"][..], &["audit", "list", "--json"]] {
        let mut command = recvault();
        let mut child = command
            .current_dir(world.folder.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        drop(stdout);
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), said.as_str()),
            (Some(0), ""),
            "{args:?}"
        );
        assert!(first.contains("vault.created"), "{first}");
    }
}

#[test]
fn shells_and_man_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run_in(folder.path(), &["completions", shell], &[]).done();
        for word in ["recordings", "completions", "dry-run", "token-file"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = run_in(folder.path(), &["man"], &[]).done();
    assert!(
        page.contains(".TH recvault 1") && page.contains("recvault\\-audit(1)"),
        "{page}"
    );
    run_in(folder.path(), &["man", "--dir", "man"], &[]).done();
    for name in [
        "recvault",
        "recvault-audit",
        "recvault-audit-list",
        "recvault-grant-create",
    ] {
        let file = folder.path().join(format!("man/{name}.1"));
        let page = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    for help in [&["--help"][..], &["help", "shred"], &["--version"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = recvault();
        let child = command.args(help).stdout(writer).stderr(Stdio::piped());
        let output = child.output().unwrap();
        assert_eq!(
            (output.status.code(), output.stderr),
            (Some(0), Vec::new()),
            "{help:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_named_with_the_cause() {
    let world = World::sqlite().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let url = format!("postgres://keeper:hunter2@127.0.0.1:{port}/recordings");
    let variables = [("RECVAULT__DATABASE__URL", url.as_str())];
    let why = run_in(world.folder.path(), &["status"], &variables).refused();
    assert!(
        why.contains(&format!("`127.0.0.1:{port}`, database `recordings`"))
            && why.contains("refused"),
        "{why}"
    );
    assert!(!why.contains("hunter2") && !why.contains("keeper"), "{why}");
    let variables = [("RECVAULT__DATABASE__URL", "sqlite:no/such/folder/vault.db")];
    let why = run_in(world.folder.path(), &["status"], &variables).refused();
    assert!(why.contains("no/such/folder/vault.db"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_warns_of_a_clock_that_is_off() {
    let world = World::sqlite().await;
    let clock = |stdout: &str| -> Vec<(String, String)> {
        let all: Vec<serde_json::Value> = serde_json::from_str(stdout).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        all.iter()
            .filter(|found| found["what"] == "clock")
            .map(|found| (text(&found["verdict"]), text(&found["why"])))
            .collect()
    };
    let right = clock(&world.run(&["doctor", "--json"]).stdout);
    assert!(right.len() == 1 && right[0].0 == "ok", "{right:?}");
    let ahead = "UPDATE clock SET read_at = read_at + 3600000 RETURNING CAST(read_at AS TEXT)";
    if world.database.texts(ahead).await.is_empty() {
        let insert =
            "INSERT INTO clock (one, read_at, accepted) SELECT 1, MAX(at) + 3600000, 0 FROM audit";
        world.database.execute(insert).await;
    }
    let off = clock(&world.run(&["doctor", "--json"]).stdout);
    assert!(
        off.len() == 1
            && off[0].0 == "weak"
            && off[0].1.contains("behind the time that was believed last"),
        "{off:?}"
    );
}

#[test]
fn a_demo_takes_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--config", "mine.toml", "demo", "--exit"];
    let why = run_in(folder.path(), &args, &[]).refused();
    assert!(why.contains("leave out `--config`"), "{why}");
}
