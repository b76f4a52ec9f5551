//! The REST client against a server with scripted answers: each failure, lists that end and lists
//! that lead elsewhere.

mod deletions;
mod lists;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, Uri, header},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    model::sid::{AccountSid, RecordingSid},
    secret::SecretText,
    twilio::account::{AccountSettings, Accounts, ProductSettings, TwilioSettings},
};

pub(super) struct Told {
    status: u16,
    headers: Vec<(header::HeaderName, &'static str)>,
    body: String,
}

/// Address and credential.
type Request = (String, Option<String>);

/// A server that answers in order, and records the requests.
pub(super) struct Other {
    accounts: Accounts,
    pub(super) client: TwilioClient,
    asked: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<Told>>>,
}

pub(super) fn sid() -> AccountSid {
    format!("AC{}", "1".repeat(32)).parse().unwrap()
}

pub(super) fn recording() -> RecordingSid {
    format!("RE{}", "2".repeat(32)).parse().unwrap()
}

impl Other {
    pub(super) async fn start() -> Self {
        Self::with(vec![AccountSettings::new(
            sid(),
            vec![SecretText::new("hunter2".into())],
        )])
        .await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test's own server, which ends with the test's runtime"
    )]
    async fn with(accounts: Vec<AccountSettings>) -> Self {
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let answers = Arc::<Mutex<VecDeque<Told>>>::default();
        let log = Arc::clone(&asked);
        let queue = Arc::clone(&answers);
        let answer = move |uri: Uri, headers: HeaderMap| {
            let credential = headers
                .get(header::AUTHORIZATION)
                .map(|value| value.to_str().unwrap().to_owned());
            log.lock().unwrap().push((uri.to_string(), credential));
            let told = queue.lock().unwrap().pop_front();
            async move {
                let Some(told) = told else {
                    return (StatusCode::IM_A_TEAPOT, HeaderMap::new(), String::new());
                };
                let headers = told
                    .headers
                    .into_iter()
                    .map(|(name, value)| (name, value.parse().unwrap()))
                    .collect();
                (
                    StatusCode::from_u16(told.status).unwrap(),
                    headers,
                    told.body,
                )
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let settings = TwilioSettings {
            api_base: base.clone(),
            intelligence_base: base.clone(),
            products: ProductSettings::at(&base),
            requests_per_s: 1000,
            accounts,
            ..TwilioSettings::default()
        };
        let accounts = settings.resolve(Path::new("/")).unwrap();
        let client = TwilioClient::new(&accounts).unwrap();
        Self {
            accounts,
            client,
            asked,
            answers,
        }
    }

    pub(super) fn tells(&self, status: u16, body: impl Into<String>) -> &Self {
        self.answers.lock().unwrap().push_back(Told {
            status,
            headers: Vec::new(),
            body: body.into(),
        });
        self
    }

    /// Drops answers that nobody asked for.
    pub(super) fn forgets(&self) {
        self.answers.lock().unwrap().clear();
    }

    pub(super) fn account(&self) -> &Account {
        self.accounts.get(&sid()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|(uri, _)| uri.clone())
            .collect()
    }

    async fn failure(&self) -> RestError {
        self.client
            .recording(self.account(), &recording(), false)
            .await
            .unwrap_err()
    }
}

fn resource() -> Value {
    json!({
        "sid": recording(), "account_sid": sid(), "call_sid": format!("CA{}", "3".repeat(32)), "conference_sid": null,
        "status": "completed", "duration": "27", "channels": 2, "source": "Trunking", "error_code": null,
        "start_time": "Tue, 28 May 2019 02:18:02 +0000", "date_created": "Tue, 28 May 2019 04:18:02 +0200",
        "media_url": "http://api.twilio.com/x", "encryption_details": null, "price": "-0.00250", "something_new": [1],
    })
}

#[tokio::test]
async fn each_failure_says_what_can_be_done() {
    let other = Other::start().await;
    let refused = |status, code| RestError::Refused { status, code };
    for (status, body, error) in [
        (404, r#"{"code":20404}"#, RestError::NotFound),
        (
            429,
            r#"{"code":20429}"#,
            RestError::Throttled { retry_after: None },
        ),
        (
            500,
            "",
            RestError::Transient {
                cause: TransientFailure::Status(500),
            },
        ),
        (
            408,
            "",
            RestError::Transient {
                cause: TransientFailure::Status(408),
            },
        ),
        (401, r#"{"code":20003}"#, refused(401, Some(20003))),
        (409, "<xml/>", refused(409, None)),
        (302, "", refused(302, None)),
        (
            200,
            "{",
            RestError::Shape("its JSON is not of the documented form"),
        ),
        (
            200,
            "[]",
            RestError::Shape("its JSON is not of the documented form"),
        ),
    ] {
        assert_eq!(
            other.tells(status, body).failure().await,
            error,
            "{status} {body}"
        );
    }
    let told = Told {
        status: 429,
        headers: vec![(header::RETRY_AFTER, "7")],
        body: String::new(),
    };
    other.answers.lock().unwrap().push_back(told);
    assert_eq!(
        other.failure().await,
        RestError::Throttled {
            retry_after: Some(Duration::from_secs(7))
        }
    );
    assert!(other.asked.lock().unwrap().iter().all(|(_, credential)| {
        credential
            .as_ref()
            .is_some_and(|told| told.starts_with("Basic "))
    }));
}

#[tokio::test]
async fn metadata_of_another_recording_is_refused() {
    let other = Other::start().await;
    for (field, value) in [
        ("sid", format!("RE{}", "9".repeat(32))),
        ("account_sid", format!("AC{}", "9".repeat(32))),
    ] {
        let mut wrong = resource();
        wrong[field] = value.into();
        assert_eq!(
            other.tells(200, wrong.to_string()).failure().await,
            RestError::Shape("the answer is about another recording")
        );
    }
    other.tells(200, resource().to_string());
    let read = other
        .client
        .recording(other.account(), &recording(), true)
        .await
        .unwrap();
    assert_eq!(
        (read.duration, read.channels, read.source.as_deref()),
        (Some(27), Some(2), Some("Trunking"))
    );
    assert_eq!(read.start_time, read.date_created);
    let path = format!(
        "/2010-04-01/Accounts/{}/Recordings/{}.json?IncludeSoftDeleted=true",
        sid(),
        recording()
    );
    assert_eq!(other.asked().last(), Some(&path));
}

#[tokio::test]
async fn a_subaccount_asks_for_recordings_with_its_parents_credential_and_for_transcripts_with_its_own()
 {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let child: AccountSid = format!("AC{}", "2".repeat(32)).parse().unwrap();
    let parent = AccountSettings::new(sid(), vec![SecretText::new("hunter2".into())]);
    let sub = AccountSettings {
        parent: Some(sid()),
        ..AccountSettings::new(child.clone(), vec![SecretText::new("swordfish".into())])
    };
    let other = Other::with(vec![parent, sub]).await;
    let account = other.accounts.get(&child).unwrap();
    let parents = format!("{}:hunter2", sid());
    let own = format!("{child}:swordfish");
    let transcript = format!("GT{}", "4".repeat(32)).parse().unwrap();
    let _ = other.client.recording(account, &recording(), true).await;
    let _ = other.client.transcriptions_of(account, &recording()).await;
    let _ = other.client.opens_recordings(account).await;
    let _ = other.client.transcripts_of(account, &recording()).await;
    let _ = other.client.transcript(account, &transcript).await;
    let _ = other.client.sentences(account, &transcript, false).await;
    let _ = other.client.delete_transcript(account, &transcript).await;
    let _ = other.client.opens_transcripts(account).await;
    let asked = other.asked.lock().unwrap();
    let by: Vec<_> = asked
        .iter()
        .map(|(_, told)| told.clone().unwrap())
        .collect();
    let basic = |told: &str| format!("Basic {}", STANDARD.encode(told));
    assert_eq!(
        by,
        [[&parents; 3].as_slice(), &[&own; 5]]
            .concat()
            .into_iter()
            .map(|told| basic(told))
            .collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn what_another_accounts_credential_lists_says_nothing() {
    let other = Other::start().await;
    let strange = json!({ "transcripts": [{ "sid": format!("GT{}", "4".repeat(32)), "account_sid": format!("AC{}", "9".repeat(32)) }], "meta": {} });
    other
        .tells(200, strange.to_string())
        .tells(200, strange.to_string());
    assert_eq!(
        other
            .client
            .transcripts_of(other.account(), &recording())
            .await,
        Err(RestError::Shape("a transcript is of another account"))
    );
    assert_eq!(
        other.client.opens_transcripts(other.account()).await,
        Err(RestError::Shape("the transcripts are of another account"))
    );
}

#[tokio::test]
async fn no_failure_shows_a_credential_or_an_address() {
    let other = Other::start().await;
    for (status, body) in [(401, "hunter2"), (500, "hunter2"), (200, "hunter2")] {
        let error = other.tells(status, body).failure().await;
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("hunter2") && !text.contains("127.0.0.1") && !text.contains("Accounts"),
            "{text}"
        );
    }
}

#[test]
fn what_is_not_over_yet_is_in_progress() {
    for (status, told) in [
        ("completed", "completed"),
        ("absent", "absent"),
        ("processing", "in-progress"),
        ("paused", "in-progress"),
        ("new word", "in-progress"),
    ] {
        let mut resource = resource();
        resource["status"] = status.into();
        let resource: RecordingResource = serde_json::from_value(resource).unwrap();
        assert_eq!(resource.to_callback(&sid()).status, told);
    }
}

proptest! {
    #[test]
    fn a_recording_of_any_form_is_read_or_refused(field in "[a-z_]{1,20}", value in arbitrary_json()) {
        let mut changed = resource();
        for name in [field.as_str(), "duration", "channels", "start_time", "source", "media_url", "call_sid"] {
            changed[name] = value.clone();
        }
        if let Ok(read) = serde_json::from_value::<RecordingResource>(changed) {
            let told = read.to_callback(&sid());
            prop_assert!(told.duration_s.is_none_or(|seconds| seconds >= 0));
            prop_assert!(told.channels.is_none_or(|channels| matches!(channels, 1 | 2)));
        }
    }

    #[test]
    fn a_page_of_any_form_is_read_or_refused(mut envelope in arbitrary_json(), next in proptest::option::of(".{0,80}")) {
        let from: Url = "https://api.twilio.com/2010-04-01/x.json?Page=0".parse().unwrap();
        for root in [RestApi::Api, RestApi::Intelligence] {
            let from = ApiUrl { root, url: from.clone() };
            let _ = page::page::<Value>(&mut envelope, "recordings");
            let told = json!({ "next_page_uri": next, "meta": { "next_page_url": next } });
            match page::next(&told, &from) {
                Ok(Some(next)) => prop_assert_eq!((next.url.origin(), next.url.path()), (from.url.origin(), from.url.path())),
                Ok(None) => prop_assert!(next.as_ref().is_none_or(String::is_empty), "{:?}", next),
                Err(_) => {}
            }
        }
    }
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("recordings|[a-z]{1,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
