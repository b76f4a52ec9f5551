//! The service itself: readiness, stopping, and its answers.

mod http;
mod speaking;
mod stopping;

use std::{fs, time::Duration};

use recvault::{app::App, config::Config, demo::conversation, model::time::Clock};
use serde_json::{Value, json};

use crate::world::{Answer, Database, Recipe, Recorded, until};

fn served_on(database: Database) -> Recipe {
    Recipe {
        clock: Clock::System,
        ..Recipe::on(database)
    }
}

#[tokio::test]
async fn the_use_cases_of_one_process_are_built_twice_with_the_same_accounts() {
    let vault = served_on(Database::Sqlite).by_hand().await;
    let config = Config::read(&vault.made.config).unwrap();
    let mut app = App::open(config, Clock::System).await.unwrap();
    for _ in 0..2 {
        let flow = app.flow_to_read().await.unwrap();
        assert_eq!(flow.twilio.accounts().iter().count(), 2);
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
        // At least, because other tests of the same process share the counters.
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

/// Returns the value of one line of the metrics.
fn counted(metrics: &str, name: &str) -> Option<f64> {
    metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

on_both_databases!(twilio_calls_and_the_recording_is_sealed_by_itself,);

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
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
    assert_eq!(vault.state(waiting.id).await, "announced");
    fs::remove_dir_all(&here).unwrap();
    fs::rename(&away, &here).unwrap();
    assert_eq!(vault.anybody().get("/readyz").await.status, 200);
    assert_eq!(vault.later().await, 1);
    vault.plays(&recorded).await;
    vault.plays(&waiting).await;
}

#[tokio::test]
async fn the_database_is_out_of_reach_and_the_service_is_not_ready() {
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
    let again = recvault::app::init(
        &recvault::app::InitPlan::in_folder(vault.folder()),
        Clock::System,
    )
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
async fn the_catalogue_is_read_page_by_page() {
    let vault = Recipe::default().by_hand().await;
    let mut expected = Vec::new();
    for number in 0..25 {
        // Several at the same moment, so that the time alone is not a unique position.
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
    vault.process.flow.liveness.lost(recvault::flow::Task::Work);
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
        .liveness
        .begun(recvault::flow::Task::Work);
    assert_eq!(vault.anybody().get("/readyz").await.status, 200);
}
