//! The pace of requests: how fast interfaces are asked, and how patiently.
//!
//! Owns whose turn it is. Refuses to know what is asked.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How patiently and how fast interfaces are asked.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    pub(super) requests_per_s: u32,
    pub(super) connect_timeout: Duration,
    pub(super) read_idle_timeout: Duration,
}

/// Hands out turns, so many a second and none saved up.
#[derive(Debug)]
pub(super) struct Turns {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl Turns {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// Returns when it is the caller's turn.
    pub(super) async fn wait(&self) {
        tokio::time::sleep_until(self.turn(Instant::now())).await;
    }

    fn turn(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn + self.every);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_one_after_another_and_are_not_saved_up() {
        let turns = Turns::new(10);
        let start = Instant::now();
        let [tenth, later] = [100, 5000].map(|millis| start + Duration::from_millis(millis));
        assert_eq!(
            [turns.turn(start), turns.turn(start), turns.turn(start)],
            [start, tenth, tenth + Duration::from_millis(100)]
        );
        assert_eq!(
            [turns.turn(later), turns.turn(later)],
            [later, later + Duration::from_millis(100)]
        );
    }
}
