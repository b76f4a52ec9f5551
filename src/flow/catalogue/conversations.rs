//! Conversations in the catalogue: which there are, and what belongs to one.

use super::Catalogue;
use crate::{
    db::{
        conversations::{self, ConversationFilter, ListedConversation},
        parties,
        recordings::{self, RecordingFilter, RecordingSort},
    },
    flow::{
        error::Error,
        page::{self, Page},
    },
    model::{
        id::RecordingId,
        recording::Recording,
        sid::AccountSid,
        subject::{Conversation, Party, PartyScope},
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// A conversation with a page of its recordings.
pub struct ConversationDetails {
    /// Which.
    pub id: Conversation,
    /// Its account.
    pub account: AccountSid,
    /// When its first recording was recorded.
    pub began_at: Timestamp,
    /// When its latest recording was recorded.
    pub latest_at: Timestamp,
    /// Its participants; `None` if the caller may not list them.
    pub parties: Option<Vec<Party>>,
    /// The order of its recordings.
    pub sort: RecordingSort,
    /// A page of its recordings.
    pub recordings: Page<Recording, (Timestamp, RecordingId)>,
}

impl Catalogue {
    /// Lists conversations with recordings of the accounts that the permit covers. `limit` is 1 to
    /// 1000.
    ///
    /// # Errors
    /// Any database error.
    pub async fn conversations(
        &self,
        permit: &Permit<action::Catalogue>,
        mut filter: ConversationFilter,
        limit: u16,
    ) -> Result<Page<ListedConversation, (Timestamp, RecordingId)>, Error> {
        filter.accounts = permit.accounts().clone();
        let mut tx = self.db.read().await?;
        let rows = conversations::list(&mut tx, &filter, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, |last| last.place))
    }

    /// Returns one conversation with a page of its recordings, in this order and behind this place.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the permit covers none of its recordings.
    pub async fn conversation(
        &self,
        permit: &Permit<action::Catalogue>,
        id: Conversation,
        sort: RecordingSort,
        after: Option<(Timestamp, RecordingId)>,
        limit: u16,
    ) -> Result<ConversationDetails, Error> {
        let filter = |sort, after| RecordingFilter {
            conversation: Some(id.clone()),
            accounts: permit.accounts().clone(),
            sort,
            after,
            ..RecordingFilter::default()
        };
        let mut tx = self.db.read().await?;
        let mut end = async |sort| {
            let found = recordings::list(&mut tx, &filter(sort, None), 1).await?;
            found.into_iter().next().ok_or(Error::NotFound)
        };
        let first = end(RecordingSort::OldestRecorded).await?;
        let latest = end(RecordingSort::NewestRecorded).await?;
        let rows = recordings::list(&mut tx, &filter(sort, after), page::rows(limit)).await?;
        let only = std::slice::from_ref(&id);
        // Of the account that is shown: another one may call something else by the same id.
        let parties = if permit.also(action::Consent).is_some() {
            let scope = PartyScope::from(first.account());
            let mut named = parties::of(&mut tx, &scope, only).await?;
            Some(named.remove(&id).unwrap_or_default())
        } else {
            None
        };
        Ok(ConversationDetails {
            account: first.account().clone(),
            began_at: first.collected_at,
            latest_at: latest.collected_at,
            parties,
            sort,
            recordings: Page::cut(rows, limit, |last| sort.place(last)),
            id,
        })
    }
}
