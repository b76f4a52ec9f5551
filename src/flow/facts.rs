//! What the database knows that bears on a decision: parties, what they said, and holds.
//!
//! Owns the gathering. Refuses to know what follows from it: `policy` says that. INVARIANT: for a
//! recording of which nothing is known, the answer says nothing that could speak for opening it.

use std::collections::BTreeMap;

use super::error::Error;
use crate::{
    db::{Tx, consents, holds},
    model::{id::RecordingId, name::Purpose, recording::Recording},
    policy::Consents,
};

/// What is known of one recording besides its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownFacts {
    /// Its parties, and every statement that may bear on them.
    pub(super) consents: Consents,
    /// The purposes of the holds that stand.
    pub(super) holds: Vec<Purpose>,
}

/// What is known of recordings now, with a few queries for all of them. Each has its place in the
/// answer.
///
/// # Errors
/// The database's; then nothing may be decided.
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
