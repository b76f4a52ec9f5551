//! What the source keeps of a recording is deleted there, and the vault makes sure of it.

use super::{Flow, work::Verdict};
use crate::ledger::work::Lease;

impl Flow {
    /// Deletes what the source keeps of a recording.
    pub(super) async fn erase(&self, lease: &Lease) -> Result<(), (Verdict, String)> {
        self.drop_work(lease).await.map_err(|error| (Verdict::Later, error.to_string()))
    }
}
