//! Commands on recordings and their work: `shred`, `retry`, `sweep`.

use std::{process::ExitCode, time::Duration};

use super::{
    failure::{Failure, or_no_recording},
    out::{Out, indented},
};
use crate::{
    app::App,
    evidence::ShredReason,
    flow,
    model::{id::RecordingId, numerals::counted, recording::Recording},
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
        app.flow_to_shred().await?
    };
    let permit = Permit::of_operator(action::Shred);
    // Checks all recordings before the first change: a wrong id among many must not leave the
    // others partly done.
    let mut recordings = Vec::with_capacity(ids.len());
    for id in &ids {
        let found = flow.shredding.shreddable(&permit, *id).await;
        recordings.push(found.map_err(or_no_recording(*id))?);
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
                    "Would shred {id}: {state}, tier {tier}, {}. Nothing was done.\n",
                    counted(bytes, "sealed byte", "sealed bytes")
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
        let items = counted(revived, "work item is", "work items are");
        format!("{items} due again.\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn sweep(
    mut app: App,
    hours: u32,
    dry_run: bool,
    out: Out,
) -> Result<ExitCode, Failure> {
    let flow = app.flow_for(dry_run).await?;
    let age = Duration::from_secs(u64::from(hours) * 3600);
    if dry_run {
        let objects = flow.garbage.list(age).await?;
        let unconsented = flow.quarantine.would_shred().await?;
        out.facts(
            &serde_json::json!({
                "dry_run": true, "would_remove": objects, "would_shred": unconsented,
            }),
            || {
                format!(
                    "Would remove {} that no recording owns.\n{}Would shred {} without consent.\n{}Nothing \
                     was done.\n",
                    counted(objects.len(), "object", "objects"),
                    indented(&objects),
                    counted(unconsented.len(), "recording", "recordings"),
                    indented(&unconsented)
                )
            },
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    // `retention sweep` shreds by retention; it has a dry run.
    let removed = flow.garbage.sweep(age).await?;
    let swept = flow::Swept {
        unconsented: flow.quarantine.sweep().await?.shredded,
        ..removed
    };
    out.facts(&swept, || {
        let flow::Swept {
            orphans,
            uploads,
            uploads_hidden,
            grants,
            unconsented,
            ..
        } = swept;
        let hidden = if uploads_hidden {
            "The store does not let its unfinished uploads be listed, so those that nobody recorded \
             stay: allow s3:ListBucketMultipartUploads.\n"
        } else {
            ""
        };
        format!(
            "Removed {}, {}, {}. Shredded {} without consent.\n{hidden}",
            counted(orphans, "orphaned object", "orphaned objects"),
            counted(uploads, "unfinished upload", "unfinished uploads"),
            counted(grants, "ended grant", "ended grants"),
            counted(unconsented, "recording", "recordings")
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
