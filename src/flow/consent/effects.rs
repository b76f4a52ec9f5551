//! The use cases that react to new facts about a conversation: quarantine, revocations, tiers.
//!
//! Owns that they are passed together. Refuses to order them: each caller decides which runs when.

use std::sync::Arc;

use crate::flow::{
    erasure::{quarantine::Quarantine, revocation::Revocations},
    reclassification::Reclassification,
};

/// Use cases that react to new statements or newly identified parties.
#[derive(Clone)]
pub(in crate::flow) struct Effects {
    /// Recordings in quarantine.
    pub(super) quarantine: Arc<Quarantine>,
    /// Revocations.
    pub(super) revocations: Arc<Revocations>,
    /// Moves to another tier because of the parties.
    pub(super) reclassification: Arc<Reclassification>,
}

impl Effects {
    /// Combines the use cases of one vault.
    pub(in crate::flow) fn new(
        quarantine: Arc<Quarantine>,
        revocations: Arc<Revocations>,
        reclassification: Arc<Reclassification>,
    ) -> Self {
        Self {
            quarantine,
            revocations,
            reclassification,
        }
    }
}
