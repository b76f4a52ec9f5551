//! The order of modules, and the direction of imports.

use super::lexer::Code;

/// Returns the modules that a crate's `lib.rs` declares, in its order.
pub(super) fn modules(lib: &str) -> Vec<String> {
    let declared = lib.lines().filter_map(|line| {
        line.strip_prefix("pub mod ")
            .or_else(|| line.strip_prefix("mod "))
    });
    declared
        .filter_map(|rest| rest.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// Returns the top-level module of a file, in either crate.
pub(super) fn room(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_prefix("core/").unwrap_or(path);
    path.split(['/', '.']).next().unwrap_or_default()
}

/// Returns a file's imports of modules that come after its own in the order. The crate's root and
/// the binary come last.
pub(super) fn upward(code: &Code, modules: &[String]) -> Vec<String> {
    let own = room(&code.path);
    let rank = |name: &str| modules.iter().position(|module| module == name);
    let Some(own_rank) = rank(own) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    for root in ["crate", "recvault"] {
        for offset in code.words(root) {
            let Some(path) = code.code[offset + root.len()..]
                .trim_start()
                .strip_prefix("::")
            else {
                continue;
            };
            for name in first_names(path.trim_start()) {
                if rank(name).is_some_and(|rank| rank > own_rank) {
                    faults.push(format!(
                        "{}: `{own}` imports `{name}`, which stands below it in src/lib.rs",
                        code.at(offset)
                    ));
                }
            }
        }
    }
    faults
}

/// Returns the first names of a path, or of each path in a braced group.
fn first_names(path: &str) -> Vec<&str> {
    let name = |text: &'_ str| {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(text.len())
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![&path[..name(path)]];
    };
    let mut names = Vec::new();
    let mut depth = 0usize;
    let mut expecting = true;
    for (offset, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            c if expecting && !c.is_whitespace() => {
                names.push(&group[offset..offset + name(&group[offset..])]);
                expecting = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn the_list_is_read_from_lib() {
    assert_eq!(
        modules("//! `pub mod no;`\npub mod secret;\n\nmod model;\npub use x::y;\n"),
        ["secret", "model"]
    );
}

#[test]
fn imports_from_below_are_found() {
    let modules = ["secret", "model", "db", "flow"].map(str::to_owned);
    let read =
        |path: &str, text: &str| upward(&super::lexer::read(path, text).without_tests(), &modules);
    for bad in [
        "use crate::flow::Flow;",
        "use crate::{\n    model::{id::X, time},\n    flow,\n};",
        "fn a() { crate::flow::b() }",
        "use recvault::flow as f;",
        "use crate :: flow;",
        "macro_rules! m { () => { $crate::flow::b() } }",
    ] {
        let faults = read("src/db/accept.rs", bad);
        assert_eq!(faults.len(), 1, "{bad}");
        assert!(
            faults[0].starts_with("src/db/accept.rs:1: `db` imports `flow`"),
            "{faults:?}"
        );
    }
    assert!(read("src/db.rs", "\n\nuse crate::flow::Flow;")[0].starts_with("src/db.rs:3:"));
    for good in [
        "use crate::{model::{flow, id}, db::x, secret};",
        "use crate::model::flow;",
        "// crate::flow::x\n/// [`crate::flow`]\nfn a() { \"crate::flow\" }",
        "use my_crate::flow; use crate::flows;",
        "#[cfg(test)]\nmod tests { use crate::flow::Flow; }",
    ] {
        assert_eq!(
            read("src/db/accept.rs", good),
            Vec::<String>::new(),
            "{good}"
        );
    }
    assert!(read("src/flow/work.rs", "use crate::{database, flow};").is_empty());
    assert!(read("src/main.rs", "use recvault::flow;").is_empty());
}
