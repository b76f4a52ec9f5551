//! Memory of the service: idle, and per concurrent fetch.

use std::time::Duration;

use bytes::Bytes;
use recvault::demo::conversation::{self, Channels};

use super::{
    Failure,
    ingest::Source,
    plan::{Plan, clear},
    service::Home,
    table::Row,
};

/// Concurrent fetches, as shipped.
const STREAMS: u16 = 8;
/// The upper bounds in MiB: idle, and per fetch.
const TARGET: (u64, u64) = (48, 20);

pub(crate) async fn measure(plan: &Plan) -> Result<Vec<Row>, Failure> {
    // 32,000 bytes a second: 19 MB, 128 MB, 320 MB.
    let seconds = plan.size.pick(600, 4_000, 10_000);
    let folder = plan.folder("memory")?;
    let home = Home::make(folder.join("vault")).await?;
    let source = Source::start(Bytes::from(conversation::repeat_to(
        seconds,
        Channels::Dual,
    )))
    .await?;
    let service = home
        .serve(&source.stand_in.base_url(), Some(STREAMS))
        .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle = service.memory("VmRSS")?;
    service.forget_peak()?;
    let db = home.db().await?;
    source.ingest(&service, &db, STREAMS).await?;
    let peak = service.memory("VmHWM")?;
    db.close().await;
    service.stop()?;
    clear(&folder)?;

    let each = peak.saturating_sub(idle) / u64::from(STREAMS) / 1024;
    let idle = idle / 1024;
    let peak = peak / 1024;
    let megabytes = conversation::length(seconds, Channels::Dual) / 1_000_000;
    Ok(vec![
        Row::alone(
            "memory, idle",
            format!("{idle} MiB"),
            format!("≤ {} MiB", TARGET.0),
            Some(idle <= TARGET.0),
        ),
        Row::alone(
            format!("memory for each of {STREAMS} recordings of {megabytes} MB fetched at once"),
            format!("{each} MiB ({peak} MiB in all)"),
            format!("≤ {} MiB", TARGET.1),
            Some(each <= TARGET.1),
        ),
    ])
}
