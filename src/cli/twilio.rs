//! `recvault twilio`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{
    Failure,
    out::{Out, Progress},
};
use crate::{
    app::App,
    flow::{AccountBackfilled, AccountReconciled, Backfilling, Flow, Reconciling},
    model::{sid::AccountSid, time::Timestamp},
};

/// Look for what Twilio has and the vault has not.
#[derive(Subcommand)]
pub(super) enum TwilioCommand {
    /// Compare Twilio's list with the vault now. The service does it by itself, as
    /// `[twilio.reconcile]` says. Exit code 1 if an account could not be compared.
    Reconcile(ReconcileArgs),
    /// List a whole existing account, day by day, and make everything known that the vault has not;
    /// the service fetches it. After an interruption the same command goes on. Exit code 1 if an
    /// account could not be listed.
    Backfill(Backfill),
}

/// What to compare.
#[derive(Args)]
pub(super) struct ReconcileArgs {
    /// Only this account.
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// What Twilio made since this date or time. Without it: as far as `look_back_h` goes.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Option<Timestamp>,
    /// Only say what would be made known and asked for.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// What to list.
#[derive(Args)]
pub(super) struct Backfill {
    /// What Twilio made since this date, `2026-01-31`, or RFC 3339 time.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    since: Timestamp,
    /// What it made before then. Without it: before now.
    #[arg(long, value_parser = moment, value_name = "DATE")]
    until: Option<Timestamp>,
    /// Only this account.
    #[arg(long, value_name = "SID")]
    account: Option<AccountSid>,
    /// Only count recordings, seconds of sound and bytes.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// List what was listed since the same time once more.
    #[arg(long)]
    restart: bool,
    /// Before each day wait until at most so many recordings wait to be fetched, so that what
    /// callbacks tell of meanwhile does not stand behind all of them. Something must fetch them:
    /// keep the service running.
    #[arg(long, value_name = "COUNT")]
    hold_back: Option<u64>,
}

impl TwilioCommand {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let (flow, committer) = app.flow().await?;
        let clock = app.clock.clone();
        // What is made known goes through the committer, which ends when the last story is dropped.
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
            " Would make {} known and take {} further, and ask for the deletion of {} at Twilio. Nothing was done.\n",
            found.announced, found.advanced, found.erased
        ),
        false => format!(
            " Made {} known and took {} further; asked for the deletion of {} at Twilio.\n",
            found.announced, found.advanced, found.erased
        ),
    };
    if found.completed_not_told + found.absent_not_told > 0 {
        text += &format!(
            "  no callback came for {} completed recordings and {} without a file; `recvault doctor` says what to look at\n",
            found.completed_not_told, found.absent_not_told
        );
    }
    if found.ghosts > 0 {
        text += &format!(
            "  {} that nobody can have: not at Twilio any more, and never sealed here\n",
            found.ghosts
        );
        text += &one
            .ghost_recordings
            .iter()
            .map(|id| format!("    {id}\n"))
            .collect::<String>();
    }
    text + &fault(one.fault.as_deref())
}

fn backfilled(one: &AccountBackfilled, dry_run: bool) -> String {
    let (verb, end) = if dry_run {
        ("Would make", " Nothing was done.")
    } else {
        ("Made", " The service fetches them.")
    };
    let mut text = format!(
        "{} from {} until {}: {} listed.",
        one.account, one.went_on_at, one.done_until, one.listed
    );
    text += &format!(
        " {verb} {} known and {} further: {} s of sound, {} bytes.{end}\n",
        one.announced, one.advanced, one.seconds, one.bytes
    );
    text + &fault(one.fault.as_deref())
}

fn fault(fault: Option<&str>) -> String {
    fault
        .map(|why| format!("  NOT to its end: {why}\n"))
        .unwrap_or_default()
}

/// A date, which begins at midnight UTC, or a time.
fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let time = Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")));
    time.ok_or("expected a date like `2026-01-31`, or RFC 3339 like `2026-01-31T15:04:05Z`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_begins_at_midnight() {
        assert_eq!(moment("2026-01-31"), moment("2026-01-31T00:00:00Z"));
        assert!(moment("2026-01-31T15:04:05+01:00").is_ok());
        for bad in ["", "yesterday", "2026-01", "2026-13-01", "31.1.2026"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
