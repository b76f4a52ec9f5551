//! The columns of a table are listed in its declaration, and nowhere else: a query selects and
//! inserts whole rows by the declaration's own lists.

use std::collections::BTreeSet;

use super::lexer::Code;

/// Queries that list columns nevertheless, with the reason.
const EXCUSED: &[(&str, &str)] = &[
    (
        "accept.announce",
        "says of each column where in an announcement it comes from",
    ),
    (
        "audit.revoked",
        "what a revocation reaches, and the account of its recording beside it",
    ),
    (
        "endings.after",
        "what ends a stream: asked by every process while it streams",
    ),
    (
        "chain.newest",
        "the one row of `turner` is nowhere read as a whole",
    ),
    (
        "shreds.find_tombstones",
        "one row of several legs, as far as they agree",
    ),
];

/// The smallest number of columns that counts as a list.
const MANY: usize = 3;

/// Returns lists of columns in texts of the database, and unused excuses.
pub(super) fn listed(codes: &[Code]) -> Vec<String> {
    let mut needed = BTreeSet::new();
    let mut faults = Vec::new();
    for code in codes.iter().filter(|code| code.path.starts_with("src/db/")) {
        for (line, text) in &code.texts {
            let Some(columns) = list(text) else { continue };
            let name = query(text);
            match EXCUSED.iter().find(|(excused, _)| *excused == name) {
                Some((excused, _)) => drop(needed.insert(*excused)),
                None => faults.push(format!(
                    "{}:{line}: `{name}` lists `{columns}`: select or enter whole rows by the table's declaration (src/db/table.rs)",
                    code.path
                )),
            }
        }
    }
    let idle = EXCUSED.iter().filter(|(name, _)| !needed.contains(name));
    faults.extend(idle.map(|(name, _)| {
        format!("tests/tidy/columns.rs: `{name}` lists no columns any more; take it off the list")
    }));
    faults
}

/// Returns the name of a query, from the comment before it.
fn query(text: &str) -> &str {
    let named = text.trim_start().strip_prefix("/*");
    named
        .and_then(|rest| rest.split_once("*/"))
        .map_or("", |(name, _)| name.trim())
}

/// Returns the first list of columns in a statement.
fn list(text: &str) -> Option<&str> {
    let is_column = |item: &str| {
        !item.is_empty()
            && item
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
    };
    let begins = ["SELECT DISTINCT ", "SELECT ", "RETURNING ", "INSERT INTO "];
    for (keyword, (at, _)) in begins.iter().flat_map(|keyword| {
        text.match_indices(keyword)
            .map(move |found| (keyword, found))
    }) {
        let rest = &text[at + keyword.len()..];
        let rest = match *keyword {
            "INSERT INTO " => rest.split_once('(').map_or("", |(_, columns)| columns),
            _ => rest,
        };
        let end = [")", "FROM "]
            .iter()
            .filter_map(|end| rest.find(end))
            .min()
            .unwrap_or(rest.len());
        let items = rest[..end].split(',').map(str::trim);
        if items.take_while(|item| is_column(item)).count() >= MANY {
            return Some(&rest[..end]);
        }
    }
    None
}

#[test]
fn a_list_of_columns_outside_a_declaration_is_found() {
    for (text, bad) in [
        ("/* a.b */ SELECT id, name, at FROM a", true),
        (
            "/* a.b */\n        SELECT DISTINCT a.id, a.name, a.at, b.jws FROM a",
            true,
        ),
        ("SELECT 1 UNION ALL SELECT id, name, at FROM a", true),
        ("UPDATE a SET b = 1 RETURNING id, name, at", true),
        ("INSERT INTO a (id, name,\n  at) VALUES ($1, $2, $3)", true),
        ("INSERT INTO a (id, name, at) VALUES ($1, $2, $3)", true),
        ("SELECT id, name FROM a", false),
        (
            "SELECT {COLUMNS} FROM a WHERE (id, name, at) > ($1, $2, $3) ORDER BY id, name, at",
            false,
        ),
        ("SELECT {}, recordings.tier FROM a", false),
        ("SELECT kind, state, COUNT(*) AS n FROM a", false),
    ] {
        assert_eq!(list(text).is_some(), bad, "{text}");
    }
    let code = |path: &str| {
        super::lexer::read(
            path,
            "const SQL: &str = \"/* a.b */ SELECT id, name, at FROM a\";",
        )
    };
    let faults = |path: &str| {
        let faults = listed(&[code(path)]);
        faults
            .iter()
            .filter(|fault| fault.contains("`a.b`"))
            .count()
    };
    assert_eq!((faults("src/db/a.rs"), faults("src/flow/a.rs")), (1, 0));
}
