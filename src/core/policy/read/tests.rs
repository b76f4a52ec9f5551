//! Tests: the shipped policy loads, every fault is reported with its line, and no text makes the
//! parser panic.

pub(super) mod consent;
mod new_keys;
mod odd;

use std::time::Duration;

use proptest::prelude::*;

use crate::{
    model::time::Timestamp,
    policy::{
        Rules,
        document::{ConsentRules, MAX_BYTES, PolicyDocument},
    },
};

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");

fn faults(text: &str) -> Vec<String> {
    PolicyDocument::read("p.toml", text)
        .expect_err("it has faults")
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn line_of(text: &str, marker: &str) -> usize {
    text.lines()
        .position(|line| line.contains(marker))
        .unwrap_or_else(|| panic!("no line has `{marker}`"))
        + 1
}

/// Asserts that the file has a fault with this text at the line with this marker.
fn assert_told(text: &str, marker: &str, said: &str, case: &str) {
    let told = faults(text);
    let place = format!("p.toml:{}: ", line_of(text, marker));
    let is_told = told
        .iter()
        .any(|fault| fault.starts_with(&place) && fault.contains(said));
    assert!(is_told, "{case}: expected {place}…{said}…, got {told:#?}");
}

#[test]
fn the_shipped_policy_loads_without_a_warning() {
    let (document, warnings) = PolicyDocument::read("privacy-policy.toml", SHIPPED).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(document.version, "1");
    assert_eq!(
        Some(document.effective),
        Timestamp::parse_rfc3339("2026-01-01T00:00:00Z")
    );
    assert_eq!(
        document
            .processors
            .first()
            .map(|processor| processor.name.as_str()),
        Some("Twilio")
    );
    let names = |list: Vec<&str>| list.join(" ");
    assert_eq!(
        names(
            document
                .tiers
                .iter()
                .map(|tier| tier.name.as_str())
                .collect()
        ),
        "standard sensitive restricted"
    );
    assert_eq!(
        names(
            document
                .roles
                .iter()
                .map(|(role, _)| role.as_str())
                .collect()
        ),
        "agent reviewer privacy-officer auditor"
    );
    assert_eq!(
        names(
            document
                .purposes
                .iter()
                .map(|purpose| purpose.name.as_str())
                .collect()
        ),
        "follow-up quality-review training dispute-resolution subject-request legal-request"
    );
    let lifetimes: Vec<_> = document
        .tiers
        .iter()
        .map(|tier| tier.grant_lifetime)
        .collect();
    assert_eq!(lifetimes, [3600, 900, 300].map(Duration::from_secs));
    assert!(
        document
            .purposes
            .iter()
            .all(|purpose| purpose.roles.iter().all(|role| role.as_str() != "auditor"))
    );
}

#[test]
fn every_kind_of_fault_is_told_with_its_line() {
    let long = format!("version = \"{}\"", "1".repeat(65));
    let cases = [
        // (what is changed, into what, the line that is named, what is said)
        (
            "version = \"1\"",
            "version = \"one two\"",
            "one two",
            "`version`: `one two` must be",
        ),
        ("version = \"1\"", long.as_str(), "11111", "must be 1 to 64"),
        (
            "version = \"1\"",
            "version = 1",
            "version = 1",
            "`version` in the policy file must be text in quotes, not integer",
        ),
        (
            "version = \"1\"",
            "version = \"  \"",
            "version = ",
            "`version` in the policy file is blank",
        ),
        (
            "version = \"1\"",
            "",
            "The privacy policy of this vault",
            "`version` is missing in the policy file",
        ),
        ("version = \"1\"", "version = \"1", "version = ", "string"),
        (
            "version = \"1\"",
            "version = \"1\"\nversion = \"2\"",
            "version = \"2\"",
            "duplicate key",
        ),
        (
            "version = \"1\"",
            "version = \"1\"\nretention = \"90d\"",
            "retention",
            "unknown key `retention` in the policy file",
        ),
        (
            "effective = 2026-01-01",
            "effective = \"soon\"",
            "soon",
            "`effective`: `soon` must be",
        ),
        (
            "effective = 2026-01-01",
            "effective = 2026-01-01T00:00:00",
            "effective",
            "time with its offset",
        ),
        (
            "effective = 2026-01-01",
            "effective = \"-000001-01-01T00:00:00Z\"",
            "-000001",
            "must be an RFC 3339 date",
        ),
        (
            "effective = 2026-01-01",
            "effective = 2026",
            "effective",
            "must be a date, like 2026-01-31, not integer",
        ),
        (
            "default_tier = \"standard\"",
            "default_tier = \"secret\"",
            "secret",
            "`default_tier` names the tier `secret`",
        ),
        (
            "contact = \"privacy@example.com\"",
            "",
            "[controller]",
            "`contact` is missing in `[controller]`",
        ),
        (
            "task = \"Carries",
            "country = \"US\"\ntask = \"Carries",
            "country",
            "unknown key `country` in `[[processors]]`: known are `name`, `task`",
        ),
        (
            "agent = \"Talks to customers.\"",
            "Agent = \"Talks to customers.\"\nagent = \"\"",
            "Agent",
            "`Agent` is not a role name",
        ),
        (
            "agent = \"Talks to customers.\"",
            "agent = []",
            "agent = []",
            "`agent` in `[roles]` must be text",
        ),
        (
            "agent = \"Talks to customers.\"",
            "",
            "roles = [\"agent\", \"reviewer\"]",
            "`roles` names the role `agent`",
        ),
        (
            "name = \"sensitive\"",
            "name = \"standard\"",
            "twice",
            "the tier `standard` is declared twice",
        ),
        (
            "grant_lifetime = \"5m\"",
            "grant_lifetime = \"0s\"",
            "\"0s\"",
            "`grant_lifetime`: `0s` must be a length",
        ),
        (
            "grant_lifetime = \"5m\"",
            "grant_lifetime = \"86401s\"",
            "86401s",
            "from `1s` to `24h`",
        ),
        (
            "grant_lifetime = \"5m\"",
            "grant_lifetime = \"+5m\"",
            "+5m",
            "must be a length",
        ),
        (
            "grant_lifetime = \"5m\"",
            "grant_lifetime = \"5\"",
            "\"5\"",
            "must be a length",
        ),
        (
            "grant_lifetime = \"5m\"",
            "grant_lifetime = \"9€\"",
            "9€",
            "must be a length",
        ),
        (
            "conference = true\ntier = \"sensitive\"",
            "tier = \"sensitive\"",
            "swallow",
            "matches every recording",
        ),
        (
            "conference = true\n",
            "conference = \"yes\"\n",
            "\"yes\"",
            "`conference` in `[[classification]]` must be true or false, not string",
        ),
        (
            "conference = true\n",
            "account = \"AC1\"\n",
            "AC1",
            "`account` in `[[classification]]`: expected `AC` and 32 hex digits",
        ),
        (
            "conference = true\n",
            "number = \"+1555\"\n",
            "+1555",
            "`number` in `[[classification]]`: not a telephone number",
        ),
        (
            "conference = true\n",
            "label = { name = \"line\", value = \"a\" }\n",
            "\"line\"",
            "which `labels` in `[collection]` does not declare",
        ),
        (
            "conference = true\n",
            "label = { name = \"queue\" }\n",
            "name = \"queue\" }",
            "`value` is missing in `[label]`",
        ),
        (
            "[[classification]]\n# A query parameter",
            "[[classification]] # both\nnumber = \"+493012345678\"\n# A query parameter",
            "# both",
            "`number` and `parameter` cannot be in one",
        ),
        (
            "tier = \"restricted\"\n\n",
            "tier = \"hidden\"\n\n",
            "tier = \"hidden\"",
            "`tier` names the tier `hidden`",
        ),
        (
            "value = \"restricted\" }",
            "valeu = \"restricted\" }",
            "valeu",
            "unknown key `valeu` in `[parameter]`",
        ),
        (
            "name = \"training\"",
            "name = \"quality-review\"",
            "again",
            "the purpose `quality-review` is declared twice",
        ),
        (
            "dpv = \"https://w3id.org/dpv#DisputeManagement\"",
            "dpv = \"DisputeManagement\"",
            "\"DisputeManagement\"",
            "must be the IRI of a term",
        ),
        (
            "tiers = [\"standard\", \"sensitive\"]",
            "tiers = [\"standard\",\n\"secret\"]",
            "\"secret\"]",
            "`tiers` names the tier `secret`",
        ),
        (
            "tiers = [\"standard\", \"sensitive\"]",
            "tiers = [\"standard\", 7]",
            "7]",
            "`tiers` in `[[purposes]]` must list texts in quotes",
        ),
        (
            "tiers = [\"standard\", \"sensitive\"]",
            "tiers = \"standard\"",
            "tiers = \"standard\"",
            "must be a list of texts",
        ),
        (
            "justification = false",
            "justification = \"no\"",
            "\"no\"",
            "must be true or false",
        ),
        (
            "justification = false",
            "",
            "[[purposes]] # mark",
            "`justification` is missing in `[[purposes]]`",
        ),
        (
            "shred = [\"privacy-officer\"]",
            "shred = [\"boss\"]",
            "boss",
            "`shred` names the role `boss`",
        ),
        (
            "shred = [\"privacy-officer\"]",
            "",
            "[actions]",
            "`shred` is missing in `[actions]`",
        ),
        ("[actions]", "[action]", "[action]", "unknown key `action`"),
        (
            "[[purposes]]\nname = \"training\"",
            "[purposes] # single\nname = \"training\"",
            "# single",
            "duplicate key",
        ),
    ];
    for (from, to, marker, said) in cases {
        assert!(SHIPPED.contains(from), "the shipped file has `{from}`");
        let mut text = SHIPPED.replacen(from, to, 1);
        // If the changed line resembles others, a comment marks the relevant line.
        match marker {
            "twice" => {
                text = text.replacen(
                    "name = \"standard\"\ndescription = \"Calls with",
                    "name = \"standard\" # twice\ndescription = \"Calls with",
                    1,
                )
            }
            "again" => {
                text = text.replacen(
                    "name = \"quality-review\"\ntext = \"Teaching",
                    "name = \"quality-review\" # again\ntext = \"Teaching",
                    1,
                )
            }
            "swallow" => {
                text = text.replacen(
                    "[[classification]]\n# Conferences",
                    "[[classification]] # swallow\n# Conferences",
                    1,
                );
            }
            "[[purposes]] # mark" => {
                text = text.replacen(
                    "[[purposes]]\nname = \"quality",
                    "[[purposes]] # mark\nname = \"quality",
                    1,
                )
            }
            _ => {}
        }
        assert_told(&text, marker, said, to);
    }
}

#[test]
fn all_faults_come_together_in_the_order_of_lines() {
    let text = "version = \"a b\"\neffective = 2026-01-01\ndefault_tier = \"x\"\nextra = 1\n[controller]\nname = \"C\"\n[roles]\n[actions]\n";
    let told = faults(text);
    let lines: Vec<&str> = told
        .iter()
        .map(|fault| fault.split(':').nth(1).unwrap())
        .collect();
    assert_eq!(lines, ["1", "3", "4", "5", "8", "8", "8"], "{told:#?}");
}

#[test]
fn a_tier_with_a_fault_is_still_a_tier() {
    let text = SHIPPED.replacen("grant_lifetime = \"1h\"", "grant_lifetime = \"2d\"", 1);
    assert_eq!(faults(&text).len(), 1);
}

#[test]
fn text_of_the_file_is_quoted_without_control_characters() {
    let told = faults(&SHIPPED.replacen("name = \"training\"", "name = \"\\u001b[31m\\n\"", 1));
    assert!(
        told.iter().all(|fault| !fault.contains(char::is_control)),
        "{told:?}"
    );
}

#[test]
fn size_is_bounded() {
    let padded = |bytes: usize| format!("{SHIPPED}#{}", "x".repeat(bytes - SHIPPED.len() - 1));
    assert!(PolicyDocument::read("p.toml", &padded(MAX_BYTES)).is_ok());
    assert!(
        faults(&padded(MAX_BYTES + 1))
            .first()
            .is_some_and(|fault| fault.starts_with("p.toml:1: the file has 65537 bytes"))
    );
}

#[test]
fn an_empty_file_is_no_policy() {
    assert_eq!(faults("").len(), 6);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,400}|[\\[\\]{}=\",.a-z0-9\n#'-]{0,400}") {
        if let Err(faults) = PolicyDocument::read("p.toml", &text) {
            prop_assert!(!faults.is_empty());
            let lines = text.matches('\n').count() + 1;
            prop_assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.line)), "{faults:?}");
        }
    }

    #[test]
    fn any_damaged_policy_is_compiled_or_refused(at in 0..SHIPPED.len(), cut in 0_usize..200, put in "[\\[\\]{}=\",.a-z0-9\n #'\\\\-]{0,40}") {
        // The shipped file is ASCII except for an ellipsis, so most offsets are character
        // boundaries.
        if let (Some(head), Some(tail)) = (SHIPPED.get(..at), SHIPPED.get((at + cut).min(SHIPPED.len())..))
            && let Err(faults) = Rules::parse("p.toml", &format!("{head}{put}{tail}"))
        {
            prop_assert!(!faults.is_empty());
            // Every parsed document can be compiled: each fault is one of the file, with its line.
            prop_assert!(faults.iter().all(|fault| !fault.reason.contains("cannot be compiled")), "{faults:?}");
        }
    }
}
