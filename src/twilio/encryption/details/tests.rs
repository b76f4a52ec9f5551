//! Every documented form, and malformed ones.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn sid() -> String {
    format!("CR{}", "0a".repeat(16))
}

fn wrapped(length: usize) -> String {
    STANDARD.encode(vec![0xab; length])
}

fn nonce() -> String {
    STANDARD.encode([0xcd; 12])
}

fn expected() -> Encryption {
    Encryption {
        public_key_sid: sid().parse().unwrap(),
        wrapped_key: wrapped(256),
        nonce: nonce(),
    }
}

/// Parses by both functions.
fn both(value: &Value) -> Result<Option<Encryption>, DetailsError> {
    let read = from_value(value);
    assert_eq!(from_json(&value.to_string()), read, "{value}");
    read
}

#[test]
fn every_spelling_of_the_documentation_is_read() {
    for details in [
        json!({ "type": "rsa-aes", "public_key_sid": sid(), "encrypted_cek": wrapped(256), "iv": nonce() }),
        json!({ "type": "rsa-aes", "encryption_public_key_sid": sid(), "encryption_cek": wrapped(256), "iv": nonce() }),
        json!({ "encryption_public_key_sid": sid(), "encryption_cek": wrapped(256), "encryption_iv": nonce() }),
        json!({ "public_key_sid": sid(), "encryption_cek": wrapped(256), "encryption_iv": nonce(), "since": 7, "type": null }),
        json!({ "public_key_sid": sid(), "encryption_public_key_sid": sid(), "encrypted_cek": wrapped(256), "encryption_cek": "",
                "iv": nonce(), "encryption_iv": nonce() }),
    ] {
        assert_eq!(both(&details), Ok(Some(expected())), "{details}");
    }
    let text = json!({ "public_key_sid": sid(), "encrypted_cek": wrapped(256), "iv": nonce() })
        .to_string();
    assert_eq!(from_value(&Value::String(text)), Ok(Some(expected())));
}

#[test]
fn nothing_is_no_encryption() {
    for nothing in [
        json!(null),
        json!({}),
        json!({ "type": null, "iv": "" }),
        json!({ "other": 1 }),
    ] {
        assert_eq!(both(&nothing), Ok(None), "{nothing}");
    }
    assert_eq!(from_json(""), Ok(None));
    assert_eq!(from_json("  "), Ok(None));
}

#[test]
fn two_values_of_one_thing_are_refused() {
    let whole = json!({ "public_key_sid": sid(), "encrypted_cek": wrapped(256), "iv": nonce() });
    for (field, alias, other) in [
        (
            "public_key_sid",
            "encryption_public_key_sid",
            format!("CR{}", "1".repeat(32)),
        ),
        ("encrypted_cek", "encryption_cek", wrapped(257)),
        ("iv", "encryption_iv", STANDARD.encode([0; 12])),
    ] {
        let mut details = whole.clone();
        details[alias] = json!(other);
        assert_eq!(both(&details), Err(DetailsError::Conflict { field }));
    }
    // One name twice: a parser that keeps the last would let anyone choose the value.
    let text = whole.to_string();
    let twice = format!("{{\"iv\":\"{}\",{}", STANDARD.encode([0; 12]), &text[1..]);
    assert_eq!(
        from_json(&twice),
        Err(DetailsError::Conflict { field: "iv" })
    );
}

#[test]
fn what_is_half_there_or_of_another_form_is_refused() {
    let whole = json!({ "type": "rsa-aes", "public_key_sid": sid(), "encrypted_cek": wrapped(256), "iv": nonce() });
    let with = |field: &str, value: Value| {
        let mut details = whole.clone();
        details[field] = value;
        both(&details)
    };
    assert_eq!(
        with("type", json!("aes-cbc")),
        Err(DetailsError::UnknownType)
    );
    for field in ["public_key_sid", "encrypted_cek", "iv"] {
        assert_eq!(
            with(field, json!(null)),
            Err(DetailsError::Missing { field })
        );
        assert_eq!(with(field, json!("")), Err(DetailsError::Missing { field }));
        assert_eq!(
            with(field, json!(7)),
            Err(DetailsError::Malformed {
                field,
                expected: "a text"
            })
        );
        assert_eq!(
            with(field, json!({ "a": 1 })),
            Err(DetailsError::Malformed {
                field,
                expected: "a text"
            })
        );
    }
    let is_malformed = |field, value: String| matches!(with(field, json!(value)), Err(DetailsError::Malformed { field: named, .. }) if named == field);
    for bad in [
        "CR",
        "PK00000000000000000000000000000000",
        "CRzz000000000000000000000000000000",
        &format!("{}0", sid()),
    ] {
        assert!(is_malformed("public_key_sid", bad.to_owned()), "{bad}");
    }
    for length in [0, 1, 128, 255, 1025, 4000] {
        assert!(
            length == 0 || is_malformed("encrypted_cek", wrapped(length)),
            "{length}"
        );
    }
    for length in [256, 384, 512, 1024] {
        assert!(
            with("encrypted_cek", json!(wrapped(length))).is_ok(),
            "{length}"
        );
    }
    for length in [1, 11, 13, 16] {
        assert!(
            is_malformed("iv", STANDARD.encode(vec![0; length])),
            "{length}"
        );
    }
    for bad in [
        "zc3Nzc3Nzc3Nzc3N=",
        "zc3N zc3Nzc3Nzc3N",
        "__________________",
        "zc3Nzc3Nzc3Nzc3",
    ] {
        assert!(is_malformed("iv", bad.to_owned()), "{bad}");
    }
    for shape in [json!([]), json!(7), json!(true), json!([{}])] {
        assert_eq!(both(&shape), Err(DetailsError::Shape), "{shape}");
    }
    for text in ["{", "nul", "{}{}", "rsa-aes", "{\"iv\":}"] {
        assert_eq!(from_json(text), Err(DetailsError::Shape), "{text}");
    }
    assert_eq!(
        from_json(&format!("{{{}}}", " ".repeat(MAX_TEXT))),
        Err(DetailsError::TooLong)
    );
}

#[test]
fn a_fault_shows_no_value() {
    let told = [
        from_json(&json!({ "public_key_sid": "hunter2" }).to_string()),
        from_json(&json!({ "type": "hunter2", "iv": "hunter2" }).to_string()),
        from_json(&json!({ "iv": "hunter2", "encryption_iv": "other" }).to_string()),
        from_json("hunter2"),
    ];
    for told in told {
        let told = told.unwrap_err();
        assert!(!format!("{told} {told:?}").contains("hunter2"));
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = from_json(&text);
    }

    /// Parsed details are always well-formed, and both functions agree.
    #[test]
    fn any_object_is_read_well_or_refused(
        fields in prop::collection::vec((prop::sample::select(["type", "public_key_sid", "encryption_public_key_sid", "encrypted_cek",
            "encryption_cek", "iv", "encryption_iv", "more"].as_slice()), 0_usize..9), 0..8),
    ) {
        let value = |choice: usize| match choice {
            0 => json!(null),
            1 => json!(""),
            2 => json!("rsa-aes"),
            3 => json!(sid()),
            4 => json!(wrapped(256)),
            5 => json!(nonce()),
            6 => json!(STANDARD.encode([1; 12])),
            7 => json!(12),
            _ => json!("x"),
        };
        let text: Vec<String> = fields.iter().map(|(name, choice)| format!("\"{name}\":{}", value(*choice))).collect();
        if let Ok(Some(read)) = from_json(&format!("{{{}}}", text.join(","))) {
            prop_assert!(read.public_key_sid.as_str().starts_with("CR"));
            prop_assert_eq!(STANDARD.decode(&read.nonce).unwrap().len(), 12);
            prop_assert!(WRAPPED.contains(&STANDARD.decode(&read.wrapped_key).unwrap().len()));
        }
    }
}
