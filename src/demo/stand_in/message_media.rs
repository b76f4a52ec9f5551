//! The Media of a message: listed, fetched, deleted, and the files themselves
//! (<https://www.twilio.com/docs/messaging/api/media-resource>).

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    Owned, State, World,
    answer::{Refused, StandInAnswer},
    hours::rfc2822,
    message::{MessageFacts, MessageFile},
    page,
    request::AuthenticatedRequest,
    route::Below,
};
use crate::model::sid::MessageSid;

/// Returns the message of the path.
fn message<'a>(
    world: &World,
    state: &'a State,
    asked: &AuthenticatedRequest,
) -> Result<(MessageSid, &'a Owned<MessageFacts>), Refused> {
    let Below::Message(sid) = &asked.ask.below else {
        return Err(Refused::not_found());
    };
    state
        .message(&asked.account, sid, world.hours.now())
        .ok_or_else(Refused::not_found)
}

/// Returns the files that can be fetched already.
fn files<'a>(world: &World, state: &State, owned: &'a Owned<MessageFacts>) -> &'a [MessageFile] {
    let from = owned.created.after(state.behaviour.message_media_delay);
    if world.hours.now() < from {
        &[]
    } else {
        &owned.facts.media
    }
}

/// `GET …/Messages/{SM}/Media.json`.
pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let (sid, owned) = message(world, &state, asked)?;
    let files = files(world, &state, owned);
    let places = (0_u32..).map(|place| format!("{place:04}"));
    page::of_2010(
        places.zip(files).collect(),
        "media_list",
        &asked.path,
        &asked.query,
        |file| resource(&sid, owned, file),
    )
}

/// `GET …/Messages/{SM}/Media/{ME}.json`.
pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Result<StandInAnswer, Refused> {
    let state = world.state();
    let (sid, owned) = message(world, &state, asked)?;
    let file = find(files(world, &state, owned), asked)?;
    Ok(StandInAnswer::ok(resource(&sid, owned, file)))
}

/// `DELETE …/Messages/{SM}/Media/{ME}.json`.
pub(super) fn delete(
    world: &World,
    asked: &AuthenticatedRequest,
) -> Result<StandInAnswer, Refused> {
    let mut state = world.state();
    let (sid, owned) = message(world, &state, asked)?;
    find(&owned.facts.media, asked)?;
    if world.is_incomplete(&state, owned) {
        return Err(Refused::of(
            &state.behaviour.message_undeletable,
            "Cannot delete this resource before it is complete",
        ));
    }
    let owned = state
        .messages
        .get_mut(&sid)
        .ok_or_else(Refused::not_found)?;
    owned
        .facts
        .media
        .retain(|file| file.sid.as_str() != asked.ask.sid);
    Ok(StandInAnswer::Empty)
}

/// `GET …/Messages/{SM}/Media/{ME}`: the file, or a redirect to its storage.
pub(super) fn answer(world: &World, asked: &AuthenticatedRequest) -> Result<Response, Refused> {
    let state = world.state();
    let (_, owned) = message(world, &state, asked)?;
    let file = find(files(world, &state, owned), asked)?;
    let Some(redirect) = &state.behaviour.media_redirect else {
        let content_type = [(header::CONTENT_TYPE, file.content_type.clone())];
        return Ok((content_type, file.bytes.clone()).into_response());
    };
    let to = world
        .storage
        .put(&format!("/messages/{}", file.sid), file.bytes.clone());
    let status = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::TEMPORARY_REDIRECT);
    Ok((status, [(header::LOCATION, to)]).into_response())
}

fn find<'a>(
    files: &'a [MessageFile],
    asked: &AuthenticatedRequest,
) -> Result<&'a MessageFile, Refused> {
    files
        .iter()
        .find(|file| file.sid.as_str() == asked.ask.sid)
        .ok_or_else(Refused::not_found)
}

fn resource(message: &MessageSid, owned: &Owned<MessageFacts>, file: &MessageFile) -> Value {
    let Owned {
        account, created, ..
    } = owned;
    json!({
        "account_sid": account,
        "content_type": file.content_type,
        "date_created": rfc2822(*created),
        "date_updated": rfc2822(*created),
        "parent_sid": message,
        "sid": file.sid,
        "uri": format!("/2010-04-01/Accounts/{account}/Messages/{message}/Media/{}.json", file.sid),
    })
}
