//! Playback over HTTP: the first byte at three positions of a long recording, and the speed of one
//! stream; compared with `nginx` serving the plain file and with `rclone serve http` over crypt.
//! For each request to this service, the decision is made and its audit entry is on disk before the
//! first byte.

use std::time::Duration;

use super::{
    Failure,
    client::Connection,
    desk::Desk,
    noise::Noise,
    peers::{self, Rclone},
    plan::{Plan, clear},
    service::{Home, Service},
    table::{Row, median, rate, ratio, speed, time},
};

/// Bytes that a player requests when it seeks.
const SEEK: u64 = 64 << 10;
/// The targets: time to the first byte; ratio of the last position to the first; bytes per second;
/// share of nginx.
const TARGET: (Duration, f64, f64, f64) = (Duration::from_millis(1), 1.2, 1_073_741_824.0, 0.5);

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let length: u64 = plan.size.pick(1 << 20, 256 << 20, 2_800_000_000);
    let streamed = length.min(1 << 30);
    let folder = plan.folder("playback")?;
    let noise = Noise::new();
    let home = Home::make(folder.join("vault")).await?;
    let desk = Desk::open(&home).await?;
    let (recording, _) = desk.deposit(noise.stream(length)).await?;
    desk.close().await;
    let served = folder.join("plain");
    std::fs::create_dir_all(&served)?;
    noise.write(length, &served.join("plain.wav"))?;

    let service = home.serve("http://127.0.0.1:1", None).await?;
    let mut players = vec![Player::open(
        "",
        service.port,
        &granted(&home, &service, &recording.to_string()).await?,
    )?];
    let nginx = peers::nginx(&folder, &served).await?;
    if let Some((_, port)) = &nginx {
        players.push(Player::open("nginx, plain file", *port, "/plain.wav")?);
    }
    let rclone = match Rclone::find(&folder)? {
        Some(rclone) => {
            rclone.encrypt(&served.join("plain.wav"))?;
            Some(rclone.serve().await?)
        }
        None => None,
    };
    if let Some((_, port)) = &rclone {
        players.push(Player::open("rclone serve over crypt", *port, "/sealed")?);
    }

    let places = [
        ("first", 0),
        ("middle", length / 2 - SEEK / 2),
        ("last", length - SEEK),
    ];
    for player in &mut players {
        player.reopen()?;
    }
    for _ in 0..plan.size.pick(3, 100, 300) {
        for player in &mut players {
            player.seek(places.map(|(_, at)| at))?;
        }
    }
    for _ in 0..plan.size.pick(1, 3, 5) {
        for player in &mut players {
            player.stream(streamed)?;
        }
    }
    drop((nginx, rclone));
    service.stop()?;
    clear(&folder)?;
    Ok(rows(
        players,
        places.map(|(name, _)| name),
        length,
        streamed,
    ))
}

/// Requests a grant for the recording, as an application does; returns the path of the audio.
async fn granted(home: &Home, service: &Service, recording: &str) -> Result<String, Failure> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let request = http
        .post(format!(
            "{}/v1/recordings/{recording}/grants",
            service.base_url()
        ))
        .bearer_auth(&home.token);
    let grant: serde_json::Value = request
        .json(&serde_json::json!({ "purpose": "quality-review" }))
        .send()
        .await?
        .json()
        .await?;
    let audio = grant.get("audio_url").and_then(serde_json::Value::as_str);
    let path = audio.and_then(|url| url.strip_prefix(&service.base_url()));
    Ok(path.ok_or_else(|| format!("no grant: {grant}"))?.to_owned())
}

/// A listener of one server.
struct Player {
    name: &'static str,
    port: u16,
    connection: Connection,
    path: String,
    /// First bytes at the three positions.
    seeks: [Vec<Duration>; 3],
    streams: Vec<Duration>,
}

impl Player {
    fn open(name: &'static str, port: u16, path: &str) -> Result<Self, Failure> {
        let connection = Connection::open(port)?;
        Ok(Self {
            name,
            port,
            connection,
            path: path.to_owned(),
            seeks: Default::default(),
            streams: Vec::new(),
        })
    }

    /// Opens a new connection: during other measurements, the server may have closed the idle one.
    fn reopen(&mut self) -> Result<(), Failure> {
        self.connection = Connection::open(self.port)?;
        Ok(())
    }

    /// Seeks to the positions. The first request after a pause wakes the server up and is not
    /// counted.
    fn seek(&mut self, places: [u64; 3]) -> Result<(), Failure> {
        self.connection.get(&self.path, 0..1)?;
        for (times, at) in self.seeks.iter_mut().zip(places) {
            let answer = self.connection.get(&self.path, at..at + SEEK)?;
            if (answer.status, answer.length) != (206, SEEK) {
                return Err(format!(
                    "a range was answered {} with {} bytes",
                    answer.status, answer.length
                )
                .into());
            }
            times.push(answer.first_byte);
        }
        Ok(())
    }

    fn stream(&mut self, length: u64) -> Result<(), Failure> {
        self.reopen()?;
        let answer = self.connection.get(&self.path, 0..length)?;
        if answer.length != length {
            return Err(format!(
                "a stream was answered {} with {} bytes",
                answer.status, answer.length
            )
            .into());
        }
        self.streams.push(answer.whole);
        Ok(())
    }
}

fn rows(mut players: Vec<Player>, places: [&str; 3], length: u64, streamed: u64) -> Vec<Row> {
    let medians: Vec<(&str, [Duration; 3], Duration)> = players
        .iter_mut()
        .map(|player| {
            (
                player.name,
                player.seeks.each_mut().map(|times| median(times)),
                median(&mut player.streams),
            )
        })
        .collect();
    let Some(((_, seeks, stream), others)) = medians.split_first() else {
        return Vec::new();
    };
    let megabytes = length / 1_000_000;
    let mut rows: Vec<Row> = places
        .iter()
        .zip(0..)
        .map(|(place, at): (_, usize)| {
            let mut row = Row::alone(
                format!("first byte of playback, {place} of {megabytes} MB, p50"),
                time(seeks[at]),
                format!("≤ {}", time(TARGET.0)),
                Some(seeks[at] <= TARGET.0),
            );
            row.peer = others
                .iter()
                .map(|(name, times, _)| format!("{name}: {}", time(times[at])))
                .collect::<Vec<_>>()
                .join("; ");
            row
        })
        .collect();
    let far = ratio(seeks[0], seeks[2]);
    let target = format!("≤ {}", TARGET.1);
    rows.push(Row::alone(
        "first byte at the last place against the first",
        format!("{far:.2}"),
        target,
        Some(far <= TARGET.1),
    ));
    let what = "playback, one stream".to_owned();
    let reached = rate(streamed, *stream);
    rows.push(Row::alone(
        what.clone(),
        speed(streamed, *stream),
        "≥ 1 GiB/s",
        Some(reached >= TARGET.2),
    ));
    for (name, _, theirs) in others {
        let least = name.starts_with("nginx").then_some(TARGET.3);
        let peer = format!("{name}: {}", speed(streamed, *theirs));
        rows.push(Row::beside(
            what.clone(),
            speed(streamed, *stream),
            peer,
            ratio(*stream, *theirs),
            least,
        ));
    }
    rows
}
