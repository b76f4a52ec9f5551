//! The interface: `GET /2010-04-01/Accounts/{AC}/Recordings/{RE}[.wav|.json]`.
//!
//! `.mp3` is not made here. Errors are the XML of Twilio's 2010 interface, also on media URLs.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{Fault, Held, StandInAccount, World, callback};
use crate::{demo::conversation, model::sid::RecordingSid};

const WAV_TYPE: &str = "audio/x-wav";

#[derive(Clone)]
struct Twilio {
    world: Arc<World>,
    stop: CancellationToken,
}

#[derive(serde::Deserialize)]
struct Wanted {
    #[serde(rename = "RequestedChannels")]
    channels: Option<u16>,
}

pub(super) fn router(world: Arc<World>, stop: CancellationToken) -> Router {
    Router::new().route("/2010-04-01/Accounts/{account}/Recordings/{file}", get(recording)).with_state(Twilio { world, stop })
}

async fn recording(
    State(twilio): State<Twilio>,
    Path((account, file)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let world = &twilio.world;
    let (name, suffix) = file.split_once('.').unwrap_or((&file, "wav"));
    if suffix == "wav" {
        world.media_requests.fetch_add(1, Ordering::SeqCst);
    }
    if !world.account(&account).is_some_and(|account| is_authorised(account, &headers)) {
        world.unauthorised.fetch_add(1, Ordering::SeqCst);
        return unauthorised();
    }
    let Ok(sid) = name.parse::<RecordingSid>() else {
        return not_found();
    };
    let held = world.recordings().get(&sid).filter(|held| held.account.as_str() == account).cloned();
    match (suffix, held) {
        ("wav", held) => {
            let fault = world.faults().next(&sid);
            media(held, wanted.channels, fault, twilio.stop)
        }
        ("json", Some(held)) => metadata(&sid, &held).into_response(),
        _ => not_found(),
    }
}

fn is_authorised(account: &StandInAccount, headers: &HeaderMap) -> bool {
    let own = (account.sid.as_str(), account.auth_token.as_str());
    let key = account.api_key.as_ref().map(|(sid, secret)| (sid.as_str(), secret.as_str()));
    let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    [Some(own), key].into_iter().flatten().any(|(user, password)| {
        let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        given == Some(expected.as_bytes())
    })
}

fn media(held: Option<Held>, channels: Option<u16>, fault: Option<Fault>, stop: CancellationToken) -> Response {
    match &fault {
        Some(Fault::NotYet { .. }) => return not_found(),
        Some(Fault::ServerError { .. }) => return xml(StatusCode::INTERNAL_SERVER_ERROR, 20500, "An internal server error has occurred"),
        Some(Fault::TooMany { retry_after }) => return too_many(*retry_after),
        Some(Fault::RedirectTo { url }) => return (StatusCode::FOUND, [(header::LOCATION, url.clone())]).into_response(),
        Some(Fault::XmlErrorBody) => return xml(StatusCode::OK, 20404, "The requested resource was not found"),
        _ => {}
    }
    let Some(held) = held else {
        return not_found();
    };
    let wav = match (channels, held.facts.channels) {
        (None | Some(1), 1) | (None | Some(2), 2) => held.wav,
        (Some(1), _) => conversation::mix_to_mono(&held.wav).map_or(held.wav, Bytes::from),
        _ => return xml(StatusCode::BAD_REQUEST, 20001, "The requested number of channels is not available"),
    };
    let length = wav.len() as u64;
    match fault {
        Some(Fault::SlowBody { bytes, every }) => stated(length, Body::from_stream(slowly(wav, bytes, every, stop))),
        Some(Fault::CutBody { at }) => stated(length, Body::from_stream(cut(wav.slice(..at.min(wav.len()))))),
        Some(Fault::WrongLength { claim }) => stated(claim, Body::from_stream(stream::iter([Ok::<_, Infallible>(wav)]))),
        Some(Fault::WrongContentType { value }) => ([(header::CONTENT_TYPE, value)], wav).into_response(),
        Some(Fault::NotRiff) => {
            ([(header::CONTENT_TYPE, WAV_TYPE)], wav.iter().map(|byte| byte ^ 0x5a).collect::<Vec<_>>()).into_response()
        }
        _ => ([(header::CONTENT_TYPE, WAV_TYPE)], wav).into_response(),
    }
}

/// An answer whose `Content-Length` is what we say, whatever the body does.
fn stated(length: u64, body: Body) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(WAV_TYPE)), (header::CONTENT_LENGTH, HeaderValue::from(length))];
    (headers, body).into_response()
}

fn slowly(wav: Bytes, bytes: usize, every: Duration, stop: CancellationToken) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
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

fn cut(start: Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let breaks = stream::once(async {
        // Lets the connection write what it has before it is closed.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    stream::iter((!start.is_empty()).then_some(Ok(start))).chain(breaks)
}

/// The metadata resource (<https://www.twilio.com/docs/voice/api/recording>), field by field.
fn metadata(sid: &RecordingSid, held: &Held) -> Json<serde_json::Value> {
    let uri = format!("/2010-04-01/Accounts/{}/Recordings/{sid}", held.account);
    Json(serde_json::json!({
        "account_sid": held.account,
        "api_version": "2010-04-01",
        "call_sid": callback::call_of(sid),
        "conference_sid": null,
        "date_created": callback::start_time(),
        "date_updated": callback::start_time(),
        "start_time": callback::start_time(),
        "duration": held.facts.seconds.to_string(),
        "sid": sid,
        "price": null,
        "price_unit": "USD",
        "status": "completed",
        "channels": held.facts.channels,
        "source": "DialVerb",
        "error_code": null,
        "uri": format!("{uri}.json"),
        "encryption_details": null,
        "subresource_uris": {
            "add_on_results": format!("{uri}/AddOnResults.json"),
            "transcriptions": format!("{uri}/Transcriptions.json"),
        },
        "media_url": format!("https://api.twilio.com{uri}"),
    }))
}

fn unauthorised() -> Response {
    let mut response = xml(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Twilio API\""));
    response
}

fn too_many(retry_after: Option<u64>) -> Response {
    let mut response = xml(StatusCode::TOO_MANY_REQUESTS, 20429, "Too Many Requests");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn not_found() -> Response {
    xml(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
}

fn xml(status: StatusCode, code: u32, message: &str) -> Response {
    // The status inside is that of the error, also where HTTP says 200.
    let inner = if status == StatusCode::OK { 404 } else { status.as_u16() };
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException><Code>{code}</Code><Message>{message}</Message>\
         <MoreInfo>https://www.twilio.com/docs/errors/{code}</MoreInfo><Status>{inner}</Status></RestException></TwilioResponse>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
