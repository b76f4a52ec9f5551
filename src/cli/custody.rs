//! `recvault custody`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    config::Config,
    custody::{self, passphrase::read_passphrase},
    flow,
};

/// Look after the root key's home.
#[derive(Subcommand)]
pub(super) enum CustodyCommand {
    /// Seal the root file under another passphrase. The new one must then be where the
    /// configuration says.
    ChangePassphrase {
        /// A file that holds the new passphrase; one line break at its end is not part of it.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
        /// Only try the passphrase so far, and say what would be sealed anew.
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
                format!("The passphrase so far opens the roots of these epochs; they would be sealed under the new one: {listed}.\n")
            } else {
                format!(
                    "The roots of these epochs are sealed under the new passphrase: {listed}.\n\
                     Now {next}: until then nothing opens, also in a running service.\n"
                )
            }
        })?;
        app.db.close().await;
        Ok(ExitCode::SUCCESS)
    }
}
