//! Reclassification: facts that become known after a recording was announced may move it to a more
//! sensitive tier, never to a less sensitive one.
//!
//! Owns when this is checked. Refuses to know which tier applies: `policy` decides that.

mod tier;

use std::sync::Arc;

use super::{error::Error, units::journal_or_warn};
use crate::{
    db::{self, Db, recordings},
    evidence::NewEntry,
    model::{
        id::RecordingId,
        name::Tier,
        recording::{Recording, RecordingState},
        subject::{Address, Conversation},
        time::Clock,
    },
    policy::Rulebook,
    vault::{self, Vault},
};

/// The number of attempts if the recording was moved concurrently.
const TRIES: usize = 4;

/// Moves recordings to other tiers.
pub struct Reclassification {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
}

impl Reclassification {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
        }
    }

    /// Moves the recordings of a conversation to the tiers that apply to its parties: rules for a
    /// number apply from now on. Must be called after the parties were committed. Repeating it is
    /// harmless.
    ///
    /// # Errors
    /// Any database error; committed moves stay.
    pub(super) async fn reclassify_conversation(
        &self,
        conversation: &Conversation,
    ) -> Result<(), Error> {
        if !self.rulebook.current().knows_numbers() {
            return Ok(());
        }
        let recordings =
            recordings::of_conversation(&mut self.db.read().await?, conversation).await?;
        for recording in recordings
            .iter()
            .filter(|recording| recording.state != RecordingState::Shredded)
        {
            self.reclassify_by_parties(recording).await?;
        }
        Ok(())
    }

    /// The same for one recording. Returns whether it was moved.
    pub(super) async fn reclassify_by_parties(&self, recording: &Recording) -> Result<bool, Error> {
        let rules = self.rulebook.current();
        let Some(conversation) = recording.conversation().filter(|_| rules.knows_numbers()) else {
            return Ok(false);
        };
        let parties = {
            let mut tx = self.db.read().await?;
            recordings::subjects_in(&mut tx, recording.account(), &conversation).await?
        };
        let to = |recording: &Recording| {
            rules
                .reclassify(recording, |number| {
                    parties.contains(&self.vault.subject(number))
                })
                .cloned()
        };
        self.raise(recording.id, to, &["number"]).await
    }

    /// Moves a recording to the tier that applies to the phone lines of its conversation: the
    /// account's own line is no party, but rules may apply to it.
    pub(super) async fn reclassify_by_lines(
        &self,
        recording: &Recording,
        lines: &[Address],
    ) -> Result<bool, Error> {
        let rules = self.rulebook.current();
        if lines.is_empty() || !rules.knows_numbers() {
            return Ok(false);
        }
        self.raise(
            recording.id,
            |recording| {
                rules
                    .reclassify(recording, |number| lines.contains(number))
                    .cloned()
            },
            &["number"],
        )
        .await
    }

    /// Moves a recording to the tier that `to` returns for its current state, if any. Returns
    /// whether it was moved; a shredded one is not.
    pub(super) async fn raise(
        &self,
        id: RecordingId,
        to: impl Fn(&Recording) -> Option<Tier> + Send + Sync,
        because: &[&'static str],
    ) -> Result<bool, Error> {
        for tries in 1.. {
            let recording = recordings::find(&mut self.db.read().await?, id)
                .await?
                .ok_or(Error::NotFound)?;
            let Some(tier) = to(&recording).filter(|tier| {
                recording.state != RecordingState::Shredded && *tier != recording.tier
            }) else {
                return Ok(false);
            };
            let vault = &self.vault;
            let moved = vault.unit("reclassification.raise", async |mut unit| {
                let from = &recording.tier;
                vault.relocate(&mut unit, &recording, &tier).await?;
                unit.audit(NewEntry::recording_reclassified(
                    self.clock.now(),
                    id,
                    from,
                    &tier,
                    because,
                ));
                Ok::<_, vault::Error>(())
            });
            match moved.await {
                // It was moved or shredded concurrently: check again.
                Err(vault::Error::Db(db::Error::Stale(_))) if tries < TRIES => {}
                moved => {
                    moved?;
                    journal_or_warn(&self.vault, false).await;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
