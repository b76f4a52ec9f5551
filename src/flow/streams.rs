//! Running streams, so that a shred silences them.
//!
//! A stream is registered *before* its key is read. A shred that commits after that finds it here; one that committed before is found by the
//! key look-up. Shreds of other processes are found by watching the fences.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::model::id::RecordingId;

/// The register. Clones share it.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<HashMap<RecordingId, Entry>>>);

struct Entry {
    silence: CancellationToken,
    listeners: usize,
}

/// A place in the register; leaving it is dropping this.
pub struct Registered {
    streams: Streams,
    recording: RecordingId,
    /// Cancelled when the recording is shredded.
    pub silence: CancellationToken,
}

impl Streams {
    /// Enters a stream that is about to begin.
    pub fn register(&self, recording: RecordingId) -> Registered {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(recording).or_insert_with(|| Entry { silence: CancellationToken::new(), listeners: 0 });
        entry.listeners += 1;
        Registered { streams: self.clone(), recording, silence: entry.silence.clone() }
    }

    /// Ends every stream of a recording, for good.
    pub fn silence(&self, recording: RecordingId) {
        if let Some(entry) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&recording) {
            entry.silence.cancel();
        }
    }

    /// How many streams are running.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|entry| entry.listeners).sum()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut entries = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&self.recording)
            && !self.silence.is_cancelled()
        {
            entry.listeners -= 1;
            if entry.listeners == 0 {
                entries.remove(&self.recording);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shred_silences_its_recording_and_no_other() {
        let (streams, rng) = (Streams::default(), &mut rand::rng());
        let (shredded, other) = (RecordingId::random(rng), RecordingId::random(rng));
        let (first, second, third) = (streams.register(shredded), streams.register(shredded), streams.register(other));
        streams.silence(shredded);
        assert!(first.silence.is_cancelled() && second.silence.is_cancelled() && !third.silence.is_cancelled());
        assert_eq!(streams.count(), 1);
        drop((first, second));
        assert_eq!(streams.count(), 1);
        drop(third);
        assert_eq!(streams.count(), 0);
    }

    #[test]
    fn one_listener_leaving_does_not_hide_another() {
        let (streams, id) = (Streams::default(), RecordingId::random(&mut rand::rng()));
        let (first, second) = (streams.register(id), streams.register(id));
        drop(first);
        streams.silence(id);
        assert!(second.silence.is_cancelled());
    }
}
