//! Proxy: sessions with two participants and their interactions, over REST and as callbacks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Owned, StandIn, State, World,
    answer::{Refused, StandInAnswer},
    callback::SignedCallback,
    chat::made,
    hours::iso8601,
    page,
    request::AuthenticatedRequest,
};
use crate::model::sid::{
    AccountSid, InteractionSid, ProxyParticipantSid, ProxyServiceSid, ProxySessionSid,
};

type Answer = Result<StandInAnswer, Refused>;

/// A session.
#[derive(Clone, Debug)]
pub struct ProxySessionFacts {
    /// Its service.
    pub service: ProxyServiceSid,
    /// `open`, `in-progress`, `closed`.
    pub status: String,
    pub(super) participants: BTreeMap<ProxyParticipantSid, ProxyParticipantFacts>,
    pub(super) interactions: BTreeMap<InteractionSid, InteractionFacts>,
}

/// A participant: the person's number, and the mask.
#[derive(Clone, Debug)]
pub struct ProxyParticipantFacts {
    /// The person's number.
    pub identifier: String,
    /// The line of the account that they write to.
    pub proxy_identifier: String,
}

/// A message or call through a session.
#[derive(Clone, Debug)]
pub struct InteractionFacts {
    /// `Message` or `Voice`.
    pub kind: String,
    /// `{"body":"…"}` or `{"duration":"5"}`.
    pub data: Value,
    /// The side that wrote or called, and its message or call.
    pub inbound: (ProxyParticipantSid, String),
    /// The side that received.
    pub outbound: (ProxyParticipantSid, String),
}

impl StandIn {
    /// Begins a session.
    pub fn add_proxy_session(
        &self,
        account: &AccountSid,
        service: &ProxyServiceSid,
    ) -> ProxySessionSid {
        let facts = ProxySessionFacts {
            service: service.clone(),
            status: "in-progress".to_owned(),
            participants: BTreeMap::new(),
            interactions: BTreeMap::new(),
        };
        let sid: ProxySessionSid = made("KC");
        let owned = self.world.own(account, facts);
        self.world.state().sessions.insert(sid.clone(), owned);
        sid
    }

    /// Adds a participant.
    ///
    /// # Panics
    /// Without the session.
    pub fn add_proxy_participant(
        &self,
        session: &ProxySessionSid,
        identifier: &str,
        proxy_identifier: &str,
    ) -> ProxyParticipantSid {
        let sid: ProxyParticipantSid = made("KP");
        let facts = ProxyParticipantFacts {
            identifier: identifier.to_owned(),
            proxy_identifier: proxy_identifier.to_owned(),
        };
        let mut state = self.world.state();
        let owned = state
            .sessions
            .get_mut(session)
            .expect("the session was added");
        owned.facts.participants.insert(sid.clone(), facts);
        sid
    }

    /// Adds an interaction.
    ///
    /// # Panics
    /// Without the session.
    pub fn add_interaction(
        &self,
        session: &ProxySessionSid,
        facts: InteractionFacts,
    ) -> InteractionSid {
        let sid: InteractionSid = made("KI");
        let mut state = self.world.state();
        let owned = state
            .sessions
            .get_mut(session)
            .expect("the session was added");
        owned.facts.interactions.insert(sid.clone(), facts);
        sid
    }

    /// Changes the status of a session.
    ///
    /// # Panics
    /// Without the session.
    pub fn set_session_status(&self, session: &ProxySessionSid, status: &str) {
        let mut state = self.world.state();
        let owned = state.sessions.get_mut(session);
        let owned = owned.expect("the session was added");
        status.clone_into(&mut owned.facts.status);
    }

    /// Signs the callback of an interaction.
    ///
    /// # Panics
    /// Without the session or the interaction, or as [`Self::callback`].
    pub fn interaction_callback(
        &self,
        session: &ProxySessionSid,
        sid: &InteractionSid,
        url: &str,
    ) -> SignedCallback {
        let state = self.world.state();
        let owned = state.sessions.get(session).expect("the session was added");
        let facts = owned
            .facts
            .interactions
            .get(sid)
            .expect("the interaction was added");
        let account = owned.account.clone();
        let resource = if facts.kind == "Voice" {
            "call"
        } else {
            "message"
        };
        let params = [
            ("interactionAccountSid", account.to_string()),
            ("interactionServiceSid", owned.facts.service.to_string()),
            ("interactionSessionSid", session.to_string()),
            ("interactionSid", sid.to_string()),
            ("interactionType", facts.kind.clone()),
            ("interactionData", facts.data.to_string()),
            ("interactionNumMedia", "0".to_owned()),
            ("interactionDateCreated", iso8601(owned.created)),
            ("inboundParticipantSid", facts.inbound.0.to_string()),
            ("inboundResourceSid", facts.inbound.1.clone()),
            ("inboundResourceType", resource.to_owned()),
            ("inboundResourceStatus", "received".to_owned()),
            ("outboundParticipantSid", facts.outbound.0.to_string()),
            ("outboundResourceSid", facts.outbound.1.clone()),
            ("outboundResourceType", resource.to_owned()),
            ("outboundResourceStatus", "sent".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        drop(state);
        self.callback(&account, url, &params)
    }

    /// Returns the interactions that a session still has; `None` without the session.
    pub fn remaining_session(&self, session: &ProxySessionSid) -> Option<Vec<InteractionSid>> {
        let state = self.world.state();
        let owned = state.sessions.get(session)?;
        Some(owned.facts.interactions.keys().cloned().collect())
    }
}

fn find<'a>(
    state: &'a mut State,
    asked: &AuthenticatedRequest,
) -> Result<(ProxySessionSid, &'a mut Owned<ProxySessionFacts>), Refused> {
    let sid: ProxySessionSid = asked.ask.id(1).parse().map_err(|_| Refused::not_found())?;
    let owned = state
        .sessions
        .get_mut(&sid)
        .ok_or_else(Refused::not_found)?;
    let is_here = owned.facts.service.as_str() == asked.ask.id(0);
    if owned.account == asked.account && is_here {
        Ok((sid, owned))
    } else {
        Err(Refused::not_found())
    }
}

fn url(asked: &AuthenticatedRequest) -> String {
    format!("{}{}", asked.origin, asked.path)
}

/// `GET /v1/Services`.
pub(super) fn services(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let state = world.state();
    let own = state
        .sessions
        .values()
        .filter(|owned| owned.account == asked.account);
    let mut services: Vec<String> = own.map(|owned| owned.facts.service.to_string()).collect();
    services.sort();
    services.dedup();
    let items = services.into_iter().map(|sid| (sid.clone(), sid)).collect();
    page::of_v2(
        items,
        "services",
        &url(asked),
        &asked.query,
        100,
        |sid| json!({ "sid": sid, "account_sid": asked.account }),
    )
}

pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let state = world.state();
    let own = state.sessions.iter().filter(|(_, owned)| {
        owned.account == asked.account && owned.facts.service.as_str() == asked.ask.id(0)
    });
    let items = own
        .map(|(sid, owned)| (sid.to_string(), (sid, owned)))
        .collect();
    page::of_v2(
        items,
        "sessions",
        &url(asked),
        &asked.query,
        100,
        |(sid, owned)| session(sid, owned),
    )
}

pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (sid, owned) = find(&mut state, asked)?;
    Ok(StandInAnswer::ok(session(&sid, owned)))
}

pub(super) fn delete(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (sid, _) = find(&mut state, asked)?;
    state.sessions.remove(&sid);
    Ok(StandInAnswer::Empty)
}

pub(super) fn participants(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (session, owned) = find(&mut state, asked)?;
    let participants = owned.facts.participants.iter();
    let items = participants
        .map(|(sid, facts)| (sid.to_string(), (sid, facts)))
        .collect();
    page::of_v2(
        items,
        "participants",
        &url(asked),
        &asked.query,
        100,
        |(sid, facts)| {
            json!({
                "account_sid": owned.account,
                "session_sid": session,
                "sid": sid,
                "identifier": facts.identifier,
                "proxy_identifier": facts.proxy_identifier,
                "friendly_name": null,
                "date_deleted": null,
            })
        },
    )
}

/// Twilio's schema has 200 beside 204.
pub(super) fn delete_participant(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (_, owned) = find(&mut state, asked)?;
    let sid: ProxyParticipantSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    owned
        .facts
        .participants
        .remove(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(json!({})))
}

pub(super) fn interactions(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (session, owned) = find(&mut state, asked)?;
    let interactions = owned.facts.interactions.iter();
    let items = interactions
        .map(|(sid, facts)| (sid.to_string(), (sid, facts)))
        .collect();
    page::of_v2(
        items,
        "interactions",
        &url(asked),
        &asked.query,
        100,
        |(sid, facts)| interaction(&session, owned, sid, facts),
    )
}

pub(super) fn fetch_interaction(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (session, owned) = find(&mut state, asked)?;
    let sid: InteractionSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let facts = owned
        .facts
        .interactions
        .get(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(interaction(&session, owned, &sid, facts)))
}

/// The messages or calls behind it stay.
pub(super) fn delete_interaction(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (_, owned) = find(&mut state, asked)?;
    let sid: InteractionSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    owned
        .facts
        .interactions
        .remove(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::Empty)
}

fn session(sid: &ProxySessionSid, owned: &Owned<ProxySessionFacts>) -> Value {
    json!({
        "account_sid": owned.account,
        "service_sid": owned.facts.service,
        "sid": sid,
        "status": owned.facts.status,
        "mode": "voice-and-message",
        "closed_reason": null,
        "unique_name": null,
        "date_created": iso8601(owned.created),
        "date_ended": null,
    })
}

fn interaction(
    session: &ProxySessionSid,
    owned: &Owned<ProxySessionFacts>,
    sid: &InteractionSid,
    facts: &InteractionFacts,
) -> Value {
    json!({
        "account_sid": owned.account,
        "service_sid": owned.facts.service,
        "session_sid": session,
        "sid": sid,
        "type": facts.kind.to_lowercase(),
        "data": facts.data.to_string(),
        "inbound_participant_sid": facts.inbound.0,
        "inbound_resource_sid": facts.inbound.1,
        "outbound_participant_sid": facts.outbound.0,
        "outbound_resource_sid": facts.outbound.1,
        "date_created": iso8601(owned.created),
        "date_updated": iso8601(owned.created),
    })
}
