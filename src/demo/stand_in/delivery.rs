//! The delivery of recording status callbacks to subscribers: they are queued and can be posted in
//! any order, twice, or never.

use super::{
    StandIn, State, World,
    callback::{SignedCallback, params, signed},
    new_sid,
    subscription::Subscription,
};
use crate::{
    model::sid::{AccountSid, RecordingSid},
    twilio::signature,
};

/// A queued recording status callback. It can be posted more than once, as Twilio's retries are:
/// with the same token.
#[derive(Clone, Debug)]
pub struct PendingCallback {
    /// The recording.
    pub recording: RecordingSid,
    /// The status.
    pub status: String,
    /// The destination.
    pub url: String,
    /// The form and its signature.
    pub signed: SignedCallback,
    /// The value of `I-Twilio-Idempotency-Token`.
    pub token: String,
}

impl PendingCallback {
    /// Posts it.
    pub async fn post(&self, client: &reqwest::Client) -> reqwest::Result<reqwest::Response> {
        client
            .post(&self.url)
            .header(signature::HEADER, &self.signed.signature)
            .header("I-Twilio-Idempotency-Token", &self.token)
            .header(
                reqwest::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=UTF-8",
            )
            .body(self.signed.body.clone())
            .send()
            .await
    }
}

impl StandIn {
    /// Subscribes this URL to an account's recordings. `events` are statuses separated by blanks,
    /// such as `in-progress completed absent failed`; none means `completed`, as at Twilio.
    /// Replaces the previous subscription.
    pub fn subscribe(&self, account: &AccountSid, url: &str, events: &str) {
        self.world
            .state()
            .subscriptions
            .insert(account.clone(), Subscription::new(url, events));
    }

    /// Queues a callback about a recording, if its account or the request that started it has
    /// subscribed to this status. Never for a SIP trunk.
    pub fn announce(&self, recording: &RecordingSid, status: &str) -> bool {
        self.world
            .announce(&mut self.world.state(), recording, status)
    }

    /// Posts a callback about a recording at once, if there is a subscription to this status.
    pub async fn deliver(
        &self,
        client: &reqwest::Client,
        recording: &RecordingSid,
        status: &str,
    ) -> Option<reqwest::Result<reqwest::Response>> {
        let callback = self
            .world
            .announcement(&self.world.state(), recording, status)?;
        Some(callback.post(client).await)
    }

    /// Returns the queued callbacks, in order of their creation. They stay queued.
    pub fn pending(&self) -> Vec<PendingCallback> {
        self.world.state().pending.clone()
    }

    /// Removes and returns all queued callbacks, to be posted in another order, more than once, or
    /// not at all.
    pub fn take_pending(&self) -> Vec<PendingCallback> {
        std::mem::take(&mut self.world.state().pending)
    }
}

impl World {
    pub(super) fn announce(
        &self,
        state: &mut State,
        recording: &RecordingSid,
        status: &str,
    ) -> bool {
        let callback = self.announcement(state, recording, status);
        let queued = callback.is_some();
        state.pending.extend(callback);
        queued
    }

    fn announcement(
        &self,
        state: &State,
        recording: &RecordingSid,
        status: &str,
    ) -> Option<PendingCallback> {
        let held = state
            .recordings
            .get(recording)
            .filter(|held| held.facts.source != "Trunking")?;
        let subscription = held
            .callback
            .as_ref()
            .or_else(|| state.subscriptions.get(&held.account))?;
        if !subscription.events.iter().any(|event| event == status) {
            return None;
        }
        let params = params(self, state, recording, status);
        Some(PendingCallback {
            recording: recording.clone(),
            status: status.to_owned(),
            url: subscription.url.clone(),
            signed: signed(self, &held.account, &subscription.url, &params),
            token: new_sid(""),
        })
    }
}
