//! HTTP: hosts, malformed requests, unread bodies, HEAD, conditional requests, and cross-origin
//! requests.

use std::{fs, net::SocketAddr};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::served_on;
use crate::world::{Answer, Caller, Database, Recipe, send};

/// Sends these bytes, and returns the answer up to the end of the connection.
async fn told(at: SocketAddr, bytes: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let mut answer = Vec::new();
    // The server may answer before everything is sent, and a reset after the answer does not
    // invalidate it.
    let _ = stream.write_all(bytes).await;
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(&answer)));
    let head = String::from_utf8(answer[..end].to_vec())
        .unwrap()
        .to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

#[track_caller]
fn is_problem((status, head, body): &(u16, String, Vec<u8>), wanted: u16, kind: &str) {
    assert_eq!(*status, wanted, "{head}");
    assert!(
        head.contains("content-type: application/problem+json"),
        "{head}"
    );
    let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| panic!("{body:?}"));
    assert_eq!(
        (&body["type"], &body["status"]),
        (&json!(format!("/problems/{kind}")), &json!(wanted))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_its_host_once() {
    let vault = served_on(Database::Sqlite).served().await;
    let at = vault.process.address();
    for (hosts, good) in [
        ("host: vault\r\n", true),
        ("host: 127.0.0.1:8080\r\n", true),
        ("", false),
        ("host: vault\r\nhost: vault\r\n", false),
        ("host: vault\r\nhost: other\r\n", false),
        ("host: somebody@vault\r\n", false),
        ("host: va ult\r\n", false),
        ("host:\r\n", false),
    ] {
        for path in ["/healthz", "/v1/recordings", "/nothing"] {
            let request = format!("GET {path} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
            let answer = told(at, request.as_bytes()).await;
            if good {
                assert_ne!(answer.0, 400, "{request}");
            } else {
                is_problem(&answer, 400, "bad-request");
            }
        }
    }
    // HTTP/1.0 does not require this header.
    assert_eq!(told(at, b"GET /healthz HTTP/1.0\r\n\r\n").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_is_answered_with_a_problem() {
    let vault = served_on(Database::Sqlite).served().await;
    let at = vault.process.address();
    let long = "x".repeat(300_000);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (request, status, kind) in [
        (
            "GET / HTTP/1.1\r\nno header\r\n\r\n".to_owned(),
            400,
            "bad-request",
        ),
        ("rubbish\r\n\r\n".into(), 400, "bad-request"),
        (
            "GET /\u{7f}\u{1} HTTP/1.1\r\nhost: vault\r\n\r\n".into(),
            400,
            "bad-request",
        ),
        (
            "POST / HTTP/1.1\r\nhost: vault\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n"
                .into(),
            400,
            "bad-request",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: vault\r\nx: {long}\r\n\r\n"),
            431,
            "head-too-large",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: vault\r\n{many}\r\n"),
            431,
            "head-too-large",
        ),
    ] {
        is_problem(&told(at, request.as_bytes()).await, status, kind);
    }
    // An earlier answer on the same connection is not affected.
    let twice = b"GET /healthz HTTP/1.1\r\nhost: vault\r\n\r\nrubbish\r\n\r\n";
    let (status, _, rest) = told(at, twice).await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(status == 200 && rest.starts_with("HTTP/1.1 400 "), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_leaves_a_body_unread_closes_the_connection() {
    let vault = served_on(Database::Sqlite).served().await;
    let at = vault.process.address();
    let token = vault.made.admin.token.expose();
    let post = |path: &str, bearer: &str, length: usize| {
        let body = "x".repeat(length);
        format!(
            "POST {path} HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {bearer}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    for (request, status) in [
        (post("/v1/revocations", token, 300_000), 413),
        (post("/v1/revocations", "nobody", 300_000), 401),
        (post("/healthz", token, 300_000), 405),
        // Also for a short body.
        (post("/v1/revocations", "nobody", 300), 401),
    ] {
        let (seen, head, _) = told(at, request.as_bytes()).await;
        assert_eq!(seen, status, "{head}");
        assert!(head.contains("\r\nconnection: close"), "{head}");
    }
    // After a body that was read, the connection stays open for the next request.
    let both = post("/v1/revocations", token, 10)
        + "GET /healthz HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n\r\n";
    let (status, head, rest) = told(at, both.as_bytes()).await;
    assert!(
        status == 400 && !head.contains("connection: close"),
        "{head}"
    );
    assert!(String::from_utf8_lossy(&rest).contains("HTTP/1.1 200 OK"));
}

/// Returns the headers that HEAD and GET must share.
fn alike(answer: &Answer) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "transfer-encoding"))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    headers
}

async fn head_is_answered_as_get(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let call = vault.details(recorded.id).await["call_sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let party = json!({ "parties": [{ "leg": "caller", "number": "+493023125011" }] });
    let named = vault
        .asks("privacy-officer")
        .post(&format!("/v1/calls/{call}/parties"), party)
        .await;
    assert_eq!(named.status, 200, "{named:?}");
    let transcript = json!({ "language": "en", "source": "test", "sentences": [{ "start_ms": 0, "end_ms": 1, "text": "Hello." }] });
    let filed = vault
        .asks("privacy-officer")
        .request(
            Method::PUT,
            &format!("/v1/recordings/{}/transcript", recorded.id),
        )
        .json(&transcript);
    assert_eq!(send(filed).await.status, 201);
    let audio = vault.audio(recorded.id).await;
    let media = |file: &str| audio.replace("audio.wav", file);
    let agent = vault.asks("agent");
    let paths: Vec<(&Caller, String)> = [
        audio.clone(),
        media("transcript.json"),
        media("transcript.vtt"),
        media("parties.json"),
        "/v1/media/x/audio.wav".into(),
        "/v1/policy".into(),
        "/openapi.json".into(),
        "/problems/denied".into(),
        "/privacy".into(),
        "/healthz".into(),
        "/readyz".into(),
        "/nothing".into(),
    ]
    .map(|path| (vault.anybody(), path))
    .into_iter()
    .chain(["/v1/recordings", "/v1/audit", "/v1/exports"].map(|path| (&agent, path.to_owned())))
    .collect();
    let objects = vault.folder().join("objects");
    for stage in ["here", "away"] {
        for (caller, path) in &paths {
            let openings = vault.count("opening.started").await;
            let head = caller.with(Method::HEAD, path, &[]).await;
            assert_eq!(vault.count("opening.started").await, openings, "{path}");
            let get = caller.with(Method::GET, path, &[]).await;
            assert_eq!(head.status, get.status, "{stage} {path}");
            assert_eq!(alike(&head), alike(&get), "{stage} {path}");
            assert!(head.body.is_empty(), "{stage} {path}");
        }
        // An object that cannot be opened must not seem to exist.
        if stage == "here" {
            fs::rename(&objects, vault.folder().join("elsewhere")).unwrap();
        }
    }
}

async fn a_range_is_part_of_a_get_alone(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let path = vault.audio(recorded.id).await;
    let len = recorded.wav.len().to_string();
    for range in ["bytes=5-8", "bytes=99999999-"] {
        let head = vault
            .anybody()
            .with(Method::HEAD, &path, &[("range", range)])
            .await;
        assert_eq!(
            (
                head.status,
                head.header("content-length"),
                head.header("content-range")
            ),
            (200, len.as_str(), ""),
            "{range}"
        );
    }
}

async fn conditions_are_asked_wherever_a_tag_is_sent(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let audio = vault.audio(recorded.id).await;
    for path in [
        audio.as_str(),
        "/v1/policy",
        "/v1/policy?format=json",
        "/openapi.json",
        "/problems",
        "/problems/denied",
    ] {
        let anybody = vault.anybody();
        let etag = anybody
            .with(Method::HEAD, path, &[])
            .await
            .header("etag")
            .to_owned();
        assert!(etag.starts_with('"'), "{path} has no tag");
        let weak = format!("W/{etag}");
        let listed = format!("\"other\", {etag}");
        let openings = vault.count("opening.started").await;
        for method in [Method::GET, Method::HEAD] {
            for known in [etag.as_str(), &weak, &listed, "*"] {
                let answer = anybody
                    .with(method.clone(), path, &[("if-none-match", known)])
                    .await;
                assert_eq!(
                    (answer.status, answer.body.len(), answer.header("etag")),
                    (304, 0, etag.as_str()),
                    "{method} {path} {known}"
                );
            }
            for other in ["\"other\"", &weak] {
                let answer = anybody
                    .with(method.clone(), path, &[("if-match", other)])
                    .await;
                assert_eq!(answer.status, 412, "{method} {path} {other}");
            }
            // `If-Match` takes precedence over `If-None-Match`.
            let both = [("if-match", "\"other\""), ("if-none-match", etag.as_str())];
            assert_eq!(anybody.with(method, path, &both).await.status, 412);
        }
        assert_eq!(
            vault.count("opening.started").await,
            openings,
            "{path}: a condition opens nothing"
        );
        let other = anybody
            .with(Method::GET, path, &[("if-match", "\"other\"")])
            .await;
        other.problem(412, "precondition-failed");
        for (name, value) in [
            ("if-match", listed.as_str()),
            ("if-none-match", "\"other\""),
        ] {
            let answer = anybody.with(Method::GET, path, &[(name, value)]).await;
            assert_eq!(answer.status, 200, "{path} {name}");
        }
    }
}

const DASHBOARD: &str = "https://dashboard.example.com";

#[tokio::test]
async fn a_dashboard_on_a_named_origin_asks_for_grants_and_plays() {
    let vault = Recipe {
        server: "cors_origins = [\"https://dashboard.example.com\", \"http://localhost:3000\"]",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let anybody = vault.anybody();
    let grants = format!("/v1/recordings/{}/grants", recorded.id);
    // A browser sends a preflight request first.
    for (path, method, headers) in [
        (grants.as_str(), "POST", "authorization,content-type"),
        ("/v1/media/x/audio.wav", "GET", "range"),
        ("/v1/media/x/transcript.vtt", "GET", "if-none-match"),
        ("/v1/recordings", "GET", "authorization"),
    ] {
        let preflight = [
            ("origin", DASHBOARD),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        let answer = anybody.with(Method::OPTIONS, path, &preflight).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), DASHBOARD);
        assert!(
            answer
                .header("access-control-allow-methods")
                .split(',')
                .any(|each| each == method),
            "{answer:?}"
        );
        for name in headers.split(',') {
            assert!(
                answer
                    .header("access-control-allow-headers")
                    .split(',')
                    .any(|each| each == name),
                "{name}: {answer:?}"
            );
        }
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let stranger = [
            ("origin", "https://elsewhere.example.com"),
            ("access-control-request-method", method),
        ];
        let answer = anybody.with(Method::OPTIONS, path, &stranger).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    // And it exposes the headers for playing and seeking, also for refusals.
    let audio = vault.audio(recorded.id).await;
    let part = anybody
        .with(
            Method::GET,
            &audio,
            &[("origin", DASHBOARD), ("range", "bytes=0-43")],
        )
        .await;
    assert_eq!(part.status, 206);
    let refused = anybody
        .with(Method::GET, "/v1/recordings", &[("origin", DASHBOARD)])
        .await;
    refused.problem(401, "unauthorized");
    for answer in [&part, &refused] {
        assert_eq!(answer.header("access-control-allow-origin"), DASHBOARD);
        assert!(answer.header("vary").contains("origin"), "{answer:?}");
        for name in ["content-range", "accept-ranges", "content-length", "etag"] {
            assert!(
                answer
                    .header("access-control-expose-headers")
                    .split(',')
                    .any(|each| each == name),
                "{name}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn as_shipped_no_page_of_another_origin_may() {
    let vault = Recipe::default().by_hand().await;
    let answer = vault
        .anybody()
        .with(Method::GET, "/v1/policy", &[("origin", DASHBOARD)])
        .await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (200, "")
    );
    let asked = [
        ("origin", DASHBOARD),
        ("access-control-request-method", "POST"),
    ];
    let answer = vault
        .anybody()
        .with(Method::OPTIONS, "/v1/revocations", &asked)
        .await;
    answer.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn every_kind_of_problem_has_a_page_at_its_address() {
    let vault = Recipe::default().by_hand().await;
    let anybody = vault.anybody();
    let document = anybody.get("/openapi.json").await.json();
    let kinds = document["components"]["schemas"]["ProblemType"]["enum"].clone();
    let kinds: Vec<String> = serde_json::from_value(kinds).unwrap();
    assert!(kinds.len() >= 20, "{kinds:?}");
    let list = anybody.get("/problems").await.text();
    for kind in &kinds {
        let page = anybody.get(kind).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{kind}"
        );
        assert!(
            page.text().contains(&format!("<code>{kind}</code>")),
            "{kind}"
        );
        assert!(list.contains(&format!("href=\"{kind}\"")), "{kind}");
    }
    let refused = anybody.get("/problems/of-somebody-else").await;
    let kind = refused.problem(404, "not-found")["type"].clone();
    assert!(kinds.contains(&kind.as_str().unwrap().to_owned()));
}

on_both_databases!(
    head_is_answered_as_get,
    a_range_is_part_of_a_get_alone,
    conditions_are_asked_wherever_a_tag_is_sent,
);
