//! The AddOnResults resource of a recording: data that other companies derived from it.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    new_sid, page,
    recordings::newest_first,
    request::AuthenticatedRequest,
    route::Below,
    transcriptions::above,
};
use crate::model::sid::{AccountSid, RecordingSid};

/// The result of an add-on.
#[derive(Clone, Debug)]
pub struct AddOnFacts {
    /// `XR…`.
    pub sid: String,
    /// The recording.
    pub recording: RecordingSid,
    /// `init`, `processing`, `completed`, `failed`...
    pub status: String,
    /// `XB…`: the add-on.
    pub add_on_sid: String,
}

impl AddOnFacts {
    /// Creates a completed result of an add-on.
    pub fn new(sid: impl Into<String>, recording: RecordingSid) -> Self {
        Self {
            sid: sid.into(),
            recording,
            status: "completed".to_owned(),
            add_on_sid: new_sid("XB"),
        }
    }
}

impl StandIn {
    /// Adds an add-on result, replacing one with this SID.
    pub fn add_add_on(&self, account: &AccountSid, facts: AddOnFacts) {
        let owned = self.world.own(account, facts);
        self.world
            .state()
            .add_ons
            .insert(owned.facts.sid.clone(), owned);
    }
}

/// `GET …/Recordings/{RE}/AddOnResults.json`.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    above(world, &state, asked)?;
    let of = state.add_ons.values().filter(|owned| is_its(owned, asked));
    let items = of
        .map(|owned| (newest_first(owned.created, &owned.facts.sid), owned))
        .collect();
    page::of_2010(
        items,
        "add_on_results",
        &asked.path,
        &asked.query,
        |owned| resource(owned),
    )
}

/// `GET …/AddOnResults/{XR}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    above(world, &state, asked)?;
    let owned = state
        .add_ons
        .get(&asked.ask.sid)
        .filter(|owned| is_its(owned, asked));
    owned
        .map(|owned| StandInAnswer::ok(resource(owned)))
        .ok_or_else(Refused::not_found)
}

/// `DELETE …/AddOnResults/{XR}.json`.
pub(super) fn delete(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    above(world, &state, asked)?;
    if !state
        .add_ons
        .get(&asked.ask.sid)
        .is_some_and(|owned| is_its(owned, asked))
    {
        return Err(Refused::not_found());
    }
    state.add_ons.remove(&asked.ask.sid);
    Ok(StandInAnswer::Empty)
}

fn is_its(owned: &Owned<AddOnFacts>, asked: &AuthenticatedRequest) -> bool {
    owned.account == asked.account
        && asked.ask.below == Below::Recording(owned.facts.recording.to_string())
}

fn resource(owned: &Owned<AddOnFacts>) -> Value {
    let Owned {
        account,
        facts,
        created,
    } = owned;
    let uri = format!(
        "/2010-04-01/Accounts/{account}/Recordings/{}/AddOnResults/{}",
        facts.recording, facts.sid
    );
    json!({
        "sid": facts.sid,
        "account_sid": account,
        "status": facts.status,
        "add_on_sid": facts.add_on_sid,
        "add_on_configuration_sid": facts.add_on_sid.replacen("XB", "XE", 1),
        "date_created": rfc2822(*created),
        "date_updated": rfc2822(*created),
        "date_completed": (facts.status == "completed").then(|| rfc2822(*created)),
        "reference_sid": facts.recording,
        "subresource_uris": { "payloads": format!("{uri}/Payloads.json") },
    })
}
