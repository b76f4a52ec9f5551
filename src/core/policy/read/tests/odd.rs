//! Tests of warnings about probable mistakes.

use super::SHIPPED;
use crate::model::time::Timestamp;
use crate::policy::PolicyDocument;

#[test]
fn what_can_hardly_be_meant_is_a_warning() {
    let odd = |from: &str, to: &str| {
        assert!(SHIPPED.contains(from), "the shipped file has `{from}`");
        let (_, warnings) = PolicyDocument::read("p.toml", &SHIPPED.replacen(from, to, 1)).unwrap();
        warnings
            .iter()
            .map(|warning| warning.reason.clone())
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(odd("basis = \"contract\"", "").contains("the purpose `follow-up` has no `basis`"));
    assert!(
        odd("retention = \"90d\"", "retention = \"366d\"")
            .contains("the `retention` of the purpose `follow-up` is longer")
    );
    assert_eq!(odd("retention = \"90d\"", "retention = \"365d\""), "");
    let nobody = "# The roles that may approve. Nobody approves their own request.\nroles = [\"privacy-officer\"]";
    assert!(
        odd(nobody, "roles = []")
            .contains("the tier `restricted` requires an approval that no role may give: its recordings are opened in emergencies only")
    );
}

#[test]
fn a_policy_that_opens_nothing_loads_with_warnings() {
    let text = "version = \"0\"\neffective = 2026-01-01T00:00:00+02:00\ndefault_tier = \"t\"\n[controller]\nname = \"C\"\ncontact = \"c\"\n[roles]\nr = \"R\"\n\
                [[tiers]]\nname = \"t\"\ndescription = \"T\"\ngrant_lifetime = \"24h\"\n\
                [[purposes]]\nname = \"p\"\ntext = \"P\"\ndpv = \"https://w3id.org/dpv#Purpose\"\ntiers = [\"t\"]\nroles = []\njustification = false\n\
                [actions]\ncatalogue = []\nshred = []\naudit = []\n";
    let (document, warnings) = PolicyDocument::read("p.toml", text).unwrap();
    assert_eq!(
        Some(document.effective),
        Timestamp::parse_rfc3339("2025-12-31T22:00:00Z")
    );
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "p.toml:9: no purpose opens the tier `t`",
            "p.toml:13: the purpose `p` may be stated by no role",
            "p.toml:13: the purpose `p` has no `basis`: the published policy names no legal basis \
             for it, and no consent is required",
        ]
    );
}
