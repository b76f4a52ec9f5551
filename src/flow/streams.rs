//! Running streams, so that a shred or a withdrawal silences them.
//!
//! A stream is registered *before* it is decided and its key is read, with its token and, as soon as
//! there is one, its grant. What commits after that finds it here; a shred that committed before is
//! found by the key look-up, and whatever else ends it by the decision. Those of other processes are
//! found by the watch, which may be behind: what was in the log before a stream was decided does not
//! end it.
//!
//! Where a watch was begun, a stream goes on only under a lease: until [`LEASE`] after the moment
//! at which the database was last asked. Its own key look-up counts as the first asking, each look of
//! the watch as another. So a stream falls silent when the database is gone, when the watch is
//! stuck, and when the process itself was stopped and wakes too late, without anybody telling it.
//!
//! Long before that, bytes are held back: none leave the house later than [`FRESH`] after such a
//! moment. A busy database makes the sound pause, and a process that was stopped for a while asks
//! before it goes on.
//!
//! Without a watch there is no lease: a process that nobody but tests and the command line uses,
//! and in which shreds of others do not end streams. `app::serve` begins one before it takes
//! connections.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    db::endings::StreamEnding,
    model::id::{GrantId, RecordingId, TokenId},
};

/// How long an answer of the database is good for. Everything has stopped so long after a tombstone,
/// whatever breaks: 1 s less than was promised.
const LEASE: Duration = Duration::from_secs(4);

/// How long bytes may leave without another answer: three looks of the watch.
const FRESH: Duration = Duration::from_millis(1500);

/// Why a stream ended before its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The recording was shredded.
    #[error("the recording was shredded")]
    Shredded,
    /// The grant ended.
    #[error("the grant ended")]
    GrantOver,
    /// What was allowed when it began is not allowed any more.
    #[error("the policy no longer allows this")]
    Refused,
    /// The database could not be asked for too long.
    #[error("the database cannot be asked whether this is still allowed")]
    Unsure,
    /// The object is not what was sealed, or the store failed.
    #[error("the stream was interrupted")]
    Broken,
}

/// The register. Clones share it.
#[derive(Clone, Default)]
pub struct Streams(Arc<Shared>);

#[derive(Default)]
struct Shared {
    register: Mutex<Register>,
    /// The database was asked again.
    renewed: Notify,
}

#[derive(Default)]
struct Register {
    entries: HashMap<RecordingId, Vec<Arc<Listener>>>,
    /// How many watches were begun; the last one counts.
    watches: u32,
    /// The last moment of which is known that every tombstone before it was seen.
    asked: Option<Instant>,
}

/// One stream.
struct Listener {
    /// The number in the log up to which the stream was decided with everything in view: what ends
    /// streams up to it is in that decision.
    since: i64,
    token: OnceLock<TokenId>,
    grant: OnceLock<GrantId>,
    silence: CancellationToken,
    why: OnceLock<Ended>,
}

impl Listener {
    fn since(since: i64) -> Self {
        Self {
            since,
            token: OnceLock::new(),
            grant: OnceLock::new(),
            silence: CancellationToken::new(),
            why: OnceLock::new(),
        }
    }

    fn end(&self, why: Ended) {
        let _ = self.why.set(why);
        self.silence.cancel();
    }
}

/// A place in the register; leaving it is dropping this.
pub(super) struct Registered {
    streams: Streams,
    recording: RecordingId,
    listener: Arc<Listener>,
    /// When it was entered: the key was read later.
    entered: Instant,
    /// Which watch looks after it; 0 for none.
    watch: u32,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Register> {
        self.0
            .register
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a stream that whatever the watch finds ends.
    #[cfg(test)]
    pub(super) fn register(&self, recording: RecordingId) -> Registered {
        self.register_since(recording, i64::MIN)
    }

    /// Enters a stream that is about to begin, and that is decided by what is read from now on: the
    /// log went up to this number before. The watch may be behind after a silence, and what it finds
    /// up to there does not end the stream.
    pub(super) fn register_since(&self, recording: RecordingId, since: i64) -> Registered {
        let mut register = self.lock();
        let listener = Arc::new(Listener::since(since));
        let listeners = register.entries.entry(recording).or_default();
        listeners.push(Arc::clone(&listener));
        Registered {
            streams: self.clone(),
            recording,
            listener,
            entered: Instant::now(),
            watch: register.watches,
        }
    }

    /// As a stream that was entered so long ago.
    #[cfg(test)]
    pub(super) fn registered_ago(&self, recording: RecordingId, ago: Duration) -> Registered {
        let mut registered = self.register(recording);
        registered.entered -= ago;
        registered
    }

    /// Ends every stream of a recording.
    pub fn silence(&self, recording: RecordingId) {
        self.end(StreamEnding::Shredded(recording));
    }

    /// Ends what a unit ends that was committed here just now.
    pub(super) fn end(&self, ending: StreamEnding) {
        self.end_at(i64::MAX, ending);
    }

    /// Ends what a committed unit ends, here or elsewhere, which has this number in the log.
    pub(super) fn end_at(&self, seq: i64, ending: StreamEnding) {
        let is_later = |listener: &Listener| listener.since < seq;
        match ending {
            StreamEnding::Shredded(id) => self.end_recording(id, Ended::Shredded, is_later),
            StreamEnding::Moved(id) => self.end_recording(id, Ended::Refused, is_later),
            StreamEnding::Grant(id) => self.end_where(Ended::GrantOver, |listener| {
                is_later(listener) && listener.grant.get() == Some(&id)
            }),
            StreamEnding::Token(id) => self.end_where(Ended::Refused, |listener| {
                is_later(listener) && listener.token.get() == Some(&id)
            }),
        }
    }

    fn end_recording(&self, recording: RecordingId, why: Ended, ends: impl Fn(&Listener) -> bool) {
        let mut register = self.lock();
        let Some(listeners) = register.entries.get_mut(&recording) else {
            return;
        };
        for listener in listeners.extract_if(.., |listener| ends(listener)) {
            listener.end(why);
        }
        if listeners.is_empty() {
            register.entries.remove(&recording);
        }
    }

    fn end_where(&self, why: Ended, ends: impl Fn(&Listener) -> bool) {
        self.lock().entries.retain(|_, listeners| {
            for listener in listeners.extract_if(.., |listener| ends(listener)) {
                listener.end(why);
            }
            !listeners.is_empty()
        });
    }

    /// A watch begins. It knows nothing of tombstones before now, so that no stream that was entered
    /// earlier may go on.
    pub(super) fn watched(&self) {
        let mut register = self.lock();
        register.watches += 1;
        register.asked = None;
    }

    /// The database was asked at this moment, and every tombstone from before it was handed to
    /// [`Streams::silence`].
    pub(super) fn renew(&self, asked: Instant) {
        let mut register = self.lock();
        register.asked = register.asked.max(Some(asked));
        drop(register);
        self.0.renewed.notify_waiters();
    }

    /// How many streams are running.
    pub fn count(&self) -> usize {
        self.lock().entries.values().map(Vec::len).sum()
    }
}

/// How long a stream may go on without another answer.
enum Lease {
    /// As long as it likes: nobody watches.
    None,
    /// Until then.
    Until(Instant),
    /// Not at all.
    Over,
}

impl Registered {
    /// By which token it is heard; its end ends the stream. To be told before it is decided.
    pub(super) fn by(&self, token: TokenId) {
        let _ = self.listener.token.set(token);
    }

    /// Under which grant; the same. To be told before it is decided, or before anybody can know of
    /// the grant.
    pub(super) fn under(&self, grant: GrantId) {
        let _ = self.listener.grant.set(grant);
    }

    /// Why this stream must not release anything more, if so. To be asked when a piece is in hand,
    /// before it is released.
    pub(super) fn has_ended(&self) -> Option<Ended> {
        self.has_ended_at(Instant::now())
    }

    /// Waits until this stream must not release anything more.
    pub(super) async fn end(&self) -> Ended {
        loop {
            if let Some(ended) = self.has_ended() {
                return ended;
            }
            let lapse = async {
                match self.lease() {
                    Lease::None => std::future::pending().await,
                    // It may have been renewed by then: then it is waited for again.
                    Lease::Until(lapse) => tokio::time::sleep_until(lapse).await,
                    Lease::Over => {}
                }
            };
            tokio::select! {
                () = self.listener.silence.cancelled() => {}
                () = lapse => {}
            }
        }
    }

    fn has_ended_at(&self, now: Instant) -> Option<Ended> {
        if self.listener.silence.is_cancelled() {
            return Some(*self.listener.why.get().unwrap_or(&Ended::Refused));
        }
        match self.lease() {
            Lease::None => None,
            Lease::Until(lapse) => (now >= lapse).then_some(Ended::Unsure),
            Lease::Over => Some(Ended::Unsure),
        }
    }

    /// Whether bytes may leave before the database is asked again.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh_at(Instant::now())
    }

    /// Waits until bytes may leave.
    pub(super) async fn fresh(&self) {
        loop {
            let renewed = self.streams.0.renewed.notified();
            if self.is_fresh() {
                return;
            }
            renewed.await;
        }
    }

    fn is_fresh_at(&self, now: Instant) -> bool {
        match self.lease() {
            Lease::None => true,
            Lease::Until(lapse) => now + (LEASE - FRESH) < lapse,
            Lease::Over => false,
        }
    }

    fn lease(&self) -> Lease {
        let register = self.streams.lock();
        match register.watches {
            0 => Lease::None,
            watch if watch == self.watch => Lease::Until(
                register
                    .asked
                    .map_or(self.entered, |asked| asked.max(self.entered))
                    + LEASE,
            ),
            _ => Lease::Over,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut register = self.streams.lock();
        if let Some(listeners) = register.entries.get_mut(&self.recording) {
            listeners.retain(|other| !Arc::ptr_eq(other, &self.listener));
            if listeners.is_empty() {
                register.entries.remove(&self.recording);
            }
        }
    }
}
