//! Recordings: metadata, lists, stopping, deleting (<https://www.twilio.com/docs/voice/api/recording>).

use serde::Deserialize;
use serde_json::Value;

use super::{Account, Client, Next, Page, RestError};
use crate::{
    model::{
        sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
        time::Timestamp,
    },
    twilio::RecordingCallback,
};

/// A recording as Twilio's list and its metadata tell of it. Fields that only describe it are absent where they cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordingResource {
    /// The recording.
    pub sid: RecordingSid,
    /// The account or subaccount.
    pub account_sid: AccountSid,
    /// `in-progress`, `paused`, `stopped`, `processing`, `completed`, `absent`, `deleted`; an open set.
    pub status: String,
    /// The (parent) call.
    #[serde(default, deserialize_with = "readable")]
    pub call_sid: Option<CallSid>,
    /// The conference.
    #[serde(default, deserialize_with = "readable")]
    pub conference_sid: Option<ConferenceSid>,
    /// Whole seconds. Twilio writes a text; `-1` and the like count as unknown.
    #[serde(default, deserialize_with = "number")]
    pub duration: Option<i64>,
    /// 1 or 2.
    #[serde(default, deserialize_with = "number")]
    pub channels: Option<i64>,
    /// What made it; an open set.
    #[serde(default, deserialize_with = "readable")]
    pub source: Option<String>,
    /// 16101 too short, 16102 silent.
    #[serde(default, deserialize_with = "number")]
    pub error_code: Option<i64>,
    /// When it began.
    #[serde(default, deserialize_with = "rfc2822")]
    pub start_time: Option<Timestamp>,
    /// When Twilio made the entry; its lists are filtered by this.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<Timestamp>,
    /// Where the media is, if it is kept elsewhere.
    #[serde(default, deserialize_with = "readable")]
    pub media_url: Option<String>,
    /// How it is encrypted with the customer's key, unread.
    #[serde(default)]
    pub encryption_details: Value,
}

/// What of an account's recordings to list.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Created at or after; whole seconds.
    pub since: Timestamp,
    /// Created before, as Twilio's filter is written; it may count the second itself. Whole seconds. `None`: until now.
    pub until: Option<Timestamp>,
    /// Recordings in a page, 1 to 1000.
    pub page_size: u16,
    /// Whether those that were deleted in the last 40 days are listed too.
    pub with_deleted: bool,
}

impl RecordingResource {
    /// The same as a callback would have told it, so that it makes no difference which of the two came. Twilio's words for what is not over yet all
    /// mean that it is in progress. Callbacks tell length and channels of what is completed only, and that a success has the error code 0.
    pub fn told(&self) -> RecordingCallback {
        let status = match self.status.as_str() {
            "completed" | "absent" => self.status.as_str(),
            _ => "in-progress",
        };
        let is_complete = status == "completed";
        RecordingCallback {
            account: self.account_sid.clone(),
            recording_sid: self.sid.clone(),
            call: self.call_sid.clone(),
            conference: self.conference_sid.clone(),
            status: status.to_owned(),
            duration_s: self.duration.filter(|&seconds| is_complete && seconds >= 0),
            channels: self.channels.filter(|channels| is_complete && matches!(channels, 1 | 2)),
            started_at: self.start_time,
            source: self.source.clone().filter(|source| super::super::callback::is_source(source)),
            error_code: self.error_code.or(is_complete.then_some(0)),
            encryption: None,
            query: Vec::new(),
        }
    }
}

impl Client {
    /// A recording's metadata. `with_deleted`: also of one that was deleted in the last 40 days; its status is then `deleted`.
    pub async fn recording(&self, account: &Account, sid: &RecordingSid, with_deleted: bool) -> Result<RecordingResource, RestError> {
        let mut url = account.own_url(&format!("/Recordings/{sid}.json"));
        if with_deleted {
            url.query_pairs_mut().append_pair("IncludeSoftDeleted", "true");
        }
        let resource: RecordingResource = self.get(account, url).await?;
        if resource.sid != *sid || resource.account_sid != *account.sid() {
            return Err(RestError::Shape("the recording is another one"));
        }
        Ok(resource)
    }

    /// The first page of an account's recordings, as Twilio orders them: newest first.
    pub async fn recordings(&self, account: &Account, listing: &Listing) -> Result<Page<RecordingResource>, RestError> {
        let mut url = account.own_url("/Recordings.json");
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("PageSize", &listing.page_size.clamp(1, 1000).to_string());
            // Twilio's own spelling of a range: the comparison belongs to the name.
            query.append_pair("DateCreated>", &listing.since.in_seconds());
            if let Some(until) = listing.until {
                query.append_pair("DateCreated<", &until.in_seconds());
            }
            if listing.with_deleted {
                query.append_pair("IncludeSoftDeleted", "true");
            }
        }
        self.page(account, url, "recordings").await
    }

    /// The page after another one.
    pub async fn more_recordings(&self, account: &Account, next: Next) -> Result<Page<RecordingResource>, RestError> {
        self.page(account, next.into_url(), "recordings").await
    }

    /// Ends a recording that is being made. What was recorded until then is kept and becomes `completed`.
    pub async fn stop_recording(&self, account: &Account, call: &CallSid, sid: &RecordingSid) -> Result<RecordingResource, RestError> {
        self.post(account, account.own_url(&format!("/Calls/{call}/Recordings/{sid}.json")), &[("Status", "stopped")]).await
    }

    /// The same for a conference's.
    pub async fn stop_conference_recording(
        &self,
        account: &Account,
        conference: &ConferenceSid,
        sid: &RecordingSid,
    ) -> Result<RecordingResource, RestError> {
        self.post(account, account.own_url(&format!("/Conferences/{conference}/Recordings/{sid}.json")), &[("Status", "stopped")]).await
    }

    /// Deletes a recording. Twilio does that only with one that is `completed`; what it answers otherwise is not documented.
    pub async fn delete_recording(&self, account: &Account, sid: &RecordingSid) -> Result<(), RestError> {
        self.delete(account, account.own_url(&format!("/Recordings/{sid}.json"))).await
    }
}

/// A text that can be read as what it should be; anything else counts as absent.
fn readable<'de, D: serde::Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// A number, or a text that is one.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_i64().or_else(|| value.as_str()?.parse().ok()))
}

/// A time as Twilio writes it.
fn rfc2822<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(Timestamp::parse_rfc2822))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resource(fields: Value) -> Result<RecordingResource, serde_json::Error> {
        let mut all = serde_json::json!({
            "sid": format!("RE{}", "1".repeat(32)), "account_sid": format!("AC{}", "0".repeat(32)), "status": "completed",
        });
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(all)
    }

    #[test]
    fn it_is_told_as_a_callback_would_tell_it() {
        let fields = serde_json::json!({
            "duration": "27", "channels": 2, "source": "DialVerb", "error_code": null, "start_time": "Tue, 28 May 2019 02:18:02 +0000",
            "call_sid": format!("CA{}", "2".repeat(32)), "conference_sid": null, "price": "-0.1", "encryption_details": null,
        });
        let told = resource(fields).unwrap().told();
        assert_eq!((told.status.as_str(), told.duration_s, told.channels, told.error_code), ("completed", Some(27), Some(2), Some(0)));
        assert_eq!((told.source.as_deref(), told.conference), (Some("DialVerb"), None));
        assert_eq!(told.started_at.map(|at| at.in_seconds()).as_deref(), Some("2019-05-28T02:18:02Z"));
        // Callbacks say neither length nor channels of what has no file, or is not over.
        for (status, told_status) in
            [("absent", "absent"), ("processing", "in-progress"), ("paused", "in-progress"), ("deleted", "in-progress")]
        {
            let told =
                resource(serde_json::json!({ "status": status, "duration": "0", "channels": 1, "error_code": 16101 })).unwrap().told();
            assert_eq!((told.status.as_str(), told.duration_s, told.channels, told.error_code), (told_status, None, None, Some(16101)));
        }
        assert!(resource(serde_json::json!({ "sid": "RE1" })).is_err(), "without an id it is nothing");
    }

    /// Any JSON, some of it near to what is documented.
    fn whatever() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[ -~]{0,40}".prop_map(Value::from),
            "(RE|CA|CF)[0-9a-f]{32}".prop_map(Value::from),
            "-?[0-9]{1,25}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
    }

    proptest! {
        #[test]
        fn any_recording_is_told_with_sense_or_refused(
            fields in prop::collection::btree_map(
                prop::sample::select(vec![
                    "sid", "account_sid", "status", "call_sid", "conference_sid", "duration", "channels", "source", "error_code", "start_time",
                    "date_created", "media_url", "encryption_details", "other",
                ]),
                whatever(),
                0..8,
            ),
        ) {
            if let Ok(resource) = resource(serde_json::to_value(fields).unwrap()) {
                let told = resource.told();
                prop_assert!(["completed", "absent", "in-progress"].contains(&told.status.as_str()));
                prop_assert!(told.duration_s.is_none_or(|seconds| seconds >= 0) && told.channels.is_none_or(|channels| matches!(channels, 1 | 2)));
            }
        }
    }
}
