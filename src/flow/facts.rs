//! The database's facts for a decision: parties, their statements, and holds.
//!
//! Owns the collection. Refuses to know the conclusions: `policy` draws them. INVARIANT: for an
//! unknown recording, the facts contain nothing that could permit opening it.

use std::collections::BTreeMap;

use super::error::Error;
use crate::{
    db::{Tx, consents, holds},
    model::{id::RecordingId, name::Purpose, recording::Recording},
    policy::Consents,
};

/// The facts about one recording besides its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownFacts {
    /// Its parties, and every statement that may apply to them.
    pub(super) consents: Consents,
    /// The purposes of the holds in force.
    pub(super) holds: Vec<Purpose>,
}

/// Returns the current facts about recordings, with a few queries for all of them. Each recording
/// has an entry in the result.
///
/// # Errors
/// Any database error; then nothing may be decided.
pub(super) async fn known_all(
    tx: &mut Tx,
    recordings: &[Recording],
) -> Result<BTreeMap<RecordingId, KnownFacts>, Error> {
    let consents = consents::gather(tx, recordings).await?;
    let held: Vec<RecordingId> = recordings
        .iter()
        .filter(|recording| recording.holds > 0)
        .map(|recording| recording.id)
        .collect();
    let mut holds = if held.is_empty() {
        BTreeMap::new()
    } else {
        holds::purposes(tx, &held).await?
    };
    let known = |(id, consents)| {
        (
            id,
            KnownFacts {
                consents,
                holds: holds.remove(&id).unwrap_or_default(),
            },
        )
    };
    Ok(consents.into_iter().map(known).collect())
}
