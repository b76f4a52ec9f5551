//! The Calls resource.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    page,
    recordings::{is, newest_first},
    request::AuthenticatedRequest,
};
use crate::model::{
    sid::{AccountSid, CallSid},
    time::Timestamp,
};

/// The facts of a call, or of one leg of it.
#[derive(Clone, Debug)]
pub struct CallFacts {
    /// `CA…`.
    pub sid: CallSid,
    /// The leg that dialled this one.
    pub parent: Option<CallSid>,
    /// A number in E.164, `client:…`, `sip:…`, or a word such as `anonymous`.
    pub from: String,
    /// As `from`.
    pub to: String,
    /// `inbound`, `outbound-api`, `outbound-dial`, `trunking-terminating`...
    pub direction: String,
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer`, `canceled`.
    pub status: String,
    /// The name from a look-up.
    pub caller_name: Option<String>,
    /// The number that forwarded the call.
    pub forwarded_from: Option<String>,
    /// The beginning; without it, shortly before the call is added.
    pub start_time: Option<Timestamp>,
    /// Seconds.
    pub duration: u64,
}

impl CallFacts {
    /// Creates a completed inbound call.
    pub fn new(sid: CallSid, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            sid,
            parent: None,
            from: from.into(),
            to: to.into(),
            direction: "inbound".to_owned(),
            status: "completed".to_owned(),
            caller_name: None,
            forwarded_from: None,
            start_time: None,
            duration: 27,
        }
    }

    /// Creates the leg that `<Dial>` makes from another.
    pub fn dialled(
        parent: CallSid,
        sid: CallSid,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Self {
            parent: Some(parent),
            direction: "outbound-dial".to_owned(),
            ..Self::new(sid, from, to)
        }
    }
}

impl StandIn {
    /// Adds a call, replacing one with this SID.
    pub fn add_call(&self, account: &AccountSid, facts: CallFacts) {
        let owned = self.world.own(account, facts);
        self.world
            .state()
            .calls
            .insert(owned.facts.sid.clone(), owned);
    }

    /// Changes the status of a call.
    pub fn set_call_status(&self, call: &CallSid, status: &str) {
        if let Some(owned) = self.world.state().calls.get_mut(call) {
            status.clone_into(&mut owned.facts.status);
        }
    }
}

/// `GET …/Calls/{CA}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let sid: CallSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let state = world.state();
    let owned = state
        .calls
        .get(&sid)
        .filter(|owned| owned.account == asked.account);
    owned
        .map(|owned| StandInAnswer::ok(resource(owned)))
        .ok_or_else(Refused::not_found)
}

/// `GET …/Calls.json` with `ParentCallSid`, `From`, `To`, `Status`.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let wanted = |name: &str, found: Option<String>| is(asked.query.get(name), found);
    let items = state
        .calls
        .values()
        .filter(|owned| owned.account == asked.account)
        .filter(|owned| {
            wanted(
                "ParentCallSid",
                owned.facts.parent.as_ref().map(ToString::to_string),
            )
        })
        .filter(|owned| {
            wanted("From", Some(owned.facts.from.clone()))
                && wanted("To", Some(owned.facts.to.clone()))
        })
        .filter(|owned| wanted("Status", Some(owned.facts.status.clone())))
        .map(|owned| (newest_first(began(owned), owned.facts.sid.as_str()), owned))
        .collect();
    page::of_2010(items, "calls", &asked.path, &asked.query, |owned| {
        resource(owned)
    })
}

fn began(owned: &Owned<CallFacts>) -> Timestamp {
    owned.facts.start_time.unwrap_or(owned.created)
}

fn resource(owned: &Owned<CallFacts>) -> Value {
    let Owned { account, facts, .. } = owned;
    let began = began(owned);
    let ended = (facts.status == "completed")
        .then(|| rfc2822(began.after(std::time::Duration::from_secs(facts.duration))));
    let uri = format!("/2010-04-01/Accounts/{account}/Calls/{}", facts.sid);
    json!({
        "sid": facts.sid,
        "date_created": rfc2822(began),
        "date_updated": ended.clone().unwrap_or_else(|| rfc2822(began)),
        "parent_call_sid": facts.parent,
        "account_sid": account,
        "to": facts.to,
        "to_formatted": facts.to,
        "from": facts.from,
        "from_formatted": facts.from,
        "phone_number_sid": null,
        "status": facts.status,
        "start_time": rfc2822(began),
        "end_time": ended,
        "duration": (facts.status == "completed").then(|| facts.duration.to_string()),
        "price": null,
        "price_unit": "USD",
        "direction": facts.direction,
        "answered_by": null,
        "annotation": null,
        "api_version": "2010-04-01",
        "forwarded_from": facts.forwarded_from,
        "group_sid": null,
        "caller_name": facts.caller_name,
        "queue_time": "0",
        "trunk_sid": null,
        "uri": format!("{uri}.json"),
        "subresource_uris": { "recordings": format!("{uri}/Recordings.json"), "transcriptions": format!("{uri}/Transcriptions.json") },
    })
}
