//! The watch: asks the database again and again what any process has tombstoned, closed, moved or
//! ended, and ends the streams of it here.
//!
//! Owns the pace, and the number up to which every tombstone was seen. A shred by another process is
//! heard of at once where the database rings, and otherwise found at the next look. Each look that
//! succeeds lets the streams go on a little longer (see `streams`); a look that fails does nothing,
//! and that is enough to end them. While nobody listens the database is not asked,
//! so that the first look after a silence finds what is old: a stream knows the number up to which
//! it was decided (see `streams`).
//!
//! INVARIANT: a tombstone is missed by no stream. A stream registers, then reads its key. A tombstone that
//! committed before that is found by the key look-up. One that commits later has a number above the
//! one at which the watch began, since streams from before the beginning are not covered by it; and
//! no look passes over a number, because tombstones become visible in the order of their numbers.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::Playback;
use crate::{
    db::{self, Db, audit, endings, news::ChangeNotice},
    flow::{
        bells::Bells,
        error::Error,
        liveness::{Liveness, Task},
        streams::Streams,
    },
};

/// How often is looked while streams run, bell or no bell.
const PACE: Duration = Duration::from_millis(500);
/// A look that takes longer has failed. So long that a busy database is forgiven, so short that
/// there is another look before streams end.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tombstones read at a time.
const AT_ONCE: i64 = 10_000;

/// A watch that has begun: streams end from now on unless it is run.
#[must_use = "streams end after seconds if nobody looks for tombstones"]
pub struct Watch {
    db: Db,
    streams: Streams,
    liveness: Liveness,
    bells: Bells,
    seen: i64,
}

impl Playback {
    /// Begins to watch. What is already heard is not covered by it and ends: begin before anybody
    /// can listen.
    ///
    /// # Errors
    /// The database's; then nothing has begun.
    pub async fn watch(&self) -> Result<Watch, Error> {
        let seen = audit::head(&mut self.db.read().await?).await?;
        // In this order: a stream that is covered reads its key after this, so it has heard of
        // everything up to `seen`.
        self.streams.watched();
        Ok(Watch {
            db: self.db.clone(),
            streams: self.streams.clone(),
            liveness: self.liveness.clone(),
            bells: self.bells.clone(),
            seen,
        })
    }
}

impl Watch {
    /// Looks until `stop`, and then until the last stream is over, for `grace` at most.
    pub async fn run(mut self, stop: CancellationToken, grace: Duration) {
        let bell = Notify::new();
        let news = self.db.news();
        let epochs = Arc::clone(&self.bells.epochs);
        let ring = |word| match word {
            ChangeNotice::Tombstone => bell.notify_one(),
            ChangeNotice::Epoch => epochs.notify_one(),
        };
        // Side by side, so that neither waits for the other: the news may be without a connection
        // while the looks succeed.
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

    /// Looks once: ends the streams of everything that was tombstoned since the last look, and lets the
    /// others go on.
    ///
    /// # Errors
    /// The database's; then no stream may go on any longer than before.
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
        // A database that has forgotten something does not say what was tombstoned.
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
