//! Silence means silence: what was on its way to a slow listener when the shred was answered.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use recvault::{
    demo::conversation,
    model::time::Clock,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use crate::world::{Recipe, Recorded, TestVault, until};

/// Bytes of one second: 8 kHz, 16 bit, two channels.
const SECOND: usize = 32_000;
/// What may still be heard after the answer: a second of sound on its way, and the listener's own small buffer.
const BOUND: usize = 64 * 1024;

/// Twenty minutes.
fn long() -> Bytes {
    conversation::repeat_to(1200, conversation::Channels::Dual).into()
}

async fn served(server: &'static str) -> (TestVault, Recorded) {
    let vault = Recipe { clock: Clock::System, server, ..Recipe::default() }.served().await;
    let recorded = vault.record_wav(long());
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    until("it is sealed", async || vault.state(recorded.id).await == "sealed").await;
    (vault, recorded)
}

/// A listener with a small buffer of its own, who asks for the whole sound.
async fn asks(at: SocketAddr, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(at).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: vault\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// Reads at a pace of 32 kB/s for so long, or to the end: the bytes, and how it ended if it did.
async fn listens(stream: &mut TcpStream, during: Duration) -> (usize, Option<std::io::Result<()>>) {
    let (begun, mut heard, mut buffer) = (Instant::now(), 0, vec![0; SECOND / 20]);
    while begun.elapsed() < during {
        match stream.read(&mut buffer).await {
            Ok(0) => return (heard, Some(Ok(()))),
            Ok(read) => heard += read,
            Err(error) => return (heard, Some(Err(error))),
        }
        let due = Duration::from_millis(heard as u64 * 1000 / SECOND as u64);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
    (heard, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_in_real_time_hears_a_second_at_most_after_the_shred_was_answered() {
    let (vault, recorded) = served("").await;
    let mut stream = asks(vault.process.address(), &vault.audio(recorded.id).await).await;
    let (heard, end) = listens(&mut stream, Duration::from_secs(3)).await;
    assert!(heard > 2 * SECOND && end.is_none(), "{heard} {end:?}");
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    let (after, end) = listens(&mut stream, Duration::from_secs(30)).await;
    println!("{after} bytes after the answer");
    assert!(after <= BOUND, "{after} bytes are {} ms of sound", after * 1000 / SECOND);
    let end = end.expect("the connection ends").expect_err("an end that looks proper");
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_fast_measured() {
    let (vault, recorded) = served("").await;
    let path = vault.audio(recorded.id).await;
    for _ in 0..5 {
        let begun = Instant::now();
        let answer = vault.anybody().get(&path).await;
        println!("{} MB/s", answer.body.len() as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    let _ = json!(1);
}
