//! The walks of `ARCHITECTURE.md` match the code.

use std::collections::BTreeSet;

/// The longest that a walk may be, in files.
const LONGEST: usize = 20;

/// Returns paths in the document that do not exist, and walks that are too long.
pub(super) fn faults(document: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut faults: Vec<String> = paths(document)
        .into_iter()
        .filter(|path| !exists(path))
        .map(|path| format!("ARCHITECTURE.md: `{path}` is not there"))
        .collect();
    let walks = document
        .split("\n## ")
        .find(|part| part.starts_with("Walks"));
    for walk in walks.unwrap_or_default().split("\n### ").skip(1) {
        let title = walk.lines().next().unwrap_or_default();
        let files = paths(walk).len();
        if files > LONGEST {
            faults.push(format!(
                "ARCHITECTURE.md: the walk `{title}` passes {files} files, at most {LONGEST}"
            ));
        }
    }
    faults
}

/// Returns the files and folders that a text names in backticks.
fn paths(text: &str) -> BTreeSet<&str> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.starts_with("src/") || word.starts_with("tests/"))
        .collect()
}

#[test]
fn a_path_that_is_not_there_and_a_long_walk_are_found() {
    let many: String = (0..21).map(|n| format!("`src/{n}.rs` ")).collect();
    let text = format!("`src/a.rs` `word`\n## Walks\n### Long\n{many}\n### Short\n`src/a.rs`\n");
    let found = faults(&text, |path| path != "src/a.rs");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("`src/a.rs`") && found[1].contains("`Long` passes 21 files"));
    assert!(faults("`src/b.rs`", |_| true).is_empty());
}
