//! What Twilio tells of transcripts: that one can be fetched, and what is being said in a call that
//! goes on.
//!
//! Owns the three forms in which it tells, and how strictly each is read. Refuses to decide what
//! follows.
//!
//! INVARIANT: each is made only from [`Verified`](super::signature::Verified) input. Of transcripts
//! that can be fetched nothing is kept but their ids, whatever else a request says.

mod intelligence;
mod real_time;
mod record;

pub use intelligence::IntelligenceEvent;
pub(in crate::twilio) use real_time::confidence;
pub use real_time::{RealTimeEvent, RealTimeEventKind, SpokenPiece, Track};
pub use record::TranscriptionCallback;

#[cfg(test)]
mod tests;
