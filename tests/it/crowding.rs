//! Overload: clients that never read, requests without a credential, guessed credentials. Other
//! clients are not affected.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use recvault::model::time::Clock;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::world::{Recipe, Recorded, TestVault, send, until};

async fn served(server: &'static str) -> (TestVault, Recorded) {
    let vault = Recipe {
        clock: Clock::System,
        server,
        ..Recipe::default()
    }
    .served()
    .await;
    let wav =
        recvault::demo::conversation::repeat_to(60, recvault::demo::conversation::Channels::Dual);
    let recorded = vault.record_wav(wav.into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    (vault, recorded)
}

/// Connects from a separate loopback address, with a small buffer, and sends a request.
async fn asks_from(from: &str, at: SocketAddr, request: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0))
        .unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(at).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    Some(stream)
}

/// Returns the first bytes of an answer, if there is one.
async fn first(mut stream: TcpStream) -> String {
    let mut buffer = vec![0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer))
        .await
        .expect("an answer or an end");
    String::from_utf8_lossy(&buffer[..read.unwrap_or_default()]).into_owned()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: vault\r\nconnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_of_one_address_that_never_read_keep_nobody_out() {
    let (vault, recorded) =
        served("[server.limits]\nmax_connections = 64\nwrite_timeout_s = 300").await;
    let at = vault.process.address();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: vault\r\n\r\n",
        vault.audio(recorded.id).await
    );
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        crowd.extend(asks_from("127.0.0.2", at, &request).await);
    }
    let begun = Instant::now();
    let answer = first(asks_from("127.0.0.3", at, HEALTH).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    until("some of them are served", async || {
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .streams
            > 0
    })
    .await;
    let streams = vault
        .process
        .flow
        .monitoring
        .status()
        .await
        .unwrap()
        .streams;
    assert!(
        streams <= 16,
        "{streams} of 64 connections are one client's"
    );
    drop(crowd);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_are_cut_off_and_others_get_in() {
    let (vault, recorded) =
        served("[server.limits]\nmax_connections = 64\nwrite_timeout_s = 1").await;
    let at = vault.process.address();
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: vault\r\n\r\n",
        vault.audio(recorded.id).await
    );
    let mut crowd = Vec::new();
    for client in 2..12 {
        for _ in 0..16 {
            crowd.extend(asks_from(&format!("127.0.0.{client}"), at, &request).await);
        }
    }
    let answer = first(asks_from("127.0.0.20", at, HEALTH).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    until("all of them are cut off", async || {
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .streams
            == 0
    })
    .await;
    drop(crowd);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_kept_and_not_used_is_closed() {
    let vault = Recipe {
        clock: Clock::System,
        ..Recipe::default()
    }
    .served()
    .await;
    let mut stream = asks_from(
        "127.0.0.2",
        vault.process.address(),
        "GET /healthz HTTP/1.1\r\nhost: vault\r\n\r\n",
    )
    .await
    .unwrap();
    let mut answer = Vec::new();
    let ended =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    assert!(
        ended.is_ok() && answer.starts_with(b"HTTP/1.1 200 "),
        "{answer:?}"
    );
}

/// Behind a proxy the connections are the proxy's: requests are counted, to the end of their
/// answers.
#[tokio::test(flavor = "multi_thread")]
async fn one_client_behind_a_proxy_has_its_share_of_the_requests() {
    let (vault, recorded) =
        served("trusted_proxies = [\"127.0.0.1\"]\n[server.limits]\nconnections_per_address = 2")
            .await;
    let path = vault.audio(recorded.id).await;
    let from = |client: &'static str| {
        send(
            vault
                .anybody()
                .request(Method::GET, "/healthz")
                .header("x-forwarded-for", client),
        )
    };
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: vault\r\nx-forwarded-for: 2001:db8::1\r\n\r\n");
    let crowd = [
        asks_from("127.0.0.1", vault.process.address(), &request).await,
        asks_from("127.0.0.1", vault.process.address(), &request).await,
    ];
    until("both listen", async || {
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .streams
            == 2
    })
    .await;
    let crowded = from("2001:db8::2").await;
    crowded.problem(503, "crowded");
    assert_eq!(from("2001:db8:0:1::1").await.status, 200);
    assert_eq!(from("192.0.2.1").await.status, 200);
    drop(crowd);
    until("the share is given back", async || {
        from("2001:db8::2").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn callers_without_a_credential_have_a_rate() {
    let vault = Recipe {
        server: "[server.limits]\nanonymous_per_s = 1",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let mut passed = 0;
    let limited = loop {
        let answer = vault.anybody().get("/privacy").await;
        if answer.status != 200 {
            break answer;
        }
        passed += 1;
        assert!(passed < 100, "there is no limit");
    };
    limited.problem(429, "too-many-requests");
    assert!(
        passed >= 10 && limited.header("retry-after").parse::<u32>().unwrap() <= 2,
        "{passed} {limited:?}"
    );
    assert_eq!(vault.anybody().get("/healthz").await.status, 200);
    assert_eq!(
        vault.asks("agent").get("/v1/recordings").await.status,
        200,
        "somebody with a token"
    );
    vault.sealed().await;
}

#[tokio::test]
async fn who_guesses_is_stopped_and_neither_twilio_nor_a_good_token_is() {
    let vault = Recipe {
        server: "[server.limits]\nfailures_per_m = 5",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    let media = vault.audio(recorded.id).await;
    assert_eq!(vault.anybody().get(&media).await.status, 200);
    let agent = vault.asks("agent");
    assert_eq!(agent.get("/v1/recordings").await.status, 200);
    let guess = vault.anybody().clone().bearing("rvt_guess");
    for _ in 0..5 {
        guess
            .get("/v1/recordings")
            .await
            .problem(401, "unauthorized");
    }
    guess
        .get("/v1/recordings")
        .await
        .problem(429, "too-many-requests");
    vault
        .anybody()
        .get("/v1/recordings")
        .await
        .problem(429, "too-many-requests");
    vault
        .anybody()
        .get("/v1/media/guess/audio.wav")
        .await
        .problem(429, "too-many-requests");
    vault
        .anybody()
        .form("/twilio/recordings", "AccountSid=x", &["x"])
        .await
        .problem(429, "too-many-requests");
    // All clients have the same address here.
    assert_eq!(agent.get("/v1/recordings").await.status, 200);
    assert_eq!(vault.anybody().get(&media).await.status, 200);
    for _ in 0..50 {
        assert_eq!(vault.tell(&vault.record(), "completed").await.status, 204);
    }
}

#[tokio::test]
async fn guesses_at_grants_and_signatures_count_too() {
    let vault = Recipe {
        server: "[server.limits]\nfailures_per_m = 4",
        ..Recipe::default()
    }
    .by_hand()
    .await;
    for _ in 0..2 {
        vault
            .anybody()
            .get("/v1/media/guess/audio.wav")
            .await
            .problem(404, "not-found");
        vault
            .anybody()
            .form("/twilio/recordings", "AccountSid=x", &["x"])
            .await
            .problem(403, "bad-signature");
    }
    vault
        .anybody()
        .get("/v1/media/guess/audio.wav")
        .await
        .problem(429, "too-many-requests");
}

#[tokio::test]
async fn documents_are_not_sent_to_who_has_them() {
    let vault = Recipe::default().by_hand().await;
    for path in [
        "/openapi.json",
        "/v1/policy",
        "/v1/policy?format=json",
        "/v1/policy?format=cedar",
    ] {
        let first = vault.anybody().get(path).await;
        assert_eq!(first.status, 200);
        let again = vault
            .anybody()
            .with(
                Method::GET,
                path,
                &[("if-none-match", first.header("etag"))],
            )
            .await;
        assert_eq!(
            (again.status, again.body.len(), again.header("etag")),
            (304, 0, first.header("etag")),
            "{path}"
        );
        let other = vault
            .anybody()
            .with(Method::GET, path, &[("if-none-match", "\"x\"")])
            .await;
        assert!(other.status == 200 && other.body == first.body, "{path}");
    }
}
