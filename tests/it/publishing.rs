//! The operator publishes versions of the policy; all of them are public, forever.

use std::fs;

use recvault::{
    app::{self, App},
    config::{Config, SHIPPED_POLICY},
    evidence::{KeySet, Publication},
    flow,
    model::time::Timestamp,
    policy::Rules,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Caller, Database, Recipe, TestVault};

/// Returns the shipped policy as another version.
fn version(version: &str, effective: &str) -> String {
    let text = SHIPPED_POLICY.replacen("version = \"1\"", &format!("version = \"{version}\""), 1);
    text.replacen(
        "effective = 2026-01-01",
        &format!("effective = {effective}"),
        1,
    )
}

/// A vault under the shipped policy, byte for byte.
fn shipped(database: Database) -> Recipe {
    Recipe {
        policy: SHIPPED_POLICY.to_owned(),
        ..Recipe::on(database)
    }
}

async fn app(vault: &TestVault) -> App {
    App::open(
        Config::read(&vault.made.config).unwrap(),
        vault.clock.clone(),
    )
    .await
    .unwrap()
}

async fn publish(
    vault: &TestVault,
    policy: &str,
    dry_run: bool,
) -> Result<flow::Publishing, flow::Error> {
    let app = app(vault).await;
    let rules = Rules::parse("new", policy).unwrap();
    flow::publish(&app.db, &app.unlock().await.unwrap(), &rules, dry_run).await
}

async fn keys(anybody: &Caller) -> KeySet {
    anybody
        .get("/.well-known/jwks.json")
        .await
        .text()
        .parse()
        .unwrap()
}

async fn listed(anybody: &Caller) -> Vec<Value> {
    anybody.get("/v1/policies").await.json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

async fn anybody_checks_that_the_first_version_was_published(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let digest = vault.process.flow.rulebook.current().digest().to_owned();
    let [first] = listed(vault.anybody()).await.try_into().unwrap();
    assert_eq!(
        (&first["version"], &first["digest"], &first["current"]),
        (&json!("1"), &json!(digest), &json!(true))
    );
    assert_eq!(first["effective"], "2026-01-01T00:00:00.000Z");
    let answer = vault.anybody().get("/v1/policies/1/statement").await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "application/jose")
    );
    let statement = Publication::verify(&answer.text(), &keys(vault.anybody()).await).unwrap();
    assert_eq!(
        (statement.vault(), statement.version(), statement.digest()),
        (vault.made.vault, "1", digest.as_str())
    );
    assert_eq!(json!(statement.published_at()), first["published_at"]);
    let events: Vec<String> = vault
        .events()
        .await
        .into_iter()
        .filter(|event| event.starts_with("policy."))
        .collect();
    assert_eq!(events, ["policy.published", "policy.in-force"]);
}

async fn a_version_is_read_by_everybody_before_and_after_it_decides(database: Database) {
    let vault = shipped(database).by_hand().await;
    let second = version("2", "2026-06-01");
    let dry = publish(&vault, &second, true).await.unwrap();
    assert_eq!((dry.new, dry.statement), (true, None));
    assert_eq!(listed(vault.anybody()).await.len(), 1, "nothing was done");
    let done = publish(&vault, &second, false).await.unwrap();
    assert!(done.new && done.statement.is_some());
    let again = publish(&vault, &second, false).await.unwrap();
    assert_eq!((again.new, again.statement), (false, done.statement));
    assert_eq!(vault.count("policy.published").await, 2);

    // No decision uses it yet, and it is returned unchanged.
    let [new, old] = listed(vault.anybody()).await.try_into().unwrap();
    assert_eq!(
        (&new["version"], &new["current"], &new["in_force_at"]),
        (&json!("2"), &json!(false), &Value::Null)
    );
    assert_eq!(
        (&old["version"], &old["current"]),
        (&json!("1"), &json!(true))
    );
    let file = vault.anybody().get("/v1/policies/2").await;
    assert_eq!(
        (file.text(), file.header("etag")),
        (second.clone(), format!("\"{}\"", done.digest).as_str())
    );
    assert!(
        vault
            .anybody()
            .get("/privacy/2")
            .await
            .text()
            .contains("not in force here yet")
    );
    assert_eq!(vault.count("policy.in-force").await, 1);

    // The service starts with it.
    vault.clock.advance(std::time::Duration::from_secs(1));
    fs::write(vault.folder().join("privacy-policy.toml"), &second).unwrap();
    let service = app::serve(app(&vault).await).await.unwrap();
    assert_eq!(
        (
            vault.count("policy.published").await,
            vault.count("policy.in-force").await
        ),
        (2, 2)
    );
    service.stop().await;
    let process = vault.another_process().await;
    let [new, old] = listed(&process.api).await.try_into().unwrap();
    assert!(
        new["current"] == true && new["in_force_at"].is_string() && old["current"] == false,
        "{new} {old}"
    );
    assert_eq!(
        process.api.get("/v1/policies/1").await.text(),
        SHIPPED_POLICY
    );
    assert_eq!(process.api.get("/v1/policy").await.text(), second);
    let page = process.api.get("/privacy/1").await.text();
    assert!(
        page.contains("This is not the version that is in force now"),
        "{page}"
    );
    assert!(
        process
            .api
            .get("/privacy")
            .await
            .text()
            .contains("href=\"/privacy/1\"")
    );
}

async fn a_changed_file_under_an_old_version_is_refused(database: Database) {
    let vault = shipped(database).by_hand().await;
    let changed = format!("{SHIPPED_POLICY}# changed\n");
    for dry_run in [true, false] {
        let error = publish(&vault, &changed, dry_run).await.unwrap_err();
        assert!(
            matches!(&error, flow::Error::Policy(why) if why.contains("new `version`")),
            "{error}"
        );
    }
    fs::write(vault.folder().join("privacy-policy.toml"), &changed).unwrap();
    let error = app::serve(app(&vault).await)
        .await
        .err()
        .expect("it does not start")
        .to_string();
    assert!(error.contains("`version`"), "{error}");
    assert_eq!(
        vault.anybody().get("/v1/policies/1").await.text(),
        SHIPPED_POLICY
    );
    assert_eq!(vault.count("policy.published").await, 1);
}

async fn a_version_from_before_statements_is_signed_when_the_service_starts(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    vault.ground().run("UPDATE policies SET jws = NULL").await;
    vault
        .anybody()
        .get("/v1/policies/1/statement")
        .await
        .problem(404, "not-found");
    assert_eq!(listed(vault.anybody()).await.len(), 1);
    app::serve(app(&vault).await).await.unwrap().stop().await;
    let text = vault.anybody().get("/v1/policies/1/statement").await.text();
    assert_eq!(
        Publication::verify(&text, &keys(vault.anybody()).await)
            .unwrap()
            .version(),
        "1"
    );
    assert_eq!(
        vault.count("policy.in-force").await,
        1,
        "it was in force all the time"
    );
}

on_both_databases!(
    anybody_checks_that_the_first_version_was_published,
    a_version_is_read_by_everybody_before_and_after_it_decides,
    a_changed_file_under_an_old_version_is_refused,
    a_version_from_before_statements_is_signed_when_the_service_starts,
);

#[tokio::test]
async fn a_program_reads_the_policy_as_data() {
    let vault = Recipe::default().by_hand().await;
    let anybody = vault.anybody();
    let plain = anybody.get("/v1/policy").await;
    assert_eq!(
        (plain.header("content-type"), plain.header("vary")),
        ("application/toml", "accept")
    );
    for (path, accept) in [
        ("/v1/policy?format=json", "*/*"),
        ("/v1/policy", "application/json"),
        ("/v1/policies/1", "text/html, application/json;q=0.9"),
    ] {
        let answer = anybody.with(Method::GET, path, &[("accept", accept)]).await;
        assert_eq!(
            answer.header("content-type"),
            "application/json",
            "{path} {accept}"
        );
        let data = answer.json();
        assert_eq!(
            data["digest"],
            json!(vault.process.flow.rulebook.current().digest())
        );
        assert_eq!(
            data["purposes"][2]["basis"]["dpv"],
            "https://w3id.org/dpv#Consent"
        );
        assert_ne!(
            answer.header("etag"),
            plain.header("etag"),
            "another form has another tag"
        );
    }
    for accept in [
        "*/*",
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/toml",
    ] {
        let answer = anybody
            .with(Method::GET, "/v1/policy", &[("accept", accept)])
            .await;
        assert_eq!(
            (answer.header("content-type"), answer.text()),
            ("application/toml", plain.text()),
            "{accept}"
        );
    }
    let forced = anybody
        .with(
            Method::GET,
            "/v1/policy?format=toml",
            &[("accept", "application/json")],
        )
        .await;
    assert_eq!(forced.text(), plain.text());
    let rules = anybody.get("/v1/policy?format=cedar").await;
    assert!(
        rules
            .text()
            .contains("forbid (principal, action, resource)")
            && rules.header("content-type").starts_with("text/plain")
    );
    assert!(
        anybody
            .get("/v1/policies/1?format=cedar-schema")
            .await
            .text()
            .contains("namespace Recvault")
    );
    anybody
        .get("/v1/policy?format=xml")
        .await
        .problem(400, "bad-request");
}

#[tokio::test]
async fn a_version_that_there_never_was_is_not_found() {
    let vault = Recipe::default().by_hand().await;
    for path in [
        "/v1/policies/2",
        "/v1/policies/2/statement",
        "/privacy/2",
        "/v1/policies/%00",
        "/v1/policies/%ff",
        "/privacy/%27%20OR%201",
    ] {
        vault.anybody().get(path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn doctor_hears_of_a_version_that_is_not_in_force_yet_and_of_one_that_comes_later() {
    let vault = shipped(Database::Sqlite).by_hand().await;
    let app = app(&vault).await;
    let oddities = async |policy: &str| {
        flow::oddities(&app.db, &Rules::parse("p", policy).unwrap(), &app.clock)
            .await
            .unwrap()
    };
    assert!(oddities(SHIPPED_POLICY).await.is_empty());
    let year = vault
        .clock
        .now()
        .after(std::time::Duration::from_secs(366 * 86_400))
        .to_string();
    let future = version("3", &year[..10]);
    assert!(Timestamp::parse_rfc3339(&year).is_some());
    let odd = oddities(&future).await;
    assert!(
        odd.len() == 1 && odd[0].contains("every request to listen is refused"),
        "{odd:?}"
    );
    publish(&vault, &future, false).await.unwrap();
    let odd = oddities(SHIPPED_POLICY).await;
    assert!(
        odd.len() == 1 && odd[0].contains("the published version 3 takes effect later"),
        "{odd:?}"
    );
    let changed = Rules::parse("p", &format!("{SHIPPED_POLICY}\n")).unwrap();
    let refused = flow::fits_published(&app.db, &changed).await.unwrap_err();
    assert!(refused.to_string().contains("new `version`"), "{refused}");
}
