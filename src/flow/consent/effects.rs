//! Who has to hear of it when something new is known of a conversation: quarantine, revocations,
//! tiers.
//!
//! Owns that they are named together. Refuses to order them: what was told says who is asked when.

use std::sync::Arc;

use crate::flow::{
    erasure::{quarantine::Quarantine, revocation::Revocations},
    reclassification::Reclassification,
};

/// What becomes of recordings when somebody says something, or turns out to be somebody.
#[derive(Clone)]
pub(in crate::flow) struct Effects {
    /// Recordings that wait for a consent.
    pub(super) quarantine: Arc<Quarantine>,
    /// What was taken back.
    pub(super) revocations: Arc<Revocations>,
    /// Recordings whose parties make them more sensitive.
    pub(super) reclassification: Arc<Reclassification>,
}

impl Effects {
    /// Those of one vault.
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
