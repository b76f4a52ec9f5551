//! The whole command tree: every command is tested.

mod documents;

use std::sync::mpsc;

use clap::{ArgAction, Command as Node};

use super::*;

/// Whether a command reads no configuration.
fn is_apart(path: &[String]) -> bool {
    matches!(
        path.first().map(String::as_str),
        Some("completions" | "man" | "help")
    )
}

/// Returns all commands without subcommands, each with its path.
fn leaves(node: &Node, path: &[String]) -> Vec<(Vec<String>, Node)> {
    let below: Vec<&Node> = node.get_subcommands().collect();
    if below.is_empty() {
        return vec![(path.to_vec(), node.clone())];
    }
    below
        .into_iter()
        .flat_map(|node| leaves(node, &[path, &[node.get_name().to_owned()]].concat()))
        .collect()
}

/// Returns a value for a required argument.
fn sample(arg: &str) -> &'static str {
    match arg {
        "object" | "recording" | "recordings" => "rec_00000000000000000000000000000000",
        "token" => "tok_00000000000000000000000000000000",
        "conversation" => "CA00000000000000000000000000000000",
        "grant" => "grt_00000000000000000000000000000000",
        "receipt" => "rcp_00000000000000000000000000000000",
        "reason" => "operator",
        "tier" => "standard",
        "purpose" => "quality-review",
        "name" => "lawsuit-7",
        "authority" => "Landgericht",
        "review_at" | "since" => "2099-01-01T00:00:00Z",
        "subject" => "+493023125001",
        "answer" => "given",
        "method" => "letter",
        "label" => "a system",
        "roles" => "agent",
        "file" | "new" | "new_passphrase_file" | "token_file" | "output" => "no-such-file.csv",
        other => panic!("`{other}` must be given and has no sample here: add one"),
    }
}

/// Returns the shortest command line of a command.
fn shortest(path: &[String], node: &Node) -> Vec<String> {
    let mut line = path.to_vec();
    let id = match path.first().map(String::as_str) {
        Some("token") => "token",
        Some("grant") => "grant",
        Some("conversations") => "conversation",
        Some("receipt") => "receipt",
        _ => "",
    };
    for arg in node.get_arguments().filter(|arg| arg.is_required_set()) {
        let name = arg.get_id().as_str();
        let value = sample(if name == "id" { id } else { name });
        match arg.get_long() {
            Some(long) if matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) => {
                line.extend([format!("--{long}"), value.to_owned()]);
            }
            _ => line.push(value.to_owned()),
        }
    }
    // A required group makes none of its members required.
    match path.join(" ").as_str() {
        "token revoke" => line.push(sample("token").to_owned()),
        "revoke" => line.extend(["--subject".to_owned(), sample("subject").to_owned()]),
        "consent record" => line.extend(["--subject".to_owned(), sample("subject").to_owned()]),
        _ => {}
    }
    line
}

/// A named configuration applies to every command, before and behind its words: with a missing
/// file, each command fails with an error that names it, before any effect.
#[test]
fn a_named_configuration_counts_everywhere() {
    // The future of all commands together needs a larger stack than a test's thread has.
    let roomy = std::thread::Builder::new().stack_size(64 * 1024 * 1024);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let walking = roomy.spawn(move || runtime.block_on(walk())).unwrap();
    walking.join().unwrap();
}

async fn walk() {
    let named = "/dev/null/mine.toml";
    let tree = Cli::command();
    let mut count = 0;
    let mut faults = Vec::new();
    for (path, node) in leaves(&tree, &[]) {
        if is_apart(&path) {
            continue;
        }
        let line = shortest(&path, &node);
        let config = ["--config".to_owned(), named.to_owned()];
        for line in [[&config[..], &line].concat(), [&line[..], &config].concat()] {
            let args = std::iter::once("recvault".to_owned()).chain(line.clone());
            let cli = Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let why = match cli.perform().await {
                Ok(_) => "it does not need the configuration that it is given".to_owned(),
                Err(why) => why.to_string(),
            };
            // The folder cannot be created, so that `init`, too, can only fail.
            let is_named = why.contains("/dev/null") || why.contains("leave out `--config`");
            if !is_named {
                faults.push(format!("{line:?}: {why}"));
            }
        }
        count += 1;
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 40, "{count} commands were walked");
}

#[test]
fn the_tree_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn the_process_ends_although_a_thread_hangs() {
    let ((_never_told, never), (left, is_left)) = (mpsc::channel::<()>(), mpsc::channel());
    std::thread::spawn(move || {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.spawn_blocking(move || never.recv());
        leave(runtime);
        left.send(())
    });
    is_left
        .recv_timeout(HANGING * 5)
        .expect("the runtime is not waited for");
}
