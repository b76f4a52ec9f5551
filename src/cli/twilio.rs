//! `recvault twilio`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{
    failure::Failure,
    moment::moment,
    out::{Out, Progress, indented},
};
use crate::{
    app::App,
    flow::{AccountBackfilled, AccountReconciled, Backfilling, Flow, Reconciling, WouldReconcile},
    model::{
        id::RecordingId, media::MediaKind, numerals::counted, sid::AccountSid, time::Timestamp,
    },
};

/// Finds recordings that Twilio has and the vault lacks.
#[derive(Subcommand)]
pub(super) enum TwilioCommand {
    /// Compares Twilio's list with the vault now. The service does so periodically, as
    /// `[twilio.reconcile]` sets. Exit code 1 if an account could not be compared.
    Reconcile(ReconcileArgs),
    /// Lists a whole existing account, day by day, and announces every recording that the vault
    /// lacks, and every message if the policy keeps messages; the service fetches them. After an interruption the same command resumes. Exit code 1
    /// if an account could not be listed.
    Backfill(Backfill),
}

/// What to compare.
#[derive(Args)]
pub(super) struct ReconcileArgs {
    /// Restrict to this account.
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// Start date or time of the recordings. Without it: `look_back_h` hours ago.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Option<Timestamp>,
    /// Only show what would be announced and requested.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What to list.
#[derive(Args)]
pub(super) struct Backfill {
    /// Start of the recordings: a date, `2026-01-31`, or RFC 3339 time.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Timestamp,
    /// End of the recordings (excluded). Without it: now.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    until: Option<Timestamp>,
    /// Restrict to this account.
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// Only show which recordings would be announced, with seconds of audio and bytes.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// List again the days that were listed since the same start.
    #[arg(long)]
    restart: bool,
    /// Before each day, wait until at most this many recordings wait to be fetched, so that
    /// recordings of new callbacks do not queue behind all of them. Keep the service running: it
    /// fetches them.
    #[arg(long, value_name = "COUNT")]
    hold_back: Option<u64>,
}

impl TwilioCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let (flow, committer) = app.flow().await?;
        let clock = app.clock.clone();
        // Announcements go through the committer, which ends when the last acceptor is dropped.
        let story = async move {
            match self {
                Self::Reconcile(wanted) => wanted.perform(&flow, out).await,
                Self::Backfill(wanted) => wanted.perform(&flow, out).await,
            }
        };
        let (code, ()) = tokio::join!(story, committer.run(move || clock.now()));
        code
    }
}

impl ReconcileArgs {
    async fn perform(self, flow: &Flow, out: Out) -> Result<ExitCode, Failure> {
        let Self {
            account,
            since,
            dry_run,
        } = self;
        let all = flow
            .reconciliation
            .reconcile(&Reconciling {
                account,
                since,
                dry_run,
            })
            .await?;
        out.facts(
            &serde_json::json!({ "dry_run": dry_run, "accounts": all }),
            || all.iter().map(|one| reconciled(one, dry_run)).collect(),
        )?;
        Ok(code(all.iter().any(|one| one.fault.is_some())))
    }
}

impl Backfill {
    async fn perform(self, flow: &Flow, out: Out) -> Result<ExitCode, Failure> {
        let Self {
            since,
            until,
            account,
            dry_run,
            restart,
            hold_back,
        } = self;
        let plan = flow
            .backfills
            .plan(&Backfilling {
                account,
                since,
                until,
                dry_run,
                restart,
                hold_back,
            })
            .await?;
        let progress = Progress::of("days listed", plan.days());
        let all = flow.backfills.run(&plan, &|days| progress.add(days)).await;
        progress.end();
        let all = all?;
        out.facts(
            &serde_json::json!({ "dry_run": dry_run, "accounts": all }),
            || all.iter().map(|one| backfilled(one, dry_run)).collect(),
        )?;
        Ok(code(all.iter().any(|one| one.fault.is_some())))
    }
}

fn code(is_broken: bool) -> ExitCode {
    if is_broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn reconciled(one: &AccountReconciled, dry_run: bool) -> String {
    let found = &one.found;
    let mut text = format!(
        "{} since {}: {} listed.",
        one.account, one.since, found.listed
    );
    text += &match dry_run {
        true => format!(
            " Would announce {}, advance {}, and request the deletion of {} at Twilio. Nothing was \
             done.\n",
            found.announced, found.advanced, found.erased
        ),
        false => format!(
            " Announced {}, advanced {}, and requested the deletion of {} at Twilio.\n",
            found.announced, found.advanced, found.erased
        ),
    };
    if found.completed_not_told + found.absent_not_told > 0 {
        text += &format!(
            "  no callback came for {} and {} without a file; `recvault doctor` names the setting \
             to check\n",
            counted(
                found.completed_not_told,
                "completed recording",
                "completed recordings"
            ),
            found.absent_not_told
        );
    }
    if found.messages_not_told > 0 {
        text += &format!(
            "  neither callback nor event came for {}; check the webhook and its fallback URL\n",
            counted(
                found.messages_not_told,
                "incoming message",
                "incoming messages"
            )
        );
    }
    if found.ghosts > 0 {
        text += &format!(
            "  {}: no longer at Twilio, and never sealed here\n",
            counted(found.ghosts, "ghost", "ghosts")
        );
        text += &one
            .ghost_recordings
            .iter()
            .map(|id| format!("    {id}\n"))
            .collect::<String>();
    }
    text + &would(&one.would) + &fault(one.fault.as_deref())
}

fn backfilled(one: &AccountBackfilled, dry_run: bool) -> String {
    let counts = match dry_run {
        true => format!(
            "Would announce {} and advance {}",
            one.announced, one.advanced
        ),
        false => format!("Announced {} and advanced {}", one.announced, one.advanced),
    };
    let end = match dry_run {
        true => "Nothing was done.",
        false => "The service fetches them.",
    };
    let mut text = format!(
        "{} {}s from {} until {}: {} listed.",
        one.account, one.kind, one.went_on_at, one.done_until, one.listed
    );
    let extent = |what: &str| {
        let bytes = counted(one.bytes, "byte", "bytes");
        format!(" {counts}: {} s of {what}, {bytes}. {end}\n", one.seconds)
    };
    text += &match one.kind {
        MediaKind::CallAudio => extent("audio"),
        MediaKind::VideoTrack | MediaKind::VideoComposition => extent("film"),
        MediaKind::Message | MediaKind::ChatMessage => format!(" {counts}. {end}\n"),
    };
    text + &would(&one.would) + &fault(one.fault.as_deref())
}

/// Formats the result of a dry run, with the id of each recording.
fn would(would: &WouldReconcile) -> String {
    let named = |what: &str, ids: &[RecordingId]| match ids {
        [] => String::new(),
        ids => format!("  {what}\n{}", indented(ids)),
    };
    named("announce", &would.announce)
        + &named("advance", &would.advance)
        + &named("delete at Twilio", &would.erase)
}

fn fault(fault: Option<&str>) -> String {
    fault
        .map(|why| format!("  NOT complete: {why}\n"))
        .unwrap_or_default()
}
