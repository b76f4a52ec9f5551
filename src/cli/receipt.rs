//! `recvault receipt`: shows and verifies receipts.
//!
//! Owns the source of the keys: a file, or the configured vault. Refuses to verify a receipt
//! itself; `evidence` does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use clap::Subcommand;

use super::{
    failure::{CommandRefusal, Failure, FailureCode, or_missing, or_no_recording},
    out::Out,
    residue,
};
use crate::{
    app::{App, NewStores},
    config::Config,
    evidence::{self, CountedKind, KeySet, RevocationReceipt},
    flow::Flow,
    model::id::{ReceiptId, RecordingId, RevocationId},
    policy::{Permit, action},
};

/// Shows and verifies receipts.
#[derive(Subcommand)]
pub(super) enum ReceiptCommand {
    /// Prints a signed receipt: of a shred, or of a whole revocation.
    Show {
        /// The receipt, `rcp_…`; or a shredded recording, or a revocation.
        id: ReceiptOf,
    },
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
        match self {
            Self::Show { id } => show(super::open(config).await?, id, out).await,
            Self::Verify { file, keys } => verify(&file, keys.as_deref(), config, out).await,
        }
    }
}

/// A receipt, by its own id or by that of its subject.
#[derive(Clone, Copy)]
pub(super) enum ReceiptOf {
    Itself(ReceiptId),
    Recording(RecordingId),
    Revocation(RevocationId),
}

impl FromStr for ReceiptOf {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let itself = text.parse().map(Self::Itself).ok();
        itself
            .or_else(|| text.parse().map(Self::Recording).ok())
            .or_else(|| text.parse().map(Self::Revocation).ok())
            .ok_or("expected the id of a receipt, a recording or a revocation")
    }
}

async fn show(mut app: App, of: ReceiptOf, out: Out) -> Result<ExitCode, Failure> {
    let flow = app.flow_to_read().await?;
    let (id, jws) = match of {
        ReceiptOf::Itself(id) => (Some(id), receipt_of(&flow, id).await?),
        ReceiptOf::Recording(id) => {
            let permit = Permit::of_operator(action::Catalogue);
            let details = flow.catalogue.show(&permit, id).await;
            let receipt = details.map_err(or_no_recording(id))?.receipt;
            let receipt = receipt.ok_or_else(|| {
                CommandRefusal::not_found(format!(
                    "recording `{id}` is not shredded: it has no receipt"
                ))
            })?;
            (Some(receipt), receipt_of(&flow, receipt).await?)
        }
        ReceiptOf::Revocation(id) => {
            let permit = Permit::of_operator(action::Revoke);
            let status = flow.revocations.status(&permit, id).await;
            let status = status.map_err(|error| {
                or_missing(error, || format!("revocation `{id}` does not exist"))
            })?;
            let jws = status.revocation.jws.ok_or_else(|| {
                CommandRefusal::not_found(format!(
                    "revocation `{id}` is not complete: it has no receipt yet"
                ))
            })?;
            (None, jws)
        }
    };
    let facts = serde_json::json!({ "receipt_id": id, "receipt": jws });
    out.facts(&facts, || format!("{jws}\n"))?;
    Ok(ExitCode::SUCCESS)
}

async fn receipt_of(flow: &Flow, id: ReceiptId) -> Result<String, Failure> {
    let found = flow.shredding.receipt(id).await;
    found.map_err(|error| or_missing(error, || format!("receipt `{id}` does not exist")))
}

async fn verify(
    file: &Path,
    keys: Option<&Path>,
    config: &Path,
    out: Out,
) -> Result<ExitCode, Failure> {
    let keys: KeySet = match keys {
        Some(path) => read(path)?
            .parse()
            .map_err(|error| CommandRefusal::content(path, error))?,
        None => {
            let config = Config::read(config).map_err(|faults| {
                CommandRefusal::of(
                    FailureCode::Config,
                    format!(
                        "{faults}\nwithout a vault, give its public keys with `--keys FILE`, from \
                         `/.well-known/jwks.json`"
                    ),
                )
            })?;
            super::opened(config, NewStores::None)
                .await?
                .unlock_to_read()
                .await?
                .keys()
                .await?
        }
    };
    let text = read(file)?;
    if let Ok(whole) = RevocationReceipt::verify(text.trim(), &keys) {
        return revocation(&whole, out);
    }
    let receipt = evidence::Receipt::verify(text.trim(), &keys)
        .map_err(|error| CommandRefusal::content(file, error))?;
    let id = receipt.id();
    let recording = receipt.recording();
    let state = receipt.state();
    let facts = serde_json::json!({
        "verified": true, "receipt_id": id, "recording_id": recording, "vault": receipt.vault(), "state": state,
        "reason": receipt.reason(), "tombstoned_at": receipt.tombstoned_at(), "copies": receipt.copies(),
        "residue": receipt.residue(),
        "older_backups": receipt.older_backups(), "source": receipt.source().map(evidence::Removal::source_text),
    });
    let source = receipt
        .source()
        .map(|source| source.source_text() + "\n" + &residue::text(receipt.residue()))
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

/// Prints the receipt for a whole revocation.
fn revocation(receipt: &RevocationReceipt, out: Out) -> Result<ExitCode, Failure> {
    #[derive(serde::Serialize)]
    struct Verified<'a> {
        verified: bool,
        #[serde(flatten)]
        receipt: &'a RevocationReceipt,
    }
    let kinds = receipt.kinds.iter().map(|counted| {
        let CountedKind {
            kind,
            authorship,
            shredded,
            held,
            closed,
        } = counted;
        format!(
            "{kind}, {authorship}: {shredded} shredded, {held} kept by holds, {closed} closed\n"
        )
    });
    let kinds: String = kinds.collect();
    out.facts(&Verified { verified: true, receipt }, || {
        format!(
            "The receipt is valid: revocation {} of vault {} covers recordings collected until {} ({}). Shredded: {}, kept by holds: {}, closed: {}.\n{kinds}",
            receipt.id, receipt.vault, receipt.revoked_at, receipt.reason, receipt.shredded, receipt.held, receipt.closed
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| CommandRefusal::file(path, &error))
}
