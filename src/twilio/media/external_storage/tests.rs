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
