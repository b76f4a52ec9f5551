//! Commands on recordings and their work: `shred`, `retry`, `sweep`, `status`.

use std::{process::ExitCode, time::Duration};

use super::{Failure, out::Out};
use crate::{
    app::App,
    evidence::ShredReason,
    flow,
    model::{id::RecordingId, recording::Recording, time::Timestamp},
    policy::{Permit, action},
    vault::Shredded,
};

pub(super) async fn shred(
    mut app: App,
    ids: Vec<RecordingId>,
    reason: ShredReason,
    dry_run: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    let flow = if dry_run {
        app.flow_to_read().await?
    } else {
        app.flow().await?.0
    };
    let permit = Permit::of_operator(action::Shred);
    // All of them before the first is touched: a wrong id among many must not leave the others half
    // done.
    let mut recordings = Vec::with_capacity(ids.len());
    for id in &ids {
        let found = flow.shredding.shreddable(&permit, *id).await;
        recordings.push(found.map_err(|error| match error {
            flow::Error::NotFound => {
                format!("recording `{id}` does not exist; `GET /v1/recordings` lists the ids")
            }
            other => other.to_string(),
        })?);
    }
    let mut facts = Vec::with_capacity(ids.len());
    let mut text = String::new();
    if dry_run {
        for Recording {
            id, state, tier, ..
        } in &recordings
        {
            let details = flow
                .catalogue
                .show(&Permit::of_operator(action::Catalogue), *id)
                .await?;
            let bytes: u64 = details
                .artefacts
                .iter()
                .map(|artefact| artefact.sealed_len)
                .sum();
            let holds: Vec<&str> = details
                .holds
                .iter()
                .flatten()
                .map(|hold| hold.name.as_str())
                .collect();
            facts.push(serde_json::json!({
                "recording_id": id, "state": state, "tier": tier, "sealed_bytes": bytes, "holds": holds,
                "would_shred": details.receipt.is_none() && holds.is_empty(),
            }));
            text += &match details.receipt {
                None if !holds.is_empty() => format!(
                    "Would refuse: {id} is kept by hold {}; lift it first. Nothing was done.\n",
                    holds.join(", ")
                ),
                Some(receipt) => format!("{id} is shredded already; its receipt is {receipt}.\n"),
                None => format!(
                    "Would shred {id}: {state}, tier {tier}, {bytes} sealed bytes. Nothing was done.\n"
                ),
            };
        }
    } else {
        for shredded in flow.shredding.shred_all(&permit, &ids, &reason).await? {
            let Shredded {
                recording: id,
                receipt,
                jws,
                tombstoned_at: at,
                ..
            } = shredded;
            facts.push(serde_json::json!({ "recording_id": id, "receipt_id": receipt, "shredded_at": at, "receipt": jws }));
            text += &format!("Shredded {id} at {at}. Receipt {receipt}:\n\n{jws}\n");
        }
    }
    match (ids.len(), facts.first()) {
        (1, Some(only)) => out.facts(only, || text)?,
        _ => out.facts(&facts, || text)?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn retry(
    mut app: App,
    recording: Option<RecordingId>,
    out: Out,
) -> Result<ExitCode, Failure> {
    let (flow, _committer) = app.flow().await?;
    let revived = flow.dead_work.retry(recording).await?;
    out.facts(&serde_json::json!({ "revived": revived }), || {
        format!("{revived} work items are due again.\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn sweep(
    mut app: App,
    hours: u32,
    dry_run: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    let (flow, _committer) = app.flow().await?;
    let age = Duration::from_secs(u64::from(hours) * 3600);
    if dry_run {
        let objects = flow.litter.list(age).await?;
        out.facts(
            &serde_json::json!({ "dry_run": true, "would_remove": objects }),
            || {
                let lines: String = objects.iter().map(|id| format!("  {id}\n")).collect();
                format!(
                    "Would remove {} objects that no recording owns. Nothing was done.\n{lines}",
                    objects.len()
                )
            },
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    // `retention sweep` shreds by retention; it has a dry run.
    let litter = flow.litter.sweep(age).await?;
    let swept = flow::Swept {
        unconsented: flow.quarantine.sweep().await?.shredded,
        ..litter
    };
    out.facts(&swept, || {
        let flow::Swept { orphans, uploads, grants, unconsented, .. } = swept;
        format!(
            "Removed {orphans} orphaned objects, {uploads} unfinished uploads, {grants} ended grants. Shredded {unconsented} recordings without consent.\n"
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

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
            "epoch {} since {}\n  {} shredded recordings that an older copy of the key store still \
             opens{oldest}; deletion horizon {} h\n",
            epoch.epoch,
            epoch.began_at,
            epoch.waiting,
            epoch.horizon_s / 3600
        );
        let snapshot = epoch.snapshot.as_ref().map_or_else(|| "none".to_owned(), |(name, at)| format!("{name}, verified {at}"));
        text += &format!("recovery\n  snapshot {snapshot}; {} changes are not in the journal yet\n", journal.waiting);
        for (gap, at) in &journal.gaps {
            text += &format!("  restored {at} without audit entries {gap}: a shred among them may be undone\n");
        }
        if journal.unreadable > 0 {
            text += &format!(
                "  {} files among snapshots and journal do not open and are skipped; the log names \
                 them\n",
                journal.unreadable
            );
        }
        if status.unvouched > 0 {
            text += &format!(
                "revoked, and kept\n  {} recordings of people who revoked and were named later by who may not revoke; `recvault revoke --subject` again, or name them with the action `revoke`\n",
                status.unvouched
            );
            for waits in &status.first_unvouched {
                text += &format!("  {} does not reach {}\n", waits.revocation, waits.recording);
            }
        }
        if status.missing_ciphertext > 0 {
            text += &format!(
                "ciphertext missing\n  {} sealed recordings have no object in the store; `recvault audit list` shows them as `ciphertext.missing`\n",
                status.missing_ciphertext
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
                .map(|found| format!("; {} ghosts, see `recvault twilio reconcile`", found.ghosts));
            let fault = account.fault.as_ref().map(|fault| format!("; incomplete since: {fault}"));
            text += &format!("  {} {compared}{}{}\n", account.account, ghosts.unwrap_or_default(), fault.unwrap_or_default());
        }
        if status.source.pending > 0 {
            let oldest = status.source.oldest.map(|at| format!(", the oldest since {at}")).unwrap_or_default();
            text += &format!("source\n  {} recordings whose copies at Twilio are still to be deleted{oldest}\n", status.source.pending);
        }
        for stuck in &status.source.stuck {
            let why = stuck.last_error.as_deref().unwrap_or("?");
            text += &format!("  deletion fails: {} after {} attempts: {why}\n", stuck.subject, stuck.attempts);
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
            text += &format!("  dead: {} of {}{of} after {} attempts: {why}\n", dead.kind, dead.subject, dead.attempts);
        }
        text
    })?;
    Ok(ExitCode::SUCCESS)
}
