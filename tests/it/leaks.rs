//! A whole workflow is run, and then all written data is searched for content that must not be in
//! it.

mod search;

use std::{
    fs,
    io::Write,
    sync::{Arc, Mutex, OnceLock},
};

use recvault::{
    db::keys,
    demo::stand_in::{MediaFault, SentenceFacts, TranscriptFacts, TranscriptionFacts},
    keyring::tree,
    model::time::Clock,
    secret::{SecretText, TokenKind},
    twilio::signature,
};
use reqwest::Method;
use serde_json::json;

use self::search::Search;
use crate::world::{Database, Kept, Recipe, Recorded, TestVault, digits, files_below, send, until};

/// All personal data in Twilio's parameters.
const PEOPLE: [(&str, &str); 10] = [
    ("From", "+14155550142"),
    ("To", "+493055501987"),
    ("Caller", "+14155550142"),
    ("Called", "+493055501987"),
    ("ForwardedFrom", "+442075550163"),
    ("CallerName", "Zebediah Quuxington"),
    ("FromCity", "Llanfairpwllgwyngyll"),
    ("FromZip", "LL61 5UJ"),
    ("SipHeader_X-Customer", "customer-8861-Quuxington"),
    ("SpeechResult", "my card number is four seven one one"),
];

const JUSTIFICATION: &str = "Ophelia Brandywine called back about her mortgage";

const SAID: &str = "Persephone Vandergelder owes eleven thousand";

/// Captures the log lines of this process, at the most verbose level of our own code and of every
/// library.
fn logs() -> Arc<Mutex<Vec<u8>>> {
    static LINES: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    LINES
        .get_or_init(|| {
            let lines = Arc::new(Mutex::new(Vec::new()));
            let pen = Arc::clone(&lines);
            let subscriber = tracing_subscriber::fmt()
                .with_env_filter("trace")
                .with_writer(move || Pen(Arc::clone(&pen)));
            subscriber
                .try_init()
                .expect("nothing else logs in this process");
            lines
        })
        .clone()
}

struct Pen(Arc<Mutex<Vec<u8>>>);

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Posts the callback of a recording with all personal data; by GET, so that it is in a URL, or by
/// POST.
async fn tell_everything(vault: &TestVault, recorded: &Recorded, method: Method) {
    let mut params = vault.stand_in.callback_params(&recorded.sid, "completed");
    params.extend(PEOPLE.map(|(name, value)| (name.to_owned(), value.to_owned())));
    // So that the numbers are assigned to the parties and read.
    params.push(("Direction".to_owned(), "inbound".to_owned()));
    if method == Method::POST {
        assert_eq!(
            vault
                .post_callback(&vault.account, "/twilio/recordings", &params)
                .await
                .status,
            204
        );
        return;
    }
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&params)
        .finish();
    let path = format!("/twilio/recordings?{query}");
    let sign = |token: &str| {
        signature::sign(
            &SecretText::new(token.to_owned()),
            &vault.process.public(&path),
            &[],
        )
    };
    for (token, status) in [
        (vault.made.vault.to_string(), 403),
        (vault.auth_token.clone(), 204),
    ] {
        assert_eq!(
            vault
                .anybody()
                .with(Method::GET, &path, &[(signature::HEADER, &sign(&token))])
                .await
                .status,
            status
        );
    }
}

/// Posts parties and statements of consent as the application, including faulty ones.
async fn tell_who_they_are(vault: &TestVault, recorded: &Recorded) {
    let caller = PEOPLE[0].1;
    let callee = PEOPLE[1].1;
    let evidence = PEOPLE[9].1;
    let officer = vault.asks("privacy-officer");
    let parties = format!("/v1/calls/CA{}/parties", &recorded.sid.as_str()[2..]);
    let both = |one: &str, other: &str| json!({ "parties": [{ "leg": "caller", "number": one }, { "leg": "callee", "number": other }] });
    let said = |subject: &str| json!({ "subject": subject, "answer": "given", "method": "speech", "evidence": evidence });
    for (path, body, status) in [
        (parties.as_str(), both(caller, callee), 200),
        (&parties, both(callee, caller), 409),
        (&parties, both(caller, &callee[1..]), 400),
        (&parties, json!({ "parties": [{ "leg": callee }] }), 400),
        ("/v1/consents", said(caller), 201),
        ("/v1/consents", said(&caller[1..]), 400),
        (
            "/v1/consents",
            json!({ "items": [said(callee), { "subject": callee, "purposes": callee, callee: 1 }] }),
            400,
        ),
        ("/v1/consents/search", json!({ "subject": caller }), 200),
        (
            "/v1/consents/search",
            json!({ "subject": caller, "limit": callee }),
            400,
        ),
    ] {
        let answer = officer.post(path, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        for needle in [caller, callee] {
            assert!(!answer.text().contains(&needle[1..]), "{answer:?}");
        }
    }
}

/// Posts spoken text in every form: for one recording as a transcript that is fetched, and for a
/// call in progress.
async fn tell_what_was_said(vault: &TestVault, recorded: &Recorded) {
    let tell = async |path: &str, params: &[(String, String)]| {
        vault
            .post_callback(&vault.account, path, params)
            .await
            .status
    };
    let gt = format!("GT{}", digits());
    let tr = format!("TR{}", digits());
    let sentences = vec![SentenceFacts::new(1, "0.1", "2.0", SAID)];
    let facts = TranscriptFacts {
        sentences,
        customer_key: Some(SAID.to_owned()),
        ..TranscriptFacts::new(gt.clone(), &recorded.sid)
    };
    vault.stand_in.add_transcript(&vault.account, facts);
    vault.stand_in.add_transcription(
        &vault.account,
        TranscriptionFacts::new(tr.clone(), recorded.sid.clone(), SAID),
    );
    assert_eq!(
        tell(
            "/twilio/intelligence",
            &vault.stand_in.transcript_event(&gt).unwrap()
        )
        .await,
        204
    );
    assert_eq!(
        tell(
            "/twilio/transcriptions",
            &vault.stand_in.transcription_callback_params(&tr).unwrap()
        )
        .await,
        204
    );
    until("what was said is filed", async || {
        vault.artefacts(recorded.id).await.len() == 2
    })
    .await;
    // A call in progress, so that its utterances wait in the database.
    let mut rt = vault
        .stand_in
        .real_time(&vault.account, &format!("CA{}", digits()).parse().unwrap());
    for (params, status) in [
        (rt.started(), 204),
        (rt.partial("inbound_track", SAID, "0.5"), 204),
        (rt.said("inbound_track", SAID, 0.5), 204),
    ] {
        assert_eq!(tell("/twilio/realtime", &params).await, status);
    }
    let mut broken = rt.said("outbound_track", SAID, 0.5);
    broken
        .iter_mut()
        .find(|(name, _)| name == "TranscriptionData")
        .unwrap()
        .1 = SAID.to_owned();
    assert_eq!(tell("/twilio/realtime", &broken).await, 400);
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM utterances")
            .await,
        Some(3)
    );
}

/// Searches for every key: the root key, page keys, record keys and the signing seed.
async fn search_for_keys(vault: &TestVault, search: &mut Search) {
    let root = vault.root().await;
    search.key("root key", root.key.expose());
    let mut tx = vault.process.db.read().await.unwrap();
    let mut found = 0;
    for row in keys::all_pages(&mut tx).await.unwrap() {
        let page = tree::walk(
            keys::path(&mut tx, row.id).await.unwrap(),
            &root,
            vault.made.vault,
        )
        .unwrap()
        .page;
        for key in (0..128).filter_map(|slot| page.key(slot).ok()) {
            search.key("key in a page", key.expose());
            found += 1;
        }
    }
    assert!(
        found >= 8,
        "a signing seed, four pages of a path and record keys"
    );
}

async fn a_story_leaves_nothing_readable(recipe: Recipe) {
    let logs = logs();
    let vault = Recipe {
        clock: Clock::System,
        ..recipe
    }
    .served()
    .await;
    let mut search = Search::default();
    let kept = vault.record();
    let shredded = vault.record();
    tell_everything(&vault, &kept, Method::POST).await;
    vault
        .stand_in
        .fail(&shredded.sid, MediaFault::CutBody { at: 300_000 });
    tell_everything(&vault, &shredded, Method::GET).await;
    for recorded in [&kept, &shredded] {
        until("it is sealed", async || {
            vault.state(recorded.id).await == "sealed"
        })
        .await;
    }
    tell_who_they_are(&vault, &kept).await;
    let heard = vault.record();
    tell_everything(&vault, &heard, Method::POST).await;
    until("it is sealed", async || {
        vault.state(heard.id).await == "sealed"
    })
    .await;
    tell_what_was_said(&vault, &heard).await;
    search_for_keys(&vault, &mut search).await;

    let mut grants = Vec::new();
    for recorded in [&kept, &shredded] {
        let path = format!("/v1/recordings/{}/grants", recorded.id);
        for (who, status) in [("agent", 201), ("auditor", 403), ("stranger", 404)] {
            let answer = vault
                .asks(who)
                .post(
                    &path,
                    json!({ "purpose": "follow-up", "justification": JUSTIFICATION }),
                )
                .await;
            assert_eq!(answer.status, status, "{answer:?}");
            if status == 201 {
                grants.push(
                    vault
                        .process
                        .path_of(answer.json()["audio_url"].as_str().unwrap()),
                );
            }
        }
    }
    for grant in &grants {
        assert_eq!(vault.anybody().get(grant).await.status, 200);
        assert_eq!(
            vault
                .anybody()
                .with(Method::GET, grant, &[("range", "bytes=70000-200000")])
                .await
                .status,
            206
        );
        assert_eq!(vault.anybody().get(&format!("{grant}x")).await.status, 404);
    }
    for grant in &grants {
        let read = vault
            .anybody()
            .get(&grant.replace("audio.wav", "parties.json"))
            .await;
        assert!(
            read.status == 200 && read.text().contains(PEOPLE[0].1),
            "{read:?}"
        );
    }
    for (id, said, status) in [
        (kept.id, SAID, 201),
        (kept.id, SAID, 200),
        (shredded.id, SAID, 201),
        (kept.id, &SAID.repeat(500), 400),
    ] {
        let sentence = json!({ "start_ms": 0, "end_ms": 9, "text": said, "words": [{ "text": said, "start_ms": 0, "end_ms": 9 }] });
        let body = json!({ "language": "en", "source": "test", "sentences": [sentence] });
        let request = vault
            .asks("privacy-officer")
            .request(Method::PUT, &format!("/v1/recordings/{id}/transcript"))
            .json(&body);
        assert_eq!(send(request).await.status, status);
    }
    for grant in &grants {
        for form in ["transcript.json", "transcript.vtt"] {
            let read = vault.anybody().get(&grant.replace("audio.wav", form)).await;
            assert!(read.status == 200 && read.text().contains(SAID), "{read:?}");
        }
    }
    vault
        .asks("agent")
        .post(
            &format!("/v1/recordings/{}/grants", kept.id),
            json!({ "purpose": JUSTIFICATION }),
        )
        .await
        .problem(400, "bad-request");
    assert_eq!(vault.shred(shredded.id).await.status, 200);
    until("its bytes are removed", async || {
        vault.objects().await.len() == 4
    })
    .await;
    assert_eq!(vault.anybody().get(&grants[1]).await.status, 410);

    search.sound(&kept.wav);
    for (_, value) in PEOPLE {
        search.text("about people", value.trim_start_matches('+'));
    }
    search.text("justification", JUSTIFICATION);
    for words in ["Persephone", "Vandergelder", "owes eleven"] {
        search.text("what was said", words);
    }
    search.text("auth token", &vault.auth_token);
    search.text(
        "passphrase",
        fs::read_to_string(vault.made.passphrase.as_ref().unwrap())
            .unwrap()
            .trim(),
    );
    for who in ["agent", "auditor", "stranger", "reviewer"] {
        search.text(
            "bearer token",
            vault.minted(who).token.expose().trim_start_matches("rvt_"),
        );
    }
    search.text(
        "bearer token",
        vault.made.admin.token.expose().trim_start_matches("rvt_"),
    );
    for grant in &grants {
        let token = grant.split('/').nth(3).unwrap();
        assert!(recvault::secret::Token::parse(TokenKind::Grant, token).is_some());
        search.text("grant token", token.trim_start_matches("rvg_"));
    }

    search.through("metrics", vault.metrics().await.as_bytes());
    search.through("rows", vault.ground().all_rows().await.as_bytes());
    let excused = ["secrets", "custody/passphrase"].map(|name| vault.folder().join(name));
    for folder in [Some(vault.folder()), vault.s3.as_ref().map(|s3| s3.root())]
        .into_iter()
        .flatten()
    {
        for file in files_below(folder) {
            if !excused.iter().any(|excused| file.starts_with(excused)) {
                search.through(&file.display().to_string(), &fs::read(&file).unwrap());
            }
        }
    }
    let lines = logs.lock().unwrap().clone();
    for said in [
        "serving",
        "work was not completed",
        "a callback was refused",
    ] {
        assert!(String::from_utf8_lossy(&lines).contains(said), "{said}");
    }
    search.through("logs", &lines);
    search.is_clean();
}

#[tokio::test]
async fn a_story_over_sqlite_and_a_folder_leaves_nothing_readable() {
    a_story_leaves_nothing_readable(Recipe::default()).await;
}

#[tokio::test]
async fn a_story_over_sqlite_and_s3_leaves_nothing_readable() {
    a_story_leaves_nothing_readable(Recipe {
        kept: Kept::S3,
        ..Recipe::default()
    })
    .await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn a_story_over_postgres_leaves_nothing_readable() {
    a_story_leaves_nothing_readable(Recipe::on(Database::Postgres)).await;
}
