//! `recvault custody`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

use super::{failure::Failure, out::Out};
use crate::{
    config::Config,
    custody::{self, passphrase::read_passphrase},
    flow,
};

/// Manages the custody of the root key.
#[derive(Subcommand)]
pub(super) enum CustodyCommand {
    /// Seals the root file under another passphrase. Afterwards, put the new passphrase in the
    /// place that the configuration names.
    ChangePassphrase {
        /// A file with the new passphrase; one line break at its end is not part of the passphrase.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
        /// Only test the present passphrase, and list the root keys that would be sealed again.
        #[arg(long)]
        dry_run: bool,
    },
}

impl CustodyCommand {
    pub(super) async fn perform(self, config: &Path, out: Out) -> Result<ExitCode, Failure> {
        let Self::ChangePassphrase {
            new_passphrase_file,
            dry_run,
        } = self;
        let Config {
            base,
            custody: settings,
            ..
        } = Config::read(config)?;
        let next = match (&settings.passphrase, &settings.passphrase_file) {
            (None, Some(file)) => format!(
                "put the new passphrase into `{}`",
                base.join(file).display()
            ),
            _ => "set `custody.passphrase` to the new passphrase".to_owned(),
        };
        let root_file = custody::root_file(settings, &base)?;
        let new = read_passphrase(&new_passphrase_file)?;
        let app = super::open(config).await?;
        if !dry_run {
            app.unlock().await?;
        }
        let roots = if dry_run {
            root_file.opened().await?
        } else {
            flow::change_passphrase(&app.unlock().await?, &root_file, new).await?
        };
        let epochs: Vec<u64> = roots.iter().map(|root| root.epoch).collect();
        let listed = epochs
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let facts = serde_json::json!({ "epochs": epochs, "changed": !dry_run, "next": next });
        out.facts(&facts, || {
            if dry_run {
                format!("The present passphrase opens the root keys of these epochs; they would be sealed under the new one: {listed}.\n")
            } else {
                format!(
                    "The root keys of these epochs are sealed under the new passphrase: {listed}.\n\
                     Now {next}: until then nothing opens, including in a running service.\n"
                )
            }
        })?;
        app.db.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
