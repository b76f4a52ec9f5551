//! `policy check`, `config print` and `doctor`: all faults are reported at once, with their places.

use std::{fs, os::unix::fs::PermissionsExt as _};

use recvault::config::{SHIPPED, SHIPPED_POLICY};

use crate::{process::run_in, world::World};

#[test]
fn a_good_policy_is_told_with_its_version_and_digest() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), SHIPPED_POLICY).unwrap();
    let facts = run_in(
        folder.path(),
        &["policy", "check", "policy.toml", "--json"],
        &[],
    )
    .json();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, SHIPPED_POLICY.as_bytes());
    assert_eq!(
        (&facts["version"], &facts["digest"]),
        (&"1".into(), &hex::encode(digest).into())
    );
    let said = run_in(folder.path(), &["policy", "check", "policy.toml"], &[]).done();
    assert!(
        said.contains("version 1") && said.contains(facts["digest"].as_str().unwrap()),
        "{said}"
    );
}

#[test]
fn all_faults_of_a_policy_are_told_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let bad = SHIPPED_POLICY
        .replacen("tiers = [\"standard\"]", "tiers = [\"standart\"]", 1)
        .replacen("roles = [\"privacy-officer\"]", "roles = [\"wizard\"]", 1)
        .replacen("grant_lifetime = \"5m\"", "grant_lifetime = \"soon\"", 1);
    fs::write(folder.path().join("policy.toml"), &bad).unwrap();
    let why = run_in(folder.path(), &["policy", "check", "policy.toml"], &[]).refused();
    let line = |part: &str| {
        bad.lines()
            .position(|line| line.contains(&format!("\"{part}\"")))
            .unwrap()
            + 1
    };
    for part in ["standart", "wizard", "soon"] {
        let told = why
            .lines()
            .find(|told| told.contains(part))
            .unwrap_or_else(|| panic!("`{part}` is not told: {why}"));
        assert!(
            told.contains(&format!("policy.toml:{}", line(part))),
            "{told} should name line {}",
            line(part)
        );
    }
    assert!(
        run_in(folder.path(), &["policy", "check", "absent.toml"], &[])
            .refused()
            .contains("absent.toml")
    );
}

#[test]
fn a_printed_configuration_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let text = SHIPPED.replace(
        "url = \"sqlite:vault.db\"",
        "url = \"postgres://vault:hunter1@127.0.0.1/vault\"",
    ) + "\n[[twilio.accounts]]\nsid = \"AC00000000000000000000000000000000\"\nauth_tokens = [\"hunter2\"]\n";
    fs::write(folder.path().join("recvault.toml"), text).unwrap();
    let variables = [
        ("RECVAULT__CUSTODY__PASSPHRASE", "hunter3"),
        ("RECVAULT__STORE__SECRET_ACCESS_KEY", "hunter4"),
    ];
    let shown = run_in(folder.path(), &["config", "print"], &variables).done();
    assert!(!shown.contains("hunter"), "{shown}");
    for part in [
        "passphrase = \"(secret)\"",
        "secret_access_key = \"(secret)\"",
        "auth_tokens = \"(secret)\"",
        "vault:secret@127.0.0.1",
    ] {
        assert!(shown.contains(part), "{part} is missing: {shown}");
    }
}

#[test]
fn a_variable_overrides_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("recvault.toml"), SHIPPED).unwrap();
    let shown = run_in(folder.path(), &["config", "print"], &[]).done();
    assert!(
        shown.contains("concurrency = 8") && shown.contains("url = \"folder:./objects\""),
        "{shown}"
    );
    let variables = [
        ("RECVAULT__WORK__CONCURRENCY", "3"),
        ("RECVAULT__STORE__URL", "memory:"),
        ("RECVAULT_WORK_LEASE_S", "1"),
    ];
    let shown = run_in(folder.path(), &["config", "print"], &variables).done();
    assert!(
        shown.contains("concurrency = 3")
            && shown.contains("url = \"memory:\"")
            && shown.contains("lease_s = 60"),
        "{shown}"
    );
}

#[test]
fn all_faults_of_a_configuration_are_told_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let bad = "[server]\nlissten = \"127.0.0.1:1\"\n\n[work]\nconcurrency = \"many\"\n\n[sotre]\nurl = \"memory:\"\n";
    fs::write(folder.path().join("recvault.toml"), bad).unwrap();
    let variables = [("RECVAULT__DATABASE__URRL", "sqlite:x")];
    for command in [
        &["config", "print"][..],
        &["status"],
        &["serve"],
        &["doctor"],
        &["audit", "list"],
    ] {
        let why = run_in(folder.path(), command, &variables).refused();
        for fault in [
            "recvault.toml:2: `server.lissten`",
            "recvault.toml:5: `work.concurrency`",
            "recvault.toml:7: `sotre`",
            "RECVAULT__DATABASE__URRL: `database.urrl`",
        ] {
            assert!(
                why.contains(fault),
                "{command:?} does not tell {fault}: {why}"
            );
        }
    }
    let why = run_in(folder.path(), &["--config", "absent.toml", "status"], &[]).refused();
    assert!(
        why.contains("absent.toml") && why.contains("recvault init"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_well_weak_and_broken() {
    let world = World::sqlite().await;
    world.configure("every_m = 0", "every_m = 15");
    let verdicts = |findings: &serde_json::Value, verdict: &str| -> Vec<String> {
        let findings = findings
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["verdict"] == verdict);
        findings
            .map(|finding| finding["what"].as_str().unwrap().to_owned())
            .collect()
    };
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(world.folder.path(), private).unwrap();
    let findings = world.run(&["doctor", "--json"]).json();
    assert_eq!(
        verdicts(&findings, "weak"),
        ["server.public_url", "custody"],
        "{findings}"
    );
    assert!(verdicts(&findings, "broken").is_empty(), "{findings}");
    for what in ["database", "store", "policy", "vault", "twilio.accounts"] {
        assert!(
            verdicts(&findings, "ok").iter().any(|ok| ok == what),
            "{what}: {findings}"
        );
    }

    // With better settings, it finds nothing weak.
    world.configure(
        "public_url = \"http://127.0.0.1:0\"",
        "public_url = \"https://vault.example.com\"",
    );
    world.configure(
        "passphrase_file = \"custody/passphrase\"",
        "passphrase_file = \"secrets/passphrase\"",
    );
    fs::rename(
        world.path("custody/passphrase"),
        world.path("secrets/passphrase"),
    )
    .unwrap();
    let findings = world.run(&["doctor", "--json"]).json();
    assert_eq!(
        verdicts(&findings, "weak"),
        ["server.trusted_proxies"],
        "a proxy ends TLS, and all its clients would count as one: {findings}"
    );
    world.configure("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1\"]");
    let findings = world.run(&["doctor", "--json"]).json();
    assert!(verdicts(&findings, "weak").is_empty(), "{findings}");

    // A file in the place of the objects, and a policy with a fault: both are reported, and the
    // exit code is 1.
    fs::remove_dir_all(world.path("objects")).unwrap();
    fs::create_dir(world.path("objects")).unwrap();
    fs::write(world.path("objects/probe-rehearsal"), "in the way").unwrap();
    fs::write(world.path("privacy-policy.toml"), "version = 1\n").unwrap();
    let ended = world.run(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let findings = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        verdicts(&findings, "broken"),
        ["store", "policy", "vault"],
        "{findings}"
    );
    let text = world.run(&["doctor"]).stdout;
    assert!(
        text.lines().any(|line| line.starts_with("broken  store: ")),
        "{text}"
    );
}
