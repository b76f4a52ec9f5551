//! The audio that still reaches a slow listener after the shred was answered, counted in bytes over
//! real sockets.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use recvault::{
    demo::conversation::{Channels, repeat_to},
    model::time::Clock,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::world::{Recipe, Recorded, TestVault, until};

/// Bytes of one second: 8 kHz, 16 bit, two channels.
const SECOND: usize = 32_000;
/// The most bytes after the answer: one second of audio in transit, and the listener's own small
/// buffer.
const BOUND: usize = 64 * 1024;

async fn served(server: &'static str, wav: Vec<u8>) -> (TestVault, Recorded) {
    let vault = Recipe {
        clock: Clock::System,
        server,
        ..Recipe::default()
    }
    .served()
    .await;
    let recorded = vault.record_wav(wav.into());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || {
        vault.state(recorded.id).await == "sealed"
    })
    .await;
    (vault, recorded)
}

/// Twenty minutes of audio.
fn long() -> Vec<u8> {
    repeat_to(1200, Channels::Dual)
}

/// Connects with a small receive buffer, and sends a request.
async fn asks(at: SocketAddr, request: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(at).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: vault\r\n\r\n")
}

/// Reads at a rate for this time, or to the end: returns the bytes, and the end, if any.
async fn listens(
    stream: &mut TcpStream,
    pace: usize,
    during: Duration,
) -> (Vec<u8>, Option<std::io::Result<()>>) {
    let begun = Instant::now();
    let mut heard = Vec::new();
    let mut buffer = vec![0; pace / 20];
    while begun.elapsed() < during {
        let Ok(read) = tokio::time::timeout(
            during.saturating_sub(begun.elapsed()),
            stream.read(&mut buffer),
        )
        .await
        else {
            break;
        };
        match read {
            Ok(0) => return (heard, Some(Ok(()))),
            Ok(read) => heard.extend_from_slice(&buffer[..read]),
            Err(error) => return (heard, Some(Err(error))),
        }
        let due = Duration::from_millis(heard.len() as u64 * 1000 / pace as u64);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
    (heard, None)
}

/// Reads on after the shred was answered: few bytes arrive, and no orderly end.
async fn falls_silent(stream: &mut TcpStream) {
    let (after, end) = listens(stream, SECOND, Duration::from_secs(30)).await;
    assert!(
        after.len() <= BOUND,
        "{} bytes are {} ms of sound",
        after.len(),
        after.len() * 1000 / SECOND
    );
    let end = end
        .expect("the connection ends")
        .expect_err("an end that looks proper");
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Also checks that a listener in real time does not count as stalled.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_in_real_time_hears_a_second_at_most_after_the_shred_was_answered() {
    let (vault, recorded) = served("[server.limits]\nwrite_timeout_s = 2", long()).await;
    let mut stream = asks(
        vault.process.address(),
        &get(&vault.audio(recorded.id).await),
    )
    .await;
    let (heard, end) = listens(&mut stream, SECOND, Duration::from_secs(4)).await;
    assert!(
        heard.len() > 3 * SECOND && end.is_none(),
        "{} {end:?}",
        heard.len()
    );
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    falls_silent(&mut stream).await;
    assert_eq!(
        vault
            .process
            .flow
            .monitoring
            .status()
            .await
            .unwrap()
            .streams,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_falls_silent_when_a_recording_in_it_is_shredded() {
    const NUMBER: &str = "+493055501987";
    let (vault, recorded) = served("", long()).await;
    let call = vault.details(recorded.id).await["call_sid"]
        .as_str()
        .unwrap()
        .to_owned();
    let parties = json!({ "parties": [{ "leg": "caller", "number": NUMBER }] });
    assert_eq!(
        vault
            .asks("privacy-officer")
            .post(&format!("/v1/calls/{call}/parties"), parties)
            .await
            .status,
        200
    );
    let wish = json!({ "subject": NUMBER, "purpose": "subject-request", "justification": "they ask", "ticket": "DSAR-9" }).to_string();
    let token = vault.minted("privacy-officer").token.expose();
    let head = format!(
        "POST /v1/exports HTTP/1.1\r\nhost: vault\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    );
    let request = format!("{head}content-length: {}\r\n\r\n{wish}", wish.len());
    let mut stream = asks(vault.process.address(), &request).await;
    let (heard, end) = listens(&mut stream, SECOND, Duration::from_secs(2)).await;
    assert!(
        heard.len() > SECOND && end.is_none(),
        "{} {end:?}",
        heard.len()
    );
    assert!(
        heard.starts_with(b"HTTP/1.1 200 ") && heard.windows(9).any(|bytes| bytes == b"audio.wav")
    );
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    falls_silent(&mut stream).await;
}

/// A proxy that reads everything, buffers it for its client, and forwards its buffer even when its
/// own source is closed: the worst case.
async fn collecting_proxy(vault: SocketAddr, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_vault, mut to_vault) = TcpStream::connect(vault).await.unwrap().into_split();
        let (send, mut collected) = tokio::sync::mpsc::unbounded_channel();
        let up = async move {
            let _ = tokio::io::copy(&mut from_client, &mut to_vault).await;
        };
        let take = async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_vault.read(&mut buffer).await {
                send.send(buffer[..read].to_vec()).unwrap();
            }
        };
        let give = async move {
            while let Some(piece) = collected.recv().await {
                if to_client.write_all(&piece).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(up, take, give);
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_that_collects_a_pace_bounds_what_is_still_heard() {
    let (vault, recorded) = served("[server.limits]\nmedia_bytes_per_s = 32000", long()).await;
    let mut tasks = JoinSet::new();
    let proxy = collecting_proxy(vault.process.address(), &mut tasks).await;
    let mut stream = asks(proxy, &get(&vault.audio(recorded.id).await)).await;
    let (heard, end) = listens(&mut stream, SECOND, Duration::from_secs(4)).await;
    assert!(
        heard.len() > 3 * SECOND && end.is_none(),
        "{} {end:?}",
        heard.len()
    );
    assert!(
        String::from_utf8_lossy(&heard[..2000]).contains("x-accel-buffering: no\r\n"),
        "a proxy that listens is asked not to collect"
    );
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    let (after, end) = listens(&mut stream, SECOND, Duration::from_secs(10)).await;
    // The lead of the proxy: the first second, and a chunk.
    assert!(
        after.len() <= BOUND,
        "{} bytes are {} ms of sound",
        after.len(),
        after.len() * 1000 / SECOND
    );
    assert!(
        matches!(end, Some(Ok(()))),
        "the proxy has passed on what it had: {end:?}"
    );
}
