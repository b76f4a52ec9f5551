//! The watch: polls the database for recordings that any process has tombstoned, closed or moved,
//! and for grants and tokens that ended, and ends their streams in this process.
//!
//! Owns the polling interval, and the number up to which every ending was seen. A change by another
//! process is noticed immediately if the database sends notifications, otherwise at the next poll.
//! Each successful poll extends the leases of the streams a little (see `streams`); a failed poll
//! does nothing, which is enough to end them. While no stream runs the database is not polled, so
//! the first poll after a pause finds old endings: a stream knows the number up to which it was
//! decided (see `streams`).
//!
//! INVARIANT: no stream misses a tombstone. A stream registers, then reads its key. A tombstone
//! that committed before that is found by the key look-up. One that commits later has a number
//! above the one at which the watch began, since the watch does not cover streams from before its
//! beginning; and no poll skips a number, because tombstones become visible in the order of their
//! numbers.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::Playback;
use crate::{
    db::{self, Db, audit, endings, news::ChangeNotice},
    flow::{
        error::Error,
        liveness::{Liveness, Task},
        streams::Streams,
        wakeups::Wakeups,
    },
};

/// The polling interval while streams run, with or without notifications.
const PACE: Duration = Duration::from_millis(500);
/// The time limit of a poll: long enough for a busy database, short enough that another poll fits
/// before streams end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tombstones read at a time.
const AT_ONCE: i64 = 10_000;

/// A watch that has begun: streams end from now on unless it is run.
#[must_use = "streams end after seconds if nobody looks for tombstones"]
pub struct Watch {
    db: Db,
    streams: Streams,
    liveness: Liveness,
    wakeups: Wakeups,
    seen: i64,
}

impl Playback {
    /// Begins to watch. Streams that are already running are not covered and end, so this must be
    /// called before the first stream.
    ///
    /// # Errors
    /// Any database error; then nothing has begun.
    pub async fn watch(&self) -> Result<Watch, Error> {
        let seen = audit::head(&mut self.db.read().await?).await?;
        // In this order: a covered stream reads its key after this, so it has seen everything up to
        // `seen`.
        self.streams.watched();
        Ok(Watch {
            db: self.db.clone(),
            streams: self.streams.clone(),
            liveness: self.liveness.clone(),
            wakeups: self.wakeups.clone(),
            seen,
        })
    }
}

impl Watch {
    /// Polls until `stop`, and then until the last stream has ended, for `grace` at most.
    pub async fn run(mut self, stop: CancellationToken, grace: Duration) {
        let bell = Notify::new();
        let news = self.db.news();
        let epochs = Arc::clone(&self.wakeups.epochs);
        let ring = |word| match word {
            ChangeNotice::Tombstone => bell.notify_one(),
            ChangeNotice::Epoch => epochs.notify_one(),
        };
        // Concurrently, so that neither waits for the other: notifications may be disconnected
        // while polls succeed.
        tokio::select! {
            () = self.keep_looking(&bell, &stop, grace) => {}
            never = news.follow(ring) => match never {},
        }
    }

    async fn keep_looking(&mut self, bell: &Notify, stop: &CancellationToken, grace: Duration) {
        let mut over = std::pin::pin!(async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        });
        let mut is_sure = true;
        loop {
            self.liveness.beat(Task::Tombstones);
            if self.streams.count() > 0 {
                let looked = self.look().await;
                match &looked {
                    Ok(()) if !is_sure => tracing::info!("tombstones are watched again"),
                    Err(error) if is_sure => tracing::warn!(%error, "tombstones cannot be watched"),
                    _ => {}
                }
                is_sure = looked.is_ok();
            } else if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = &mut over => return,
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                () = bell.notified() => {}
                () = tokio::time::sleep(PACE) => {}
            }
        }
    }

    /// Polls once: ends the streams of all endings since the last poll, and extends the leases of
    /// the others.
    ///
    /// # Errors
    /// Any database error; then no lease is extended.
    pub async fn look(&mut self) -> Result<(), Error> {
        let silent = || db::Error::Unavailable("the database does not answer in time".into());
        tokio::time::timeout(PATIENCE, self.ask())
            .await
            .map_err(|_| silent())?
    }

    async fn ask(&mut self) -> Result<(), Error> {
        let Watch {
            db, streams, seen, ..
        } = self;
        // A database that lacks changes does not report tombstones reliably.
        db.stands()?;
        loop {
            let asked = Instant::now();
            let found = endings::after(&mut db.read().await?, *seen, AT_ONCE).await?;
            for (seq, ending) in &found {
                streams.end_at(*seq, *ending);
                *seen = *seq;
            }
            if i64::try_from(found.len()).is_ok_and(|found| found < AT_ONCE) {
                streams.renew(asked);
                return Ok(());
            }
        }
    }
}
