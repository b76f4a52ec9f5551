//! Imports inside a folder have one direction, too: siblings are imported by name, and no two files
//! import each other, directly or indirectly.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::Code;

/// The known exceptions, by folder. A clean folder is removed from the list.
pub(super) struct Open {
    /// Folders whose files have import cycles.
    pub(super) in_circles: &'static [&'static str],
    /// Folders whose files import through their heads.
    pub(super) through_heads: &'static [&'static str],
}

/// The folders that are not clean yet.
pub(super) const NOT_YET: Open = Open {
    in_circles: &[],
    through_heads: &[],
};

/// Returns the faults of imports among the files of each folder.
pub(super) fn tangled(codes: &[Code], not_yet: &Open) -> Vec<String> {
    let house = House::of(codes);
    let mut faults = but(house.cycles(), not_yet.in_circles);
    faults.extend(but(house.through_heads(), not_yet.through_heads));
    faults
}

/// Returns the faults of all folders but these, which must have some.
fn but(found: Vec<(String, String)>, not_yet: &[&str]) -> Vec<String> {
    let clean = not_yet
        .iter()
        .filter(|room| found.iter().all(|(of, _)| of != *room));
    let mut faults: Vec<String> = clean
        .map(|room| format!("tests/tidy/siblings.rs: `{room}` is clean; take it off the list"))
        .collect();
    let open = found
        .into_iter()
        .filter(|(room, _)| !not_yet.contains(&room.as_str()));
    faults.extend(open.map(|(_, fault)| fault));
    faults
}

/// A module, by its path from the crate's root.
type Path = Vec<String>;

/// One import: its position, its module, its target, and its local name.
struct Import {
    at: String,
    module: Path,
    named: Path,
    alias: String,
}

struct House {
    modules: BTreeSet<Path>,
    imports: Vec<Import>,
    /// Names that a module re-exports from modules below it, and does not declare itself.
    passed_on: BTreeMap<Path, BTreeSet<String>>,
}

impl House {
    fn of(codes: &[Code]) -> Self {
        let modules: BTreeSet<Path> = codes.iter().map(|code| module(&code.path)).collect();
        let imports: Vec<Import> = codes
            .iter()
            .flat_map(|code| imports(code, &modules))
            .collect();
        let mut passed_on: BTreeMap<Path, BTreeSet<String>> = BTreeMap::new();
        for import in &imports {
            let below = import.named.strip_prefix(import.module.as_slice());
            if below.is_some_and(|below| below.len() > 1) {
                let names = passed_on.entry(import.module.clone()).or_default();
                names.insert(import.alias.clone());
            }
        }
        Self {
            modules,
            imports,
            passed_on,
        }
    }

    /// Returns imports of siblings' items through the head of their folder.
    fn through_heads(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for import in &self.imports {
            let shared = shared(&import.module, &import.named);
            let (Some(head), Some(name)) = (import.named.get(..shared), import.named.get(shared))
            else {
                continue;
            };
            let is_inside = !head.is_empty() && head.len() < import.module.len();
            let is_sibling = self.modules.contains(&import.named[..=shared]);
            let is_passed_on = self
                .passed_on
                .get(head)
                .is_some_and(|names| names.contains(name));
            if is_inside && !is_sibling && is_passed_on {
                let fault = format!(
                    "{}: `{name}` is declared beside this file and imported through `{}`; name the sibling",
                    import.at,
                    head.join("::")
                );
                faults.push((head[0].clone(), fault));
            }
        }
        faults
    }

    /// Returns the cycles among siblings, one for each import that closes one.
    fn cycles(&self) -> Vec<(String, String)> {
        // By folder: importer, imported, and position.
        let mut folders: BTreeMap<&[String], BTreeMap<&str, BTreeMap<&str, &str>>> =
            BTreeMap::new();
        for import in &self.imports {
            let shared = shared(&import.module, &import.named);
            let (Some(folder), Some(from), Some(to)) = (
                import.named.get(..shared),
                import.module.get(shared),
                import.named.get(shared),
            ) else {
                continue;
            };
            let is_sibling = self.modules.contains(&import.named[..=shared]);
            if !folder.is_empty() && is_sibling {
                let named = folders.entry(folder).or_default().entry(from).or_default();
                named.entry(to).or_insert(&import.at);
            }
        }
        let mut faults = Vec::new();
        for (folder, graph) in folders {
            let mut done = BTreeSet::new();
            for name in graph.keys() {
                closing(
                    name,
                    &graph,
                    &mut Vec::new(),
                    &mut done,
                    &mut |at, round| {
                        let round = round.join("` imports `");
                        let fault = format!("{at}: in `{}`, `{round}`", folder.join("::"));
                        faults.push((folder[0].clone(), fault));
                    },
                );
            }
        }
        faults
    }
}

/// Continues the search from here, and reports each import that closes a cycle.
fn closing<'a>(
    name: &'a str,
    graph: &BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
    walked: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    tell: &mut impl FnMut(&str, &[&str]),
) {
    if done.contains(name) {
        return;
    }
    walked.push(name);
    for (next, at) in graph.get(name).into_iter().flatten() {
        match walked.iter().position(|before| before == next) {
            Some(before) => {
                let round: Vec<&str> = walked[before..].iter().copied().chain([*next]).collect();
                tell(at, &round);
            }
            None => closing(next, graph, walked, done, tell),
        }
    }
    walked.pop();
    done.insert(name);
}

/// Returns the number of common names of two paths, from the root.
fn shared(one: &[String], other: &[String]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

fn module(path: &str) -> Path {
    // The core is a crate of its own: its paths begin at its own root.
    let path = path.trim_start_matches("src/").trim_start_matches("core/");
    let path = path.trim_end_matches(".rs");
    path.split('/').map(str::to_owned).collect()
}

/// Returns everything that a file names from the crate's root, from itself or from above itself,
/// and its re-exports from modules below it.
fn imports(code: &Code, modules: &BTreeSet<Path>) -> Vec<Import> {
    let own = module(&code.path);
    let mut imports = Vec::new();
    let mut read = |offset: usize, text: &str, is_below: bool| {
        let mut named = Vec::new();
        tree(text, &[], &mut named);
        for (path, alias) in named {
            let named = if is_below {
                Some([own.as_slice(), &path].concat())
            } else {
                absolute(&own, &path)
            };
            imports.extend(named.map(|named| Import {
                at: code.at(offset),
                module: own.clone(),
                named,
                alias,
            }));
        }
    };
    for root in ["crate", "self", "super"] {
        for offset in code.words(root) {
            let is_inner = code.code[..offset].trim_end().ends_with("::");
            let text = &code.code[offset..];
            if !is_inner && text[root.len()..].trim_start().starts_with("::") {
                read(offset, text, false);
            }
        }
    }
    for offset in code.words("use") {
        let text = code.code[offset + "use".len()..].trim_start();
        let below = [own.as_slice(), &[first_name(text).to_owned()]].concat();
        if modules.contains(&below) {
            read(offset, text, true);
        }
    }
    imports
}

fn first_name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Returns a path from the crate's root, without a `self` at its end, which names the module.
fn absolute(own: &[String], path: &[String]) -> Option<Path> {
    let mut path = path.iter().peekable();
    let mut from: Path = match path.next()?.as_str() {
        "crate" => Vec::new(),
        "self" => own.to_vec(),
        _ => own.split_last()?.1.to_vec(),
    };
    while path.next_if(|name| *name == "super").is_some() {
        from.pop()?;
    }
    from.extend(path.filter(|name| *name != "self").cloned());
    Some(from)
}

/// Parses a path, or a tree of them, each with its local name, and returns the rest of the text.
fn tree<'a>(text: &'a str, before: &[String], named: &mut Vec<(Path, String)>) -> &'a str {
    let mut path = before.to_vec();
    let mut rest = text.trim_start();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let left = tree(rest, &path, named).trim_start();
                let left = left.strip_prefix(',').unwrap_or(left).trim_start();
                if left.len() == rest.len() {
                    return rest;
                }
                rest = left;
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let name = first_name(rest);
        let left = rest[name.len()..].trim_start();
        if !name.is_empty() {
            path.push(name.to_owned());
            if let Some(further) = left.strip_prefix("::") {
                rest = further.trim_start();
                continue;
            }
        }
        let (alias, left) = match left.strip_prefix("as ").map(str::trim_start) {
            Some(aliased) => {
                let alias = first_name(aliased);
                (alias, &aliased[alias.len()..])
            }
            None => (name, left.strip_prefix('*').unwrap_or(left)),
        };
        named.push((path, alias.to_owned()));
        return left;
    }
}

const NOTHING: Open = Open {
    in_circles: &[],
    through_heads: &[],
};

#[test]
fn a_way_that_leads_back_is_found() {
    let faults = |files: &[(&str, &str)]| -> Vec<String> {
        let codes: Vec<Code> = files
            .iter()
            .map(|(path, text)| super::lexer::read(path, text).without_tests())
            .collect();
        tangled(&codes, &NOTHING)
    };
    let head = (
        "src/flow.rs",
        "mod a; mod b; mod c;\npub use a::A;\nuse self::b::{B, C as D};\nstruct Own;",
    );
    for (a, b, bad) in [
        ("use super::b::B;", "use crate::flow::a::A;", 1),
        ("use super::{b::B, c};", "fn x() { super::a::y() }", 1),
        ("use crate::{\n    flow::{b, c::C},\n};", "use super::a;", 1),
        ("use super::b::B;", "", 0),
        (
            "use super::b::B;",
            "#[cfg(test)]\nmod tests { use super::super::a::A; }",
            0,
        ),
        (
            "use super::b::B;",
            "// super::a\n/// [`super::a`]\nfn x() { \"super::a\" }",
            0,
        ),
        ("use super::b::B;", "use crate::vault::a;", 0),
        ("use super::Own;", "use super::Own;", 0),
    ] {
        let found = faults(&[
            head,
            ("src/flow/a.rs", a),
            ("src/flow/b.rs", b),
            ("src/flow/c.rs", ""),
        ]);
        assert_eq!(found.len(), bad, "{a} {b}: {found:?}");
    }
    let round = faults(&[
        ("src/flow/a.rs", "use super::b::B;"),
        ("src/flow/b.rs", "\nuse super::c::deep::C;"),
        ("src/flow/c.rs", ""),
        ("src/flow/c/deep.rs", "use crate::flow::a::A;"),
    ]);
    assert_eq!(
        round,
        ["src/flow/c/deep.rs:1: in `flow`, `a` imports `b` imports `c` imports `a`"]
    );
    let core = faults(&[
        ("src/core/policy/a.rs", "use crate::policy::b::B;"),
        ("src/core/policy/b.rs", "use super::a::A;"),
    ]);
    assert_eq!(core.len(), 1, "the core has rooms, too: {core:?}");
    let deep = faults(&[
        ("src/flow/c/one.rs", "use super::two::X;"),
        ("src/flow/c/two.rs", "use super::one::Y;"),
    ]);
    assert_eq!(
        deep.len(),
        1,
        "folders in a room are rooms themselves: {deep:?}"
    );
}

#[test]
fn what_a_sibling_declares_is_not_imported_through_the_head() {
    let faults = |text: &str| {
        let head = "mod a; mod b;\npub use self::a::{A, deep::B as C};\npub(super) use a::f;\nuse crate::db::Tx;\npub struct Own;";
        let files = [
            ("src/flow.rs", head),
            ("src/flow/a.rs", ""),
            ("src/flow/b.rs", text),
        ];
        let codes: Vec<Code> = files
            .iter()
            .map(|(path, text)| super::lexer::read(path, text).without_tests())
            .collect();
        tangled(&codes, &NOTHING)
    };
    for bad in [
        "use super::A;",
        "use crate::flow::A;",
        "use crate::{flow::{A, a::X}, database};",
        "fn x() { super::f() }",
        "use super::C;",
    ] {
        let found = faults(bad);
        assert_eq!(found.len(), 1, "{bad}: {found:?}");
        assert!(found[0].starts_with("src/flow/b.rs:1: `"), "{found:?}");
    }
    for good in [
        "use super::a::A;",
        "use super::Own;",
        "use super::B;",
        "use super::Tx;",
        "use crate::flow::{Own, a::{self, A}};",
    ] {
        assert_eq!(faults(good), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn a_room_that_became_clean_is_taken_off_the_list() {
    let found = || vec![("flow".to_owned(), "a fault".to_owned())];
    assert_eq!(but(found(), &["flow"]), Vec::<String>::new());
    assert_eq!(but(found(), &[]), ["a fault"]);
    assert_eq!(
        but(found(), &["flow", "api"]),
        ["tests/tidy/siblings.rs: `api` is clean; take it off the list"]
    );
}
