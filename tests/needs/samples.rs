//! What the unit tests of both crates begin with.

use std::collections::BTreeMap;

use crate::model::{
    id::RecordingId,
    media::SourceRef,
    recording::{DiscoveredBy, Recording, RecordingState},
    time::Timestamp,
};

/// The shipped file with its example of `[consent]` taken out of the comments.
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

/// A recording: sealed, of a standard tier, with nothing known about it. Everything that happened to it happened then.
pub(crate) fn recording(at: Timestamp) -> Recording {
    let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
    Recording {
        id: RecordingId::random(&mut rand::rng()),
        state: RecordingState::Sealed,
        source_ref: SourceRef::parse(account, &format!("RE{}", "1".repeat(32))).unwrap(),
        call: None,
        conference: None,
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
    }
}
