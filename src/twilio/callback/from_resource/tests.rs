//! A recording's resource is parsed leniently, and converted into the equivalent callback.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn resource(fields: Value) -> Result<RecordingResource, serde_json::Error> {
    let mut all = serde_json::json!({
        "sid": format!("RE{}", "1".repeat(32)), "account_sid": format!("AC{}", "0".repeat(32)), "status": "completed",
    });
    all.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    serde_json::from_value(all)
}

fn account() -> AccountSid {
    format!("AC{}", "0".repeat(32)).parse().unwrap()
}

#[test]
fn it_is_told_as_a_callback_would_tell_it() {
    let fields = serde_json::json!({
        "duration": "27", "channels": 2, "source": "DialVerb", "error_code": null, "start_time": "Tue, 28 May 2019 02:18:02 +0000",
        "call_sid": format!("CA{}", "2".repeat(32)), "conference_sid": null, "price": "-0.1", "encryption_details": null,
    });
    let told = resource(fields).unwrap().to_callback(&account());
    assert_eq!(
        (
            told.status.as_str(),
            told.duration_s,
            told.channels,
            told.error_code
        ),
        ("completed", Some(27), Some(2), Some(0))
    );
    assert_eq!(
        (told.source.as_deref(), told.conference),
        (Some("DialVerb"), None)
    );
    assert_eq!(
        told.started_at.map(|at| at.in_seconds()).as_deref(),
        Some("2019-05-28T02:18:02Z")
    );
    // Callbacks have neither length nor channels for a recording that has no file or is not over.
    for (status, told_status) in [
        ("absent", "absent"),
        ("processing", "in-progress"),
        ("paused", "in-progress"),
        ("deleted", "in-progress"),
    ] {
        let told = resource(serde_json::json!({ "status": status, "duration": "0", "channels": 1, "error_code": 16101 }))
            .unwrap()
            .to_callback(&account());
        assert_eq!(
            (
                told.status.as_str(),
                told.duration_s,
                told.channels,
                told.error_code
            ),
            (told_status, None, None, Some(16101))
        );
    }
    assert!(
        resource(serde_json::json!({ "sid": "RE1" })).is_err(),
        "without an id it is nothing"
    );
}

/// Any JSON, some of it close to the documented form.
fn whatever() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,40}".prop_map(Value::from),
        "(RE|CA|CF)[0-9a-f]{32}".prop_map(Value::from),
        "-?[0-9]{1,25}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop::collection::vec(inner, 0..4).prop_map(Value::from)
    })
}

proptest! {
    #[test]
    fn any_recording_is_told_with_sense_or_refused(
        fields in prop::collection::btree_map(
            prop::sample::select(vec![
                "sid", "account_sid", "status", "call_sid", "conference_sid", "duration", "channels", "source", "error_code", "start_time",
                "date_created", "media_url", "encryption_details", "other",
            ]),
            whatever(),
            0..8,
        ),
    ) {
        if let Ok(resource) = resource(serde_json::to_value(fields).unwrap()) {
            let told = resource.to_callback(&account());
            prop_assert!(["completed", "absent", "in-progress"].contains(&told.status.as_str()));
            prop_assert!(told.duration_s.is_none_or(|seconds| seconds >= 0) && told.channels.is_none_or(|channels| matches!(channels, 1 | 2)));
        }
    }
}
