//! Commands that check and show: `receipt`, `config`, `doctor`.

pub(super) mod doctor;
mod private_files;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    config::Config,
    evidence::{self, KeySet, RevocationReceipt},
};

/// Verifies receipts.
#[derive(Subcommand)]
pub(super) enum ReceiptCommand {
    /// Verifies the receipt of a shred or of a whole revocation offline. Exit code 1 if the receipt
    /// is invalid.
    Verify {
        /// A file with the signed receipt.
        file: PathBuf,
        /// A file with the vault's public keys, from `/.well-known/jwks.json`. Without it: the keys
        /// of the configured vault.
        #[arg(long)]
        keys: Option<PathBuf>,
    },
}

impl ReceiptCommand {
    pub(super) async fn perform(self, config: &Path, out: Out) -> Result<ExitCode, Failure> {
        let Self::Verify { file, keys } = self;
        let keys: KeySet = match keys {
            Some(path) => read(&path)?
                .parse()
                .map_err(|error| format!("`{}`: {error}", path.display()))?,
            None => {
                super::open(config)
                    .await?
                    .unlock_to_read()
                    .await?
                    .keys()
                    .await?
            }
        };
        let text = read(&file)?;
        if let Ok(whole) = RevocationReceipt::verify(text.trim(), &keys) {
            return revocation(&whole, out);
        }
        let receipt = evidence::Receipt::verify(text.trim(), &keys)
            .map_err(|error| format!("`{}`: {error}", file.display()))?;
        let id = receipt.id();
        let recording = receipt.recording();
        let state = receipt.state();
        let facts = serde_json::json!({
            "verified": true, "receipt_id": id, "recording_id": recording, "vault": receipt.vault(), "state": state,
            "reason": receipt.reason(), "tombstoned_at": receipt.tombstoned_at(), "copies": receipt.copies(),
            "older_backups": receipt.older_backups(), "source": receipt.source().map(evidence::Removal::source_text),
        });
        let source = receipt
            .source()
            .map(|source| source.source_text() + "\n")
            .unwrap_or_default();
        out.facts(&facts, || {
            format!(
                "The receipt is valid: recording {recording} of vault {} was shredded at {} ({}). \
                 Its state is {}.\n{}\n{source}",
                receipt.vault(),
                receipt.tombstoned_at(),
                receipt.reason(),
                state.as_str(),
                receipt.older_backups().text()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the receipt for a whole revocation.
fn revocation(receipt: &RevocationReceipt, out: Out) -> Result<ExitCode, Failure> {
    #[derive(serde::Serialize)]
    struct Verified<'a> {
        verified: bool,
        #[serde(flatten)]
        receipt: &'a RevocationReceipt,
    }
    out.facts(&Verified { verified: true, receipt }, || {
        format!(
            "The receipt is valid: revocation {} of vault {} covers recordings collected until {} ({}). Shredded: {}, kept by holds: {}, closed to single \
             purposes: {}.\n",
            receipt.id, receipt.vault, receipt.revoked_at, receipt.reason, receipt.shredded, receipt.held, receipt.closed
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()).into())
}

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
