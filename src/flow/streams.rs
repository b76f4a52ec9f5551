//! The register of running streams, so that a shred or a withdrawal ends them.
//!
//! A stream is registered *before* it is decided and its key is read, with its token and, as soon
//! as there is one, its grant. A change that commits after that finds the stream here; a shred that
//! committed before is found by the key look-up, and any other ending by the decision. Changes by
//! other processes are found by the watch, which may be behind: entries that were in the log before
//! a stream was decided do not end it.
//!
//! Once a watch has begun, a stream goes on only under a lease: until [`LEASE`] after the last time
//! at which the database was queried. Its own key look-up counts as the first query, each poll of
//! the watch as another. So a stream ends by itself when the database is gone, when the watch is
//! stuck, and when the process was suspended and wakes too late.
//!
//! Long before that, bytes are held back: none are sent later than [`FRESH`] after such a query. A
//! busy database pauses the audio, and a process that was suspended queries before it goes on.
//!
//! Without a watch there is no lease. This is only for tests and the command line, where shreds by
//! other processes do not end streams. `app::serve` begins a watch before it accepts connections.

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

/// How long an answer of the database is valid. All streams have stopped this long after a
/// tombstone, whatever fails: 1 s less than was promised.
const LEASE: Duration = Duration::from_secs(4);

/// How long bytes may be sent without another answer: three polls of the watch.
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
    /// The access is no longer allowed.
    #[error("the policy no longer allows this")]
    Refused,
    /// The database could not be queried for too long.
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
    /// Notified when the database was queried again.
    renewed: Notify,
}

#[derive(Default)]
struct Register {
    entries: HashMap<RecordingId, Vec<Arc<Listener>>>,
    /// The number of watches that were begun; the last one counts.
    watches: u32,
    /// The last time before which every tombstone was seen.
    asked: Option<Instant>,
}

/// A registered stream.
struct Listener {
    /// The number in the log up to which the stream's decision included everything: endings up to
    /// it were considered.
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

/// An entry in the register, removed when this is dropped.
pub(super) struct Registered {
    streams: Streams,
    recording: RecordingId,
    listener: Arc<Listener>,
    /// When it was registered; the key was read later.
    entered: Instant,
    /// The watch that covers it; 0 for none.
    watch: u32,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Register> {
        self.0
            .register
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a stream that any ending of the watch ends.
    #[cfg(test)]
    pub(super) fn register(&self, recording: RecordingId) -> Registered {
        self.register_since(recording, i64::MIN)
    }

    /// Registers a stream that is about to be decided; the log had this number before. The watch
    /// may be behind after a pause, and endings up to the number do not end the stream.
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

    /// Registers a stream with an earlier registration time.
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

    /// Ends the streams affected by a unit that was just committed in this process.
    pub(super) fn end(&self, ending: StreamEnding) {
        self.end_at(i64::MAX, ending);
    }

    /// Ends the streams affected by a committed unit with this number in the log, of any process.
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

    /// Begins a watch. It does not know earlier tombstones, so no stream that was registered before
    /// may go on.
    pub(super) fn watched(&self) {
        let mut register = self.lock();
        register.watches += 1;
        register.asked = None;
    }

    /// Records that the database was queried at this time, and that every tombstone from before it
    /// was passed to [`Streams::silence`].
    pub(super) fn renew(&self, asked: Instant) {
        let mut register = self.lock();
        register.asked = register.asked.max(Some(asked));
        drop(register);
        self.0.renewed.notify_waiters();
    }

    /// Returns the number of running streams.
    pub fn count(&self) -> usize {
        self.lock().entries.values().map(Vec::len).sum()
    }
}

/// How long a stream may go on without another answer of the database.
enum Lease {
    /// Without limit: there is no watch.
    None,
    /// Until this time.
    Until(Instant),
    /// Not at all.
    Over,
}

impl Registered {
    /// Sets the token of the stream, whose end ends the stream. Must be called before the decision.
    pub(super) fn by(&self, token: TokenId) {
        let _ = self.listener.token.set(token);
    }

    /// Sets the grant of the stream, with the same effect. Must be called before the decision, or
    /// before the grant is known to anybody.
    pub(super) fn under(&self, grant: GrantId) {
        let _ = self.listener.grant.set(grant);
    }

    /// Returns why this stream must not release anything more, if so. Must be called with a piece
    /// in hand, before it is released.
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
                    // If it was renewed by then, the loop waits again.
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

    /// Returns whether bytes may be sent before the database is queried again.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh_at(Instant::now())
    }

    /// Waits until bytes may be sent.
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
