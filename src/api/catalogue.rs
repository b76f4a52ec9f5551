//! The catalogue over HTTP.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    Api,
    gate::{Bearer, Id},
    holds::HoldBody,
    problem::Problem,
};
use crate::{
    db::links::LinkedRecording,
    flow::{RecordingDetails, SourceStanding},
    model::{
        id::{ReceiptId, RecordingId},
        link::{LinkKind, LinkReason},
        media::MediaKind,
        name::{Label, LegName, Tier},
        recording::{Recording, RecordingState as Life},
        residue::{Residue, residue_of},
        sid::{AccountSid, CallSid, ChatSid, ConferenceSid, ProxySessionSid, RoomSid, SourceSid},
        source::{CopyKind, CopyState, SourceCopy, SourceState},
        subject::{Conversation, ThreadId},
        text::PolicyVersion,
        time::Timestamp,
    },
    policy::action,
};

/// The catalogue data of a recording, without personal data.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RecordingBody {
    id: RecordingId,
    /// The kind of communication.
    kind: MediaKind,
    state: Life,
    tier: Tier,
    #[schema(value_type = PolicyVersion)]
    policy_version: String,
    #[schema(pattern = "^[0-9a-f]{64}$")]
    policy_digest: String,
    account_sid: AccountSid,
    /// The source's id: of a recording, message, track or composition.
    #[schema(value_type = SourceSid)]
    recording_sid: String,
    call_sid: Option<CallSid>,
    conference_sid: Option<ConferenceSid>,
    /// The thread of a message: the same for every message between two addresses. Null for calls.
    thread_id: Option<ThreadId>,
    /// The chat of a chat message. Null for other kinds.
    chat_sid: Option<ChatSid>,
    /// The video room of a track or composition; otherwise null.
    room_sid: Option<RoomSid>,
    /// The session of Proxy that a text or a recorded call goes through. Null for others.
    session_sid: Option<ProxySessionSid>,
    /// Who wrote a message, by their place in the thread, chat or session: `contact` or a
    /// participation, or `line` for nobody's own. Who published a track, by their place in the room:
    /// the participant's id in lower case.
    author: Option<LegName>,
    /// The recording component, as reported by the source.
    #[schema(max_length = 64, examples("DialVerb"))]
    source: Option<String>,
    /// The last status that the source reported.
    #[schema(max_length = 64, examples("completed"))]
    source_status: String,
    /// The reason for missing audio, as reported by the source.
    error_code: Option<i64>,
    #[schema(minimum = 0, examples(60))]
    duration_s: Option<i64>,
    #[schema(minimum = 1, maximum = 255, examples(2))]
    channels: Option<i64>,
    /// Values by label, from the callback or a correction.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: BTreeMap<Label, String>,
    started_at: Option<Timestamp>,
    /// `started_at`, but never later than `announced_at`. Retention counts from it.
    recorded_at: Timestamp,
    announced_at: Timestamp,
    sealed_at: Option<Timestamp>,
    shredded_at: Option<Timestamp>,
    /// When the recording is shredded without evidence of consent; null outside quarantine.
    quarantine_ends: Option<Timestamp>,
    /// Since when it is closed to every purpose except those of its holds that `hold_purposes` lists; null if it is not.
    revoked_at: Option<Timestamp>,
    /// When somebody removed it at the source, as far as the source told; null if nobody did.
    removed_at_source: Option<Timestamp>,
}

/// A recording with its objects, holds, receipt and source copies.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct DetailsBody {
    #[serde(flatten)]
    recording: RecordingBody,
    /// Its sealed objects.
    artefacts: Vec<ArtefactBody>,
    /// The holds that prevent its shred; null without the action `hold`.
    holds: Option<Vec<HoldBody>>,
    /// Its receipt, after a shred.
    receipt_id: Option<ReceiptId>,
    /// The copies that Twilio holds.
    at_source: SourceBody,
    /// Other recordings of the same text, such as the message as which a chat message was delivered.
    links: Vec<LinkBody>,
}

/// A link to another recording of the same text.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LinkBody {
    recording_id: RecordingId,
    /// `exact`: the source named both together; whoever shreds one shreds the other. `inferred`: they
    /// are alike, and each is shredded by itself.
    kind: LinkKind,
    /// What it rests on.
    why: LinkReason,
    /// The state of the other recording; null for a copy at the source that is no recording of its own.
    state: Option<Life>,
}

/// The copies that the source (Twilio) holds of a recording.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SourceBody {
    /// `kept`: no deletion is planned. `pending`: deletion is due. `not-deletable-yet`: deletion is
    /// due, and Twilio refuses it until a copy is complete there. `deleted`: all copies that were
    /// found are deleted, and the source confirms it. `left`: deleted, except for copies that the
    /// vault cannot delete.
    state: SourceState,
    /// Every copy that was found at the deletion.
    copies: Vec<CopyBody>,
    /// What stays at Twilio after the confirmed deletions: logs, backups, metadata, bulk exports.
    residue: Vec<Residue>,
}

/// A copy at the source.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CopyBody {
    kind: CopyKind,
    /// The source's id; for an object, the SHA-256 of its address.
    #[schema(max_length = 64, examples("RE0123456789abcdef0123456789abcdef"))]
    sid: String,
    /// `there`, `not-deletable-yet` (the source refuses until it is complete), `deleted` (the source accepted the deletion), `confirmed` (the source reports the
    /// copy as deleted) or `left`.
    state: CopyState,
    deleted_at: Option<Timestamp>,
    confirmed_at: Option<Timestamp>,
    /// When the source's metadata of the copy expires; null if the source publishes no period.
    left_until: Option<Timestamp>,
    /// When the source first refused the deletion because the copy was not complete.
    refused_at: Option<Timestamp>,
    /// When such a refusal becomes a fault, 15 days later; null unless the source still refuses.
    deletable_until: Option<Timestamp>,
    /// When the source removed the text, because it refused the deletion.
    redacted_at: Option<Timestamp>,
}

/// A sealed object.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ArtefactBody {
    /// `audio`, `transcript`, `form` (a message as delivered), or `media/0` to `media/255`: the files
    /// of a message, or the one of a track or composition.
    #[schema(
        pattern = "^(audio|transcript|form|media/[0-9]{1,3})$",
        examples("audio")
    )]
    artefact: Cow<'static, str>,
    #[schema(max_length = 128, examples("audio/wav"))]
    content_type: String,
    /// Plaintext bytes.
    bytes: u64,
    /// Ciphertext bytes.
    sealed_bytes: u64,
    /// SHA-256 of the ciphertext.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sealed_sha256: String,
}

/// Shows one recording.
#[utoipa::path(get, path = "/v1/recordings/{id}", operation_id = "getRecording", tag = "recordings", params(("id" = String, Path)), security(("bearer" = [])),
    responses((status = 200, body = DetailsBody), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn show(
    State(api): State<Api>,
    bearer: Bearer,
    Id(id): Id<RecordingId>,
) -> Result<Json<DetailsBody>, Problem> {
    let permit = bearer.permit(&api, action::Catalogue, Some(id)).await?;
    Ok(Json(api.flow.catalogue.show(&permit, id).await?.into()))
}

impl From<Recording> for RecordingBody {
    fn from(recording: Recording) -> Self {
        let source_ref = recording.source_ref;
        Self {
            id: recording.id,
            kind: source_ref.kind(),
            state: recording.state,
            tier: recording.tier,
            policy_version: recording.policy_version,
            policy_digest: recording.policy_digest,
            account_sid: source_ref.account().clone(),
            recording_sid: source_ref.sid().to_owned(),
            call_sid: recording.call,
            conference_sid: recording.conference,
            room_sid: recording.thread.clone().and_then(Conversation::into_room),
            thread_id: recording.thread.clone().and_then(Conversation::into_thread),
            chat_sid: recording.thread.clone().and_then(Conversation::into_chat),
            session_sid: recording.thread.and_then(Conversation::into_session),
            author: recording.author,
            source: recording.source,
            source_status: recording.source_status,
            error_code: recording.error_code,
            duration_s: recording.duration_s,
            channels: recording.channels,
            labels: recording.labels,
            started_at: recording.started_at,
            recorded_at: recording.collected_at,
            announced_at: recording.announced_at,
            sealed_at: recording.sealed_at,
            shredded_at: recording.shredded_at,
            quarantine_ends: recording.quarantine_ends,
            revoked_at: recording.revoked_at,
            removed_at_source: recording.removed_at,
        }
    }
}

impl From<RecordingDetails> for DetailsBody {
    fn from(details: RecordingDetails) -> Self {
        let artefacts = details.artefacts.into_iter().map(|sealed| ArtefactBody {
            artefact: sealed.artefact.word(),
            content_type: sealed.content_type,
            bytes: sealed.plain_len,
            sealed_bytes: sealed.sealed_len,
            sealed_sha256: sealed.sealed_sha256,
        });
        let holds = details
            .holds
            .map(|holds| holds.into_iter().map(HoldBody::from).collect());
        Self {
            recording: details.recording.into(),
            artefacts: artefacts.collect(),
            holds,
            receipt_id: details.receipt,
            at_source: details.source.into(),
            links: details.links.into_iter().map(LinkBody::from).collect(),
        }
    }
}

impl From<LinkedRecording> for LinkBody {
    fn from(linked: LinkedRecording) -> Self {
        Self {
            recording_id: linked.recording,
            kind: linked.kind,
            why: linked.why,
            state: linked.state,
        }
    }
}

impl From<SourceStanding> for SourceBody {
    fn from(source: SourceStanding) -> Self {
        let residue = residue_of(&source.copies);
        let copy = |copy: SourceCopy| CopyBody {
            kind: copy.kind,
            deletable_until: copy.deletable_until(),
            refused_at: copy.refused_at,
            redacted_at: copy.redacted_at,
            sid: copy.sid,
            state: copy.state,
            deleted_at: copy.deleted_at,
            confirmed_at: copy.confirmed_at,
            left_until: copy.left_until,
        };
        Self {
            state: source.state,
            copies: source.copies.into_iter().map(copy).collect(),
            residue,
        }
    }
}
