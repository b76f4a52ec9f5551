//! Commands that check and show: `config`, `doctor`.

pub(super) mod doctor;
mod private_files;

use std::{path::Path, process::ExitCode};

use clap::Subcommand;

use super::{failure::Failure, out::Out};
use crate::config::Config;

/// Shows the configuration.
#[derive(Subcommand)]
pub(super) enum Show {
    /// Prints the configuration of file and environment combined, secrets redacted.
    Print,
}

impl Show {
    pub(super) fn perform(self, file: &Path, out: Out) -> Result<ExitCode, Failure> {
        let Self::Print = self;
        let shown = Config::read(file)?.shown();
        out.facts(&shown, || shown.to_string())?;
        Ok(ExitCode::SUCCESS)
    }
}
