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
        audit,
        marks::{self, Marked},
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
            .unit(|| async {
                let mut tx = vault.ledger.begin().await?;
                let key = vault
                    .record_key(&mut tx, request.recording, Leg::All)
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
                approvals::insert(&mut tx, &row).await?;
                marks::set(
                    &mut tx,
                    Marked::Recording,
                    &[row.recording],
                    row.requested_at,
                )
                .await?;
                let entry = NewEntry::approval_requested(
                    row.requested_at,
                    by,
                    row.recording,
                    row.id,
                    &row.purpose,
                    row.expires_at,
                );
                audit::append(&mut tx, entry).await?;
                tx.commit().await?;
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
            .unit(|| async {
                let mut tx = vault.ledger.begin().await?;
                let keys: BTreeMap<_, _> = vault
                    .record_keys(&mut tx, &recordings, Leg::All)
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
                if !entries.is_empty() {
                    audit::append_all(&mut tx, &entries).await?;
                }
                tx.commit().await?;
                Ok(opened)
            })
            .await
    }
}
