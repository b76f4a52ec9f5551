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
        let mut all = covering.iter();
        let whole = loop {
            let Some(revocation) = all.next() else {
                return Ok(false);
            };
            if self.lets_go(revocation, recording).await? {
                break revocation;
            }
        };
        let cause = Cause::revoked(whole);
        let only = std::slice::from_ref(recording);
        let done = self
            .shredding
            .shred_in_units(only, cause, OnHold::Close, &|_| {})
            .await;
        // Nobody is told of it here. What a hold keeps is fetched and closed.
        Ok(done.kept()?.is_empty())
    }

    async fn lets_go(&self, revocation: &Revocation, recording: &Recording) -> Result<bool, Error> {
        let (gone, _) = self.split(revocation, &[recording.id]).await?;
        Ok(!gone.is_empty())
    }
}
