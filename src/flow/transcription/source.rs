//! The source of transcripts, asked for what it made and what that was made from.
//!
//! Owns what is needed to ask. What is asked is beside it, by kind.

use std::sync::Arc;

use super::{QUEUED, Stop};
use crate::{
    db::{Db, sources},
    flow::{ingest::Ingest, queue::WorkQueue, twilio_access::TwilioAccess},
    model::time::Clock,
    vault::Vault,
};

/// Finds transcripts at the source, and the recordings that they are of.
pub(in crate::flow) struct TranscriptSource {
    pub(super) vault: Vault,
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) twilio: Arc<TwilioAccess>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) queue: Arc<WorkQueue>,
}

impl TranscriptSource {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        clock: Clock,
        twilio: Arc<TwilioAccess>,
        ingest: Arc<Ingest>,
        queue: Arc<WorkQueue>,
    ) -> Self {
        Self {
            vault,
            db,
            clock,
            twilio,
            ingest,
            queue,
        }
    }

    /// The source has no transcript of this id: not any more, if the vault deleted it there with
    /// its recording; otherwise perhaps not yet.
    pub(super) async fn missing(&self, sid: &str) -> Result<Stop, Stop> {
        let is_deleted = sources::is_deleted(&mut self.db.read().await?, sid).await?;
        Ok(if is_deleted {
            Stop::Over
        } else {
            Stop::Wait {
                why: "twilio has no such transcript".to_owned(),
                most: QUEUED,
            }
        })
    }
}
