//! What can go wrong with media, each seen at Twilio or at the storage it redirects to.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::model::sid::RecordingSid;

/// One way for a media request to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaFault {
    /// 404 with Twilio's XML error: the media follows its callback late.
    NotYet {
        /// How many requests meet it.
        times: u32,
    },
    /// 429.
    TooMany {
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// 500.
    ServerError {
        /// How many requests meet it.
        times: u32,
    },
    /// The body comes, slowly.
    SlowBody {
        /// How many at once.
        bytes: usize,
        /// How often.
        every: Duration,
    },
    /// The connection breaks.
    CutBody {
        /// After so many bytes of the body.
        at: usize,
    },
    /// `Content-Length` is not the length of the body. HTTP then delivers the shorter of the two.
    WrongLength {
        /// What it says.
        claim: u64,
    },
    /// 200 with an XML error instead of sound.
    XmlErrorBody,
    /// 302.
    RedirectTo {
        /// `Location`.
        url: String,
    },
    /// The sound under another content type.
    WrongContentType {
        /// The type.
        value: String,
    },
    /// `audio/x-wav` that is no WAV file, as with customer-key encryption.
    NotRiff,
}

/// Faults that wait to be met.
#[derive(Default)]
pub(super) struct PendingFaults {
    queues: HashMap<Option<RecordingSid>, VecDeque<MediaFault>>,
}

impl PendingFaults {
    /// Queues a fault for one recording, or for whichever comes first.
    pub(super) fn add(&mut self, recording: Option<RecordingSid>, fault: MediaFault) {
        self.queues.entry(recording).or_default().push_back(fault);
    }

    /// The fault that this request meets: the recording's own first.
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
