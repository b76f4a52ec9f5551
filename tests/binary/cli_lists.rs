//! Lists, receipts, grants and exports on the command line, beside a running service.

use std::{fs, io::Write as _, process::Stdio};

use serde_json::json;

use crate::{
    process::recvault,
    world::{World, sound},
};

/// A fictitious number (Bundesnetzagentur, numbers for media use).
const ANNA: &str = "+493023125001";

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_says_so_to_people() {
    let world = World::sqlite().await;
    for (list, what) in [
        (&["recordings", "list"][..], "no recordings"),
        (&["grant", "list"], "no grants"),
        (&["hold", "list"], "no holds"),
        (&["approval", "list"], "no requests for an approval"),
        (&["consent", "list", "--subject", ANNA], "no statements"),
        (&["audit", "list", "--event", "glass.broken"], "no entries"),
    ] {
        let said = world.run(list);
        assert_eq!(
            (said.code, said.stdout.as_str(), said.stderr.trim()),
            (Some(0), "", what),
            "{list:?}"
        );
        let machine = world.run(&[list, &["--json"]].concat());
        assert_eq!(
            (machine.code, machine.stderr.as_str()),
            (Some(0), ""),
            "{machine:?}"
        );
        let wanted = if list[0] == "audit" { "" } else { "[]" };
        assert_eq!(machine.stdout.trim(), wanted, "{list:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_found_by_what_is_known_of_them() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let first = world.sealed(&service.client, sound(1, 1)).await.to_string();
    let second = world.sealed(&service.client, sound(2, 1)).await.to_string();
    let found = |args: &[&str]| -> Vec<String> {
        let all = world
            .run(&[&["recordings", "list", "--json"], args].concat())
            .json();
        let ids = all.as_array().unwrap().iter();
        ids.map(|each| each["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found(&[]), [second.clone(), first.clone()]);
    assert_eq!(
        found(&["--sort", "announced_at"]),
        [first.clone(), second.clone()]
    );
    assert_eq!(found(&["--tier", "restricted"]), [""; 0]);
    assert_eq!(
        found(&["--state", "sealed", "--account", world.account.as_str()]).len(),
        2
    );
    assert_eq!(found(&["--until", "2020-01-01"]), [""; 0]);
    let cut = world.run(&["recordings", "list", "--limit", "1"]);
    assert!(
        cut.stdout.lines().count() == 1 && cut.stderr.contains("raise `--limit`"),
        "{cut:?}"
    );
    let shown = world.run(&["recordings", "show", &first]).done();
    assert!(
        shown.contains(&first)
            && shown.contains("tier         standard")
            && shown.contains("audio, "),
        "{shown}"
    );
    let over_http = service
        .client
        .ask(
            reqwest::Method::GET,
            &format!("/v1/recordings/{first}"),
            None,
        )
        .await
        .unwrap()
        .1;
    let shown = world.run(&["recordings", "show", &first, "--json"]).json();
    assert_eq!(shown, over_http, "it is the same as over HTTP");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_given_in_the_name_of_a_principal_only() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let wav = sound(1, 1);
    let id = world.sealed(&service.client, wav.clone()).await;
    let recording = id.to_string();
    fs::write(world.path("token"), format!("{}\n", world.token)).unwrap();
    fs::write(world.path("none"), "rvt_0").unwrap();
    let ask = |token: &str, purpose: &str| {
        let args = [
            "grant",
            "create",
            &recording,
            "--purpose",
            purpose,
            "--token-file",
            token,
            "--json",
        ];
        world.run(&args)
    };
    let granted = ask("token", "quality-review").json();
    let grant = granted["id"].as_str().unwrap();
    let path = granted["audio_url"].as_str().unwrap();
    let path = &path[path.find("/v1/").unwrap()..];
    let (status, heard) = service.client.get(path).await.unwrap();
    assert_eq!((status, heard), (200, wav), "{granted}");
    for (token, purpose, code) in [
        ("none", "quality-review", "denied"),
        ("token", "no-such-purpose", "denied"),
    ] {
        let refused = ask(token, purpose).refused();
        assert!(
            refused.contains(&format!("\"code\":\"{code}\"")),
            "{refused}"
        );
    }
    // With the words and the clauses that the HTTP interface gives.
    let refused = ask("token", "no-such-purpose").refused();
    let refused: serde_json::Value = serde_json::from_str(&refused).unwrap();
    let (status, problem) = service
        .client
        .ask(
            reqwest::Method::POST,
            &format!("/v1/recordings/{recording}/grants"),
            Some(json!({ "purpose": "no-such-purpose" })),
        )
        .await
        .unwrap();
    assert_eq!(status, 403, "{problem}");
    let reasons = &refused["error"]["reasons"];
    assert_eq!(reasons, &problem["reasons"], "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    for part in ["text", "code", "clause"] {
        assert!(
            message.contains(reasons[0][part].as_str().unwrap()),
            "{message}"
        );
    }
    let listed = world
        .run(&[
            "grant", "list", "--object", &recording, "--state", "living", "--json",
        ])
        .json();
    assert_eq!(
        (&listed[0]["id"], listed.as_array().unwrap().len()),
        (&json!(grant), 1),
        "{listed}"
    );
    let another = ask("token", "quality-review").json();
    let cut = world.run(&["grant", "list", "--limit", "1"]);
    assert!(
        cut.stdout.lines().count() == 1
            && cut.stdout.contains(another["id"].as_str().unwrap())
            && cut.stderr.contains("raise `--limit`"),
        "{cut:?}"
    );
    let whole = world.run(&["grant", "list", "--limit", "2"]);
    assert_eq!(
        (whole.stdout.lines().count(), whole.stderr.as_str()),
        (2, "")
    );
    let another = another["id"].as_str().unwrap();
    world.run(&["grant", "end", another]).done();
    world.run(&["grant", "end", grant]).done();
    let ended = world.run(&["grant", "list", "--state", "ended"]).done();
    assert!(
        ended.contains(grant) && ended.contains("  ended  "),
        "{ended}"
    );
    // The log names the principal, and every kind of request.
    let entry = world
        .run(&[
            "audit",
            "list",
            "--event",
            "decision.denied",
            "--newest",
            "--limit",
            "1",
        ])
        .done();
    assert!(
        entry.contains(" prn_") && entry.contains(&recording),
        "{entry}"
    );
    let of_recording = world
        .run(&["audit", "list", "--recording", &recording, "--json"])
        .done();
    assert!(
        of_recording.lines().count() >= 4
            && of_recording.lines().all(|line| line.contains(&recording)),
        "{of_recording}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_names_its_receipts_and_each_can_be_shown() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let id = world.sealed(&service.client, sound(1, 1)).await.to_string();
    // Nothing changes during the look.
    service.process.stop().await;
    let dry = world
        .run(&[
            "revoke",
            "--recording",
            &id,
            "--reason",
            "subject-request",
            "--dry-run",
        ])
        .done();
    assert!(
        dry.contains(&format!("Would shred 1 recording.\n  {id}\n")),
        "{dry}"
    );
    let said = world
        .run(&["revoke", "--recording", &id, "--reason", "subject-request"])
        .done();
    let line = said
        .lines()
        .find(|line| line.contains(&id))
        .unwrap_or_else(|| panic!("{said}"));
    let receipt = line.rsplit(' ').next().unwrap();
    assert!(
        receipt.starts_with("rcp_") && said.contains("1 recording is shredded"),
        "{said}"
    );
    let revocation = said
        .split_whitespace()
        .nth(1)
        .unwrap()
        .trim_end_matches(':');
    let shown = world.run(&["receipt", "show", receipt]).done();
    assert_eq!(world.run(&["receipt", "show", &id]).done(), shown);
    for (name, jws) in [
        ("one", shown),
        ("whole", world.run(&["receipt", "show", revocation]).done()),
    ] {
        fs::write(world.path(name), jws).unwrap();
        let verified = world.run(&["receipt", "verify", name, "--json"]).json();
        assert_eq!(verified["verified"], true, "{verified}");
    }
    let turn = world.run(&["epoch", "turn", "--dry-run", "--json"]).json();
    assert_eq!(turn["would_cover"], json!([id]), "{turn}");
    let rotate = world.run(&["rotate", "--dry-run", "--json"]).json();
    assert_eq!(
        rotate["would_renew"].as_array().unwrap().len() as u64,
        rotate["pages"].as_u64().unwrap(),
        "{rotate}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_on_standard_input_is_on_no_command_line() {
    let world = World::sqlite().await;
    fs::write(world.path("token"), &world.token).unwrap();
    let run = |args: &[&str], input: &str| {
        let mut command = recvault();
        let mut child = command
            .current_dir(world.folder.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let line = format!("{ANNA}\n");
    let revoke = ["revoke", "--subject", "-", "--reason", "subject-request"];
    let (code, said, why) = run(&revoke, &line);
    assert!(
        code == Some(0) && said.contains("0 recordings are shredded"),
        "{said}{why}"
    );
    let (code, listed, why) = run(&["consent", "list", "--subject", "-"], &line);
    assert!(
        code == Some(0) && listed.contains("withdrawn"),
        "{listed}{why}"
    );
    let export = [
        "export",
        "--subject",
        "-",
        "--purpose",
        "subject-request",
        "--justification",
        "Article 15",
        "--token-file",
        "token",
        "--output",
    ];
    let (code, said, why) = run(&[&export[..], &["anna.tar"]].concat(), &line);
    assert!(code == Some(0) && said.contains("anna.tar"), "{said}{why}");
    let archive = fs::read(world.path("anna.tar")).unwrap();
    assert!(archive.starts_with(b"manifest.json") && archive.ends_with(&[0; 1024]));
    let (code, same, _) = run(&[&export[..], &["-"]].concat(), &line);
    assert!(code == Some(0) && same.starts_with("manifest.json"));
    let (code, _, why) = run(&[&export[..], &["anna.tar"]].concat(), &line);
    assert!(
        code == Some(1) && why.contains("anna.tar"),
        "it is not written over: {why}"
    );
    let (code, _, why) = run(&revoke, "not a number 4711\n");
    assert!(code == Some(1) && !why.contains("4711"), "{why}");
    let log = world
        .run(&["audit", "list", "--event", "subject.exported", "--json"])
        .done();
    assert!(
        log.lines().count() == 2 && log.contains("\"actor\":\"prn_") && !log.contains(ANNA),
        "{log}"
    );
}
