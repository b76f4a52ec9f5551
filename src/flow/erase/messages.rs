//! One attempt to delete a message at the source: its files, then the message; of a text through a
//! session of Proxy, both messages behind it, then the interaction, then the session if it is over
//! and empty.
//!
//! Owns that order, and the evidence of each step. INVARIANTS
//! - A copy is recorded before it is deleted, and counts as gone only if the source confirms it: an
//!   empty list of files, and 404 for the rest after the same credential opened the same product of
//!   the account.
//! - Where the deletion is refused, the text is removed first.
//! - A session goes only if nothing of it is left, at the source and in the vault.
//! - A message behind a text that is a recording of its own stays while the vault keeps that one.

mod call;
mod session;

use std::collections::BTreeSet;

use super::{
    SourceDeletion,
    book::{CopyBook, CopyName},
    trouble::Trouble,
};
use crate::{
    model::{
        crash,
        media::Product,
        recording::Recording,
        residue::{self, ResidueKind},
        sid::{InteractionSid, MessageSid, ProxyServiceSid, ProxySessionSid},
        source::{CopyKind, CopyState, SourceCopy},
        subject::Conversation,
        time::Timestamp,
    },
    twilio::{Account, RestError, rest::Deletion},
};

const NO_SID: RestError = RestError::Shape("an id of a copy is malformed");

/// One attempt and its progress.
pub(super) struct MessageCopies<'a> {
    deletion: &'a SourceDeletion,
    account: &'a Account,
    recording: &'a Recording,
    /// The message; of a text through a session, the messages behind it.
    legs: BTreeSet<MessageSid>,
    /// The text's place in a session.
    interaction: Option<InteractionPlace>,
    /// How many of the messages stay, because they are recordings of their own.
    spared: usize,
    book: CopyBook<'a>,
    /// The products that the credential has opened in this attempt.
    open: BTreeSet<Product>,
}

/// An interaction and its session.
struct InteractionPlace {
    sid: InteractionSid,
    session: ProxySessionSid,
    /// The service; `None` if the source has no such session any more.
    service: Option<ProxyServiceSid>,
}

impl<'a> MessageCopies<'a> {
    pub(super) async fn of(
        deletion: &'a SourceDeletion,
        account: &'a Account,
        recording: &'a Recording,
    ) -> Result<Self, Trouble> {
        let book = CopyBook::of(deletion, recording.id).await?;
        let sid = recording.source_ref.sid();
        let no_message = || Trouble::Stuck(format!("`{sid}` is no message"));
        let (legs, interaction) = if recording.source_ref.product() == Product::Proxy {
            let Some(Conversation::Session(session)) = recording.thread.clone() else {
                return Err(no_message());
            };
            let place = InteractionPlace {
                sid: sid.parse().map_err(|_| no_message())?,
                session,
                service: None,
            };
            (BTreeSet::new(), Some(place))
        } else {
            let own = sid.parse().map_err(|_| no_message())?;
            (BTreeSet::from([own]), None)
        };
        Ok(Self {
            deletion,
            account,
            recording,
            legs,
            interaction,
            spared: 0,
            book,
            open: BTreeSet::new(),
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
        if self.is_settled() {
            return Ok(());
        }
        self.find_legs().await?;
        let kept = self.spare_kept().await?;
        let files = self.files().await?;
        let legs = self.legs.iter().map(message_name).chain(kept.clone());
        let names = files.iter().map(|(_, name)| name.clone()).chain(legs);
        self.book.enter(names.chain([self.own_name()])).await?;
        crash::point("erase.listed");
        self.delete_files(&files).await?;
        if !kept.is_empty() {
            // Which of the files that are known from before are theirs is not known.
            let files = self.book.open(CopyKind::File);
            kept.iter()
                .chain(&files)
                .for_each(|name| self.book.mark_kept(name));
        }
        for leg in self.legs.clone() {
            self.delete_message(&leg).await?;
        }
        if self.interaction.is_some() {
            self.delete_interaction().await?;
            self.delete_session_if_over().await?;
        }
        Ok(())
    }

    /// Returns whether nothing is left that was found before.
    fn is_settled(&self) -> bool {
        let mut known = self.book.known.values();
        self.book.is_confirmed(&self.own_name())
            && known.all(|copy| copy.state == CopyState::Confirmed)
    }

    /// Returns the files that the source lists, with their messages.
    async fn files(&mut self) -> Result<Vec<(MessageSid, CopyName)>, Trouble> {
        let mut files = Vec::new();
        for leg in self.legs.clone() {
            let client = &self.deletion.twilio.client;
            match client.message_media_list(self.account, &leg).await {
                Err(RestError::NotFound) => self.must_open(Product::Messaging).await?,
                Ok(list) if list.unreadable > 0 => {
                    return Err(Trouble::NotYet("the list of its files is not readable"));
                }
                list => {
                    let listed = list?.items.into_iter();
                    let name = |sid: String| (leg.clone(), (CopyKind::File, sid));
                    files.extend(listed.map(|file| name(file.sid.to_string())));
                }
            }
        }
        Ok(files)
    }

    async fn delete_files(&mut self, listed: &[(MessageSid, CopyName)]) -> Result<(), Trouble> {
        for (leg, name) in listed {
            let sid = name.1.parse().map_err(|_| NO_SID)?;
            let client = &self.deletion.twilio.client;
            let answer = client.delete_message_media(self.account, leg, &sid).await?;
            self.believe_of_message(leg, name, answer).await?;
            self.book.mark_deleted(name);
            crash::point("erase.deleted");
        }
        if !self.files().await?.is_empty() {
            return Err(Trouble::NotYet(
                "the source still lists a file after its deletion",
            ));
        }
        let is_deleted = |name: &CopyName| listed.iter().any(|(_, file)| file == name);
        let all = self.spared == 0;
        for name in self.book.open(CopyKind::File) {
            if all || is_deleted(&name) {
                self.book.mark_confirmed(&name, None);
            }
        }
        Ok(())
    }

    /// Leaves out the messages behind a text that are recordings of their own which the vault keeps.
    /// Returns them.
    async fn spare_kept(&mut self) -> Result<Vec<CopyName>, Trouble> {
        let mut kept = Vec::new();
        if self.interaction.is_some() {
            for leg in self.legs.clone() {
                if self
                    .deletion
                    .keeps_itself(self.account, leg.as_str())
                    .await?
                {
                    self.legs.remove(&leg);
                    kept.push(message_name(&leg));
                }
            }
        }
        self.spared = kept.len();
        Ok(kept)
    }

    async fn delete_message(&mut self, sid: &MessageSid) -> Result<(), Trouble> {
        let name = message_name(sid);
        if self.book.is_confirmed(&name) {
            return Ok(());
        }
        let client = &self.deletion.twilio.client;
        let answer = client.delete_message(self.account, sid).await?;
        self.believe_of_message(sid, &name, answer).await?;
        self.book.mark_deleted(&name);
        crash::point("erase.deleted");
        match client.message(self.account, sid).await {
            Err(RestError::NotFound) => {
                self.must_open(Product::Messaging).await?;
                let logs = residue::stated(CopyKind::Message, ResidueKind::Logs);
                self.book.mark_confirmed(&name, logs);
                Ok(())
            }
            Ok(_) => Err(Trouble::NotYet(
                "the source does not report the message as deleted yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// As [`Self::believe`], for a message or a file of it: where the deletion is refused, the text
    /// is removed.
    async fn believe_of_message(
        &mut self,
        message: &MessageSid,
        name: &CopyName,
        answer: Deletion,
    ) -> Result<(), Trouble> {
        if matches!(answer, Deletion::NotYet | Deletion::Refused { .. }) {
            self.redact(message).await;
        }
        self.believe(Product::Messaging, name, answer).await
    }

    /// Converts the answer to a deletion. A resource that is gone counts as deleted if the answer
    /// can be trusted.
    async fn believe(
        &mut self,
        product: Product,
        name: &CopyName,
        answer: Deletion,
    ) -> Result<(), Trouble> {
        match answer {
            Deletion::Deleted => Ok(()),
            Deletion::Gone => self.must_open(product).await,
            Deletion::NotYet => Err(self.book.not_deletable_yet(name)),
            Deletion::Refused { status, code } => Err(RestError::Refused { status, code }.into()),
        }
    }

    /// Removes the text where the deletion is refused: at least that goes. The copy stays known as
    /// there.
    async fn redact(&mut self, sid: &MessageSid) {
        let name = message_name(sid);
        if self.book.is_redacted(&name) {
            return;
        }
        let client = &self.deletion.twilio.client;
        match client.redact_message(self.account, sid).await {
            Ok(Deletion::Deleted) => self.book.mark_redacted(&name),
            // Mostly for the same reason.
            Ok(_) => {}
            Err(error) => tracing::warn!(
                message_sid = %sid, %error,
                "the text of a message could not be removed at Twilio"
            ),
        }
    }

    async fn must_open(&mut self, product: Product) -> Result<(), Trouble> {
        if self.open.contains(&product) {
            return Ok(());
        }
        let client = &self.deletion.twilio.client;
        let (opened, what) = if product == Product::Proxy {
            (client.opens_proxy(self.account).await, "Proxy services")
        } else {
            (client.opens_messages(self.account).await, "messages")
        };
        match opened {
            Ok(()) => {
                self.open.insert(product);
                Ok(())
            }
            Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                Err(Trouble::Stuck(format!(
                    "the credential does not open the {what} of the account, so a 404 does not prove a deletion: {error}"
                )))
            }
            Err(other) => Err(other.into()),
        }
    }

    fn own_name(&self) -> CopyName {
        match &self.interaction {
            Some(place) => (CopyKind::Interaction, place.sid.to_string()),
            None => (
                CopyKind::Message,
                self.recording.source_ref.sid().to_owned(),
            ),
        }
    }
}

fn message_name(sid: &MessageSid) -> CopyName {
    (CopyKind::Message, sid.to_string())
}
