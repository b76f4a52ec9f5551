//! Running streams, so that a shred or a withdrawal silences them.
//!
//! A stream is registered *before* it is decided and its key is read, with its token and, as soon as
//! there is one, its grant. What commits after that finds it here; a shred that committed before is
//! found by the key look-up, and whatever else ends it by the decision. Those of other processes are
//! found by the watch.
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
#[derive(Default)]
struct Listener {
    token: OnceLock<TokenId>,
    grant: OnceLock<GrantId>,
    silence: CancellationToken,
    why: OnceLock<Ended>,
}

impl Listener {
    fn end(&self, why: Ended) {
        let _ = self.why.set(why);
        self.silence.cancel();
    }
}

/// A place in the register; leaving it is dropping this.
pub struct Registered {
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

    /// Enters a stream that is about to begin.
    pub fn register(&self, recording: RecordingId) -> Registered {
        let mut register = self.lock();
        let listener = Arc::new(Listener::default());
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
        self.end_recording(recording, Ended::Shredded);
    }

    /// Ends what a committed unit ends, here or elsewhere.
    pub(super) fn end(&self, ending: StreamEnding) {
        match ending {
            StreamEnding::Shredded(recording) => self.silence(recording),
            StreamEnding::Moved(recording) => self.end_recording(recording, Ended::Refused),
            StreamEnding::Grant(id) => {
                self.end_where(Ended::GrantOver, |listener| {
                    listener.grant.get() == Some(&id)
                });
            }
            StreamEnding::Token(id) => {
                self.end_where(Ended::Refused, |listener| listener.token.get() == Some(&id));
            }
        }
    }

    fn end_recording(&self, recording: RecordingId, why: Ended) {
        let listeners = self.lock().entries.remove(&recording);
        for listener in listeners.unwrap_or_default() {
            listener.end(why);
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
    pub fn has_ended(&self) -> Option<Ended> {
        self.has_ended_at(Instant::now())
    }

    /// Waits until this stream must not release anything more.
    pub async fn end(&self) -> Ended {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn recording() -> RecordingId {
        RecordingId::random(&mut rand::rng())
    }

    #[test]
    fn a_shred_silences_its_recording_and_no_other() {
        let streams = Streams::default();
        let shredded = recording();
        let other = recording();
        let first = streams.register(shredded);
        let second = streams.register(shredded);
        let third = streams.register(other);
        streams.silence(shredded);
        assert_eq!(
            [&first, &second, &third].map(Registered::has_ended),
            [Some(Ended::Shredded), Some(Ended::Shredded), None]
        );
        assert_eq!(streams.count(), 1);
        drop((first, second));
        assert_eq!(streams.count(), 1);
        drop(third);
        assert_eq!(streams.count(), 0);
    }

    #[test]
    fn the_end_of_a_grant_or_a_token_ends_its_streams_and_no_others() {
        let rng = &mut rand::rng();
        let (grants, tokens) = (
            [GrantId::random(rng), GrantId::random(rng)],
            [TokenId::random(rng), TokenId::random(rng)],
        );
        let streams = Streams::default();
        let id = recording();
        let all = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(grant, token)| {
            let stream = streams.register(id);
            stream.by(tokens[token]);
            stream.under(grants[grant]);
            stream
        });
        let bare = streams.register(id);
        streams.end(StreamEnding::Grant(grants[0]));
        let ended = || all.each_ref().map(Registered::has_ended);
        let over = Some(Ended::GrantOver);
        assert_eq!(ended(), [over, None, over, None]);
        streams.end(StreamEnding::Token(tokens[1]));
        assert_eq!(ended(), [over, None, over, Some(Ended::Refused)]);
        assert_eq!((bare.has_ended(), streams.count()), (None, 2));
        streams.end(StreamEnding::Moved(id));
        assert_eq!(
            (bare.has_ended(), streams.count()),
            (Some(Ended::Refused), 0)
        );
    }

    #[test]
    fn one_listener_leaving_does_not_hide_another() {
        let streams = Streams::default();
        let id = recording();
        let first = streams.register(id);
        let second = streams.register(id);
        drop(first);
        streams.silence(id);
        assert_eq!(second.has_ended(), Some(Ended::Shredded));
    }

    #[test]
    fn without_a_watch_there_is_no_lease() {
        let stream = Streams::default().register(recording());
        assert_eq!(stream.has_ended_at(stream.entered + 1000 * LEASE), None);
    }

    #[test]
    fn a_lease_begins_with_the_stream_and_ends_to_the_moment() {
        let streams = Streams::default();
        streams.watched();
        let stream = streams.register(recording());
        let begin = stream.entered;
        assert_eq!(stream.has_ended_at(begin + LEASE - MOMENT), None);
        assert_eq!(stream.has_ended_at(begin + LEASE), Some(Ended::Unsure));
        // Only a look makes it longer, and not one that is older than the stream.
        streams.renew(begin - MOMENT);
        assert_eq!(stream.has_ended_at(begin + LEASE), Some(Ended::Unsure));
        streams.renew(begin + 2 * MOMENT);
        streams.renew(begin + MOMENT);
        assert_eq!(stream.has_ended_at(begin + LEASE + MOMENT), None);
        assert_eq!(
            stream.has_ended_at(begin + LEASE + 2 * MOMENT),
            Some(Ended::Unsure)
        );
    }

    #[tokio::test]
    async fn bytes_wait_for_a_look_long_before_the_lease_is_over() {
        let streams = Streams::default();
        streams.watched();
        let stream = streams.register(recording());
        let begin = stream.entered;
        assert!(stream.is_fresh_at(begin + FRESH - MOMENT) && !stream.is_fresh_at(begin + FRESH));
        streams.renew(begin + FRESH);
        assert!(stream.is_fresh_at(begin + FRESH + FRESH - MOMENT));
        streams.lock().asked = None;
        let mut late = streams.register(recording());
        late.entered = begin.checked_sub(FRESH).unwrap();
        let ((), ()) = tokio::join!(late.fresh(), async {
            tokio::task::yield_now().await;
            assert!(!late.is_fresh());
            streams.renew(Instant::now());
        });
    }

    #[test]
    fn a_shred_is_told_even_after_the_lease() {
        let streams = Streams::default();
        let id = recording();
        streams.watched();
        let stream = streams.register(id);
        streams.silence(id);
        assert_eq!(
            stream.has_ended_at(stream.entered + LEASE),
            Some(Ended::Shredded)
        );
    }

    #[test]
    fn a_watch_covers_only_what_was_entered_after_its_beginning() {
        let streams = Streams::default();
        let unwatched = streams.register(recording());
        streams.watched();
        let first = streams.register(recording());
        assert_eq!(
            [&unwatched, &first].map(Registered::has_ended),
            [Some(Ended::Unsure), None]
        );
        streams.watched();
        streams.renew(Instant::now());
        let second = streams.register(recording());
        assert_eq!(
            [&unwatched, &first, &second].map(Registered::has_ended),
            [Some(Ended::Unsure), Some(Ended::Unsure), None]
        );
    }

    #[tokio::test]
    async fn who_waits_for_the_end_hears_of_it_at_once() {
        let streams = Streams::default();
        let id = recording();
        let stream = streams.register(id);
        let (ended, ()) = tokio::join!(stream.end(), async {
            tokio::task::yield_now().await;
            streams.silence(id);
        });
        assert_eq!(ended, Ended::Shredded);
    }
}
