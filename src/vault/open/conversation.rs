//! Opening many texts of one conversation: one unit releases all their keys, and counts as one
//! opening.
//!
//! Owns that unit: an entry for the conversation, and one for each text. INVARIANT: no text leaves
//! whose entry is not durable.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Inner, Vault, error::Error};
use crate::{
    db::{
        self, Unit, approvals, budgets, details,
        grants::{self, GrantRow},
        recordings::SealedArtefact,
    },
    evidence::NewEntry,
    model::{
        artefact::{Artefact, Leg},
        details::Participants,
        grant_object::GrantObject,
        id::{ApprovalId, GrantId, RecordingId},
        subject::Conversation,
    },
    policy::Grant,
    secret::{Key, SecretBuffer},
};

/// A text that may be opened.
pub struct TextOpening<'a> {
    /// The decision about its recording.
    pub grant: &'a Grant,
    /// The sealed text.
    pub sealed: &'a SealedArtefact,
    /// Whether the recording's participants are opened with it.
    pub with_parties: bool,
}

/// A text, opened.
pub struct OpenedText {
    /// The transcript, as JSON.
    pub json: SecretBuffer,
    /// The participants, if they were asked for and are known.
    pub parties: Option<Participants>,
}

/// What is to be recorded of a page of a conversation, besides what is opened.
pub struct ConversationPage<'a> {
    /// The grant over it.
    pub grant: GrantId,
    /// The conversation.
    pub conversation: &'a Conversation,
    /// How many of its messages are not given.
    pub withheld: usize,
    /// The refusals of these.
    pub refusals: &'a [NewEntry],
}

/// What the unit released for one text.
struct Released {
    key: Key,
    parties: Option<Participants>,
}

impl Vault {
    /// Opens texts of a conversation under one grant. When this returns, the audit entries are
    /// durable. They are one opening for the budget, whatever their number, and so is every later
    /// page on the same day. The result has the order of `texts`; [`Error::Gone`] inside for a text
    /// whose key is destroyed by now, or whose approval does not stand any more.
    ///
    /// # Errors
    /// [`Error::GrantEnded`]; [`Error::BudgetSpent`]; the database's.
    pub async fn open_conversation(
        &self,
        page: &ConversationPage<'_>,
        texts: &[TextOpening<'_>],
    ) -> Result<Vec<Result<OpenedText, Error>>, Error> {
        let vault = &*self.0;
        let released = vault
            .unit("open.conversation", async |mut unit| {
                vault.release_all(&mut unit, page, texts).await
            })
            .await?;
        let mut opened = Vec::with_capacity(texts.len());
        for (text, released) in texts.iter().zip(released) {
            opened.push(match released {
                Some(released) => self.open_text(text, released).await,
                None => Err(Error::Gone),
            });
        }
        Ok(opened)
    }

    /// Reads texts for what they decide about other texts: where a redaction begins and ends. None of
    /// them is shown, so this is no opening. The result has the order of `texts`; `None` for one that
    /// nobody can read any more.
    ///
    /// # Errors
    /// The store's, the database's: what cannot be read now must not look like nothing.
    pub async fn read_context(
        &self,
        texts: &[SealedArtefact],
    ) -> Result<Vec<Option<SecretBuffer>>, Error> {
        let vault = &*self.0;
        let ids: Vec<RecordingId> = texts.iter().map(|sealed| sealed.recording).collect();
        let keys = vault
            .with_root(async || {
                vault
                    .record_keys(&mut vault.db.read().await?, &ids, Leg::All)
                    .await
            })
            .await?;
        let keys: BTreeMap<RecordingId, Key> = keys.into_iter().collect();
        let mut read = Vec::with_capacity(texts.len());
        for sealed in texts {
            let text = match keys.get(&sealed.recording) {
                Some(key) => self.read_text(sealed.recording, key, sealed).await,
                None => Err(Error::Gone),
            };
            read.push(match text {
                Ok(text) => Some(text),
                Err(Error::Gone | Error::CiphertextMissing(_)) => None,
                Err(error) => return Err(error),
            });
        }
        Ok(read)
    }

    async fn read_text(
        &self,
        recording: RecordingId,
        key: &Key,
        sealed: &SealedArtefact,
    ) -> Result<SecretBuffer, Error> {
        let mut json =
            SecretBuffer::with_capacity(usize::try_from(sealed.plain_len).unwrap_or_default());
        let read = self.read_object_back(recording, key, sealed, |piece| {
            json.extend_from_slice(piece);
        });
        let read = read.await;
        self.0.found(read, recording).await?;
        Ok(json)
    }

    async fn open_text(
        &self,
        text: &TextOpening<'_>,
        released: Released,
    ) -> Result<OpenedText, Error> {
        let recording = text.grant.recording();
        let json = self.read_text(recording, &released.key, text.sealed);
        Ok(OpenedText {
            json: json.await?,
            parties: released.parties,
        })
    }
}

impl Inner {
    /// Reads the keys and writes the entries in one unit.
    async fn release_all(
        &self,
        unit: &mut Unit,
        page: &ConversationPage<'_>,
        texts: &[TextOpening<'_>],
    ) -> Result<Vec<Option<Released>>, Error> {
        let now = self.clock.now();
        let row = self.living_grant(unit, page.grant).await?;
        let approved = rest_on_approvals(unit, page.grant, texts).await?;
        let ids: Vec<RecordingId> = texts.iter().map(|text| text.grant.recording()).collect();
        let keys = self.record_keys(unit, &ids, Leg::All).await?;
        let mut keys: BTreeMap<RecordingId, Key> = keys.into_iter().collect();
        let with_parties: Vec<RecordingId> = texts
            .iter()
            .filter(|text| text.with_parties)
            .map(|text| text.grant.recording())
            .collect();
        let mut parties = details::find(unit, &with_parties).await?;
        let mut released = Vec::with_capacity(texts.len());
        let mut entries = Vec::with_capacity(2 * texts.len());
        let mut last = None;
        for text in texts {
            let grant = text.grant;
            let is_approved = grant.approval().is_none_or(|by| approved.contains(&by));
            let key = keys.remove(&grant.recording()).filter(|_| is_approved);
            let Some(key) = key else {
                released.push(None);
                continue;
            };
            let parties = parties
                .remove(&grant.recording())
                .map(|sealed| self.open_sealed(grant.recording(), &key, &sealed))
                .transpose()?;
            let mut enter = |artefact, len| {
                entries.push(
                    NewEntry::opening_started(now, grant, page.grant, artefact, &(0..len))
                        .in_conversation(page.conversation, grant.purpose()),
                );
            };
            enter(Artefact::Transcript, text.sealed.plain_len);
            if let Some(parties) = &parties {
                enter(Artefact::Parties, parties.to_json().len() as u64);
            }
            released.push(Some(Released { key, parties }));
            last = Some(grant);
        }
        if let Some(grant) = last {
            if row.opened_at.is_none() {
                grants::open(unit, page.grant, now).await?;
            }
            self.spend_conversation(unit, page, texts).await?;
            let opened = released.iter().flatten().count();
            unit.audit(NewEntry::conversation_opened(
                now,
                grant,
                page.grant,
                page.conversation,
                (opened, page.withheld + (texts.len() - opened)),
            ));
        }
        unit.audit_all(entries);
        unit.audit_all(page.refusals.iter().cloned());
        if last.is_none() && page.refusals.is_empty() {
            unit.abandon();
        }
        Ok(released)
    }

    /// Returns the grant's row, if the grant has not ended.
    pub(super) async fn living_grant(
        &self,
        unit: &mut Unit,
        id: GrantId,
    ) -> Result<GrantRow, Error> {
        grants::find_by_id(unit, id)
            .await?
            .filter(|row| row.ended_at.is_none())
            .ok_or(Error::GrantEnded)
    }

    /// Counts the conversation against the day's budget. Of the versions that bind its messages, the
    /// strictest counts.
    async fn spend_conversation(
        &self,
        unit: &mut Unit,
        page: &ConversationPage<'_>,
        texts: &[TextOpening<'_>],
    ) -> Result<(), Error> {
        let Some(any) = texts.first().map(|text| text.grant) else {
            return Ok(());
        };
        let budget = texts.iter().filter_map(|text| text.grant.budget()).min();
        let object = GrantObject::Conversation(page.conversation.clone());
        let now = self.clock.now();
        let (principal, purpose) = (any.principal(), any.purpose());
        let counts = budgets::spend(unit, principal, purpose, &object, budget, now);
        let is_counted = counts.await?;
        // It may have been counted before, for messages with a larger budget.
        let used = budgets::used(unit, principal, purpose, now).await?;
        if is_counted && budget.is_none_or(|budget| used <= budget) {
            Ok(())
        } else {
            Err(Error::BudgetSpent)
        }
    }
}

/// Makes the grant rest on the approvals of these texts. Returns those that stand.
async fn rest_on_approvals(
    unit: &mut Unit,
    grant: GrantId,
    texts: &[TextOpening<'_>],
) -> Result<BTreeSet<ApprovalId>, Error> {
    let wanted: BTreeSet<ApprovalId> = texts
        .iter()
        .filter_map(|text| text.grant.approval())
        .collect();
    let mut standing = BTreeSet::new();
    for approval in wanted {
        match approvals::lock_approved(unit, approval).await {
            Ok(()) => {
                standing.insert(approval);
            }
            Err(db::Error::Stale(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    grants::rest_on_each(unit, grant, &standing).await?;
    Ok(standing)
}
