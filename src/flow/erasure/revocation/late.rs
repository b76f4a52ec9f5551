//! Recordings that arrive after a revocation that covers them. (Recordings that are reached later
//! because their parties are named later are found by the revocation itself, which the naming unit
//! makes run again: [`revocations::reach_again`].)

use super::Revocations;
use crate::{
    db::revocations::{self, Revocation},
    flow::error::Error,
    model::recording::Recording,
    vault::{Cause, OnHold},
};

impl Revocations {
    /// Shreds a recording that a revocation covers as a whole, or leaves without a purpose, and
    /// returns whether it was shredded. Must be called before the recording is fetched.
    ///
    /// # Errors
    /// Any database error.
    pub(in crate::flow) async fn is_revoked(&self, recording: &Recording) -> Result<bool, Error> {
        let covering = revocations::covering(&mut self.db.read().await?, recording).await?;
        let mut letting_go = Vec::new();
        for revocation in &covering {
            if self.lets_go(revocation, recording).await? {
                letting_go.push(revocation);
            }
        }

        let only = std::slice::from_ref(recording);
        let mut is_gone = false;
        // The first one shreds it. The others record their outcomes.
        for revocation in letting_go {
            let cause = Cause::revoked(revocation);
            let done = self
                .shredding
                .shred_in_units(only, cause, OnHold::Close, &|_| {})
                .await;
            // No caller is told here, so it need not be durable. A held recording is fetched and
            // closed.
            is_gone = done.kept()?.is_empty();
        }
        Ok(is_gone)
    }

    async fn lets_go(&self, revocation: &Revocation, recording: &Recording) -> Result<bool, Error> {
        let (gone, _) = self.split(revocation, &[recording.id]).await?;
        Ok(!gone.is_empty())
    }
}
