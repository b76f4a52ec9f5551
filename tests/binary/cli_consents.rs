//! `consent import`, `consent list` and `consent record`.

use std::fs;

use recvault::model::actor::Initiator;
use serde_json::json;

use crate::world::World;

/// Fictitious numbers.
const ANNA: &str = "+493023125001";
const BERTA: &str = "+493023125002";

fn file(world: &World, name: &str, text: &str) -> String {
    fs::write(world.path(name), text).unwrap();
    world.path(name).display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_taken_in_once() {
    let world = World::sqlite().await;
    let rows = format!(
        "subject,purposes,answer,method,evidence,at\n{ANNA},recording;training,given,contract,contract 17,2026-01-01T00:00:00Z\n\
         \"{BERTA}\",,declined,letter,,2026-01-02T00:00:00+01:00\n"
    );
    let csv = file(&world, "consents.csv", &rows);
    let dry = world.run(&["consent", "import", &csv, "--dry-run"]).done();
    let (first, ids) = dry.split_once('\n').unwrap();
    assert_eq!(
        first,
        "Would record 2 statements; known before: 0 of 2. Nothing was done."
    );
    assert_eq!(ids.matches("  cns_").count(), 2, "{dry}");
    assert_eq!(
        world.run(&["consent", "list", "--subject", ANNA]).done(),
        ""
    );
    let did = world.run(&["consent", "import", &csv, "--json"]).json();
    let imported = json!({ "statements": 2, "fresh": 2, "released": 0, "quarantined": 0 });
    assert_eq!(did, json!({ "dry_run": false, "imported": imported }));
    let said = world.run(&["consent", "import", &csv]).done();
    assert!(
        said.starts_with("Recorded 0 statements; known before: 2 of 2."),
        "{said}"
    );

    // The same as JSON lines is the same.
    let lines = format!(
        "{}\n{}\n",
        json!({ "subject": "+49 30 23125 001", "purposes": ["training", "recording"], "answer": "given", "method": "contract",
            "evidence": "contract 17", "at": "2026-01-01T01:00:00+01:00" }),
        json!({ "subject": BERTA, "answer": "declined", "method": "letter", "at": "2026-01-01T23:00:00Z" }),
    );
    let jsonl = file(&world, "consents.jsonl", &lines);
    assert_eq!(
        world.run(&["consent", "import", &jsonl, "--json"]).json()["imported"]["fresh"],
        0
    );

    let listed = world
        .run(&[
            "consent",
            "list",
            "--subject",
            "+49 (30) 23125-001",
            "--json",
        ])
        .json();
    let [one] = listed.as_array().unwrap().as_slice() else {
        panic!("{listed}")
    };
    assert_eq!(
        (&one["answer"], &one["purposes"], &one["recorded_by"]),
        (
            &json!("given"),
            &json!(["recording", "training"]),
            &json!(Initiator::Operator.actor())
        )
    );
    let text = world.run(&["consent", "list", "--subject", ANNA]).done();
    assert!(
        text.contains("2026-01-01T00:00:00.000Z  given by contract: recording, training\n"),
        "{text}"
    );
    assert!(
        !text.contains("contract 17") && !text.contains("23125"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_faults_is_refused_line_by_line() {
    let world = World::sqlite().await;
    let rows = format!(
        "subject,purposes,answer,method,at\n{ANNA},,given,contract,2026-01-01T00:00:00Z\n03023125001,selling,yes,contract,tomorrow\n\
         {ANNA},selling,given,contract,2126-01-01T00:00:00Z\n"
    );
    let csv = file(&world, "consents.csv", &rows);
    let refused = world.run(&["consent", "import", &csv]).refused();
    for fault in [
        "5 faults; nothing was recorded",
        "line 3: `subject`:",
        "line 3: `answer`:",
        "line 3: `at`:",
        "line 4: `purposes`:",
        "line 4: `at`:",
    ] {
        assert!(refused.contains(fault), "{fault}: {refused}");
    }
    assert!(!refused.contains("23125"), "{refused}");
    assert_eq!(
        world.run(&["consent", "list", "--subject", ANNA]).done(),
        "",
        "nothing is half imported"
    );
    let text = file(&world, "consents.txt", &rows);
    assert!(
        world
            .run(&["consent", "import", &text])
            .refused()
            .contains("give `--format`")
    );
    assert!(
        world
            .run(&["consent", "import", &text, "--format", "jsonl"])
            .refused()
            .contains("line 1: not a JSON object")
    );
    assert!(
        world
            .run(&["consent", "import", "nowhere.csv"])
            .refused()
            .contains("`nowhere.csv`")
    );
    let unknown = world
        .run(&["consent", "list", "--subject", "03023125001"])
        .refused();
    assert!(
        unknown.contains("`--subject`: not a telephone number") && !unknown.contains("23125"),
        "{unknown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_statement_is_recorded_at_a_time() {
    let world = World::sqlite().await;
    let about = [
        "consent",
        "record",
        "--subject",
        ANNA,
        "--answer",
        "given",
        "--method",
        "speech",
        "--json",
    ];
    let told = world.run(&about).json();
    assert_eq!(
        (
            &told["is_new"],
            told["id"].as_str().unwrap().starts_with("cns_")
        ),
        (&json!(true), true)
    );
    let at = [
        &about[..],
        &["--at", "2026-01-01T00:00:00Z", "--purpose", "training"],
    ]
    .concat();
    assert_eq!(world.run(&at).json()["is_new"], true);
    assert_eq!(world.run(&at).json()["is_new"], false);
    let call = format!("CA{}", "0".repeat(32));
    let place = [
        "consent", "record", "--call", &call, "--leg", "caller", "--answer", "declined",
        "--method", "keypad",
    ];
    assert!(world.run(&place).done().starts_with("Recorded cns_"));
    let listed = world
        .run(&["consent", "list", "--subject", ANNA, "--json"])
        .json();
    let versions: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|said| said["policy_version"].clone())
        .collect();
    assert_eq!(
        versions,
        [json!("1"), json!(null)],
        "only what is said now is said under the policy in force"
    );
    let selling = [&about[..], &["--purpose", "selling"]].concat();
    assert!(world.run(&selling).refused().contains("`purposes`"));
    let log = world.run(&["audit", "list"]).done();
    assert!(
        log.contains("consent.recorded") && !log.contains("23125"),
        "{log}"
    );
}
