//! Commands that check and show: `receipt`, `config`, `doctor`.

mod private_keys;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

use super::{Failure, out::Out};
use crate::{
    app::App,
    config::Config,
    custody::Kind,
    evidence::{self, KeySet, RevocationReceipt},
    flow,
    model::time::Clock,
};

/// Check receipts.
#[derive(Subcommand)]
pub(super) enum Receipt {
    /// Check a receipt offline, of a shred or of a whole revocation; exit code 1 if it does not hold.
    Verify {
        /// A file with the receipt in its signed form.
        file: PathBuf,
        /// A file with the vault's keys, from `/.well-known/jwks.json`. Without it: the keys of the configured vault.
        #[arg(long)]
        keys: Option<PathBuf>,
    },
}

impl Receipt {
    pub(super) async fn perform(self, config: &Path, out: Out) -> Result<ExitCode, Failure> {
        let Self::Verify { file, keys } = self;
        let keys: KeySet = match keys {
            Some(path) => read(&path)?.parse().map_err(|error| format!("`{}`: {error}", path.display()))?,
            None => super::open(config).await?.unlock().await?.keys(),
        };
        let text = read(&file)?;
        if let Ok(whole) = RevocationReceipt::verify(text.trim(), &keys) {
            return revocation(&whole, out);
        }
        let receipt = evidence::Receipt::verify(text.trim(), &keys).map_err(|error| format!("`{}`: {error}", file.display()))?;
        let (id, recording, state) = (receipt.id(), receipt.recording(), receipt.state());
        let facts = serde_json::json!({
            "verified": true, "receipt_id": id, "recording_id": recording, "vault": receipt.vault(), "state": state,
            "reason": receipt.reason(), "fenced_at": receipt.fenced_at(), "copies": receipt.copies(),
            "older_backups": receipt.older_backups(), "source": receipt.source().map(evidence::Removal::source_text),
        });
        let source = receipt.source().map(|source| source.source_text() + "\n").unwrap_or_default();
        out.facts(&facts, || {
            format!(
                "The receipt holds: recording {recording} of vault {} was shredded at {} ({}). It is {}.\n{}\n{source}",
                receipt.vault(),
                receipt.fenced_at(),
                receipt.reason(),
                state.as_str(),
                receipt.older_backups().text()
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The receipt for the whole of a revocation.
fn revocation(receipt: &RevocationReceipt, out: Out) -> Result<ExitCode, Failure> {
    #[derive(serde::Serialize)]
    struct Verified<'a> {
        verified: bool,
        #[serde(flatten)]
        receipt: &'a RevocationReceipt,
    }
    out.facts(&Verified { verified: true, receipt }, || {
        format!(
            "The receipt holds: revocation {} of vault {} covers what was collected until {} ({}). Shredded: {}, kept by holds: {}, closed to single \
             purposes: {}.\n",
            receipt.id, receipt.vault, receipt.revoked_at, receipt.reason, receipt.shredded, receipt.held, receipt.closed
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| format!("`{}`: {error}", path.display()).into())
}

/// Show the configuration.
#[derive(Subcommand)]
pub(super) enum Show {
    /// Print what file and environment give together, secrets redacted.
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

/// One finding of `doctor`.
#[derive(serde::Serialize)]
struct Finding {
    what: &'static str,
    /// `ok`, `weak` or `broken`.
    verdict: &'static str,
    why: String,
}

/// Checks everything the configuration names; exit code 1 if something is broken.
pub(super) async fn doctor(file: &Path, out: Out) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    let mut find = |what, verdict, why: String| findings.push(Finding { what, verdict, why });
    let config = Config::read(file)?;
    find("configuration", "ok", format!("{} is read", file.display()));
    let public = config.server.public_url.clone();
    if !public.starts_with("https://") {
        find("server.public_url", "weak", format!("`{public}` is not https: callbacks and recordings travel in the clear"));
    }
    if config.ledger.url.starts_with("postgres")
        && !["sslmode=verify-full", "@127.", "@localhost", "@[::1]"].iter().any(|part| config.ledger.url.contains(part))
    {
        find("ledger.url", "weak", "the server's certificate is not checked: add `?sslmode=verify-full`".into());
    }
    let custody = &config.custody;
    let is_file = custody.kind == Kind::Passphrase && custody.passphrase.is_none();
    if let Some(passphrase) = custody.passphrase_file.as_deref().filter(|_| is_file) {
        let (root, passphrase) = (config.base.join(&custody.root_file), config.base.join(passphrase));
        if root.parent() == passphrase.parent() {
            find("custody", "weak", "the passphrase lies beside the root file: whoever copies the folder has the vault".into());
        }
    }
    if config.store.url.starts_with("s3://") {
        find(
            "store",
            "weak",
            "if the bucket keeps versions, removed ciphertext stays as old versions (without its key); add a lifecycle rule that ends old \
             versions and incomplete uploads"
                .into(),
        );
    }
    match config.twilio.accounts.len() {
        0 => find("twilio.accounts", "weak", "no account is configured: every callback is refused".into()),
        count => find("twilio.accounts", "ok", format!("{count} accounts")),
    }
    for (verdict, why) in private_keys::findings(&config) {
        find("twilio.encryption_keys", verdict, why);
    }
    match App::open(config, Clock::System).await {
        Err(error) => find("custody, ledger and store", "broken", error.to_string()),
        Ok(mut app) => {
            let meaning = app.custody.meaning();
            find("custody", "ok", format!("{}. Destroying a root: {}. Left: {}", app.custody.kind(), meaning.destroyed, meaning.left));
            find("ledger", "ok", format!("{} opens with a schema this program knows", app.ledger.kind()));
            match app.store.probe().await {
                Ok(()) => find("store", "ok", format!("{} takes and gives objects", app.store.name())),
                Err(error) => find("store", "broken", error.to_string()),
            }
            match app.rules() {
                Ok(rules) => {
                    find("policy", "ok", format!("version {}", rules.version()));
                    if rules.document().consent.voice.is_some() && !app.config.twilio.consent.goes_on() {
                        let why = "the policy asks for consent in calls, and neither `connect_url` nor `connect_to` says where they go on: they end";
                        find("twilio.consent", "weak", why.into());
                    }
                    for odd in flow::oddities(&app.ledger, &rules, &app.clock).await.unwrap_or_default() {
                        find("policy", "weak", odd);
                    }
                }
                Err(error) => find("policy", "broken", error.to_string()),
            }
            match app.flow().await {
                Ok((flow, _committer)) => {
                    find("vault", "ok", format!("{} unlocks", flow.vault().id()));
                    for stuck in flow.stuck_deletions().await.unwrap_or_default() {
                        let why = stuck.last_error.as_deref().unwrap_or("?");
                        find("source", "broken", format!("copies of {} could not be deleted at the source: {why}", stuck.recording_id));
                    }
                }
                Err(error) => find("vault", "broken", error.to_string()),
            }
        }
    }
    let is_broken = findings.iter().any(|finding| finding.verdict == "broken");
    out.facts(&findings, || {
        findings.iter().map(|finding| format!("{:<7} {}: {}\n", finding.verdict, finding.what, finding.why)).collect()
    })?;
    Ok(if is_broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
