//! Settings of buckets: the bucket of an address, and each fault with its key.

use std::path::Path;

use super::*;
use crate::twilio::account::TwilioSettings;

fn read(prefix: &str, endpoint: Option<&str>) -> Option<(String, String, Option<String>)> {
    let place = bucket(
        &prefix.parse().unwrap(),
        endpoint.map(|endpoint| endpoint.parse().unwrap()),
    )?;
    Some((place.bucket, place.root, place.endpoint.map(String::from)))
}

#[test]
fn the_bucket_is_read_from_host_or_path() {
    let amazon = |bucket: &str, root: &str| Some((bucket.to_owned(), root.to_owned(), None));
    assert_eq!(
        read("https://calls.s3.eu-west-1.amazonaws.com/recordings/", None),
        amazon("calls", "/")
    );
    assert_eq!(
        read("https://calls.s3.amazonaws.com/", None),
        amazon("calls", "/")
    );
    assert_eq!(
        read("https://calls.s3-eu-west-1.amazonaws.com/", None),
        amazon("calls", "/")
    );
    assert_eq!(
        read("https://my.s3.calls.s3.eu-west-1.amazonaws.com/", None),
        amazon("my.s3.calls", "/")
    );
    assert_eq!(
        read("https://s3.eu-west-1.amazonaws.com/calls/recordings/", None),
        amazon("calls", "/calls/")
    );
    assert_eq!(
        read("https://s3-external-1.amazonaws.com/calls/", None),
        amazon("calls", "/calls/")
    );

    let at = |bucket: &str, root: &str, endpoint: &str| {
        Some((
            bucket.to_owned(),
            root.to_owned(),
            Some(endpoint.to_owned()),
        ))
    };
    let vpc = "https://vpce-1.s3.eu-west-1.vpce.amazonaws.com";
    assert_eq!(
        read("https://calls.s3.eu-west-1.amazonaws.com/a/", Some(vpc)),
        at("calls", "/", &format!("{vpc}/"))
    );
    assert_eq!(
        read("https://s3.example.com:9000/calls/a/", None),
        at("calls", "/calls/", "https://s3.example.com:9000/")
    );
    assert_eq!(
        read(
            "https://s3.example.com/calls/a/",
            Some("https://s3.example.com")
        ),
        at("calls", "/calls/", "https://s3.example.com/")
    );
    assert_eq!(
        read(
            "https://calls.s3.example.com/a/",
            Some("https://s3.example.com")
        ),
        at("calls", "/", "https://s3.example.com/")
    );

    for (prefix, endpoint) in [
        ("https://s3.eu-west-1.amazonaws.com/", None),
        ("https://s3.example.com/", None),
        (
            "https://other.example.com/calls/",
            Some("https://s3.example.com"),
        ),
        (
            "https://callss3.example.com/a/",
            Some("https://s3.example.com"),
        ),
        ("https://s3.example.com/a%20b/", None),
    ] {
        assert_eq!(read(prefix, endpoint), None, "{prefix}");
    }
}

fn faults(lines: &str) -> Vec<String> {
    let toml = format!("[[buckets]]\n{lines}");
    match toml::from_str::<TwilioSettings>(&toml)
        .unwrap()
        .resolve(Path::new("/"))
    {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .iter()
            .map(|fault| {
                fault
                    .key
                    .strip_prefix("twilio.buckets[0].")
                    .unwrap()
                    .to_owned()
            })
            .collect(),
    }
}

#[test]
fn each_fault_names_its_key() {
    let rest = "region = 'eu-west-1'\naccess_key_id = 'AKID'\nsecret_access_key = 'hunter2'";
    let with =
        |prefix: &str, more: &str| faults(&format!("url_prefix = '{prefix}'\n{more}\n{rest}"));
    assert_eq!(
        with("https://calls.s3.eu-west-1.amazonaws.com/recordings/", ""),
        [""; 0]
    );
    assert_eq!(
        with("http://127.0.0.1:9000/calls/", "allow_http = true"),
        [""; 0]
    );
    for bad in [
        "",
        "calls",
        "https://calls.s3.eu-west-1.amazonaws.com/recordings",
        "https://AKID:hunter2@calls.s3.amazonaws.com/",
        "https://calls.s3.amazonaws.com/?a/",
        "s3://calls/",
        "http://calls.s3.eu-west-1.amazonaws.com/",
        "http://127.0.0.1:9000/calls/",
        "https://s3.example.com/",
    ] {
        assert_eq!(with(bad, ""), ["url_prefix"], "{bad}");
    }
    assert_eq!(
        with(
            "http://calls.s3.eu-west-1.amazonaws.com/",
            "allow_http = true"
        ),
        ["url_prefix"],
        "it is not on this machine"
    );
    for bad in [
        "s3.example.com",
        "http://s3.example.com",
        "https://s3.example.com/a",
        "https://u@s3.example.com",
    ] {
        assert_eq!(
            with(
                "https://s3.example.com/calls/",
                &format!("endpoint = '{bad}'")
            ),
            ["endpoint"],
            "{bad}"
        );
    }
    let place = "url_prefix = 'https://calls.s3.amazonaws.com/'";
    assert_eq!(
        faults(&format!(
            "{place}\nregion = ''\naccess_key_id = ''\nsecret_access_key = 's'"
        )),
        ["region", "access_key_id"]
    );
    let id = "region = 'r'\naccess_key_id = 'AKID'";
    assert_eq!(
        faults(&format!("{place}\n{id}")),
        ["secret_access_key_file"]
    );
    assert_eq!(
        faults(&format!("{place}\n{id}\nsecret_access_key_file = 'absent'")),
        ["secret_access_key_file"]
    );
    assert_eq!(
        faults(&format!(
            "{place}\n{id}\nsecret_access_key = 's'\nsecret_access_key_file = 'f'"
        )),
        ["secret_access_key_file"]
    );
    assert_eq!(
        faults(&format!("{place}\n{id}\nsecret_access_key = ''")),
        ["secret_access_key"]
    );
}

#[test]
fn no_secret_is_shown() {
    let toml = "[[buckets]]\nurl_prefix = 'https://calls.s3.amazonaws.com/'\nregion = 'r'\naccess_key_id = 'AKID'\nsecret_access_key = 'hunter2'\n\
                [[accounts]]\nsid = 'AC00000000000000000000000000000000'\nauth_tokens = ['t']";
    let accounts = toml::from_str::<TwilioSettings>(toml)
        .unwrap()
        .resolve(Path::new("/"))
        .unwrap();
    let shown = format!("{accounts:?}");
    assert!(
        shown.contains("calls.s3.amazonaws.com") && !shown.contains("hunter2"),
        "{shown}"
    );
}
