//! Callbacks acknowledged per second: a load generator with many connections on the same machine;
//! every callback is on disk before its answer.
//!
//! The recordings are complete, so each callback also enqueues a fetch. The source never answers
//! these fetches, so that only the acceptance is measured.

use std::{
    io::{self, Write as _},
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use recvault::{
    demo::{
        conversation::{self, Channels},
        stand_in::{StandIn, StandInAccount},
    },
    model::recording::RecordingState,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    Failure,
    plan::{Plan, clear},
    service::{AUTH_TOKEN, Home, count},
    table::{Row, quantile, rate, time},
};

/// The first argument that turns this program into the load generator.
pub(crate) const LOAD: &str = "--load";
/// The number of open connections.
const CONNECTIONS: usize = 64;
/// The target rate per second, and the 99th percentile of the time.
const TARGET: (f64, Duration) = (10_000.0, Duration::from_millis(25));

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let callbacks: usize = plan.size.pick(200, 20_000, 100_000);
    let folder = plan.folder("callbacks")?;
    let home = Home::make(folder.join("vault")).await?;
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let service = home
        .serve(&format!("http://{}", silent.local_addr()?), None)
        .await?;

    let mut generator = Command::new(std::env::current_exe()?);
    let output = generator
        .arg(LOAD)
        .arg(service.port.to_string())
        .arg(callbacks.to_string())
        .output()?;
    let told: Told = serde_json::from_slice(&output.stdout).map_err(|_| {
        format!(
            "the load generator failed: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    let db = home.db().await?;
    let present = count(&db, RecordingState::Announced).await?;
    db.close().await;
    service.stop()?;
    drop(silent);
    clear(&folder)?;

    let reached = rate(told.accepted, Duration::from_micros(told.took_us));
    let [p50, p99] = [told.p50_us, told.p99_us].map(Duration::from_micros);
    let is_whole = told.accepted == callbacks as u64 && present == told.accepted;
    let ours = format!("{reached:.0}/s, p50 {}, p99 {}", time(p50), time(p99));
    let lost = if is_whole {
        String::new()
    } else {
        format!(" ({} answered 204, {present} present)", told.accepted)
    };
    Ok(vec![Row::alone(
        format!("{callbacks} callbacks acknowledged durably, SQLite, {CONNECTIONS} connections"),
        ours + &lost,
        format!("≥ {:.0}/s, p99 ≤ {}", TARGET.0, time(TARGET.1)),
        Some(is_whole && reached >= TARGET.0 && p99 <= TARGET.1),
    )])
}

/// The result of the load generator.
#[derive(Serialize, Deserialize)]
struct Told {
    /// Callbacks answered 204.
    accepted: u64,
    took_us: u64,
    p50_us: u64,
    p99_us: u64,
}

/// Runs the load generator: makes and signs every request first, then sends them all.
pub(crate) fn load(arguments: &[String]) -> Result<(), Failure> {
    let [port, callbacks] = arguments else {
        return Err("the load generator wants a port and a number of callbacks".into());
    };
    let (port, callbacks): (u16, usize) = (port.parse()?, callbacks.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(async {
        let mut loads = vec![Vec::new(); CONNECTIONS];
        for (at, request) in requests(port, callbacks).await?.into_iter().enumerate() {
            loads
                .get_mut(at % CONNECTIONS)
                .ok_or("there are connections")?
                .push(request);
        }
        let begun = Instant::now();
        let mut sending: JoinSet<io::Result<Answers>> = loads
            .into_iter()
            .map(|requests| send(port, requests))
            .collect();
        let mut all = Answers::default();
        while let Some(answers) = sending.join_next().await {
            let answers = answers??;
            all.accepted += answers.accepted;
            all.took.extend(answers.took);
        }
        let micros = |took: Duration| u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let took_us = micros(begun.elapsed());
        let [p50_us, p99_us] = [0.5, 0.99].map(|share| micros(quantile(&mut all.took, share)));
        Ok::<_, Failure>(Told {
            accepted: all.accepted,
            took_us,
            p50_us,
            p99_us,
        })
    })?;
    Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&told)?)?)
}

#[derive(Default)]
struct Answers {
    accepted: u64,
    took: Vec<Duration>,
}

/// Sends requests one after another over one connection.
async fn send(port: u16, requests: Vec<Vec<u8>>) -> io::Result<Answers> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut answers = Answers::default();
    let mut buffer = [0; 4096];
    for request in requests {
        let begun = Instant::now();
        stream.write_all(&request).await?;
        let mut filled = 0;
        while !buffer
            .get(..filled)
            .unwrap_or_default()
            .ends_with(b"\r\n\r\n")
        {
            match stream
                .read(buffer.get_mut(filled..).unwrap_or_default())
                .await?
            {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        answers.took.push(begun.elapsed());
        answers.accepted += u64::from(buffer.starts_with(b"HTTP/1.1 204 "));
    }
    Ok(answers)
}

/// Returns signed requests, one per recording, as the exact bytes to send.
async fn requests(port: u16, callbacks: usize) -> Result<Vec<Vec<u8>>, Failure> {
    let account = Home::account()?;
    let stand_in = StandIn::start(vec![StandInAccount::new(account.clone(), AUTH_TOKEN)]).await?;
    let wav = bytes::Bytes::from(conversation::repeat_to(1, Channels::Mono));
    let path = "/twilio/recordings";
    let host = format!("127.0.0.1:{port}");
    let mut requests = Vec::with_capacity(callbacks);
    for number in 0..callbacks {
        let sid = format!("RE{number:032x}").parse()?;
        stand_in.add_recording(&account, Clone::clone(&sid), wav.clone());
        let signed = stand_in.callback(
            &account,
            &format!("http://{host}{path}"),
            &stand_in.callback_params(&sid, "completed"),
        );
        let signature = signed.signature;
        let body = signed.body;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nX-Twilio-Signature: {signature}\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        requests.push(request.into_bytes());
        stand_in.remove_recording(&sid);
    }
    Ok(requests)
}
