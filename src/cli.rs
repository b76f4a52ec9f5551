//! The command tree of the operator.
//!
//! Owns the words, the flags, the exit codes and the output: facts to standard output (`--json` for
//! programs), everything else to standard error. Refuses to decide or to write anything by itself;
//! it calls `app` and `flow`.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 usage.

mod acts;
mod approval;
mod audit;
mod bearer;
mod catalogue;
mod check;
mod clock;
mod consent;
mod conversations;
mod custody;
mod drill;
mod epoch;
mod export;
mod failure;
mod grant;
mod hold;
mod init;
mod launch;
mod manual;
mod moment;
mod out;
mod person;
mod policy;
mod principal;
mod receipt;
mod recordings;
mod residue;
mod retention;
mod revoke;
mod serve;
mod snapshot;
mod sources;
mod status;
mod token;
mod twilio;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{CommandFactory as _, Parser, Subcommand};

use self::{
    failure::{CommandRefusal, Failure},
    out::Out,
};
use crate::{
    app::{App, NewStores},
    config::{self, Config},
    model::{crash, id::RecordingId, name::Tier, time::Clock},
    telemetry::{self, Narrator},
};
use tokio::runtime::{Builder, Runtime};

/// Keeps recorded communications sealed, opens them only for a stated purpose, and destroys their
/// keys when the recordings must be deleted.
#[derive(Parser)]
#[command(name = "recvault", version, max_term_width = 100)]
struct Cli {
    /// The configuration file. The default is `recvault.toml` in the working directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole workflow on this machine: a stand-in for Twilio, a call, a grant, a shred, a
    /// receipt.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Creates a vault folder: configuration, policy, root key, database and a first token.
    ///
    /// Existing files are used unchanged. An existing vault is never replaced.
    Init(init::Init),
    /// Runs the service until SIGTERM or Ctrl-C.
    ///
    /// On SIGHUP it reloads the accounts of `[twilio]` and their secret files.
    Serve,
    /// Creates, lists and revokes bearer tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Lists principals: the persons and services that the tokens belong to.
    #[command(subcommand)]
    Principal(principal::PrincipalCommand),
    /// Checks, publishes and explains the privacy policy, and explains its decisions.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Lists and shows recordings.
    #[command(subcommand)]
    Recordings(catalogue::RecordingsCommand),
    /// Lists and shows conversations: recordings that belong together.
    #[command(subcommand)]
    Conversations(conversations::ConversationsCommand),
    /// Exports all data about a person as a tar archive: a manifest, statements of consent,
    /// recordings, and every access with its reason.
    Export(export::Export),
    /// Reports which recordings are kept and why, and shreds recordings whose retention has ended.
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Destroys the keys of recordings, and prints their receipts. Older backups may open the
    /// recordings until the epoch turns.
    Shred {
        /// The recordings, one or many. After an interruption the same command resumes.
        #[arg(required = true, value_name = "RECORDING")]
        recordings: Vec<RecordingId>,
        /// A short reason code, such as `subject-request`; the receipt contains it.
        #[arg(long)]
        reason: crate::evidence::ShredReason,
        /// Only show which recordings would be shredded.
        #[arg(long)]
        dry_run: bool,
    },
    /// Records and lists statements of consent.
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// Revokes consent: recordings that began before are shredded, or closed to single purposes, also
    /// those that arrive later.
    /// After an interruption the running service resumes the revocation.
    Revoke(revoke::Revoke),
    /// Places, lifts and lists holds, which stop shredding.
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Moves a recording to another tier: moves its key, not its ciphertext.
    Move {
        /// The recording.
        recording: RecordingId,
        /// The tier's name in the policy.
        #[arg(long)]
        tier: Tier,
        /// Only show what would be moved.
        #[arg(long)]
        dry_run: bool,
    },
    /// Replaces the root key, so that old backups open no shredded recording.
    #[command(subcommand)]
    Epoch(epoch::EpochCommand),
    /// Shows whether the clock is believed, and accepts its time after a jump.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Renews the keys of one tier, or of all tiers, and turns the epoch. Reads no recording.
    Rotate {
        /// Restrict to this tier.
        #[arg(long)]
        tier: Option<Tier>,
        /// Instead replace the key that signs receipts, policy statements and drills. What it signed
        /// stays valid.
        #[arg(long, conflicts_with = "tier")]
        signing_key: bool,
        /// Only show which pages would get new keys, or which key would be replaced.
        #[arg(long)]
        dry_run: bool,
    },
    /// Creates, verifies and restores snapshots of the database.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Rehearses that no old copy opens a shredded recording, and that every living recording can
    /// be rebuilt. Exit code 1 if either fails.
    Drill(drill::DrillArgs),
    /// Shows which copies of a recording Twilio still holds, which are deleted, and when the
    /// metadata expires.
    Sources {
        /// The recording.
        recording: RecordingId,
    },
    /// Makes dead work due again, and failed deletions at Twilio that wait for a retry.
    Retry {
        /// Restrict to this recording.
        recording: Option<RecordingId>,
    },
    /// Removes ciphertext that no recording owns, and unfinished uploads. Shreds recordings whose
    /// quarantine ended without consent.
    Sweep {
        /// Minimum age in hours of an object to remove.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
        older_than_h: u32,
        /// Only list the objects that would be removed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Lists requests for the approval of a second person.
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Lists, requests and ends grants to listen.
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// Finds recordings that Twilio has and the vault lacks.
    #[command(subcommand)]
    Twilio(twilio::TwilioCommand),
    /// Prints the audit log.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Shows and verifies receipts.
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Manages the custody of the root key.
    #[command(subcommand)]
    Custody(custody::CustodyCommand),
    /// Shows the state of the vault.
    Status,
    /// Checks the configuration and every resource that it names, and reports weaknesses.
    Doctor,
    /// Shows the configuration.
    #[command(subcommand)]
    Config(check::Show),
    /// Prints the completions of this command line for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page, or writes one for each command.
    Man {
        /// The folder for the pages; without it, the main page goes to standard output.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Runs a command line and returns its exit code.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::usage(&error, std::env::args_os().skip(1)),
    };
    let json = cli.json;
    launch::prepare();
    if let Some(point) = config::crash_point() {
        crash::arm(&point);
    }
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let why = format!("worker threads cannot be started: {error}");
            return failure::tell(&why.into(), json);
        }
    };
    let done = runtime.block_on(cli.perform());
    telemetry::flush(LAST_LINES);
    let code = done.unwrap_or_else(|error| failure::tell(&error, json));
    leave(runtime);
    code
}

/// Ends the runtime. A thread that hangs in a token's library must not keep the process alive.
fn leave(runtime: Runtime) {
    runtime.shutdown_timeout(HANGING);
}

/// The longest wait for threads that cannot be interrupted, at the end of the process.
const HANGING: Duration = Duration::from_secs(5);
/// The longest wait for the last log lines, at the end of the process.
const LAST_LINES: Duration = Duration::from_secs(1);

impl Cli {
    async fn perform(self) -> Result<ExitCode, Failure> {
        let out = Out {
            json: self.json,
            acts: self.command.acts(),
        };
        let named = self.config;
        let file = named.clone().unwrap_or_else(|| "recvault.toml".into());
        match self.command {
            #[cfg(feature = "demo")]
            Command::Demo(options) => match named {
                None => crate::demo::run(options, self.json).await,
                Some(_) => Err(CommandRefusal::invalid(
                    "`demo` makes a vault of its own: leave out `--config`",
                )),
            },
            Command::Init(init) => init.perform(named, out).await,
            Command::Serve => serve::serve(Config::read(&file)?).await,
            Command::Token(command) => command.perform(open(&file).await?, out).await,
            Command::Principal(command) => command.perform(open(&file).await?, out).await,
            Command::Policy(command) => command.perform(&file, named.is_some(), out).await,
            Command::Recordings(command) => command.perform(open(&file).await?, out).await,
            Command::Conversations(command) => command.perform(open(&file).await?, out).await,
            Command::Export(export) => export.perform(open(&file).await?, out).await,
            Command::Retention(command) => command.perform(open(&file).await?, out).await,
            Command::Shred {
                recordings,
                reason,
                dry_run,
            } => {
                let app = open_with(&file, NewStores::NoneNeeded).await?;
                recordings::shred(app, recordings, reason, dry_run, out).await
            }
            Command::Consent(command) => command.perform(open(&file).await?, out).await,
            Command::Revoke(command) => command.perform(open(&file).await?, out).await,
            Command::Hold(command) => command.perform(open(&file).await?, out).await,
            Command::Move {
                recording,
                tier,
                dry_run,
            } => epoch::move_to(open(&file).await?, recording, tier, dry_run, out).await,
            Command::Epoch(command) => command.perform(open(&file).await?, out).await,
            Command::Clock(command) => command.perform(open(&file).await?, out).await,
            Command::Rotate {
                signing_key: true,
                dry_run,
                ..
            } => epoch::rotate_signing_key(open(&file).await?, dry_run, out).await,
            Command::Rotate { tier, dry_run, .. } => {
                epoch::rotate(open(&file).await?, tier, dry_run, out).await
            }
            Command::Snapshot(command) => {
                let app = open_with(&file, command.new_stores()).await?;
                command.perform(app, out).await
            }
            Command::Drill(command) => command.perform(open(&file).await?, out).await,
            Command::Sources { recording } => {
                sources::show(open(&file).await?, recording, out).await
            }
            Command::Retry { recording } => {
                recordings::retry(open(&file).await?, recording, out).await
            }
            Command::Sweep {
                older_than_h,
                dry_run,
            } => recordings::sweep(open(&file).await?, older_than_h, dry_run, out).await,
            Command::Approval(command) => command.perform(open(&file).await?, out).await,
            Command::Grant(command) => command.perform(open(&file).await?, out).await,
            Command::Twilio(command) => command.perform(open(&file).await?, out).await,
            Command::Audit(command) => command.perform(open(&file).await?, out).await,
            Command::Receipt(command) => command.perform(&file, out).await,
            Command::Custody(command) => command.perform(&file, out).await,
            Command::Status => status::status(open(&file).await?, out).await,
            Command::Doctor => check::doctor::doctor(&file, out).await,
            Command::Config(command) => command.perform(&file, out),
            Command::Completions { shell } => manual::completions(&mut Cli::command(), shell, out),
            Command::Man { dir } => manual::pages(Cli::command(), dir.as_deref(), out),
        }
    }
}

async fn open(file: &std::path::Path) -> Result<App, Failure> {
    open_with(file, NewStores::None).await
}

async fn open_with(file: &std::path::Path, new: NewStores) -> Result<App, Failure> {
    opened(Config::read(file)?, new).await
}

async fn opened(config: Config, new: NewStores) -> Result<App, Failure> {
    telemetry::log(&config.telemetry, Narrator::Command)?;
    Ok(App::open_with(config, Clock::System, new).await?)
}

#[cfg(test)]
mod tests;
