//! The IncomingPhoneNumbers resource.

use serde_json::{Value, json};

use super::{
    Owned, StandIn, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    new_sid, page,
    recordings::{is, newest_first},
    request::AuthenticatedRequest,
};
use crate::model::sid::AccountSid;

/// A number of an account.
#[derive(Clone, Debug)]
pub struct NumberFacts {
    /// `PN…`.
    pub sid: String,
    /// E.164.
    pub phone_number: String,
    /// The URL that a call requests; empty: none.
    pub voice_url: String,
    /// The URL that a message requests; empty: none.
    pub sms_url: String,
    /// `TK…`: the SIP trunk of the number.
    pub trunk_sid: Option<String>,
    /// `in-use`.
    pub status: String,
}

impl NumberFacts {
    /// Creates a number with a new SID and this URL for calls.
    pub fn new(phone_number: impl Into<String>, voice_url: impl Into<String>) -> Self {
        Self {
            sid: new_sid("PN"),
            phone_number: phone_number.into(),
            voice_url: voice_url.into(),
            sms_url: String::new(),
            trunk_sid: None,
            status: "in-use".to_owned(),
        }
    }
}

impl StandIn {
    /// Adds a number to an account.
    pub fn add_number(&self, account: &AccountSid, facts: NumberFacts) {
        let owned = self.world.own(account, facts);
        self.world.state().numbers.push(owned);
    }
}

/// `GET …/IncomingPhoneNumbers.json`.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let of = state
        .numbers
        .iter()
        .filter(|owned| owned.account == asked.account);
    let of = of.filter(|owned| {
        is(
            asked.query.get("PhoneNumber"),
            Some(owned.facts.phone_number.clone()),
        )
    });
    let items = of
        .map(|owned| (newest_first(owned.created, &owned.facts.sid), owned))
        .collect();
    page::of_2010(
        items,
        "incoming_phone_numbers",
        &asked.path,
        &asked.query,
        |owned| resource(owned),
    )
}

fn resource(owned: &Owned<NumberFacts>) -> Value {
    let Owned {
        account,
        facts,
        created,
    } = owned;
    json!({
        "account_sid": account,
        "address_sid": null,
        "address_requirements": "none",
        "api_version": "2010-04-01",
        "beta": false,
        "capabilities": { "voice": true, "sms": true, "mms": true, "fax": false },
        "date_created": rfc2822(*created),
        "date_updated": rfc2822(*created),
        "friendly_name": facts.phone_number,
        "identity_sid": null,
        "phone_number": facts.phone_number,
        "origin": "twilio",
        "sid": facts.sid,
        "sms_application_sid": "",
        "sms_fallback_method": "POST",
        "sms_fallback_url": "",
        "sms_method": "POST",
        "sms_url": facts.sms_url,
        "status_callback": "",
        "status_callback_method": "POST",
        "trunk_sid": facts.trunk_sid,
        "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{}.json", facts.sid),
        "voice_receive_mode": "voice",
        "voice_application_sid": "",
        "voice_caller_id_lookup": false,
        "voice_fallback_method": "POST",
        "voice_fallback_url": null,
        "voice_method": "POST",
        "voice_url": facts.voice_url,
        "emergency_status": "Inactive",
        "emergency_address_sid": null,
        "emergency_address_status": "unregistered",
        "bundle_sid": null,
        "status": facts.status,
    })
}
