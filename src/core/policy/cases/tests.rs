//! Tests of tables that hold, that do not hold, and that are invalid.

use super::*;
use crate::policy::Rules;

const SHIPPED: &str = include_str!("../../../../config/privacy-policy.toml");
const TABLE: &str = include_str!("../../../../config/policy-tests.toml");
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn book() -> Rulebook {
    Rulebook::new(Rules::parse("p", SHIPPED).unwrap(), [])
}

#[test]
fn the_shipped_table_holds_for_the_shipped_policy() {
    let cases = Cases::parse(TABLE).unwrap();
    let failed: Vec<_> = cases
        .decide(&book(), NOW)
        .into_iter()
        .filter(|outcome| !outcome.holds)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(cases.len() > 15);
}

#[test]
fn a_case_that_expects_something_else_fails_with_both_sets() {
    let text = "[[cases]]\nname = \"a\"\nroles = [\"agent\"]\ntier = \"restricted\"\npurpose = \"follow-up\"\nexpect = \"allow\"\n\
                [[cases]]\nname = \"b\"\nroles = [\"agent\"]\ntier = \"standard\"\npurpose = \"follow-up\"\njustification = \"call\"\n\
                expect = \"allow\"\nview = \"transcript\"\n";
    let outcomes = Cases::parse(text).unwrap().decide(&book(), NOW);
    assert!(!outcomes[0].holds);
    assert_eq!(outcomes[0].expected, ["allow"]);
    assert!(
        outcomes[0]
            .found
            .contains(&"purpose-not-for-tier".to_owned()),
        "{outcomes:?}"
    );
    assert_eq!(
        (
            outcomes[1].holds,
            &outcomes[1].expected[1],
            &outcomes[1].found[1]
        ),
        (false, &"view transcript".into(), &"view audio".into())
    );
}

#[test]
fn a_table_with_a_mistake_is_refused_with_its_place() {
    let case = |more: &str| {
        format!("[[cases]]\nname = \"a\"\ntier = \"standard\"\npurpose = \"training\"\n{more}\n")
    };
    for (text, said) in [
        (case("expect = \"deny\""), "`deny`"),
        (case("expect = []"), "lists no reason"),
        (case("expect = [\"role\"]"), "`role` is no reason"),
        (
            case("expect = [\"role-not-allowed\"]\nview = \"audio\""),
            "has no `view`",
        ),
        (case("expect = \"allow\"\nrole = \"agent\""), "role"),
        (case(""), "expect"),
        (
            case("expect = \"allow\"").repeat(2),
            "two cases have this name",
        ),
        ("[[cases]\n".into(), "1"),
        (case("expect = \"allow\"\nticket = \"a b\""), "ticket"),
    ] {
        let error = Cases::parse(&text).unwrap_err();
        assert!(error.contains(said), "{said} in {error}");
    }
}
