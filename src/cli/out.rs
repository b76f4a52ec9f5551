//! Output: results to standard output, everything else to standard error.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::atomic::{AtomicU64, Ordering},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// The form of printed facts.
#[derive(Clone, Copy)]
pub(super) struct Out {
    /// JSON instead of text.
    pub(super) json: bool,
    /// Whether the command has had an effect by the time it prints.
    pub(super) acts: bool,
}

impl Out {
    /// Prints facts as JSON or as text.
    pub(super) fn facts(
        self,
        facts: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        let text = self.form(facts, text)?;
        self.text(&text)
    }

    fn form(self, facts: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<String> {
        Ok(if self.json {
            serde_json::to_string_pretty(facts)? + "\n"
        } else {
            text()
        })
    }

    /// Prints facts with a secret that is shown only now. Whoever did not get it never will, so a
    /// closed pipe is a failure, too, and the caller takes the secret back.
    pub(super) fn secret(
        self,
        facts: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> io::Result<()> {
        let text = self.form(facts, text)?;
        write(text.as_bytes())
    }

    /// Prints text unchanged. A closed pipe is not a failure of the command; nor is any other
    /// output error after a permanent effect.
    pub(super) fn text(self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes()).map(|_| ())
    }

    /// Prints bytes unchanged. Returns whether the reader still accepts output; if not, the rest
    /// need not be made.
    pub(super) fn bytes(self, bytes: &[u8]) -> io::Result<bool> {
        match write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) if self.acts => {
                warn(&format!(
                    "the command is done, and its result cannot be printed: {error}"
                ));
                Ok(false)
            }
            Err(error) => Err(error),
            Ok(()) => Ok(true),
        }
    }

    /// Prints that a list is empty. On standard error, so that a program that counts lines counts
    /// none.
    pub(super) fn none_if(self, is_empty: bool, what: &str) {
        if is_empty && !self.json {
            let _ = writeln!(io::stderr(), "no {what}");
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| {
        let text = format!("standard output cannot be written: {error}");
        io::Error::new(error.kind(), text)
    })
}

/// Formats ids below a sentence, one per line.
pub(super) fn indented<T: Display>(ids: &[T]) -> String {
    ids.iter().map(|id| format!("  {id}\n")).collect()
}

/// Prints a warning.
pub(super) fn warn(what: &str) {
    let _ = writeln!(io::stderr(), "recvault: {what}");
}

/// Prints a line of progress.
pub(super) fn progress(work: &str, line: &str) {
    let _ = writeln!(io::stderr(), "{work}: {line}");
}

/// Progress of work on many items: a bar on a terminal, and a plain line for each tenth elsewhere.
/// On standard error, to keep standard output for facts.
pub(super) struct Progress {
    work: &'static str,
    bar: Option<ProgressBar>,
    total: u64,
    done: AtomicU64,
}

impl Progress {
    /// Starts with none of `total` items done.
    pub(super) fn of(work: &'static str, total: u64) -> Self {
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}").ok();
        let bar = io::stderr()
            .is_terminal()
            .then(|| ProgressBar::new(total).with_message(work));
        let bar = bar.map(|bar| {
            if let Some(style) = style {
                bar.with_style(style)
            } else {
                bar
            }
        });
        Self {
            work,
            bar,
            total,
            done: AtomicU64::new(0),
        }
    }

    /// Counts `more` items as done.
    pub(super) fn add(&self, more: usize) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let before = self.done.fetch_add(more, Ordering::Relaxed);
        match &self.bar {
            Some(bar) => bar.inc(more),
            None => {
                let tenth = |done: u64| done.saturating_mul(10) / self.total.max(1);
                if tenth(before + more) > tenth(before) {
                    progress(self.work, &format!("{} of {}", before + more, self.total));
                }
            }
        }
    }

    /// Removes the bar.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
