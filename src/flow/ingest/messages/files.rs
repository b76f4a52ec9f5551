//! Files of messages: fetched one after another until there are as many as the message has.
//!
//! Owns the numbering, which is the order of the source's list, and when a message is complete.
//! Refuses to know what a file holds.

use std::{collections::BTreeSet, pin::pin, sync::Arc};

use super::chats::source::ChatSource;
use crate::{
    db::{
        self, Db, recordings, sources,
        work::{self, Lease},
    },
    flow::{error::Error, ingest::failure::FetchFailure, twilio_access::TwilioAccess},
    model::{
        artefact::Artefact,
        crash,
        id::RecordingId,
        media::MediaKind,
        recording::{Recording, RecordingState},
        sid::{ChatServiceSid, MediaSid, MessageSid},
        source::CopyKind,
    },
    twilio::{
        Account, FetchError,
        conversations::ChatMedia,
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
        // Of a message that somebody removed at the source no file is left.
        let Some(recording) = recording.filter(|recording| {
            recording.state == RecordingState::Sealed && recording.removed_at.is_none()
        }) else {
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
        let files = match recording.kind() {
            MediaKind::ChatMessage => self.files_of_chat(account, recording).await?,
            _ => self.files_of_message(account, recording).await?,
        };
        // For seconds after its arrival the list is shorter.
        if files.len() < usize::from(recording.files) {
            return Err(FetchFailure::Source(FetchError::NotYet));
        }
        for (number, file) in (0..=u8::MAX).zip(&files) {
            if !known.contains(&number) {
                self.fetch_one(account, recording, number, file).await?;
            }
        }
        Ok(())
    }

    /// Returns the messages that have the files: the message itself, or the messages behind a text
    /// through a session.
    async fn messages(&self, recording: &Recording) -> Result<Vec<MessageSid>, Error> {
        if let Ok(own) = recording.source_ref.sid().parse() {
            return Ok(vec![own]);
        }
        let copies = sources::of(&mut self.db.read().await?, recording.id).await?;
        let messages = copies.iter().filter(|copy| copy.kind == CopyKind::Message);
        Ok(messages.filter_map(|copy| copy.sid.parse().ok()).collect())
    }

    async fn files_of_message(
        &self,
        account: &Account,
        recording: &Recording,
    ) -> Result<Vec<NamedFile>, FetchFailure> {
        let sids = self.messages(recording).await.map_err(FetchFailure::Ours)?;
        let mut missing = FetchError::NotYet;
        for sid in sids {
            let list = match self.twilio.client.message_media_list(account, &sid).await {
                Ok(list) => in_order(list),
                Err(error) => {
                    missing = error.into();
                    continue;
                }
            };
            if list.len() < usize::from(recording.files) {
                continue;
            }
            let named = |file: MessageMediaResource| NamedFile {
                sid: file.sid,
                content_type: file.content_type,
                place: FilePlace::Message(sid.clone()),
            };
            return Ok(list.into_iter().map(named).collect());
        }
        Err(FetchFailure::Source(missing))
    }

    /// Returns the files of a chat message, in its own order. The media service knows them below
    /// the chat's service only.
    async fn files_of_chat(
        &self,
        account: &Account,
        recording: &Recording,
    ) -> Result<Vec<NamedFile>, FetchFailure> {
        let source = ChatSource::of(&self.twilio, &self.db);
        let message = source.message(recording).await?;
        let place = source.place(recording).await?;
        let service = match place.service.clone() {
            Some(service) => Some(service),
            None => {
                let chat = self.twilio.client.chat(account, place.chat()).await;
                let chat = chat.map_err(|error| FetchFailure::Source(error.into()))?;
                chat.service
            }
        };
        let service = service.ok_or(FetchFailure::Source(FetchError::NotYet))?;
        let named = |file: ChatMedia| NamedFile {
            sid: file.sid,
            content_type: file.content_type,
            place: FilePlace::Service(service.clone()),
        };
        Ok(message.media.into_iter().map(named).collect())
    }

    async fn fetch_one(
        &self,
        account: &Account,
        recording: &Recording,
        number: u8,
        file: &NamedFile,
    ) -> Result<(), FetchFailure> {
        let client = &self.twilio.client;
        let media = match &file.place {
            FilePlace::Message(message) => {
                client
                    .message_media(account, message, &file.sid, &file.content_type)
                    .await
            }
            FilePlace::Service(service) => {
                client.chat_media_file(account, service, &file.sid).await
            }
        };
        let media = media.map_err(FetchFailure::Source)?;
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

/// A file that the source names.
struct NamedFile {
    sid: MediaSid,
    content_type: String,
    place: FilePlace,
}

/// Where a file is.
enum FilePlace {
    /// Below its message.
    Message(MessageSid),
    /// Below the service of its chat.
    Service(ChatServiceSid),
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
