//! Faults of media, all of them observed at Twilio or at the storage it redirects to.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::model::sid::RecordingSid;

/// One fault of a media request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaFault {
    /// 404 with Twilio's XML error: the media is available later than its callback.
    NotYet {
        /// The number of affected requests.
        times: u32,
    },
    /// 429.
    TooMany {
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// 500.
    ServerError {
        /// The number of affected requests.
        times: u32,
    },
    /// The body arrives slowly.
    SlowBody {
        /// Bytes per piece.
        bytes: usize,
        /// The interval between pieces.
        every: Duration,
    },
    /// The connection breaks.
    CutBody {
        /// The number of bytes of the body before the break.
        at: usize,
    },
    /// `Content-Length` is not the length of the body. HTTP then delivers the shorter of the two.
    WrongLength {
        /// The stated length.
        claim: u64,
    },
    /// 200 with an XML error instead of audio.
    XmlErrorBody,
    /// 302.
    RedirectTo {
        /// `Location`.
        url: String,
    },
    /// Audio with another content type.
    WrongContentType {
        /// The type.
        value: String,
    },
    /// `audio/x-wav` that is not a WAV file, as with customer-key encryption.
    NotRiff,
}

/// Queued faults.
#[derive(Default)]
pub(super) struct PendingFaults {
    queues: HashMap<Option<RecordingSid>, VecDeque<MediaFault>>,
}

impl PendingFaults {
    /// Queues a fault for one recording, or for the next one.
    pub(super) fn add(&mut self, recording: Option<RecordingSid>, fault: MediaFault) {
        self.queues.entry(recording).or_default().push_back(fault);
    }

    /// Returns the fault of this request: the recording's own first.
    pub(super) fn next(&mut self, recording: &RecordingSid) -> Option<MediaFault> {
        self.pop(&Some(recording.clone()))
            .or_else(|| self.pop(&None))
    }

    fn pop(&mut self, whose: &Option<RecordingSid>) -> Option<MediaFault> {
        let queue = self.queues.get_mut(whose)?;
        loop {
            match queue.front_mut()? {
                MediaFault::NotYet { times: 0 } | MediaFault::ServerError { times: 0 } => {
                    drop(queue.pop_front())
                }
                fault @ (MediaFault::NotYet { .. } | MediaFault::ServerError { .. }) => {
                    let met = fault.clone();
                    if let MediaFault::NotYet { times } | MediaFault::ServerError { times } = fault
                    {
                        *times -= 1;
                    }
                    return Some(met);
                }
                _ => return queue.pop_front(),
            }
        }
    }
}
