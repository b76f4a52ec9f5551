//! Justifications of requests for a second person's approval, each sealed under a key that is
//! destroyed with the recording's key.
//!
//! Owns these keys. Refuses to know who may request and who may approve. INVARIANT: a justification
//! is opened only in a unit that writes an audit entry about its reader.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{Vault, error::Error};
use crate::{
    db::{Tx, Unit, approvals::ApprovalRow},
    evidence::NewEntry,
    keyring::{note_key, open_note, seal_note},
    model::{
        actor::Initiator,
        artefact::Leg,
        id::{ApprovalId, RecordingId},
    },
};

impl Vault {
    /// Seals the justification of a request.
    ///
    /// # Errors
    /// [`Error::Gone`] if the recording is shredded; the database's.
    pub async fn seal_justification(
        &self,
        tx: &mut Tx,
        recording: RecordingId,
        request: ApprovalId,
        justification: &str,
    ) -> Result<Vec<u8>, Error> {
        let key = self.0.record_key(tx, recording, Leg::All).await?;
        let key = note_key(&key, request);
        Ok(seal_note(&key, self.0.id, justification, &mut rand::rng()))
    }

    /// Returns the justifications of requests whose recordings are not shredded. The unit records
    /// that this reader sees them; nothing may be shown before that unit has committed.
    ///
    /// # Errors
    /// The database's; [`Error::Keyring`] if a justification is not authentic.
    pub async fn justifications(
        &self,
        unit: &mut Unit,
        reader: Initiator,
        requests: &[ApprovalRow],
    ) -> Result<BTreeMap<ApprovalId, Zeroizing<String>>, Error> {
        let vault = &*self.0;
        let recordings: Vec<RecordingId> =
            requests.iter().map(|request| request.recording).collect();
        let keys: BTreeMap<_, _> = vault
            .record_keys(unit, &recordings, Leg::All)
            .await?
            .into_iter()
            .collect();
        let now = vault.clock.now();
        let mut opened = BTreeMap::new();
        for request in requests {
            let Some(key) = keys.get(&request.recording) else {
                continue;
            };
            let key = note_key(key, request.id);
            let text = open_note(&key, vault.id, &request.justification)?;
            opened.insert(request.id, text);
            let shown = NewEntry::approval_shown(now, reader, request.recording, request.id);
            unit.audit(shown);
        }
        Ok(opened)
    }
}
