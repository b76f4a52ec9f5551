//! The handling of a request: counted, authenticated, rate-limited, possibly failed by a fault, and
//! only then performed.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio_util::sync::CancellationToken;

use super::{
    World, account, add_ons,
    answer::{self, Refused, StandInAnswer},
    calls, chats, conferences, media, message_media, messages, numbers,
    page::FormPairs,
    proxy, recording_update, recordings,
    request::AuthenticatedRequest,
    route::{Ask, route},
    sentences, spoil, transcriptions, transcripts, video_rest,
    wrong::{Call, RequestFault},
};
use crate::model::sid::AccountSid;

/// The longest form, in bytes.
const MAX_FORM: usize = 64 * 1024;

#[derive(Clone)]
struct Twilio {
    world: Arc<World>,
    stop: CancellationToken,
}

pub(super) fn router(world: Arc<World>, stop: CancellationToken) -> Router {
    Router::new()
        .fallback(answer)
        .with_state(Twilio { world, stop })
}

async fn answer(State(twilio): State<Twilio>, request: Request) -> Response {
    let world = &twilio.world;
    let (head, body) = request.into_parts();
    let Some(ask) = route(&head.method, head.uri.path()) else {
        return Refused::not_found().json();
    };
    let call = ask.call;
    let failed = move |refused: Refused| {
        if matches!(call, Call::Media | Call::MessageFile) {
            refused.xml()
        } else {
            refused.json()
        }
    };
    count(world, &ask);
    let caller = account::caller(world, &head.headers);
    let account = match owner(world, &ask, caller.as_ref()) {
        Ok(account) => account,
        Err(refused) => return failed(refused),
    };
    if let Err(refused) = limit(world) {
        return failed(refused);
    }
    let wrong = world.wrongs().next(call);
    let form = match axum::body::to_bytes(body, MAX_FORM).await {
        Ok(form) => FormPairs::parse(&form),
        Err(_) => return failed(Refused::new(413, 20413, "The body is too large")),
    };
    let query = FormPairs::parse(head.uri.query().unwrap_or_default().as_bytes());
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let asked = AuthenticatedRequest {
        ask,
        account,
        path: head.uri.path().to_owned(),
        query,
        form,
        origin: format!("http://{host}"),
    };
    match wrong {
        None => perform(world, &asked, twilio.stop).unwrap_or_else(failed),
        Some(RequestFault::Silence) => silence(&twilio.stop).await,
        Some(RequestFault::DoneThenSilence) => {
            drop(perform(world, &asked, twilio.stop.clone()));
            silence(&twilio.stop).await
        }
        Some(wrong) => {
            if wrong == RequestFault::DoneThenServerError {
                drop(perform(world, &asked, twilio.stop.clone()));
            }
            answer::wrong(&wrong, &world.storage.nowhere(), &twilio.stop).unwrap_or_else(failed)
        }
    }
}

fn count(world: &World, ask: &Ask) {
    world.wrongs().count(ask.call);
    if ask.call == Call::Media {
        world.media_requests.fetch_add(1, Ordering::SeqCst);
    }
}

/// Returns the account of the requested resource, if the caller has access to it.
fn owner(
    world: &World,
    ask: &Ask,
    caller: Option<&account::Caller>,
) -> Result<AccountSid, Refused> {
    let refuse = || {
        world.unauthorised.fetch_add(1, Ordering::SeqCst);
        Refused::unauthorised()
    };
    let (media_is_open, key_opens_accounts) = {
        let behaviour = &world.state().behaviour;
        (behaviour.media_is_open, behaviour.key_opens_accounts)
    };
    if ask.call == Call::Media && media_is_open && caller.is_none() {
        let known = ask
            .account
            .as_deref()
            .and_then(|account| world.account(account));
        return known
            .map(|account| account.sid)
            .ok_or_else(Refused::not_found);
    }
    let caller = caller.ok_or_else(refuse)?;
    if caller.by_key && !key_opens_accounts && matches!(ask.call, Call::Account | Call::AccountList)
    {
        return Err(refuse());
    }
    let account = match &ask.account {
        None => caller.account.as_str(),
        Some(account) if account::may_open(world, caller, account) => account,
        Some(_) => return Err(refuse()),
    };
    let account = world.account(account).ok_or_else(Refused::not_found)?;
    // The Accounts resource of an account that is not active stays readable, so that its status can
    // be seen.
    if account.status == "active" || ask.call == Call::Account {
        Ok(account.sid)
    } else {
        Err(Refused::not_active())
    }
}

/// Applies the rate limit, in a window that begins with its first request.
fn limit(world: &World) -> Result<(), Refused> {
    let now = world.hours.now();
    let mut state = world.state();
    let Some(limit) = state.behaviour.rate_limit.clone() else {
        return Ok(());
    };
    let (since, asked) = state
        .window
        .filter(|(since, _)| now.since(*since) < limit.per)
        .unwrap_or((now, 0));
    if asked >= limit.requests {
        return Err(Refused::too_many(limit.retry_after));
    }
    state.window = Some((since, asked + 1));
    Ok(())
}

async fn silence(stop: &CancellationToken) -> Response {
    stop.cancelled().await;
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

fn perform(
    world: &World,
    asked: &AuthenticatedRequest,
    stop: CancellationToken,
) -> Result<Response, Refused> {
    let answer = match asked.ask.call {
        Call::Media => return media::answer(world, asked, stop),
        Call::MessageFile => return message_media::answer(world, asked),
        Call::TrackMedia => return video_rest::track_media(world, asked),
        Call::CompositionMedia => return video_rest::composition_media(world, asked),
        Call::Account => account::one(world, &asked.account),
        Call::AccountList => account::list(world, &asked.account, &asked.path, &asked.query),
        Call::RecordingList => recordings::list(world, asked),
        Call::RecordingFetch => recordings::fetch(world, asked),
        Call::RecordingDelete => recordings::delete(world, asked),
        Call::RecordingUpdate => recording_update::update(world, asked),
        Call::RecordingStart => recording_update::start(world, asked),
        Call::TranscriptionList => transcriptions::list(world, asked),
        Call::TranscriptionFetch => transcriptions::fetch(world, asked),
        Call::TranscriptionDelete => transcriptions::delete(world, asked),
        Call::AddOnList => add_ons::list(world, asked),
        Call::AddOnFetch => add_ons::fetch(world, asked),
        Call::AddOnDelete => add_ons::delete(world, asked),
        Call::CallFetch => calls::fetch(world, asked),
        Call::CallList => calls::list(world, asked),
        Call::ConferenceFetch => conferences::fetch(world, asked),
        Call::ParticipantList => conferences::participants(world, asked),
        Call::NumberList => numbers::list(world, asked),
        Call::TranscriptList => transcripts::list(world, asked),
        Call::TranscriptFetch => transcripts::fetch(world, asked),
        Call::TranscriptSentences => sentences::list(world, asked),
        Call::TranscriptDelete => transcripts::delete(world, asked),
        Call::MessageList => messages::list(world, asked),
        Call::MessageFetch => messages::fetch(world, asked),
        Call::MessageCreate => messages::create(world, asked),
        Call::MessageUpdate => messages::update(world, asked),
        Call::MessageDelete => messages::delete(world, asked),
        Call::MessageMediaList => message_media::list(world, asked),
        Call::MessageMediaFetch => message_media::fetch(world, asked),
        Call::MessageMediaDelete => message_media::delete(world, asked),
        Call::ChatList => chats::list(world, asked),
        Call::ChatFetch => chats::fetch(world, asked),
        Call::ChatDelete => chats::delete(world, asked),
        Call::ChatMessageList => chats::messages(world, asked),
        Call::ChatMessageFetch => chats::fetch_message(world, asked),
        Call::ChatMessageDelete => chats::delete_message(world, asked),
        Call::ChatReceiptList => chats::receipts(world, asked),
        Call::ChatParticipantList => chats::participants(world, asked),
        Call::ChatParticipantDelete => chats::delete_participant(world, asked),
        Call::ChatParticipantFetch => chats::fetch_participant(world, asked),
        Call::ParticipantConversationList => chats::of_person(world, asked),
        Call::ChatMedia => chats::media(world, asked),
        Call::ProxyServiceList => proxy::services(world, asked),
        Call::ProxySessionList => proxy::list(world, asked),
        Call::ProxySessionFetch => proxy::fetch(world, asked),
        Call::ProxySessionDelete => proxy::delete(world, asked),
        Call::ProxyParticipantList => proxy::participants(world, asked),
        Call::ProxyParticipantDelete => proxy::delete_participant(world, asked),
        Call::InteractionList => proxy::interactions(world, asked),
        Call::InteractionFetch => proxy::fetch_interaction(world, asked),
        Call::InteractionDelete => proxy::delete_interaction(world, asked),
        Call::TrackList => video_rest::tracks(world, asked),
        Call::TrackFetch => video_rest::fetch_track(world, asked),
        Call::TrackDelete => video_rest::delete_track(world, asked),
        Call::CompositionList => video_rest::compositions(world, asked),
        Call::CompositionFetch => video_rest::fetch_composition(world, asked),
        Call::CompositionDelete => video_rest::delete_composition(world, asked),
        Call::RoomParticipantList => video_rest::participants(world, asked),
        Call::RoomParticipantAnonymize => video_rest::anonymize(world, asked),
    }?;
    let mut response = StandInAnswer::into_response(spoil::spoilt(world, asked, answer));
    if matches!(
        asked.ask.call,
        Call::TranscriptList
            | Call::TranscriptFetch
            | Call::TranscriptSentences
            | Call::TranscriptDelete
    ) {
        tell_limits(&mut response);
    }
    Ok(response)
}

/// Adds the rate limit headers of the newer interfaces.
fn tell_limits(response: &mut Response<Body>) {
    for (name, value) in [
        ("x-rate-limit-limit", "100"),
        ("x-rate-limit-remaining", "99"),
        ("x-rate-limit-config", "Transcripts"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}
