//! Revocation of consent, for existing and future recordings.
//!
//! Owns a revocation from its beginning to its receipt: its reach, its continuation after any
//! interruption, and its status. Refuses to shred; it calls `shredding`.

mod begin;
pub(in crate::flow) mod close;
mod late;
mod show;
mod unvouched;
mod work;

use std::sync::Arc;

pub use self::{begin::RevocationPreview, show::RevocationStatus, work::ContinuedRevocations};
use super::shredding::Shredding;
use crate::{
    db::Db,
    flow::{liveness::Liveness, queue::WorkQueue, wakeups::Wakeups},
    model::time::Clock,
    policy::Rulebook,
    vault::Vault,
};

/// Begins, continues and finishes revocations.
pub struct Revocations {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    liveness: Liveness,
    wakeups: Wakeups,
    queue: Arc<WorkQueue>,
    shredding: Arc<Shredding>,
}

impl Revocations {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is something else, and is named where it is given"
    )]
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        liveness: Liveness,
        wakeups: Wakeups,
        queue: Arc<WorkQueue>,
        shredding: Arc<Shredding>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            liveness,
            wakeups,
            queue,
            shredding,
        }
    }
}
