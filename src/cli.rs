//! The command tree: what an operator types.
//!
//! Owns words, flags, exit codes and what is printed where: facts to standard output (`--json` for
//! machines), everything else to standard error. Refuses to decide or to write anything by itself;
//! it calls `app` and `flow`.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 usage.

mod acts;
mod approval;
mod audit;
mod check;
mod clock;
mod consent;
mod custody;
mod drill;
mod epoch;
mod grant;
mod hold;
mod out;
mod policy;
mod principal;
mod recordings;
mod retention;
mod revoke;
mod snapshot;
mod sources;
mod token;
mod twilio;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use crate::{
    app::{self, App, NewStores},
    config::{self, Config},
    model::{crash, id::RecordingId, name::Tier, sid::AccountSid, time::Clock},
    telemetry,
};
use out::Out;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};

/// Keeps recorded communications sealed, opens them only for a stated purpose, and destroys their
/// keys when they must go.
#[derive(Parser)]
#[command(name = "recvault", version, max_term_width = 100)]
struct Cli {
    /// The configuration file.
    #[arg(
        long,
        global = true,
        default_value = "recvault.toml",
        value_name = "FILE"
    )]
    config: PathBuf,
    /// Print facts as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell the whole story on this machine: a stand-in for Twilio, a call, a grant, a shred, a
    /// receipt.
    #[cfg(feature = "demo")]
    Demo(crate::demo::Options),
    /// Make a vault folder: configuration, policy, root key, database and a first token.
    Init {
        /// The folder.
        #[arg(default_value = "vault")]
        folder: PathBuf,
    },
    /// Run the service until it is told to stop (SIGTERM or Ctrl-C).
    ///
    /// On SIGHUP it reads the accounts of `[twilio]` and their secret files again.
    Serve,
    /// Make, list and revoke bearer tokens.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// List principals: the persons and services whose credentials the tokens are.
    #[command(subcommand)]
    Principal(principal::PrincipalCommand),
    /// Check, publish and explain the privacy policy, and ask what it would answer.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Say what is kept and why, and shred what is kept no longer.
    #[command(subcommand)]
    Retention(retention::RetentionCommand),
    /// Shred recordings for good, and print their receipts.
    Shred {
        /// The recordings, one or many. After an interruption the same command goes on.
        #[arg(required = true, value_name = "RECORDING")]
        recordings: Vec<RecordingId>,
        /// A short code, such as `subject-request`; it stands in the receipt.
        #[arg(long)]
        reason: crate::evidence::ShredReason,
        /// Only say what would be shredded.
        #[arg(long)]
        dry_run: bool,
    },
    /// Record and list statements of consent.
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    /// Revoke: what is reached, now and later, is shredded, or closed to single purposes. After an
    /// interruption it goes on by itself where the service runs.
    Revoke(revoke::Revoke),
    /// Place, lift and list holds, which stop shredding.
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Put a recording into another tier; its key moves, its ciphertext does not.
    Move {
        /// The recording.
        recording: RecordingId,
        /// The tier, as the policy names it.
        #[arg(long)]
        tier: Tier,
        /// Only say what would be moved.
        #[arg(long)]
        dry_run: bool,
    },
    /// Replace the root key, so that old backups open nothing that is shredded.
    #[command(subcommand)]
    Epoch(epoch::EpochCommand),
    /// Say whether the clock is believed, and accept its time after a jump.
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// Renew the keys of one tier, or of all, and turn the epoch. No recording is read.
    Rotate {
        /// Only this tier.
        #[arg(long)]
        tier: Option<Tier>,
        /// Only say how many pages would get new keys.
        #[arg(long)]
        dry_run: bool,
    },
    /// Make, try and restore snapshots of the database.
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
    /// Rehearse: what is shredded opens from no old copy, and what lives can be rebuilt. Exit code
    /// 1 if either fails.
    Drill(drill::DrillArgs),
    /// Show what Twilio keeps of a recording, what of it is deleted there, and until when words
    /// about it are kept.
    Sources {
        /// The recording.
        recording: RecordingId,
    },
    /// Make dead work due again, and deletions at Twilio that rest after they failed.
    Retry {
        /// Only of this recording.
        recording: Option<RecordingId>,
    },
    /// Remove ciphertext that no recording owns, and uploads that nobody finished; shred what
    /// waited in vain for consent.
    Sweep {
        /// Only what is older than this many hours.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..))]
        older_than_h: u32,
        /// Only list the objects that would be removed.
        #[arg(long)]
        dry_run: bool,
    },
    /// Look after requests for the approval of a second person.
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Look after grants to listen.
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// Look for what Twilio has and the vault has not.
    #[command(subcommand)]
    Twilio(twilio::TwilioCommand),
    /// Read the audit log.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Check receipts.
    #[command(subcommand)]
    Receipt(check::ReceiptCommand),
    /// Look after the root key's home.
    #[command(subcommand)]
    Custody(custody::CustodyCommand),
    /// Say how the vault stands.
    Status,
    /// Check the configuration and everything it names, and say what is weak.
    Doctor,
    /// Show the configuration.
    #[command(subcommand)]
    Config(check::Show),
}

/// Runs a command line and gives its exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    no_core_dumps();
    as_many_files_as_allowed();
    if let Some(point) = config::crash_point() {
        crash::arm(&point);
    }
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out::fail(&format!("no threads: {error}")),
    };
    let done = runtime.block_on(cli.perform());
    telemetry::flush(LAST_LINES);
    let code = match done {
        Ok(code) => code,
        Err(error) => out::fail(&error.to_string()),
    };
    leave(runtime);
    code
}

/// A thread that hangs in the library of a token must not keep the process alive.
fn leave(runtime: Runtime) {
    runtime.shutdown_timeout(HANGING);
}

/// How long the end of the process waits for threads that are at something which cannot be broken
/// off.
const HANGING: Duration = Duration::from_secs(5);
/// How long a process that ends waits for its last log lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Why a command failed; the text is for the operator.
type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Cli {
    async fn perform(self) -> Result<ExitCode, Failure> {
        let out = Out {
            json: self.json,
            acts: self.command.acts(),
        };
        let file = self.config;
        match self.command {
            #[cfg(feature = "demo")]
            Command::Demo(options) => crate::demo::run(options, self.json).await,
            Command::Init { folder } => init(&folder, out).await,
            Command::Serve => serve(Config::read(&file)?).await,
            Command::Token(command) => command.perform(open(&file).await?, out).await,
            Command::Principal(command) => command.perform(open(&file).await?, out).await,
            Command::Policy(command) => command.perform(&file, out).await,
            Command::Retention(command) => command.perform(open(&file).await?, out).await,
            Command::Shred {
                recordings,
                reason,
                dry_run,
            } => recordings::shred(open(&file).await?, recordings, reason, dry_run, out).await,
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
            Command::Rotate { tier, dry_run } => {
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
            Command::Status => recordings::status(open(&file).await?, out).await,
            Command::Doctor => check::doctor::doctor(&file, out).await,
            Command::Config(command) => command.perform(&file, out),
        }
    }
}

async fn open(file: &std::path::Path) -> Result<App, Failure> {
    open_with(file, NewStores::None).await
}

async fn open_with(file: &std::path::Path, new: NewStores) -> Result<App, Failure> {
    let config = Config::read(file)?;
    telemetry::log(&config.telemetry)?;
    Ok(App::open_with(config, Clock::System, new).await?)
}

async fn init(folder: &std::path::Path, out: Out) -> Result<ExitCode, Failure> {
    let made = app::init(folder, Clock::System).await?;
    let config = made.config.display().to_string();
    let token = made.admin.token.expose();
    out.facts(
        &serde_json::json!({ "vault": made.vault, "config": config, "token": token, "token_expires_at": made.admin.row.expires_at }),
        || {
            let mut text = format!("Made vault {} in {}.\n\n", made.vault, folder.display());
            if let Some(passphrase) = &made.passphrase {
                text += &format!(
                    "A random passphrase is in {}. Move it to a secret store: whoever has it and the root file has the vault.\n",
                    passphrase.display()
                );
            }
            text + &format!(
                "First token, with every role, until {}. It is shown only now:\n\n  {token}\n\nNext: recvault --config {config} serve\n",
                made.admin.row.expires_at
            )
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config) -> Result<ExitCode, Failure> {
    telemetry::log(&config.telemetry)?;
    telemetry::log_panics();
    let mut terminate = signal(SignalKind::terminate())?;
    // Before it serves: without somebody who hears it, this signal would end the process.
    let mut hangup = signal(SignalKind::hangup())?;
    let service = app::serve(App::open(config, Clock::System).await?).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            interrupted = tokio::signal::ctrl_c() => break interrupted?,
            _ = hangup.recv() => reload(&service).await,
        }
    }
    service.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Reads the accounts again; a fault leaves everything as it was.
async fn reload(service: &app::RunningService) {
    let list = |sids: &[AccountSid]| {
        sids.iter()
            .map(AccountSid::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    };
    match service.reload().await {
        Ok(done) => {
            tracing::info!(
                accounts = done.accounts,
                added = list(&done.added),
                removed = list(&done.removed),
                "accounts reloaded"
            );
        }
        Err(error) => {
            let faults = error.to_string();
            // The first line of many is their heading.
            for fault in faults.lines().skip(usize::from(faults.lines().count() > 1)) {
                tracing::error!(
                    fault = fault.trim(),
                    "accounts not reloaded; the former ones stay"
                );
            }
        }
    }
}

/// Keys must not end up in a core file, nor be read by a debugger of the same user.
fn no_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let limited = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limited.is_err() || undumpable.is_err() {
        out::warn("core dumps cannot be switched off");
    }
}

/// A connection is a file, and the limit that a shell or an init system sets at first is one for
/// programs of long ago.
fn as_many_files_as_allowed() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
        .is_err()
    {
        out::warn("the limit on open files cannot be raised");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_process_ends_although_a_thread_hangs() {
        let ((_never_told, never), (left, is_left)) = (mpsc::channel::<()>(), mpsc::channel());
        std::thread::spawn(move || {
            let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.spawn_blocking(move || never.recv());
            leave(runtime);
            left.send(())
        });
        is_left
            .recv_timeout(HANGING * 5)
            .expect("the runtime is not waited for");
    }
}
