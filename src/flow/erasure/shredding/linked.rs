//! Recordings that were left behind when another was shredded that is the same: they came later, or
//! were linked later.
//!
//! Owns their shred. Refuses to know what is linked (`db::links`).

use super::Shredding;
use crate::{
    db::{links, recordings},
    evidence::ShredReason,
    flow::error::Error,
    model::id::RecordingId,
    policy::{Permit, action},
    vault::{Cause, OnHold},
};

/// Recordings looked for at a time.
const AT_ONCE: i64 = 500;
/// The reason of these shreds.
const REASON: &str = "linked-recording-shredded";

impl Shredding {
    /// Shreds recordings that are the same as a shredded one; with `among`, only where one of the two
    /// is among these. What a hold protects is closed. Returns how many were shredded. Not acknowledged: they are durable
    /// with the next piece of the journal.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::flow) async fn shred_left(
        &self,
        among: Option<&[RecordingId]>,
    ) -> Result<u64, Error> {
        let permit = Permit::of_vault(action::Shred);
        let reason: ShredReason = REASON.parse().expect("the codes of the house are codes");
        let mut shredded = 0;
        loop {
            let mut tx = self.db.read().await?;
            let left = links::left(&mut tx, among, AT_ONCE).await?;
            let left = recordings::find_all(&mut tx, &left).await?;
            drop(tx);
            if left.is_empty() {
                return Ok(shredded);
            }
            let cause = Cause::permitted(&permit, &reason);
            let done = self.shred_in_units(&left, cause, OnHold::Close, &|_| {});
            let held = done.await.kept()?.len();
            shredded += left.len().saturating_sub(held) as u64;
        }
    }
}
