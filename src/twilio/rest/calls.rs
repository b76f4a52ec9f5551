//! Calls and participants of conferences: <https://www.twilio.com/docs/voice/api/call-resource>,
//! <https://www.twilio.com/docs/voice/api/conference-participant-resource>.
//!
//! INVARIANT: `Debug` shows no personal data of these resources.

use std::fmt;

use serde::Deserialize;

use super::{
    Account, RestError, TwilioClient,
    lenient::{number, readable, rfc2822},
};
use crate::model::{
    sid::{AccountSid, CallSid, ConferenceSid},
    time::Timestamp,
};

/// One leg of a call. NamedFields that only describe it are absent if they are unreadable.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct CallResource {
    /// The leg's id. A leg counts as a participant even if its id is unreadable.
    #[serde(default, deserialize_with = "readable")]
    pub sid: Option<CallSid>,
    /// The account or subaccount.
    #[serde(default, deserialize_with = "readable")]
    pub account_sid: Option<AccountSid>,
    /// The leg that dialled this one.
    #[serde(default, deserialize_with = "readable")]
    pub parent_call_sid: Option<CallSid>,
    /// The caller: a number, `client:…`, `sip:…`, or a word such as `anonymous`.
    #[serde(default, deserialize_with = "readable")]
    pub from: Option<String>,
    /// The called party, in the form of [`Self::from`].
    #[serde(default, deserialize_with = "readable")]
    pub to: Option<String>,
    /// `inbound`, `outbound-api`, `outbound-dial`, `trunking-originating`, `trunking-terminating`;
    /// an open set.
    #[serde(default, deserialize_with = "readable")]
    pub direction: Option<String>,
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer`, `canceled`;
    /// an open set.
    #[serde(default, deserialize_with = "readable")]
    pub status: Option<String>,
    /// The name of the calling number's owner, if a look-up was paid for.
    #[serde(default, deserialize_with = "readable")]
    pub caller_name: Option<String>,
    /// The beginning of the leg.
    #[serde(default, deserialize_with = "rfc2822")]
    pub start_time: Option<Timestamp>,
    /// Whole seconds; Twilio sends a string.
    #[serde(default, deserialize_with = "number")]
    pub duration: Option<i64>,
}

impl fmt::Debug for CallResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallResource")
            .field("sid", &self.sid)
            .field("parent", &self.parent_call_sid)
            .finish_non_exhaustive()
    }
}

/// A participant of a conference.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ParticipantResource {
    /// The participant's leg.
    #[serde(default, deserialize_with = "readable")]
    pub call_sid: Option<CallSid>,
    /// The label that the application gave the participant.
    #[serde(default, deserialize_with = "readable")]
    pub label: Option<String>,
    /// The time of joining.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<Timestamp>,
}

impl fmt::Debug for ParticipantResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParticipantResource")
            .field("call", &self.call_sid)
            .finish_non_exhaustive()
    }
}

impl TwilioClient {
    /// Returns a call, or one leg of it.
    pub async fn call(&self, account: &Account, sid: &CallSid) -> Result<CallResource, RestError> {
        let call: CallResource = self
            .get(account, account.account_url(&format!("/Calls/{sid}.json")))
            .await?;
        if call.sid.as_ref() != Some(sid)
            || call
                .account_sid
                .as_ref()
                .is_some_and(|of| of != account.sid())
        {
            return Err(RestError::Shape("the answer is about another call"));
        }
        Ok(call)
    }

    /// Returns the legs that a call dialled, in Twilio's order.
    pub async fn child_calls(
        &self,
        account: &Account,
        sid: &CallSid,
    ) -> Result<Vec<CallResource>, RestError> {
        let url = account
            .account_url("/Calls.json")
            .with("ParentCallSid", sid.as_str())
            .with("PageSize", "100");
        let calls: Vec<CallResource> = self.all(account, url, "calls").await?.items;
        // An API that ignores `ParentCallSid` returns every call, so the result is filtered again.
        Ok(calls
            .into_iter()
            .filter(|call| call.parent_call_sid.as_ref() == Some(sid))
            .collect())
    }

    /// Returns the participants of a conference, including unreadable ones. Twilio deletes the list
    /// when the conference ends; then it is empty.
    pub async fn participants(
        &self,
        account: &Account,
        sid: &ConferenceSid,
    ) -> Result<Vec<ParticipantResource>, RestError> {
        let url = account
            .account_url(&format!("/Conferences/{sid}/Participants.json"))
            .with("PageSize", "250");
        let mut found = self.all(account, url, "participants").await?;
        found.items.extend(std::iter::repeat_n(
            ParticipantResource::default(),
            found.unreadable,
        ));
        Ok(found.items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn resource() -> Value {
        json!({
            "sid": format!("CA{}", "1".repeat(32)), "account_sid": format!("AC{}", "0".repeat(32)), "parent_call_sid": null,
            "from": "+4930 123456 78", "to": "anonymous", "direction": "inbound", "status": "completed", "caller_name": "",
            "start_time": "Tue, 28 May 2019 02:18:02 +0000", "duration": "27", "something_new": [1],
        })
    }

    #[test]
    fn a_call_is_read_and_nobody_in_it_is_printed() {
        let call: CallResource = serde_json::from_value(resource()).unwrap();
        assert_eq!(
            (call.from.as_deref(), call.duration),
            (Some("+4930 123456 78"), Some(27))
        );
        assert_eq!(
            call.start_time,
            Timestamp::parse_rfc2822("Tue, 28 May 2019 02:18:02 +0000")
        );
        let printed = format!("{call:?}");
        assert!(
            printed.contains("CA111") && !printed.contains("4930"),
            "{printed}"
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            Just(json!([1, {}])),
            Just(json!({ "a": 1 })),
        ]
    }

    proptest! {
        #[test]
        fn any_odd_field_leaves_a_call_and_a_participant_readable(field in 2usize..10, value in any_value()) {
            let mut call = resource();
            let name = call.as_object().unwrap().keys().filter(|name| !name.ends_with("sid") || name.starts_with("parent")).nth(field % 8).unwrap().clone();
            call[&name] = value.clone();
            prop_assert!(serde_json::from_value::<CallResource>(call).is_ok(), "{}", name);
            let participant = json!({ "call_sid": format!("CA{}", "1".repeat(32)), "label": value, "date_created": value });
            prop_assert!(serde_json::from_value::<ParticipantResource>(participant).is_ok());
        }
    }
}
