//! Moving of a recording to another tier by an operator.

use super::Reclassification;
use crate::{
    db::recordings,
    evidence::NewEntry,
    flow::{error::Error, refusal::shredded, units::journal_or_warn},
    model::{
        id::RecordingId,
        name::Tier,
        recording::{Recording, RecordingState},
    },
    policy::{Permit, action},
};

impl Reclassification {
    /// Moves a recording to a tier of the policy; a dry run changes nothing. Returns the recording
    /// as it was, and whether it was, or would be, moved.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Shredded`]; [`Error::Invalid`] for a tier that the policy does not have.
    pub async fn move_to(
        &self,
        permit: &Permit<action::Keys>,
        id: RecordingId,
        to: &Tier,
        dry_run: bool,
    ) -> Result<(Recording, bool), Error> {
        if !self
            .rulebook
            .current()
            .document()
            .tiers
            .iter()
            .any(|tier| tier.name == *to)
        {
            return Err(Error::Invalid(format!(
                "the policy has no tier `{to}`; declare it under `[[tiers]]`"
            )));
        }
        let recording = recordings::find(&mut self.db.read().await?, id)
            .await?
            .ok_or(Error::NotFound)?;
        if recording.state == RecordingState::Shredded {
            return Err(shredded(&self.db, id).await?);
        }
        let moves = recording.tier != *to;
        if moves && !dry_run {
            let vault = &self.vault;
            let unit = vault.unit("tier.relocate", async |mut unit| {
                let by = permit.initiator();
                let from = &recording.tier;
                vault.relocate(&mut unit, &recording, to).await?;
                unit.audit(NewEntry::recording_moved(
                    self.clock.now(),
                    by,
                    id,
                    from,
                    to,
                ));
                Ok::<_, Error>(())
            });
            unit.await?;
            journal_or_warn(&self.vault, false).await;
        }
        Ok((recording, moves))
    }
}
