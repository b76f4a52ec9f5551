//! Callbacks acknowledged per second: every callback is on disk before its answer.
//!
//! The recordings are complete, so each callback also enqueues a fetch. The source never answers
//! these fetches, so that only the acceptance is measured.

use std::{net::TcpListener, time::Duration};

use recvault::model::recording::RecordingState;

use super::{
    Failure,
    load::{self, CONNECTIONS, Load, Sent},
    plan::{Plan, clear},
    service::{Home, count},
    table::{Row, rate, time},
};

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

    let told = load::run(&Load {
        port: service.port,
        sent: Sent::Recordings,
        first: 0,
        count: callbacks,
        per_s: 0,
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
