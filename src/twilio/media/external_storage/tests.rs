//! Addresses with and without an object in a bucket.

use proptest::prelude::*;

use super::*;
use crate::twilio::account::{Accounts, TwilioSettings};

const BUCKETS: &str = "
    [[buckets]]
    url_prefix = 'https://calls.s3.eu-west-1.amazonaws.com/recordings/'
    region = 'eu-west-1'
    access_key_id = 'AKID'
    secret_access_key = 'hunter2'
    [[buckets]]
    url_prefix = 'https://s3.example.com:9000/bucket/'
    region = 'r'
    access_key_id = 'AKID'
    secret_access_key = 'hunter2'
    [[accounts]]
    sid = 'AC00000000000000000000000000000000'
    auth_tokens = ['t']
";

fn accounts() -> Accounts {
    toml::from_str::<TwilioSettings>(BUCKETS)
        .unwrap()
        .resolve(std::path::Path::new("/"))
        .unwrap()
}

/// Returns the bucket's name and the path for an address, if any.
fn meant(accounts: &Accounts, address: &str) -> Option<(String, String)> {
    let account = accounts.iter().next().unwrap();
    let (bucket, path) = account.object(&Url::parse(address).ok()?)?;
    Some((bucket.place.bucket.clone(), path.to_string()))
}

#[test]
fn addresses_below_a_prefix_are_objects_of_its_bucket() {
    let accounts = accounts();
    for (address, bucket, path) in [
        (
            "https://calls.s3.eu-west-1.amazonaws.com/recordings/AC0/RE0",
            "calls",
            "recordings/AC0/RE0",
        ),
        (
            "https://calls.s3.eu-west-1.amazonaws.com:443/recordings/RE0.wav",
            "calls",
            "recordings/RE0.wav",
        ),
        (
            "http://calls.s3.eu-west-1.amazonaws.com/recordings/RE0.wav",
            "calls",
            "recordings/RE0.wav",
        ),
        (
            "https://CALLS.s3.eu-west-1.amazonaws.com/recordings/a%20b+c%2Bd",
            "calls",
            "recordings/a b+c+d",
        ),
        (
            "https://calls.s3.eu-west-1.amazonaws.com/x/../recordings/RE0",
            "calls",
            "recordings/RE0",
        ),
        ("https://s3.example.com:9000/bucket/RE0", "bucket", "RE0"),
        ("https://s3.example.com:9000/bucket/a%25b", "bucket", "a%b"),
    ] {
        assert_eq!(
            meant(&accounts, address),
            Some((bucket.to_owned(), path.to_owned())),
            "{address}"
        );
    }
}

#[test]
fn every_other_address_is_none() {
    let accounts = accounts();
    let host = "https://calls.s3.eu-west-1.amazonaws.com";
    for address in [
        format!("{host}/"),
        format!("{host}/recordings"),
        format!("{host}/recordings/"),
        format!("{host}/recordings-old/RE0"),
        format!("{host}/recordings/../secrets/key"),
        format!("{host}/recordings/%2e%2e/secrets/key"),
        format!("{host}/recordings/.%2E/secrets/key"),
        format!("{host}/recordings/a%2f..%2f..%2fsecrets"),
        format!("{host}/recordings/a/%2e%2e%2f%2e%2e%2fsecrets"),
        format!("{host}/recordings/a//b"),
        format!("{host}/recordings/a/"),
        format!("{host}/recordings/%zz"),
        format!("{host}/recordings/%"),
        format!("{host}/recordings/%4"),
        format!("{host}/recordings/%00"),
        format!("{host}/recordings/%ff"),
        format!("{host}/recordings/RE0?versionId=1"),
        format!("{host}/recordings/RE0#a"),
        format!("{host}:8443/recordings/RE0"),
        "https://user@calls.s3.eu-west-1.amazonaws.com/recordings/RE0".into(),
        "https://calls.s3.eu-west-1.amazonaws.com.evil.example/recordings/RE0".into(),
        "https://evil.example/recordings/RE0".into(),
        "https://evil.example/https://calls.s3.eu-west-1.amazonaws.com/recordings/RE0".into(),
        "https://evil.calls.s3.eu-west-1.amazonaws.com/recordings/RE0".into(),
        "https://s3.example.com/bucket/RE0".into(),
        "https://s3.example.com:9000/other/RE0".into(),
        "https://s3.example.com:9000/bucket/..%2fother/RE0".into(),
        "ftp://calls.s3.eu-west-1.amazonaws.com/recordings/RE0".into(),
        "file:///recordings/RE0".into(),
        "recordings/RE0".into(),
        String::new(),
    ] {
        assert_eq!(meant(&accounts, &address), None, "{address}");
    }
}

#[tokio::test]
async fn what_is_not_covered_is_asked_nowhere_and_named_by_its_host() {
    let accounts = accounts();
    let client = TwilioClient::new(&accounts).unwrap();
    let account = accounts.iter().next().unwrap();
    let foreign = |host: &str| Err(FetchRefusal::ForeignMedia { host: host.into() }.into());
    let told = async |address: &str| {
        client
            .external_media(account, address)
            .await
            .map(|media| media.map(drop))
    };
    assert_eq!(
        told("https://evil.example/secret/path?token=hunter2").await,
        foreign("evil.example")
    );
    assert_eq!(
        told("https://calls.s3.eu-west-1.amazonaws.com/other/RE0").await,
        foreign("calls.s3.eu-west-1.amazonaws.com")
    );
    assert_eq!(
        told("https://twilio.com.evil.example/RE0").await,
        foreign("twilio.com.evil.example")
    );
    assert_eq!(
        told("https://eviltwilio.com/RE0").await,
        foreign("eviltwilio.com")
    );
    for own in [
        "http://api.twilio.com/2010-04-01/Accounts/AC0/Recordings/RE0",
        "https://api.dublin.ie1.twilio.com/x",
        "no address",
    ] {
        assert_eq!(told(own).await, Ok(None), "{own}");
    }
    for address in [
        "https://evil.example/RE0?token=hunter2",
        "https://api.twilio.com/RE0",
        "",
        "https://calls.s3.eu-west-1.amazonaws.com/other/RE0",
    ] {
        let error = client.delete_object(account, address).await.unwrap_err();
        let why = error.to_string();
        assert!(
            matches!(
                error,
                BucketDeleteError::NoBucket { .. } | BucketDeleteError::NoAddress
            ),
            "{address}: {why}"
        );
        assert!(
            !why.contains("refused") && !why.contains("RE0") && !why.contains("hunter2"),
            "{why}"
        );
    }
}

/// A bucket with one object, and the address below which it is.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own server, which ends with the test's runtime"
)]
async fn bucket_with(headers: Vec<(&'static str, String)>, object: &'static [u8]) -> String {
    let answer = async move |uri: axum::http::Uri| {
        let mut told = axum::http::HeaderMap::new();
        let common = [
            ("etag", "\"1\"".to_owned()),
            ("last-modified", "Sun, 29 Nov 2026 18:00:58 GMT".to_owned()),
            ("content-type", "application/octet-stream".to_owned()),
        ];
        for (name, value) in common.into_iter().chain(headers.clone()) {
            told.insert(name, value.parse().unwrap());
        }
        match uri.path() {
            "/films/RT1" => (axum::http::StatusCode::OK, told, object),
            _ => (axum::http::StatusCode::NOT_FOUND, told, b"".as_slice()),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/films/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

#[tokio::test]
async fn a_file_of_video_brings_the_headers_of_its_encryption() {
    const FILM: &[u8] = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x84\xec\x82ab";
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let told = async |headers: Vec<(&'static str, String)>, name: &str| {
        let base = bucket_with(headers, FILM).await;
        let settings = format!(
            "[[buckets]]\nurl_prefix = '{base}'\nregion = 'r'\naccess_key_id = 'AKID'\n\
             secret_access_key = 'hunter2'\nallow_http = true\n[[accounts]]\n\
             sid = 'AC00000000000000000000000000000000'\nauth_tokens = ['t']"
        );
        let settings: TwilioSettings = toml::from_str(&settings).unwrap();
        let accounts = settings.resolve(std::path::Path::new("/")).unwrap();
        let client = TwilioClient::new(&accounts).unwrap();
        let account = accounts.iter().next().unwrap();
        let address = format!("{base}{name}");
        client
            .external_file(account, &address, FileContainer::Matroska)
            .await
    };
    let key = STANDARD.encode([1; 256]);
    let headers = vec![
        ("x-amz-meta-x-amz-key", key.clone()),
        ("x-amz-meta-x-amz-iv", STANDARD.encode([2; 16])),
        (
            "x-amz-meta-x-amz-unencrypted-content-length",
            "5".to_owned(),
        ),
    ];
    let file = told(headers.clone(), "RT1").await.unwrap().unwrap();
    assert_eq!(file.envelope.unwrap().plain_len(), 5);
    let file = told(Vec::new(), "RT1").await.unwrap().unwrap();
    assert_eq!(
        (file.envelope, file.content_length),
        (None, Some(FILM.len() as u64))
    );
    let chunks: Vec<_> = futures_util::TryStreamExt::try_collect(file.body)
        .await
        .unwrap();
    assert_eq!(chunks.concat(), FILM);
    let half = told(vec![("x-amz-meta-x-amz-key", key)], "RT1").await;
    assert!(matches!(
        half,
        Err(FetchError::Refused {
            cause: FetchRefusal::Envelope(_)
        })
    ));
    let gone = told(headers, "RT2").await.unwrap_err();
    assert!(matches!(gone, FetchError::NotYetElsewhere { .. }), "{gone}");
}

proptest! {
    /// Whatever follows the prefix, the path stays below the bucket's folder and has no segment
    /// that leads elsewhere.
    #[test]
    fn any_address_stays_below_its_prefix(rest in "[a-z./%25e_ -]{0,40}") {
        let accounts = accounts();
        if let Some((bucket, path)) = meant(&accounts, &format!("https://calls.s3.eu-west-1.amazonaws.com/recordings/{rest}")) {
            prop_assert_eq!(bucket, "calls");
            prop_assert!(path.starts_with("recordings/") && path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{}", path);
        }
    }
}
