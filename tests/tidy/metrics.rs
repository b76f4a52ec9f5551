//! Every counted metric is described, and every described metric is counted.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::Code;

/// The file that describes every metric.
const DESCRIPTIONS: &str = "src/telemetry.rs";

/// Returns metrics that are counted and not described, or described and not counted.
pub(super) fn undescribed(codes: &[Code]) -> Vec<String> {
    let mut described = BTreeSet::new();
    let mut counted: BTreeMap<&str, String> = BTreeMap::new();
    for code in codes {
        for (line, text) in code.texts.iter().filter(|(_, text)| is_metric(text)) {
            if code.path == DESCRIPTIONS {
                described.insert(text.as_str());
            } else {
                counted.insert(text, format!("{}:{line}", code.path));
            }
        }
    }
    let silent = counted
        .iter()
        .filter(|(name, _)| !described.contains(*name))
        .map(|(name, place)| format!("{place}: describe `{name}` in {DESCRIPTIONS}"));
    let dead = described
        .iter()
        .filter(|name| !counted.contains_key(*name))
        .map(|name| format!("{DESCRIPTIONS}: nothing counts `{name}`"));
    silent.chain(dead).collect()
}

fn is_metric(text: &str) -> bool {
    text.strip_prefix("recvault_").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    })
}

#[test]
fn a_metric_without_a_description_is_found_and_one_without_a_count() {
    let codes = [
        (
            "src/a.rs",
            "f(\"recvault_a_total\"); g(\"recvault_b\"); h(\"recvault.toml\");",
        ),
        (
            DESCRIPTIONS,
            "[(\"recvault_a_total\", \"A.\"), (\"recvault_c\", \"C.\")]",
        ),
    ]
    .map(|(path, text)| super::lexer::read(path, text));
    let faults = undescribed(&codes);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("`recvault_b`"), "{faults:?}");
    assert!(faults[1].contains("`recvault_c`"), "{faults:?}");
}
