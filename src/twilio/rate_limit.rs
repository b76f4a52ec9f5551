//! Client-side rate limit and time-outs for Twilio's REST API.
//!
//! Owns the time at which each request may be sent. Refuses to know the requests.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The rate and the time-outs of requests.
#[derive(Clone, Debug)]
pub(super) struct ClientLimits {
    pub(super) requests_per_s: u32,
    pub(super) connect_timeout: Duration,
    pub(super) read_idle_timeout: Duration,
}

/// Spaces requests evenly at this rate; unused time gives no burst.
#[derive(Debug)]
pub(super) struct RateLimiter {
    every: Duration,
    next: Mutex<Option<Instant>>,
}

impl RateLimiter {
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            every: Duration::from_secs(1) / per_second.max(1),
            next: Mutex::new(None),
        }
    }

    /// Returns when the caller may send its request.
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
        let turns = RateLimiter::new(10);
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
