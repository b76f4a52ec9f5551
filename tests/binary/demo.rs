//! `recvault demo`, without anything but the executable.

use std::{fs, process::Command};

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, recvault, run_in};

#[test]
fn the_story_told_to_a_machine_holds_step_by_step() {
    let temporary = tempfile::tempdir().unwrap();
    let told = run_in(
        temporary.path(),
        &["demo", "--exit", "--json"],
        &[("TMPDIR", temporary.path().to_str().unwrap())],
    );
    assert_eq!(told.stderr, "", "a machine is told nothing else");
    let story = told.json();
    let steps = story["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 30, "{story:#}");
    for step in steps {
        assert!(
            step["name"].as_str().is_some_and(|name| !name.is_empty())
                && step["ok"] == true
                && step["ms"].is_u64(),
            "{step}"
        );
    }
    assert!(story["recording_id"].as_str().unwrap().starts_with("rec_"));
    assert!(story["receipt_id"].as_str().unwrap().starts_with("rcp_"));
    let source = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        recvault::demo::conversation::WAV,
    );
    assert_eq!(
        (&story["source_sha256"], &story["played_sha256"]),
        (&hex::encode(source).into(), &hex::encode(source).into())
    );
    assert_eq!(
        (&story["range_checked"], &story["receipt_verified"]),
        (&true.into(), &true.into())
    );
    assert_eq!(
        (&story["drill"]["forgets"], &story["drill"]["recovers"]),
        (&true.into(), &true.into())
    );
    assert!(
        story["drill"]["evidence"]
            .as_str()
            .is_some_and(|evidence| evidence.split('.').count() == 3),
        "{story:#}"
    );
    assert_eq!(
        (&story["after_shred_status"], &story["denied_reasons"]),
        (&410.into(), &["purpose-unknown"][..].into())
    );
    assert_eq!(
        fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn the_folder_of_a_story_stays_where_one_was_named() {
    let temporary = tempfile::tempdir().unwrap();
    let story = run_in(
        temporary.path(),
        &["demo", "--exit", "--json", "--dir", "kept"],
        &[],
    )
    .json();
    let status = run_in(&temporary.path().join("kept"), &["status", "--json"], &[]).json();
    assert_eq!(
        status["recordings"],
        serde_json::json!([["sealed", 3], ["shredded", 7]]),
        "{status}"
    );
    let log = run_in(&temporary.path().join("kept"), &["audit", "list"], &[]).done();
    assert!(log.contains(story["receipt_id"].as_str().unwrap()), "{log}");

    let why = run_in(temporary.path(), &["demo", "--exit", "--dir", "kept"], &[]).refused();
    assert!(why.contains("`kept` is not empty"), "{why}");
    fs::create_dir(temporary.path().join("empty")).unwrap();
    run_in(temporary.path(), &["demo", "--exit", "--dir", "empty"], &[]).done();
}

#[test]
fn the_story_told_to_people_says_what_held() {
    let temporary = tempfile::tempdir().unwrap();
    let told = run_in(
        temporary.path(),
        &["demo", "--exit"],
        &[("TMPDIR", temporary.path().to_str().unwrap())],
    );
    assert!(
        told.stderr.contains("\n 1. ok     ") && told.stderr.contains("\n27. ok     "),
        "{}",
        told.stderr
    );
    assert!(
        !told.stderr.contains("FAILED") && !told.stderr.contains("curl"),
        "{}",
        told.stderr
    );
    told.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_story_that_stays_up_work() {
    let temporary = tempfile::tempdir().unwrap();
    let demo = Process::spawn(recvault().arg("demo").env("TMPDIR", temporary.path()));
    let said = demo
        .says("that it stays up", |log| {
            log.contains("The vault folder is ").then(|| log.to_owned())
        })
        .await;
    if Command::new("curl").arg("--version").output().is_ok() {
        let answers = follow(&said);
        let json = |part: &str| -> Value {
            let (_, answer) = answers
                .iter()
                .find(|(line, _)| line.contains(part))
                .unwrap_or_else(|| panic!("no line with {part}: {said}"));
            serde_json::from_str(answer).unwrap_or_else(|error| panic!("{part}: {error}: {answer}"))
        };
        let listed = json("/v1/recordings\n");
        let mut states: Vec<&str> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["state"].as_str().unwrap())
            .collect();
        // Two may have been announced in one millisecond.
        states.sort();
        assert_eq!(
            states,
            [vec!["sealed"; 4], vec!["shredded"; 7]].concat(),
            "{listed}"
        );
        assert!(
            json("/grants")["audio_url"]
                .as_str()
                .unwrap()
                .ends_with("/audio.wav")
        );
        assert!(
            json("DELETE")["receipt_id"]
                .as_str()
                .unwrap()
                .starts_with("rcp_")
        );
        assert!(!json("/v1/audit")["items"].as_array().unwrap().is_empty());
        assert_eq!(json("jwks.json")["keys"].as_array().unwrap().len(), 1);
        assert!(json("openapi.json")["paths"].as_object().unwrap().len() > 5);
        let metrics = &answers
            .iter()
            .find(|(line, _)| line.contains("/metrics"))
            .unwrap()
            .1;
        assert!(metrics.contains("recvault_shreds_total 8"), "{metrics}");
        let (_, first_bytes) = answers
            .iter()
            .find(|(line, _)| line.contains("-r 0-99"))
            .unwrap();
        assert!(
            first_bytes.contains("RIFF") && first_bytes.contains("WAVE"),
            "{first_bytes}"
        );
    } else {
        println!("skipped: there is no curl here to try the lines with");
    }
    demo.signal(Signal::INT);
    assert_eq!(demo.end().await.code(), Some(0), "{}", demo.log());
    assert_eq!(
        fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

/// Runs the printed lines in order; returns each command with its output.
fn follow(said: &str) -> Vec<(String, String)> {
    let (_, lines) = said
        .split_once("waits for you:\n")
        .expect("the lines follow the announcement");
    let (lines, _) = lines.split_once("The vault folder is ").unwrap();
    let lines = lines.replace("\\\n", " ");
    let mut token = String::new();
    let mut audio = String::new();
    let mut answers = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(value) = line.strip_prefix("export TOKEN=") {
            value.clone_into(&mut token);
            continue;
        }
        // The comment contains a command for the URL that the command before it returned.
        let command = line
            .strip_prefix("# then, with its audio_url:")
            .map_or(line, |rest| rest.split(" | xxd").next().unwrap().trim());
        let output = Command::new("sh")
            .args(["-c", command])
            .env("TOKEN", &token)
            .env("AUDIO_URL", &audio)
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && !answer.is_empty(),
            "{command}: {output:?}"
        );
        if let Some(url) = serde_json::from_str::<Value>(&answer)
            .ok()
            .and_then(|grant| grant["audio_url"].as_str().map(str::to_owned))
        {
            audio = url;
        }
        answers.push((format!("{command}\n"), answer));
    }
    answers
}
