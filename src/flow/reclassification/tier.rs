//! A recording goes to another tier.

use super::Reclassification;
use crate::{
    flow::{error::Error, units::journal_or_warn},
    ledger::recordings,
    model::{id::RecordingId, name::Tier, recording::Recording},
    policy::{Action, Permit},
};

impl Reclassification {
    /// Moves a recording to a tier of the policy; with `dry_run` only says what would be moved.
    /// Whether anything was, or would be.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for a tier that the policy does not have.
    pub async fn move_to(
        &self,
        permit: &Permit,
        id: RecordingId,
        to: &Tier,
        dry_run: bool,
    ) -> Result<(Recording, bool), Error> {
        if permit.action() != Action::Keys {
            return Err(Error::NotFound);
        }
        if !self
            .rulebook
            .current()
            .document()
            .tiers
            .iter()
            .any(|tier| tier.name == *to)
        {
            return Err(Error::Invalid(format!("the policy has no tier `{to}`")));
        }
        let recording = recordings::find(&mut self.ledger.read().await?, id)
            .await?
            .ok_or(Error::NotFound)?;
        let moves = recording.tier != *to;
        if moves && !dry_run {
            self.vault.move_to(permit, &recording, to).await?;
            journal_or_warn(&self.vault, false).await;
        }
        Ok((recording, moves))
    }
}
