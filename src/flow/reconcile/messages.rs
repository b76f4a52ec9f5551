//! Comparison of the messages that Twilio lists with those of the vault.
//!
//! Owns what is particular to messages: their statuses, and how one is announced without a callback.
//! Refuses to decide what a listed item needs (`step`).

use std::time::Duration;

use futures_util::future::try_join_all;

use super::{
    ReconcileFailure, Reconciliation,
    compare::Comparison,
    list::{ListWindow, Lister},
    step::{ReconcileAction, step},
};
use crate::{
    db::links,
    flow::error::Error,
    model::{
        id::RecordingId,
        media::{MediaKind, SourceRef},
        recording::Recording,
        time::Timestamp,
    },
    twilio::rest::MessageResource,
};

/// The most announcements that share a commit.
const BATCH: usize = 200;
/// Twilio calls a webhook at once, and its fallback within half a minute.
pub(super) const CALLBACK_COMES_WITHIN: Duration = Duration::from_secs(3600);

impl Reconciliation {
    /// Reads Twilio's list of messages.
    pub(super) async fn walk_messages(
        &self,
        comparison: &mut Comparison<'_>,
        window: ListWindow,
        has_sessions: bool,
    ) -> Result<(), ReconcileFailure> {
        let mut list = Lister::of(&self.twilio.client, comparison.account, window);
        while let Some(page) = list.next().await? {
            self.compare_messages(comparison, &page, has_sessions)
                .await?;
        }
        Ok(())
    }

    async fn compare_messages(
        &self,
        comparison: &mut Comparison<'_>,
        page: &[MessageResource],
        has_sessions: bool,
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account.sid();
        let vault = self.vault.id();
        let named = page.iter().filter_map(|listed| {
            let source = SourceRef::parse(account.clone(), listed.sid.as_str()).ok()?;
            Some((listed, source.recording_id(vault)))
        });
        let mut named: Vec<(&MessageResource, RecordingId)> = named.collect();
        let ids: Vec<RecordingId> = named.iter().map(|(_, id)| *id).collect();
        let mut tx = self.db.read().await.map_err(Error::from)?;
        let copies = links::copies(&mut tx, &ids).await.map_err(Error::from)?;
        drop(tx);
        // Another recording has the text.
        named.retain(|(_, id)| !copies.contains(id));
        let ids: Vec<RecordingId> = named.iter().map(|(_, id)| *id).collect();
        let known = comparison.known(&ids).await?;
        let terms = comparison.terms();
        let mut tell = Vec::new();
        let mut fetch = Vec::new();
        let mut erase = Vec::new();
        let mut files = Vec::new();
        for (listed, id) in named {
            let is_whole = |recording: &Recording| recording.is_complete_at_source();
            let is_expected = !known.of(id).recording.is_some_and(is_whole)
                && is_expected_soon(listed, has_sessions, terms.now);
            let step = match step(status(listed), known.of(id), terms) {
                ReconcileAction::Announce | ReconcileAction::Advance if is_expected => {
                    ReconcileAction::Nothing
                }
                step => step,
            };
            comparison
                .found
                .note_told_once(id, MediaKind::Message, step, listed.is_inbound());
            if known.lacks_files(id, terms) {
                files.push(id);
            }
            comparison.would(id, step);
            match step {
                ReconcileAction::Nothing | ReconcileAction::Ghost => {}
                ReconcileAction::Announce | ReconcileAction::Advance => tell.push(listed),
                ReconcileAction::Fetch => fetch.push(id),
                ReconcileAction::Erase => erase.push(id),
            }
        }
        if comparison.is_dry() {
            return Ok(());
        }
        for some in tell.chunks(BATCH) {
            let told = some
                .iter()
                .map(|listed| self.messages.announce_listed(account, listed));
            try_join_all(told).await?;
        }
        Ok(comparison.enqueue(&fetch, &files, &erase).await?)
    }
}

/// Returns whether the callback of an incoming message may still come. It has more than the list: on
/// accounts with Message Redaction it alone has the text. In an account with sessions, either
/// direction may be the one half of a text through a session whose callback comes.
fn is_expected_soon(listed: &MessageResource, has_sessions: bool, now: Timestamp) -> bool {
    (listed.is_inbound() || has_sessions)
        && listed
            .date_sent
            .is_some_and(|sent| sent.after(CALLBACK_COMES_WITHIN) > now)
}

/// Returns the status of a listed message in the terms of recordings.
fn status(listed: &MessageResource) -> &'static str {
    match listed.status.as_str() {
        complete if MediaKind::Message.is_complete(complete) => "completed",
        "canceled" => "absent",
        _ => "in-progress",
    }
}
