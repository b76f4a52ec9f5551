//! The guard of a stream: tells whoever carries its bytes when no more of them may leave.
//!
//! Owns the question and nothing else. A body that ends is not enough: bytes that were released
//! before wait in buffers on the way to the listener, and whoever holds these buffers has to ask
//! again before they go on. INVARIANT: what is released comes with its guard, in one value
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

/// Says when the bytes of one stream must not go any further. Clones share it.
#[derive(Clone)]
pub struct StreamGuard(Arc<Members>);

#[derive(Default)]
struct Members {
    members: Mutex<Vec<Member>>,
    changed: Notify,
}

/// One recording whose bytes may be on their way.
#[derive(Clone)]
struct Member {
    registered: Arc<Registered>,
    clock: Clock,
    /// When its grant ends.
    ends: Timestamp,
    /// Up to which byte of the stream its own may reach; `None` as long as there may be more.
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
    /// The guard of a stream of one recording, until its grant ends.
    pub(super) fn of(registered: Arc<Registered>, clock: Clock, ends: Timestamp) -> Self {
        let guard = Self::of_nothing();
        guard.enter(registered, clock, ends, 0);
        guard
    }

    /// The guard of a stream that carries no recording yet.
    pub(super) fn of_nothing() -> Self {
        Self(Arc::default())
    }

    /// Another recording begins at this byte of the stream, and the one before it ends there. Those
    /// whose bytes must have arrived are forgotten.
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

    /// Why no byte of the stream may go any further, if so. To be asked with the bytes in hand.
    pub fn has_ended(&self) -> Option<Ended> {
        self.lock().iter().find_map(Member::has_ended)
    }

    /// Waits until no byte of the stream may go any further.
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

    /// Whether bytes may leave before the database is asked again.
    pub fn is_fresh(&self) -> bool {
        self.lock()
            .iter()
            .all(|member| member.registered.is_fresh())
    }

    /// Waits until bytes may leave.
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

/// Bytes that may be on their way between a stream and the other end of its connection, at most:
/// two pieces, what `hyper` holds, what a socket holds.
const ON_THE_WAY: u64 = 512 * 1024;

/// A stream of what was released, together with its guard.
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

    /// To be asked before any byte of this goes on.
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

/// A watched stream of one recording, in the hand of a test.
#[cfg(test)]
pub(crate) struct Staged {
    streams: super::Streams,
    recording: crate::model::id::RecordingId,
}

#[cfg(test)]
impl Staged {
    /// The stream with its guard, of a grant that does not end. The database was asked so long ago.
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

    /// The recording is shredded.
    pub(crate) fn silence(&self) {
        self.streams.silence(self.recording);
    }

    /// The database is asked now, and knows of no shred.
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
