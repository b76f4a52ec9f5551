//! One recording is no "1 recordings": a count with its noun is made by `numerals::counted`.
//!
//! Owns how a count before a plural is recognised. Refuses to know which numbers can be 1: constants
//! in capitals cannot, and where else that is sure, the file is listed with the reason.

use super::lexer::Code;

/// What is counted in texts for people.
const NOUNS: &[&str] = &[
    "accounts",
    "attempts",
    "audit entries",
    "bytes",
    "cases",
    "changes",
    "copies",
    "entries",
    "faults",
    "files",
    "ghosts",
    "grants",
    "keys",
    "living recordings",
    "objects",
    "pages",
    "pieces",
    "recordings",
    "rows",
    "shredded recordings",
    "shreds",
    "statements",
    "tokens",
    "uploads",
    "work items",
];

/// A count in a format that a plural follows whatever the count is.
pub(super) fn unsuited(code: &Code) -> Vec<String> {
    // The stand-in says what Twilio says, and the guided story counts what it has made itself.
    if code.path.starts_with("src/demo") {
        return Vec::new();
    }
    code.texts
        .iter()
        .filter_map(|(line, text)| {
            let noun = plural_behind_a_count(text)?;
            Some(format!(
                "{}:{line}: a count before `{noun}`: use `numerals::counted`",
                code.path
            ))
        })
        .collect()
}

fn plural_behind_a_count(text: &str) -> Option<&'static str> {
    text.match_indices("} ").find_map(|(end, _)| {
        let begin = text[..end].rfind('{')?;
        let name = text[begin + 1..end].split(':').next().unwrap_or_default();
        let is_constant = !name.is_empty() && name.chars().all(|c| c.is_uppercase() || c == '_');
        let behind = &text[end + 2..];
        let noun = NOUNS.iter().find(|noun| {
            behind
                .strip_prefix(**noun)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })?;
        (!is_constant).then_some(*noun)
    })
}

#[test]
fn a_plural_behind_any_count_is_found() {
    for (text, is_bad) in [
        ("Shredded {} recordings.", true),
        ("{count} faults; nothing was recorded", true),
        ("{} of {} living recordings were reached", true),
        ("{:>8} keys", true),
        ("Shredded {}.", false),
        ("{} recording", false),
        ("at most {MAX} statements", false),
        ("{} recordings_total", false),
        ("recordings of {account} and {} others", false),
    ] {
        assert_eq!(plural_behind_a_count(text).is_some(), is_bad, "{text}");
    }
}
