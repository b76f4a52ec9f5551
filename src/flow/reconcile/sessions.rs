//! Comparison of the texts in the sessions of Proxy with those of the vault.
//!
//! Owns the walk through services and sessions, which Twilio lists whole. Refuses to decide what an
//! interaction needs (`step`). It comes before the comparison of messages: a message behind a text
//! of a session is a copy of that text, and no recording of its own.

use super::{
    ReconcileFailure, Reconciliation,
    compare::Comparison,
    list::Patience,
    step::{ReconcileAction, step},
};
use crate::{
    model::{id::RecordingId, media::MediaKind, sid::ProxyServiceSid, time::Timestamp},
    twilio::{
        Interaction, InteractionKind, ProxySession, RestError,
        rest::{Pages, ProxyPlace},
    },
};

impl Reconciliation {
    /// Reads what went through Twilio's sessions, if the policy in force keeps messages or calls: a
    /// call has no text, and its recording belongs to the session. Returns whether the account has
    /// sessions.
    pub(super) async fn walk_sessions(
        &self,
        comparison: &mut Comparison<'_>,
        since: Timestamp,
    ) -> Result<bool, ReconcileFailure> {
        if !self.messages.keeps() && !self.messages.keeps_calls() {
            return Ok(false);
        }
        let mut patience = Patience::default();
        let services = loop {
            let client = &self.twilio.client;
            match client.proxy_services(comparison.account).await {
                Ok(services) => break services,
                // The account does not have the product, or the credential does not open it.
                Err(error @ (RestError::NotFound | RestError::Refused { .. })) => {
                    tracing::debug!(
                        account = %comparison.account.sid(), %error,
                        "Twilio does not list the account's sessions"
                    );
                    return Ok(false);
                }
                Err(error) => patience.after(error).await?,
            }
        };
        for service in &services {
            self.walk_service(comparison, service, since).await?;
        }
        Ok(!services.is_empty())
    }

    async fn walk_service(
        &self,
        comparison: &mut Comparison<'_>,
        service: &ProxyServiceSid,
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        let client = &self.twilio.client;
        let mut sessions = client.proxy_sessions(comparison.account, service);
        while let Some(page) = self.next(comparison, &mut sessions).await? {
            let is_in = |session: &&ProxySession| session.ended_at.is_none_or(|end| end >= since);
            for session in page.iter().filter(is_in) {
                let place = ProxyPlace {
                    service,
                    session: &session.sid,
                };
                let mut interactions = client.interactions(comparison.account, place);
                while let Some(page) = self.next(comparison, &mut interactions).await? {
                    self.compare_interactions(comparison, &page, since).await?;
                }
            }
        }
        Ok(())
    }

    /// Returns the next page of a list, with retries.
    async fn next<T: serde::de::DeserializeOwned>(
        &self,
        comparison: &Comparison<'_>,
        pages: &mut Pages<T>,
    ) -> Result<Option<Vec<T>>, ReconcileFailure> {
        let mut patience = Patience::default();
        loop {
            match pages.next(&self.twilio.client, comparison.account).await {
                Ok(page) => return Ok(page.map(|page| page.items)),
                // The session was deleted meanwhile.
                Err(RestError::NotFound) => return Ok(None),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    async fn compare_interactions(
        &self,
        comparison: &mut Comparison<'_>,
        page: &[Interaction],
        since: Timestamp,
    ) -> Result<(), ReconcileFailure> {
        let account = comparison.account.sid();
        let vault = self.vault.id();
        let is_in = |listed: &&Interaction| listed.created_at.is_none_or(|at| at >= since);
        let (calls, texts): (Vec<&Interaction>, Vec<&Interaction>) = page
            .iter()
            .filter(is_in)
            .partition(|listed| listed.kind != InteractionKind::Message);
        let named: Vec<(&Interaction, RecordingId)> = texts
            .into_iter()
            .filter(|_| self.messages.keeps())
            .map(|listed| (listed, listed.source_ref(account).recording_id(vault)))
            .collect();
        let ids: Vec<RecordingId> = named.iter().map(|(_, id)| *id).collect();
        let known = comparison.known(&ids).await?;
        let terms = comparison.terms();
        let mut keep = Vec::new();
        let mut erase = Vec::new();
        let mut files = Vec::new();
        for (listed, id) in named {
            // Its text is there from the beginning.
            let step = step("completed", known.of(id), terms);
            comparison
                .found
                .note_told_once(id, MediaKind::Message, step, true);
            comparison.would(id, step);
            if known.lacks_files(id, terms) {
                files.push(id);
            }
            match step {
                ReconcileAction::Nothing | ReconcileAction::Ghost => {}
                ReconcileAction::Announce | ReconcileAction::Advance | ReconcileAction::Fetch => {
                    keep.push(listed)
                }
                ReconcileAction::Erase => erase.push(id),
            }
        }
        if comparison.is_dry() {
            return Ok(());
        }
        for listed in calls.into_iter().chain(keep) {
            let messages = &self.messages;
            messages.keep_listed_interaction(account, listed).await?;
        }
        Ok(comparison.enqueue(&[], &files, &erase).await?)
    }
}
