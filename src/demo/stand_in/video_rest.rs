//! Video over REST: recordings, compositions, participants, and their files.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    Owned, State, World,
    answer::{Refused, StandInAnswer},
    hours::{filter_time, iso8601},
    page,
    recordings::newest_first,
    request::AuthenticatedRequest,
    video::{CompositionFacts, TrackFacts},
};
use crate::model::{
    sid::{CompositionSid, RoomParticipantSid, TrackRecordingSid},
    time::Timestamp,
};

type Answer = Result<StandInAnswer, Refused>;

/// The time for which the metadata of a deleted file is shown.
const SHOWN: std::time::Duration = std::time::Duration::from_hours(30 * 24);

fn url(asked: &AuthenticatedRequest) -> String {
    format!("{}{}", asked.origin, asked.path)
}

/// Whether an item is listed: deleted ones only where they are asked for.
fn is_listed(
    asked: &AuthenticatedRequest,
    created: Timestamp,
    status: &str,
) -> Result<bool, Refused> {
    let time = |name: &'static str| {
        let text = asked.query.get(name);
        text.map(|text| filter_time(text).ok_or_else(|| Refused::invalid(name)))
            .transpose()
    };
    let after = time("DateCreatedAfter")?;
    let before = time("DateCreatedBefore")?;
    let is_wanted = match asked.query.get("Status") {
        Some(wanted) => wanted == status,
        None => status != "deleted",
    };
    Ok(is_wanted
        && after.is_none_or(|(at, _)| created >= at)
        && before.is_none_or(|(at, _)| created <= at))
}

fn is_shown(deleted: Option<Timestamp>, now: Timestamp) -> bool {
    deleted.is_none_or(|at| now < at.after(SHOWN))
}

fn track<'a>(
    world: &World,
    state: &'a mut State,
    asked: &AuthenticatedRequest,
) -> Result<(TrackRecordingSid, &'a mut Owned<TrackFacts>), Refused> {
    let sid: TrackRecordingSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let owned = state.tracks.get_mut(&sid).ok_or_else(Refused::not_found)?;
    if owned.account == asked.account && is_shown(owned.facts.deleted, world.hours.now()) {
        Ok((sid, owned))
    } else {
        Err(Refused::not_found())
    }
}

fn composition<'a>(
    world: &World,
    state: &'a mut State,
    asked: &AuthenticatedRequest,
) -> Result<(CompositionSid, &'a mut Owned<CompositionFacts>), Refused> {
    let sid: CompositionSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let owned = state
        .compositions
        .get_mut(&sid)
        .ok_or_else(Refused::not_found)?;
    if owned.account == asked.account && is_shown(owned.facts.deleted, world.hours.now()) {
        Ok((sid, owned))
    } else {
        Err(Refused::not_found())
    }
}

/// Lists recordings, of a room if the path names one.
pub(super) fn tracks(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let now = world.hours.now();
    let state = world.state();
    let mut items = Vec::new();
    for (sid, owned) in &state.tracks {
        let Owned {
            account,
            created,
            facts,
        } = owned;
        let room = asked.ask.id(0);
        let is_of = *account == asked.account && (room.is_empty() || facts.room.as_str() == room);
        if is_of && is_shown(facts.deleted, now) && is_listed(asked, *created, &facts.status)? {
            items.push((newest_first(*created, sid.as_str()), (sid, owned)));
        }
    }
    page::of_v2(
        items,
        "recordings",
        &url(asked),
        &asked.query,
        100,
        |(sid, owned)| track_resource(sid, owned),
    )
}

pub(super) fn fetch_track(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (sid, owned) = track(world, &mut state, asked)?;
    Ok(StandInAnswer::ok(track_resource(&sid, owned)))
}

pub(super) fn delete_track(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (_, owned) = track(world, &mut state, asked)?;
    if owned.facts.status == "deleted" {
        return Err(Refused::not_found());
    }
    owned.facts.media = None;
    "deleted".clone_into(&mut owned.facts.status);
    owned.facts.deleted = Some(world.hours.now());
    Ok(StandInAnswer::Empty)
}

pub(super) fn track_media(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<Response, Refused> {
    let mut state = world.state();
    let (sid, owned) = track(world, &mut state, asked)?;
    let media = owned
        .facts
        .media
        .clone()
        .filter(|_| owned.facts.status == "completed");
    let headers = owned.facts.headers.clone();
    redirect(world, &format!("/video/{sid}"), media, headers)
}

/// Lists compositions, of a room if the query names one.
pub(super) fn compositions(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let now = world.hours.now();
    let state = world.state();
    let room = asked.query.get("RoomSid");
    let mut items = Vec::new();
    for (sid, owned) in &state.compositions {
        let Owned {
            account,
            created,
            facts,
        } = owned;
        let is_of =
            *account == asked.account && room.is_none_or(|room| facts.room.as_str() == room);
        if is_of && is_shown(facts.deleted, now) && is_listed(asked, *created, &facts.status)? {
            items.push((newest_first(*created, sid.as_str()), (sid, owned)));
        }
    }
    page::of_v2(
        items,
        "compositions",
        &url(asked),
        &asked.query,
        100,
        |(sid, owned)| composition_resource(sid, owned),
    )
}

pub(super) fn fetch_composition(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (sid, owned) = composition(world, &mut state, asked)?;
    Ok(StandInAnswer::ok(composition_resource(&sid, owned)))
}

pub(super) fn delete_composition(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (_, owned) = composition(world, &mut state, asked)?;
    if owned.facts.status == "deleted" {
        return Err(Refused::not_found());
    }
    owned.facts.media = None;
    "deleted".clone_into(&mut owned.facts.status);
    owned.facts.deleted = Some(world.hours.now());
    Ok(StandInAnswer::Empty)
}

pub(super) fn composition_media(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<Response, Refused> {
    let mut state = world.state();
    let (sid, owned) = composition(world, &mut state, asked)?;
    let media = owned
        .facts
        .media
        .clone()
        .filter(|_| owned.facts.status == "completed");
    redirect(world, &format!("/video/{sid}"), media, Vec::new())
}

/// `GET /v1/Rooms/{RM}/Participants`.
pub(super) fn participants(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let state = world.state();
    let status = asked.query.get("Status");
    let own = state.room_participants.iter().filter(|(_, owned)| {
        owned.account == asked.account
            && owned.facts.room.as_str() == asked.ask.id(0)
            && status.is_none_or(|status| owned.facts.status == status)
    });
    let items = own
        .map(|(sid, owned)| (sid.to_string(), (sid, owned)))
        .collect();
    page::of_v2(
        items,
        "participants",
        &url(asked),
        &asked.query,
        1000,
        |(sid, owned)| {
            json!({
                "account_sid": owned.account,
                "room_sid": owned.facts.room,
                "sid": sid,
                "identity": owned.facts.identity,
                "status": owned.facts.status,
                "start_time": iso8601(owned.created),
                "end_time": iso8601(owned.created),
            })
        },
    )
}

/// `POST /v1/Rooms/{RM}/Participants/{PA}/Anonymize`.
pub(super) fn anonymize(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let sid: RoomParticipantSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let owned = state
        .room_participants
        .get_mut(&sid)
        .ok_or_else(Refused::not_found)?;
    if owned.account != asked.account || owned.facts.room.as_str() != asked.ask.id(0) {
        return Err(Refused::not_found());
    }
    owned.facts.identity = sid.to_string();
    Ok(StandInAnswer::ok(json!({ "sid": sid, "identity": sid })))
}

/// Returns the redirect to a file in storage, which is stated in a document, too.
fn redirect(
    world: &World,
    path: &str,
    media: Option<Bytes>,
    headers: Vec<(String, String)>,
) -> Result<Response, Refused> {
    let media = media.ok_or_else(Refused::not_found)?;
    let to = world.storage.put_with(path, media, headers);
    let json = HeaderValue::from_static("application/json");
    let document = json!({ "redirect_to": to }).to_string();
    let location = HeaderValue::from_str(&to).map_err(|_| Refused::server_error())?;
    let headers = [(header::CONTENT_TYPE, json), (header::LOCATION, location)];
    Ok((StatusCode::FOUND, headers, document).into_response())
}

fn track_resource(sid: &TrackRecordingSid, owned: &Owned<TrackFacts>) -> Value {
    let facts = &owned.facts;
    let is_audio = facts.kind == "audio";
    json!({
        "account_sid": owned.account,
        "sid": sid,
        "status": facts.status,
        "type": facts.kind,
        "container_format": if is_audio { "mka" } else { "mkv" },
        "codec": if is_audio { "OPUS" } else { "VP8" },
        "grouping_sids": { "room_sid": facts.room, "participant_sid": facts.participant },
        "size": facts.media.as_ref().map(Bytes::len),
        "duration": 3,
        "offset": 1000,
        "track_name": "camera",
        "media_external_location": facts.media_external_location,
        "date_created": iso8601(owned.created),
    })
}

fn composition_resource(sid: &CompositionSid, owned: &Owned<CompositionFacts>) -> Value {
    let facts = &owned.facts;
    json!({
        "account_sid": owned.account,
        "sid": sid,
        "room_sid": facts.room,
        "status": facts.status,
        "format": facts.format,
        "audio_sources": facts.audio_sources,
        "audio_sources_excluded": [],
        "video_layout": {},
        "size": facts.media.as_ref().map(Bytes::len),
        "duration": 3,
        "media_external_location": null,
        "date_created": iso8601(owned.created),
        "date_completed": iso8601(owned.created),
        "date_deleted": facts.deleted.map(iso8601),
    })
}
