//! A recorded person's export of all data about them, and corrections of the catalogue.

mod correcting;
mod views;

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _},
};

use bytes::Bytes;
use recvault::{
    demo::conversation::{Channels, repeat_to},
    flow,
    model::id::RecordingId,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, Recorded, TestVault, until};

const NUMBER: &str = "+493055501987";
const OTHER: &str = "+14155550142";
const WORDS: &str = "Ophelia Brandywine wants her recordings";

async fn recorded_in(vault: &TestVault, tier: &str, wav: Bytes) -> Recorded {
    let recorded = vault.record_wav(wav);
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    assert_eq!(
        vault
            .post_callback(
                &vault.account,
                &format!("/twilio/recordings?tier={tier}&queue=sales"),
                &params
            )
            .await
            .status,
        204
    );
    vault.process.flow.worker.work_off().await.unwrap();
    recorded
}

/// Names the participants of a recording's call.
async fn named(vault: &TestVault, recorded: &Recorded, numbers: &[(&str, &str)]) -> String {
    let call = vault.details(recorded.id).await["call_sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let parties: Vec<Value> = numbers
        .iter()
        .map(|(leg, number)| json!({ "leg": leg, "number": number }))
        .collect();
    let answer = vault
        .asks("privacy-officer")
        .post(
            &format!("/v1/calls/{call}/parties"),
            json!({ "parties": parties }),
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    call
}

async fn exported(vault: &TestVault, who: &str, number: &str) -> Answer {
    vault.asks(who).post("/v1/exports", wish(number)).await
}

fn wish(number: &str) -> Value {
    json!({ "subject": number, "purpose": "subject-request", "justification": WORDS, "ticket": "DSAR-9" })
}

/// Returns the files of an archive, in order.
pub(crate) fn unpacked(archive: &Bytes) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
    let mut order = Vec::new();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(Cursor::new(archive)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        order.push(name.clone());
        assert!(files.insert(name, content).is_none());
    }
    assert!(
        archive.len().is_multiple_of(512)
            && archive[archive.len() - 1024..]
                .iter()
                .all(|byte| *byte == 0),
        "it is whole"
    );
    (order, files)
}

fn json_of(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap()
}

async fn a_person_gets_everything_about_them_and_nothing_else(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let other_sound = Bytes::from(repeat_to(3, Channels::Mono));
    let theirs = recorded_in(&vault, "standard", vault.record().wav).await;
    let short = recorded_in(&vault, "sensitive", other_sound).await;
    let alone = recorded_in(&vault, "restricted", vault.record().wav).await;
    let gone = vault.sealed().await;
    let foreign = vault.sealed().await;
    for recorded in [&theirs, &short, &alone, &gone] {
        named(&vault, recorded, &[("caller", NUMBER), ("callee", OTHER)]).await;
    }
    named(&vault, &foreign, &[("caller", OTHER)]).await;
    let receipt = vault.shred(gone.id).await.json()["receipt_id"].clone();
    let said = json!({ "subject": NUMBER, "purposes": ["training"], "answer": "given", "method": "contract", "evidence": "contract 17" });
    let told = vault
        .asks("privacy-officer")
        .post("/v1/consents", said)
        .await;
    assert!(told.status < 300, "{told:?}");
    vault.anybody().get(&vault.audio(theirs.id).await).await;
    let heard_by = vault.minted("reviewer").principal.id;

    let answer = exported(&vault, "privacy-officer", " +49 (30) 555-01987").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/x-tar"),
        "{answer:?}"
    );
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"export.tar\""
    );
    let (order, files) = unpacked(&answer.body);
    let mut included = [theirs.id, short.id];
    included.sort();
    let mut expected = vec!["manifest.json".to_owned(), "consents.json".to_owned()];
    expected.extend(included.iter().flat_map(|id| {
        ["recording.json", "parties.json", "audio.wav"]
            .map(|name| format!("recordings/{id}/{name}"))
    }));
    expected.push("listening.json".to_owned());
    assert_eq!(order, expected);
    for recorded in [&theirs, &short] {
        assert!(
            files[&format!("recordings/{}/audio.wav", recorded.id)] == recorded.wav,
            "byte for byte"
        );
        let facts = json_of(
            &files,
            &format!("recordings/{}/recording.json", recorded.id),
        );
        assert_eq!(
            (&facts["id"], &facts["kind"], &facts["files"]),
            (
                &json!(recorded.id),
                &json!("call"),
                &json!(["parties.json", "audio.wav"])
            )
        );
        let parties = json_of(&files, &format!("recordings/{}/parties.json", recorded.id));
        // The other person's number is not included.
        let party = |leg: &str, address: Option<&str>| json!({ "leg": leg, "channel": null, "address": address, "name": null });
        assert_eq!(
            parties["parties"],
            json!([
                party("callee", None),
                party("caller", Some(&NUMBER.replace([' ', '-'], "")))
            ])
        );
        assert_eq!(facts["labels"], json!({ "queue": "sales" }));
    }

    let manifest = json_of(&files, "manifest.json");
    let collected = included.map(|id| json!({ "id": id, "kind": "call" }));
    assert_eq!(manifest["recordings"], json!(collected));
    assert_eq!(
        manifest["policy_digest"],
        vault.process.flow.rulebook.current().digest()
    );
    assert_eq!(
        (&manifest["purpose"], &manifest["ticket"]),
        (&json!("subject-request"), &json!("DSAR-9"))
    );
    let left_out: BTreeMap<String, Value> = manifest["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|left| {
            (
                left["recording_id"].as_str().unwrap().to_owned(),
                left.clone(),
            )
        })
        .collect();
    assert_eq!(left_out.len(), 2, "{manifest}");
    assert!(left_out.values().all(|left| left["kind"] == "call"));
    assert_eq!(
        left_out[&alone.id.to_string()]["reasons"][0]["code"],
        "approval-missing"
    );
    let shredded = &left_out[&gone.id.to_string()];
    assert_eq!(
        (&shredded["reasons"][0]["code"], &shredded["receipt_id"]),
        (&json!("recording-shredded"), &receipt)
    );

    let statements = json_of(&files, "consents.json")["statements"].clone();
    assert_eq!(statements.as_array().unwrap().len(), 1);
    assert_eq!(
        (&statements[0]["answer"], &statements[0]["purposes"]),
        (&json!("given"), &json!(["training"]))
    );
    assert_eq!(
        statements[0]["evidence"],
        json!({ "address": NUMBER, "evidence": "contract 17" })
    );

    // Accesses with their reasons: the reviewer, this archive, and refusals.
    let listening = json_of(&files, "listening.json")["entries"].clone();
    let listening = listening.as_array().unwrap();
    let of = |what: &str| {
        listening
            .iter()
            .filter(|entry| entry["what"] == what)
            .collect::<Vec<_>>()
    };
    let openings = of("opening.started");
    // One of the reviewer; for this archive, participants and audio of each of the two.
    assert_eq!(openings.len(), 5);
    assert_eq!(
        (
            &openings[0]["who"],
            &openings[0]["purpose"],
            &openings[0]["recording_id"]
        ),
        (
            &json!(heard_by),
            &json!("quality-review"),
            &json!(theirs.id)
        )
    );
    assert!(
        openings[1..]
            .iter()
            .all(|entry| entry["purpose"] == "subject-request")
    );
    assert_eq!(
        (
            of("subject.exported").len(),
            of("decision.allowed").len(),
            of("decision.denied").len()
        ),
        (1, 3, 2)
    );
    assert!(
        listening
            .iter()
            .all(|entry| entry["recording_id"] != json!(foreign.id))
    );

    // The log has it once, with ids only.
    let told: Vec<Value> = vault
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry["event"] == "subject.exported")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (
            &told[0]["details"]["recordings"],
            &told[0]["details"]["left_out"]
        ),
        (&json!(2), &json!(2))
    );
    let log = vault
        .asks("auditor")
        .get("/v1/audit?limit=1000")
        .await
        .text();
    for secret in ["555", "Brandywine", "contract 17"] {
        assert!(
            !log.contains(&format!("\"{secret}")) && !log.contains("Brandywine"),
            "{secret}"
        );
    }
    // A second archive lists the first.
    let (_, files) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
    let entries = json_of(&files, "listening.json")["entries"].clone();
    assert_eq!(
        entries
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["what"] == "subject.exported")
            .count(),
        2
    );
}

async fn who_may_not_learns_nothing_about_anybody(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    named(&vault, &recorded, &[("caller", NUMBER)]).await;
    for who in ["agent", "reviewer", "auditor"] {
        let known = exported(&vault, who, NUMBER).await;
        let unknown = exported(&vault, who, "+493055509999").await;
        assert_eq!(known.reasons(), ["role-not-allowed"], "{who}");
        assert_eq!(known.body, unknown.body, "{who}");
    }
    let known = exported(&vault, "nobody", NUMBER).await;
    let unknown = exported(&vault, "nobody", "+493055509999").await;
    known.problem(404, "not-found");
    assert_eq!(known.body, unknown.body);
    // The stranger may export, but has access to no recording, and learns of none.
    let (order, files) = unpacked(&exported(&vault, "stranger", NUMBER).await.body);
    assert_eq!(order, ["manifest.json", "listening.json"]);
    let manifest = json_of(&files, "manifest.json");
    assert_eq!(
        (&manifest["recordings"], &manifest["left_out"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(manifest["missing_files"][0]["file"], "consents.json");
    assert_eq!(vault.count("opening.started").await, 0);

    let officer = vault.asks("privacy-officer");
    for (body, field) in [
        (
            json!({ "subject": "030 98765", "purpose": "subject-request", "justification": WORDS }),
            "subject",
        ),
        (
            json!({ "subject": 493055501987_i64, "purpose": "subject-request", "justification": WORDS }),
            "subject",
        ),
        (
            json!({ "purpose": "subject-request", "justification": WORDS }),
            "subject",
        ),
        (
            json!({ "subject": NUMBER, "justification": WORDS }),
            "purpose",
        ),
    ] {
        let problem = officer
            .post("/v1/exports", body)
            .await
            .problem(400, "bad-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(field) && !detail.contains("98765") && !detail.contains("5550"),
            "{detail}"
        );
    }
    let silent = json!({ "subject": NUMBER, "purpose": "subject-request" });
    assert_eq!(
        officer.post("/v1/exports", silent).await.reasons(),
        ["justification-missing"]
    );
    let unknown = json!({ "subject": NUMBER, "purpose": "curiosity", "justification": WORDS });
    assert_eq!(
        officer.post("/v1/exports", unknown).await.reasons(),
        ["purpose-unknown"]
    );
}

on_both_databases!(
    a_person_gets_everything_about_them_and_nothing_else,
    who_may_not_learns_nothing_about_anybody,
);

/// Seconds of audio, 24 MB: so long that no buffer holds its whole archive.
const LONG: u32 = 1500;

#[tokio::test]
async fn an_archive_breaks_off_when_a_recording_in_it_is_shredded() {
    let vault = Recipe::default().by_hand().await;
    let recorded = recorded_in(&vault, "standard", repeat_to(LONG, Channels::Mono).into()).await;
    named(&vault, &recorded, &[("caller", NUMBER)]).await;
    let mut archive = vault
        .asks("privacy-officer")
        .request(Method::POST, "/v1/exports")
        .json(&wish(NUMBER))
        .send()
        .await
        .unwrap();
    assert_eq!(archive.status(), 200);
    let mut read = 0;
    while read < 256 << 10 {
        read += archive.chunk().await.unwrap().unwrap().len();
    }
    let flow = &vault.process.flow;
    until("the recording is being read", || async {
        flow.monitoring.status().await.unwrap().streams == 1
    })
    .await;
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    let broken = loop {
        match archive.chunk().await {
            Ok(Some(piece)) => read += piece.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && read < recorded.wav.len(), "{read}");
    until("nobody reads any more", || async {
        flow.monitoring.status().await.unwrap().streams == 0
    })
    .await;
}

/// Records two long conversations of one person, and begins to read the archive. Returns the ids
/// of the recordings.
async fn two_begun(vault: &TestVault) -> (Vec<RecordingId>, reqwest::Response) {
    let mut ids = Vec::new();
    for _ in 0..2 {
        let recorded = recorded_in(vault, "standard", repeat_to(LONG, Channels::Mono).into()).await;
        named(vault, &recorded, &[("caller", NUMBER)]).await;
        ids.push(recorded.id);
    }
    let mut archive = vault
        .asks("privacy-officer")
        .request(Method::POST, "/v1/exports")
        .json(&wish(NUMBER))
        .send()
        .await
        .unwrap();
    archive.chunk().await.unwrap().unwrap();
    (ids, archive)
}

/// Nobody told this process of the revocation: what is being read is not ended, and nothing more
/// is opened.
#[tokio::test]
async fn an_archive_breaks_off_when_its_token_is_revoked() {
    let vault = Recipe::default().by_hand().await;
    let (_, mut archive) = two_begun(&vault).await;
    until("the first is being read", || async {
        vault.count("opening.started").await == 2
    })
    .await;
    let token = vault.minted("privacy-officer").row.id;
    flow::revoke_token(&vault.process.db, &vault.clock, token)
        .await
        .unwrap();
    let broken = loop {
        match archive.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "the archive went on without its token");
    assert_eq!(
        vault.count("opening.started").await,
        2,
        "the participants and the audio of the first recording only"
    );
}

#[tokio::test]
async fn a_reader_who_leaves_stops_the_archive() {
    let vault = Recipe::default().by_hand().await;
    let (ids, archive) = two_begun(&vault).await;
    let flow = &vault.process.flow;
    // The participants, and then the audio.
    until("the first is being read", || async {
        vault.count("opening.started").await == 2
    })
    .await;
    drop(archive);
    until("nobody reads any more", || async {
        flow.monitoring.status().await.unwrap().streams == 0
    })
    .await;
    assert_eq!(
        (ids.len(), vault.count("opening.started").await),
        (2, 2),
        "the second was not opened"
    );
}
