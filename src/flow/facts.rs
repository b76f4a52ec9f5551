//! What the ledger knows that bears on a decision about a recording: its parties, what they said, and the holds that stand.

use super::Error;
use crate::{
    ledger,
    model::{name::Purpose, recording::Recording},
    policy::Consents,
};

/// What is known of one recording.
pub(super) struct Known {
    /// Who took part, and every statement that bears on them.
    pub(super) consents: Consents,
    /// The purposes of the holds that stand.
    pub(super) holds: Vec<Purpose>,
}

/// Gathers it.
///
/// # Errors
/// The ledger's.
#[expect(clippy::unused_async, reason = "it asks the ledger once statements and holds are kept there")]
pub(super) async fn known(_tx: &mut ledger::Tx, _recording: &Recording) -> Result<Known, Error> {
    Ok(Known { consents: Consents::NONE, holds: Vec::new() })
}
