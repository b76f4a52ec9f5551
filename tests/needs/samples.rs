//! Fixtures for the unit tests of both crates.

use std::collections::BTreeMap;

use crate::model::{
    id::RecordingId,
    media::SourceRef,
    recording::{DiscoveredBy, Recording, RecordingState},
    time::Timestamp,
    word::UnknownWord,
};

/// Checks that the words of a closed set are these, in this order, because they are stored in rows,
/// logs and files. Each word parses back, and any other text is refused with a list of all words.
pub(crate) fn words_are<T>(words: &str)
where
    T: strum::VariantArray + Copy + PartialEq + std::fmt::Debug,
    T: Into<&'static str> + std::str::FromStr<Err = UnknownWord>,
{
    let all: Vec<&'static str> = T::VARIANTS.iter().map(|word| (*word).into()).collect();
    assert_eq!(all, words.split(' ').collect::<Vec<_>>());
    for (text, word) in all.iter().zip(T::VARIANTS) {
        assert_eq!(text.parse(), Ok(*word));
        for other in [&text[1..], &format!("{text} "), &format!("x{text}"), ""] {
            let refused = other.parse::<T>().unwrap_err().to_string();
            assert!(
                all.iter()
                    .all(|word| refused.contains(&format!("`{word}`"))),
                "{other}: {refused}"
            );
        }
    }
}

/// Checks that the JSON of a set, and its schema in the interface, have the same words.
pub(crate) fn json_has_the_words<T>()
where
    T: strum::VariantArray + Copy + Into<&'static str> + serde::Serialize + utoipa::PartialSchema,
{
    let all: Vec<&'static str> = T::VARIANTS.iter().map(|word| (*word).into()).collect();
    assert_eq!(
        serde_json::to_value(T::VARIANTS).unwrap(),
        serde_json::json!(all)
    );
    let schema = serde_json::to_value(T::schema()).unwrap();
    assert_eq!(schema["enum"], serde_json::json!(all));
}

/// Returns the shipped policy with its example of `[consent]` uncommented.
pub(crate) fn asking() -> String {
    let is_key = |line: &str| {
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        line.starts_with('[')
            || (!key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let mut inside = false;
    let line = |line: &str| {
        inside = (inside || line.contains("[consent.voice]") && line.starts_with("# ["))
            && !line.starts_with("[[recipients]]");
        let told = line
            .strip_prefix("# ")
            .filter(|rest| inside && is_key(rest));
        format!("{}\n", told.unwrap_or(line))
    };
    include_str!("../../config/privacy-policy.toml")
        .lines()
        .map(line)
        .collect()
}

/// Returns a sealed recording of the standard tier, without further data. All its times are `at`.
pub(crate) fn recording(at: Timestamp) -> Recording {
    let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
    Recording {
        id: RecordingId::random(&mut rand::rng()),
        state: RecordingState::Sealed,
        source_ref: SourceRef::parse(account, &format!("RE{}", "1".repeat(32))).unwrap(),
        call: None,
        conference: None,
        thread: None,
        author: None,
        files: 0,
        source: None,
        source_status: "completed".into(),
        error_code: None,
        duration_s: None,
        channels: None,
        tier: "standard".parse().unwrap(),
        policy_version: "1".into(),
        policy_digest: "d".repeat(64),
        started_at: None,
        announced_at: at,
        sealed_at: Some(at),
        shredded_at: None,
        collected_at: at,
        labels: BTreeMap::new(),
        holds: 0,
        revoked_at: None,
        quarantine_ends: None,
        heard_by: DiscoveredBy::Callback,
        encryption: None,
        removed_at: None,
        shows: None,
    }
}
