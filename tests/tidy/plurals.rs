//! A count and its noun are formatted by `numerals::counted`, so that no text says "1 recordings".
//!
//! Owns the recognition of a count before a plural. Refuses to know which numbers can be 1:
//! constants in capitals cannot; any other exception is listed by file, with the reason.

use super::lexer::Code;

/// The nouns that are counted in texts for people.
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

/// Returns counts in a format with a fixed plural.
pub(super) fn unsuited(code: &Code) -> Vec<String> {
    // The stand-in repeats Twilio's texts, and the demo counts its own objects.
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
