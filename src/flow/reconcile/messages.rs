//! Comparison of the messages that Twilio lists with those of the vault.
//!
//! Owns what is particular to messages: their statuses, and how one is announced without a callback.
//! Refuses to decide what a listed item needs (`step`).

use super::{
    ReconcileFailure, Reconciliation,
    compare::Comparison,
    list::{ListWindow, Lister},
    step::{ReconcileAction, step},
};
use crate::{
    model::{
        id::RecordingId,
        media::{MediaKind, SourceRef},
        time::Timestamp,
    },
    twilio::rest::MessageResource,
};

impl Reconciliation {
    /// Reads Twilio's list of messages, if the policy in force keeps messages.
    pub(super) async fn walk_messages(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        if !self.messages.keeps() {
            return Ok(());
        }
        let window = ListWindow {
            since,
            until: None,
            with_deleted: false,
        };
        let mut list = Lister::of(&self.twilio.client, comparison.account, window);
        while let Some(page) = list.next().await? {
            self.compare_messages(comparison, &page).await?;
        }
        Ok(())
    }

    async fn compare_messages(
        &self,
        comparison: &mut Comparison<'_>,
        page: &[MessageResource],
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account.sid();
        let vault = self.vault.id();
        let named = page.iter().filter_map(|listed| {
            let source = SourceRef::parse(account.clone(), listed.sid.as_str()).ok()?;
            Some((listed, source.recording_id(vault)))
        });
        let named: Vec<(&MessageResource, RecordingId)> = named.collect();
        let ids: Vec<RecordingId> = named.iter().map(|(_, id)| *id).collect();
        let known = comparison.known(&ids).await?;
        let terms = comparison.terms();
        let mut tell = Vec::new();
        let mut fetch = Vec::new();
        let mut erase = Vec::new();
        for (listed, id) in named {
            let step = step(status(listed), known.of(id), terms);
            comparison.found.note_message(id, step);
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
        for listed in tell {
            self.messages.announce_listed(account, listed).await?;
        }
        Ok(comparison.enqueue(&fetch, &erase).await?)
    }
}

/// Returns the status of a listed message in the terms of recordings.
fn status(listed: &MessageResource) -> &'static str {
    match listed.status.as_str() {
        complete if MediaKind::Message.is_complete(complete) => "completed",
        "canceled" => "absent",
        _ => "in-progress",
    }
}
