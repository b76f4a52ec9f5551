//! `recvault init` dies at each crash point inside custody, and the same command completes
//! afterwards.

use std::{fs, path::Path};

use recvault::config::SHIPPED;
use serde_json::Value;

use crate::{cli_custody::token, needs, process::run_in};

/// A folder for a vault, and the environment of its commands.
struct Place {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Place {
    /// Keeps the root in a file.
    fn of_files() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
    }

    /// Keeps the root in a token.
    fn of_a_token() -> Self {
        let library = needs::required("RECVAULT_TEST_SOFTHSM");
        let folder = tempfile::tempdir().unwrap();
        let configuration = token(folder.path());
        fs::write(
            folder.path().join("recvault.toml"),
            SHIPPED.replace("kind = \"passphrase\"", "kind = \"pkcs11\""),
        )
        .unwrap();
        let variables = vec![
            ("SOFTHSM2_CONF", configuration),
            ("RECVAULT__CUSTODY__PKCS11__MODULE", library),
            ("RECVAULT__CUSTODY__PKCS11__TOKEN", "recvault".into()),
            ("RECVAULT__CUSTODY__PKCS11__PIN", "0042".into()),
        ];
        Self { folder, variables }
    }

    fn run(&self, args: &[&str], more: &[(&str, &str)]) -> crate::process::Ended {
        let variables: Vec<(&str, &str)> = self
            .variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain(more.iter().copied())
            .collect();
        run_in(self.folder.path(), args, &variables)
    }

    /// Runs `init`, which dies at this crash point.
    fn dies_at(&self, point: &str) {
        let ended = self.run(&["init", ".", "--json"], &[("RECVAULT_CRASH_AT", point)]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (None, ""),
            "it should have died at {point}: {ended:#?}"
        );
    }

    /// Runs the same command again: it creates the vault, with its root as the only object in
    /// custody, and the vault works.
    fn becomes_a_vault(&self, after: &str) {
        let made = self.run(&["init", ".", "--json"], &[]);
        assert_eq!(made.code, Some(0), "after {after}: {made:#?}");
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        assert!(
            made["vault"]
                .as_str()
                .is_some_and(|id| id.starts_with("vlt_"))
                && made["token"].is_string(),
            "{made}"
        );
        let custody = self.folder.path().join("custody");
        if custody.exists() {
            assert_eq!(
                names(&custody),
                ["passphrase", "root", "root.lock"],
                "after {after}"
            );
        }
        self.run(&["doctor"], &[]).done();
        assert_eq!(
            self.run(&["epoch", "turn", "--json"], &[]).json()["epoch"],
            2,
            "after {after}"
        );
        self.run(&["snapshot", "verify"], &[]).done();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_init_that_died_with_its_root_half_made_is_gone_on_from() {
    for point in ["custody.written", "custody.linked", "custody.renamed"] {
        let place = Place::of_files();
        place.dies_at(point);
        place.becomes_a_vault(point);
    }
}

#[test]
fn an_init_that_died_again_while_it_cleared_up_is_gone_on_from() {
    for point in ["custody.overwritten", "custody.removed"] {
        let place = Place::of_files();
        place.dies_at("custody.written");
        place.dies_at(point);
        place.becomes_a_vault(point);
    }
}

#[test]
#[ignore = "needs SoftHSM: run `tests/run`"]
fn an_init_that_died_with_its_root_half_made_in_a_token_is_gone_on_from() {
    for point in ["custody.written", "custody.renamed", "custody.removed"] {
        let place = Place::of_a_token();
        place.dies_at(point);
        place.becomes_a_vault(point);
    }
}

/// The vault exists by then, but its first token was never shown.
#[test]
fn an_init_that_died_with_half_a_snapshot_names_the_way_out() {
    let place = Place::of_files();
    place.dies_at("snapshot.first_bytes");
    let why = place.run(&["init", "."], &[]).refused();
    assert!(why.contains("recvault token create"), "{why}");
    place.run(&["snapshot", "create"], &[]).done();
    place
        .run(
            &[
                "token",
                "create",
                "--label",
                "again",
                "--role",
                "privacy-officer",
            ],
            &[],
        )
        .done();
    place.run(&["snapshot", "verify"], &[]).done();
}
