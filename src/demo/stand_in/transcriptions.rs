//! The Transcriptions resource of `<Record transcribe="true">`.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, State, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    page,
    recordings::newest_first,
    request::AuthenticatedRequest,
    route::Below,
};
use crate::model::sid::{AccountSid, RecordingSid};

/// A transcription.
#[derive(Clone, Debug)]
pub struct TranscriptionFacts {
    /// `TR…`.
    pub sid: String,
    /// The transcribed recording.
    pub recording: RecordingSid,
    /// The text.
    pub text: String,
    /// `in-progress`, `completed`, `failed`.
    pub status: String,
}

impl TranscriptionFacts {
    /// Creates a completed transcription.
    pub fn new(sid: impl Into<String>, recording: RecordingSid, text: impl Into<String>) -> Self {
        Self {
            sid: sid.into(),
            recording,
            text: text.into(),
            status: "completed".to_owned(),
        }
    }
}

impl StandIn {
    /// Adds a transcription, replacing one with this SID.
    pub fn add_transcription(&self, account: &AccountSid, facts: TranscriptionFacts) {
        let owned = self.world.own(account, facts);
        self.world
            .state()
            .transcriptions
            .insert(owned.facts.sid.clone(), owned);
    }
}

/// `GET …/Transcriptions.json`, of an account or of a recording.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    above(world, &state, asked)?;
    let of = state
        .transcriptions
        .values()
        .filter(|owned| is_its(owned, asked));
    let items = of
        .map(|owned| (newest_first(owned.created, &owned.facts.sid), owned))
        .collect();
    page::of_2010(
        items,
        "transcriptions",
        &asked.path,
        &asked.query,
        |owned| resource(owned),
    )
}

/// `GET …/Transcriptions/{TR}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    above(world, &state, asked)?;
    let owned = state
        .transcriptions
        .get(&asked.ask.sid)
        .filter(|owned| is_its(owned, asked));
    owned
        .map(|owned| StandInAnswer::ok(resource(owned)))
        .ok_or_else(Refused::not_found)
}

/// `DELETE …/Transcriptions/{TR}.json`.
pub(super) fn delete(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    above(world, &state, asked)?;
    if !state
        .transcriptions
        .get(&asked.ask.sid)
        .is_some_and(|owned| is_its(owned, asked))
    {
        return Err(Refused::not_found());
    }
    state.transcriptions.remove(&asked.ask.sid);
    Ok(StandInAnswer::Empty)
}

/// Checks that the parent recording of a subresource exists.
pub(super) fn above(
    world: &World,
    state: &State,
    asked: &AuthenticatedRequest,
) -> Result<(), Refused> {
    let Below::Recording(sid) = &asked.ask.below else {
        return Ok(());
    };
    let sid = sid.parse().map_err(|_| Refused::not_found())?;
    let held = state
        .recording(&sid, world.hours.now())
        .filter(|held| held.account == asked.account);
    let shown = held
        .is_some_and(|held| held.deleted.is_none() || state.behaviour.deleted_lists_subresources);
    if shown {
        Ok(())
    } else {
        Err(Refused::not_found())
    }
}

fn is_its(owned: &Owned<TranscriptionFacts>, asked: &AuthenticatedRequest) -> bool {
    owned.account == asked.account
        && match &asked.ask.below {
            Below::Recording(sid) => owned.facts.recording.as_str() == sid,
            _ => true,
        }
}

fn resource(owned: &Owned<TranscriptionFacts>) -> Value {
    let Owned {
        account,
        facts,
        created,
    } = owned;
    json!({
        "account_sid": account,
        "api_version": "2010-04-01",
        "date_created": rfc2822(*created),
        "date_updated": rfc2822(*created),
        "duration": "27",
        "price": "-0.05000",
        "price_unit": "USD",
        "recording_sid": facts.recording,
        "sid": facts.sid,
        "status": facts.status,
        "transcription_text": (facts.status == "completed").then_some(&facts.text),
        "type": "fast",
        "uri": format!("/2010-04-01/Accounts/{account}/Transcriptions/{}.json", facts.sid),
    })
}
