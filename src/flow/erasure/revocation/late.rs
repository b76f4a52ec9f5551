//! What arrives after a revocation that covers it. (What is reached later because its parties are
//! named later is found by the revocation itself, which the unit that names them makes run again:
//! [`revocations::reach_again`].)

use super::Revocations;
use crate::{
    db::revocations::{self, Revocation},
    flow::error::Error,
    model::recording::Recording,
    vault::{Cause, OnHold},
};

impl Revocations {
    /// Lets go of a recording that a revocation covers as a whole, or that it leaves no purpose
    /// for, and says whether one did. To be asked before anything of it is fetched.
    ///
    /// # Errors
    /// The database's.
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
        // The first one shreds it. Each of them tells what it reached.
        for revocation in letting_go {
            let cause = Cause::revoked(revocation);
            let done = self
                .shredding
                .shred_in_units(only, cause, OnHold::Close, &|_| {})
                .await;
            // Nobody is told of it here. What a hold keeps is fetched and closed.
            is_gone = done.kept()?.is_empty();
        }
        Ok(is_gone)
    }

    async fn lets_go(&self, revocation: &Revocation, recording: &Recording) -> Result<bool, Error> {
        let (gone, _) = self.split(revocation, &[recording.id]).await?;
        Ok(!gone.is_empty())
    }
}
