//! Callbacks as Twilio sends them: the parameters of a recording status callback, and the signature
//! of any form, query or JSON document.

use serde_json::Value;
use url::{Url, form_urlencoded};

use super::{
    StandIn, State, World,
    hours::rfc2822,
    recording::{HeldRecording, call_of},
};
use crate::{
    model::sid::{AccountSid, RecordingSid},
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
    /// Posts it; `to` may differ from the signed address, as behind a proxy.
    pub async fn post(
        self,
        client: &reqwest::Client,
        to: &str,
    ) -> reqwest::Result<reqwest::Response> {
        client
            .post(to)
            .header(signature::HEADER, self.signature)
            .header(
                reqwest::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded; charset=UTF-8",
            )
            .body(self.body)
            .send()
            .await
    }
}

/// A signed GET: all parameters are in the URL.
#[derive(Clone, Debug)]
pub struct SignedGet {
    /// The URL with every parameter.
    pub url: String,
    /// The value of [`signature::HEADER`].
    pub signature: String,
}

/// A JSON document with its signature.
#[derive(Clone, Debug)]
pub struct SignedJson {
    /// The destination: the callback URL with `bodySHA256`.
    pub url: String,
    /// The document.
    pub body: String,
    /// The value of [`signature::HEADER`].
    pub signature: String,
}

impl SignedJson {
    /// Posts it.
    pub async fn post(self, client: &reqwest::Client) -> reqwest::Result<reqwest::Response> {
        client
            .post(self.url)
            .header(signature::HEADER, self.signature)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(self.body)
            .send()
            .await
    }
}

impl StandIn {
    /// Returns the parameters of a recording status callback. A recording that was not added
    /// belongs to the first account.
    ///
    /// # Panics
    /// Without an account.
    pub fn callback_params(&self, recording: &RecordingSid, status: &str) -> Vec<(String, String)> {
        params(&self.world, &self.world.state(), recording, status)
    }

    /// Encodes and signs a form as Twilio would for the callback URL `url`: user and fragment are
    /// dropped, and for https the port too.
    ///
    /// # Panics
    /// If `url` is not a URL, or the account is not one of the stand-in's.
    pub fn callback(
        &self,
        account: &AccountSid,
        url: &str,
        params: &[(String, String)],
    ) -> SignedCallback {
        signed(&self.world, account, url, params)
    }

    /// Signs a GET.
    ///
    /// # Panics
    /// As [`Self::callback`].
    pub fn get_callback(
        &self,
        account: &AccountSid,
        url: &str,
        params: &[(String, String)],
    ) -> SignedGet {
        let mut url: Url = url.parse().expect("the callback URL is a URL");
        url.query_pairs_mut().extend_pairs(params);
        let signature = sign(&self.world, account, url.as_str(), &[]);
        SignedGet {
            url: url.into(),
            signature,
        }
    }

    /// Signs a JSON document as Twilio would, with its digest in the URL.
    ///
    /// # Panics
    /// As [`Self::callback`].
    pub fn json_callback(&self, account: &AccountSid, url: &str, document: &Value) -> SignedJson {
        let body = document.to_string();
        let mut url: Url = url.parse().expect("the callback URL is a URL");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
        url.query_pairs_mut()
            .append_pair("bodySHA256", &hex::encode(digest));
        let signature = sign(&self.world, account, url.as_str(), &[]);
        SignedJson {
            url: url.into(),
            body,
            signature,
        }
    }

    /// Posts the callback of a recording to the service at `url`, as Twilio does.
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
        let account = owner(&self.world, self.world.state().recordings.get(recording));
        self.callback(&account, url, &params)
            .post(client, url)
            .await
    }
}

pub(super) fn params(
    world: &World,
    state: &State,
    recording: &RecordingSid,
    status: &str,
) -> Vec<(String, String)> {
    let held = state.recordings.get(recording);
    let account = owner(world, held);
    let facts = held.map(|held| &held.facts);
    let mut params = vec![("AccountSid", account.to_string())];
    params.extend(
        facts
            .map_or(Some(call_of(recording)), |facts| facts.call.clone())
            .map(|call| ("CallSid", call.to_string())),
    );
    params.extend(
        facts
            .and_then(|facts| facts.conference.clone())
            .map(|conference| ("ConferenceSid", conference.to_string())),
    );
    params.extend([
        ("RecordingSid", recording.to_string()),
        (
            "RecordingUrl",
            format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{recording}"),
        ),
        ("RecordingStatus", status.to_owned()),
        (
            "RecordingStartTime",
            rfc2822(held.map_or_else(|| world.hours.at_first(), |held| held.created)),
        ),
        (
            "RecordingSource",
            facts.map_or_else(|| "DialVerb".to_owned(), |facts| facts.source.clone()),
        ),
        (
            "RecordingTrack",
            facts.map_or_else(|| "both".to_owned(), |facts| facts.track.clone()),
        ),
        (
            "ErrorCode",
            if status == "absent" { "16101" } else { "0" }.to_owned(),
        ),
    ]);
    if let Some(held) = held.filter(|_| status == "completed") {
        params.push(("RecordingDuration", held.sound.seconds.to_string()));
        params.push(("RecordingChannels", held.sound.channels.to_string()));
        params.extend(
            held.encryption
                .as_ref()
                .map(|encryption| ("EncryptionDetails", encryption.in_callback())),
        );
    }
    params
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn owner(world: &World, held: Option<&HeldRecording>) -> AccountSid {
    let first = || {
        world
            .accounts()
            .first()
            .expect("the stand-in has an account")
            .sid
            .clone()
    };
    held.map_or_else(first, |held| held.account.clone())
}

pub(super) fn signed(
    world: &World,
    account: &AccountSid,
    url: &str,
    params: &[(String, String)],
) -> SignedCallback {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish();
    SignedCallback {
        body,
        signature: sign(world, account, url, params),
    }
}

fn sign(world: &World, account: &AccountSid, url: &str, params: &[(String, String)]) -> String {
    let account = world
        .account(account.as_str())
        .expect("the account is one of the stand-in's");
    signature::sign(
        &SecretText::new(account.auth_token),
        &signed_url(url),
        params,
    )
}

fn signed_url(url: &str) -> String {
    let mut url: Url = url.parse().expect("the callback URL is a URL");
    url.set_fragment(None);
    // These fail only for URLs without a host, which have nothing to drop.
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
            (
                "https://a.example:8443/x#rc=3&rp=all",
                "https://a.example/x",
            ),
            (
                "http://user:pass@a.example:8080/x",
                "http://a.example:8080/x",
            ),
        ] {
            assert_eq!(signed_url(url), signed);
        }
    }
}
