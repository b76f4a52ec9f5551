//! Tests of the digest of a policy, of classification, and of the version in force.

use super::*;

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");

#[test]
fn the_digest_is_of_the_exact_bytes() {
    let one = Rules::parse("p", SHIPPED).unwrap();
    let other = Rules::parse("p", &format!("{SHIPPED}\n")).unwrap();
    assert_ne!(one.digest(), other.digest());
    assert_eq!(
        one.digest(),
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(SHIPPED))
    );
    assert_eq!(one.text(), SHIPPED);
}

#[test]
fn a_parameter_that_a_label_or_a_rule_is_about_is_heeded() {
    let rules = Rules::parse("p", SHIPPED).unwrap();
    assert!(
        ["team", "queue", "tier"]
            .iter()
            .all(|name| rules.heeds(name))
    );
    assert!(
        !["", "From", "value", "restricted"]
            .iter()
            .any(|name| rules.heeds(name))
    );
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = Rules::parse("p", SHIPPED).unwrap();
    let account = format!("AC{}", "0".repeat(32)).parse().unwrap();
    let tier = |conference: bool, parameters: &[(&str, &str)]| {
        let parameters: Vec<_> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        rules
            .classify(&ClassificationFacts {
                account: &account,
                source: None,
                conference,
                parameters: &parameters,
            })
            .as_str()
            .to_owned()
    };
    assert_eq!(tier(false, &[]), "standard");
    assert_eq!(tier(true, &[]), "sensitive");
    assert_eq!(
        tier(true, &[("x", "y"), ("tier", "restricted")]),
        "restricted"
    );
    assert_eq!(
        tier(false, &[("tier", "sensitive"), ("tier", "restricted")]),
        "restricted"
    );
    assert_eq!(
        tier(false, &[("tier", "other"), ("restricted", "tier")]),
        "standard"
    );
}

#[test]
fn a_rule_matches_only_when_all_its_conditions_hold() {
    let [own, foreign] = ["a", "b"].map(|digit| format!("AC{}", digit.repeat(32)));
    let rule = format!(
        "[[classification]]\ntier = \"restricted\"\naccount = \"{own}\"\nsource = \"Trunking\"\nconference = false\n\n[[purposes]]"
    );
    let rules = Rules::parse("p", &SHIPPED.replacen("[[purposes]]", &rule, 1)).unwrap();
    let tier = |account: &str, source, conference| {
        let account = account.parse().unwrap();
        rules
            .classify(&ClassificationFacts {
                account: &account,
                source,
                conference,
                parameters: &[],
            })
            .as_str()
            .to_owned()
    };
    assert_eq!(tier(&own, Some("Trunking"), false), "restricted");
    assert_eq!(tier(&foreign, Some("Trunking"), false), "standard");
    assert_eq!(tier(&own, Some("DialVerb"), false), "standard");
    assert_eq!(tier(&own, None, false), "standard");
    assert_eq!(tier(&own, Some("Trunking"), true), "sensitive");
}

fn of(version: &str, effective: &str) -> Rules {
    let text = SHIPPED
        .replacen("version = \"1\"", &format!("version = \"{version}\""), 1)
        .replacen("2026-01-01", effective, 1);
    Rules::parse("p", &text).unwrap()
}

#[test]
fn a_version_is_in_force_from_its_beginning_to_that_of_the_next() {
    let at = |date: &str| Timestamp::parse_rfc3339(&format!("{date}T00:00:00Z")).unwrap();
    let book = Rulebook::new(
        of("2", "2026-03-01"),
        [of("1", "2026-01-01"), of("3", "2026-05-01")],
    );
    let in_force =
        |date: &str| ["1", "2", "3", "0", ""].map(|version| book.was_in_force(version, at(date)));
    for (date, expected) in [
        ("2025-12-31", [false, false, false, false, false]),
        ("2026-01-01", [true, false, false, false, false]),
        ("2026-02-28", [true, false, false, false, false]),
        ("2026-03-01", [false, true, false, false, false]),
        ("2026-04-30", [false, true, false, false, false]),
        // The current version was put in force again.
        ("2026-05-01", [false, true, true, false, false]),
    ] {
        assert_eq!(in_force(date), expected, "{date}");
    }
}

#[test]
fn a_version_that_was_only_published_is_not_in_force_and_follows_no_other() {
    let at = Timestamp::parse_rfc3339("2026-04-01T00:00:00Z").unwrap();
    let (old, published) = (of("1", "2026-01-01"), of("2", "2026-03-01"));
    let now = of("3", "2026-05-01");
    let only = [published.digest().to_owned(), now.digest().to_owned()].into();
    let book = Rulebook::new(now, [old, published]).without_force(only);
    let found = ["1", "2"].map(|version| book.was_in_force(version, at));
    assert_eq!(found, [true, false]);
    let later = Timestamp::parse_rfc3339("2026-06-01T00:00:00Z").unwrap();
    assert!(book.was_in_force("3", later), "a process runs with it now");
}

#[test]
fn the_book_finds_every_version_by_its_digest() {
    let old = Rules::parse("old", &format!("{SHIPPED}# old\n")).unwrap();
    let digest = old.digest().to_owned();
    let book = Rulebook::new(
        Rules::parse("p", SHIPPED).unwrap(),
        [old, Rules::parse("again", SHIPPED).unwrap()],
    );
    assert_eq!(book.find(&digest).map(Rules::digest), Some(digest.as_str()));
    assert_eq!(
        book.find(book.current().digest()).map(Rules::digest),
        Some(book.current().digest())
    );
    assert!(book.find("").is_none());
}
