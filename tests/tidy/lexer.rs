//! Rust source as code, without comments and texts, and as texts.
//!
//! Owns just enough of the language's grammar to separate the three; refuses to know the meaning of
//! the code.

use super::Source;

/// A file: its code with comments and the contents of texts blanked, line for line, and the texts.
pub(super) struct Code {
    pub(super) path: String,
    pub(super) code: String,
    /// Line, counted from 1, and content of each string literal.
    pub(super) texts: Vec<(usize, String)>,
}

impl Code {
    /// Returns `path:line` of a position in the code.
    pub(super) fn at(&self, offset: usize) -> String {
        format!("{}:{}", self.path, line(&self.code, offset))
    }

    /// Returns the positions of a word, not inside a longer name.
    pub(super) fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let starts = word.starts_with(is_name);
        let ends = word.ends_with(is_name);
        self.code
            .match_indices(word)
            .map(|(offset, _)| offset)
            .filter(move |&offset| {
                let before = self.code[..offset].chars().next_back().is_some_and(is_name);
                let after = self.code[offset + word.len()..]
                    .chars()
                    .next()
                    .is_some_and(is_name);
                !(starts && before || ends && after)
            })
    }

    /// Returns the code without the items under `#[cfg(test)]`.
    pub(super) fn without_tests(mut self) -> Self {
        let mut from = 0;
        while let Some(start) = self.code[from..].find(TEST).map(|offset| from + offset) {
            let end = start + item_len(&self.code[start + TEST.len()..]) + TEST.len();
            let first = line(&self.code, start);
            let last = line(&self.code, end);
            self.texts
                .retain(|(line, _)| !(first..=last).contains(line));
            let blank: String = self.code[start..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            self.code.replace_range(start..end, &blank);
            from = start + blank.len();
        }
        self
    }
}

const TEST: &str = "#[cfg(test)]";

/// Returns the length of an item: up to its closing brace, or a semicolon before any brace.
fn item_len(code: &str) -> usize {
    let mut depth = 0usize;
    for (offset, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(c, '}' | ';') {
            return offset + 1;
        }
    }
    code.len()
}

fn line(code: &str, offset: usize) -> usize {
    code[..offset].matches('\n').count() + 1
}

/// Returns the modules declared as `#[cfg(test)] mod name;`, as paths without `.rs`.
pub(super) fn test_modules(sources: &[Source]) -> Vec<String> {
    let mut modules = Vec::new();
    for source in sources {
        let code = read(&source.path, &source.text).code;
        let folder = match source
            .path
            .strip_suffix("/lib.rs")
            .or_else(|| source.path.strip_suffix("/main.rs"))
        {
            Some(folder) => folder,
            None => source.path.trim_end_matches(".rs"),
        };
        for (offset, _) in code.match_indices(TEST) {
            let item = code[offset + TEST.len()..].trim_start();
            if let Some(name) = item
                .strip_prefix("mod ")
                .and_then(|rest| rest.split_once([';', '{', ' ']))
                .filter(|_| !is_inline(item))
            {
                modules.push(format!("{folder}/{}", name.0));
            }
        }
    }
    modules
}

fn is_inline(item: &str) -> bool {
    item.find(['{', ';'])
        .is_some_and(|at| item[at..].starts_with('{'))
}

/// Reads a file.
pub(super) fn read(path: &str, text: &str) -> Code {
    let mut code = Code {
        path: path.to_owned(),
        code: String::with_capacity(text.len()),
        texts: Vec::new(),
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_name = code
            .code
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (len, content) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with("/*") {
            (block_comment(rest), None)
        } else if let Some(hashes) = raw_string(rest).filter(|_| !after_name) {
            let open = rest.find('"').map_or(rest.len(), |at| at + 1);
            let end = format!("\"{}", "#".repeat(hashes));
            let close = rest[open..].find(&end).map_or(rest.len(), |at| open + at);
            (
                (close + end.len()).min(rest.len()),
                Some(&rest[open..close]),
            )
        } else if c == '"' {
            let len = quoted(rest, '"');
            (len, Some(&rest[1..len - 1]))
        } else if c == '\'' && is_char(rest) {
            (quoted(rest, '\''), None)
        } else {
            code.code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        if let Some(content) = content {
            code.texts
                .push((line(&code.code, code.code.len()), content.to_owned()));
        }
        code.code.extend(
            rest[..len]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &rest[len..];
    }
    code
}

/// Returns the length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the number of hashes of a raw string that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text
        .strip_prefix("br")
        .or_else(|| text.strip_prefix("cr"))
        .or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].starts_with('"').then_some(hashes)
}

/// Returns the length of a quoted text with its quotes; a backslash escapes the next character.
fn quoted(text: &str, quote: char) -> usize {
    let mut hidden = false;
    for (offset, c) in text.char_indices().skip(1) {
        match c {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            _ if c == quote => return offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a character literal begins here, and not a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!(
        (chars.next(), chars.next()),
        (Some('\\'), _) | (Some(_), Some('\''))
    )
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "a /* b /* \" */ c */ \"d \\\" // e\" r#\"f \" g\"# 'h' '\"' '\\'' &'i str // j\nk::<'l>(b\"m\")";
    let read = read("x.rs", text);
    let code: String = read.code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, "a &'i str k::<'l>(b )");
    assert_eq!(
        read.texts,
        [
            (1, "d \\\" // e".into()),
            (1, "f \" g".into()),
            (2, "m".into())
        ]
    );
    assert_eq!(read.at(read.code.find("k::").unwrap()), "x.rs:2");
}

#[test]
fn items_under_test_are_left_out_and_lines_stay() {
    let text = "fn a() { \"1\" }\n#[cfg(test)]\nmod tests {\n fn b() { let _ = \"}\"; { }\n }\n}\n#[cfg(test)]\nuse x::{y};\nfn c() {}\n";
    let read = read("x.rs", text).without_tests();
    let code: String = read.code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, "fn a() { } ; fn c() {}");
    assert_eq!(read.texts, [(1, "1".into())]);
    assert_eq!(read.at(read.code.find("fn c").unwrap()), "x.rs:9");
}

#[test]
fn modules_declared_for_tests_are_found() {
    let source = |path: &str, text: &str| Source {
        path: path.into(),
        text: text.into(),
    };
    let found = test_modules(&[
        source("src/lib.rs", "#[cfg(test)]\nmod a;\nmod b;"),
        source(
            "src/c.rs",
            "#[cfg(test)] mod tests { fn x() {} }\n#[cfg(test)]\nmod conformance;\n// #[cfg(test)] mod no;\n",
        ),
    ]);
    assert_eq!(found, ["src/a", "src/c/conformance"]);
}
