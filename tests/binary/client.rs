//! Clients of the service: an application with a bearer token, and a player with a grant.

use std::time::Duration;

use bytes::Bytes;
use recvault::model::id::RecordingId;
use reqwest::Method;
use serde_json::{Value, json};

/// A client of one running service. Calls fail only if the connection does.
#[derive(Clone)]
pub(crate) struct Client {
    /// `http://127.0.0.1:<port>`.
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
}

type Result<T> = reqwest::Result<T>;

impl Client {
    pub(crate) fn new(base: String, token: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .expect("a client");
        Self {
            base,
            http,
            token: token.to_owned(),
        }
    }

    /// Returns status and JSON of an answer; null if the body is not JSON.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value)> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((
            status,
            serde_json::from_slice(&response.bytes().await?).unwrap_or_default(),
        ))
    }

    /// Returns status and body of a public resource.
    pub(crate) async fn get(&self, path: &str) -> Result<(u16, Bytes)> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        Ok((response.status().as_u16(), response.bytes().await?))
    }

    /// Returns the state of a recording; `None` if there is none. A shred that is not durable yet
    /// is awaited.
    pub(crate) async fn state(&self, id: RecordingId) -> Result<Option<String>> {
        let path = format!("/v1/recordings/{id}");
        let (mut status, mut body) = self.ask(Method::GET, &path, None).await?;
        for _ in 0..400 {
            if body["type"] != "/problems/not-durable-yet" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
            (status, body) = self.ask(Method::GET, &path, None).await?;
        }
        assert!(matches!(status, 200 | 404), "{status} {body}");
        Ok((status == 200).then(|| {
            body["state"]
                .as_str()
                .expect("a recording has a state")
                .to_owned()
        }))
    }

    /// Requests a grant: the status, and the path of the audio if it was granted.
    pub(crate) async fn grant(&self, id: RecordingId) -> Result<(u16, Option<String>)> {
        let (status, body) = self
            .ask(
                Method::POST,
                &format!("/v1/recordings/{id}/grants"),
                Some(json!({ "purpose": "quality-review" })),
            )
            .await?;
        let path = body["audio_url"]
            .as_str()
            .and_then(|url| url.find("/v1/").map(|at| url[at..].to_owned()));
        Ok((status, path))
    }

    /// Shreds: returns the status, and the receipt's id.
    pub(crate) async fn shred(&self, id: RecordingId) -> Result<(u16, Option<String>)> {
        let (status, body) = self
            .ask(
                Method::DELETE,
                &format!("/v1/recordings/{id}"),
                Some(json!({ "reason": "subject-request" })),
            )
            .await?;
        Ok((status, body["receipt_id"].as_str().map(str::to_owned)))
    }

    /// Returns the audio under a new grant.
    pub(crate) async fn hear(&self, id: RecordingId) -> Bytes {
        // A temporary refusal is retried.
        let mut granted = (503, None);
        eventually(async || {
            granted = self.grant(id).await.unwrap();
            granted.0 != 503
        })
        .await;
        let (status, path) = granted;
        assert_eq!(status, 201, "a sealed recording is granted");
        let (status, sound) = self.get(&path.expect("a grant has a URL")).await.unwrap();
        assert_eq!(status, 200);
        sound
    }

    /// Waits until a recording has a state.
    pub(crate) async fn until(&self, id: RecordingId, wanted: &str) {
        let mut seen = None;
        let came = eventually(async || {
            seen = self.state(id).await.unwrap();
            seen.as_deref() == Some(wanted)
        });
        assert!(came.await, "{id} should become {wanted} and is {seen:?}");
    }
}

/// Polls some 40 times a second for 40 s, until the answer is `true`.
pub(crate) async fn eventually(mut ask: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..1600 {
        if ask().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}
