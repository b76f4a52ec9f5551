//! Warnings about recordings that a revocation does not reach because their parties were named
//! without the `revoke` action.

use super::Revocations;
use crate::{
    db::revocations::{self, Unvouched},
    model::subject::Conversation,
};

/// The most recordings named in the log.
const NAMED: i64 = 20;

impl Revocations {
    /// Logs a warning if a party of this conversation revoked and was named later without the
    /// `revoke` action, so that a recording waits. Changes nothing.
    pub(in crate::flow) async fn warn_of_unvouched(&self, conversation: &Conversation) {
        let found = async {
            let mut tx = self.db.read().await?;
            revocations::unvouched_in(&mut tx, conversation, NAMED).await
        };
        match found.await {
            Ok(found) => found.iter().for_each(warn),
            Err(error) => tracing::warn!(%error, "could not ask what a naming leaves waiting"),
        }
    }
}

fn warn(waits: &Unvouched) {
    tracing::warn!(
        revocation = %waits.revocation, recording = %waits.recording,
        "a revocation does not reach this recording: the party was named without the action \
         `revoke`; name the party again with it, or revoke again"
    );
}
