//! The load generator: another process of this program, with many connections to the service on the
//! same machine. It makes and signs every request first, then sends them.

use std::{
    io::{self, Write as _},
    process::Command,
    time::Duration,
};

use bytes::Bytes;
use recvault::demo::{
    conversation::{self, Channels},
    stand_in::{StandIn, StandInAccount},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use super::{
    Failure,
    service::{AUTH_TOKEN, Home},
    table::quantile,
};

/// The first argument that turns this program into the load generator.
pub(crate) const LOAD: &str = "--load";
/// The number of open connections.
pub(crate) const CONNECTIONS: usize = 64;

/// The number of the service's line.
const LINE: &str = "+493090182009";
/// One text in this many is from the same person.
pub(crate) const OF_ONE: usize = 10;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sent {
    /// Callbacks of completed recordings.
    Recordings,
    /// Inbound texts.
    Texts,
}

/// A load.
#[derive(Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) sent: Sent,
    /// The number of the first request; each has another.
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Requests per second, each measured from the time at which it was due; 0: each connection
    /// sends the next one after the answer.
    pub(crate) per_s: u64,
}

/// The result of the load generator.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    /// Requests that were accepted.
    pub(crate) accepted: u64,
    pub(crate) took_us: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
}

/// Runs the load generator in a process of its own.
pub(crate) fn run(load: &Load) -> Result<Told, Failure> {
    let mut generator = Command::new(std::env::current_exe()?);
    let output = generator
        .arg(LOAD)
        .arg(serde_json::to_string(load)?)
        .output()?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("the load generator failed: {said}").into()
    })
}

/// Returns the number of the person who sends the text of this number.
pub(crate) fn sender(number: usize) -> String {
    match number % OF_ONE {
        0 => "+493090182001".to_owned(),
        _ => format!("+4930{:07}", 2_000_000 + number / 20),
    }
}

/// Runs the load generator in this process.
pub(crate) fn generate(arguments: &[String]) -> Result<(), Failure> {
    let [load] = arguments else {
        return Err("the load generator wants to know what to send".into());
    };
    let load: Load = serde_json::from_str(load)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let told = runtime.block_on(async {
        let mut loads = vec![Vec::new(); CONNECTIONS];
        for (at, request) in requests(&load).await?.into_iter().enumerate() {
            loads
                .get_mut(at % CONNECTIONS)
                .ok_or("there are connections")?
                .push((at, request));
        }
        let begun = Instant::now();
        let mut sending: JoinSet<io::Result<Answers>> = loads
            .into_iter()
            .map(|requests| send(load.port, requests, begun, load.per_s))
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

/// Sends requests over one connection, each with its place in the whole.
async fn send(
    port: u16,
    requests: Vec<(usize, Vec<u8>)>,
    begun: Instant,
    per_s: u64,
) -> io::Result<Answers> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut answers = Answers::default();
    let mut buffer = [0; 4096];
    for (at, request) in requests {
        let due = match per_s {
            0 => Instant::now(),
            per_s => begun + Duration::from_micros(at as u64 * 1_000_000 / per_s),
        };
        tokio::time::sleep_until(due).await;
        stream.write_all(&request).await?;
        let mut filled = 0;
        while !is_whole(buffer.get(..filled).unwrap_or_default()) {
            match stream
                .read(buffer.get_mut(filled..).unwrap_or_default())
                .await?
            {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => filled += read,
            }
        }
        answers.took.push(due.elapsed());
        answers.accepted += u64::from(buffer.starts_with(b"HTTP/1.1 20"));
    }
    Ok(answers)
}

/// Returns whether an answer has come completely.
fn is_whole(answer: &[u8]) -> bool {
    let text = std::str::from_utf8(answer).unwrap_or_default();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

/// Returns signed requests as the exact bytes to send.
async fn requests(load: &Load) -> Result<Vec<Vec<u8>>, Failure> {
    let account = Home::account()?;
    let stand_in = StandIn::start(vec![StandInAccount::new(account.clone(), AUTH_TOKEN)]).await?;
    let wav = Bytes::from(conversation::repeat_to(1, Channels::Mono));
    let path = match load.sent {
        Sent::Recordings => "/twilio/recordings",
        Sent::Texts => "/twilio/messages",
    };
    let host = format!("127.0.0.1:{}", load.port);
    let mut requests = Vec::with_capacity(load.count);
    for number in load.first..load.first + load.count {
        let params = match load.sent {
            Sent::Recordings => {
                let sid = format!("RE{number:032x}").parse()?;
                stand_in.add_recording(&account, Clone::clone(&sid), wav.clone());
                let params = stand_in.callback_params(&sid, "completed");
                stand_in.remove_recording(&sid);
                params
            }
            Sent::Texts => {
                let body = format!(
                    "Hello, it is about order {number}: the parcel has not come yet, and I would \
                     like to know when I can expect it. Thank you!"
                );
                stand_in.message_params(&account, &sender(number), LINE, &body, None)
            }
        };
        let signed = stand_in.callback(&account, &format!("http://{host}{path}"), &params);
        let signature = signed.signature;
        let body = signed.body;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nX-Twilio-Signature: {signature}\r\n\
             Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        requests.push(request.into_bytes());
    }
    Ok(requests)
}
