//! `recvault revoke`.

use std::{collections::BTreeSet, process::ExitCode};

use clap::Args;
use serde_json::json;

use super::{
    failure::{CommandRefusal, Failure, or_no_recording},
    out::{Out, Progress, indented},
    person,
};
use crate::{
    app::App,
    db::revocations::ReachedRecording,
    evidence::ShredReason,
    flow::{self, RevocationPreview, RevocationStatus},
    model::{
        id::RecordingId, name::Purpose, numerals::counted, revocation::Target, sid::AccountSid,
    },
    policy::{Permit, action},
};

/// Target, purposes and reason of a revocation.
#[derive(Args)]
pub(super) struct Revoke {
    #[command(flatten)]
    target: What,
    /// Restrict to this purpose; repeatable. Without it, or with `recording` among the purposes,
    /// every reached recording is shredded.
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<Purpose>,
    /// A short reason code, such as `subject-request`; the receipts contain it.
    #[arg(long)]
    reason: ShredReason,
    /// Only show which recordings would be shredded, closed and held.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A person, by number in international form, or by a `sip:` or `client:` address; `-`: the
    /// first line of standard input, so that it stays out of the shell's history.
    #[arg(long, value_name = "NUMBER")]
    subject: Option<String>,
    /// One recording.
    #[arg(long)]
    recording: Option<RecordingId>,
    /// Every recording of an account.
    #[arg(long)]
    account: Option<AccountSid>,
}

impl Revoke {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let flow = app.flow_for(self.dry_run).await?;
        let permit = Permit::of_operator(action::Revoke);
        let target = match (
            self.target.subject,
            self.target.recording,
            self.target.account,
        ) {
            (Some(typed), ..) => Target::Subject(flow.vault.subject(&person::address(&typed)?)),
            (_, Some(recording), _) => Target::Recording(recording),
            (.., Some(account)) => Target::Account(account),
            _ => {
                return Err(CommandRefusal::invalid(
                    "`revoke` has no target: give `--subject`, `--recording` or `--account`",
                ));
            }
        };
        let purposes: BTreeSet<Purpose> = self.purposes.into_iter().collect();
        let missing = |error: flow::Error| match &target {
            Target::Recording(id) => or_no_recording(*id)(error),
            _ => error.into(),
        };
        let would = flow
            .revocations
            .would_revoke(&permit, target.clone(), purposes.clone(), &self.reason)
            .await
            .map_err(missing)?;
        if self.dry_run {
            would_revoke(&would, out)?;
            return Ok(ExitCode::SUCCESS);
        }
        let progress = Progress::of("revoke", would.reached() as u64);
        let status = flow
            .revocations
            .revoke(&permit, target, purposes, &self.reason, &|done| {
                progress.add(done)
            })
            .await?;
        progress.end();
        let id = status.revocation.id;
        let mut outcomes = Vec::new();
        let mut after = None;
        loop {
            let page = flow.revocations.outcomes(&permit, id, after, 1000).await?;
            outcomes.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        told(&status, &outcomes, out)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints what would be done, each recording by its id.
fn would_revoke(would: &RevocationPreview, out: Out) -> Result<(), Failure> {
    let RevocationPreview {
        shred,
        shredded_before,
        close,
        hold,
    } = would;
    let facts = json!({
        "would_shred": shred, "shredded_before": shredded_before, "would_close": close, "would_hold": hold,
    });
    let recordings = |ids: &[RecordingId]| counted(ids.len(), "recording", "recordings");
    Ok(out.facts(&facts, || {
        format!(
            "Would shred {}.\n{}Would close {} to the purposes.\n{}Would close {} kept by holds.\n{}Shredded \
             before: {}.\n{}Nothing was done.\n",
            recordings(shred),
            indented(shred),
            recordings(close),
            indented(close),
            recordings(hold),
            indented(hold),
            recordings(shredded_before),
            indented(shredded_before)
        )
    })?)
}

fn told(status: &RevocationStatus, outcomes: &[ReachedRecording], out: Out) -> Result<(), Failure> {
    let RevocationStatus {
        revocation,
        counts,
        held,
        ..
    } = status;
    let facts = json!({
        "id": revocation.id, "state": revocation.state(), "revoked_at": revocation.revoked_at, "counts": counts, "outcomes": outcomes,
        "receipt": revocation.jws,
    });
    Ok(out.facts(&facts, || {
        let mut text = format!(
            "Revocation {}: {} shredded, {} closed to the purposes, {} closed and kept by holds.\n",
            revocation.id,
            counted(counts.shredded, "recording is", "recordings are"),
            counts.closed,
            counts.held
        );
        for reached in outcomes {
            if let Some(receipt) = reached.receipt {
                text += &format!("  {} is shredded, receipt {receipt}\n", reached.recording);
            }
        }
        for id in held {
            text +=
                &format!("  {id} is kept by a hold; it is shredded when its last hold is lifted\n");
        }
        let receipt = revocation
            .jws
            .as_deref()
            .map(|jws| format!("Receipt for the whole revocation:\n\n{jws}\n"));
        text + &receipt.unwrap_or_else(|| {
            "It is not complete yet; the running service completes it.\n".to_owned()
        })
    })?)
}
