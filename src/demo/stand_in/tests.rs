//! The media client against the stand-in, with all its faults.

mod accounts;
mod asking;
mod chatting;
mod deleting;
mod encrypted;
mod filming;
mod going_wrong;
mod listing;
mod messaging;
mod people;
mod redirecting;
mod running;
mod telling;
mod transcripts;

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::*;
use crate::{
    demo::conversation::{Channels, WAV, mix_to_mono, repeat_to},
    twilio::{
        FetchError, FetchRefusal, TransientFailure, TwilioClient,
        account::Accounts,
        callback::RecordingCallback,
        signature::{self, Delivery, SignedRequest},
    },
};

const KEY_SECRET: &str = "key-secret";

/// A stand-in with one account and the conversation, and a client for it.
struct Story {
    twilio: StandIn,
    accounts: Accounts,
    client: TwilioClient,
    account: AccountSid,
    recording: RecordingSid,
}

fn account_sid() -> AccountSid {
    format!("AC{}", "0".repeat(32)).parse().unwrap()
}

fn recording_sid(digit: char) -> RecordingSid {
    format!("RE{}", String::from(digit).repeat(32))
        .parse()
        .unwrap()
}

impl Story {
    async fn begin() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut TwilioSettings)) -> Self {
        let account = account_sid();
        let api_key = Some((format!("SK{}", "a".repeat(32)), KEY_SECRET.to_owned()));
        let twilio = StandIn::start(vec![StandInAccount {
            api_key,
            ..StandInAccount::new(account.clone(), "token")
        }])
        .await
        .unwrap();
        let recording = recording_sid('1');
        twilio.add_recording(&account, recording.clone(), Bytes::from_static(WAV));
        let mut settings = twilio.settings();
        change(&mut settings);
        let accounts = settings.resolve(Path::new("/")).unwrap();
        let client = TwilioClient::new(&accounts).unwrap();
        Self {
            twilio,
            accounts,
            client,
            account,
            recording,
        }
    }

    fn fail(&self, fault: MediaFault) -> &Self {
        self.twilio.fail(&self.recording, fault);
        self
    }

    async fn fetch(&self, channels: Option<i64>) -> Result<Vec<u8>, FetchError> {
        let account = self.accounts.get(&self.account).unwrap();
        let media = self
            .client
            .media(account, &self.recording, channels)
            .await?;
        let chunks: Vec<_> = media.body.try_collect().await?;
        Ok(chunks.concat())
    }

    async fn failure(&self) -> FetchError {
        self.fetch(Some(2)).await.unwrap_err()
    }
}

fn is_broken(error: &FetchError) -> bool {
    matches!(
        error,
        FetchError::Transient {
            cause: TransientFailure::Broken { .. }
        }
    )
}

#[tokio::test]
async fn a_recording_comes_whole() {
    let story = Story::begin().await;
    let account = story.accounts.get(&story.account).unwrap();
    let media = story
        .client
        .media(account, &story.recording, None)
        .await
        .unwrap();
    assert_eq!(media.content_length, Some(WAV.len() as u64));
    assert!(story.fetch(Some(2)).await.unwrap() == WAV);
    assert!(story.fetch(Some(1)).await.unwrap() == mix_to_mono(WAV).unwrap());
    assert_eq!(
        (
            story.twilio.media_requests(),
            story.twilio.unauthorised_requests()
        ),
        (3, 0)
    );
}

#[tokio::test]
async fn a_mono_recording_comes_after_the_refusal_of_two_channels() {
    let story = Story::begin().await;
    let mono = repeat_to(2, Channels::Mono);
    story
        .twilio
        .add_recording(&story.account, story.recording.clone(), mono.clone().into());
    assert!(story.fetch(None).await.unwrap() == mono);
    assert_eq!(story.twilio.media_requests(), 2);
    assert!(story.fetch(Some(1)).await.unwrap() == mono);
    assert_eq!(story.twilio.media_requests(), 3);
}

#[tokio::test]
async fn an_account_without_an_api_key_fetches_with_its_token() {
    let story = Story::with(|settings| {
        settings.accounts[0].api_key_sid = None;
        settings.accounts[0].api_key_secret = None;
    })
    .await;
    assert!(story.fetch(None).await.is_ok());
}

#[tokio::test]
async fn a_wrong_credential_is_refused() {
    let story = Story::with(|settings| {
        settings.accounts[0].api_key_secret = Some(SecretText::new("other".into()))
    })
    .await;
    assert_eq!(story.failure().await, FetchRefusal::Credential(401).into());
    assert_eq!(story.twilio.unauthorised_requests(), 1);
}

#[tokio::test]
async fn a_recording_that_is_not_there_is_not_there_yet() {
    let story = Story::begin().await;
    story.fail(MediaFault::NotYet { times: 2 });
    assert_eq!(story.failure().await, FetchError::NotYet);
    assert_eq!(story.failure().await, FetchError::NotYet);
    assert!(story.fetch(None).await.is_ok());
    story.twilio.remove_recording(&story.recording);
    assert_eq!(story.failure().await, FetchError::NotYet);
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let story = Story::begin().await;
    story
        .fail(MediaFault::TooMany {
            retry_after: Some(7),
        })
        .fail(MediaFault::TooMany { retry_after: None });
    assert_eq!(
        story.failure().await,
        FetchError::Throttled {
            retry_after: Some(Duration::from_secs(7))
        }
    );
    assert_eq!(
        story.failure().await,
        FetchError::Throttled { retry_after: None }
    );
    assert!(story.fetch(None).await.is_ok());
}

#[tokio::test]
async fn a_server_error_is_transient() {
    let story = Story::begin().await;
    story.fail(MediaFault::ServerError { times: 1 });
    assert_eq!(story.failure().await, TransientFailure::Status(500).into());
    assert!(story.fetch(None).await.is_ok());
}

#[tokio::test]
async fn nobody_listening_is_transient() {
    let story = Story::with(|settings| settings.api_base = "http://127.0.0.1:1".into()).await;
    assert_eq!(story.failure().await, TransientFailure::Connect.into());
}

#[tokio::test]
async fn a_slow_body_comes_whole_and_a_silent_one_is_given_up() {
    let story = Story::with(|settings| settings.read_idle_timeout_ms = 200).await;
    story.fail(MediaFault::SlowBody {
        bytes: WAV.len() / 4,
        every: Duration::from_millis(1),
    });
    assert!(story.fetch(None).await.unwrap() == WAV);
    story.fail(MediaFault::SlowBody {
        bytes: WAV.len() / 2,
        every: Duration::from_secs(3600),
    });
    assert_eq!(story.failure().await, TransientFailure::Silence.into());
}

#[tokio::test]
async fn a_cut_body_is_an_error_wherever_it_is_cut() {
    let story = Story::begin().await;
    for at in [0, 1, 11, 12, 44, WAV.len() / 2, WAV.len() - 1] {
        story.fail(MediaFault::CutBody { at });
        let error = story.failure().await;
        assert!(is_broken(&error), "{at}: {error:?}");
    }
    story.fail(MediaFault::CutBody { at: 100_000 });
    let account = story.accounts.get(&story.account).unwrap();
    let mut body = story
        .client
        .media(account, &story.recording, None)
        .await
        .unwrap()
        .body;
    let received: Vec<_> = (&mut body).collect().await;
    assert!(received.last().unwrap().is_err());
    assert!(received[..received.len() - 1].iter().all(Result::is_ok));
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn the_length_that_http_says_decides_whether_a_body_is_whole() {
    let story = Story::begin().await;
    story.fail(MediaFault::WrongLength {
        claim: WAV.len() as u64 + 1,
    });
    assert!(is_broken(&story.failure().await));
    for claim in [WAV.len() - 1, WAV.len() / 2] {
        // HTTP states that these bytes are all; a longer length in the file's header is only
        // recorded.
        story.fail(MediaFault::WrongLength {
            claim: claim as u64,
        });
        assert!(story.fetch(Some(2)).await.unwrap() == WAV[..claim]);
    }
}

#[tokio::test]
async fn an_error_document_is_not_sound() {
    let story = Story::begin().await;
    story
        .fail(MediaFault::XmlErrorBody)
        .fail(MediaFault::WrongContentType {
            value: "text/html; charset=utf-8".into(),
        })
        .fail(MediaFault::NotRiff);
    let content_type = |found: &str| {
        FetchRefusal::ContentType {
            expected: "audio",
            found: found.into(),
        }
        .into()
    };
    assert_eq!(story.failure().await, content_type("application/xml"));
    assert_eq!(story.failure().await, content_type("text/html"));
    let error = story.failure().await;
    assert_eq!(error, FetchRefusal::NotRiff.into());
    assert!(error.to_string().contains("customer key"));
    story.fail(MediaFault::WrongContentType {
        value: "Audio/Wav".into(),
    });
    assert!(story.fetch(None).await.is_ok());
}

#[tokio::test]
async fn no_failure_shows_a_credential() {
    let story = Story::begin().await;
    for fault in [
        MediaFault::NotYet { times: 1 },
        MediaFault::ServerError { times: 1 },
        MediaFault::CutBody { at: 5 },
        MediaFault::NotRiff,
    ] {
        let text = { story.fail(fault).failure().await };
        let text = format!("{text} {text:?} {:?}", story.client);
        for secret in [KEY_SECRET, "token", "RequestedChannels"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn faults_of_a_recording_come_before_faults_of_any() {
    let story = Story::begin().await;
    story.twilio.fail_any(MediaFault::NotRiff);
    story
        .fail(MediaFault::NotYet { times: 0 })
        .fail(MediaFault::XmlErrorBody);
    assert!(matches!(
        story.failure().await,
        FetchError::Refused {
            cause: FetchRefusal::ContentType { .. }
        }
    ));
    assert_eq!(story.failure().await, FetchRefusal::NotRiff.into());
    assert!(story.fetch(None).await.is_ok());
}

#[tokio::test]
async fn metadata_has_twilios_fields() {
    let story = Story::begin().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!(
        "{}/2010-04-01/Accounts/{}/Recordings/{}.json",
        story.twilio.base_url(),
        story.account,
        story.recording
    );
    let metadata: serde_json::Value = http
        .get(&url)
        .basic_auth(&story.account, Some("token"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(metadata["sid"], story.recording.as_str());
    assert_eq!(
        (&metadata["duration"], &metadata["channels"]),
        (&"27".into(), &2.into())
    );
    assert_eq!(metadata["status"], "completed");

    let refused = http.get(&url).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let absent = http
        .get(url.replace(".json", "x.json"))
        .basic_auth(&story.account, Some("token"))
        .send()
        .await
        .unwrap();
    assert_eq!(absent.status(), 404);
    assert_eq!(
        absent.json::<serde_json::Value>().await.unwrap()["code"],
        20404
    );
    assert_eq!(story.twilio.media_requests(), 0);
}

#[tokio::test]
async fn its_callbacks_verify_and_parse() {
    let story = Story::begin().await;
    for (configured, public) in [
        (
            "https://vault.example.com/twilio/recordings?tag=a",
            "https://vault.example.com",
        ),
        (
            "https://vault.example.com:8443/twilio/recordings?tag=a",
            "https://vault.example.com:8443",
        ),
        (
            "http://127.0.0.1:8080/twilio/recordings?tag=a#rc=3",
            "http://127.0.0.1:8080",
        ),
    ] {
        let params = story.twilio.callback_params(&story.recording, "completed");
        let signed = story.twilio.callback(&story.account, configured, &params);
        let request = SignedRequest {
            path_and_query: "/twilio/recordings?tag=a",
            signature: Some(&signed.signature),
            settings: None,
            delivery: Delivery::Body {
                content_type: Some("application/x-www-form-urlencoded"),
                bytes: signed.body.as_bytes(),
            },
        };
        let verified =
            signature::verify(&story.accounts, &public.parse().unwrap(), &request).unwrap();
        let callback = RecordingCallback::parse(&verified).unwrap();
        assert_eq!(callback.source_ref.sid(), story.recording.as_str());
        assert_eq!(
            (callback.duration_s, callback.channels),
            (Some(27), Some(2))
        );
        assert!(callback.call.is_some() && callback.started_at.is_some());
        assert_eq!(callback.query, [("tag".to_owned(), "a".to_owned())]);
    }
}

#[tokio::test]
async fn a_posted_callback_arrives_signed() {
    let story = Story::begin().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let receiver = server::start(|_| {
        axum::Router::new().route(
            "/twilio/recordings",
            axum::routing::post(
                async move |uri: axum::http::Uri, headers: axum::http::HeaderMap, body: Bytes| {
                    sender.send((uri.to_string(), headers, body)).unwrap();
                    axum::http::StatusCode::NO_CONTENT
                },
            ),
        )
    })
    .await
    .unwrap();
    let url = format!("{}/twilio/recordings?tag=it's", receiver.base_url());
    let response = story
        .twilio
        .post_callback(&http, &url, &recording_sid('9'), "absent")
        .await
        .unwrap();
    assert_eq!(response.status(), 204);

    let (uri, headers, body) = received.recv().await.unwrap();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    let delivery = Delivery::Body {
        content_type: text("content-type"),
        bytes: &body,
    };
    let request = SignedRequest {
        path_and_query: &uri,
        signature: text(signature::HEADER),
        settings: None,
        delivery,
    };
    let verified = signature::verify(
        &story.accounts,
        &receiver.base_url().parse().unwrap(),
        &request,
    )
    .unwrap();
    let callback = RecordingCallback::parse(&verified).unwrap();
    assert_eq!(
        (
            callback.status.as_str(),
            callback.error_code,
            callback.duration_s
        ),
        ("absent", Some(16101), None)
    );
    assert_eq!(*callback.source_ref.account(), story.account);
}

#[tokio::test]
async fn a_dropped_stand_in_is_gone() {
    let story = Story::begin().await;
    let address = story
        .twilio
        .base_url()
        .trim_start_matches("http://")
        .to_owned();
    drop(story.twilio);
    let gone = async {
        while tokio::net::TcpStream::connect(&address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}
