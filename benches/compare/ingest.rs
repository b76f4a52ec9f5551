//! One-minute recordings end to end: callback, fetch from a stand-in on loopback, seal, folder
//! store, database; compared with `rclone`, which copies the same files.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt as _;
use recvault::{
    db::Db,
    demo::{
        conversation::{self, Channels},
        stand_in::{StandIn, StandInAccount},
    },
    model::{recording::RecordingState, sid::RecordingSid},
};

use super::{
    Failure,
    peers::Rclone,
    plan::{Plan, clear, warm},
    service::{AUTH_TOKEN, Home, Service, count},
    table::{Row, median, rate, ratio},
};

/// The number of concurrent callbacks.
const CALLBACKS: usize = 16;
/// The target rate per second.
const TARGET: f64 = 200.0;

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let recordings: u16 = plan.size.pick(4, 100, 200);
    let rounds = plan.size.pick(1, 1, 3);
    let folder = plan.folder("ingest")?;
    let wav = Bytes::from(conversation::repeat_to(60, Channels::Mono));
    let plain = folder.join("plain");
    std::fs::create_dir_all(&plain)?;
    for number in 0..recordings {
        std::fs::write(plain.join(format!("{number}.wav")), &wav)?;
    }
    let content = u64::from(recordings) * wav.len() as u64;
    let source = Source::start(wav).await?;
    let rclone = Rclone::find(&folder)?;

    let mut rows = Vec::new();
    for at_once in [None, Some(16)] {
        let home = Home::make(folder.join(format!("vault-{at_once:?}"))).await?;
        let service = home.serve(&source.stand_in.base_url(), at_once).await?;
        let db = home.db().await?;
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for round in 0..rounds {
            warm(&folder, content)?;
            ours.push(source.ingest(&service, &db, recordings).await?);
            if let Some(rclone) = &rclone {
                warm(&folder, content)?;
                theirs.push(rclone.copy(
                    &plain,
                    &folder.join(format!("copies-{at_once:?}-{round}")),
                    at_once.unwrap_or(8),
                )?);
            }
        }
        db.close().await;
        service.stop()?;
        let ours = median(&mut ours);
        let theirs = median(&mut theirs);
        let reached = rate(recordings.into(), ours);
        let how = at_once.map_or_else(
            || "as shipped".to_owned(),
            |at_once| format!("{at_once} at once"),
        );
        let mut row = Row::alone(
            format!("ingest of {recordings} one-minute recordings, folder store, {how}"),
            format!("{reached:.0}/s"),
            format!("≥ {TARGET:.0}/s"),
            Some(reached >= TARGET),
        );
        if !theirs.is_zero() {
            row.peer = format!(
                "rclone, plain copy: {:.0}/s",
                rate(recordings.into(), theirs)
            );
            row.ratio = Some(ratio(ours, theirs));
        }
        rows.push(row);
    }
    clear(&folder)?;
    Ok(rows)
}

/// The source of recordings.
pub(crate) struct Source {
    pub(crate) stand_in: StandIn,
    http: reqwest::Client,
    wav: Bytes,
}

impl Source {
    /// Starts a source whose recordings all have the same audio.
    pub(crate) async fn start(wav: Bytes) -> Result<Self, Failure> {
        let stand_in =
            StandIn::start(vec![StandInAccount::new(Home::account()?, AUTH_TOKEN)]).await?;
        Ok(Self {
            stand_in,
            http: reqwest::Client::builder().no_proxy().build()?,
            wav,
        })
    }

    /// Announces new recordings, and waits until all of them are sealed. Returns the time.
    pub(crate) async fn ingest(
        &self,
        service: &Service,
        db: &Db,
        recordings: u16,
    ) -> Result<Duration, Failure> {
        let before = count(db, RecordingState::Sealed).await?;
        let account = Home::account()?;
        let sids =
            (0..recordings).map(|_| format!("RE{:032x}", rand::rng().random::<u128>()).parse());
        let sids = sids.collect::<Result<Vec<RecordingSid>, _>>()?;
        for sid in &sids {
            self.stand_in
                .add_recording(&account, sid.clone(), self.wav.clone());
        }
        let url = format!("{}/twilio/recordings", service.base_url());
        let begun = Instant::now();
        let posts = stream::iter(&sids).map(|sid| {
            self.stand_in
                .post_callback(&self.http, &url, sid, "completed")
        });
        let statuses = posts
            .buffer_unordered(CALLBACKS)
            .map_ok(|response| response.status().as_u16());
        let statuses: Vec<u16> = statuses.try_collect().await?;
        if statuses.iter().any(|status| *status != 204) {
            return Err("a callback was not accepted".into());
        }
        while count(db, RecordingState::Sealed).await? - before < u64::from(recordings) {
            if begun.elapsed() > Duration::from_secs(120) {
                return Err("recordings were not sealed within two minutes".into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = begun.elapsed();
        for sid in &sids {
            self.stand_in.remove_recording(sid);
        }
        Ok(took)
    }
}
