//! `recvault status`: the state of the vault on one page.

use std::process::ExitCode;

use super::{failure::Failure, out::Out};
use crate::{
    app::App,
    model::{numerals::counted, time::Timestamp},
};

pub(super) async fn status(mut app: App, out: Out) -> Result<ExitCode, Failure> {
    let flow = app.flow_to_read().await?;
    let status = flow.monitoring.status().await?;
    out.facts(&status, || {
        let mut text = String::from("recordings\n");
        for (state, count) in &status.recordings {
            text += &format!("  {:<10} {count}\n", state.as_str());
        }
        if let Some(trouble) = &status.custody_trouble {
            text += &format!("custody\n  PROBLEM: {trouble}\n");
        }
        if let Some(why) = &status.clock.refused {
            text += &format!("clock\n  NOT BELIEVED, nothing is destroyed by date: {why}\n");
        }
        let epoch = &status.epoch;
        let journal = &status.journal;
        let oldest = epoch.oldest_waiting.map(|at| format!(", the oldest since {at}")).unwrap_or_default();
        text += &format!(
            "epoch {} since {}\n  {} that an older copy of the key store still opens{oldest}; \
             deletion horizon {} h\n",
            epoch.epoch,
            epoch.began_at,
            counted(epoch.waiting, "shredded recording", "shredded recordings"),
            epoch.horizon_s / 3600
        );
        let snapshot = epoch.snapshot.as_ref().map_or_else(|| "none".to_owned(), |(name, at)| format!("{name}, verified {at}"));
        let changes = counted(journal.waiting, "change is", "changes are");
        text += &format!("recovery\n  snapshot {snapshot}; {changes} not in the journal yet\n");
        for (gap, at) in &journal.gaps {
            text += &format!("  restored {at} without audit entries {gap}: a shred among them may be undone\n");
        }
        if journal.unreadable > 0 {
            text += &format!(
                "  {} among snapshots and journal that cannot be opened; the log names every one\n",
                counted(journal.unreadable, "file is", "files are")
            );
        }
        if status.unvouched > 0 {
            text += &format!(
                "revoked, and kept\n  {} of people who revoked and were named later by who may not revoke; `recvault revoke --subject` again, or name them with the action `revoke`\n",
                counted(status.unvouched, "recording", "recordings")
            );
            for waits in &status.first_unvouched {
                text += &format!("  {} does not reach {}\n", waits.revocation, waits.recording);
            }
        }
        if status.missing_ciphertext > 0 {
            text += &format!(
                "ciphertext missing\n  {} no object in the store; `recvault audit list` shows this as `ciphertext.missing`\n",
                counted(status.missing_ciphertext, "sealed recording has", "sealed recordings have")
            );
        }
        if status.broken_glass > 0 {
            text +=
                &format!("break-glass\n  {} in the last 7 days; `recvault audit list` shows them as `glass.broken`\n", status.broken_glass);
        }
        if !status.accounts.is_empty() {
            text += "accounts\n";
        }
        for account in &status.accounts {
            let compared = account.done_at.map_or_else(|| "never compared".to_owned(), |at| format!("compared {at}"));
            let ghosts = account
                .found
                .filter(|found| found.ghosts > 0)
                .map(|found| format!("; {}, see `recvault twilio reconcile`", counted(found.ghosts, "ghost", "ghosts")));
            let fault = account.fault.as_ref().map(|fault| format!("; incomplete since: {fault}"));
            text += &format!("  {} {compared}{}{}\n", account.account, ghosts.unwrap_or_default(), fault.unwrap_or_default());
        }
        if status.source.pending > 0 {
            let oldest = status.source.oldest.map(|at| format!(", the oldest since {at}")).unwrap_or_default();
            let pending = counted(status.source.pending, "recording", "recordings");
            text += &format!("source\n  {pending} whose copies at Twilio are still to be deleted{oldest}\n");
        }
        for stuck in &status.source.stuck {
            let why = stuck.last_error.as_deref().unwrap_or("?");
            let attempts = counted(stuck.attempts, "attempt", "attempts");
            text += &format!("  deletion fails: {} after {attempts}: {why}\n", stuck.subject);
        }
        for early in &status.source.not_deletable_yet {
            let until = early.until.map(|at| format!("; an alarm is raised on {at}")).unwrap_or_default();
            text += &format!("  not deletable yet: {} {} of {}{until}\n", early.kind, early.sid, early.recording);
        }
        text += "work\n";
        for work in &status.work {
            let oldest = Timestamp::from_millis(work.oldest_at);
            text += &format!("  {:<17} {:<5} {:>8}  oldest {oldest}\n", work.kind, work.state, work.count);
        }
        for dead in &status.dead {
            let why = dead.last_error.as_deref().unwrap_or("?");
            let of = dead.recording.as_ref().filter(|recording| **recording != dead.subject);
            let of = of.map(|recording| format!(" (of {recording})")).unwrap_or_default();
            let attempts = counted(dead.attempts, "attempt", "attempts");
            text += &format!("  dead: {} of {}{of} after {attempts}: {why}\n", dead.kind, dead.subject);
        }
        text
    })?;
    Ok(ExitCode::SUCCESS)
}
