//! The service itself: ready or not, stopping, and how it speaks.

use std::{collections::BTreeSet, fs, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use recvault::{
    config::SHIPPED_POLICY,
    demo::{conversation, stand_in::Fault},
    model::{id::RecordingId, time::Clock},
    policy::{Action, Permit},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{
    Answer, Caller, Database, GatedHost, Process, Recipe, Recorded, TestVault, send, until,
};

fn served_on(database: Database) -> Recipe {
    Recipe {
        clock: Clock::System,
        ..Recipe::on(database)
    }
}

async fn twilio_calls_and_the_recording_is_sealed_by_itself(database: Database) {
    let vault = served_on(database).served().await;
    let recorded: Vec<Recorded> = (0..20).map(|_| vault.record()).collect();
    for recorded in &recorded {
        assert_eq!(vault.tell(recorded, "completed").await.status, 204);
    }
    for recorded in &recorded {
        until("it is sealed", async || {
            vault.state(recorded.id).await == "sealed"
        })
        .await;
        vault.plays(recorded).await;
    }
    assert_eq!(vault.shred(recorded[0].id).await.status, 200);
    until("the bytes are removed", async || {
        vault.objects().await.len() == 19
    })
    .await;
    until("the removal is done and counted", async || {
        counted(&vault.metrics().await, "recvault_removals_total") >= Some(1.0)
    })
    .await;
    let metrics = vault.metrics().await;
    for (name, least) in [
        ("recvault_callbacks_accepted_total", 20.0),
        ("recvault_recordings_sealed_total", 20.0),
        ("recvault_ingest_lag_seconds_count", 20.0),
        ("recvault_decisions_total{outcome=\"allowed\"}", 20.0),
        ("recvault_openings_total", 20.0),
        (
            "recvault_sealed_bytes_total",
            20.0 * conversation::WAV.len() as f64,
        ),
        ("recvault_shreds_total", 1.0),
        ("recvault_work{kind=\"fetch\",state=\"due\"}", 0.0),
    ] {
        // At least: other stories of the same process count into the same counters.
        assert!(counted(&metrics, name) >= Some(least), "{name}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_glass_is_counted_for_whoever_watches() {
    let vault = served_on(Database::Sqlite).served().await;
    let recorded = vault.record();
    let params = vault.stand_in.callback_params(&recorded.sid, "completed");
    assert_eq!(
        vault
            .post_callback(
                &vault.account,
                "/twilio/recordings?tier=restricted",
                &params
            )
            .await
            .status,
        204
    );
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    let before = counted(&vault.metrics().await, "recvault_break_glass_total").unwrap_or_default();
    let wanted = json!({ "purpose": "legal-request", "justification": "it cannot wait", "break_glass": true });
    let answer = vault
        .asks("privacy-officer")
        .post(&format!("/v1/recordings/{}/grants", recorded.id), wanted)
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(counted(&vault.metrics().await, "recvault_break_glass_total") >= Some(before + 1.0));
}

/// The value of one line of the metrics.
fn counted(metrics: &str, name: &str) -> Option<f64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Takes the running process out of its world, to stop it, and leaves another in its place.
async fn to_be_stopped(vault: &mut TestVault) -> Process {
    let successor = vault.another_process().await;
    std::mem::replace(&mut vault.process, successor)
}

async fn the_service_stops_and_running_work_comes_to_its_end(database: Database) {
    let recipe = Recipe {
        twilio: "media_redirect_hosts = [\"127.0.0.1\"]",
        server: "grace_s = 300",
        ..served_on(database)
    };
    let mut vault = recipe.served().await;
    let host = GatedHost::start(Bytes::from_static(conversation::WAV)).await;
    let recorded = vault.record();
    vault.stand_in.fail(
        &recorded.sid,
        Fault::RedirectTo {
            url: host.url.clone(),
        },
    );
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    host.reached().await;
    let address = vault.anybody().clone();
    let id = recorded.id;
    let stopped = to_be_stopped(&mut vault).await;
    let opening = async {
        until("nobody is let in any more", async || {
            address.get_or_break("/healthz").await.is_none()
        })
        .await;
        host.open();
    };
    // Much less than the grace: it does not wait for what does not come.
    let both = async { tokio::join!(stopped.stop(), opening) };
    tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("it stops when everything is done");
    assert_eq!(vault.state(id).await, "sealed");
    vault.plays(&recorded).await;
}

async fn the_service_stops_in_a_storm_of_callbacks_and_keeps_what_it_accepted(database: Database) {
    let mut vault = Recipe {
        server: "grace_s = 300",
        ..served_on(database)
    }
    .served()
    .await;
    let recorded: Vec<Recorded> = (0..200).map(|_| vault.record()).collect();
    let forms: Vec<_> = recorded
        .iter()
        .map(|recorded| {
            let params = vault.stand_in.callback_params(&recorded.sid, "in-progress");
            vault.stand_in.callback(
                &vault.account,
                &vault.process.public("/twilio/recordings"),
                &params,
            )
        })
        .collect();
    let api = vault.anybody().clone();
    let stopped = to_be_stopped(&mut vault).await;
    let storm = join_all(forms.iter().map(|form| {
        let request = api
            .request(Method::POST, "/twilio/recordings")
            .header("content-type", "application/x-www-form-urlencoded");
        request
            .header("x-twilio-signature", &form.signature)
            .body(form.body.clone())
            .send()
    }));
    let stopping = async {
        until("some are accepted", async || {
            vault
                .ground()
                .integer("SELECT COUNT(*) FROM recordings")
                .await
                != Some(0)
        })
        .await;
        stopped.stop().await;
    };
    let (answers, stopped) = tokio::join!(
        storm,
        tokio::time::timeout(Duration::from_secs(60), stopping)
    );
    stopped.expect("it stops when everything is done");
    let mut accepted = 0;
    for (answer, recorded) in answers.into_iter().zip(&recorded) {
        let Ok(answer) = answer else { continue };
        assert!(matches!(answer.status().as_u16(), 204 | 503), "{answer:?}");
        if answer.status().as_u16() == 204 {
            accepted += 1;
            assert!(vault.has_row(recorded.id).await, "it was answered 204");
        }
    }
    assert!(accepted > 0);
}

on_both_databases!(
    twilio_calls_and_the_recording_is_sealed_by_itself,
    the_service_stops_and_running_work_comes_to_its_end,
    the_service_stops_in_a_storm_of_callbacks_and_keeps_what_it_accepted,
);

#[tokio::test]
async fn the_service_stops_and_a_listener_hears_the_end() {
    let mut vault = Recipe {
        server: "grace_s = 300",
        ..served_on(Database::Sqlite)
    }
    .served()
    .await;
    let recorded =
        vault.record_wav(conversation::repeat_to(1200, conversation::Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    let path = vault.audio(recorded.id).await;
    let mut response = vault
        .anybody()
        .request(Method::GET, &path)
        .send()
        .await
        .unwrap();
    let mut heard = response.chunk().await.unwrap().unwrap().to_vec();
    let api = vault.anybody().clone();
    let stopped = to_be_stopped(&mut vault).await;
    let listening = async {
        until("nobody is let in any more", async || {
            api.get_or_break("/healthz").await.is_none()
        })
        .await;
        while let Some(chunk) = response.chunk().await.unwrap() {
            heard.extend_from_slice(&chunk);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), async {
        tokio::join!(stopped.stop(), listening)
    })
    .await
    .expect("it stops");
    assert!(heard == recorded.wav);
}

#[tokio::test]
async fn a_listener_who_does_not_read_does_not_keep_the_service_from_stopping() {
    let mut vault = Recipe {
        server: "grace_s = 1",
        ..served_on(Database::Sqlite)
    }
    .served()
    .await;
    let recorded =
        vault.record_wav(conversation::repeat_to(1200, conversation::Channels::Dual).into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    let response = vault
        .anybody()
        .request(Method::GET, &vault.audio(recorded.id).await)
        .send()
        .await
        .unwrap();
    to_be_stopped(&mut vault).await.stop().await;
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn the_folder_of_the_store_is_gone_and_the_service_is_not_ready() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    assert_eq!(vault.anybody().get("/readyz").await.status, 200);
    let here = vault.folder().join("objects");
    let away = vault.folder().join("away");
    fs::rename(&here, &away).unwrap();
    vault
        .anybody()
        .get("/readyz")
        .await
        .problem(503, "unavailable");
    assert_eq!(
        vault.anybody().get("/healthz").await.status,
        200,
        "the process itself is well"
    );
    vault
        .anybody()
        .get(&vault.audio(recorded.id).await)
        .await
        .problem(503, "unavailable");
    // An empty folder in its place, as when a disk is not mounted, is not the store: nothing is
    // sealed into it.
    fs::create_dir_all(&here).unwrap();
    vault
        .anybody()
        .get("/readyz")
        .await
        .problem(503, "unavailable");
    let waiting = vault.announced().await;
    assert_eq!(vault.process.flow.work_off().await.unwrap(), 1);
    assert_eq!(vault.state(waiting.id).await, "announced");
    fs::remove_dir_all(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    assert_eq!(vault.anybody().get("/readyz").await.status, 200);
    assert_eq!(vault.later().await, 1);
    vault.plays(&recorded).await;
    vault.plays(&waiting).await;
}

#[tokio::test]
async fn the_ledger_is_out_of_reach_and_the_service_is_not_ready() {
    for database in Database::given() {
        let vault = Recipe::on(database).by_hand().await;
        assert_eq!(vault.anybody().get("/readyz").await.status, 200);
        vault.ground().take_away().await;
        vault
            .anybody()
            .get("/readyz")
            .await
            .problem(503, "unavailable");
        assert_eq!(vault.anybody().get("/healthz").await.status, 200);
        vault.ground().bring_back().await;
        until("it is ready again", async || {
            vault.anybody().get("/readyz").await.status == 200
        })
        .await;
        vault.sealed().await;
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_problem_too() {
    let vault = Recipe {
        server: "request_timeout_s = 1",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.record();
    let mut other = vault.ground().sqlite().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();
    let late = vault.tell(&recorded, "completed").await;
    late.problem(503, "late");
    has_the_headers(&late);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
}

#[tokio::test]
async fn a_second_vault_is_not_made_and_a_foreign_root_is_not_taken() {
    let vault = Recipe::default().by_hand().await;
    let other = Recipe::default().by_hand().await;
    let again = recvault::app::init(vault.folder(), Clock::System)
        .await
        .err()
        .expect("the vault is there");
    assert!(
        again.to_string().contains(&vault.made.vault.to_string()),
        "{again}"
    );
    fs::copy(
        other.folder().join("custody/root"),
        vault.folder().join("custody/root"),
    )
    .unwrap();
    fs::copy(
        other.folder().join("custody/passphrase"),
        vault.folder().join("custody/passphrase"),
    )
    .unwrap();
    let refused = vault.opens().await.unwrap_err();
    assert!(
        refused.contains("belongs to vault") && refused.contains(&other.made.vault.to_string()),
        "{refused}"
    );
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_every_header() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let agent = vault.asks("agent");
    let anybody = vault.anybody();
    let id = recorded.id;
    let missing = RecordingId::random(&mut rand::rng());
    let media = vault.audio(id).await;
    let cases: Vec<(u16, &str, Answer)> = vec![
        (404, "not-found", anybody.get("/").await),
        (404, "not-found", anybody.get("/metrics").await),
        (404, "not-found", anybody.get("/v1/recordings/").await),
        (
            404,
            "not-found",
            agent.get(&format!("/v1/recordings/{missing}")).await,
        ),
        (404, "not-found", agent.get("/v1/recordings/%FF").await),
        (404, "not-found", anybody.get("/v1/media/x/audio.wav").await),
        (
            405,
            "method-not-allowed",
            anybody.with(Method::PUT, "/v1/recordings", &[]).await,
        ),
        (
            405,
            "method-not-allowed",
            anybody.with(Method::DELETE, &media, &[]).await,
        ),
        (
            405,
            "method-not-allowed",
            anybody.with(Method::PUT, "/twilio/recordings", &[]).await,
        ),
        (401, "unauthorized", anybody.get("/v1/recordings").await),
        (403, "denied", agent.get("/v1/audit").await),
        (
            403,
            "bad-signature",
            anybody
                .form("/twilio/recordings", "AccountSid=x", &["x"])
                .await,
        ),
        (
            400,
            "bad-request",
            anybody.form("/twilio/recordings", "A=%F", &["x"]).await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?state=lost").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?since=yesterday").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?limit=0").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?limit=1001").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?cursor=x").await,
        ),
        (
            400,
            "bad-request",
            agent.get("/v1/recordings?colour=red").await,
        ),
        (
            400,
            "bad-request",
            agent
                .post(&format!("/v1/recordings/{id}/grants"), json!("x"))
                .await,
        ),
        (
            413,
            "too-large",
            agent
                .post(
                    &format!("/v1/recordings/{id}/grants"),
                    json!("x".repeat(70_000)),
                )
                .await,
        ),
        (
            416,
            "range-not-satisfiable",
            anybody
                .with(Method::GET, &media, &[("range", "bytes=99999999-")])
                .await,
        ),
    ];
    for (status, kind, answer) in &cases {
        answer.problem(*status, kind);
        has_the_headers(answer);
    }
    for answer in [
        anybody.get("/healthz").await,
        anybody.get(&media).await,
        agent.get("/v1/recordings").await,
        anybody.get("/v1/policy").await,
    ] {
        assert_eq!(answer.status, 200);
        has_the_headers(&answer);
    }
}

#[track_caller]
fn has_the_headers(answer: &Answer) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; media-src 'self'; frame-ancestors 'none'",
        ),
    ] {
        assert_eq!(answer.header(name), value, "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn the_description_lists_every_route_and_no_other() {
    let vault = Recipe::default().by_hand().await;
    let document = vault.anybody().get("/openapi.json").await.json();
    let methods = ["get", "post", "put", "delete", "patch"];
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            methods
                .into_iter()
                .filter(|method| item[method].is_object())
                .map(|method| (path.clone(), method.to_owned()))
        })
        .collect();
    // The route table fits on one page and can be read; what Twilio calls is a table of its own.
    let mut routed = BTreeSet::new();
    let tables = [
        ("", include_str!("../../src/api.rs")),
        ("/twilio", include_str!("../../src/api/twilio.rs")),
    ];
    for (prefix, table) in tables {
        for (_, line) in table
            .lines()
            .filter_map(|line| line.split_once(".route(\""))
        {
            let (path, handlers) = line.split_once('"').unwrap();
            for method in methods
                .into_iter()
                .filter(|method| handlers.contains(&format!("{method}(")))
            {
                routed.insert((format!("{prefix}{path}"), method.to_owned()));
            }
        }
    }
    assert!(routed.len() >= 13, "{routed:?}");
    assert_eq!(described, routed);
    for (path, method) in &described {
        let operation = &document["paths"][path][method];
        assert!(
            operation["description"].is_string() || operation["summary"].is_string(),
            "{method} {path}"
        );
        let asks_for_bearer = operation["security"][0]["bearer"].is_array();
        assert_eq!(
            asks_for_bearer,
            refuses_strangers(vault.anybody(), path, method).await,
            "{method} {path}"
        );
    }
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"]["scheme"],
        "bearer"
    );
}

async fn refuses_strangers(anybody: &Caller, path: &str, method: &str) -> bool {
    let path = path.replace("{id}", "rec_0").replace("{token}", "x");
    send(anybody.request(method.to_uppercase().parse().unwrap(), &path))
        .await
        .status
        == 401
}

#[tokio::test]
async fn anybody_reads_the_policy_that_is_enforced() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let answer = vault.anybody().get("/v1/policy").await;
    assert_eq!(
        answer.text(),
        fs::read_to_string(vault.folder().join("privacy-policy.toml")).unwrap()
    );
    let digest = hex::encode(aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &answer.body,
    ));
    let grant = vault
        .grant("reviewer", recorded.id, "quality-review")
        .await
        .json();
    assert_eq!(
        (grant["policy_digest"].as_str(), answer.header("etag")),
        (Some(digest.as_str()), format!("\"{digest}\"").as_str())
    );
}

#[tokio::test]
async fn anybody_reads_on_the_privacy_page_how_soon_old_backups_forget() {
    let at_once = SHIPPED_POLICY.replacen(
        "forgotten = \"scheduled\"",
        "forgotten = \"immediately\"",
        1,
    );
    let vault = Recipe {
        policy: at_once,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    vault.shred(recorded.id).await;
    let answer = vault.anybody().get("/privacy").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let page = answer.text();
    let digest = vault.details(recorded.id).await["policy_digest"]
        .as_str()
        .unwrap()
        .to_owned();
    for said in [
        digest.as_str(),
        "<strong>24 hours</strong>",
        "Twilio",
        "quality-review",
        "standard this begins at once",
        "to that now: 1.",
    ] {
        assert!(
            page.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains(said),
            "{said} in {page}"
        );
    }
    vault
        .process
        .flow
        .turn(&Permit::of_operator(Action::Keys))
        .await
        .unwrap();
    assert!(
        vault
            .anybody()
            .get("/privacy")
            .await
            .text()
            .contains("to that now: 0.")
    );
}

#[tokio::test]
async fn the_catalogue_is_read_page_by_page() {
    let vault = Recipe::default().by_hand().await;
    let mut expected = Vec::new();
    for number in 0..25 {
        // Several at the same moment, so that the time alone is no place.
        if number % 3 == 0 {
            vault.clock.advance(Duration::from_millis(10));
        }
        let recorded = vault.record();
        let tier = if number % 5 == 0 {
            "?tier=sensitive"
        } else {
            ""
        };
        let params = vault.stand_in.callback_params(
            &recorded.sid,
            if number % 2 == 0 {
                "completed"
            } else {
                "absent"
            },
        );
        vault
            .post_callback(
                &vault.account,
                &format!("/twilio/recordings{tier}"),
                &params,
            )
            .await;
        expected.push((vault.clock.now().as_millis(), recorded.id.to_string()));
    }
    expected.sort_by(|a, b| b.cmp(a));
    let agent = vault.asks("agent");
    for (filter, len) in [
        ("", 25),
        ("state=absent&", 12),
        ("tier=sensitive&", 5),
        ("state=announced&tier=sensitive&", 3),
    ] {
        let mut cursor = String::new();
        let mut found = Vec::new();
        loop {
            let page = agent
                .get(&format!("/v1/recordings?{filter}limit=4{cursor}"))
                .await
                .json();
            found.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["id"].as_str().unwrap().to_owned()),
            );
            match &page["next_cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
        assert_eq!(found.len(), len, "{filter}");
        let order: Vec<_> = expected
            .iter()
            .map(|(_, id)| id)
            .filter(|id| found.contains(id))
            .collect();
        assert!(
            order.into_iter().eq(&found),
            "newest first, each once: {filter}"
        );
    }
}

#[tokio::test]
async fn the_service_is_not_ready_while_one_of_its_tasks_is_dead() {
    let vault = served_on(Database::Sqlite).served().await;
    assert_eq!(vault.anybody().get("/readyz").await.status, 200);
    let metrics = vault.metrics().await;
    assert_eq!(
        counted(&metrics, "recvault_task_alive{task=\"work\"}"),
        Some(1.0),
        "{metrics}"
    );
    vault
        .process
        .flow
        .liveness()
        .lost(recvault::flow::Task::Work);
    let problem = vault
        .anybody()
        .get("/readyz")
        .await
        .problem(503, "tasks-dead");
    assert!(
        problem["detail"].as_str().unwrap().contains("work"),
        "{problem}"
    );
    vault
        .process
        .flow
        .liveness()
        .begun(recvault::flow::Task::Work);
    assert_eq!(vault.anybody().get("/readyz").await.status, 200);
}
