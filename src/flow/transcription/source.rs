//! Requests to the source of transcripts.
//!
//! Owns the dependencies of the requests. Each kind of request has its own submodule.

use std::sync::Arc;

use super::{QUEUED, Stop};
use crate::{
    db::{Db, sources},
    flow::{ingest::Ingest, queue::WorkQueue, twilio_access::TwilioAccess},
    model::time::Clock,
    vault::Vault,
};

/// Finds transcripts at the source, and their recordings.
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

    /// Returns what to do about a transcript that the source does not have: nothing if the vault
    /// deleted it there with its recording; otherwise wait, because it may not be ready yet.
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
