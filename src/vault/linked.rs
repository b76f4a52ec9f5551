//! Recordings that are shredded with others, because they are the same by an exact link.
//!
//! Owns that no unit shreds one of them and leaves another behind. Refuses to know what is linked
//! (`db::links`).

use std::collections::BTreeSet;

use super::error::Error;
use crate::{
    db::{self, Tx, links, recordings},
    model::{id::RecordingId, recording::Recording},
};

/// The recordings that a unit shreds besides those that it was asked for.
pub(super) struct LinkedRecordings(Vec<Recording>);

impl LinkedRecordings {
    /// Finds them.
    pub(super) async fn to(tx: &mut Tx, asked: &[&Recording]) -> Result<Self, Error> {
        let same = links::same(tx, &ids_of(asked)).await?;
        if same.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let ids: Vec<RecordingId> = same.into_iter().collect();
        Ok(Self(recordings::find_all(tx, &ids).await?))
    }

    /// Returns those that were asked for, and these.
    pub(super) fn with<'a>(&'a self, asked: &[&'a Recording]) -> Vec<&'a Recording> {
        asked.iter().copied().chain(&self.0).collect()
    }

    /// Returns the recordings that a hold protects and that are to be closed: of those that were asked
    /// for if the caller closes them; of these always, because the caller does not know of them. `held`
    /// keeps those of which the caller is told. Their rows are locked.
    ///
    /// # Errors
    /// [`db::Error::Conflict`] inside if another unit linked more of them before they were locked. A
    /// retry of the unit finds them.
    pub(super) async fn to_close(
        &self,
        tx: &mut Tx,
        asked: &[&Recording],
        held: &mut Vec<RecordingId>,
        closes: bool,
    ) -> Result<Vec<RecordingId>, Error> {
        let own: BTreeSet<RecordingId> = self.0.iter().map(|recording| recording.id).collect();
        if links::is_more(tx, &ids_of(asked), &own).await? {
            return Err(db::Error::Conflict.into());
        }
        if closes {
            return Ok(held.clone());
        }
        let (linked, asked) = held.iter().partition(|id| own.contains(id));
        *held = asked;
        Ok(linked)
    }
}

fn ids_of(recordings: &[&Recording]) -> Vec<RecordingId> {
    recordings.iter().map(|recording| recording.id).collect()
}
