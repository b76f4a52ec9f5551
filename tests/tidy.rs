//! Rules that no compiler checks: the source tree is read as text and checked against the house
//! rules.
//!
//! Owns the rules and nothing else; each is a function from a file's path and text to faults, so
//! that its own test can pass it a bad sample. Test code means: items under `#[cfg(test)]`, and the
//! files of modules that are declared so. Test code may import from any module, may `unwrap`, and
//! may start tasks.

#![cfg(test)]

#[path = "tidy/architecture.rs"]
mod architecture;
#[path = "tidy/bodies.rs"]
mod bodies;
#[path = "tidy/closed_sets.rs"]
mod closed_sets;
#[path = "tidy/columns.rs"]
mod columns;
#[path = "tidy/config.rs"]
mod config;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/lexer.rs"]
mod lexer;
#[path = "tidy/log_lines.rs"]
mod log_lines;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/plurals.rs"]
mod plurals;
#[path = "tidy/siblings.rs"]
mod siblings;
#[path = "tidy/types.rs"]
mod types;
#[path = "tidy/units.rs"]
mod units;
#[path = "tidy/words.rs"]
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the repository: its path from the root, with `/`, and its text.
struct Source {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all files below a folder with this ending, by path.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    let (mut folders, mut found): (Vec<PathBuf>, _) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.to_str().is_some_and(|path| path.ends_with(ending)) {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace('\\', "/");
                found.push(Source {
                    path: name,
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust_files() -> Vec<Source> {
    ["src", "tests", "benches"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .collect()
}

/// Returns the sources of the program itself, with test code blanked out.
fn program() -> Vec<lexer::Code> {
    let sources = files("src", ".rs");
    let tests = lexer::test_modules(&sources);
    let is_test = |path: &str| {
        tests
            .iter()
            .any(|module| path == format!("{module}.rs") || path.starts_with(&format!("{module}/")))
    };
    sources
        .iter()
        .filter(|source| !is_test(&source.path))
        .map(|source| lexer::read(&source.path, &source.text).without_tests())
        .collect()
}

fn assert_none(faults: Vec<String>) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn a_body_is_read_in_one_place() {
    assert_none(program().iter().flat_map(bodies::stray).collect());
}

#[test]
fn a_module_imports_only_modules_above_it() {
    // The core's modules come before all others.
    let modules: Vec<String> = ["src/core/lib.rs", "src/lib.rs"]
        .iter()
        .flat_map(|lib| imports::modules(&fs::read_to_string(root().join(lib)).unwrap()))
        .collect();
    assert!(
        modules.len() > 10,
        "the lists in lib.rs were read: {modules:?}"
    );
    assert_none(
        program()
            .iter()
            .flat_map(|code| imports::upward(code, &modules))
            .collect(),
    );
}

#[test]
fn imports_inside_a_room_run_one_way() {
    assert_none(siblings::tangled(&program(), &siblings::NOT_YET));
}

#[test]
fn no_file_is_longer_than_500_lines() {
    assert_none(rust_files().iter().filter_map(too_long).collect());
}

#[test]
fn every_configuration_key_is_explained() {
    let all = files("config", ".toml");
    assert!(!all.is_empty());
    assert_none(
        all.iter()
            .flat_map(|source| config::unexplained(&source.path, &source.text))
            .collect(),
    );
}

#[test]
fn no_secret_of_the_settings_is_printed() {
    assert_none(config::shown_secrets(&program()));
}

#[test]
fn every_metric_is_described() {
    assert_none(metrics::undescribed(&program()));
}

#[test]
fn nothing_is_allowed_left_undone_or_unwrapped() {
    assert_none(program().iter().flat_map(words::shortcuts).collect());
}

#[test]
fn nothing_is_allowed_or_left_undone_in_tests_either() {
    let all = rust_files();
    let codes = all
        .iter()
        .map(|source| lexer::read(&source.path, &source.text));
    assert_none(codes.flat_map(|code| words::unfinished(&code)).collect());
}

#[test]
fn every_module_says_what_it_is() {
    assert_none(
        files("src", ".rs")
            .iter()
            .filter_map(unintroduced)
            .collect(),
    );
}

#[test]
fn only_the_configuration_reads_the_environment() {
    assert_none(program().iter().flat_map(words::environment).collect());
}

#[test]
fn the_core_does_no_input_or_output() {
    assert_none(program().iter().flat_map(words::input_or_output).collect());
}

#[test]
fn tasks_are_started_only_where_they_are_stopped() {
    assert_none(program().iter().flat_map(words::tasks).collect());
}

#[test]
fn no_session_lives_as_long_as_a_block_behind_it() {
    assert_none(program().iter().flat_map(words::sessions).collect());
}

#[test]
fn a_root_is_given_up_only_where_a_snapshot_was_verified() {
    assert_none(program().iter().flat_map(words::restorables).collect());
}

#[test]
fn a_database_becomes_writable_in_one_place() {
    assert_none(program().iter().flat_map(words::proofs).collect());
}

#[test]
fn who_tells_the_audit_log_nothing_is_on_the_list() {
    assert_none(units::unlisted(&program()));
}

#[test]
fn closed_sets_of_words_are_derived() {
    assert_none(program().iter().flat_map(closed_sets::by_hand).collect());
}

#[test]
fn one_name_is_one_type() {
    assert_none(types::repeated(&program()));
}

#[test]
fn a_count_suits_its_noun() {
    assert_none(program().iter().flat_map(plurals::unsuited).collect());
}

#[test]
fn the_log_is_in_words() {
    assert_none(program().iter().flat_map(log_lines::debugged).collect());
}

#[test]
fn the_walks_are_those_of_the_code() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(document.contains("\n### "), "it has walks");
    assert_none(architecture::faults(&document, |path| {
        root().join(path).exists()
    }));
}

#[test]
fn sql_is_only_in_the_database() {
    assert_none(program().iter().flat_map(words::sql).collect());
}

#[test]
fn columns_are_listed_where_their_table_is_declared() {
    assert_none(columns::listed(&program()));
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > 500).then(|| {
        format!(
            "{}: {lines} lines, at most 500; split it by idea",
            source.path
        )
    })
}

fn unintroduced(source: &Source) -> Option<String> {
    let is_said = source.text.starts_with("//! ");
    (!is_said).then(|| {
        format!(
            "{}:1: begin with a `//!` paragraph: what it owns, what it refuses to know",
            source.path
        )
    })
}

#[test]
fn these_rules_bite() {
    let source = |lines: usize| Source {
        path: "src/x.rs".into(),
        text: "//! X.\n".repeat(lines),
    };
    assert_eq!(
        [499, 500, 501].map(|lines| too_long(&source(lines)).is_some()),
        [false, false, true]
    );
    for (text, bad) in [
        ("//! X.\n", false),
        ("// X.\n", true),
        ("", true),
        ("\n//! X.", true),
        ("use std::fmt;\n//! X.", true),
        ("//!\n", true),
    ] {
        assert_eq!(
            unintroduced(&Source {
                path: "src/x.rs".into(),
                text: text.into()
            })
            .is_some(),
            bad,
            "{text:?}"
        );
    }
}

#[test]
fn the_program_is_found_and_its_tests_are_left_out() {
    let paths: Vec<String> = program().into_iter().map(|code| code.path).collect();
    for there in [
        "src/lib.rs",
        "src/main.rs",
        "src/db/accept.rs",
        "src/core/model/id.rs",
    ] {
        assert!(paths.iter().any(|path| path == there), "{there}");
    }
    for not_there in [
        "src/db/conformance.rs",
        "src/db/conformance/work.rs",
        "src/core/seal/tests.rs",
        "src/core/seal/tests/attacks.rs",
    ] {
        assert!(!paths.iter().any(|path| path == not_there), "{not_there}");
    }
}
