//! Recordings: metadata, lists, stopping, deleting
//! (<https://www.twilio.com/docs/voice/api/recording>).

use serde::Deserialize;
use serde_json::Value;

use super::{
    Account, RestError, TwilioClient,
    deletion::Deletion,
    lenient::{number, readable, rfc2822, text},
    page::Pages,
};
use crate::model::{
    sid::{AccountSid, CallSid, ConferenceSid, RecordingSid},
    time::Timestamp,
};

/// A recording in Twilio's list and metadata. NamedFields that only describe it are absent if they are
/// unreadable.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordingResource {
    /// The recording.
    pub sid: RecordingSid,
    /// The account or subaccount.
    #[serde(default, deserialize_with = "readable")]
    pub account_sid: Option<AccountSid>,
    /// `in-progress`, `paused`, `stopped`, `processing`, `completed`, `absent`, `deleted`; an open
    /// set.
    #[serde(default, deserialize_with = "text")]
    pub status: String,
    /// The (parent) call.
    #[serde(default, deserialize_with = "readable")]
    pub call_sid: Option<CallSid>,
    /// The conference.
    #[serde(default, deserialize_with = "readable")]
    pub conference_sid: Option<ConferenceSid>,
    /// Whole seconds. Twilio sends a string; a negative value counts as unknown when it is
    /// converted.
    #[serde(default, deserialize_with = "number")]
    pub duration: Option<i64>,
    /// 1 or 2.
    #[serde(default, deserialize_with = "number")]
    pub channels: Option<i64>,
    /// The component that made it; an open set.
    #[serde(default, deserialize_with = "readable")]
    pub source: Option<String>,
    /// 16101 for too short, 16102 for silent.
    #[serde(default, deserialize_with = "number")]
    pub error_code: Option<i64>,
    /// The beginning of the recording.
    #[serde(default, deserialize_with = "rfc2822")]
    pub start_time: Option<Timestamp>,
    /// The creation of Twilio's entry. Twilio's lists are filtered by it.
    #[serde(default, deserialize_with = "rfc2822")]
    pub date_created: Option<Timestamp>,
    /// The address of the media, if it is stored elsewhere.
    #[serde(default, deserialize_with = "readable")]
    pub media_url: Option<String>,
    /// Its encryption with the customer's key, not parsed.
    #[serde(default)]
    pub encryption_details: Value,
}

/// The filter of a list of an account's recordings.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Created at or after this time; whole seconds.
    pub since: Timestamp,
    /// Created before this time, by Twilio's filter, which may include the second itself. Whole
    /// seconds. `None`: until now.
    pub until: Option<Timestamp>,
    /// Recordings in a page, 1 to 1000.
    pub page_size: u16,
    /// Whether recordings that were deleted in the last 40 days are listed too.
    pub with_deleted: bool,
}

impl RecordingResource {
    /// Whether it belongs to this account; `true` if no account is reported.
    pub fn is_of(&self, account: &AccountSid) -> bool {
        self.account_sid.as_ref().is_none_or(|of| of == account)
    }

    /// Returns the address of its audio, if that is a customer's bucket and not Twilio.
    pub fn elsewhere(&self, account: &Account) -> Option<&str> {
        self.media_url
            .as_deref()
            .filter(|address| account.is_elsewhere(address))
    }
}

impl TwilioClient {
    /// Returns every recording of a call, as its parent call. Recordings of conferences are not
    /// among them.
    pub async fn recordings_of_call(
        &self,
        account: &Account,
        call: &CallSid,
    ) -> Result<Vec<RecordingResource>, RestError> {
        let url = account
            .account_url(&format!("/Calls/{call}/Recordings.json"))
            .with("PageSize", "100");
        let found: Vec<RecordingResource> = self.all(account, url, "recordings").await?.items;
        if found.iter().all(|recording| recording.is_of(account.sid())) {
            Ok(found)
        } else {
            Err(RestError::Shape("a recording is of another account"))
        }
    }

    /// Returns a recording's metadata. `with_deleted`: also of a recording that was deleted in the
    /// last 40 days; its status is then `deleted`.
    pub async fn recording(
        &self,
        account: &Account,
        sid: &RecordingSid,
        with_deleted: bool,
    ) -> Result<RecordingResource, RestError> {
        let mut url = account.account_url(&format!("/Recordings/{sid}.json"));
        if with_deleted {
            url = url.with("IncludeSoftDeleted", "true");
        }
        let resource: RecordingResource = self.get(account, url).await?;
        if resource.sid != *sid || !resource.is_of(account.sid()) {
            return Err(RestError::Shape("the answer is about another recording"));
        }
        Ok(resource)
    }

    /// Returns an account's recordings, in Twilio's order: newest first. Sends no request yet.
    pub fn recordings(&self, account: &Account, listing: &Listing) -> Pages<RecordingResource> {
        let mut url = account
            .account_url("/Recordings.json")
            .with("PageSize", &listing.page_size.clamp(1, 1000).to_string());
        // Twilio's own syntax of a range: the comparison is part of the name.
        url = url.with("DateCreated>", &listing.since.in_seconds());
        if let Some(until) = listing.until {
            url = url.with("DateCreated<", &until.in_seconds());
        }
        if listing.with_deleted {
            url = url.with("IncludeSoftDeleted", "true");
        }
        Pages::new(url, "recordings")
    }

    /// Stops a running recording. The part recorded so far is kept and becomes `completed`.
    pub async fn stop_recording(
        &self,
        account: &Account,
        call: &CallSid,
        sid: &RecordingSid,
    ) -> Result<(), RestError> {
        self.post(
            account,
            account.account_url(&format!("/Calls/{call}/Recordings/{sid}.json")),
            &[("Status", "stopped")],
        )
        .await
    }

    /// Stops the running recording of a conference.
    pub async fn stop_conference_recording(
        &self,
        account: &Account,
        conference: &ConferenceSid,
        sid: &RecordingSid,
    ) -> Result<(), RestError> {
        self.post(
            account,
            account.account_url(&format!("/Conferences/{conference}/Recordings/{sid}.json")),
            &[("Status", "stopped")],
        )
        .await
    }

    /// Deletes a recording. Twilio only deletes one that is `completed`; its answer otherwise is
    /// not documented.
    pub async fn delete_recording(
        &self,
        account: &Account,
        sid: &RecordingSid,
    ) -> Result<Deletion, RestError> {
        self.remove(
            account,
            account.account_url(&format!("/Recordings/{sid}.json")),
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        secret::SecretText,
        twilio::account::{AccountSettings, Accounts, TwilioSettings},
    };

    fn accounts(api_base: &str) -> Accounts {
        let account = AccountSettings::new(
            format!("AC{}", "0".repeat(32)).parse().unwrap(),
            vec![SecretText::new("token".into())],
        );
        TwilioSettings {
            api_base: api_base.into(),
            accounts: vec![account],
            ..TwilioSettings::default()
        }
        .resolve(Path::new("."))
        .unwrap()
    }

    fn kept_at(media_url: &str) -> RecordingResource {
        let [account, sid] = ["AC", "RE"].map(|kind| format!("{kind}{}", "0".repeat(32)));
        let told = serde_json::json!({ "sid": sid, "account_sid": account, "status": "completed", "media_url": media_url });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn only_what_is_not_at_twilio_is_elsewhere() {
        let twilio = accounts("https://api.twilio.com");
        let local = accounts("http://127.0.0.1:4010");
        let [twilio, local] = [&twilio, &local].map(|accounts| accounts.iter().next().unwrap());
        for own in [
            "http://api.twilio.com/2010-04-01/Accounts/AC/Recordings/RE",
            "https://api.dublin.ie1.twilio.com/x",
            "",
            "no address",
        ] {
            assert_eq!(kept_at(own).elsewhere(twilio), None, "{own}");
        }
        for other in [
            "https://bucket.s3.amazonaws.com/RE.wav",
            "https://eviltwilio.com/x",
            "https://twilio.com.example.org/x",
        ] {
            assert_eq!(kept_at(other).elsewhere(twilio), Some(other));
        }
        assert_eq!(kept_at("http://127.0.0.1:4010/x").elsewhere(local), None);
        assert_eq!(
            kept_at("http://127.0.0.1:4011/x").elsewhere(local),
            Some("http://127.0.0.1:4011/x")
        );
    }

    proptest! {
        #[test]
        fn whatever_is_told_is_read_or_refused(told in ".{0,200}") {
            let accounts = accounts("https://api.twilio.com");
            let _ = kept_at(&told).elsewhere(accounts.iter().next().unwrap());
            let _ = serde_json::from_str::<RecordingResource>(&told);
            let _ = serde_json::from_str::<super::super::AddOnResource>(&told);
        }
    }
}
