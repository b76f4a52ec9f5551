//! Commands on recordings and their work: `shred`, `retry`, `sweep`, `status`.

use std::{process::ExitCode, time::Duration};

use super::{Failure, out::Out};
use crate::{
    app::App,
    evidence::ShredReason,
    flow,
    model::{id::RecordingId, time::Timestamp},
    policy::{Action, Permit},
};

pub(super) async fn shred(mut app: App, id: RecordingId, reason: ShredReason, dry_run: bool, out: Out) -> Result<ExitCode, Failure> {
    let (flow, _committer) = app.flow().await?;
    let permit = Permit::of_operator(Action::Shred);
    let missing = |error: flow::Error| match error {
        flow::Error::NotFound => format!("there is no recording `{id}`"),
        other => other.to_string(),
    };
    let recording = flow.shreddable(&permit, id).await.map_err(missing)?;
    if dry_run {
        let details = flow.show(&Permit::of_operator(Action::Catalogue), id).await?;
        let bytes: u64 = details.artefacts.iter().map(|artefact| artefact.sealed_len).sum();
        let facts = serde_json::json!({
            "recording_id": id, "state": recording.state, "tier": recording.tier, "sealed_bytes": bytes, "would_shred": details.receipt.is_none(),
        });
        out.facts(&facts, || match details.receipt {
            Some(receipt) => format!("{id} is shredded already; its receipt is {receipt}.\n"),
            None => format!("Would shred {id}: {}, tier {}, {bytes} sealed bytes. Nothing was done.\n", recording.state, recording.tier),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let shredded = flow.shred(&permit, id, &reason).await?;
    let (receipt, at) = (shredded.receipt, shredded.fenced_at);
    out.facts(&serde_json::json!({ "recording_id": id, "receipt_id": receipt, "shredded_at": at, "receipt": shredded.jws }), || {
        format!("Shredded {id} at {at}. Receipt {receipt}:\n\n{}\n", shredded.jws)
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn retry(mut app: App, recording: Option<RecordingId>, out: Out) -> Result<ExitCode, Failure> {
    let (flow, _committer) = app.flow().await?;
    let revived = flow.retry(recording).await?;
    out.facts(&serde_json::json!({ "revived": revived }), || format!("{revived} pieces of work are due again.\n"))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn sweep(mut app: App, hours: u32, out: Out) -> Result<ExitCode, Failure> {
    let (flow, _committer) = app.flow().await?;
    let swept = flow.sweep(Duration::from_secs(u64::from(hours) * 3600)).await?;
    out.facts(&swept, || {
        format!("Removed {} orphaned objects, {} unfinished uploads, {} ended grants.\n", swept.orphans, swept.uploads, swept.grants)
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn status(mut app: App, out: Out) -> Result<ExitCode, Failure> {
    let (flow, _committer) = app.flow().await?;
    let status = flow.status().await?;
    out.facts(&status, || {
        let mut text = String::from("recordings\n");
        for (state, count) in &status.recordings {
            text += &format!("  {:<10} {count}\n", state.as_str());
        }
        let (epoch, journal) = (&status.epoch, &status.journal);
        let oldest = epoch.oldest_waiting.map(|at| format!(", the oldest since {at}")).unwrap_or_default();
        text += &format!(
            "epoch {} since {}\n  {} shreds that an older copy of the key store still opens{oldest}; deletion horizon {} h\n",
            epoch.epoch,
            epoch.began_at,
            epoch.waiting,
            epoch.horizon_s / 3600
        );
        let snapshot = epoch.snapshot.as_ref().map_or_else(|| "none".to_owned(), |(name, at)| format!("{name}, verified {at}"));
        text += &format!("recovery\n  snapshot {snapshot}; {} changes are not in the journal yet\n", journal.waiting);
        text += "work\n";
        for work in &status.work {
            let oldest = Timestamp::from_millis(work.oldest_at);
            text += &format!("  {:<7} {:<5} {:>8}  oldest {oldest}\n", work.kind, work.state, work.count);
        }
        for dead in &status.dead {
            let why = dead.last_error.as_deref().unwrap_or("?");
            text += &format!("  dead: {} of {} after {} attempts: {why}\n", dead.kind, dead.recording_id, dead.attempts);
        }
        text
    })?;
    Ok(ExitCode::SUCCESS)
}
