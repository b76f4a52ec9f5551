//! The Conferences resource and its participants.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    page,
    request::AuthenticatedRequest,
    route::Below,
};
use crate::model::sid::{AccountSid, CallSid, ConferenceSid};

/// The facts of a conference.
#[derive(Clone, Debug)]
pub struct ConferenceFacts {
    /// `CF…`.
    pub sid: ConferenceSid,
    /// Its name in TwiML.
    pub friendly_name: String,
    /// `init`, `in-progress`, `completed`.
    pub status: String,
}

impl ConferenceFacts {
    /// Creates a conference in progress.
    pub fn new(sid: ConferenceSid, friendly_name: impl Into<String>) -> Self {
        Self {
            sid,
            friendly_name: friendly_name.into(),
            status: "in-progress".to_owned(),
        }
    }
}

/// A participant of a conference.
#[derive(Clone, Debug)]
pub struct ParticipantFacts {
    /// The participant's call.
    pub call: CallSid,
    /// The label that the application gave the participant.
    pub label: Option<String>,
    /// `queued`, `connecting`, `ringing`, `connected`, `complete`, `failed`.
    pub status: String,
    /// Whether the conference begins when the participant enters.
    pub start_conference_on_enter: bool,
    /// Whether the conference ends when the participant leaves.
    pub end_conference_on_exit: bool,
    /// Whether the participant is muted.
    pub muted: bool,
}

impl ParticipantFacts {
    /// Creates a connected participant without a label.
    pub fn new(call: CallSid) -> Self {
        Self {
            call,
            label: None,
            status: "connected".to_owned(),
            start_conference_on_enter: true,
            end_conference_on_exit: false,
            muted: false,
        }
    }
}

impl StandIn {
    /// Adds a conference, replacing one with this SID.
    pub fn add_conference(&self, account: &AccountSid, facts: ConferenceFacts) {
        let owned = self.world.own(account, facts);
        self.world
            .state()
            .conferences
            .insert(owned.facts.sid.clone(), owned);
    }

    /// Adds a participant to a conference. The participant's call must be added too.
    pub fn add_participant(&self, conference: &ConferenceSid, facts: ParticipantFacts) {
        self.world
            .state()
            .participants
            .push((conference.clone(), facts));
    }

    /// Changes the status of a conference. The participants of a `completed` one are no longer
    /// listed, unless [`super::Behaviour::ended_conference_lists_participants`].
    pub fn set_conference_status(&self, conference: &ConferenceSid, status: &str) {
        if let Some(owned) = self.world.state().conferences.get_mut(conference) {
            status.clone_into(&mut owned.facts.status);
        }
    }
}

/// `GET …/Conferences/{CF}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let sid: ConferenceSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let state = world.state();
    let owned = state
        .conferences
        .get(&sid)
        .filter(|owned| owned.account == asked.account);
    owned
        .map(|owned| StandInAnswer::ok(resource(owned)))
        .ok_or_else(Refused::not_found)
}

/// `GET …/Conferences/{CF}/Participants.json`.
pub(super) fn participants(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let Below::Conference(sid) = &asked.ask.below else {
        return Err(Refused::not_found());
    };
    let sid: ConferenceSid = sid.parse().map_err(|_| Refused::not_found())?;
    let state = world.state();
    let owned = state
        .conferences
        .get(&sid)
        .filter(|owned| owned.account == asked.account)
        .ok_or_else(Refused::not_found)?;
    let lists =
        owned.facts.status != "completed" || state.behaviour.ended_conference_lists_participants;
    let inside = state
        .participants
        .iter()
        .filter(|(conference, _)| lists && *conference == sid);
    let items = inside
        .map(|(_, facts)| (facts.call.to_string(), facts))
        .collect();
    page::of_2010(items, "participants", &asked.path, &asked.query, |facts| {
        participant(owned, facts)
    })
}

fn uri(owned: &Owned<ConferenceFacts>) -> String {
    format!(
        "/2010-04-01/Accounts/{}/Conferences/{}",
        owned.account, owned.facts.sid
    )
}

fn resource(owned: &Owned<ConferenceFacts>) -> Value {
    let uri = uri(owned);
    let ended = owned.facts.status == "completed";
    json!({
        "account_sid": owned.account,
        "date_created": rfc2822(owned.created),
        "date_updated": rfc2822(owned.created),
        "api_version": "2010-04-01",
        "friendly_name": owned.facts.friendly_name,
        "region": "us1",
        "sid": owned.facts.sid,
        "status": owned.facts.status,
        "uri": format!("{uri}.json"),
        "subresource_uris": { "participants": format!("{uri}/Participants.json"), "recordings": format!("{uri}/Recordings.json") },
        "reason_conference_ended": ended.then_some("last-participant-left"),
        "call_sid_ending_conference": null,
    })
}

fn participant(conference: &Owned<ConferenceFacts>, facts: &ParticipantFacts) -> Value {
    json!({
        "account_sid": conference.account,
        "call_sid": facts.call,
        "label": facts.label,
        "call_sid_to_coach": null,
        "coaching": false,
        "conference_sid": conference.facts.sid,
        "date_created": rfc2822(conference.created),
        "date_updated": rfc2822(conference.created),
        "end_conference_on_exit": facts.end_conference_on_exit,
        "muted": facts.muted,
        "hold": false,
        "start_conference_on_enter": facts.start_conference_on_enter,
        "status": facts.status,
        "queue_time": null,
        "uri": format!("{}/Participants/{}.json", uri(conference), facts.call),
    })
}
