//! Copies that are recordings of their own.
//!
//! The same message can be kept twice: as a part of a text through a session or of a chat, and by its
//! own webhook. Owns the rule that it is not deleted with the one while the vault keeps the other.
//! Refuses to know how copies are found.

use super::SourceDeletion;
use crate::{
    db::recordings,
    flow::error::Error,
    model::{media::SourceRef, recording::RecordingState},
    twilio::Account,
};

impl SourceDeletion {
    /// Returns whether a copy is a recording of its own that is not shredded.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn keeps_itself(&self, account: &Account, sid: &str) -> Result<bool, Error> {
        let Ok(source) = SourceRef::parse(account.sid().clone(), sid) else {
            return Ok(false);
        };
        let id = source.recording_id(self.vault.id());
        let found = recordings::find(&mut self.db.read().await?, id).await?;
        Ok(found.is_some_and(|recording| recording.state != RecordingState::Shredded))
    }
}
