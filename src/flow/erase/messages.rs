//! One attempt to delete a message at the source: its files, then the message.
//!
//! Owns that order, and the evidence of each step. INVARIANTS
//! - A copy is recorded before it is deleted, and counts as gone only if the source confirms it: an
//!   empty list of files, and 404 for the message after the same credential opened the account's
//!   messages.
//! - Where the deletion is refused, the text is removed first.

use super::{
    SourceDeletion,
    book::{CopyBook, CopyName},
    trouble::Trouble,
};
use crate::{
    model::{
        crash,
        recording::Recording,
        residue::{self, ResidueKind},
        sid::MessageSid,
        source::{CopyKind, SourceCopy},
        time::Timestamp,
    },
    twilio::{Account, RestError, rest::Deletion},
};

/// One attempt and its progress.
pub(super) struct MessageCopies<'a> {
    deletion: &'a SourceDeletion,
    account: &'a Account,
    sid: MessageSid,
    book: CopyBook<'a>,
    /// Whether the credential has opened the account's messages in this attempt.
    is_open: bool,
}

impl<'a> MessageCopies<'a> {
    pub(super) async fn of(
        deletion: &'a SourceDeletion,
        account: &'a Account,
        recording: &Recording,
    ) -> Result<Self, Trouble> {
        let sid = recording.source_ref.sid().parse();
        let sid = sid.map_err(|error| Trouble::Stuck(format!("it is no message: {error}")))?;
        Ok(Self {
            deletion,
            account,
            sid,
            book: CopyBook::of(deletion, recording.id).await?,
            is_open: false,
        })
    }

    /// Returns the copies that this attempt changed.
    pub(super) fn changed(&self) -> Vec<SourceCopy> {
        self.book.changed()
    }

    /// Returns when the last copy was gone.
    pub(super) fn gone_at(&self) -> Option<Timestamp> {
        self.book.gone_at()
    }

    /// Deletes every copy. On `Ok`, every copy is confirmed.
    pub(super) async fn delete(&mut self) -> Result<(), Trouble> {
        let own = self.own_name();
        if self.book.is_confirmed(&own) {
            return Ok(());
        }
        let listed = self.files().await?;
        self.book
            .enter(listed.iter().cloned().chain([own.clone()]))
            .await?;
        crash::point("erase.listed");
        self.delete_files(&listed).await?;
        self.delete_message(&own).await
    }

    /// Returns the files that the source lists.
    async fn files(&mut self) -> Result<Vec<CopyName>, Trouble> {
        let client = &self.deletion.twilio.client;
        match client.message_media_list(self.account, &self.sid).await {
            Err(RestError::NotFound) => {
                self.must_open().await?;
                Ok(Vec::new())
            }
            Ok(list) if list.unreadable > 0 => {
                Err(Trouble::NotYet("the list of its files is not readable"))
            }
            list => {
                let name = |sid: String| (CopyKind::File, sid);
                let files = list?.items.into_iter();
                Ok(files.map(|file| name(file.sid.to_string())).collect())
            }
        }
    }

    async fn delete_files(&mut self, listed: &[CopyName]) -> Result<(), Trouble> {
        const NO_SID: RestError = RestError::Shape("an id of a file is malformed");
        for name in listed {
            let sid = name.1.parse().map_err(|_| NO_SID)?;
            let client = &self.deletion.twilio.client;
            let answer = client
                .delete_message_media(self.account, &self.sid, &sid)
                .await?;
            self.believe(name, answer).await?;
            self.book.mark_deleted(name);
            crash::point("erase.deleted");
        }
        if !self.files().await?.is_empty() {
            return Err(Trouble::NotYet(
                "the source still lists a file after its deletion",
            ));
        }
        let files: Vec<CopyName> = self
            .book
            .known
            .keys()
            .filter(|name| name.0 == CopyKind::File)
            .cloned()
            .collect();
        for name in files {
            if !self.book.is_confirmed(&name) {
                self.book.mark_confirmed(&name, None);
            }
        }
        Ok(())
    }

    async fn delete_message(&mut self, own: &CopyName) -> Result<(), Trouble> {
        let client = &self.deletion.twilio.client;
        let answer = client.delete_message(self.account, &self.sid).await?;
        self.believe(own, answer).await?;
        self.book.mark_deleted(own);
        crash::point("erase.deleted");
        match client.message(self.account, &self.sid).await {
            Err(RestError::NotFound) => {
                self.must_open().await?;
                let logs = residue::stated(CopyKind::Message, ResidueKind::Logs);
                self.book.mark_confirmed(own, logs);
                Ok(())
            }
            Ok(_) => Err(Trouble::NotYet(
                "the source does not report the message as deleted yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// Converts the answer to a deletion. A resource that is gone counts as deleted if the answer
    /// can be trusted.
    async fn believe(&mut self, name: &CopyName, answer: Deletion) -> Result<(), Trouble> {
        match answer {
            Deletion::Deleted => Ok(()),
            Deletion::Gone => self.must_open().await,
            Deletion::NotYet => {
                self.redact().await;
                Err(self.book.not_deletable_yet(name))
            }
            Deletion::Refused { status, code } => {
                self.redact().await;
                Err(RestError::Refused { status, code }.into())
            }
        }
    }

    /// Removes the text where the deletion is refused: at least that goes. The copy stays known as
    /// there.
    async fn redact(&mut self) {
        let own = self.own_name();
        if self.book.is_redacted(&own) {
            return;
        }
        let client = &self.deletion.twilio.client;
        match client.redact_message(self.account, &self.sid).await {
            Ok(Deletion::Deleted) => self.book.mark_redacted(&own),
            // Mostly for the same reason.
            Ok(_) => {}
            Err(error) => tracing::warn!(
                message_sid = %self.sid, %error,
                "the text of a message could not be removed at Twilio"
            ),
        }
    }

    async fn must_open(&mut self) -> Result<(), Trouble> {
        if self.is_open {
            return Ok(());
        }
        match self
            .deletion
            .twilio
            .client
            .opens_messages(self.account)
            .await
        {
            Ok(()) => {
                self.is_open = true;
                Ok(())
            }
            Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                Err(Trouble::Stuck(format!(
                    "the credential does not open the messages of the account, so a 404 does not prove a deletion: {error}"
                )))
            }
            Err(other) => Err(other.into()),
        }
    }

    fn own_name(&self) -> CopyName {
        (CopyKind::Message, self.sid.to_string())
    }
}
