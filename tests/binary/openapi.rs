//! `/openapi.json` as other tools read it: validators find no fault, generated clients run the
//! whole workflow, and a fuzzer finds no deviation from it.
//!
//! `tests/run` installs the readers: `RECVAULT_TEST_OPENAPI` is a folder with a virtual environment
//! of Python in `venv` and packages of Node in `node_modules`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::Client,
    database::Kind,
    needs,
    world::{Service, World, sound},
};

/// The scripts and settings of these tests.
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/binary/openapi");

/// The programs that read the description, and a folder for their work.
struct Readers {
    installed: PathBuf,
    folder: TempDir,
}

impl Readers {
    /// Fetches the description of a service.
    async fn of(client: &Client) -> Self {
        let installed = PathBuf::from(needs::required("RECVAULT_TEST_OPENAPI"));
        let folder = tempfile::tempdir().unwrap();
        let (status, description) = client.get("/openapi.json").await.unwrap();
        assert_eq!(status, 200);
        fs::write(folder.path().join("openapi.json"), description).unwrap();
        Self { installed, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a program of the Python environment.
    fn python(&self, program: &str) -> Command {
        self.command(&self.installed.join("venv/bin").join(program))
    }

    /// Returns a program of the Node packages.
    fn node(&self, program: &str) -> Command {
        self.command(&self.installed.join("node_modules/.bin").join(program))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            // No telemetry.
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
        command
    }
}

/// Runs a program to its end, off the runtime.
async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Returns its whole output.
fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn succeeds(command: Command) -> String {
    let output = run(command).await;
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs readers of OpenAPI: run `tests/run`"]
async fn other_readers_find_no_fault_in_the_description() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let readers = Readers::of(&service.client).await;
    let mut validator = readers.python("openapi-spec-validator");
    validator.arg("openapi.json");
    succeeds(validator).await;
    let mut redocly = readers.node("redocly");
    redocly.args(["lint", "openapi.json", "--max-problems=100"]);
    let said = succeeds(redocly).await;
    assert!(
        said.contains("Your API description is valid") && !said.contains("You have"),
        "{said}"
    );
    let mut spectral = readers.node("spectral");
    spectral
        .args(["lint", "openapi.json", "--fail-severity=warn", "--ruleset"])
        .arg(format!("{HERE}/spectral.yaml"));
    succeeds(spectral).await;
}

/// Returns a sealed recording of a call, a file of its audio, and further arguments of the scripts.
async fn one_call(world: &World, service: &Service, readers: &Readers) -> [String; 4] {
    let wav = sound(1, 3);
    fs::write(readers.path("sound.wav"), &wav).unwrap();
    let id = world.sealed(&service.client, wav).await;
    [
        service.client.base.clone(),
        world.token.clone(),
        id.to_string(),
        readers.path("sound.wav").display().to_string(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs readers of OpenAPI: run `tests/run`"]
async fn a_client_made_for_python_tells_the_whole_story() {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        let service = world.serve().await;
        let readers = Readers::of(&service.client).await;
        let arguments = one_call(&world, &service, &readers).await;
        let mut generator = readers.python("openapi-python-client");
        generator
            .args([
                "generate",
                "--path",
                "openapi.json",
                "--output-path",
                "made",
            ])
            .args(["--meta", "none", "--config"])
            .arg(format!("{HERE}/openapi-python-client.yaml"));
        let said = succeeds(generator).await;
        assert!(!said.contains("WARNING"), "{said}");
        let mut story = readers.python("python");
        story
            .arg(format!("{HERE}/story.py"))
            .args(arguments)
            .env("PYTHONPATH", readers.folder.path());
        assert!(succeeds(story).await.contains("told"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs readers of OpenAPI: run `tests/run`"]
async fn a_client_made_for_typescript_tells_the_whole_story() {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        let service = world.serve().await;
        let readers = Readers::of(&service.client).await;
        let arguments = one_call(&world, &service, &readers).await;
        symlink(
            readers.installed.join("node_modules"),
            readers.path("node_modules"),
        )
        .unwrap();
        fs::write(readers.path("package.json"), "{ \"type\": \"module\" }").unwrap();
        fs::copy(format!("{HERE}/story.ts"), readers.path("story.ts")).unwrap();
        let mut generator = readers.node("openapi-typescript");
        generator.args(["openapi.json", "--output", "made.d.ts"]);
        succeeds(generator).await;
        // The types are strict: a request that the description lacks does not compile.
        let mut compiler = readers.node("tsc");
        compiler.args(["--strict", "--target", "es2022", "--module", "nodenext"]);
        compiler.args(["--types", "node", "--skipLibCheck", "story.ts"]);
        succeeds(compiler).await;
        let mut story = readers.command(Path::new("node"));
        story.arg("story.js").args(arguments);
        assert!(succeeds(story).await.contains("told"));
    }
}

/// Returns the existing objects, for `hooks.py`.
async fn fixtures(world: &World, client: &Client) -> Value {
    let mut recordings = Vec::new();
    for number in 0..12 {
        recordings.push(world.sealed(client, sound(number, 1)).await);
    }
    let (mortal, living) = recordings.split_at(4);
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let (status, body) = client.ask(method, path, body).await.unwrap();
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        body
    };
    let mut calls = Vec::new();
    let mut tokens = Vec::new();
    for id in living {
        let details = ask(Method::GET, &format!("/v1/recordings/{id}"), None).await;
        calls.push(details["call_sid"].clone());
        let grant = ask(
            Method::POST,
            &format!("/v1/recordings/{id}/grants"),
            Some(json!({ "purpose": "quality-review" })),
        )
        .await;
        let sid = details["call_sid"].as_str().unwrap();
        let party = json!({ "leg": "caller", "number": "+493076543201" });
        ask(
            Method::POST,
            &format!("/v1/calls/{sid}/parties"),
            Some(json!({ "parties": [party] })),
        )
        .await;
        let url = grant["audio_url"].as_str().unwrap();
        tokens.push(url.rsplit('/').nth(1).unwrap().to_owned());
    }
    let shredded = ask(
        Method::DELETE,
        &format!("/v1/recordings/{}", mortal[0]),
        Some(json!({ "reason": "subject-request" })),
    )
    .await;
    let revoked = ask(
        Method::POST,
        "/v1/revocations",
        Some(json!({ "recording": mortal[1], "reason": "subject-request" })),
    )
    .await;
    let said = json!({ "subject": "+493076543201", "answer": "given", "method": "contract" });
    ask(Method::POST, "/v1/consents", Some(said)).await;
    let policy = ask(Method::GET, "/v1/policy?format=json", None).await;
    let purposes: Vec<&Value> = policy["purposes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|purpose| &purpose["name"])
        .collect();
    let mut cursors = serde_json::Map::new();
    for path in ["/v1/recordings", "/v1/audit"] {
        let page = ask(Method::GET, &format!("{path}?limit=1"), None).await;
        assert!(page["next_cursor"].is_string(), "{page}");
        cursors.insert(path.to_owned(), page["next_cursor"].clone());
    }
    json!({
        "recordings": living, "mortal": mortal, "calls": calls, "tokens": tokens,
        "receipts": [shredded["receipt_id"]], "revocations": [revoked["id"]],
        "versions": [policy["version"]], "purposes": purposes,
        "cursors": cursors,
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs readers of OpenAPI: run `tests/run`"]
async fn whoever_asks_at_random_is_answered_as_the_description_says() {
    for kind in Kind::given() {
        let world = World::on(kind).await;
        for (rate, least) in [
            ("anonymous_per_s = 20", "anonymous_per_s = 0"),
            ("failures_per_m = 60", "failures_per_m = 0"),
            ("credential_per_s = 500", "credential_per_s = 0"),
        ] {
            world.configure(rate, least);
        }
        let service = world.serve().await;
        let readers = Readers::of(&service.client).await;
        let fixtures = fixtures(&world, &service.client).await;
        fs::write(readers.path("fixtures.json"), fixtures.to_string()).unwrap();
        let mut fuzzer = readers.python("schemathesis");
        fuzzer
            .arg("--config-file")
            .arg(format!("{HERE}/schemathesis.toml"))
            .args(["run", "openapi.json", "--checks", "all", "--url"])
            .arg(&service.client.base)
            .args(["--max-examples", "10", "--seed", "1", "--no-color"])
            .args(["--continue-on-failure", "--warnings", "off", "--header"])
            .arg(format!("Authorization: Bearer {}", world.token))
            .env("SCHEMATHESIS_HOOKS", format!("{HERE}/hooks.py"))
            .env("RECVAULT_FIXTURES", readers.path("fixtures.json"));
        let said = succeeds(fuzzer).await;
        assert!(said.contains("Tested:"), "{said}");
        let log = service.process.log();
        assert!(!log.contains("ERROR"), "{log}");
    }
}
