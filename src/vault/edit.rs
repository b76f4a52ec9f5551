//! Edits of a message: each state is sealed under the message's own record key, beside the others, so
//! that all of them are destroyed together.
//!
//! Owns the order: ciphertext first, then the rows; and what is no new state. Refuses to know who
//! edited. INVARIANT: a state that is sealed is never replaced: states that arrive in any order and
//! repeatedly leave the same rows.

use super::{Vault, error::Error, message::MessageContent};
use crate::{
    db::{
        Unit, artefacts,
        recordings::{self, SealedArtefact},
    },
    evidence::NewEntry,
    model::{
        artefact::{Artefact, Leg},
        id::{ObjectId, RecordingId},
    },
    secret::SecretBuffer,
};

/// A state that is sealed, but not named by any row yet.
#[must_use = "its objects are orphans until it is entered"]
pub struct SealedEdit {
    form: SealedArtefact,
    text: SealedArtefact,
    form_sha256: [u8; 32],
}

impl SealedEdit {
    /// The objects in the store, for [`Vault::delete_orphan`].
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> + '_ {
        [self.form.object, self.text.object].into_iter().flatten()
    }
}

/// The states with which an arriving one is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivingState {
    /// Those of the same second: the source's lists name times to the second only.
    Told,
    /// The latest one: the present state need not be a new one.
    Present,
}

impl Vault {
    /// Seals a state of a message that is sealed already. Returns `None` if it is no new one. Texts
    /// that are compared are disclosed to nobody, so this is no opening.
    ///
    /// # Errors
    /// [`Error::Gone`] if the message is shredded, or not sealed yet; the store's.
    pub async fn seal_edit(
        &self,
        recording: RecordingId,
        content: &MessageContent<'_>,
        arriving: ArrivingState,
    ) -> Result<Option<SealedEdit>, Error> {
        let key = self.readable_key(recording, Leg::All).await?;
        let sealed = recordings::artefacts(&mut self.0.db.read().await?, recording).await?;
        let form = content.artefact(Artefact::Form);
        if sealed.iter().any(|sealed| sealed.artefact == form) {
            return Ok(None);
        }
        let present = Artefact::Transcript.latest(sealed.iter().map(|sealed| sealed.artefact));
        let is_compared = |sealed: &&SealedArtefact| match arriving {
            ArrivingState::Present => Some(sealed.artefact) == present,
            ArrivingState::Told => {
                let second = |at: Option<u64>| at.map(|at| at / 1000);
                sealed.artefact.is_text()
                    && content.edit.is_some()
                    && second(sealed.artefact.edited_at()) == second(content.edit)
            }
        };
        for sealed in sealed.iter().filter(is_compared) {
            let mut text =
                SecretBuffer::with_capacity(usize::try_from(sealed.plain_len).unwrap_or_default());
            self.read_object_back(recording, &key, sealed, |piece| {
                text.extend_from_slice(piece)
            })
            .await?;
            if *text == **content.text {
                return Ok(None);
            }
        }
        let (form, form_sha256) = self.seal_small(recording, &key, form, content.form).await?;
        let text = content.artefact(Artefact::Transcript);
        let (text, _) = self.seal_small(recording, &key, text, content.text).await?;
        Ok(Some(SealedEdit {
            form,
            text,
            form_sha256,
        }))
    }

    /// Enters a sealed state: from the commit on it belongs to the message, whose row this locks.
    /// Returns false if it was entered before.
    ///
    /// # Errors
    /// [`Stale`](crate::db::Error::Stale) inside if the message is shredded; the database's.
    pub async fn enter_edit(&self, unit: &mut Unit, sealed: &SealedEdit) -> Result<bool, Error> {
        let now = self.0.clock.now();
        let id = sealed.form.recording;
        recordings::lock_sealed(unit, id).await?;
        let known = recordings::artefacts(unit, id).await?;
        if known
            .iter()
            .any(|known| known.artefact == sealed.form.artefact)
        {
            return Ok(false);
        }
        let rows = [sealed.form.clone(), sealed.text.clone()];
        artefacts::insert(unit, &rows, now).await?;
        let form = &sealed.form;
        unit.audit(NewEntry::edit_sealed(
            now,
            id,
            form.artefact,
            form.sealed_len,
            &sealed.form_sha256,
        ));
        let plain: u64 = rows.iter().map(|row| row.plain_len).sum();
        unit.count("recvault_sealed_bytes_total", plain);
        Ok(true)
    }
}
