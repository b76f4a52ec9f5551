//! What is printed, and where.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use serde::Serialize;

/// How facts are printed.
#[derive(Clone, Copy)]
pub(super) struct Out {
    /// As JSON instead of for people.
    pub(super) json: bool,
}

impl Out {
    /// Prints facts: the same ones, for machines or for people.
    pub(super) fn facts(self, facts: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(facts)? + "\n" } else { text() };
        self.text(&text)
    }

    /// Prints text as it is.
    pub(super) fn text(self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

/// Says why a command failed.
pub(super) fn fail(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "recvault: {why}");
    ExitCode::FAILURE
}

/// Says what is odd.
pub(super) fn warn(what: &str) {
    let _ = writeln!(io::stderr(), "recvault: {what}");
}

/// Says how far long work is.
pub(super) fn progress(work: &str, line: &str) {
    let _ = writeln!(io::stderr(), "{work}: {line}");
}
