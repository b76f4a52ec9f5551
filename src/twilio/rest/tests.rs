//! The REST client against a server that answers as it is told: each failure, lists that end and lists that lead astray.

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
    model::{
        sid::{AccountSid, RecordingSid},
        time::Timestamp,
    },
    secret::SecretText,
    twilio::account::{AccountSettings, Accounts, Settings},
};

struct Told {
    status: u16,
    headers: Vec<(header::HeaderName, &'static str)>,
    body: String,
}

/// A server that answers in order, and remembers what it was asked.
struct Other {
    accounts: Accounts,
    client: Client,
    asked: Arc<Mutex<Vec<(String, bool)>>>,
    answers: Arc<Mutex<VecDeque<Told>>>,
}

fn sid() -> AccountSid {
    format!("AC{}", "1".repeat(32)).parse().unwrap()
}

fn recording() -> RecordingSid {
    format!("RE{}", "2".repeat(32)).parse().unwrap()
}

impl Other {
    #[expect(clippy::disallowed_methods, reason = "the test's own server, which ends with the test's runtime")]
    async fn start() -> Self {
        let (asked, answers) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<VecDeque<Told>>>::default());
        let (log, queue) = (Arc::clone(&asked), Arc::clone(&answers));
        let answer = move |uri: Uri, headers: HeaderMap| {
            let credential = headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"Basic "));
            log.lock().unwrap().push((uri.to_string(), credential));
            let told = queue.lock().unwrap().pop_front();
            async move {
                let Some(told) = told else { return (StatusCode::IM_A_TEAPOT, HeaderMap::new(), String::new()) };
                let headers = told.headers.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
                (StatusCode::from_u16(told.status).unwrap(), headers, told.body)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        let account = AccountSettings::new(sid(), vec![SecretText::new("hunter2".into())]);
        let settings = Settings {
            api_base: base.clone(),
            intelligence_base: base,
            requests_per_s: 1000,
            accounts: vec![account],
            ..Settings::default()
        };
        let accounts = settings.resolve(Path::new("/")).unwrap();
        let client = Client::new(&accounts).unwrap();
        Self { accounts, client, asked, answers }
    }

    fn tells(&self, status: u16, body: impl Into<String>) -> &Self {
        self.answers.lock().unwrap().push_back(Told { status, headers: Vec::new(), body: body.into() });
        self
    }

    fn account(&self) -> &Account {
        self.accounts.get(&sid()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(uri, _)| uri.clone()).collect()
    }

    async fn failure(&self) -> RestError {
        self.client.recording(self.account(), &recording(), false).await.unwrap_err()
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
        (429, r#"{"code":20429}"#, RestError::Throttled { retry_after: None }),
        (500, "", RestError::Transient { cause: Hiccup::Status(500) }),
        (408, "", RestError::Transient { cause: Hiccup::Status(408) }),
        (401, r#"{"code":20003}"#, refused(401, Some(20003))),
        (409, "<xml/>", refused(409, None)),
        (302, "", refused(302, None)),
        (200, "{", RestError::Shape("its JSON is not of the documented form")),
        (200, "[]", RestError::Shape("its JSON is not of the documented form")),
    ] {
        assert_eq!(other.tells(status, body).failure().await, error, "{status} {body}");
    }
    let told = Told { status: 429, headers: vec![(header::RETRY_AFTER, "7")], body: String::new() };
    other.answers.lock().unwrap().push_back(told);
    assert_eq!(other.failure().await, RestError::Throttled { retry_after: Some(Duration::from_secs(7)) });
    assert!(other.asked.lock().unwrap().iter().all(|(_, credential)| *credential));
}

#[tokio::test]
async fn metadata_of_another_recording_is_refused() {
    let other = Other::start().await;
    for (field, value) in [("sid", format!("RE{}", "9".repeat(32))), ("account_sid", format!("AC{}", "9".repeat(32)))] {
        let mut wrong = resource();
        wrong[field] = value.into();
        assert_eq!(other.tells(200, wrong.to_string()).failure().await, RestError::Shape("the recording is another one"));
    }
    other.tells(200, resource().to_string());
    let read = other.client.recording(other.account(), &recording(), true).await.unwrap();
    assert_eq!((read.duration, read.channels, read.source.as_deref()), (Some(27), Some(2), Some("Trunking")));
    assert_eq!(read.start_time, read.date_created);
    let path = format!("/2010-04-01/Accounts/{}/Recordings/{}.json?IncludeSoftDeleted=true", sid(), recording());
    assert_eq!(other.asked().last(), Some(&path));
}

#[tokio::test]
async fn a_list_is_walked_to_its_end_by_the_pages_that_the_other_side_names() {
    let other = Other::start().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings.json", sid());
    let next = format!("{path}?PageSize=1&Page=1&PageToken=PARE1");
    other.tells(200, json!({ "recordings": [resource()], "next_page_uri": next }).to_string());
    other.tells(200, json!({ "recordings": [], "next_page_uri": null }).to_string());
    let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let listing = Listing { since, until: Some(since), page_size: 1, with_deleted: false };
    let first = other.client.recordings(other.account(), &listing).await.unwrap();
    let second = other.client.more_recordings(other.account(), first.next.unwrap()).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next.is_none()), (1, 0, true));
    let range = "DateCreated%3E=2026-01-01T00%3A00%3A00Z&DateCreated%3C=2026-01-01T00%3A00%3A00Z";
    assert_eq!(other.asked(), [format!("{path}?PageSize=1&{range}"), next]);
}

#[tokio::test]
async fn a_list_that_leads_elsewhere_or_nowhere_is_left() {
    let other = Other::start().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings/{}/Transcriptions.json", sid(), recording());
    let own = format!("{path}?PageSize=100");
    for (next, why) in [
        ("http://evil.example/x", "the next page is elsewhere"),
        ("/2010-04-01/Accounts/ACother/Transcriptions.json", "the next page is elsewhere"),
        ("http://[", "the next page has no readable address"),
        (own.as_str(), "the next page is this page"),
    ] {
        other.tells(200, json!({ "transcriptions": [], "next_page_uri": next }).to_string());
        assert_eq!(other.client.transcriptions_of(other.account(), &recording()).await.unwrap_err(), RestError::Shape(why), "{next}");
    }
    other.tells(200, "{}");
    let none = other.client.transcriptions_of(other.account(), &recording()).await.unwrap_err();
    assert_eq!(none, RestError::Shape("the list is not in its envelope"));
    for page in 0..50 {
        other.tells(200, json!({ "transcriptions": [], "next_page_uri": format!("{path}?Page={page}") }).to_string());
    }
    let endless = other.client.transcriptions_of(other.account(), &recording()).await.unwrap_err();
    assert_eq!(endless, RestError::Shape("the list does not end"));
}

#[tokio::test]
async fn a_list_of_the_other_envelope_is_walked_on_our_root_whatever_it_calls_itself() {
    let other = Other::start().await;
    let next = "https://intelligence.twilio.com/v2/Transcripts?PageSize=100&Page=1&PageToken=x";
    let transcript = json!({ "sid": format!("GT{}", "4".repeat(32)), "status": "completed" });
    other.tells(200, json!({ "transcripts": [transcript], "meta": { "next_page_url": next } }).to_string());
    other.tells(200, json!({ "transcripts": [transcript], "meta": { "next_page_url": null } }).to_string());
    assert_eq!(other.client.transcripts_of(other.account(), &recording()).await.unwrap().len(), 2);
    assert_eq!(other.asked().last().unwrap(), "/v2/Transcripts?PageSize=100&Page=1&PageToken=x");
}

#[tokio::test]
async fn no_failure_shows_a_credential_or_an_address() {
    let other = Other::start().await;
    for (status, body) in [(401, "hunter2"), (500, "hunter2"), (200, "hunter2")] {
        let error = other.tells(status, body).failure().await;
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2") && !text.contains("127.0.0.1") && !text.contains("Accounts"), "{text}");
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
        assert_eq!(resource.told().status, told);
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
            let told = read.told();
            prop_assert!(told.duration_s.is_none_or(|seconds| seconds >= 0));
            prop_assert!(told.channels.is_none_or(|channels| matches!(channels, 1 | 2)));
        }
    }

    #[test]
    fn a_page_of_any_form_is_read_or_refused(mut envelope in arbitrary_json(), next in proptest::option::of(".{0,80}")) {
        let from: Url = "https://api.twilio.com/2010-04-01/x.json?Page=0".parse().unwrap();
        if let Ok(page) = page::page::<Value>(&mut envelope, "recordings", next.as_deref(), &from) {
            if let Some(next) = page.next {
                prop_assert_eq!(next.into_url().origin(), from.origin());
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
