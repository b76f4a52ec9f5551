//! Reclassification: what becomes known of a recording after it was announced may make it more
//! sensitive, and never less.
//!
//! Owns when it is asked. Refuses to know which tier that is: `policy` says so.

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

/// How often it is tried again when somebody else moved the recording meanwhile.
const TRIES: usize = 4;

/// Recordings go to other tiers.
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

    /// Puts the recordings of a conversation into the tiers to which they belong now that its
    /// parties are named: rules for a number count from now on. To be called after the parties were
    /// committed. Repeating it is harmless.
    ///
    /// # Errors
    /// The database's; what was raised stays raised.
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

    /// The same for one recording. Whether it went to another tier.
    pub(super) async fn reclassify_by_parties(&self, recording: &Recording) -> Result<bool, Error> {
        let rules = self.rulebook.current();
        let Some(conversation) = recording.conversation().filter(|_| rules.knows_numbers()) else {
            return Ok(false);
        };
        let parties = recordings::subjects_in(&mut self.db.read().await?, &conversation).await?;
        let to = |recording: &Recording| {
            rules
                .reclassify(recording, |number| {
                    parties.contains(&self.vault.subject(number))
                })
                .cloned()
        };
        self.raise(recording.id, to, &["number"]).await
    }

    /// Puts a recording into the tier to which it belongs now that the lines are known over which
    /// its conversation went: a line of one's own is nobody's place in a conversation, and has
    /// rules all the same.
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

    /// Moves a recording to the tier that `to` names for it as it is now, if any. Whether it was
    /// moved; a shredded one is not.
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
                // Another tier by now, or shredded: looked at again.
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
