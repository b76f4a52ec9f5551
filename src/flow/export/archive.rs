//! The archive: the manifest, statements of consent, each recording in turn, each thread after its
//! messages, and finally the log, including the openings by this archive.
//!
//! Owns the order and the names of its files. INVARIANT: no file whose size grows with the audio or
//! with the log is held in memory as a whole.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use serde_json::{Value, json};

use super::{
    Exports, Included, Plan, ended, listening,
    tar::{self, TarSink},
    threads::ThreadText,
};
use crate::{
    db::{audit, consents, recordings, tokens},
    flow::{
        asking::Circumstances,
        error::Error,
        guard::Guarded,
        playback::{IssuedGrant, PlaybackSession, reading::Form},
        refusal::refuse,
        streams::Ended,
    },
    model::{
        artefact::Artefact,
        consent::Whom,
        details::{Participant, Participants},
        id::{GrantId, RecordingId},
        recording::Recording,
    },
    policy::{Decision, Grant, decide},
    secret::SecretBuffer,
    vault,
};

/// Statements looked up at a time.
const PAGE: i64 = 200;

/// Streams the archive of a plan.
pub(super) fn stream(
    exports: Exports,
    plan: Plan,
) -> Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send> {
    tar::stream(plan.made_at, move |out| write(exports, plan, out))
}

async fn write(exports: Exports, plan: Plan, mut out: TarSink) -> Result<(), Ended> {
    out.whole("manifest.json", pretty(&manifest(&exports, &plan)))
        .await?;
    if plan.no_consents.is_empty() {
        bearer_lives(&exports, &plan).await.map_err(ended)?;
        let consents = statements(&exports, &plan).await.map_err(ended)?;
        out.whole("consents.json", pretty(&consents)).await?;
    }
    let mut thread: Option<ThreadText> = None;
    for included in &plan.included {
        let conversation = included
            .written
            .as_ref()
            .map(|written| &written.conversation);
        if let Some(over) = thread.take_if(|thread| !thread.is_of(conversation)) {
            over.end(&exports, &mut out).await?;
        }
        if let (None, Some(conversation)) = (&thread, conversation) {
            thread = Some(ThreadText::begin(&plan, conversation));
        }
        recording(&exports, &plan, included, thread.as_mut(), &mut out).await?;
    }
    if let Some(last) = thread {
        last.end(&exports, &mut out).await?;
    }
    if plan.no_listening.is_empty() {
        bearer_lives(&exports, &plan).await.map_err(ended)?;
        listening::write(&exports, &plan, &mut out).await?;
    }
    out.end().await
}

/// Refuses to continue for a token that was revoked or has expired: an archive may take long.
async fn bearer_lives(exports: &Exports, plan: &Plan) -> Result<(), Error> {
    let mut tx = exports.db.read().await?;
    let now = exports.clock.now();
    let found = tokens::living(&mut tx, plan.principal.credential, now).await?;
    found.map(drop).ok_or(Error::NotFound)
}

/// Builds the manifest: what is included, what is left out, and why.
fn manifest(exports: &Exports, plan: &Plan) -> Value {
    let rules = exports.rulebook.current();
    let missing = [
        ("consents.json", &plan.no_consents),
        ("listening.json", &plan.no_listening),
    ];
    let missing = missing
        .into_iter()
        .filter(|(_, why)| !why.is_empty())
        .map(|(file, why)| json!({ "file": file, "reasons": why }));
    json!({
        "vault": exports.vault.id(),
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

/// Returns every statement about the person, with its evidence.
async fn statements(exports: &Exports, plan: &Plan) -> Result<Value, Error> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = consents::page(&mut exports.db.read().await?, plan.subject, after, PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or_default();
        after = page
            .last()
            .map(|row| (row.statement.recorded_at, row.statement.id));
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
            Whom::Leg(conversation, leg) => {
                json!({ "conversation": conversation.as_str(), "leg": leg })
            }
        };
        let evidence = match sealed.evidence.as_slice() {
            [] => Value::Null,
            sealed => {
                let text = exports.vault.open_evidence(said.id, sealed)?;
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

/// Writes one recording, which is decided again and gets a grant of its own.
async fn recording(
    exports: &Exports,
    plan: &Plan,
    included: &Included,
    mut thread: Option<&mut ThreadText>,
    out: &mut TarSink,
) -> Result<(), Ended> {
    let id = included.id;
    // Before the decision: see `streams`.
    let since = async { Ok::<_, Error>(audit::head(&mut exports.db.read().await?).await?) };
    let since = since.await.map_err(ended)?;
    let registered = Arc::new(exports.streams.register_since(id, since));
    registered.by(plan.principal.credential);
    let grant_id = GrantId::random(&mut rand::rng());
    registered.under(grant_id);
    let (given, recording) = decided(exports, plan, id, grant_id).await.map_err(ended)?;
    out.under(
        Arc::clone(&registered),
        exports.clock.clone(),
        given.grant.expires_at(),
    );
    let mut playables = Vec::new();
    let mut files = Vec::new();
    let has_parties = given.artefacts.contains(&Artefact::Parties);
    files.extend(has_parties.then(|| "parties.json".to_owned()));
    for artefact in given
        .artefacts
        .into_iter()
        .filter(|artefact| *artefact != Artefact::Parties)
    {
        match exports.vault.playable(&given.grant, artefact).await {
            Ok(playable) => playables.push(playable),
            // Some formats cannot be cut, and then nothing is given.
            Err(vault::Error::NoWindow) => continue,
            Err(error) => return Err(ended(error.into())),
        }
        files.extend(files_of(artefact));
    }
    let folder = format!("recordings/{id}");
    out.whole(
        &format!("{folder}/recording.json"),
        pretty(&facts(&given.grant, &recording, &files)),
    )
    .await?;
    if has_parties {
        let parties = exports
            .playback
            .parties_under(given.id, &given.grant, &plan.principal, &recording)
            .await
            .map_err(ended)?;
        out.whole(
            &format!("{folder}/parties.json"),
            own(&exports.vault, plan, &parties).map_err(ended)?,
        )
        .await?;
    }
    let texts = playables.iter().map(vault::PlayableArtefact::artefact);
    let latest_text = Artefact::Transcript.latest(texts);
    let mut playables = playables.into_iter();
    let Some(playable) = playables.next() else {
        return Ok(());
    };
    let mut session = PlaybackSession {
        id: given.id,
        grant: given.grant,
        principal: plan.principal.clone(),
        recording,
        playable,
        registered,
    };
    loop {
        match session.playable.artefact() {
            artefact if artefact.is_text() => {
                let transcript = words(exports, &session, &folder, out).await?;
                let is_latest = latest_text == Some(artefact);
                if let (true, Some(thread), Some(written)) =
                    (is_latest, &mut thread, &included.written)
                {
                    let ends = session.grant.expires_at();
                    let stream = (Arc::clone(&session.registered), ends);
                    thread.add(written, id, &transcript, stream);
                    thread.write_full(exports, out).await?;
                }
            }
            artefact => {
                for file in files_of(artefact) {
                    whole(exports, &session, &format!("{folder}/{file}"), out).await?;
                }
            }
        }
        match playables.next() {
            Some(next) => session.playable = next,
            None => return Ok(()),
        }
    }
}

/// Returns the names of the files that an artefact becomes.
fn files_of(artefact: Artefact) -> Vec<String> {
    match artefact {
        Artefact::Audio => vec!["audio.wav".into()],
        Artefact::Transcript => vec!["transcript.json".into(), "transcript.vtt".into()],
        Artefact::Form => vec!["message.json".into()],
        Artefact::EditedText(at) => vec![
            format!("edits/{at}/transcript.json"),
            format!("edits/{at}/transcript.vtt"),
        ],
        Artefact::EditedForm(at) => vec![format!("edits/{at}/message.json")],
        Artefact::Media(_) => vec![artefact.to_string()],
        // They are written by themselves.
        Artefact::Parties => Vec::new(),
    }
}

/// Writes an artefact as it was sealed.
async fn whole(
    exports: &Exports,
    session: &PlaybackSession,
    path: &str,
    out: &mut TarSink,
) -> Result<(), Ended> {
    let len = session.playable.len();
    let mut file = out.file(path, len).await?;
    let mut pieces = Box::pin(
        exports
            .playback
            .listen(session, 0..len)
            .await
            .map_err(ended)?,
    );
    while let Some(piece) = pieces.next().await {
        file.write(piece?).await?;
    }
    file.end().await
}

/// Writes a transcript, and returns it as JSON. It is held in memory as a whole, as everywhere: a
/// redaction may be anywhere in it.
async fn words(
    exports: &Exports,
    session: &PlaybackSession,
    folder: &str,
    out: &mut TarSink,
) -> Result<SecretBuffer, Ended> {
    let mut json = SecretBuffer::default();
    let names = files_of(session.playable.artefact());
    for (form, name) in [Form::Json, Form::Vtt].into_iter().zip(names) {
        let mut pieces = Box::pin(exports.playback.read(session, form).await.map_err(ended)?);
        let mut text = Vec::new();
        while let Some(piece) = pieces.next().await {
            text.extend_from_slice(&piece?);
        }
        if form == Form::Json {
            json.extend_from_slice(&text);
        }
        out.whole(&format!("{folder}/{name}"), text).await?;
    }
    Ok(json)
}

async fn decided(
    exports: &Exports,
    plan: &Plan,
    id: RecordingId,
    grant_id: GrantId,
) -> Result<(IssuedGrant, Recording), Error> {
    let now = exports.clock.now();
    let asking = plan.asking();
    bearer_lives(exports, plan).await?;
    let mut tx = exports.db.read().await?;
    let recording = recordings::find(&mut tx, id)
        .await?
        .ok_or(Error::NotFound)?;
    let circumstances =
        Circumstances::gather(&mut tx, &plan.principal, &recording, &plan.purpose, now).await?;
    drop(tx);
    let facts = circumstances.asked(&plan.principal, &recording, &asking);
    let given = match decide(&facts, &exports.rulebook, now) {
        Decision::Allow(grant) => exports.playback.give(&facts, grant, grant_id).await?,
        Decision::Deny(denial) => {
            return Err(refuse(&exports.db, now, &facts, None, denial).await?);
        }
    };
    Ok((given, recording))
}

/// Returns the participants as far as the person may know them: the others' legs, without their
/// addresses (Article 15(4) GDPR).
fn own(vault: &vault::Vault, plan: &Plan, parties: &str) -> Result<Vec<u8>, Error> {
    let parties = Participants::parse(parties).ok_or(vault::Error::BrokenDetails)?;
    let own = |found: &Participant| {
        let is_own = found
            .address
            .as_ref()
            .is_some_and(|address| vault.subject(address) == plan.subject);
        if is_own {
            found.clone()
        } else {
            Participant {
                channel: found.channel,
                ..Participant::at(found.leg.clone())
            }
        }
    };
    Ok(parties
        .iter()
        .map(own)
        .collect::<Participants>()
        .to_json()
        .as_bytes()
        .to_vec())
}

/// Returns the catalogue data of a recording, and the names of its files.
fn facts(grant: &Grant, recording: &Recording, files: &[String]) -> Value {
    json!({
        "id": recording.id, "kind": recording.kind(), "tier": recording.tier, "view": grant.view().as_str(), "files": files,
        "account_sid": recording.account(), "recording_sid": recording.source_ref.sid(),
        "call_sid": recording.call.as_ref().map(ToString::to_string),
        "conference_sid": recording.conference.as_ref().map(ToString::to_string),
        "thread": recording.thread.as_ref().map(ToString::to_string), "author": recording.author,
        "source": recording.source, "duration_s": recording.duration_s, "channels": recording.channels, "labels": recording.labels,
        "policy_version": recording.policy_version, "policy_digest": recording.policy_digest,
        "collected_at": recording.collected_at, "started_at": recording.started_at, "announced_at": recording.announced_at,
        "sealed_at": recording.sealed_at,
    })
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text =
        serde_json::to_vec_pretty(value).expect("ids, names and numbers have a JSON form");
    text.push(b'\n');
    text
}
