//! Files of messages: fetched one after another until there are as many as the message has.
//!
//! Owns the numbering, which is the order of the source's list, and when a message is complete.
//! Refuses to know what a file holds.

use std::{collections::BTreeSet, pin::pin, sync::Arc};

use crate::{
    db::{
        self, Db, recordings,
        work::{self, Lease},
    },
    flow::{error::Error, ingest::failure::FetchFailure, twilio_access::TwilioAccess},
    model::{
        artefact::Artefact,
        crash,
        id::RecordingId,
        recording::{Recording, RecordingState},
        sid::MessageSid,
    },
    twilio::{
        Account, FetchError,
        rest::{List, MessageMediaResource},
    },
    vault::{self, DepositError, Vault},
};

/// Fetches the files of messages.
pub(in crate::flow) struct FileFetching {
    vault: Vault,
    db: Db,
    twilio: Arc<TwilioAccess>,
}

impl FileFetching {
    pub(in crate::flow) fn new(vault: Vault, db: Db, twilio: Arc<TwilioAccess>) -> Self {
        Self { vault, db, twilio }
    }

    /// Fetches and seals the files that are missing. `Ok` when the message is complete, or gone.
    pub(in crate::flow) async fn fetch(
        &self,
        lease: &Lease<RecordingId>,
    ) -> Result<(), FetchFailure> {
        let ours = FetchFailure::Ours;
        let found = self.missing(lease.subject).await.map_err(ours)?;
        if let Some((recording, known)) = found {
            match self.fetch_all(&recording, &known).await {
                // It was shredded meanwhile.
                Err(FetchFailure::Ours(Error::Vault(
                    vault::Error::Gone | vault::Error::Db(db::Error::Stale(_)),
                ))) => {}
                fetched => fetched?,
            }
        }
        let done = self.db.unit("files.done", async |mut unit| {
            unit.without_entry("each file has an entry of its own");
            work::finish(&mut unit, lease).await
        });
        done.await.map_err(|error| ours(error.into()))
    }

    /// Returns the message and the numbers of the files that it has, if it is there and lacks some.
    async fn missing(&self, id: RecordingId) -> Result<Option<(Recording, BTreeSet<u8>)>, Error> {
        let mut tx = self.db.read().await?;
        let recording = recordings::find(&mut tx, id).await?;
        let Some(recording) =
            recording.filter(|recording| recording.state == RecordingState::Sealed)
        else {
            return Ok(None);
        };
        let sealed = recordings::artefacts(&mut tx, id).await?;
        let known: BTreeSet<u8> = sealed
            .iter()
            .filter_map(|sealed| match sealed.artefact {
                Artefact::Media(number) => Some(number),
                _ => None,
            })
            .collect();
        let lacks = known.len() < usize::from(recording.files);
        Ok(lacks.then_some((recording, known)))
    }

    async fn fetch_all(
        &self,
        recording: &Recording,
        known: &BTreeSet<u8>,
    ) -> Result<(), FetchFailure> {
        let accounts = self.twilio.accounts();
        let account = accounts
            .get(recording.account())
            .ok_or(FetchFailure::UnknownAccount)?;
        let sid: MessageSid = recording
            .source_ref
            .sid()
            .parse()
            .map_err(|_| FetchFailure::Source(FetchError::NotYet))?;
        let client = &self.twilio.client;
        let list = client.message_media_list(account, &sid).await;
        let list = list.map_err(|error| FetchFailure::Source(error.into()))?;
        let files = in_order(list);
        // For seconds after its arrival the list is shorter.
        if files.len() < usize::from(recording.files) {
            return Err(FetchFailure::Source(FetchError::NotYet));
        }
        for (number, file) in (0..=u8::MAX).zip(&files) {
            if !known.contains(&number) {
                self.fetch_one(account, recording, &sid, number, file)
                    .await?;
            }
        }
        Ok(())
    }

    async fn fetch_one(
        &self,
        account: &Account,
        recording: &Recording,
        message: &MessageSid,
        number: u8,
        file: &MessageMediaResource,
    ) -> Result<(), FetchFailure> {
        let client = &self.twilio.client;
        let media = client.message_media(account, message, &file.sid, &file.content_type);
        let media = media.await.map_err(FetchFailure::Source)?;
        let body = pin!(media.body);
        let stored = self
            .vault
            .store_file(recording.id, number, &file.content_type, body)
            .await;
        let stored = stored.map_err(|error| match error {
            DepositError::Source(error) => FetchFailure::Source(error),
            DepositError::Vault(error) => FetchFailure::Ours(error.into()),
        })?;
        crash::point("files.stored");
        let entered = self.vault.unit("files.enter", async |mut unit| {
            self.vault.enter_file(&mut unit, &stored).await
        });
        if let Err(error) = entered.await {
            if matches!(error, vault::Error::Db(db::Error::Stale(_))) {
                self.vault.delete_orphan(stored.object()).await;
            }
            return Err(FetchFailure::Ours(error.into()));
        }
        Ok(())
    }
}

/// Returns the files in an order that does not depend on the list's.
fn in_order(list: List<MessageMediaResource>) -> Vec<MessageMediaResource> {
    let mut files = list.items;
    files.sort_by(|one, other| {
        let key = |file: &MessageMediaResource| (file.date_created, file.sid.to_string());
        key(one).cmp(&key(other))
    });
    files
}
