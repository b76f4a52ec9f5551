//! Media over HTTP: audio, transcript and participants, under a grant's token.

use std::net::IpAddr;

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, response::Builder},
    response::{IntoResponse as _, Response},
};
use futures_util::{Stream, stream};
use utoipa::openapi::{
    RefOr, Schema,
    schema::{ArrayBuilder, ObjectBuilder, Type},
};

use super::{
    Api,
    client_ip::ClientIp,
    conditions::{self, Precondition},
    gate::Id,
    grants::FIRST_STATE,
    problem::Problem,
    range::{self, RangeOutcome},
    schemas::ShownTranscript,
};
use crate::{
    flow::{Ended, Form, Guarded, PlaybackSession},
    model::{artefact::Artefact, name::LegName, subject::Address},
};

/// Returns the audio under a grant, whole or by range (RFC 9110, section 14).
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/audio.wav", operation_id = "getAudio", tag = "media", params(("token" = String, Path), ("Range" = Option<String>, Header)),
    responses((status = 200, content_type = "audio/wav"), (status = 206, content_type = "audio/wav"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem), (status = 416, body = Problem)))]
pub(super) async fn audio(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        token: &token,
        network,
        method: &method,
        headers: &headers,
    };
    whole(
        &api,
        asked,
        Artefact::Audio,
        "inline; filename=\"recording.wav\"",
    )
    .await
}

/// Returns a message under a grant with the view `audio`: every field as the source delivered it, as
/// pairs of a name and a value.
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/message.json", operation_id = "getMessage", tag = "media", params(("token" = String, Path), ("Range" = Option<String>, Header)),
    responses((status = 200, body = MessageForm), (status = 206, body = MessageForm), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem), (status = 416, body = Problem)))]
pub(super) async fn message(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked {
        token: &token,
        network,
        method: &method,
        headers: &headers,
    };
    whole(
        &api,
        asked,
        Artefact::Form,
        "inline; filename=\"message.json\"",
    )
    .await
}

/// Returns a file of a message under a grant with the view `audio`: a picture, a sound, a document.
/// Files are numbered from 0. The one file of a video track or composition has the number 0: sound or
/// picture in Matroska, WebM or MPEG-4.
///
/// A file is whatever somebody sent: it is offered for download, and a browser does not run it.
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/files/{number}", operation_id = "getFile", tag = "media",
    params(("token" = String, Path), ("number" = u8, Path), ("Range" = Option<String>, Header)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206, content_type = "application/octet-stream"), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem), (status = 416, body = Problem)))]
pub(super) async fn file(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Path((token, number)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let number = number.parse().map_err(|_| Problem::not_found())?;
    let asked = Asked {
        token: &token,
        network,
        method: &method,
        headers: &headers,
    };
    whole(&api, asked, Artefact::Media(number), "attachment").await
}

/// Returns the message in one of its states: every field, as the source delivered it. `state` is
/// `first`, or the milliseconds of an edit, as the grant lists them.
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/states/{state}/message.json", operation_id = "getMessageState", tag = "media",
    params(("token" = String, Path), ("state" = String, Path), ("Range" = Option<String>, Header)),
    responses((status = 200, body = MessageForm), (status = 206, body = MessageForm), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 410, body = Problem), (status = 416, body = Problem)))]
pub(super) async fn state_message(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Path((token, state)): Path<(String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = in_state(Artefact::Form, &state)?;
    let session = api
        .flow
        .playback
        .redeem_state(&token, network, wanted)
        .await?;
    let asked = Asked {
        token: &token,
        network,
        method: &method,
        headers: &headers,
    };
    part(&api, asked, session, "inline; filename=\"message.json\"").await
}

/// Returns the text of a message in one of its states, as JSON.
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/states/{state}/transcript.json", operation_id = "getTranscriptState", tag = "media",
    params(("token" = String, Path), ("state" = String, Path)),
    responses((status = 200, body = ShownTranscript), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 410, body = Problem)))]
pub(super) async fn state_transcript(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Path((token, state)): Path<(String, String)>,
    method: Method,
) -> Result<Response, Problem> {
    let wanted = in_state(Artefact::Transcript, &state)?;
    let session = api
        .flow
        .playback
        .redeem_state(&token, network, wanted)
        .await?;
    transcript(&api, session, &method, Form::Json).await
}

/// Returns an artefact in the state of a URL.
fn in_state(first: Artefact, state: &str) -> Result<Artefact, Problem> {
    if state == FIRST_STATE {
        return Ok(first);
    }
    let at = state.parse().map_err(|_| Problem::not_found())?;
    Ok(first.after_edit(at))
}

/// Returns the type under which a browser may show an artefact: that of a file that came from
/// outside only if it can hold no program.
fn shown_type(artefact: Artefact, content_type: &str) -> &str {
    const HARMLESS: [&str; 15] = [
        "application/pdf",
        "audio/amr",
        "audio/mp4",
        "audio/mpeg",
        "audio/ogg",
        "audio/x-matroska",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/vcard",
        "video/3gpp",
        "video/mp4",
        "video/webm",
        "video/x-matroska",
    ];
    match artefact {
        Artefact::Media(_) if !HARMLESS.contains(&content_type) => "application/octet-stream",
        _ => content_type,
    }
}

/// The fields of a message, in the order in which the source delivered them.
pub(super) struct MessageForm;

impl utoipa::ToSchema for MessageForm {}

impl utoipa::PartialSchema for MessageForm {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(1_048_576));
        let pair = ArrayBuilder::new()
            .items(text)
            .min_items(Some(2))
            .max_items(Some(2));
        ArrayBuilder::new()
            .description(Some("Pairs of a name and a value, in the order received."))
            .items(pair)
            .max_items(Some(1000))
            .examples([serde_json::json!([["Body", "Is 5 pm ok?"]])])
            .into()
    }
}

/// A request for an artefact as it was sealed.
struct Asked<'a> {
    token: &'a str,
    network: Option<IpAddr>,
    method: &'a Method,
    headers: &'a HeaderMap,
}

/// Returns an artefact as it was sealed, whole or by range (RFC 9110, section 14).
async fn whole(
    api: &Api,
    asked: Asked<'_>,
    wanted: Artefact,
    disposition: &'static str,
) -> Result<Response, Problem> {
    let session = api
        .flow
        .playback
        .redeem(asked.token, asked.network, wanted)
        .await?;
    part(api, asked, session, disposition).await
}

async fn part(
    api: &Api,
    asked: Asked<'_>,
    session: PlaybackSession,
    disposition: &'static str,
) -> Result<Response, Problem> {
    let Asked {
        method, headers, ..
    } = asked;
    let wanted = session.playable.artefact();
    let len = session.playable.len();
    let etag = format!("\"{}\"", session.playable.etag());
    if conditions::evaluate(headers, &etag)? == Precondition::NotModified {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    // A range applies only to the representation that GET sends (section 14.2).
    let range = range_header(headers, &etag).filter(|_| *method == Method::GET);
    let (status, range) = match range::resolve(range, len) {
        RangeOutcome::Whole => (StatusCode::OK, 0..len),
        RangeOutcome::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        RangeOutcome::Unsatisfiable => return Ok(unsatisfiable(len)),
    };
    let mut response = Response::builder()
        .status(status)
        .header(
            header::CONTENT_TYPE,
            shown_type(wanted, session.playable.content_type()),
        )
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .header(header::CONTENT_DISPOSITION, disposition)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, etag);
    if status == StatusCode::PARTIAL_CONTENT {
        response = response.header(
            header::CONTENT_RANGE,
            format!("bytes {}-{}/{len}", range.start, range.end - 1),
        );
    }
    match *method {
        Method::HEAD => {
            api.flow.playback.could_open(&session).await?;
            head_answer(response)
        }
        _ => guarded(response, api.flow.playback.listen(&session, range).await?),
    }
}

/// Returns the transcript under a grant, as JSON.
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/transcript.json", operation_id = "getTranscript", tag = "media", params(("token" = String, Path)),
    responses((status = 200, body = ShownTranscript), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 410, body = Problem)))]
pub(super) async fn transcript_json(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    method: Method,
) -> Result<Response, Problem> {
    transcript_of(&api, &token, network, &method, Form::Json).await
}

/// Returns the transcript under a grant, as WebVTT.
#[utoipa::path(get, path = "/v1/media/{token}/transcript.vtt", operation_id = "getTranscriptVtt", tag = "media", params(("token" = String, Path)),
    responses((status = 200, content_type = "text/vtt"), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 410, body = Problem)))]
pub(super) async fn transcript_vtt(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    method: Method,
) -> Result<Response, Problem> {
    transcript_of(&api, &token, network, &method, Form::Vtt).await
}

/// Returns the participants, under a grant with the view `audio` or `transcript`.
///
/// `HEAD` opens nothing.
#[utoipa::path(get, path = "/v1/media/{token}/parties.json", operation_id = "getParties", tag = "media", params(("token" = String, Path)),
    responses((status = 200, body = ShownParties), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 410, body = Problem)))]
pub(super) async fn parties(
    State(api): State<Api>,
    ClientIp(network): ClientIp,
    Id(token): Id<String>,
    method: Method,
) -> Result<Response, Problem> {
    let shown = api.flow.playback.redeem_parties(&token, network).await?;
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    let response = response.header(
        header::CONTENT_DISPOSITION,
        "inline; filename=\"parties.json\"",
    );
    match method {
        Method::HEAD => {
            api.flow.playback.could_show_parties(&shown).await?;
            head_answer(response)
        }
        _ => guarded(response, api.flow.playback.show_parties(&shown).await?),
    }
}

/// The participants of the recorded conversation.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is opened as it was sealed, in this form")]
pub(super) struct ShownParties {
    #[schema(max_items = 250)]
    parties: Vec<ShownParty>,
}

/// A participant, in plain text.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is opened as it was sealed, in this form")]
pub(super) struct ShownParty {
    /// The participant's place: `caller`, `callee`, `participant-1`, or as named by the
    /// application.
    leg: LegName,
    /// The channel of a two-channel recording that carries this participant, 1 or 2; null if
    /// unknown or not exclusive.
    #[schema(minimum = 1, maximum = 2)]
    channel: Option<u8>,
    /// A number in E.164, or an address with `sip:` or `client:`; null for an unknown person.
    address: Option<Address>,
    /// The participant's name as reported by the source.
    #[schema(max_length = 256)]
    name: Option<String>,
}

async fn transcript_of(
    api: &Api,
    token: &str,
    network: Option<IpAddr>,
    method: &Method,
    form: Form,
) -> Result<Response, Problem> {
    let session = api
        .flow
        .playback
        .redeem(token, network, Artefact::Transcript)
        .await?;
    transcript(api, session, method, form).await
}

async fn transcript(
    api: &Api,
    session: PlaybackSession,
    method: &Method,
    form: Form,
) -> Result<Response, Problem> {
    let (content_type, disposition) = match form {
        Form::Json => ("application/json", "inline; filename=\"transcript.json\""),
        Form::Vtt => (
            "text/vtt; charset=utf-8",
            "inline; filename=\"transcript.vtt\"",
        ),
    };
    let response = Response::builder()
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CONTENT_DISPOSITION, disposition);
    match *method {
        Method::HEAD => {
            api.flow.playback.could_open(&session).await?;
            head_answer(response)
        }
        _ => guarded(response, api.flow.playback.read(&session, form).await?),
    }
}

/// Disables buffering of an answer in a proxy.
const UNBUFFERED: (&str, &str) = ("x-accel-buffering", "no");

/// Returns an answer whose stream can be stopped at any byte. The connection finds the guard in its
/// extensions; the header disables buffering in a proxy.
pub(super) fn guarded<S>(response: Builder, stream: Guarded<S>) -> Result<Response, Problem>
where
    S: Stream<Item = Result<Bytes, Ended>> + Send + 'static,
{
    let response = response
        .header(UNBUFFERED.0, UNBUFFERED.1)
        .extension(stream.guard());
    response
        .body(Body::from_stream(stream))
        .map_err(|_| Problem::internal())
}

/// Returns the answer to a `HEAD`. Its body is a stream, because an empty body would state a length
/// of 0, and the length of a text is not known before it is opened.
pub(super) fn head_answer(response: Builder) -> Result<Response, Problem> {
    response
        .header(UNBUFFERED.0, UNBUFFERED.1)
        .body(Body::from_stream(stream::empty::<Result<Bytes, Ended>>()))
        .map_err(|_| Problem::internal())
}

/// Returns the `Range` header, if it applies: with an `If-Range` only while the representation
/// still has the named tag (section 13.1.5).
fn range_header<'a>(headers: &'a HeaderMap, etag: &str) -> Option<&'a str> {
    let current = headers
        .get(header::IF_RANGE)
        .is_none_or(|validator| validator.as_bytes() == etag.as_bytes());
    headers
        .get(header::RANGE)
        .filter(|_| current)
        .and_then(|value| value.to_str().ok())
}

fn unsatisfiable(len: u64) -> Response {
    let mut response = Problem::unsatisfiable().into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{len}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}
