//! Every key of the configuration files is explained, and every secret of the settings is redacted.

use std::collections::BTreeSet;

use super::lexer::Code;

/// Tables whose entries are named by the operator: the comment above the table explains them all.
const SHARED: &[&str] = &["roles"];

/// Returns keys without a comment directly above them. In blocks of one name, such as `[[tiers]]`,
/// the first use of a key explains it for all.
pub(super) fn unexplained(path: &str, text: &str) -> Vec<String> {
    let mut table = String::new();
    let mut explained = BTreeSet::new();
    let mut faults = Vec::new();
    // Whether the line before was a comment, and the open brackets of an array or quotes of a
    // multi-line text.
    let mut is_said = false;
    let mut table_is_said = false;
    let mut depth = 0i32;
    let mut quotes = None;
    for (number, line) in (1..).zip(text.lines()) {
        if depth > 0 || quotes.is_some() {
            open(line, &mut depth, &mut quotes);
            continue;
        }
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            is_said = !comment.trim().is_empty();
            continue;
        }
        if line.starts_with('[') {
            table = line
                .split('#')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches(['[', ']'])
                .to_owned();
            table_is_said = is_said;
        } else if let Some((key, value)) = line.split_once('=') {
            let key = key.trim();
            let is_shared = table_is_said && SHARED.contains(&table.as_str());
            if is_said || is_shared {
                explained.insert((table.clone(), key.to_owned()));
            } else if !explained.contains(&(table.clone(), key.to_owned())) {
                faults.push(format!(
                    "{path}:{number}: `{key}` has no explanation; put a comment directly above it"
                ));
            }
            open(value, &mut depth, &mut quotes);
        }
        is_said = false;
    }
    faults
}

/// Tracks the brackets and quotes of a line.
fn open(line: &str, depth: &mut i32, quotes: &mut Option<&'static str>) {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(end) = *quotes {
            match rest.find(end) {
                Some(at) => (rest, *quotes) = (&rest[at + end.len()..], None),
                // Only texts in three quotes continue on the next line.
                None => {
                    *quotes = quotes.filter(|quotes| quotes.len() == 3);
                    return;
                }
            }
            continue;
        }
        if let Some(start) = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|start| rest.starts_with(start))
        {
            (rest, *quotes) = (&rest[start.len()..], Some(start));
            continue;
        }
        match c {
            '#' => return,
            '[' | '{' => *depth += 1,
            ']' | '}' => *depth -= 1,
            _ => {}
        }
        rest = &rest[c.len_utf8()..];
    }
}

/// Returns secrets among the settings that `config::print` does not redact.
pub(super) fn shown_secrets(codes: &[Code]) -> Vec<String> {
    let hidden: BTreeSet<&str> = codes
        .iter()
        .filter(|code| code.path == PRINT)
        .flat_map(hidden_keys)
        .collect();
    codes
        .iter()
        .flat_map(secrets)
        .filter(|(_, key)| !hidden.contains(key))
        .map(|(place, key)| format!("{place}: `{key}` is a secret: list it in `SECRET` of {PRINT}"))
        .collect()
}

const PRINT: &str = "src/config/print.rs";

/// Returns the texts of the list `SECRET`.
fn hidden_keys(code: &Code) -> Vec<&str> {
    let Some(start) = code.code.find("const SECRET") else {
        return Vec::new();
    };
    let line = |offset: usize| code.code[..offset].matches('\n').count() + 1;
    let end = code.code[start..]
        .find("];")
        .map_or(start, |end| start + end);
    let lines = line(start)..=line(end);
    code.texts
        .iter()
        .filter(|(line, _)| lines.contains(line))
        .map(|(_, text)| text.as_str())
        .collect()
}

/// Returns the fields of settings that hold a secret, with their positions.
fn secrets(code: &Code) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.code.match_indices("Deserialize") {
        let Some(open) = code.code[at..].find(" struct ").and_then(|name| {
            let item = &code.code[at + name..];
            let is_next = code.code[at..at + name].matches("derive(").count() == 0
                && !code.code[at..at + name].contains(['{', ';']);
            let brace = item
                .find('{')
                .filter(|brace| !item[..*brace].contains(';'))?;
            is_next.then_some(at + name + brace)
        }) else {
            continue;
        };
        let body = &code.code[open..];
        let body = &body[..body.find("\n}").unwrap_or(body.len())];
        for (offset, _) in body.match_indices("SecretText") {
            let line = &body[body[..offset]
                .rfind(['\n', ',', '{'])
                .map_or(0, |at| at + 1)..offset];
            let name = line.split(':').next().unwrap_or_default().trim();
            let name = name.rsplit(' ').next().unwrap_or_default();
            found.push((code.at(open + offset), name));
        }
    }
    found
}

#[test]
fn a_secret_that_would_be_printed_is_found() {
    let print = "const SECRET: &[&str] = &[\n\"pin\",\n];\nfn f() { g(\"other\") }";
    let settings = "#[derive(serde::Deserialize)]\n#[serde(default)]\npub struct A {\n    pub pin: Option<SecretText>,\n    pub other: Vec<SecretText>,\n    pub name: String,\n}\n\
                    #[derive(Debug)]\nstruct B {\n    ready: SecretText,\n}\n";
    let codes =
        [(PRINT, print), ("src/a.rs", settings)].map(|(path, text)| super::lexer::read(path, text));
    let faults = shown_secrets(&codes);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("src/a.rs:5: `other`"), "{faults:?}");
}

#[test]
fn a_key_without_a_comment_is_found() {
    for (bad, line) in [
        ("key = 1", 1),
        ("# Why.\n\nkey = 1", 3),
        ("#\nkey = 1", 2),
        ("# Why.\nkey = 1\nother = 2", 3),
        ("# A table.\n[table]\nkey = 1", 3),
        ("[a]\n# Why.\nkey = 1\n[b]\nkey = 2", 5),
        ("[roles]\nagent = \"Talks.\"", 2),
        ("# Why.\nlist = [\n  \"a]\", # ]\n]\nkey = 1", 5),
        ("# Why.\ntext = \"\"\"\nkey = 1\n\"\"\"\nother = 1", 5),
        ("# Why.\ntext = \"# [\"\nother = 1", 3),
    ] {
        let faults = unexplained("config/x.toml", bad);
        assert_eq!(faults.len(), 1, "{bad}\n{faults:?}");
        assert!(
            faults[0].starts_with(&format!("config/x.toml:{line}: ")),
            "{faults:?}"
        );
    }
    for good in [
        "# Why.\nkey = 1\n\n# Also.\n# And more.\nother = [\n  1,\n]",
        "[[tiers]]\n# Why.\nname = \"a\"\n[[tiers]]\nname = \"b\"",
        "# What people can be.\n[roles]\nagent = \"Talks.\"\nauditor = \"Checks.\"",
        "# key = 1\n\n[table] # x\n",
        "# Why.\ntext = '''\nkey = 1 [\n'''\n",
    ] {
        assert_eq!(
            unexplained("config/x.toml", good),
            Vec::<String>::new(),
            "{good}"
        );
    }
}
