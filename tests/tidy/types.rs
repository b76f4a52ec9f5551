//! Type names are unique.

use std::collections::BTreeMap;

use super::lexer::Code;

/// Idiomatic names that every module may have: they are always written with their module.
const IDIOMS: [&str; 1] = ["Error"];

/// Returns visible types that share their name with another visible type.
pub(super) fn repeated(codes: &[Code]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for code in codes {
        for (offset, name) in declared(&code.code) {
            places.entry(name).or_default().push(code.at(offset));
        }
    }
    places
        .into_iter()
        .filter(|(name, places)| places.len() > 1 && !IDIOMS.contains(name))
        .map(|(name, places)| {
            format!(
                "`{name}` is several types, at {}: name each for what it is",
                places.join(", ")
            )
        })
        .collect()
}

/// Returns the names of types that are visible outside their own module, with their positions.
fn declared(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in code.split_inclusive('\n') {
        let offset = start;
        start += line.len();
        let Some(rest) = line.trim_start().strip_prefix("pub") else {
            continue;
        };
        let rest = match rest.strip_prefix('(') {
            Some(scope) => scope.split_once(')').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace();
        if !matches!(words.next(), Some("struct" | "enum" | "trait" | "type")) {
            continue;
        }
        let name = words.next().unwrap_or_default();
        let end = name
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        // A macro declares it under a different name each time.
        if end > 0 {
            found.push((offset, &name[..end]));
        }
    }
    found
}

#[test]
fn a_name_for_two_types_is_found() {
    let codes = [
        ("src/a.rs", "pub struct Held(u8);\npub(super) enum Seen {}\npub enum Error {}\nstruct Own;"),
        ("src/b.rs", "  pub(in crate::b) struct Held<'a>;\n pub struct Seen2 {}\npub enum Error {}\nstruct Own;\n"),
    ]
    .map(|(path, text)| super::lexer::read(path, text));
    let faults = repeated(&codes);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].contains("`Held`") && faults[0].contains("src/b.rs:1"),
        "{faults:?}"
    );
}
