//! Callbacks as Twilio sends them.

use std::{sync::OnceLock, time::Duration};

use url::{Url, form_urlencoded};

use super::StandIn;
use crate::{
    model::{
        sid::{AccountSid, RecordingSid},
        time::{Clock, Timestamp},
    },
    secret::SecretText,
    twilio::signature,
};

/// A form with its signature, ready to be posted.
#[derive(Clone, Debug)]
pub struct SignedCallback {
    /// The encoded form.
    pub body: String,
    /// The value of [`signature::HEADER`].
    pub signature: String,
}

impl SignedCallback {
    /// Posts it; `to` may be another address than the one that was signed, as behind a proxy.
    pub async fn post(self, client: &reqwest::Client, to: &str) -> reqwest::Result<reqwest::Response> {
        client
            .post(to)
            .header(signature::HEADER, self.signature)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .body(self.body)
            .send()
            .await
    }
}

impl StandIn {
    /// The parameters of a recording status callback. A recording that was not added belongs to the first account.
    ///
    /// # Panics
    /// Without an account.
    pub fn callback_params(&self, recording: &RecordingSid, status: &str) -> Vec<(String, String)> {
        let account = self.owner(recording);
        let facts = self.world.recordings().get(recording).map(|held| held.facts);
        let mut params = vec![
            ("AccountSid", account.to_string()),
            ("CallSid", call_of(recording)),
            ("RecordingSid", recording.to_string()),
            ("RecordingUrl", format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{recording}")),
            ("RecordingStatus", status.to_owned()),
            ("RecordingStartTime", start_time()),
            ("RecordingSource", "DialVerb".to_owned()),
            ("RecordingTrack", "both".to_owned()),
            ("ErrorCode", if status == "absent" { "16101" } else { "0" }.to_owned()),
        ];
        if let Some(facts) = facts.filter(|_| status == "completed") {
            params.push(("RecordingDuration", facts.seconds.to_string()));
            params.push(("RecordingChannels", facts.channels.to_string()));
        }
        params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Encodes and signs a form as Twilio would for the callback URL `url`: user and fragment are dropped, and for https the port too.
    ///
    /// # Panics
    /// If `url` is not a URL, or the account is not one of the stand-in's.
    pub fn callback(&self, account: &AccountSid, url: &str, params: &[(String, String)]) -> SignedCallback {
        let account = self.world.account(account.as_str()).expect("the account is one of the stand-in's");
        let token = SecretText::new(account.auth_token.clone());
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        SignedCallback { body, signature: signature::sign(&token, &signed_url(url), params) }
    }

    /// Tells the service at `url` about a recording, as Twilio does.
    ///
    /// # Panics
    /// As [`StandIn::callback`] and [`StandIn::callback_params`].
    pub async fn post_callback(
        &self,
        client: &reqwest::Client,
        url: &str,
        recording: &RecordingSid,
        status: &str,
    ) -> reqwest::Result<reqwest::Response> {
        let params = self.callback_params(recording, status);
        self.callback(&self.owner(recording), url, &params).post(client, url).await
    }

    fn owner(&self, recording: &RecordingSid) -> AccountSid {
        let owner = self.world.recordings().get(recording).map(|held| held.account.clone());
        owner.unwrap_or_else(|| self.world.accounts.first().expect("the stand-in has an account").sid.clone())
    }
}

/// When every recording here began: shortly before the first was asked for, since one of long ago would be kept no longer. As Twilio writes it.
pub(super) fn start_time() -> String {
    static AT: OnceLock<Timestamp> = OnceLock::new();
    let at = AT.get_or_init(|| Clock::System.now().before(Duration::from_secs(60)));
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// The call that a recording here is of.
pub(super) fn call_of(recording: &RecordingSid) -> String {
    format!("CA{}", recording.as_str().trim_start_matches("RE"))
}

fn signed_url(url: &str) -> String {
    let mut url: Url = url.parse().expect("the callback URL is a URL");
    url.set_fragment(None);
    // These fail for URLs without a host only, and then there is nothing to drop.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if url.scheme() == "https" {
        let _ = url.set_port(None);
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_url_is_twilios() {
        for (url, signed) in [
            ("https://a.example/x?y", "https://a.example/x?y"),
            ("https://a.example:8443/x#rc=3&rp=all", "https://a.example/x"),
            ("http://user:pass@a.example:8080/x", "http://a.example:8080/x"),
        ] {
            assert_eq!(signed_url(url), signed);
        }
    }
}
