//! Arbitrary input: the service answers or closes the connection, never with 500, and continues.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use reqwest::Method;

use crate::{
    database::Kind,
    invariants,
    world::{Service, World, sound},
};

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW",
];

#[tokio::test(flavor = "multi_thread")]
async fn garbage_at_every_door_on_sqlite() {
    garbage_at_every_door(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn garbage_at_every_door_on_postgres() {
    garbage_at_every_door(Kind::Postgres).await;
}

async fn garbage_at_every_door(kind: Kind) {
    let world = World::on(kind).await;
    // All requests come from one address, and must reach the handlers.
    world.configure("anonymous_per_s = 20", "anonymous_per_s = 0");
    world.configure("failures_per_m = 60", "failures_per_m = 0");
    let service = world.serve().await;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let rng = &mut StdRng::seed_from_u64(seed);
    let id = world.sealed(&service.client, sound(1, 1)).await;
    let (_, audio) = service.client.grant(id).await.unwrap();
    let audio = audio.unwrap();
    let routes = [
        "/twilio/recordings".to_owned(),
        "/v1/recordings".into(),
        format!("/v1/recordings/{id}"),
        format!("/v1/recordings/{id}/grants"),
        "/v1/audit".into(),
        audio.clone(),
        "/v1/receipts/rcp_00000000000000000000000000000000".into(),
        "/v1/policy".into(),
        "/.well-known/jwks.json".into(),
        "/openapi.json".into(),
        "/healthz".into(),
        "/readyz".into(),
        "/".into(),
        "/v1/media/%00/audio.wav".into(),
        "/v1/recordings/%ff%fe".into(),
    ];
    for route in &routes {
        for method in METHODS {
            for _ in 0..4 {
                call(&service, method, route, rng).await;
            }
        }
    }
    for _ in 0..200 {
        signed(&world, &service, rng).await;
    }
    let address = service.client.base.trim_start_matches("http://").to_owned();
    let bytes: Vec<Vec<u8>> = (0..150).map(|_| raw(&routes, rng)).collect();
    // Blocking calls on a separate thread.
    tokio::task::spawn_blocking(move || bytes.iter().for_each(|bytes| shout(&address, bytes)))
        .await
        .unwrap();

    let (status, _) = service.client.get("/healthz").await.unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        service.client.get(&audio).await.unwrap().0,
        200,
        "the grant of before still holds"
    );
    let log = service.process.log();
    assert!(
        !log.contains("ERROR") && !log.contains("panicked"),
        "seed {seed}: {log}"
    );
    service.process.stop().await;
    invariants::check(&world).await;
}

/// Sends a well-formed request with random content, sometimes with a valid token.
async fn call(service: &Service, method: &str, route: &str, rng: &mut StdRng) {
    let mut url = format!("{}{route}", service.client.base);
    if rng.random() {
        url += &format!(
            "?{}={}",
            ["limit", "cursor", "state", "since", "after", "x"]
                .choose(rng)
                .unwrap(),
            escaped(rng)
        );
    }
    let mut request = service
        .client
        .http
        .request(Method::from_bytes(method.as_bytes()).unwrap(), &url);
    request = match rng.random_range(0..4) {
        0 => request,
        1 => request.header(
            "Authorization",
            bytes(rng, 200)
                .iter()
                .map(|byte| byte | 0x80)
                .collect::<Vec<u8>>(),
        ),
        2 => request
            .header("Authorization", "Bearer ")
            .header("Authorization", "Basic Og=="),
        _ => request.bearer_auth(&service.client.token),
    };
    let header = *[
        "Range",
        "If-Range",
        "Content-Type",
        "X-Twilio-Signature",
        "Host",
        "Accept-Encoding",
        "Expect",
    ]
    .choose(rng)
    .unwrap();
    let value = *[
        "bytes=0-",
        "bytes=5-1",
        "bytes=-0",
        "bytes=0-0,2-3",
        "bytes=18446744073709551615-",
        "application/json",
        "=",
        "100-continue",
    ]
    .choose(rng)
    .unwrap();
    request = request.header(header, value);
    if rng.random() {
        // Never a reason that would really shred, nor a purpose that would really be granted.
        let body = match rng.random_range(0..3) {
            0 => bytes(rng, 70_000),
            1 => b"{\"reason\":\"\\u0000\",\"purpose\":[[[[]]]]}".to_vec(),
            _ => br#"{"purpose":"quality-review","justification":12}"#.to_vec(),
        };
        request = request.body(body);
    }
    let Ok(response) = request.send().await else {
        return;
    };
    let status = response.status().as_u16();
    assert!(
        status < 500,
        "{method} {route} was answered {status}: {:?}",
        response.text().await
    );
}

/// Posts a form with a valid signature and random content.
async fn signed(world: &World, service: &Service, rng: &mut StdRng) {
    let (sid, _) = world.record(sound(2, 1));
    let status = [
        "completed",
        "in-progress",
        "absent\u{0}",
        "",
        "COMPLETED",
        "something-new",
    ]
    .choose(rng)
    .unwrap();
    let mut params = world.stand_in.callback_params(&sid, status);
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(1..params.len());
        params[at].1 = match rng.random_range(0..4) {
            0 => String::new(),
            1 => "-9223372036854775809".into(),
            2 => "\u{0}\u{1f3a7}".repeat(40),
            _ => String::from_utf8_lossy(&bytes(rng, 300)).into_owned(),
        };
    }
    let url = format!(
        "{}/twilio/recordings?tier={}",
        service.client.base,
        escaped(rng)
    );
    let callback = world.stand_in.callback(&world.account, &url, &params);
    let status = callback
        .post(&service.client.http, &url)
        .await
        .unwrap()
        .status()
        .as_u16();
    assert!(matches!(status, 204 | 400), "{status} for {params:?}");
}

/// Returns input that is not valid HTTP.
fn raw(routes: &[String], rng: &mut StdRng) -> Vec<u8> {
    let route = routes.choose(rng).unwrap();
    let method = METHODS.choose(rng).unwrap();
    let mut bytes = match rng.random_range(0..7) {
        0 => bytes(rng, 5000),
        1 => format!("{method} {route} HTTP/1.1\r\nHost: x\r\nX-Much: {}\r\n\r\n", "y".repeat(300_000)).into_bytes(),
        2 => format!("{method} {route} HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(5000)).into_bytes(),
        3 => {
            format!("{method} {route} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}", "z".repeat(100)).into_bytes()
        }
        4 => format!("{method} {route} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx").into_bytes(),
        5 => format!("{method} /{}{route} HTTP/1.1\r\nHost: x\r\n\r\n", "../".repeat(rng.random_range(1..20_000))).into_bytes(),
        _ => format!("{method} {route} HTTP/9.9\r\n\r\n\r\nGET").into_bytes(),
    };
    if rng.random_range(0..3) == 0 {
        let at = rng.random_range(0..bytes.len().max(1)).min(bytes.len());
        bytes.truncate(at);
    }
    bytes
}

/// Sends bytes and reads the answer; the other end may close the connection at any time.
fn shout(address: &str, bytes: &[u8]) {
    let mut socket = TcpStream::connect(address).expect("the service still listens");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = socket.take(4096).read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse::<u16>().ok());
    assert!(status.is_none_or(|status| status < 500), "{answer}");
}

fn bytes(rng: &mut StdRng, up_to: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(0..=up_to)];
    rng.fill(&mut bytes[..]);
    bytes
}

fn escaped(rng: &mut StdRng) -> String {
    bytes(rng, 20)
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect()
}
