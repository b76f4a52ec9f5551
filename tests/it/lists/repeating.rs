//! Repeated requests with an `Idempotency-Key`: by an impatient client, by two at once, after a
//! crash, with another body, a day later.

use std::time::Duration;

use futures_util::future::join_all;
use recvault::{
    db::{
        Term,
        idempotency::{self, RequestClaim},
    },
    flow::{self, Attempt},
    model::idempotency::IdempotencyKey,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    authority::somebody,
    world::{Answer, Caller, Database, Recipe, Recorded, TestVault, files_below, send},
};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn posts(who: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    let request = who.request(Method::POST, path).json(body);
    send(request.header("Idempotency-Key", key)).await
}

fn purpose() -> Value {
    json!({ "purpose": "quality-review", "justification": "weekly sample" })
}

async fn grants(vault: &TestVault) -> i64 {
    let count = vault.ground().integer("SELECT COUNT(*) FROM grants");
    count.await.unwrap()
}

async fn kept(vault: &TestVault) -> i64 {
    let count = vault.ground().integer("SELECT COUNT(*) FROM idempotency");
    count.await.unwrap()
}

async fn vault_on(database: Database) -> (TestVault, Recorded, String) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = format!("/v1/recordings/{}/grants", recorded.id);
    (vault, recorded, path)
}

async fn a_repeated_request_gets_the_first_answer_and_takes_effect_once(database: Database) {
    let (vault, recorded, path) = vault_on(database).await;
    let reviewer = vault.asks("reviewer");
    let first = posts(&reviewer, &path, KEY, &purpose()).await;
    assert_eq!(
        (first.status, first.header("idempotent-replayed")),
        (201, "")
    );
    for key in [KEY.to_owned(), format!("\"{KEY}\"")] {
        let again = posts(&reviewer, &path, &key, &purpose()).await;
        assert_eq!((again.status, again.text()), (201, first.text()));
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(again.header("content-type"), "application/json");
        assert_eq!(again.header("cache-control"), "no-store");
    }
    assert_eq!(
        (grants(&vault).await, vault.count("decision.allowed").await),
        (1, 1)
    );
    let audio = first.json()["audio_url"].as_str().unwrap().to_owned();
    let heard = vault.anybody().get(&vault.process.path_of(&audio)).await;
    assert_eq!((heard.status, &heard.body), (200, &recorded.wav));

    // Another body, address or query is another request.
    let other = json!({ "purpose": "quality-review", "justification": "another" });
    let elsewhere = format!("/v1/recordings/{}/approvals", recorded.id);
    for answer in [
        posts(&reviewer, &path, KEY, &other).await,
        posts(&reviewer, &format!("{path}?x=1"), KEY, &purpose()).await,
        posts(&reviewer, &elsewhere, KEY, &purpose()).await,
    ] {
        answer.problem(422, "idempotency-key-reused");
    }
    // A key belongs to its token: another token gets its own answer, and a stranger's is refused.
    let colleague = somebody(&vault, "reviewer", &[]).await;
    let theirs = posts(&colleague, &path, KEY, &purpose()).await;
    assert_eq!(
        (theirs.status, theirs.header("idempotent-replayed")),
        (201, "")
    );
    assert_ne!(theirs.text(), first.text());
    let stranger = posts(&vault.asks("stranger"), &path, KEY, &purpose()).await;
    stranger.problem(404, "not-found");
    let nobody = posts(vault.anybody(), &path, KEY, &purpose()).await;
    nobody.problem(401, "unauthorized");
    assert_eq!(grants(&vault).await, 2);

    // A refusal is stored as an answer, too.
    let agent = vault.asks("agent");
    let refused = posts(&agent, &path, "a", &purpose()).await;
    assert_eq!(refused.reasons(), ["role-not-allowed"]);
    let again = posts(&agent, &path, "a", &purpose()).await;
    assert_eq!(
        (again.text(), again.header("idempotent-replayed")),
        (refused.text(), "true")
    );
    assert_eq!(again.header("content-type"), "application/problem+json");
    // Without a key nothing is stored.
    let plain = reviewer.post(&path, purpose()).await;
    assert_eq!((plain.status, grants(&vault).await), (201, 3));
    // Who may no longer ask gets no answer of before.
    let token = vault.minted("reviewer").row.id;
    flow::revoke_token(&vault.process.db, &vault.clock, token)
        .await
        .unwrap();
    let late = posts(&reviewer, &path, KEY, &purpose()).await;
    assert_eq!(late.status, 401);
    assert!(!late.text().contains("rvg_"), "{late:?}");
}

async fn two_at_once_make_one_grant(database: Database) {
    let (vault, _, path) = vault_on(database).await;
    let reviewer = vault.asks("reviewer");
    let body = purpose();
    let answers = join_all((0..12).map(|_| posts(&reviewer, &path, KEY, &body))).await;
    let mut given = Vec::new();
    for answer in &answers {
        match answer.status {
            201 => given.push(answer.text()),
            _ => {
                answer.problem(409, "idempotency-key-in-use");
                assert_eq!(answer.header("retry-after"), "1");
            }
        }
    }
    given.dedup();
    assert_eq!((given.len(), grants(&vault).await), (1, 1), "{answers:?}");
    assert_eq!(posts(&reviewer, &path, KEY, &body).await.text(), given[0]);
}

/// The key does not widen what a route takes.
async fn a_body_has_the_limit_of_its_route_with_a_key_and_without(database: Database) {
    let (vault, _, path) = vault_on(database).await;
    let officer = vault.asks("privacy-officer");
    let long = |bytes: usize| json!({ "purpose": "x".repeat(bytes) });
    for (path, limit) in [
        (path.as_str(), 64 << 10),
        ("/v1/revocations", 64 << 10),
        ("/v1/consents", 1 << 20),
    ] {
        for (bytes, status) in [(limit - 1000, 400), (limit + 1, 413)] {
            let without = officer.post(path, long(bytes)).await;
            assert_eq!(without.status, status, "{path} {bytes}: {without:?}");
            let claimed = kept(&vault).await;
            let with = posts(
                &officer,
                path,
                &format!("{}-{bytes}", path.len()),
                &long(bytes),
            )
            .await;
            assert_eq!(with.status, status, "{path} {bytes}: {with:?}");
            // What the route does not take is not read, so there is nothing to keep.
            let more = i64::from(status != 413);
            assert_eq!(kept(&vault).await, claimed + more, "{path} {bytes}");
        }
    }
}

async fn an_answer_does_not_rest_in_the_clear(database: Database) {
    let (vault, _, path) = vault_on(database).await;
    let reviewer = vault.asks("reviewer");
    let body = purpose();
    let first = posts(&reviewer, &path, KEY, &body).await;
    let url = first.json()["audio_url"].as_str().unwrap().to_owned();
    let token = url
        .split('/')
        .find(|part| part.starts_with("rvg_"))
        .unwrap();
    // For PostgreSQL every row, for SQLite its files.
    let mut rest = vault.ground().all_rows().await.into_bytes();
    for file in files_below(vault.folder()) {
        rest.extend(std::fs::read(file).unwrap());
    }
    let holds = |text: &str| {
        rest.windows(text.len())
            .any(|found| found == text.as_bytes())
    };
    for secret in [token, KEY] {
        assert!(!holds(secret) && !holds(&hex::encode(secret)), "{secret}");
    }
    // The database and the vault's own keys do not suffice without the client's key.
    let bearer = vault.minted("reviewer").row.id;
    let bytes = serde_json::to_vec(&body).unwrap();
    let fields = [b"POST".as_slice(), path.as_bytes(), &bytes];
    let keys = &vault.process.flow.vault;
    let own = keys.once(bearer, &KEY.parse().unwrap(), &fields);
    let found = vault.process.db.unit("test.find", async |mut unit| {
        unit.abandon();
        let day = Duration::from_secs(24 * 3600);
        let term = Term::begin(&mut unit, day).await?;
        idempotency::claim(&mut unit, (&own.id, &own.fingerprint), term, day).await
    });
    let RequestClaim::Answered(sealed) = found.await.unwrap() else {
        panic!("it was answered");
    };
    assert!(holds(&own.id), "the row was looked at");
    assert!(keys.open_answer(&own, &sealed).unwrap().contains(token));
    for (bearer, key, body) in [
        (bearer, "another", bytes.as_slice()),
        (bearer, KEY, b"{}"),
        (vault.minted("agent").row.id, KEY, bytes.as_slice()),
    ] {
        let fields = [b"POST".as_slice(), path.as_bytes(), body];
        let other = keys.once(bearer, &key.parse().unwrap(), &fields);
        assert!(keys.open_answer(&other, &sealed).is_err());
    }
    let log: String = vault.entries().await.iter().map(Value::to_string).collect();
    assert!(!log.contains(KEY) && !log.contains(token));
}

async fn an_answer_is_forgotten_after_a_day(database: Database) {
    let (vault, _, path) = vault_on(database).await;
    let reviewer = vault.asks("reviewer");
    let first = posts(&reviewer, &path, KEY, &purpose()).await.text();
    let day = Duration::from_secs(24 * 3600);
    vault.clock.advance(day);
    vault.process.flow.garbage.sweep(day).await.unwrap();
    let again = posts(&reviewer, &path, KEY, &purpose()).await;
    assert_eq!(again.text(), first, "on the day it is kept");
    vault.clock.advance(Duration::from_millis(1));
    // It has expired, swept or not, and the key can be used again.
    let other = json!({ "purpose": "quality-review" });
    let fresh = posts(&reviewer, &path, KEY, &other).await;
    assert_eq!(
        (fresh.status, fresh.header("idempotent-replayed")),
        (201, "")
    );
    assert_ne!(fresh.text(), first);
    assert_eq!(kept(&vault).await, 1);
    vault.clock.advance(day + Duration::from_millis(1));
    vault.process.flow.garbage.sweep(day).await.unwrap();
    assert_eq!(kept(&vault).await, 0);
}

async fn what_failed_is_tried_again(database: Database) {
    let (vault, _, path) = vault_on(database).await;
    let reviewer = vault.asks("reviewer");
    vault.ground().refuse_rows_of("audit").await;
    let failed = posts(&reviewer, &path, KEY, &purpose()).await;
    failed.problem(500, "internal");
    assert_eq!(kept(&vault).await, 0);
    vault.ground().take_rows_of("audit").await;
    let answer = posts(&reviewer, &path, KEY, &purpose()).await;
    assert_eq!(
        (answer.status, answer.header("idempotent-replayed")),
        (201, "")
    );
}

async fn a_dead_attempt_is_taken_over_and_cannot_answer_any_more(database: Database) {
    let (vault, _, path) = vault_on(database).await;
    let reviewer = vault.asks("reviewer");
    let body = purpose();
    let bytes = serde_json::to_vec(&body).unwrap();
    let fields = [b"POST".as_slice(), path.as_bytes(), &bytes];
    let requests = &vault.process.flow.idempotency;
    let bearer = vault.minted("reviewer").row.id;
    let key: IdempotencyKey = KEY.parse().unwrap();
    let claim = async || requests.claim(bearer, &key, &fields).await.unwrap();
    let Attempt::First(paused) = claim().await else {
        panic!("nobody asked before");
    };
    let waits = async || {
        let waits = posts(&reviewer, &path, KEY, &body).await;
        waits.problem(409, "idempotency-key-in-use");
        assert_eq!(waits.header("retry-after"), "1");
    };
    waits().await;
    // It extends its lease as long as it runs.
    for _ in 0..3 {
        vault.clock.advance(Duration::from_secs(20));
        requests.extend(&paused).await;
        waits().await;
    }
    vault.clock.advance(Duration::from_secs(31));
    let Attempt::First(successor) = claim().await else {
        panic!("the lease has passed");
    };
    // After its pause, the first one neither stores an answer, nor releases, nor extends the claim.
    requests.answer(&paused, "late").await;
    requests.extend(&paused).await;
    requests.release(&paused).await;
    waits().await;
    requests.answer(&successor, "done").await;
    requests.answer(&paused, "late").await;
    requests.release(&successor).await;
    let Attempt::Answered(answer) = claim().await else {
        panic!("it was answered");
    };
    assert_eq!(answer.as_str(), "done");
}

async fn what_takes_no_key_says_so_or_does_not_mind(database: Database) {
    let (vault, recorded, path) = vault_on(database).await;
    let officer = vault.asks("privacy-officer");
    let wanted = json!({ "subject": "+493090182000", "purpose": "subject-access" });
    let refused = posts(&officer, "/v1/exports", KEY, &wanted).await;
    let detail = refused.problem(400, "bad-request")["detail"].clone();
    assert!(detail.as_str().unwrap().contains("stream"), "{detail}");
    for _ in 0..2 {
        let read = posts(&officer, "/v1/recordings/search", KEY, &json!({})).await;
        assert_eq!((read.status, read.header("idempotent-replayed")), (200, ""));
    }
    let shown = format!("/v1/recordings/{}", recorded.id);
    let shown = officer
        .with(Method::GET, &shown, &[("Idempotency-Key", "a b")])
        .await;
    assert_eq!(shown.status, 200);
    assert_eq!(kept(&vault).await, 0);
    let long = "x".repeat(256);
    for bad in ["", "a b", "\"\"", long.as_str()] {
        let answer = posts(&officer, &path, bad, &purpose()).await;
        answer.problem(400, "bad-request");
        assert!(bad.len() < 3 || !answer.text().contains(bad), "{answer:?}");
    }
    let twice = officer.request(Method::POST, &path).json(&purpose());
    let twice = twice.header("Idempotency-Key", "a");
    let twice = send(twice.header("Idempotency-Key", "a")).await;
    twice.problem(400, "bad-request");
    // A body that is too large is still refused.
    let large = json!({ "purpose": "x".repeat(70_000) });
    posts(&officer, &path, "large", &large)
        .await
        .problem(413, "too-large");
    let items: Vec<Value> = (0..900)
        .map(|number| {
            let subject = format!("+4930901{number:05}");
            json!({ "subject": subject, "answer": "given", "method": "contract", "disclosure": "This call is recorded.", "evidence": "x".repeat(100) })
        })
        .collect();
    let many = json!({ "items": items });
    let told = posts(&officer, "/v1/consents", KEY, &many).await;
    assert_eq!(told.status, 201, "{told:?}");
    let again = posts(&officer, "/v1/consents", KEY, &many).await;
    assert_eq!(
        (again.text(), again.header("idempotent-replayed")),
        (told.text(), "true")
    );
}

on_both_databases!(
    a_repeated_request_gets_the_first_answer_and_takes_effect_once,
    two_at_once_make_one_grant,
    a_body_has_the_limit_of_its_route_with_a_key_and_without,
    an_answer_does_not_rest_in_the_clear,
    an_answer_is_forgotten_after_a_day,
    what_failed_is_tried_again,
    a_dead_attempt_is_taken_over_and_cannot_answer_any_more,
    what_takes_no_key_says_so_or_does_not_mind,
);
