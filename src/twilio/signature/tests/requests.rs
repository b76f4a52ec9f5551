//! Whole requests through [`verify`].

use std::path::Path;

use super::*;
use crate::twilio::account::{AccountSettings, SharedKeySettings, TwilioSettings};

const RECORDING_PATH: &str = "/twilio/recording?tenant=t1";

fn sid(prefix: &str, digit: &str) -> String {
    format!("{prefix}{}", digit.repeat(32))
}

/// Account `AC000…` with token `12345` (and an older one), account `AC999…` with another.
fn accounts() -> Accounts {
    let secret = |text: &str| SecretText::new(text.into());
    let shared = |name: &str, text: &str, algorithm| SharedKeySettings {
        name: name.into(),
        secret: Some(secret(text)),
        secret_file: None,
        algorithm,
    };
    let mut first = AccountSettings::new(
        sid("AC", "0").parse().unwrap(),
        vec![secret("12345"), secret("before-rotation")],
    );
    first.shared_keys = vec![
        shared("k1", "shared", Algorithm::Sha256),
        shared("k0", "older", Algorithm::Sha1),
    ];
    let mut strict = AccountSettings::new(sid("AC", "7").parse().unwrap(), vec![secret("12345")]);
    (strict.shared_keys, strict.require_shared_key) =
        (vec![shared("k1", "shared", Algorithm::Sha256)], true);
    TwilioSettings {
        accounts: vec![
            first,
            AccountSettings::new(sid("AC", "9").parse().unwrap(), vec![secret("subaccount")]),
            strict,
        ],
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap()
}

fn public() -> PublicUrl {
    "https://vault.example.com".parse().unwrap()
}

fn recording_params() -> Vec<(String, String)> {
    let ac = sid("AC", "0");
    let re = sid("RE", "2");
    owned(&[
        ("AccountSid", &ac),
        ("CallSid", &sid("CA", "1")),
        ("RecordingSid", &re),
        (
            "RecordingUrl",
            &format!("https://api.twilio.com/2010-04-01/Accounts/{ac}/Recordings/{re}"),
        ),
        ("RecordingStatus", "completed"),
        ("RecordingDuration", "5"),
        ("RecordingChannels", "1"),
        ("RecordingStartTime", "Tue, 28 May 2019 02:18:02 +0000"),
        ("RecordingSource", "DialVerb"),
        ("RecordingTrack", "both"),
        ("ErrorCode", "0"),
    ])
}

fn encoded(params: &[(String, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish()
}

fn posted<'a>(path_and_query: &'a str, body: &'a str, signature: &'a str) -> SignedRequest<'a> {
    let delivery = Delivery::Body {
        content_type: Some("application/x-www-form-urlencoded; charset=UTF-8"),
        bytes: body.as_bytes(),
    };
    SignedRequest {
        path_and_query,
        signature: Some(signature),
        settings: None,
        delivery,
    }
}

fn json<'a>(path_and_query: &'a str, body: &'a str, signature: &'a str) -> SignedRequest<'a> {
    let delivery = Delivery::Body {
        content_type: Some("application/json"),
        bytes: body.as_bytes(),
    };
    SignedRequest {
        path_and_query,
        signature: Some(signature),
        settings: None,
        delivery,
    }
}

fn outcome(request: &SignedRequest<'_>) -> Result<Verified, Forbidden> {
    verify(&accounts(), &public(), request).map_err(|rejection| match rejection {
        Rejection::Forbidden(why) => why,
        Rejection::Malformed(what) => panic!("malformed: {what}"),
    })
}

#[test]
fn a_recording_callback_signed_with_or_without_port_is_verified() {
    let body = encoded(&recording_params());
    for signature in [
        "XuXvmrvguKoAqIIqb793EDXw1KM=",
        "szx2q8HWPTSYbMNpxRWshjA+5tA=",
    ] {
        let verified = outcome(&posted(RECORDING_PATH, &body, signature)).unwrap();
        assert_eq!(verified.account().as_str(), sid("AC", "0"));
        assert_eq!(verified.params(), recording_params());
        assert_eq!(verified.query(), owned(&[("tenant", "t1")]));
        assert!(verified.json().is_none() && !verified.is_get());
        assert!(!format!("{verified:?}").contains("t1"));
    }
}

#[test]
fn a_changed_callback_is_forbidden() {
    let signature = "XuXvmrvguKoAqIIqb793EDXw1KM=";
    let body = encoded(&recording_params());
    for changed in [
        body.replace("completed", "failed"),
        body.replace("RecordingDuration=5", "RecordingDuration=6"),
        format!("{body}&New=1"),
        body.replace("&ErrorCode=0", ""),
    ] {
        assert_eq!(
            outcome(&posted(RECORDING_PATH, &changed, signature)).unwrap_err(),
            Forbidden::WrongSignature
        );
    }
    assert_eq!(
        outcome(&posted("/twilio/recording?tenant=t2", &body, signature)).unwrap_err(),
        Forbidden::WrongSignature
    );
    assert_eq!(
        outcome(&posted("/twilio/recording", &body, signature)).unwrap_err(),
        Forbidden::WrongSignature
    );
    assert_eq!(
        outcome(&posted(RECORDING_PATH, &body, "")).unwrap_err(),
        Forbidden::WrongSignature
    );
    let unsigned = SignedRequest {
        signature: None,
        ..posted(RECORDING_PATH, &body, "")
    };
    assert_eq!(outcome(&unsigned).unwrap_err(), Forbidden::Unsigned);
}

#[test]
fn a_get_carries_everything_in_its_query() {
    let path = format!(
        "/twilio/recording?RecordingSid={}&RecordingStatus=completed",
        sid("RE", "2")
    );
    must_pass(
        "https://vault.example.com",
        &path,
        &[],
        "XegGTArco/Q6oBweb6kbT+LIsCs=",
    );

    let path = format!("{path}&AccountSid={}", sid("AC", "0"));
    let signature = sign(&token(), &format!("https://vault.example.com{path}"), &[]);
    let verified = outcome(&SignedRequest {
        path_and_query: &path,
        signature: Some(&signature),
        settings: None,
        delivery: Delivery::Query,
    })
    .unwrap();
    assert!(verified.is_get());
    assert_eq!(verified.params(), verified.query());
    assert_eq!(verified.params().len(), 3);
}

#[test]
fn json_is_verified_through_its_digest_only() {
    let body = r#"{"transcript_sid":"GT33333333333333333333333333333333","event_type":"voice_intelligence_transcript_available"}"#;
    let digest = "e3d71e9476dc7237103407a16bd272f8da2696f8b13d1e8db0690818843e991d";
    must_pass(
        "https://vault.example.com",
        &format!("/twilio/transcript?bodySHA256={digest}"),
        &[],
        "Rp6o+P6qxMbcLAWQOybubyMSbdE=",
    );
    assert!(digest_fits(
        &owned(&[(BODY_DIGEST, digest)]),
        body.as_bytes()
    ));

    for name in ["account_sid", "AccountSid"] {
        let body = format!(r#"{{"{name}":"{}","n":1}}"#, sid("AC", "0"));
        let digest = hex::encode(digest::digest(&digest::SHA256, body.as_bytes()));
        let path = format!("/twilio/transcript?bodySHA256={digest}");
        let signature = sign(&token(), &format!("https://vault.example.com{path}"), &[]);
        let verified = outcome(&json(&path, &body, &signature)).unwrap();
        assert_eq!(verified.json().unwrap()["n"], 1);
        assert!(verified.params().is_empty());

        // The URL is signed correctly, but the body differs.
        let other = body.replace(":1", ":2");
        assert_eq!(
            outcome(&json(&path, &other, &signature)).unwrap_err(),
            Forbidden::BodyDigest
        );
        // A correct signature over a URL without the digest does not cover the body.
        let signature = sign(&token(), "https://vault.example.com/twilio/transcript", &[]);
        assert_eq!(
            outcome(&json("/twilio/transcript", &body, &signature)).unwrap_err(),
            Forbidden::BodyDigest
        );
    }
}

#[test]
fn during_a_rotation_both_tokens_count_and_another_accounts_token_never_does() {
    let url = format!("https://vault.example.com{RECORDING_PATH}");
    let params = recording_params();
    let body = encoded(&params);
    let signed_with = |text: &str| sign(&SecretText::new(text.into()), &url, &params);
    assert!(
        outcome(&posted(
            RECORDING_PATH,
            &body,
            &signed_with("before-rotation")
        ))
        .is_ok()
    );
    for other in ["subaccount", "1234", "12345 ", ""] {
        assert_eq!(
            outcome(&posted(RECORDING_PATH, &body, &signed_with(other))).unwrap_err(),
            Forbidden::WrongSignature
        );
    }
}

#[test]
fn an_account_that_is_unknown_missing_or_ambiguous_is_forbidden() {
    let url = format!("https://vault.example.com{RECORDING_PATH}");
    let cases: [Vec<(String, String)>; 5] = [
        owned(&[("AccountSid", &sid("AC", "5"))]),
        owned(&[]),
        owned(&[("AccountSid", "AC")]),
        owned(&[
            ("AccountSid", &sid("AC", "0")),
            ("AccountSid", &sid("AC", "9")),
        ]),
        owned(&[("accountsid", &sid("AC", "0"))]),
    ];
    for params in cases {
        let body = encoded(&params);
        // Signed with a real token, and with the decoy token of unknown accounts.
        for key in ["12345".to_owned(), "0".repeat(32)] {
            let signature = sign(&SecretText::new(key), &url, &params);
            assert_eq!(
                outcome(&posted(RECORDING_PATH, &body, &signature)).unwrap_err(),
                Forbidden::UnknownAccount,
                "{body}"
            );
        }
    }
}

#[test]
fn what_cannot_be_read_is_malformed() {
    let rejected = |request: &SignedRequest<'_>| match verify(&accounts(), &public(), request) {
        Err(Rejection::Malformed(what)) => what.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(rejected(&posted("/x", "From=%zz", "s")).contains("`From`"));
    assert!(rejected(&posted("/x?tenant=%ff", "", "s")).contains("`tenant`"));
    assert!(rejected(&json("/x", "{", "s")).contains("JSON"));
    let body = Delivery::Body {
        content_type: Some("text/plain"),
        bytes: b"a=b",
    };
    assert!(
        rejected(&SignedRequest {
            path_and_query: "/x",
            signature: Some("s"),
            settings: None,
            delivery: body
        })
        .contains("content type")
    );
    let body = Delivery::Body {
        content_type: None,
        bytes: b"a=b",
    };
    assert!(
        rejected(&SignedRequest {
            path_and_query: "/x",
            signature: Some("s"),
            settings: None,
            delivery: body
        })
        .contains("content type")
    );
}

/// Signs with this hash, as Twilio does with shared keys.
fn shared(hash: hmac::Algorithm, secret: &str, path: &str, params: &[(String, String)]) -> String {
    mac(
        &hmac::Key::new(hash, secret.as_bytes()),
        &format!("https://vault.example.com{path}"),
        &tail(params),
    )
}

#[test]
fn a_shared_key_signs_with_its_own_algorithm_and_with_no_weaker_one() {
    use hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY as SHA1, HMAC_SHA256 as SHA256};
    let params = recording_params();
    let body = encoded(&params);
    let told = |settings, signature: &str| {
        outcome(&SignedRequest {
            settings,
            ..posted(RECORDING_PATH, &body, signature)
        })
        .map(|verified| verified.account().clone())
    };
    let [strong, weak, older] = [(SHA256, "shared"), (SHA1, "shared"), (SHA1, "older")]
        .map(|(hash, key)| shared(hash, key, RECORDING_PATH, &params));
    for settings in [
        "key=k1,algorithm=HMAC_SHA256",
        " algorithm = hmac_sha256 , key = k1 ",
    ] {
        assert!(told(Some(settings), &strong).is_ok(), "{settings}");
    }
    assert!(
        told(Some("key=k0,algorithm=HMAC_SHA1"), &older).is_ok(),
        "both keys count during a rotation"
    );
    for (settings, signature) in [
        ("key=k1,algorithm=HMAC_SHA1", &weak),
        ("key=k2,algorithm=HMAC_SHA256", &strong),
        ("key=k1,algorithm=HMAC_MD5", &strong),
        ("key=k1", &strong),
        ("algorithm=HMAC_SHA256", &strong),
        ("key=k1,key=k1,algorithm=HMAC_SHA256", &strong),
        ("", &strong),
    ] {
        assert_eq!(
            told(Some(settings), signature).unwrap_err(),
            Forbidden::UnknownKey,
            "{settings}"
        );
    }
    assert!(!Forbidden::UnknownKey.to_string().contains("public_url"));
    // A shared key is not accepted as an auth token, nor an auth token as a shared key.
    assert_eq!(told(None, &strong).unwrap_err(), Forbidden::WrongSignature);
    let by_token = sign(
        &token(),
        &format!("https://vault.example.com{RECORDING_PATH}"),
        &params,
    );
    assert_eq!(
        told(Some("key=k1,algorithm=HMAC_SHA256"), &by_token).unwrap_err(),
        Forbidden::WrongSignature
    );

    let strict: Vec<_> = params
        .iter()
        .map(|(name, value)| {
            (
                name.clone(),
                value.replace(&sid("AC", "0"), &sid("AC", "7")),
            )
        })
        .collect();
    let body = encoded(&strict);
    let by_token = sign(
        &token(),
        &format!("https://vault.example.com{RECORDING_PATH}"),
        &strict,
    );
    assert_eq!(
        outcome(&posted(RECORDING_PATH, &body, &by_token)).unwrap_err(),
        Forbidden::NoSharedKey
    );
    let strong = shared(SHA256, "shared", RECORDING_PATH, &strict);
    assert!(
        outcome(&SignedRequest {
            settings: Some("key=k1,algorithm=HMAC_SHA256"),
            ..posted(RECORDING_PATH, &body, &strong)
        })
        .is_ok()
    );
}

#[test]
fn a_query_that_was_cut_off_is_no_parameter() {
    for (whole, cut, name) in [
        (
            "/twilio/recordings?tier=restricted",
            "/twilio/recordings",
            "?tier=restricted",
        ),
        (
            "/twilio/recordings?queue=12",
            "/twilio/recordings?queue=1",
            "2",
        ),
        (
            "/twilio/recordings?queue=SALES",
            "/twilio/recordings?queue=S",
            "ALES",
        ),
        (
            "/twilio/recordings?a=b&tier=restricted",
            "/twilio/recordings?a=b",
            "&tier=restricted",
        ),
    ] {
        let signature = sign(
            &token(),
            &format!("https://vault.example.com{whole}"),
            &recording_params(),
        );
        let body = encoded(&recording_params());
        assert!(outcome(&posted(whole, &body, &signature)).is_ok());
        for (name, value) in [(name, ""), name.split_at(name.len() - 1)] {
            if name.is_empty() {
                continue;
            }
            let smuggled = with(&[(name, value)], &[])
                .into_iter()
                .chain(recording_params())
                .collect::<Vec<_>>();
            assert_eq!(
                outcome(&posted(cut, &encoded(&smuggled), &signature)).unwrap_err(),
                Forbidden::AmbiguousUrl,
                "{cut} {name}"
            );
        }
    }
}

#[test]
fn a_query_that_was_escaped_in_another_way_is_the_same_query() {
    let body = encoded(&recording_params());
    for (signed, wire) in [
        ("?q=it's", "?q=it%27s"),
        ("?q=it%27s", "?q=it's"),
        ("?q=a%20b", "?q=a+b"),
        ("?q=%2Fx", "?q=%2fx"),
        ("?flag=", "?flag"),
        ("?q=a%20b&q=c&flag=", "?q=a+b&q=c&flag"),
    ] {
        let path = format!("/twilio/recordings{wire}");
        let signature = sign(
            &token(),
            &format!("https://vault.example.com/twilio/recordings{signed}"),
            &recording_params(),
        );
        assert!(
            outcome(&posted(&path, &body, &signature)).is_ok(),
            "{signed} {wire}"
        );
    }
    for (signed, wire) in [
        ("?q=a%2Bb", "?q=a+b"),
        ("?a=1&b=2", "?b=2&a=1"),
        ("?q=a", "?q=A"),
        ("?q=a", "?q=a&q=a"),
    ] {
        let path = format!("/twilio/recordings{wire}");
        let signature = sign(
            &token(),
            &format!("https://vault.example.com/twilio/recordings{signed}"),
            &recording_params(),
        );
        assert_eq!(
            outcome(&posted(&path, &body, &signature)).unwrap_err(),
            Forbidden::WrongSignature,
            "{signed} {wire}"
        );
    }
}
