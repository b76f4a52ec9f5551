//! Callbacks as Twilio sends them, and malformed ones.

use super::*;
use crate::twilio::signed::{self, sid};

fn minimal() -> Vec<(String, String)> {
    [
        ("AccountSid", sid("AC", "0")),
        ("RecordingSid", sid("RE", "2")),
        ("RecordingStatus", "completed".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn post(path: &str, params: &[(String, String)]) -> Result<RecordingCallback, CallbackError> {
    RecordingCallback::parse(&signed::post_form(path, params))
}

fn get(path: &str) -> Result<RecordingCallback, CallbackError> {
    RecordingCallback::parse(&signed::get(path))
}

/// The minimal callback with one parameter set, replacing the one it has.
fn post_with(name: &str, value: &str) -> Result<RecordingCallback, CallbackError> {
    let mut params = minimal();
    params.retain(|(own, _)| own != name);
    params.push((name.into(), value.into()));
    post("/r", &params)
}

#[test]
fn a_full_callback_is_read_and_people_are_not() {
    let mut params = minimal();
    for (name, value) in [
        ("CallSid", sid("CA", "1").as_str()),
        ("ConferenceSid", &sid("CF", "3")),
        ("RecordingUrl", "https://elsewhere.example/evil.wav"),
        ("RecordingDuration", "5"),
        ("RecordingChannels", "2"),
        ("RecordingStartTime", "Tue, 28 May 2019 02:18:02 +0000"),
        ("RecordingSource", "DialVerb"),
        ("RecordingTrack", "both"),
        ("ErrorCode", "0"),
        ("From", "+14158675309"),
        ("CallerName", "Somebody"),
        ("SomethingNew", "x"),
    ] {
        params.push((name.into(), value.into()));
    }
    let callback = post("/r?tenant=t1&tag=a&tag=b&From=line-4", &params).unwrap();
    assert_eq!(
        callback,
        RecordingCallback {
            source_ref: SourceRef::parse(sid("AC", "0").parse().unwrap(), &sid("RE", "2")).unwrap(),
            call: Some(sid("CA", "1").parse().unwrap()),
            conference: Some(sid("CF", "3").parse().unwrap()),
            status: "completed".into(),
            duration_s: Some(5),
            channels: Some(2),
            started_at: Timestamp::parse_rfc3339("2019-05-28T02:18:02Z"),
            source: Some("DialVerb".into()),
            error_code: Some(0),
            encryption: None,
            // In a POST the whole query is our own, even where a name looks like Twilio's.
            query: [
                ("tenant", "t1"),
                ("tag", "a"),
                ("tag", "b"),
                ("From", "line-4")
            ]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec(),
        }
    );
    assert!(!format!("{callback:?}").contains("4158675309"));
}

#[test]
fn three_parameters_are_enough() {
    let callback = post("/r", &minimal()).unwrap();
    assert_eq!(
        (
            callback.call,
            callback.conference,
            callback.duration_s,
            callback.channels
        ),
        (None, None, None, None)
    );
    assert_eq!(
        (callback.started_at, callback.source, callback.error_code),
        (None, None, None)
    );
    assert!(callback.query.is_empty());
}

#[test]
fn without_one_of_the_three_it_is_no_callback() {
    for field in ["RecordingSid", "RecordingStatus"] {
        assert_eq!(post_with(field, ""), Err(CallbackError::Missing { field }));
        let mut params = minimal();
        params.retain(|(name, _)| name != field);
        assert_eq!(post("/r", &params), Err(CallbackError::Missing { field }));
    }
}

#[test]
fn a_malformed_id_is_refused_by_name_and_not_shown() {
    for field in ["RecordingSid", "CallSid", "ConferenceSid"] {
        let error = post_with(field, "+14158675309").unwrap_err();
        assert!(matches!(error, CallbackError::Malformed { field: named, .. } if named == field));
        assert!(
            error.to_string().contains(field) && !error.to_string().contains("4158"),
            "{error}"
        );
    }
}

#[test]
fn an_id_given_twice_must_be_the_same() {
    let mut params = minimal();
    params.push(("RecordingSid".into(), sid("RE", "2")));
    assert!(post("/r", &params).is_ok());
    params.push(("RecordingSid".into(), sid("RE", "3")));
    assert_eq!(
        post("/r", &params),
        Err(CallbackError::Ambiguous {
            field: "RecordingSid"
        })
    );
}

#[test]
fn an_unknown_status_is_kept_and_a_malformed_one_refused() {
    for status in [
        "in-progress",
        "absent",
        "failed",
        "a",
        "paused-by-moon",
        &"a".repeat(31),
        &"a".repeat(32),
    ] {
        assert_eq!(post_with("RecordingStatus", status).unwrap().status, status);
    }
    for status in [
        "Completed",
        "a b",
        "a1",
        "é",
        "completed\n",
        &"a".repeat(33),
    ] {
        let error = post_with("RecordingStatus", status).unwrap_err();
        assert!(
            matches!(
                error,
                CallbackError::Malformed {
                    field: "RecordingStatus",
                    ..
                }
            ),
            "{status}"
        );
    }
}

#[test]
fn what_only_describes_is_left_out_when_it_cannot_be_read() {
    for duration in ["", "5.5", "-1", "five", "99999999999999999999"] {
        assert_eq!(
            post_with("RecordingDuration", duration).unwrap().duration_s,
            None,
            "{duration}"
        );
    }
    assert_eq!(
        post_with("RecordingDuration", "0").unwrap().duration_s,
        Some(0)
    );
    for channels in ["0", "3", "-1", "two"] {
        assert_eq!(
            post_with("RecordingChannels", channels).unwrap().channels,
            None,
            "{channels}"
        );
    }
    for start in ["yesterday", "2019-05-28T02:18:02Z"] {
        assert_eq!(
            post_with("RecordingStartTime", start).unwrap().started_at,
            None,
            "{start}"
        );
    }
    for source in ["+14158675309", "a b", &"a".repeat(65)] {
        assert_eq!(
            post_with("RecordingSource", source).unwrap().source,
            None,
            "{source}"
        );
    }
    for source in ["a", &"a".repeat(64), "Start_Recording-2"] {
        assert_eq!(
            post_with("RecordingSource", source)
                .unwrap()
                .source
                .as_deref(),
            Some(source)
        );
    }
    assert_eq!(
        post_with("ErrorCode", "16101").unwrap().error_code,
        Some(16101)
    );
    assert_eq!(post_with("ErrorCode", "E").unwrap().error_code, None);
}

#[test]
fn in_a_get_twilios_own_parameters_are_not_ours() {
    let path = format!(
        "/r?tenant=t1&{}&From=%2B14158675309&CallerCity=X&SipHeader_X-Who=y&RecordingTrack=both&Team=blue&ToDo=z",
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(minimal())
            .finish()
    );
    let callback = get(&path).unwrap();
    assert_eq!(callback.source_ref.sid(), sid("RE", "2"));
    let names: Vec<_> = callback
        .query
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["tenant", "Team", "ToDo"]);
}
