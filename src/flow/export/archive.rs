//! The archive: manifest, statements of consent, each recording at its turn, and at last the log with what this archive itself has opened.
//!
//! Owns the order and the names of its files. INVARIANT: no file of it is in memory as a whole that grows with the sound or with the log.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde_json::{Value, json};

use super::{
    Plan, listening,
    tar::{self, Out},
};
use crate::{
    flow::{Ended, Error, Flow, Given, Heard, asking::Circumstances},
    ledger::{consents, recordings},
    model::{artefact::Artefact, consent::Whom, id::RecordingId, recording::Recording},
    policy::{Decision, Grant, View, decide},
};

/// Statements looked up at a time.
const PAGE: i64 = 200;

/// The archive of a plan.
pub(super) fn stream(flow: Flow, plan: Plan) -> impl Stream<Item = Result<Bytes, Ended>> + Send {
    tar::stream(plan.made_at, move |out| write(flow, plan, out))
}

/// How a story's error ends a stream.
pub(super) fn ended(error: Error) -> Ended {
    match error {
        Error::Shredded { .. } | Error::NotFound => Ended::Shredded,
        Error::Denied(_) => Ended::Refused,
        other => {
            tracing::error!(error = %other, "an archive broke off");
            Ended::Broken
        }
    }
}

async fn write(flow: Flow, plan: Plan, mut out: Out) -> Result<(), Ended> {
    out.whole("manifest.json", pretty(&manifest(&flow, &plan))).await?;
    if plan.no_consents.is_empty() {
        let consents = statements(&flow, &plan).await.map_err(ended)?;
        out.whole("consents.json", pretty(&consents)).await?;
    }
    for id in &plan.included {
        recording(&flow, &plan, *id, &mut out).await?;
    }
    if plan.no_listening.is_empty() {
        listening::write(&flow, &plan, &mut out).await?;
    }
    out.end().await
}

/// What is in the archive and what is not, and why.
fn manifest(flow: &Flow, plan: &Plan) -> Value {
    let rules = flow.rulebook().current();
    let missing = [("consents.json", &plan.no_consents), ("listening.json", &plan.no_listening)];
    let missing = missing.into_iter().filter(|(_, why)| !why.is_empty()).map(|(file, why)| json!({ "file": file, "reasons": why }));
    json!({
        "vault": flow.vault().id(),
        "subject": plan.subject,
        "made_at": plan.made_at,
        "requested_by": plan.principal.id,
        "purpose": plan.purpose,
        "ticket": plan.ticket.as_ref().map(crate::model::access::Ticket::as_str),
        "policy_version": rules.version(),
        "policy_digest": rules.digest(),
        "controller": { "name": rules.document().controller.name, "contact": rules.document().controller.contact },
        "recordings": plan.included,
        "left_out": plan.left_out,
        "missing_files": missing.collect::<Vec<_>>(),
    })
}

/// Every statement about the person, with the evidence for it.
async fn statements(flow: &Flow, plan: &Plan) -> Result<Value, Error> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = consents::page(&mut flow.0.ledger.read().await?, plan.subject, after, PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or_default();
        after = page.last().map(|row| (row.statement.recorded_at, row.statement.id));
        found.extend(page);
        if is_last {
            break;
        }
    }
    let mut items = Vec::with_capacity(found.len());
    for sealed in found {
        let said = &sealed.statement;
        let about = match &said.whom {
            Whom::Subject(subject) => json!({ "subject": subject }),
            Whom::Leg(conversation, leg) => json!({ "conversation": conversation.as_str(), "leg": leg }),
        };
        let evidence = match sealed.evidence.as_slice() {
            [] => Value::Null,
            sealed => {
                let text = flow.0.vault.open_evidence(said.id, sealed)?;
                serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text.as_str()))
            }
        };
        items.push(json!({
            "id": said.id, "about": about, "purposes": said.purposes, "answer": said.answer, "method": said.method,
            "disclosure_sha256": said.disclosure, "policy_version": said.policy_version, "said_at": said.at,
            "recorded_at": said.recorded_at, "recorded_by": sealed.recorded_by, "evidence": evidence,
        }));
    }
    Ok(json!({ "statements": items }))
}

/// One recording: decided again, and given a grant of its own.
async fn recording(flow: &Flow, plan: &Plan, id: RecordingId, out: &mut Out) -> Result<(), Ended> {
    let (given, recording) = decided(flow, plan, id).await.map_err(ended)?;
    let mut files = Vec::new();
    for (artefact, name) in files_of(given.grant.view()) {
        let playable = flow.0.vault.find_playable(&given.grant, *artefact).await.map_err(|error| ended(error.into()))?;
        files.extend(playable.map(|playable| (*name, playable)));
    }
    let folder = format!("recordings/{id}");
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    out.whole(&format!("{folder}/recording.json"), pretty(&facts(&given.grant, &recording, &names))).await?;
    let mut heard: Option<Heard> = None;
    let (mut given, mut recording) = (Some((given.id, given.grant)), Some(recording));
    for (name, playable) in files {
        let len = playable.len();
        let heard = match &mut heard {
            Some(heard) => {
                heard.playable = playable;
                heard
            }
            none => {
                let ((id, grant), recording) = given.take().zip(recording.take()).ok_or(Ended::Broken)?;
                none.insert(Heard { id, grant, principal: plan.principal.clone(), recording, playable })
            }
        };
        let mut file = out.file(&format!("{folder}/{name}"), len).await?;
        let mut pieces = Box::pin(flow.listen(heard, 0..len).await.map_err(ended)?);
        while let Some(piece) = pieces.next().await {
            file.write(piece?).await?;
        }
        file.end().await?;
    }
    Ok(())
}

async fn decided(flow: &Flow, plan: &Plan, id: RecordingId) -> Result<(Given, Recording), Error> {
    let (now, asking) = (flow.now(), plan.asking());
    let mut tx = flow.0.ledger.read().await?;
    let recording = recordings::find(&mut tx, id).await?.ok_or(Error::NotFound)?;
    let circumstances = Circumstances::gather(&mut tx, &plan.principal, &recording, &plan.purpose, now).await?;
    drop(tx);
    let facts = circumstances.asked(&plan.principal, &recording, &asking);
    let given = match decide(&facts, &flow.0.rulebook, now) {
        Decision::Allow(grant) => flow.give(&facts, grant).await?,
        Decision::Deny(denial) => return Err(flow.refuse(&facts, None, denial).await?),
    };
    Ok((given, recording))
}

/// The files that a view gives as they are sealed.
const fn files_of(view: View) -> &'static [(Artefact, &'static str)] {
    match view {
        View::Audio => &[(Artefact::Audio, "audio.wav"), (Artefact::Transcript, "transcript.json")],
        View::Transcript => &[(Artefact::Transcript, "transcript.json")],
        // What is cut or blacked out is not sealed as it is given.
        View::Window { .. } | View::RedactedTranscript => &[],
    }
}

/// What the catalogue says of a recording, and which files of it are here.
fn facts(grant: &Grant, recording: &Recording, files: &[&str]) -> Value {
    json!({
        "id": recording.id, "tier": recording.tier, "view": grant.view().as_str(), "files": files,
        "account_sid": recording.account.to_string(), "recording_sid": recording.source_sid.to_string(),
        "call_sid": recording.call.as_ref().map(ToString::to_string),
        "conference_sid": recording.conference.as_ref().map(ToString::to_string),
        "source": recording.source, "duration_s": recording.duration_s, "channels": recording.channels, "labels": recording.labels,
        "policy_version": recording.policy_version, "policy_digest": recording.policy_digest,
        "collected_at": recording.collected_at, "started_at": recording.started_at, "announced_at": recording.announced_at,
        "sealed_at": recording.sealed_at, "holds": recording.holds,
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("ids, names and numbers have a JSON form");
    text.push(b'\n');
    text
}
