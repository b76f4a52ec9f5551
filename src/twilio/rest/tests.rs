//! The REST client against a server that answers as it is told: each failure, lists that end and
//! lists that lead astray.

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

pub(super) struct Told {
    status: u16,
    headers: Vec<(header::HeaderName, &'static str)>,
    body: String,
}

/// Address and credential.
type Request = (String, Option<String>);

/// A server that answers in order, and remembers what it was asked.
pub(super) struct Other {
    accounts: Accounts,
    pub(super) client: Client,
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
        let settings = Settings {
            api_base: base.clone(),
            intelligence_base: base,
            requests_per_s: 1000,
            accounts,
            ..Settings::default()
        };
        let accounts = settings.resolve(Path::new("/")).unwrap();
        let client = Client::new(&accounts).unwrap();
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
                cause: Hiccup::Status(500),
            },
        ),
        (
            408,
            "",
            RestError::Transient {
                cause: Hiccup::Status(408),
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
            RestError::Shape("the recording is another one")
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
async fn a_list_is_walked_to_its_end_by_the_pages_that_the_other_side_names() {
    let other = Other::start().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings.json", sid());
    let next = format!("{path}?PageSize=1&Page=1&PageToken=PARE1");
    other.tells(
        200,
        json!({ "recordings": [resource()], "next_page_uri": next }).to_string(),
    );
    other.tells(
        200,
        json!({ "recordings": [], "next_page_uri": null }).to_string(),
    );
    let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let listing = Listing {
        since,
        until: Some(since),
        page_size: 1,
        with_deleted: false,
    };
    let mut pages = other.client.recordings(other.account(), &listing);
    let first = pages
        .next(&other.client, other.account())
        .await
        .unwrap()
        .unwrap();
    let second = pages
        .next(&other.client, other.account())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((first.items.len(), second.items.len()), (1, 0));
    assert!(
        pages
            .next(&other.client, other.account())
            .await
            .unwrap()
            .is_none()
    );
    let range = "DateCreated%3E=2026-01-01T00%3A00%3A00Z&DateCreated%3C=2026-01-01T00%3A00%3A00Z";
    assert_eq!(other.asked(), [format!("{path}?PageSize=1&{range}"), next]);
}

#[tokio::test]
async fn a_list_that_leads_elsewhere_or_nowhere_is_left() {
    let other = Other::start().await;
    let path = format!(
        "/2010-04-01/Accounts/{}/Recordings/{}/Transcriptions.json",
        sid(),
        recording()
    );
    let own = format!("{path}?PageSize=100");
    for (next, why) in [
        ("http://evil.example/x", "the next page is elsewhere"),
        (
            "/2010-04-01/Accounts/ACother/Transcriptions.json",
            "the next page is elsewhere",
        ),
        ("http://[", "the next page has no readable address"),
        (own.as_str(), "the list leads back to a page that was read"),
    ] {
        other.tells(
            200,
            json!({ "transcriptions": [], "next_page_uri": next }).to_string(),
        );
        assert_eq!(
            other
                .client
                .transcriptions_of(other.account(), &recording())
                .await
                .unwrap_err(),
            RestError::Shape(why),
            "{next}"
        );
    }
    other.tells(200, "{}");
    let none = other
        .client
        .transcriptions_of(other.account(), &recording())
        .await
        .unwrap_err();
    assert_eq!(none, RestError::Shape("the list is not in its envelope"));
    for page in 0..50 {
        other.tells(
            200,
            json!({ "transcriptions": [], "next_page_uri": format!("{path}?Page={page}") })
                .to_string(),
        );
    }
    let endless = other
        .client
        .transcriptions_of(other.account(), &recording())
        .await
        .unwrap_err();
    assert_eq!(endless, RestError::Shape("the list does not end"));
}

#[tokio::test]
async fn a_list_of_the_other_envelope_is_walked_on_our_root_whatever_it_calls_itself() {
    let other = Other::start().await;
    let next = "https://intelligence.twilio.com/v2/Transcripts?PageSize=100&Page=1&PageToken=x";
    let transcript = json!({ "sid": format!("GT{}", "4".repeat(32)), "status": "completed" });
    other.tells(
        200,
        json!({ "transcripts": [transcript], "meta": { "next_page_url": next } }).to_string(),
    );
    other.tells(
        200,
        json!({ "transcripts": [transcript], "meta": { "next_page_url": null } }).to_string(),
    );
    assert_eq!(
        other
            .client
            .transcripts_of(other.account(), &recording())
            .await
            .unwrap()
            .items
            .len(),
        2
    );
    assert_eq!(
        other.asked().last().unwrap(),
        "/v2/Transcripts?PageSize=100&Page=1&PageToken=x"
    );
}

#[tokio::test]
async fn only_nothing_is_the_end_of_a_list() {
    let other = Other::start().await;
    let transcriptions = format!(
        "/2010-04-01/Accounts/{}/Recordings/{}/Transcriptions.json",
        sid(),
        recording()
    );
    let base = other.accounts.iter().next().unwrap().own_url("").url;
    // Absolute, on the same root: some peers say it so.
    let absolute = base.join(&format!("{transcriptions}?Page=1")).unwrap();
    other.tells(
        200,
        json!({ "transcriptions": [], "next_page_uri": absolute.as_str() }).to_string(),
    );
    other.tells(
        200,
        json!({ "transcriptions": [], "next_page_uri": "" }).to_string(),
    );
    assert_eq!(
        other
            .client
            .transcriptions_of(other.account(), &recording())
            .await,
        Ok(List::default())
    );
    assert_eq!(
        other.asked().last().unwrap(),
        &format!("{transcriptions}?Page=1")
    );
    for end in [
        json!({}),
        json!({ "next_page_url": null }),
        json!({ "next_page_url": "" }),
    ] {
        other.tells(200, json!({ "transcripts": [], "meta": end }).to_string());
        assert_eq!(
            other
                .client
                .transcripts_of(other.account(), &recording())
                .await,
            Ok(List::default()),
            "{end}"
        );
    }
    let unreadable = "the next page has no readable address";
    for (meta, why) in [
        (
            json!({ "next_page_url": "/v2/Transcripts?PageSize=100&Page=1&PageToken=x" }),
            unreadable,
        ),
        (json!({ "next_page_url": 7 }), unreadable),
        (
            json!({ "next_page_url": "https://intelligence.twilio.com/v2/Services?Page=1" }),
            "the next page is elsewhere",
        ),
        (json!(null), "the list is not in its envelope"),
    ] {
        other.tells(200, json!({ "transcripts": [], "meta": meta }).to_string());
        let told = other
            .client
            .transcripts_of(other.account(), &recording())
            .await;
        assert_eq!(told, Err(RestError::Shape(why)), "{meta}");
    }
    other.tells(
        200,
        json!({ "transcriptions": [], "next_page_uri": 7 }).to_string(),
    );
    assert_eq!(
        other
            .client
            .transcriptions_of(other.account(), &recording())
            .await,
        Err(RestError::Shape(unreadable))
    );
}

#[tokio::test]
async fn a_list_that_goes_round_or_on_for_ever_ends_with_an_error_behind_what_was_told() {
    let other = Other::start().await;
    let path = format!("/2010-04-01/Accounts/{}/Recordings.json", sid());
    let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let listing = Listing {
        since,
        until: None,
        page_size: 1,
        with_deleted: false,
    };
    // There and back.
    for to in ["1", "2", "1"] {
        other.tells(
            200,
            json!({ "recordings": [resource()], "next_page_uri": format!("{path}?Page={to}") })
                .to_string(),
        );
    }
    let mut pages = other.client.recordings(other.account(), &listing);
    for _ in 0..3 {
        assert_eq!(
            pages
                .next(&other.client, other.account())
                .await
                .unwrap()
                .unwrap()
                .items
                .len(),
            1
        );
    }
    let circle = RestError::Shape("the list leads back to a page that was read");
    assert_eq!(
        pages
            .next(&other.client, other.account())
            .await
            .unwrap_err(),
        circle
    );
    // Always another one, and nothing on it.
    let before = other.asked().len();
    for page in 0..60 {
        other.tells(
            200,
            json!({ "recordings": [], "next_page_uri": format!("{path}?Page={page}") }).to_string(),
        );
    }
    let mut pages = other.client.recordings(other.account(), &listing);
    let endless = loop {
        match pages.next(&other.client, other.account()).await {
            Ok(page) => assert!(page.unwrap().items.is_empty()),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (endless, other.asked().len() - before),
        (RestError::Shape("the list does not end"), 50)
    );
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
        assert_eq!(resource.told(&sid()).status, told);
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
            let told = read.told(&sid());
            prop_assert!(told.duration_s.is_none_or(|seconds| seconds >= 0));
            prop_assert!(told.channels.is_none_or(|channels| matches!(channels, 1 | 2)));
        }
    }

    #[test]
    fn a_page_of_any_form_is_read_or_refused(mut envelope in arbitrary_json(), next in proptest::option::of(".{0,80}")) {
        let from: Url = "https://api.twilio.com/2010-04-01/x.json?Page=0".parse().unwrap();
        for root in [Root::Api, Root::Intelligence] {
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
