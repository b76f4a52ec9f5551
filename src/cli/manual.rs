//! `recvault completions` and `recvault man`: shell completions and manual pages.
//!
//! Owns the destination of both. Their content is generated from the command tree, so that neither
//! can be outdated.

use std::{fs, path::Path, process::ExitCode};

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{
    failure::{CommandRefusal, Failure},
    out::Out,
};

/// Prints the completions for a shell.
pub(super) fn completions(tree: &mut Command, shell: Shell, out: Out) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, tree, "recvault", &mut script);
    out.bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the main page, or writes one page for each command into a folder.
pub(super) fn pages(tree: Command, dir: Option<&Path>, out: Out) -> Result<ExitCode, Failure> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(tree).render(&mut page)?;
        out.bytes(&page)?;
        return Ok(ExitCode::SUCCESS);
    };
    let shown = dir.display();
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(tree, dir))
        .map_err(|error| CommandRefusal::file(dir, &error))?;
    out.facts(&serde_json::json!({ "dir": shown.to_string() }), || {
        format!("Wrote a page for each command to {shown}.\n")
    })?;
    Ok(ExitCode::SUCCESS)
}
