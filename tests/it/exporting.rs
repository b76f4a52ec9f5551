//! A recorded person asks for everything about them; and what the catalogue says of them is put
//! right.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read as _},
    time::Duration,
};

use bytes::Bytes;
use recvault::{
    config::SHIPPED_POLICY,
    demo::conversation::{Channels, repeat_to},
    flow,
    model::id::RecordingId,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, Recorded, TestVault, send, until};

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
    vault.process.flow.work_off().await.unwrap();
    recorded
}

/// Names who took part in the call of a recording.
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

/// The files of an archive, in their order.
fn unpacked(archive: &Bytes) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
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
            (&facts["id"], &facts["files"]),
            (&json!(recorded.id), &json!(["parties.json", "audio.wav"]))
        );
        let parties = json_of(&files, &format!("recordings/{}/parties.json", recorded.id));
        // The other one's number is theirs.
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
    assert_eq!(manifest["recordings"], json!(included));
    assert_eq!(
        manifest["policy_digest"],
        vault.process.flow.rulebook().current().digest()
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

    // Who listened and why: the reviewer, this archive, and what was refused.
    let listening = json_of(&files, "listening.json")["entries"].clone();
    let listening = listening.as_array().unwrap();
    let of = |what: &str| {
        listening
            .iter()
            .filter(|entry| entry["what"] == what)
            .collect::<Vec<_>>()
    };
    let openings = of("opening.started");
    // One of the reviewer; of this archive, who took part and the sound of each of the two.
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
    // A second archive tells of the first.
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

/// A purpose that opens for an export what `view` gives of its own; in TOML.
fn giving(view: &str) -> String {
    let purpose = "basis = \"legal-obligation\"\n\n[[purposes]]\nname = \"legal-request\"";
    let policy = SHIPPED_POLICY.replacen(
        purpose,
        &purpose.replacen('\n', &format!("\n{view}\n"), 1),
        1,
    );
    assert_ne!(policy, SHIPPED_POLICY);
    policy
}

async fn what_a_view_gives_is_in_it_and_no_more(database: Database) {
    let sentence = json!({ "leg": "caller", "start_ms": 0, "end_ms": 900, "text": "My card is 4111 1111 1111 1111." });
    let spoken = json!({ "language": "en", "source": "test", "sentences": [sentence] });
    for (view, files, says_number) in [
        (
            "view = \"audio\"",
            &[
                "parties.json",
                "audio.wav",
                "transcript.json",
                "transcript.vtt",
            ][..],
            true,
        ),
        (
            "view = \"transcript\"",
            &["parties.json", "transcript.json", "transcript.vtt"],
            true,
        ),
        (
            "view = \"redacted-transcript\"",
            &["transcript.json", "transcript.vtt"],
            false,
        ),
        ("window = { from_s = 1, to_s = 3 }", &["audio.wav"], false),
    ] {
        // Its tier would ask for a second person, once the number is found in what was said.
        let policy = giving(view).replacen(
            "tier = \"restricted\"\n\n[[content]]",
            "tier = \"standard\"\n\n[[content]]",
            1,
        );
        let vault = Recipe {
            policy,
            ..Recipe::on(database)
        }
        .by_hand()
        .await;
        let recorded = vault.sealed().await;
        named(&vault, &recorded, &[("caller", NUMBER)]).await;
        let request = vault.asks("privacy-officer").request(
            Method::PUT,
            &format!("/v1/recordings/{}/transcript", recorded.id),
        );
        let filed = send(request.json(&spoken)).await;
        assert!(filed.status < 300, "{filed:?}");
        let (order, content) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
        let folder = format!("recordings/{}/", recorded.id);
        let theirs: Vec<&str> = order
            .iter()
            .filter_map(|name| name.strip_prefix(&folder))
            .collect();
        assert_eq!(theirs[1..], *files, "{view}");
        assert_eq!(
            json_of(&content, &format!("{folder}recording.json"))["files"],
            json!(files)
        );
        for name in files.iter().filter(|name| name.starts_with("transcript")) {
            let text = String::from_utf8(content[&format!("{folder}{name}")].clone()).unwrap();
            assert!(
                text.contains("My card") && text.contains("4111") == says_number,
                "{view} {name}: {text}"
            );
        }
        if let Some(sound) = content.get(&format!("{folder}audio.wav")) {
            let seconds = if view.starts_with("window") {
                Some(2)
            } else {
                None
            };
            match seconds {
                None => assert!(*sound == recorded.wav),
                Some(seconds) => assert!(
                    sound.len() < recorded.wav.len() / 2 && sound.len() >= 8000 * 2 * seconds,
                    "{}",
                    sound.len()
                ),
            }
        }
    }
}

async fn what_a_second_person_approved_is_in_it(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = recorded_in(&vault, "restricted", vault.record().wav).await;
    named(&vault, &recorded, &[("caller", NUMBER)]).await;
    let wanted = flow::NewToken {
        roles: vec!["privacy-officer".parse().unwrap()],
        ..flow::NewToken::new("second".parse().unwrap(), Duration::from_secs(3600))
    };
    let second = flow::mint_token(&vault.process.ledger, &vault.clock, wanted)
        .await
        .unwrap();
    let second = vault.process.api.clone().bearing(second.token.expose());
    let asked = json!({ "purpose": "subject-request", "justification": WORDS });
    let asked = vault
        .asks("privacy-officer")
        .post(&format!("/v1/recordings/{}/approvals", recorded.id), asked)
        .await
        .json();
    let approved = second
        .post(
            &format!("/v1/approvals/{}", asked["id"].as_str().unwrap()),
            json!({ "approve": true }),
        )
        .await;
    assert_eq!(approved.status, 200);
    let (_, files) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
    assert!(files[&format!("recordings/{}/audio.wav", recorded.id)] == recorded.wav);
    let (_, files) = unpacked(&second.post("/v1/exports", wish(NUMBER)).await.body);
    assert_eq!(
        json_of(&files, "manifest.json")["left_out"][0]["reasons"][0]["code"],
        "approval-missing",
        "it was not for them"
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
    // The stranger may ask, and knows of no recording: not even that there is one.
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

async fn an_officer_corrects_what_the_catalogue_says(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = recorded_in(&vault, "standard", vault.record().wav).await;
    let call = named(&vault, &recorded, &[("caller", NUMBER), ("callee", OTHER)]).await;
    let path = format!("/v1/recordings/{}", recorded.id);
    let corrects = async |who: &str, body: Value| {
        send(vault.asks(who).request(Method::PATCH, &path).json(&body)).await
    };
    assert_eq!(
        vault.details(recorded.id).await["labels"],
        json!({ "queue": "sales" })
    );
    let answer = corrects(
        "privacy-officer",
        json!({ "labels": { "queue": null, "team": "north" } }),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.json()["labels"]),
        (200, &json!({ "team": "north" })),
        "{answer:?}"
    );
    assert_eq!(
        vault.details(recorded.id).await["labels"],
        json!({ "team": "north" })
    );
    corrects("privacy-officer", json!({ "labels": { "team": "north" } })).await;
    assert_eq!(
        vault.count("recording.corrected").await,
        1,
        "it was so already"
    );
    // Somebody else had the place.
    let answer = corrects(
        "privacy-officer",
        json!({ "parties": [{ "leg": "caller", "number": "+493055500000" }] }),
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let (order, _) = unpacked(&exported(&vault, "privacy-officer", NUMBER).await.body);
    assert!(
        !order.iter().any(|name| name.starts_with("recordings/")),
        "{order:?}"
    );
    let (order, _) = unpacked(
        &exported(&vault, "privacy-officer", "+493055500000")
            .await
            .body,
    );
    assert!(
        order.iter().any(|name| name.ends_with("/audio.wav")),
        "{order:?}"
    );
    corrects(
        "privacy-officer",
        json!({ "parties": [{ "leg": "callee" }] }),
    )
    .await;
    let parties = vault
        .asks("privacy-officer")
        .get(&format!("/v1/calls/{call}/parties"))
        .await
        .json();
    assert_eq!(
        parties["parties"],
        json!([{ "leg": "callee", "known": false }, { "leg": "caller", "known": true }])
    );
    let told: Vec<Value> = vault
        .entries()
        .await
        .into_iter()
        .filter(|entry| entry["event"] == "recording.corrected")
        .collect();
    let fields: Vec<&Value> = told
        .iter()
        .map(|entry| &entry["details"]["fields"])
        .collect();
    assert_eq!(
        fields,
        [
            &json!(["labels.queue", "labels.team"]),
            &json!(["parties.caller"]),
            &json!(["parties.callee"])
        ]
    );
    assert!(
        !format!("{told:?}").contains("north") && !format!("{told:?}").contains("5550"),
        "no values"
    );

    for (body, word) in [
        (json!({}), "labels"),
        (json!({ "labels": { "mood": "good" } }), "labels.mood"),
        (json!({ "labels": { "team": "" } }), "labels.team"),
        (
            json!({ "labels": { "team": "x".repeat(65) } }),
            "labels.team",
        ),
        (json!({ "tier": "standard" }), "tier"),
        (
            json!({ "parties": [{ "leg": "channel-1", "number": NUMBER }] }),
            "parties",
        ),
        (
            json!({ "parties": [{ "leg": "caller", "number": 493055501987_i64 }] }),
            "parties",
        ),
    ] {
        let problem = corrects("privacy-officer", body)
            .await
            .problem(400, "bad-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(word) && !detail.contains("5550"),
            "{detail}"
        );
    }
    assert_eq!(
        corrects("agent", json!({ "labels": { "team": "x" } }))
            .await
            .reasons(),
        ["role-not-allowed"]
    );
    corrects("stranger", json!({ "labels": { "team": "x" } }))
        .await
        .problem(404, "not-found");
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    corrects("privacy-officer", json!({ "labels": { "team": "x" } }))
        .await
        .problem(410, "shredded");
}

on_both_databases!(
    a_person_gets_everything_about_them_and_nothing_else,
    what_a_view_gives_is_in_it_and_no_more,
    what_a_second_person_approved_is_in_it,
    who_may_not_learns_nothing_about_anybody,
    an_officer_corrects_what_the_catalogue_says,
);

/// Seconds of sound, 24 MB: so long that its archive is not in any buffer as a whole.
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
        flow.status().await.unwrap().streams == 1
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
        flow.status().await.unwrap().streams == 0
    })
    .await;
}

#[tokio::test]
async fn a_reader_who_leaves_stops_the_archive() {
    let vault = Recipe::default().by_hand().await;
    let ids: Vec<RecordingId> = {
        let mut ids = Vec::new();
        for _ in 0..2 {
            let recorded =
                recorded_in(&vault, "standard", repeat_to(LONG, Channels::Mono).into()).await;
            named(&vault, &recorded, &[("caller", NUMBER)]).await;
            ids.push(recorded.id);
        }
        ids
    };
    let mut archive = vault
        .asks("privacy-officer")
        .request(Method::POST, "/v1/exports")
        .json(&wish(NUMBER))
        .send()
        .await
        .unwrap();
    archive.chunk().await.unwrap().unwrap();
    let flow = &vault.process.flow;
    // Who took part, and then the sound.
    until("the first is being read", || async {
        vault.count("opening.started").await == 2
    })
    .await;
    drop(archive);
    until("nobody reads any more", || async {
        flow.status().await.unwrap().streams == 0
    })
    .await;
    assert_eq!(
        (ids.len(), vault.count("opening.started").await),
        (2, 2),
        "the second was not opened"
    );
}
