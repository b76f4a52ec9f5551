//! Tests of keys that were added later: their values are parsed, and every fault is reported with
//! its line.

use std::time::Duration;

use super::{SHIPPED, assert_told};
use crate::policy::{Basis, PolicyDocument, ToRevoked, View};

#[test]
fn what_the_new_keys_hold_is_read() {
    let (document, _) = PolicyDocument::read("p.toml", SHIPPED).unwrap();
    let collection = &document.collection;
    assert_eq!(
        (collection.basis, collection.quarantine),
        (
            Some(Basis::LegitimateInterest),
            Some(Duration::from_secs(7 * 86_400))
        )
    );
    assert_eq!(
        (collection.shorter_than, collection.quieter_than),
        (Some(Duration::from_secs(1)), Some(16))
    );
    assert_eq!(collection.to_revoked, ToRevoked::KeepClosed);
    assert_eq!(
        collection
            .labels
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["team", "queue", "agent"]
    );
    let restricted = document.tiers.last().unwrap();
    let approval = restricted.approval.as_ref().unwrap();
    assert_eq!(
        (
            approval.lifetime,
            approval.roles.len(),
            approval.break_glass.len()
        ),
        (Duration::from_secs(8 * 3600), 1, 1)
    );
    assert_eq!(
        restricted.retention,
        Some(Duration::from_secs(365 * 86_400))
    );
    let purpose = |name: &str| {
        document
            .purposes
            .iter()
            .find(|purpose| purpose.name.as_str() == name)
            .unwrap()
    };
    let training = purpose("training");
    assert_eq!(
        (training.view, training.basis),
        (
            View::Window {
                from_s: 0,
                to_s: 300
            },
            Some(Basis::Consent)
        )
    );
    assert_eq!(
        (training.retention, training.budget),
        (Some(Duration::from_secs(180 * 86_400)), None)
    );
    assert_eq!(purpose("follow-up").budget, Some(200));
    assert!(
        purpose("quality-review")
            .when
            .as_deref()
            .is_some_and(|when| when.contains("principal has queue"))
    );
    assert_eq!(
        (
            document.content.len(),
            document.recipients.len(),
            document.rights.len()
        ),
        (4, 1, 5)
    );
}

#[test]
fn every_fault_of_the_new_keys_is_told_with_its_line() {
    let cases = [
        // (what is changed, into what, the line that is named, what is said)
        (
            "basis = \"legitimate-interest\"",
            "basis = \"whim\"",
            "whim",
            "`basis`: `whim` must be one of `consent`, `contract`",
        ),
        (
            "basis = \"legitimate-interest\"",
            "basis = 6",
            "basis = 6",
            "`basis` in `[collection]` must be text",
        ),
        (
            "quarantine = \"7d\"",
            "quarantine = \"0d\"",
            "\"0d\"",
            "`quarantine`: `0d` must be a length from `1s` to `36500d`",
        ),
        (
            "quarantine = \"7d\"",
            "quarantine = \"36501d\"",
            "36501d",
            "must be a length from",
        ),
        (
            "basis = \"legitimate-interest\"",
            "basis = \"consent\" # no quarantine",
            "[collection]",
            "`quarantine` is missing in `[collection]`",
        ),
        (
            "labels = [\"team\"",
            "labels = [\"Team\"",
            "Team",
            "`labels` in `[collection]`: `Team` is not a label name",
        ),
        (
            "labels = [\"team\"",
            "labels = [\"account\"",
            "[\"account\"",
            "`labels` names `account`, which is a built-in attribute",
        ),
        (
            "labels = [\"team\"",
            "labels = [\"queue\"",
            "[\"queue\"",
            "`labels` names `queue` twice",
        ),
        (
            "quieter_than = 16",
            "quieter_than = 0",
            "quieter_than = 0",
            "`quieter_than`: `0` must be from 1 to 32767",
        ),
        (
            "quieter_than = 16",
            "quieter_than = 32768",
            "32768",
            "must be from 1 to 32767",
        ),
        (
            "to_revoked = \"keep-closed\"",
            "to_revoked = \"keep\"",
            "to_revoked = \"keep\"",
            "expected one of `keep-closed`, `shred`",
        ),
        (
            "quieter_than = 16",
            "quieter_than = 1.5",
            "1.5",
            "`quieter_than` in `[collection]` must be a whole number, not float",
        ),
        (
            "quieter_than = 16",
            "quieter_than = 16\nremoved_at_source = \"forget\"",
            "forget",
            "`removed_at_source` in `[collection]`: expected one of `keep`, `shred`",
        ),
        (
            "quieter_than = 16",
            "quieter_than = 16\nbots = [\" \"]",
            "bots = [\" \"]",
            "`bots` names an empty identity",
        ),
        (
            "shorter_than = \"1s\"",
            "shorter_then = \"1s\"",
            "shorter_then",
            "unknown key `shorter_then` in `[collection]`",
        ),
        (
            "retention = \"365d\"",
            "retention = \"1y\"",
            "1y",
            "`retention`: `1y` must be a length",
        ),
        (
            "lifetime = \"8h\"",
            "",
            "[tiers.approval]",
            "`lifetime` is missing in `[approval]`",
        ),
        (
            "break_glass = [\"privacy-officer\"]",
            "break_glass = [\"boss\"]",
            "boss",
            "`break_glass` names the role `boss`",
        ),
        (
            "break_glass = [\"privacy-officer\"]",
            "breakglass = []",
            "breakglass",
            "unknown key `breakglass` in `[approval]`",
        ),
        (
            "pattern = \"iban\"",
            "pattern = \"name\"",
            "\"name\"",
            "`pattern`: `name` must be one of `card-number`",
        ),
        (
            "words = [\"diagnosis\"",
            "words = [\"…\"",
            "[\"…\"",
            "`words` must hold words or phrases",
        ),
        (
            "words = [\"diagnosis\", \"insolvency\", \"lawsuit\"]",
            "",
            "[[content]] # words",
            "`words` is missing in `[[content]]`",
        ),
        (
            "view = \"audio\"",
            "view = \"video\"",
            "view = \"video\"",
            "`view`: `video` must be one of `audio`, `transcript`",
        ),
        (
            "window = { from_s = 0, to_s = 300 }",
            "window = { from_s = 300, to_s = 300 }",
            "from_s = 300",
            "`window` must end after it begins",
        ),
        (
            "window = { from_s = 0,",
            "window = { from_s = -1,",
            "-1",
            "`from_s`: `-1` must be from 0 to",
        ),
        (
            "window = { from_s = 0,",
            "view = \"transcript\"\nwindow = { from_s = 0,",
            "[[purposes]] # training",
            "use it with `view = \"audio\"` only",
        ),
        (
            "budget = 200",
            "budget = 0",
            "budget = 0",
            "`budget`: `0` must be from 1 to 1000000",
        ),
        (
            "budget = 200",
            "budget = \"200\"",
            "\"200\"",
            "`budget` in `[[purposes]]` must be a whole number",
        ),
        (
            "when = \"if",
            "when = \"unless",
            "when = \"unless",
            "`when` of the purpose `quality-review`: ",
        ),
        (
            "when = \"if",
            "when = \"\" # if",
            "when = \"\"",
            "`when` in `[[purposes]]` is blank",
        ),
        (
            "name = \"training\"",
            "name = \"recording\"",
            "name = \"recording\"",
            "the purpose name `recording` is reserved for `[collection]`",
        ),
        (
            "purposes = [\"legal-request\"]",
            "purposes = [\"sale\"]",
            "[\"sale\"]",
            "`purposes` names `sale`, which no `[[purposes]]` declares",
        ),
        (
            "hold_purposes = [\"legal-request\", ",
            "hold_purposes = [\"sale\", ",
            "hold_purposes = [\"sale\"",
            "`hold_purposes` names `sale`, which no `[[purposes]]` declares",
        ),
        (
            "hold_purposes = [\"legal-request\", ",
            "hold_purposes = [\"training\", ",
            "hold_purposes = [\"training\"",
            "`hold_purposes` names `training`, which rests on consent",
        ),
        (
            "hold = [\"privacy-officer\"]",
            "hold = [\"boss\"]",
            "boss",
            "`hold` names the role `boss`",
        ),
        (
            "hold = [\"privacy-officer\"]",
            "holds = []",
            "holds = []",
            "unknown key `holds` in `[actions]`",
        ),
    ];
    for (from, to, marker, said) in cases {
        assert!(SHIPPED.contains(from), "the shipped file has `{from}`");
        let mut text = SHIPPED.replacen(from, to, 1);
        // If the relevant line resembles others, a comment marks it.
        text = text.replacen(
            "[[content]]\npattern = \"words\"",
            "[[content]] # words\npattern = \"words\"",
            1,
        );
        text = text.replacen(
            "[[purposes]]\nname = \"training\"",
            "[[purposes]] # training\nname = \"training\"",
            1,
        );
        if to.contains("no quarantine") {
            text = text.replacen("quarantine = \"7d\"", "", 1);
        }
        assert_told(&text, marker, said, to);
    }
}
