//! An HTTP client, and its answers.

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use recvault::twilio::SIGNATURE_HEADER;
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use serde_json::Value;

/// A client of one process, with or without a bearer token.
#[derive(Clone)]
pub(crate) struct Caller {
    http: Client,
    base: String,
    bearer: Option<String>,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Caller {
    pub(super) fn at(address: SocketAddr) -> Self {
        let http = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            http,
            base: format!("http://{address}"),
            bearer: None,
        }
    }

    pub(crate) fn bearing(self, token: &str) -> Self {
        Self {
            bearer: Some(token.to_owned()),
            ..self
        }
    }

    /// Returns a request for further changes by the test.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// Returns a whole answer, or `None` if the connection breaks before its end.
    pub(crate) async fn get_or_break(&self, path: &str) -> Option<Answer> {
        let response = self.request(Method::GET, path).send().await.ok()?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Some(Answer {
            status,
            headers,
            body: response.bytes().await.ok()?,
        })
    }

    /// Sends a GET or HEAD with further headers.
    pub(crate) async fn with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        send(
            headers
                .iter()
                .fold(self.request(method, path), |request, (name, value)| {
                    request.header(*name, *value)
                }),
        )
        .await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::DELETE, path).json(&body)).await
    }

    /// Posts a form with any number of Twilio signatures.
    pub(crate) async fn form(&self, path: &str, body: &str, signatures: &[&str]) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded");
        let request = signatures.iter().fold(request, |request, signature| {
            request.header(SIGNATURE_HEADER, *signature)
        });
        send(request.body(body.to_owned())).await
    }
}

/// Sends a request, and reads the whole answer.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    Answer {
        status,
        headers,
        body: response.bytes().await.unwrap(),
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns a header's value; empty if it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem of RFC 9457 with this status and type, and returns it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> Value {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, "application/problem+json"),
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(
            (&problem["status"], &problem["type"]),
            (&status.into(), &format!("/problems/{kind}").into())
        );
        assert!(
            problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
        problem
    }

    /// Returns the codes of a refusal's reasons.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let problem = self.problem(403, "denied");
        problem["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reason| reason["code"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(500)]);
        write!(
            f,
            "{} {:?} {} bytes: {text:?}",
            self.status,
            self.headers,
            self.body.len()
        )
    }
}
