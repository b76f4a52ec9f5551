//! Published vectors of Twilio's own libraries and documentation, then our own; and requests that
//! must not verify.

use super::*;

mod requests;

const BASE: &str = "https://mycompany.com";
const HTTP: &str = "http://mycompany.com";
const U: &str = "/myapp.php?foo=1&bar=2";
const P: &[(&str, &str)] = &[
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
];
/// SHA-256 of `{"property": "value", "boolean": true}`.
const H: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
/// SHA-256 of `{}`.
const E: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn owned(params: &[(&str, &str)]) -> Vec<(String, String)> {
    params
        .iter()
        .map(|&(name, value)| (name.into(), value.into()))
        .collect()
}

fn with(params: &[(&str, &str)], more: &[(&str, &str)]) -> Vec<(String, String)> {
    owned(&[params, more].concat())
}

fn token() -> SecretText {
    SecretText::new("12345".into())
}

/// Whether `signature` is accepted for a request to `path_and_query` of the service at `base`.
fn accepted(
    base: &str,
    path_and_query: &str,
    params: &[(String, String)],
    signature: &str,
) -> bool {
    matches(
        &[key(&token())],
        &candidates(&base.parse().unwrap(), path_and_query),
        params,
        signature,
    )
}

#[track_caller]
fn must_pass(base: &str, path_and_query: &str, params: &[(&str, &str)], signature: &str) {
    assert!(accepted(base, path_and_query, &owned(params), signature));
    // A vector that accepts everything proves nothing.
    assert!(!accepted(
        base,
        &format!("{path_and_query}x"),
        &owned(params),
        signature
    ));
    assert!(!accepted(
        base,
        path_and_query,
        &with(params, &[("Extra", "")]),
        signature
    ));
}

#[track_caller]
fn must_fail(base: &str, path_and_query: &str, params: &[(&str, &str)], signature: &str) {
    assert!(!accepted(base, path_and_query, &owned(params), signature));
}

#[test]
fn vectors_1_to_6_ports() {
    must_pass(BASE, U, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    must_pass(BASE, U, P, "kvajT1Ptam85bY51eRf/AJRuM3w=");
    must_pass(HTTP, U, P, "0ZXoZLH/DfblKGATFgpif+LLRf4=");
    must_pass(
        "http://mycompany.com:1234",
        U,
        P,
        "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
    );
    must_pass(
        "https://mycompany.com:1234",
        U,
        P,
        "CYn1h0gLBdNxDGkKJg6hYohgeD8=",
    );
    must_pass(
        "https://mycompany.com:1234",
        U,
        P,
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    );
    must_pass(
        "https://mycompany.com:1234",
        U,
        P,
        "kvajT1Ptam85bY51eRf/AJRuM3w=",
    );
}

#[test]
fn another_scheme_or_a_port_that_is_not_ours_must_fail() {
    must_fail(HTTP, U, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    must_fail(BASE, U, P, "0ZXoZLH/DfblKGATFgpif+LLRf4=");
    must_fail(BASE, U, P, "CYn1h0gLBdNxDGkKJg6hYohgeD8=");
    must_fail(
        "https://mycompany.com:1235",
        U,
        P,
        "CYn1h0gLBdNxDGkKJg6hYohgeD8=",
    );
}

#[test]
fn vectors_7_and_8_duplicates_are_distinct_and_sorted() {
    let digits = &[
        ("Sid", "CA123"),
        ("SidAccount", "AC123"),
        ("Digits", "5678"),
        ("Digits", "1234"),
        ("Digits", "1234"),
    ];
    must_pass(BASE, U, digits, "IK+Dwps556ElfBT0I3Rgjkr1wJU=");
    let a = ("MessagingBinding.Address", "+1325xxxxxxx");
    let b = ("MessagingBinding.Address", "+1415xxxxxxx");
    must_pass(BASE, U, &[a, b], "83O6e2vORAoJHUNzJjDWN1jz+BA=");
    must_pass(BASE, U, &[b, a], "83O6e2vORAoJHUNzJjDWN1jz+BA=");
    must_fail(BASE, U, &[a], "83O6e2vORAoJHUNzJjDWN1jz+BA=");
}

#[test]
fn vectors_9_to_11_and_29_body_digests() {
    must_pass(
        BASE,
        &format!("{U}&bodySHA256={H}"),
        &[],
        "a9nBmqA0ju/hNViExpshrM61xv4=",
    );
    must_pass(
        BASE,
        &format!("/myapp.php?bodySHA256={H}"),
        &[],
        "y77kIzt2vzLz71DgmJGsen2scGs=",
    );
    must_pass(
        BASE,
        &format!("{U}&bodySHA256={E}"),
        &[],
        "Ldidvp12m26NI7eqEvxnEpkd9Hc=",
    );
    for (body, digest) in [
        (r#"{"property": "value", "boolean": true}"#, H),
        ("{}", E),
        (
            r#"{"CallSid":"CA1234567890ABCDE","Caller":"+12349013030"}"#,
            "5ccde7145dfb8f56479710896586cb9d5911809d83afbe34627818790db0aec9",
        ),
    ] {
        assert!(digest_fits(
            &owned(&[(BODY_DIGEST, digest)]),
            body.as_bytes()
        ));
        assert!(!digest_fits(
            &owned(&[(BODY_DIGEST, digest)]),
            format!("{body} ").as_bytes()
        ));
        assert!(!digest_fits(&owned(&[]), body.as_bytes()));
        assert!(!digest_fits(
            &owned(&[
                (BODY_DIGEST, digest),
                (BODY_DIGEST, E.trim_end_matches('a'))
            ]),
            body.as_bytes()
        ));
    }
}

#[test]
fn vectors_12_and_13_a_name_sorts_before_its_extensions() {
    let params = &[
        P,
        &[("ReasonConferenceEnded", "test"), ("Reason", "Participant")],
    ]
    .concat();
    must_pass(BASE, U, params, "vOEb5UThFn24KEfnOFLQY2AE5FY=");
    must_fail(BASE, U, params, "95+Bu0JVPi0r/SsESZCVf0dWAjw=");
    must_pass(HTTP, U, params, "n2xBNyzSW7rfYStDtOFiFMv7qNo=");
}

#[test]
fn vector_14_any_form() {
    let params = form::decode(b"property=value&boolean=true").unwrap();
    assert!(accepted(BASE, U, &params, "NBdBDr/T/lgjI+tlgpXjKZQZs/k="));
}

/// Twilio's libraries would accept these; Twilio itself drops user and password before it signs, so
/// we never build such a URL. [`sign`] still gives the published values for the literal URL.
#[test]
fn vectors_15_and_16_user_names_are_no_part_of_what_is_signed() {
    for (url, signature) in [
        (
            "https://user:pass@mycompany.com",
            "CukzLTc1tT5dXEDIHm/tKBanW10=",
        ),
        (
            "https://user:pass@mycompany.com:443",
            "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI=",
        ),
        ("https://user@mycompany.com", "2YRLlVAflCqxaNicjMpJcSTgzSs="),
        (
            "https://user@mycompany.com:443",
            "aZfj4hyX1MLZhSS6QIL18Vn2/RA=",
        ),
    ] {
        assert_eq!(sign(&token(), &format!("{url}{U}"), &owned(P)), signature);
        must_fail(url, U, P, signature);
        must_pass(url, U, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }
}

#[test]
fn vector_17_an_apostrophe_is_signed_plain_or_escaped() {
    let presented = format!("{U}&Body=It's+amazing");
    must_pass(BASE, &presented, P, "TfZzewPq8wqrGlMfyAud8+/IvJ0=");
    must_pass(BASE, &presented, P, "dsq4Ehbj6cs+KdTkpF5sSSplOWw=");
    // Not in reverse: an escaped apostrophe was signed as `%27`.
    must_fail(
        BASE,
        &format!("{U}&Body=It%27s+amazing"),
        P,
        "dsq4Ehbj6cs+KdTkpF5sSSplOWw=",
    );
}

#[test]
fn vectors_18_to_20_and_25_to_27_urls_as_they_are() {
    must_pass(BASE, U, &[], "zYQTYrRWXE7LtzbG4PfP7/bkkGo=");
    must_pass(BASE, "/myapp.php", P, "1xaxFBvyzXYvWplzNOSs28HWO94=");
    must_pass(
        BASE,
        "/myapp.php?foo=hello%20world&bar=test%2Bvalue",
        P,
        "er2tvAP1Wx+iuTTE2BPgvEaN1cs=",
    );
    must_pass(
        BASE,
        "/myapp.php?foo=hello+world&bar=test%2Bvalue",
        P,
        "er2tvAP1Wx+iuTTE2BPgvEaN1cs=",
    );
    must_fail(
        BASE,
        "/myapp.php?foo=hello+world&bar=test+value",
        P,
        "er2tvAP1Wx+iuTTE2BPgvEaN1cs=",
    );
    must_pass(
        BASE,
        "/webhook/España?año=2023",
        P,
        "G/Hx6mqqnjUNlPAoi2Sp9bGst0g=",
    );
    must_pass(
        "https://mycompany.com:443",
        "//myapp.php?foo=1&bar=2",
        P,
        "A9lH3u16NjyiiM/+wylw5rirFUs=",
    );
    must_pass(
        "https://MyCompany.com",
        U,
        P,
        "g9IN/x4Cft2g517EjYvEvM/W7LU=",
    );
    must_pass(
        "https://MyCompany.com:1234",
        U,
        P,
        "PCqOZm8cnu/L6+u5i5fuEd+Iac4=",
    );
    must_pass("http://MyCompany.com", U, P, "XY7AlKOKL6im4yWyX84gldUrtis=");
    must_fail(BASE, U, P, "g9IN/x4Cft2g517EjYvEvM/W7LU=");
}

#[test]
fn vectors_21_to_24_values_as_they_are() {
    let special = &[
        ("Message", "Hello & goodbye! @#$%^*()"),
        ("From", "+1 (415) 867-5309"),
        ("Special", "unicode: ñáéíóú"),
    ];
    must_pass(BASE, U, special, "dCPiR4WtQ6QFN6pJh81CtlCcWLQ=");
    must_pass(
        BASE,
        U,
        &[
            ("Digits", ""),
            ("CallSid", "CA1234567890ABCDE"),
            ("EmptyParam", ""),
        ],
        "9HHp/OqQMEwdrVebHDdA/+tqjX8=",
    );
    must_pass(
        BASE,
        U,
        &[
            ("callSid", "lowercase"),
            ("CallSid", "uppercase"),
            ("CALLSID", "allcaps"),
        ],
        "jDK7WKT8wiNrwggd4ceTv4e1MJ4=",
    );
    must_pass(
        BASE,
        U,
        &[
            ("Zebra", "last"),
            ("Alpha", "first"),
            ("Beta", "second"),
            ("Gamma", "third"),
        ],
        "enveUe73ZTVLAekHxez3Qx6JuuQ=",
    );
}

#[test]
fn vector_28_the_documented_example() {
    let params = &[
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675310"),
        ("Digits", "1234"),
        ("From", "+14158675310"),
        ("To", "+18005551212"),
    ];
    must_pass(
        "https://example.com",
        U,
        params,
        "L/OH5YylLD5NRKLltdqwSvS0BnU=",
    );
}

#[test]
fn a_signature_that_is_not_quite_the_right_text_must_fail() {
    let right = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    must_pass(BASE, U, P, right);
    for wrong in [
        "".to_owned(),
        "=".into(),
        right.trim_end_matches('=').into(),
        right.to_ascii_lowercase(),
        format!("{right} "),
        format!("{right},{right}"),
        right.replace('/', "_"),
        format!("{right}="),
    ] {
        must_fail(BASE, U, P, &wrong);
    }
    for at in 0..right.len() - 1 {
        let mut bytes = right.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        must_fail(BASE, U, P, std::str::from_utf8(&bytes).unwrap());
    }
}

#[test]
fn a_blank_or_a_slash_more_or_less_must_fail() {
    let right = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
    must_fail(BASE, "/myapp.php/?foo=1&bar=2", P, right);
    let trimmed = &[("Body", "hello")];
    let signature = sign(
        &token(),
        &format!("{BASE}{U}"),
        &owned(&[("Body", " hello ")]),
    );
    must_pass(BASE, U, &[("Body", " hello ")], &signature);
    must_fail(BASE, U, trimmed, &signature);
}

#[test]
fn the_candidates_follow_from_configuration() {
    let of = |base: &str, path: &str| candidates(&base.parse().unwrap(), path);
    assert_eq!(
        of("https://a.example", "/x?y="),
        ["https://a.example/x?y=", "https://a.example:443/x?y="]
    );
    assert_eq!(
        of("https://a.example", "/x?y").len(),
        4,
        "as it came, and as Node writes it"
    );
    assert_eq!(
        of("https://a.example:443", "/x"),
        ["https://a.example/x", "https://a.example:443/x"]
    );
    assert_eq!(
        of("http://a.example:8080/base", "/x"),
        [
            "http://a.example/base/x",
            "http://a.example:80/base/x",
            "http://a.example:8080/base/x"
        ]
    );
    assert_eq!(
        of("https://[::1]:8443", "/x"),
        [
            "https://[::1]/x",
            "https://[::1]:443/x",
            "https://[::1]:8443/x"
        ]
    );
    assert_eq!(
        of("https://a.example", "/it's?it's").len(),
        6,
        "as it came, with the escape that clients write, and as Node writes it"
    );
}
