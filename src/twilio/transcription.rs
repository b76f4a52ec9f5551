//! Twilio's callbacks about transcripts: one can be fetched, or a call in progress is transcribed.
//!
//! Owns the three forms of callbacks, and the strictness of each. Refuses to decide the
//! consequences.
//!
//! INVARIANT: each is made only from [`Verified`](super::signature::Verified) input. For a
//! transcript that can be fetched, only ids are kept, whatever else the request contains.

mod intelligence;
mod real_time;
mod record;

pub use intelligence::IntelligenceEvent;
pub(in crate::twilio) use real_time::confidence;
pub use real_time::{RealTimeEvent, RealTimeEventKind, SpokenPiece, Track};
pub use record::TranscriptionCallback;

#[cfg(test)]
mod tests;
