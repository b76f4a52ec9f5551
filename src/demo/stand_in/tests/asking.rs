//! A client of the interface with a credential.

use serde_json::Value;

use super::*;

pub(super) const TOKEN: &str = "token";

/// A stand-in with one account, and a client with that account's credential.
pub(super) struct Asking {
    pub(super) twilio: StandIn,
    pub(super) http: reqwest::Client,
    pub(super) account: AccountSid,
}

impl Asking {
    pub(super) async fn begin() -> Self {
        let account = account_sid();
        let twilio = StandIn::start(vec![StandInAccount::new(account.clone(), TOKEN)])
            .await
            .unwrap();
        let redirects = reqwest::redirect::Policy::none();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirects)
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            twilio,
            http,
            account,
        }
    }

    /// Returns the URL of a resource below the account; a path that begins with `/` is below the
    /// root.
    pub(super) fn url(&self, path: &str) -> String {
        let base = self.twilio.base_url();
        if path.starts_with('/') {
            format!("{base}{path}")
        } else {
            format!("{base}/2010-04-01/Accounts/{}/{path}", self.account)
        }
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> reqwest::Response {
        let request = self
            .http
            .request(method.parse().unwrap(), self.url(path))
            .basic_auth(&self.account, Some(TOKEN));
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = request
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body);
        request.send().await.unwrap()
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> (u16, Value) {
        let response = self.send(method, path, form).await;
        let status = response.status().as_u16();
        (
            status,
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        )
    }

    /// Returns an existing document.
    pub(super) async fn get(&self, path: &str) -> Value {
        let (status, document) = self.ask("GET", path, &[]).await;
        assert_eq!(status, 200, "{path}: {document}");
        document
    }

    pub(super) async fn status(&self, method: &str, path: &str) -> u16 {
        self.ask(method, path, &[]).await.0
    }

    /// Returns the SIDs on one page of a list.
    pub(super) async fn sids(&self, path: &str, key: &str) -> Vec<String> {
        sids(&self.get(path).await, key)
    }

    /// Adds a recording of the conversation, `ago` before now.
    pub(super) fn record(&self, digit: char, ago: Duration) -> RecordingSid {
        let sid = recording_sid(digit);
        let created = Some(self.twilio.now().before(ago));
        let facts = RecordingFacts {
            created,
            ..RecordingFacts::new(&sid, Bytes::from_static(WAV))
        };
        self.twilio
            .add_recording_of(&self.account, sid.clone(), facts);
        sid
    }
}

pub(super) fn sids(document: &Value, key: &str) -> Vec<String> {
    document[key]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["sid"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns a SID of any kind.
pub(super) fn sid(prefix: &str, digit: char) -> String {
    format!("{prefix}{}", String::from(digit).repeat(32))
}
