//! Media: `GET /2010-04-01/Accounts/{AC}/Recordings/{RE}[.wav]`.
//!
//! `.mp3` is not supported. Errors are the XML of Twilio's 2010 interface.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{
    World,
    answer::{Refused, cut, stated},
    fault::MediaFault,
    recording::HeldRecording,
    request::AuthenticatedRequest,
};
use crate::{demo::conversation, model::sid::RecordingSid};

const WAV_TYPE: HeaderValue = HeaderValue::from_static("audio/x-wav");

pub(super) fn answer(
    world: &World,
    asked: &AuthenticatedRequest,
    stop: CancellationToken,
) -> Result<Response, Refused> {
    let (name, suffix) = asked
        .ask
        .sid
        .split_once('.')
        .unwrap_or((&asked.ask.sid, "wav"));
    let sid: RecordingSid = name.parse().map_err(|_| Refused::not_found())?;
    let now = world.hours.now();
    let state = world.state();
    let behaviour = &state.behaviour;
    let is_there = |held: &&HeldRecording| {
        held.facts.status == "completed" && now >= held.updated.after(behaviour.media_delay)
    };
    let held = state
        .recording(&sid, now)
        .filter(|held| held.account == asked.account)
        .filter(is_there)
        .cloned();
    let redirect = behaviour.media_redirect.clone();
    let without_length = behaviour.media_without_length;
    drop(state);
    if suffix == "mp3" && held.as_ref().is_some_and(|held| held.encryption.is_some()) {
        return Err(Refused::new(
            400,
            16109,
            "Encrypted recordings can be fetched as WAV only",
        ));
    }
    if suffix != "wav" {
        return Err(Refused::not_found());
    }
    let channels = match asked.query.get("RequestedChannels").map(str::parse) {
        None => None,
        Some(Ok(channels)) => Some(channels),
        Some(Err(_)) => return Err(Refused::invalid("RequestedChannels")),
    };
    let fault = world.faults().next(&sid);
    if let Some(answer) = before_the_media(fault.as_ref()) {
        return answer;
    }
    let wav = wav(held.ok_or_else(Refused::not_found)?, channels)?;
    match redirect {
        Some(redirect) if fault.is_none() => {
            let to = world.storage.put(&format!("/recordings/{sid}"), wav);
            Ok((
                StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND),
                [(header::LOCATION, to)],
            )
                .into_response())
        }
        _ if without_length && fault.is_none() => {
            let body = Body::from_stream(stream::iter([Ok::<_, Infallible>(wav)]));
            Ok(([(header::CONTENT_TYPE, WAV_TYPE)], body).into_response())
        }
        _ => Ok(sent(wav, fault, stop)),
    }
}

/// Returns the answer of a fault that does not need the media.
fn before_the_media(fault: Option<&MediaFault>) -> Option<Result<Response, Refused>> {
    Some(match fault? {
        MediaFault::NotYet { .. } => Err(Refused::not_found()),
        MediaFault::ServerError { .. } => Err(Refused::server_error()),
        MediaFault::TooMany { retry_after } => Err(Refused::too_many(*retry_after)),
        MediaFault::RedirectTo { url } => {
            Ok((StatusCode::FOUND, [(header::LOCATION, url.clone())]).into_response())
        }
        MediaFault::XmlErrorBody => Ok(Refused::not_found().xml_as(StatusCode::OK)),
        _ => return None,
    })
}

/// Returns the file with the requested number of channels. Encrypted channels cannot be mixed.
fn wav(held: HeldRecording, channels: Option<u16>) -> Result<Bytes, Refused> {
    let media = held.facts.media.ok_or_else(Refused::not_found)?;
    match (channels, held.sound.channels) {
        (None | Some(1), 1) | (None | Some(2), 2) => Ok(media),
        (Some(1), _) if held.encryption.is_none() => {
            Ok(conversation::mix_to_mono(&media).map_or(media, Bytes::from))
        }
        _ => Err(Refused::new(
            400,
            20001,
            "The requested number of channels is not available",
        )),
    }
}

fn sent(wav: Bytes, fault: Option<MediaFault>, stop: CancellationToken) -> Response {
    let length = wav.len() as u64;
    match fault {
        Some(MediaFault::SlowBody { bytes, every }) => stated(
            WAV_TYPE,
            length,
            Body::from_stream(slowly(wav, bytes, every, stop)),
        ),
        Some(MediaFault::CutBody { at }) => stated(
            WAV_TYPE,
            length,
            Body::from_stream(cut(wav.slice(..at.min(wav.len())))),
        ),
        Some(MediaFault::WrongLength { claim }) => stated(
            WAV_TYPE,
            claim,
            Body::from_stream(stream::iter([Ok::<_, Infallible>(wav)])),
        ),
        Some(MediaFault::WrongContentType { value }) => {
            ([(header::CONTENT_TYPE, value)], wav).into_response()
        }
        Some(MediaFault::NotRiff) => (
            [(header::CONTENT_TYPE, WAV_TYPE)],
            wav.iter().map(|byte| byte ^ 0x5a).collect::<Vec<_>>(),
        )
            .into_response(),
        _ => ([(header::CONTENT_TYPE, WAV_TYPE)], wav).into_response(),
    }
}

fn slowly(
    wav: Bytes,
    bytes: usize,
    every: Duration,
    stop: CancellationToken,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let pieces = stream::unfold((wav, false), move |(mut rest, started)| async move {
        if rest.is_empty() {
            return None;
        }
        if started {
            tokio::time::sleep(every).await;
        }
        let piece = rest.split_to(bytes.clamp(1, rest.len()));
        Some((Ok(piece), (rest, true)))
    });
    pieces.take_until(stop.cancelled_owned())
}
