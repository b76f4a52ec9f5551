//! The check of the clock: a wrong clock must not destroy anything before its date.
//!
//! Owns the comparison, and its override by an operator. If the clock differs by more than a day
//! from the expected time, everything that is destroyed by date stops (retention, the end of a
//! quarantine, pending details, orphaned ciphertext, copies at the source after sealing).
//! Everything else continues: requests of people, including shreds and turns.
//!
//! The expected time is the last trusted time plus the time that has passed since by a monotonic
//! clock. Across a stop of the service the elapsed time is unknown, so it may be at most a day;
//! after a longer stop an operator confirms the time. The database's own time, the newest entry of
//! the log and the store's time cannot replace the confirmation, because all of them may come from
//! the machine with the wrong clock. They are only additional reasons to stop.
//!
//! INVARIANT: only this module makes a [`Believed`], and every sweep needs one.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::error::Error;
use crate::{
    db::{self, Db, Tx, clock},
    evidence::NewEntry,
    model::time::{Clock, Timestamp},
    policy::{Permit, action},
};

/// The largest accepted difference between the clock and the expected time.
const FAR: Duration = Duration::from_secs(24 * 3600);
/// The interval at which the trusted time is stored.
const NOTED: Duration = Duration::from_secs(600);

/// A time that was checked: data may be destroyed by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Believed(Timestamp);

impl Believed {
    pub(super) fn at(self) -> Timestamp {
        self.0
    }
}

/// The clock, with the check whether it is trusted.
pub struct TrustedClock {
    db: Db,
    clock: Clock,
    /// The first trusted time of this process since the last operator override.
    anchored: Mutex<Option<Anchor>>,
}

/// A trusted time, with the monotonic clock at that moment.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    believed: Timestamp,
    steady: Duration,
    /// The number of operator overrides on which it is based.
    accepted: i64,
}

/// The state of the clock.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClockStatus {
    /// The time of this machine.
    pub now: Timestamp,
    /// The time of the database.
    pub database: Timestamp,
    /// The last trusted time.
    pub believed: Option<Timestamp>,
    /// The time of the log's newest entry.
    pub newest_entry: Option<Timestamp>,
    /// Why nothing is destroyed by date; `None` if the clock is trusted.
    pub refused: Option<String>,
    #[serde(skip)]
    accepted: i64,
}

impl TrustedClock {
    /// A clock without a trusted time in this process yet.
    pub(super) fn new(db: Db, clock: Clock) -> Self {
        Self {
            db,
            clock,
            anchored: Mutex::new(None),
        }
    }

    /// Returns the current time, trusted or not.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns the state of the clock.
    ///
    /// # Errors
    /// Any database error.
    pub async fn status(&self) -> Result<ClockStatus, Error> {
        let status = self.read(&mut self.db.read().await?).await?;
        metrics::gauge!("recvault_clock_refused").set(if status.refused.is_some() {
            1.0
        } else {
            0.0
        });
        Ok(status)
    }

    /// Checks the clock when the process starts, and remembers it as the reference if it is
    /// trusted.
    ///
    /// # Errors
    /// Any database error.
    pub async fn begin(&self) -> Result<(), Error> {
        let status = self.status().await?;
        match &status.refused {
            None => self.anchor(&status),
            Some(why) => {
                tracing::error!(
                    %why,
                    "the clock is not believed: nothing is destroyed by date"
                )
            }
        }
        Ok(())
    }

    /// Returns the current time if data may be destroyed by it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not trusted; any database error.
    pub(super) async fn believed(&self) -> Result<Believed, Error> {
        let status = self.status().await?;
        if let Some(why) = status.refused {
            tracing::error!(%why, "the clock is not believed: nothing is destroyed by date");
            return Err(Error::Conflict(why));
        }
        self.anchor(&status);
        if status
            .believed
            .is_none_or(|believed| status.now.since(believed) >= NOTED)
        {
            let noted = self.db.unit("clock.believed", async |mut unit| {
                unit.without_entry("a clock that runs is no act");
                clock::believe(&mut unit, status.now).await?;
                Ok::<_, db::Error>(())
            });
            noted.await?;
        }
        Ok(Believed(status.now))
    }

    /// Accepts the clock on an operator's request. Returns the state afterwards; a dry run changes
    /// nothing and returns the state before.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the database's time differs; any database error.
    pub async fn accept(
        &self,
        permit: &Permit<action::Keys>,
        dry_run: bool,
    ) -> Result<ClockStatus, Error> {
        let status = self.status().await?;
        if apart(status.now, status.database) > FAR {
            return Err(Error::Conflict(format!(
                "this machine's clock is {} and the database's {}: correct the wrong clock, then \
                 run `recvault clock accept`",
                status.now, status.database
            )));
        }
        if dry_run {
            return Ok(status);
        }
        let actor = permit.initiator();
        let accepted = self.db.unit("clock.accept_clock", async |mut unit| {
            let now = self.now();
            clock::accept(&mut unit, now).await?;
            unit.audit(NewEntry::clock_accepted(now, actor, status.believed));
            Ok::<_, db::Error>(())
        });
        accepted.await?;
        self.begin().await?;
        self.status().await
    }

    async fn read(&self, tx: &mut Tx) -> Result<ClockStatus, Error> {
        let reading = clock::find(tx).await?;
        let now = self.now();
        let steady = self.clock.steady();
        let database = tx.now().await?;
        let newest_entry = clock::newest_entry(tx).await?;
        let believed = match reading {
            Some(reading) => Some(reading.read_at),
            None => clock::last_known(tx).await?,
        };
        let accepted = reading.map_or(0, |reading| reading.accepted);
        let anchor = *self.anchored.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = anchor.filter(|anchor| anchor.accepted == accepted);
        let expected =
            anchor.map(|anchor| anchor.believed.after(steady.saturating_sub(anchor.steady)));
        let refused = refusal(now, database, believed, newest_entry, expected);
        Ok(ClockStatus {
            now,
            database,
            believed,
            newest_entry,
            refused,
            accepted,
        })
    }

    /// Keeps the first trusted time since the last operator override as the reference, so that a
    /// clock that runs too fast drifts away from it.
    fn anchor(&self, status: &ClockStatus) {
        let mut anchor = self.anchored.lock().unwrap_or_else(PoisonError::into_inner);
        if anchor.is_none_or(|anchor| anchor.accepted != status.accepted) {
            *anchor = Some(Anchor {
                believed: status.now,
                steady: self.clock.steady(),
                accepted: status.accepted,
            });
        }
    }
}

/// Returns why a clock is not trusted. `expected` is the time by the monotonic clock of this
/// process.
fn refusal(
    now: Timestamp,
    database: Timestamp,
    believed: Option<Timestamp>,
    newest_entry: Option<Timestamp>,
    expected: Option<Timestamp>,
) -> Option<String> {
    let way_out = "if the clock is right, run `recvault clock accept`; otherwise correct it";
    if apart(now, database) > FAR {
        return Some(format!(
            "the clock is {now} and the database's {database}: correct the wrong one"
        ));
    }
    match (expected, believed) {
        (Some(expected), _) if apart(now, expected) > FAR => Some(format!(
            "the clock is {now}, expected {expected}: {way_out}"
        )),
        (None, Some(believed)) if apart(now, believed) > FAR => Some(format!(
            "the clock is {now}, and the last believed time is {believed}: {way_out}"
        )),
        (_, Some(believed)) if believed.since(now) > FAR => Some(format!(
            "the clock is {now}, and the last believed time is {believed}: {way_out}"
        )),
        _ => {
            let later = newest_entry.filter(|newest| newest.since(now) > FAR)?;
            Some(format!(
                "the clock is {now}, and the newest entry of the audit log is of {later}: {way_out}"
            ))
        }
    }
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_millis(1_000 * 24 * HOUR + hours * HOUR)
    }

    #[test]
    fn a_day_is_forgiven_in_every_direction_and_no_more() {
        for (now, is_believed) in [
            (-25, false),
            (-24, true),
            (0, true),
            (24, true),
            (25, false),
        ] {
            let now = at(now);
            assert_eq!(
                refusal(now, now, Some(at(0)), Some(at(0)), None).is_none(),
                is_believed,
                "{now} across a stop"
            );
            assert_eq!(
                refusal(now, now, Some(at(0)), Some(at(0)), Some(at(0))).is_none(),
                is_believed,
                "{now} in a process"
            );
            assert_eq!(
                refusal(now, at(0), Some(now), Some(now), Some(now)).is_none(),
                is_believed,
                "{now} beside the database"
            );
        }
        let later = at(25);
        assert!(
            refusal(at(0), at(0), Some(at(0)), Some(later), Some(at(0))).is_some(),
            "the log knows of a later time"
        );
        assert!(
            refusal(at(0), at(0), Some(later), Some(at(0)), Some(at(0))).is_some(),
            "a later time was believed"
        );
    }

    #[test]
    fn what_has_passed_in_the_process_explains_a_later_time() {
        let now = at(24 * 400);
        assert_eq!(refusal(now, now, Some(at(0)), Some(at(0)), Some(now)), None);
    }
}
