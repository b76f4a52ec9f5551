//! Twilio stores recordings in the customer's bucket: they are fetched from there with the bucket's
//! own credentials, and from nowhere else.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use recvault::{
    demo::{conversation, stand_in::Call},
    model::{id::RecordingId, sid::RecordingSid},
    twilio::{TwilioClient, account::TwilioSettings, media::BucketDeleteError},
};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{
    s3_server::{self, S3Server},
    world::{Recipe, Recorded, TestVault, digits},
};

/// `[[twilio.buckets]]` for a folder in the server's bucket.
pub(crate) fn configured(endpoint: &str, s3: &S3Server, secret: &str) -> String {
    format!(
        "[[twilio.buckets]]\nurl_prefix = \"{endpoint}/{}/recordings/\"\nregion = \"us-east-1\"\naccess_key_id = \"{}\"\n\
         secret_access_key = \"{secret}\"\nallow_http = true\n",
        s3.bucket, s3.access_key
    )
}

async fn vault(home: String) -> TestVault {
    Recipe {
        home,
        ..Recipe::default()
    }
    .by_hand()
    .await
}

/// Adds a recording that Twilio reports at this address.
pub(crate) fn record(vault: &TestVault, address: &str) -> Recorded {
    let sid: RecordingSid = format!("RE{}", digits()).parse().unwrap();
    vault
        .stand_in
        .add_external_recording(&vault.account, sid.clone(), conversation::WAV, address);
    let id = RecordingId::of_source(vault.made.vault, vault.account.as_str(), sid.as_str());
    Recorded {
        sid,
        id,
        wav: Bytes::from_static(conversation::WAV),
    }
}

/// Stores the file as Twilio does.
pub(crate) fn put(s3: &S3Server, name: &str) {
    let file = s3.root().join(s3.bucket).join("recordings").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, conversation::WAV).unwrap();
}

async fn told_of(vault: &TestVault, recorded: &Recorded) {
    assert_eq!(vault.tell(recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 1);
}

async fn is_set_aside(vault: &TestVault, recorded: &Recorded, why: &str) -> String {
    let (id, told) = vault.dead().await.expect("it is set aside");
    assert_eq!(id, recorded.id.to_string());
    assert!(told.contains(why), "{told}, not: {why}");
    vault.holds_nothing_of(recorded.id).await;
    told
}

#[tokio::test]
async fn what_twilio_stored_in_the_teams_bucket_is_fetched_from_there() {
    let s3 = s3_server::start();
    let vault = vault(configured(&s3.endpoint, &s3, s3.secret_key)).await;
    let recorded = record(
        &vault,
        &format!("{}/{}/recordings/AC0/one.wav", s3.endpoint, s3.bucket),
    );
    put(&s3, "AC0/one.wav");
    told_of(&vault, &recorded).await;
    vault.plays(&recorded).await;
    assert_eq!(vault.stand_in.requests(Call::RecordingFetch), 1);
}

#[tokio::test]
async fn an_object_that_comes_later_than_its_callback_is_waited_for() {
    let s3 = s3_server::start();
    let vault = vault(configured(&s3.endpoint, &s3, s3.secret_key)).await;
    let recorded = record(
        &vault,
        &format!("{}/{}/recordings/late.wav", s3.endpoint, s3.bucket),
    );
    std::fs::create_dir_all(s3.root().join(s3.bucket).join("recordings")).unwrap();
    told_of(&vault, &recorded).await;
    assert_eq!(vault.dead().await, None);
    vault.holds_nothing_of(recorded.id).await;
    put(&s3, "late.wav");
    assert_eq!(vault.later().await, 1);
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn an_object_that_never_comes_is_given_up_by_its_host() {
    let s3 = s3_server::start();
    let vault = vault(configured(&s3.endpoint, &s3, s3.secret_key)).await;
    let recorded = record(
        &vault,
        &format!("{}/{}/recordings/never.wav", s3.endpoint, s3.bucket),
    );
    told_of(&vault, &recorded).await;
    while vault.dead().await.is_none() {
        assert_eq!(vault.later().await, 1);
    }
    is_set_aside(
        &vault,
        &recorded,
        "the object at `127.0.0.1` does not exist yet (404)",
    )
    .await;
}

#[tokio::test]
async fn an_address_that_no_bucket_covers_is_never_asked() {
    let s3 = s3_server::start();
    let vault = vault(configured(&s3.endpoint, &s3, s3.secret_key)).await;
    put(&s3, "one.wav");
    let elsewhere = vault.stand_in.store_elsewhere(
        "/calls/recordings/one.wav",
        Bytes::from_static(conversation::WAV),
    );
    for address in [
        elsewhere,
        format!("{}/{}/other/one.wav", s3.endpoint, s3.bucket),
        format!("{}/{}/recordings/../other/one.wav", s3.endpoint, s3.bucket),
        format!(
            "{}/{}/recordings/one.wav?versionId=1",
            s3.endpoint, s3.bucket
        ),
        "https://evil.example/calls/recordings/one.wav".to_owned(),
    ] {
        let recorded = record(&vault, &address);
        told_of(&vault, &recorded).await;
        let told = is_set_aside(
            &vault,
            &recorded,
            "no `url_prefix` of `twilio.buckets` covers it",
        )
        .await;
        assert!(
            !told.contains("one.wav") && !told.contains("X-Amz") && !told.contains("versionId"),
            "the host alone: {told}"
        );
        assert_eq!(vault.shred(recorded.id).await.status, 200);
        vault.process.flow.worker.work_off().await.unwrap();
    }
    assert_eq!(vault.stand_in.requests_elsewhere(), 0);
}

#[tokio::test]
async fn a_bucket_with_a_wrong_secret_says_which_setting_is_wrong() {
    let s3 = s3_server::start();
    let vault = vault(configured(&s3.endpoint, &s3, "not-the-secret")).await;
    put(&s3, "one.wav");
    let recorded = record(
        &vault,
        &format!("{}/{}/recordings/one.wav", s3.endpoint, s3.bucket),
    );
    told_of(&vault, &recorded).await;
    is_set_aside(
        &vault,
        &recorded,
        "does not accept its credential; check `access_key_id` and its secret in `twilio.buckets`",
    )
    .await;
}

/// Starts a host that refuses everything and records the requests.
async fn witness(answer: StatusCode) -> (String, Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let own = Arc::clone(&seen);
    let see = async move |headers: HeaderMap| {
        let shown = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .map(|value| value.to_str().unwrap().to_owned());
        own.lock()
            .unwrap()
            .push(shown.collect::<Vec<_>>().join(" and "));
        answer
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        axum::serve(listener, Router::new().fallback(see))
            .await
            .unwrap()
    });
    (endpoint, seen, serving)
}

#[tokio::test]
async fn the_bucket_is_never_shown_twilios_credential() {
    let s3 = s3_server::start();
    let (endpoint, seen, _serving) = witness(StatusCode::FORBIDDEN).await;
    let vault = vault(configured(&endpoint, &s3, s3.secret_key)).await;
    let recorded = record(
        &vault,
        &format!("{endpoint}/{}/recordings/one.wav", s3.bucket),
    );
    told_of(&vault, &recorded).await;
    is_set_aside(&vault, &recorded, "does not accept its credential").await;
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty());
    for shown in seen.iter() {
        assert!(
            shown.starts_with(&format!("AWS4-HMAC-SHA256 Credential={}/", s3.access_key))
                && !shown.contains(" and "),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_stumbles_is_asked_again() {
    let s3 = s3_server::start();
    let (endpoint, _seen, _serving) = witness(StatusCode::NOT_IMPLEMENTED).await;
    let vault = vault(configured(&endpoint, &s3, s3.secret_key)).await;
    let recorded = record(
        &vault,
        &format!("{endpoint}/{}/recordings/one.wav", s3.bucket),
    );
    told_of(&vault, &recorded).await;
    assert_eq!(vault.dead().await, None);
    vault.holds_nothing_of(recorded.id).await;
    assert!((1_000..=2_000).contains(&vault.due_in_ms(recorded.id).await.unwrap()));
}

#[tokio::test]
async fn an_object_is_deleted_once_and_only_where_a_bucket_is_configured() {
    let s3 = s3_server::start();
    let toml = format!(
        "{}[[accounts]]\nsid = 'AC{}'\nauth_tokens = ['t']",
        configured(&s3.endpoint, &s3, s3.secret_key).replace("[[twilio.buckets]]", "[[buckets]]"),
        digits()
    );
    let accounts = toml::from_str::<TwilioSettings>(&toml)
        .unwrap()
        .resolve(std::path::Path::new("/"))
        .unwrap();
    let client = TwilioClient::new(&accounts).unwrap();
    let account = accounts.iter().next().unwrap();
    put(&s3, "one.wav");
    put(&s3, "two.wav");
    let address = format!("{}/{}/recordings/one.wav", s3.endpoint, s3.bucket);
    assert_eq!(client.delete_object(account, &address).await, Ok(()));
    let folder = s3.root().join(s3.bucket).join("recordings");
    assert_eq!(
        (
            folder.join("one.wav").exists(),
            folder.join("two.wav").exists()
        ),
        (false, true)
    );
    assert_eq!(
        client.delete_object(account, &address).await,
        Err(BucketDeleteError::NotFound)
    );
    let other = format!("{}/{}/other/two.wav", s3.endpoint, s3.bucket);
    assert_eq!(
        client.delete_object(account, &other).await,
        Err(BucketDeleteError::NoBucket {
            host: "127.0.0.1".into()
        })
    );
    assert!(folder.join("two.wav").exists());
}
