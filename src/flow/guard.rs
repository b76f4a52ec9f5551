//! The guard of a stream: decides whether its bytes may still be sent.
//!
//! Owns that check and nothing else. Ending a body is not enough: bytes that were released earlier
//! wait in buffers on the way to the listener, and the code that holds these buffers must check
//! again before it sends them. INVARIANT: released bytes come with their guard, in one value
//! ([`Guarded`]).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt as _, stream::FuturesUnordered};
use tokio::sync::Notify;

use super::streams::{Ended, Registered};
use crate::model::time::{Clock, Timestamp};

/// Decides whether the bytes of one stream may still be sent. Clones share it.
#[derive(Clone)]
pub struct StreamGuard(Arc<Members>);

#[derive(Default)]
struct Members {
    members: Mutex<Vec<Member>>,
    changed: Notify,
}

/// One recording whose bytes may be in transit.
#[derive(Clone)]
struct Member {
    registered: Arc<Registered>,
    clock: Clock,
    /// When its grant ends.
    ends: Timestamp,
    /// The last byte of the stream that may belong to the recording; `None` while more may follow.
    last: Option<u64>,
}

impl Member {
    fn has_ended(&self) -> Option<Ended> {
        let is_over = || {
            self.ends
                .since(self.clock.now())
                .is_zero()
                .then_some(Ended::GrantOver)
        };
        self.registered.has_ended().or_else(is_over)
    }

    async fn ended(self) -> Ended {
        tokio::select! {
            biased;
            ended = self.registered.end() => ended,
            () = tokio::time::sleep(self.ends.since(self.clock.now())) => Ended::GrantOver,
        }
    }
}

impl StreamGuard {
    /// Creates the guard of a stream of one recording, until its grant ends.
    pub(super) fn of(registered: Arc<Registered>, clock: Clock, ends: Timestamp) -> Self {
        let guard = Self::of_nothing();
        guard.enter(registered, clock, ends, 0);
        guard
    }

    /// Creates the guard of a stream without a recording so far.
    pub(super) fn of_nothing() -> Self {
        Self(Arc::default())
    }

    /// Starts another recording at this byte of the stream, which ends the previous one. Removes
    /// recordings whose bytes must have arrived.
    pub(super) fn enter(
        &self,
        registered: Arc<Registered>,
        clock: Clock,
        ends: Timestamp,
        at: u64,
    ) {
        let mut members = self.lock();
        for member in members.iter_mut() {
            member.last.get_or_insert(at);
        }
        members.retain(|member| member.last.is_none_or(|last| last + ON_THE_WAY > at));
        members.push(Member {
            registered,
            clock,
            ends,
            last: None,
        });
        drop(members);
        self.0.changed.notify_waiters();
    }

    /// Returns why no byte of the stream may be sent any more, if so. Must be called with the bytes
    /// in hand.
    pub fn has_ended(&self) -> Option<Ended> {
        self.lock().iter().find_map(Member::has_ended)
    }

    /// Waits until no byte of the stream may be sent any more.
    pub async fn ended(&self) -> Ended {
        loop {
            let changed = self.0.changed.notified();
            if let Some(ended) = self.has_ended() {
                return ended;
            }
            let mut members: FuturesUnordered<_> =
                self.lock().iter().cloned().map(Member::ended).collect();
            tokio::select! {
                Some(ended) = members.next() => return ended,
                () = changed => {}
            }
        }
    }

    /// Returns whether bytes may be sent before the database is queried again.
    pub fn is_fresh(&self) -> bool {
        self.lock()
            .iter()
            .all(|member| member.registered.is_fresh())
    }

    /// Waits until bytes may be sent.
    pub async fn fresh(&self) {
        let members: Vec<_> = self
            .lock()
            .iter()
            .map(|member| Arc::clone(&member.registered))
            .collect();
        for registered in members {
            registered.fresh().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Member>> {
        self.0
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most bytes in transit between a stream and the other end of its connection: two pieces, the
/// buffers of `hyper`, and those of a socket.
const ON_THE_WAY: u64 = 512 * 1024;

/// A stream of released bytes with its guard.
pub struct Guarded<S> {
    stream: Pin<Box<S>>,
    guard: StreamGuard,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, guard: StreamGuard) -> Self {
        Self {
            stream: Box::pin(stream),
            guard,
        }
    }

    /// Returns the guard, which must be checked before any byte is sent.
    pub fn guard(&self) -> StreamGuard {
        self.guard.clone()
    }
}

impl<S: Stream> Stream for Guarded<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(context)
    }
}

/// A watched stream of one recording, controlled by a test.
#[cfg(test)]
pub(crate) struct Staged {
    streams: super::Streams,
    recording: crate::model::id::RecordingId,
}

#[cfg(test)]
impl Staged {
    /// Creates the stream with its guard, under a grant without end. The database was last queried
    /// this long ago.
    pub(crate) fn begin(asked_ago: std::time::Duration) -> (Self, StreamGuard) {
        let streams = super::Streams::default();
        streams.watched();
        let recording = crate::model::id::RecordingId::random(&mut rand::rng());
        let registered = Arc::new(streams.registered_ago(recording, asked_ago));
        let later = Clock::System
            .now()
            .after(std::time::Duration::from_secs(3600));
        let guard = StreamGuard::of(registered, Clock::System, later);
        (Self { streams, recording }, guard)
    }

    /// Shreds the recording.
    pub(crate) fn silence(&self) {
        self.streams.silence(self.recording);
    }

    /// Simulates a query of the database that finds no shred.
    pub(crate) fn look(&self) {
        self.streams.renew(tokio::time::Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{flow::Streams, model::id::RecordingId};

    fn recording() -> RecordingId {
        RecordingId::random(&mut rand::rng())
    }

    #[tokio::test]
    async fn who_waits_hears_of_a_recording_that_came_later() {
        let streams = Streams::default();
        let first = recording();
        let second = recording();
        let later = Clock::System
            .now()
            .after(std::time::Duration::from_secs(60));
        let guard = StreamGuard::of(Arc::new(streams.register(first)), Clock::System, later);
        let (ended, ()) = tokio::join!(guard.ended(), async {
            tokio::task::yield_now().await;
            guard.enter(Arc::new(streams.register(second)), Clock::System, later, 10);
            tokio::task::yield_now().await;
            streams.silence(second);
        });
        assert_eq!(
            (ended, guard.has_ended()),
            (Ended::Shredded, Some(Ended::Shredded))
        );
    }

    #[test]
    fn a_recording_is_forgotten_when_its_last_byte_must_have_arrived() {
        let streams = Streams::default();
        let ids = [recording(), recording(), recording()];
        let later = Clock::System
            .now()
            .after(std::time::Duration::from_secs(60));
        let guard = StreamGuard::of_nothing();
        for (id, at) in ids.iter().zip([0, 1000, 1000 + ON_THE_WAY]) {
            guard.enter(Arc::new(streams.register(*id)), Clock::System, later, at);
        }
        streams.silence(ids[0]);
        assert_eq!(guard.has_ended(), None, "its bytes are at the listener's");
        streams.silence(ids[1]);
        assert_eq!(
            guard.has_ended(),
            Some(Ended::Shredded),
            "its bytes may be on their way"
        );
    }

    #[tokio::test]
    async fn a_grant_ends() {
        let clock = Clock::manual(Clock::System.now());
        let ends = clock.now().after(std::time::Duration::from_secs(1));
        let guard = StreamGuard::of(
            Arc::new(Streams::default().register(recording())),
            clock.clone(),
            ends,
        );
        assert_eq!(guard.has_ended(), None);
        clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(
            (guard.has_ended(), guard.ended().await),
            (Some(Ended::GrantOver), Ended::GrantOver)
        );
    }
}
