//! Every command line in the documents names commands and flags that exist.

use clap::Command;

use crate::cli::Cli;

const DOCUMENTS: [(&str, &str); 9] = [
    ("README.md", include_str!("../../../README.md")),
    ("SECURITY.md", include_str!("../../../SECURITY.md")),
    ("CHANGELOG.md", include_str!("../../../CHANGELOG.md")),
    ("docs/api.md", include_str!("../../../docs/api.md")),
    ("docs/consent.md", include_str!("../../../docs/consent.md")),
    (
        "docs/operations.md",
        include_str!("../../../docs/operations.md"),
    ),
    ("docs/policy.md", include_str!("../../../docs/policy.md")),
    (
        "docs/promises.md",
        include_str!("../../../docs/promises.md"),
    ),
    ("docs/twilio.md", include_str!("../../../docs/twilio.md")),
];

/// The command lines of a document: lines of a block, with their continuations, and spans of code.
fn command_lines(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, part) in document.split("```").enumerate() {
        let is_block = at % 2 == 1;
        let joined = part.replace("\\\n", " ");
        let candidates: Vec<&str> = if is_block {
            joined.lines().collect()
        } else {
            joined.split('`').skip(1).step_by(2).collect()
        };
        let of_ours = candidates
            .into_iter()
            .filter_map(|line| line.trim().strip_prefix("recvault "));
        found.extend(of_ours.map(|line| line.replace('\n', " ")));
    }
    found
}

/// Returns the first alternative of a word, without the marks of an optional part or a list.
fn bare(word: &str) -> &str {
    let first = word.split('|').next().unwrap_or_default();
    first.trim_matches(|mark| matches!(mark, '[' | ']' | '(' | ')' | ',' | '…'))
}

fn has_flag(node: &Command, flag: &str) -> bool {
    let of_node = |node: &Command| node.get_arguments().any(|arg| arg.get_long() == Some(flag));
    of_node(node) || matches!(flag, "help" | "version")
}

/// What a command line says that does not exist.
fn fault(root: &Command, line: &str) -> Option<String> {
    let text = line.split(" #").next().unwrap_or_default();
    let mut node = root;
    let mut takes_words = false;
    let mut skip = false;
    for word in text.split_whitespace().map(bare) {
        if std::mem::take(&mut skip) {
            continue;
        }
        if let Some(flag) = word.strip_prefix("--") {
            let flag = flag.split('=').next().unwrap_or_default();
            if !flag.is_empty() && !has_flag(node, flag) && !has_flag(root, flag) {
                return Some(format!("`--{flag}` of `{}`", node.get_name()));
            }
            // The value of a global option may stand before the command.
            skip = flag == "config";
        } else if let Some(below) = node.find_subcommand(word).filter(|_| !takes_words) {
            node = below;
        } else if node.has_subcommands() && !takes_words && !word.is_empty() {
            return Some(format!("`{word}` of `{}`", node.get_name()));
        } else {
            takes_words = true;
        }
    }
    None
}

#[test]
fn every_command_in_the_documents_exists() {
    let mut root = <Cli as clap::CommandFactory>::command();
    root.build();
    let mut seen = 0;
    let mut faults = Vec::new();
    for (name, document) in DOCUMENTS {
        for line in command_lines(document) {
            seen += 1;
            let fault = fault(&root, &line);
            faults.extend(fault.map(|fault| format!("{name}: {fault} in `recvault {line}`")));
        }
    }
    assert!(seen > 50, "{seen} command lines were found");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_command_or_flag_that_does_not_exist_is_found() {
    let mut root = <Cli as clap::CommandFactory>::command();
    root.build();
    for line in [
        "shredd ID",
        "epoch turns",
        "shred ID --resaon x",
        "--config f epoch trun",
    ] {
        assert!(fault(&root, line).is_some(), "{line}");
    }
    assert_eq!(
        fault(&root, "--config f shred ID… --reason x [--dry-run]"),
        None
    );
}
