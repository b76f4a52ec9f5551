//! `recvault policy`: checking, publishing and explaining the privacy policy and its decisions.

mod ask;
mod check;
mod table;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;

use super::{
    failure::{CommandRefusal, Failure},
    out::Out,
};
use crate::{
    app::{App, read_rules},
    config::Config,
    flow::{self, Asking},
    model::{
        access::Ticket,
        id::{RecordingId, TokenId},
        name::Purpose,
    },
    policy::{Explanation, Rules},
};

/// Checks, publishes and explains the privacy policy, and explains its decisions.
#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Checks a policy file, also against the versions that the configured vault has published, and
    /// prints its digest.
    Check {
        /// The file. Without it: the configured file.
        file: Option<PathBuf>,
    },
    /// Signs a version and stores it for everyone to read. It takes effect once it is the
    /// configured file and the service starts with it.
    Publish {
        /// The file. Without it: the configured file.
        file: Option<PathBuf>,
        /// Only show what would be published.
        #[arg(long)]
        dry_run: bool,
    },
    /// Explains each purpose in words: roles, tiers, legal basis, conditions, duration.
    Explain {
        /// Restrict to this purpose.
        #[arg(long)]
        purpose: Option<Purpose>,
        /// The file. Without it: the configured file.
        file: Option<PathBuf>,
    },
    /// Prints the rules of a policy file in the syntax of Cedar, for Cedar's own tools.
    Cedar {
        /// Print the schema instead: the attributes for rules and conditions.
        #[arg(long)]
        schema: bool,
        /// The file. Without it: the configured file.
        file: Option<PathBuf>,
    },
    /// Explains whether a principal may open a recording. If not, lists every reason with the
    /// change that would remove it. Opens nothing. Exit code 1 if the principal may not open it.
    WhyNot {
        /// The recording.
        recording: RecordingId,
        /// The principal, by the id of one of their tokens, `tok_…`.
        token: TokenId,
        /// The purpose of the request.
        purpose: Purpose,
        /// The justification of the request.
        #[arg(long, value_name = "TEXT")]
        justification: Option<String>,
        /// The request's ticket: a case in another system.
        #[arg(long)]
        ticket: Option<Ticket>,
    },
    /// Compares a new policy file with the current one over the recordings in the vault: per
    /// purpose, the number that it opens now, would open, gains and loses.
    Diff {
        /// The new file.
        new: PathBuf,
    },
    /// Decides a table of cases by the configured policy file, without a vault. Exit code 1 if a
    /// case has another result than expected.
    Test {
        /// The table.
        file: PathBuf,
    },
}

impl PolicyCommand {
    /// `is_named`: whether the command line names the configuration.
    pub(super) async fn perform(
        self,
        config: &Path,
        is_named: bool,
        out: Out,
    ) -> Result<ExitCode, Failure> {
        match self {
            Self::Check { file } => check::check(file, config, is_named, out).await,
            Self::Publish { file, dry_run } => {
                publish(
                    super::open(config).await?,
                    &named(file, config)?,
                    dry_run,
                    out,
                )
                .await
            }
            Self::Explain { purpose, file } => {
                explain(&read_rules(&named(file, config)?)?, purpose.as_ref(), out)
            }
            Self::Cedar { schema, file } => cedar(&read_rules(&named(file, config)?)?, schema, out),
            Self::WhyNot {
                recording,
                token,
                purpose,
                justification,
                ticket,
            } => {
                let asking = Asking {
                    ticket,
                    ..Asking::new(purpose, justification.as_deref())
                };
                ask::why_not(super::open(config).await?, recording, token, &asking, out).await
            }
            Self::Diff { new } => ask::diff(super::open(config).await?, &new, out).await,
            Self::Test { file } => table::test(&read_rules(&named(None, config)?)?, &file, out),
        }
    }
}

/// The file, or the configured one.
fn named(file: Option<PathBuf>, config: &Path) -> Result<PathBuf, Failure> {
    match file {
        Some(file) => Ok(file),
        None => Ok(Config::read(config).map(|config| config.base.join(&config.policy.file))?),
    }
}

async fn publish(app: App, file: &Path, dry_run: bool, out: Out) -> Result<ExitCode, Failure> {
    let rules = read_rules(file)?;
    let vault = if dry_run {
        app.unlock_to_read().await?
    } else {
        app.unlock().await?
    };
    let done = flow::publish(&app.db, &vault, &rules, dry_run).await?;
    if !dry_run {
        // A version is signed once: a restore must know of it.
        vault.make_durable().await?;
    }
    out.facts(&done, || {
        let version = &done.version;
        let digest = &done.digest;
        let effective = done.effective;
        match (done.new, dry_run) {
            (true, true) => format!("Would publish version {version}, in force from {effective}, digest {digest}. Nothing was done.\n"),
            (true, false) => format!(
                "Published version {version}, in force from {effective}, digest {digest}. It takes effect once it is the configured file and the service \
                 starts with it.\n\n{}\n",
                done.statement.as_deref().unwrap_or_default()
            ),
            (false, _) => format!("Version {version} was published before, digest {digest}. Nothing was done.\n"),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

fn explain(rules: &Rules, purpose: Option<&Purpose>, out: Out) -> Result<ExitCode, Failure> {
    let mut said = rules.explain();
    if let Some(wanted) = purpose {
        let known: Vec<String> = said.iter().map(|said| said.purpose.to_string()).collect();
        said.retain(|said| said.purpose == *wanted);
        if said.is_empty() {
            return Err(CommandRefusal::invalid(format!(
                "`--purpose {wanted}`: the policy has no such purpose; use one of `{}`",
                known.join("`, `")
            )));
        }
    }
    out.facts(&said, || {
        let told = |said: &Explanation| {
            let lines: String = said
                .sentences()
                .iter()
                .map(|sentence| format!("  {sentence}\n"))
                .collect();
            format!("{}\n{lines}", said.purpose)
        };
        let purposes: Vec<String> = said.iter().map(told).collect();
        format!(
            "Version {}. Every use that is not listed here is refused.\n\n{}",
            rules.version(),
            purposes.join("\n")
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn cedar(rules: &Rules, schema: bool, out: Out) -> Result<ExitCode, Failure> {
    let text = if schema {
        rules.schema()
    } else {
        rules.cedar()
    };
    let facts = serde_json::json!({ "version": rules.version(), "digest": rules.digest(), if schema { "schema" } else { "policies" }: text });
    out.facts(&facts, || text.clone())?;
    Ok(ExitCode::SUCCESS)
}
