//! Ingest: a callback is accepted, its media fetched, sealed and stored.

mod arriving;
pub(super) mod failure;
pub(super) mod fetched;
pub(super) mod fetching;
mod film;
pub(super) mod keep;
pub(super) mod messages;
pub(super) mod parties;
pub(super) mod sessions;
mod source;
pub(super) mod videos;

use std::sync::Arc;

use self::parties::PartyLookup;
use super::{error::Error, wakeups::Wakeups};
use crate::{
    db::accept::{Acceptor, Announcement},
    model::recording::DiscoveredBy,
    policy::{self, Rulebook},
    twilio::{CallbackParties, RecordingCallback},
    vault::Vault,
};

/// The entry point for the source's announcements of recordings.
pub struct Ingest {
    vault: Vault,
    rulebook: Arc<Rulebook>,
    acceptor: Acceptor,
    wakeups: Wakeups,
    lookup: Arc<PartyLookup>,
}

impl Ingest {
    pub(in crate::flow) fn new(
        vault: Vault,
        rulebook: Arc<Rulebook>,
        acceptor: Acceptor,
        wakeups: Wakeups,
        lookup: Arc<PartyLookup>,
    ) -> Self {
        Self {
            vault,
            rulebook,
            acceptor,
            wakeups,
            lookup,
        }
    }

    /// Makes a verified callback durable. When this returns, the recording is announced and its
    /// fetch is enqueued, or both were before. The callback's parties are named first, so that the
    /// fetch knows them; if that fails, they are looked up later.
    ///
    /// # Errors
    /// [`crate::db::Error::Unavailable`] inside: it is not durable, and the source should send it
    /// again.
    pub async fn accept(
        &self,
        callback: RecordingCallback,
        parties: Option<CallbackParties>,
    ) -> Result<(), Error> {
        let account = callback.source_ref.account();
        self.lookup.name_told(account, parties).await;
        self.announce(callback, DiscoveredBy::Callback).await?;
        Ok(())
    }

    /// Makes the facts about a recording durable, however it was discovered. Repeated calls change
    /// nothing.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub(super) async fn announce(
        &self,
        callback: RecordingCallback,
        heard_by: DiscoveredBy,
    ) -> Result<(), Error> {
        let rules = self.rulebook.current();
        let tier = rules.classify(&policy::ClassificationFacts {
            account: callback.source_ref.account(),
            source: callback.source.as_deref(),
            conference: callback.conference.is_some(),
            parameters: &callback.query,
        });
        let labels = rules.labels(&callback.query);
        for (label, why) in rules.labels_left_out(&callback.query) {
            metrics::counter!("recvault_labels_left_out_total").increment(1);
            tracing::warn!(
                recording_sid = callback.source_ref.sid(), %label, %why,
                "a label in a callback is invalid and left out"
            );
        }
        let is_complete = callback.status == "completed";
        let announcement = Announcement {
            id: callback.source_ref.recording_id(self.vault.id()),
            source_ref: callback.source_ref,
            tier: tier.clone(),
            policy_version: rules.version().to_owned(),
            policy_digest: rules.digest().to_owned(),
            call: callback.call,
            conference: callback.conference,
            thread: None,
            author: None,
            files: 0,
            source: callback.source,
            source_status: callback.status,
            error_code: callback.error_code,
            duration_s: callback.duration_s,
            channels: callback.channels,
            started_at: callback
                .started_at
                .map(crate::model::time::Timestamp::as_millis),
            labels,
            heard_by,
            encryption: callback.encryption,
        };
        self.acceptor.accept(announcement).await?;
        if is_complete {
            self.wakeups.work.notify_one();
        }
        Ok(())
    }
}
