//! Requests for the approval of a second person: why somebody asks is sealed under a key that dies
//! with the recording's.
//!
//! Owns these keys. Refuses to know who may ask and who may approve.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{Error, Vault};
use crate::{
    evidence::NewEntry,
    keyring::{note_key, open_note, seal_note},
    ledger::{
        approvals::{self, ApprovalRow},
        marks::Marked,
    },
    model::{
        actor::Initiator,
        artefact::Leg,
        id::{ApprovalId, RecordingId},
    },
};

impl Vault {
    /// Files a request with its justification, and writes down who makes it.
    ///
    /// # Errors
    /// [`Error::Gone`] if the recording is shredded; the ledger's. Then nothing was done.
    pub async fn file_approval(
        &self,
        by: Initiator,
        request: &ApprovalRow,
        justification: &str,
    ) -> Result<ApprovalRow, Error> {
        let vault = &*self.0;
        vault
            .unit("approval.file_approval", async |mut unit| {
                let key = vault
                    .record_key(&mut unit, request.recording, Leg::All)
                    .await?;
                let sealed = seal_note(
                    &note_key(&key, request.id),
                    vault.id,
                    justification,
                    &mut rand::rng(),
                );
                let row = ApprovalRow {
                    justification: sealed,
                    ..request.clone()
                };
                approvals::insert(&mut unit, &row).await?;
                unit.mark(Marked::Recording, &[row.recording], row.requested_at);
                let entry = NewEntry::approval_requested(
                    row.requested_at,
                    by,
                    row.recording,
                    row.id,
                    &row.purpose,
                    row.expires_at,
                );
                unit.audit(entry);
                Ok(row)
            })
            .await
    }

    /// The justifications of requests, as far as their recordings live. That they were shown to
    /// this reader is written down first.
    ///
    /// # Errors
    /// The ledger's; [`Error::Keyring`] if one is not what was sealed.
    pub async fn justifications(
        &self,
        reader: Initiator,
        requests: &[ApprovalRow],
    ) -> Result<BTreeMap<ApprovalId, Zeroizing<String>>, Error> {
        let vault = &*self.0;
        if requests.is_empty() {
            return Ok(BTreeMap::new());
        }
        let recordings: Vec<RecordingId> =
            requests.iter().map(|request| request.recording).collect();
        vault
            .unit("approval.justifications", async |mut unit| {
                let keys: BTreeMap<_, _> = vault
                    .record_keys(&mut unit, &recordings, Leg::All)
                    .await?
                    .into_iter()
                    .collect();
                let living = requests
                    .iter()
                    .filter_map(|request| Some((request, keys.get(&request.recording)?)));
                let opened = living.map(|(request, key)| {
                    Ok((
                        request.id,
                        open_note(&note_key(key, request.id), vault.id, &request.justification)?,
                    ))
                });
                let opened: BTreeMap<_, _> = opened.collect::<Result<_, Error>>()?;
                let shown = requests
                    .iter()
                    .filter(|request| opened.contains_key(&request.id));
                let now = vault.clock.now();
                let entries: Vec<_> = shown
                    .map(|shown| NewEntry::approval_shown(now, reader, shown.recording, shown.id))
                    .collect();
                unit.audit_all(entries);
                Ok(opened)
            })
            .await
    }
}
