//! `recvault revoke`.

use std::{collections::BTreeSet, process::ExitCode};

use clap::Args;
use serde_json::json;

use super::{
    Failure,
    out::{Out, Progress},
};
use crate::{
    app::App,
    db::revocations::ReachedRecording,
    evidence::ShredReason,
    flow::{self, RevocationStatus, Would},
    model::{
        id::RecordingId, name::Purpose, revocation::Target, sid::AccountSid, subject::Address,
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
    /// Only count the recordings that would be shredded, closed and held.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A person, by number in international form, or by a `sip:` or `client:` address.
    #[arg(long, value_name = "NUMBER")]
    subject: Option<Address>,
    /// One recording.
    #[arg(long)]
    recording: Option<RecordingId>,
    /// Every recording of an account.
    #[arg(long)]
    account: Option<AccountSid>,
}

impl Revoke {
    pub(super) async fn perform(self, mut app: App, out: Out) -> Result<ExitCode, Failure> {
        let flow = if self.dry_run {
            app.flow_to_read().await?
        } else {
            app.flow().await?.0
        };
        let permit = Permit::of_operator(action::Revoke);
        let target = match (
            self.target.subject,
            self.target.recording,
            self.target.account,
        ) {
            (Some(address), ..) => Target::Subject(flow.vault.subject(&address)),
            (_, Some(recording), _) => Target::Recording(recording),
            (.., Some(account)) => Target::Account(account),
            _ => {
                return Err(
                    "`revoke` has no target: give `--subject`, `--recording` or `--account`".into(),
                );
            }
        };
        let purposes: BTreeSet<Purpose> = self.purposes.into_iter().collect();
        let missing = |error: flow::Error| match (&target, error) {
            (Target::Recording(id), flow::Error::NotFound) => {
                format!("recording `{id}` does not exist; `GET /v1/recordings` lists the ids")
            }
            (_, other) => other.to_string(),
        };
        let would = flow
            .revocations
            .would_revoke(&permit, target.clone(), purposes.clone(), &self.reason)
            .await
            .map_err(missing)?;
        if self.dry_run {
            let Would {
                shred,
                shredded_before,
                close,
                hold,
            } = would;
            let facts = json!({ "would_shred": shred, "shredded_before": shredded_before, "would_close": close, "would_hold": hold });
            out.facts(&facts, || {
                format!(
                    "Would shred {shred} recordings, close {close} to the purposes, and close {hold} that holds keep; {shredded_before} are \
                     shredded already. Nothing was done.\n"
                )
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let progress = Progress::of(
            "revoke",
            would.shred + would.shredded_before + would.close + would.hold,
        );
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

fn told(status: &RevocationStatus, outcomes: &[ReachedRecording], out: Out) -> Result<(), Failure> {
    let RevocationStatus {
        revocation,
        counts,
        held,
        ..
    } = status;
    let state = if revocation.is_done {
        "done"
    } else {
        "running"
    };
    let facts = json!({
        "id": revocation.id, "state": state, "revoked_at": revocation.revoked_at, "counts": counts, "outcomes": outcomes,
        "receipt": revocation.jws,
    });
    Ok(out.facts(&facts, || {
        let mut text = format!(
            "Revocation {}: {} recordings are shredded, {} closed to the purposes, {} closed and kept by holds.\n",
            revocation.id, counts.shredded, counts.closed, counts.held
        );
        for id in held {
            text += &format!("  {id} is kept by a hold; it is shredded when its last hold is lifted\n");
        }
        let receipt = revocation.jws.as_deref().map(|jws| format!("Receipt for the whole revocation:\n\n{jws}\n"));
        text + &receipt.unwrap_or_else(|| "It is not complete yet; the running service completes it.\n".to_owned())
    })?)
}
