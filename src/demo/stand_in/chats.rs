//! Conversations (classic) over REST, and its media service.

use serde_json::{Value, json};

use super::{
    Owned, State, World,
    answer::{Refused, StandInAnswer},
    chat::{ChatFacts, ChatFile, ChatMessageFacts, ChatParticipantFacts},
    hours::{filter_time, iso8601},
    page,
    recordings::newest_first,
    request::AuthenticatedRequest,
};
use crate::model::sid::{ChatMessageSid, ChatParticipantSid, ChatSid};

type Answer = Result<StandInAnswer, Refused>;

/// The most items of a page.
const MOST: usize = 100;

/// Returns the chat of the path, below the service of the path, if it names one.
fn find<'a>(
    state: &'a mut State,
    asked: &AuthenticatedRequest,
) -> Result<(ChatSid, &'a mut Owned<ChatFacts>), Refused> {
    let sid: ChatSid = asked.ask.id(1).parse().map_err(|_| Refused::not_found())?;
    let owned = state.chats.get_mut(&sid).ok_or_else(Refused::not_found)?;
    let service = asked.ask.id(0);
    let is_here = service.is_empty() || owned.facts.service.as_str() == service;
    if owned.account != asked.account || !is_here {
        return Err(Refused::not_found());
    }
    Ok((sid, owned))
}

fn url(asked: &AuthenticatedRequest) -> String {
    format!("{}{}", asked.origin, asked.path)
}

pub(super) fn list(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let time = |name: &'static str| {
        let text = asked.query.get(name);
        text.map(|text| filter_time(text).ok_or_else(|| Refused::invalid(name)))
            .transpose()
    };
    let (start, end) = (time("StartDate")?, time("EndDate")?);
    let state = world.state();
    let service = asked.ask.id(0);
    let items = state
        .chats
        .iter()
        .filter(|(_, owned)| owned.account == asked.account)
        .filter(|(_, owned)| service.is_empty() || owned.facts.service.as_str() == service)
        .filter(|(_, owned)| start.is_none_or(|(at, _)| owned.created >= at))
        .filter(|(_, owned)| end.is_none_or(|(at, _)| owned.created <= at))
        .map(|(sid, owned)| (newest_first(owned.created, sid.as_str()), (sid, owned)))
        .collect();
    page::of_v2(
        items,
        "conversations",
        &url(asked),
        &asked.query,
        MOST,
        |(sid, owned)| chat(sid, owned),
    )
}

pub(super) fn fetch(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (sid, owned) = find(&mut state, asked)?;
    Ok(StandInAnswer::ok(chat(&sid, owned)))
}

pub(super) fn delete(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (sid, _) = find(&mut state, asked)?;
    state.chats.remove(&sid);
    Ok(StandInAnswer::Empty)
}

pub(super) fn messages(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (thread, owned) = find(&mut state, asked)?;
    let is_newest_first = asked.query.get("Order") == Some("desc");
    let place = |index: u64| {
        if is_newest_first {
            u64::MAX - index
        } else {
            index
        }
    };
    let messages = owned.facts.messages.iter();
    let items = messages
        .map(|(sid, facts)| (format!("{:020}", place(facts.index)), (sid, facts)))
        .collect();
    page::of_v2(
        items,
        "messages",
        &url(asked),
        &asked.query,
        MOST,
        |(sid, facts)| message(&thread, owned, sid, facts),
    )
}

pub(super) fn fetch_message(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (thread, owned) = find(&mut state, asked)?;
    let sid: ChatMessageSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let facts = owned
        .facts
        .messages
        .get(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(message(&thread, owned, &sid, facts)))
}

pub(super) fn delete_message(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (_, owned) = find(&mut state, asked)?;
    let sid: ChatMessageSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    owned
        .facts
        .messages
        .remove(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::Empty)
}

pub(super) fn receipts(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (thread, owned) = find(&mut state, asked)?;
    let sid: ChatMessageSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let facts = owned
        .facts
        .messages
        .get(&sid)
        .ok_or_else(Refused::not_found)?;
    let deliveries = facts.deliveries.iter();
    let items = deliveries
        .map(|one| (one.receipt.to_string(), one))
        .collect();
    page::of_v2(
        items,
        "delivery_receipts",
        &url(asked),
        &asked.query,
        50,
        |one| {
            json!({
                "account_sid": owned.account,
                "conversation_sid": thread,
                "message_sid": sid,
                "sid": one.receipt,
                "channel_message_sid": one.channel_message,
                "participant_sid": one.participant,
                "status": one.status,
                "error_code": 0,
            })
        },
    )
}

pub(super) fn participants(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (thread, owned) = find(&mut state, asked)?;
    let participants = owned.facts.participants.iter();
    let items = participants
        .map(|(sid, facts)| (sid.to_string(), (sid, facts)))
        .collect();
    page::of_v2(
        items,
        "participants",
        &url(asked),
        &asked.query,
        MOST,
        |(sid, facts)| participant(&thread, owned, sid, facts),
    )
}

/// Their messages stay.
pub(super) fn delete_participant(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (_, owned) = find(&mut state, asked)?;
    let sid: ChatParticipantSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    owned
        .facts
        .participants
        .remove(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::Empty)
}

/// `GET /v1/ParticipantConversations`: every chat of one person.
pub(super) fn of_person(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let (identity, address) = (asked.query.get("Identity"), asked.query.get("Address"));
    if identity.is_some() == address.is_some() {
        return Err(Refused::new(
            400,
            50438,
            "One of Identity and Address is required",
        ));
    }
    let state = world.state();
    let service = asked.ask.id(0);
    let own = state.chats.iter().filter(|(_, owned)| {
        owned.account == asked.account
            && (service.is_empty() || owned.facts.service.as_str() == service)
    });
    let mut items = Vec::new();
    for (thread, owned) in own {
        for (sid, facts) in &owned.facts.participants {
            let is_it = identity.map_or(facts.address.as_deref() == address, |identity| {
                facts.identity.as_deref() == Some(identity)
            });
            if is_it {
                items.push((format!("{thread}{sid}"), (thread, owned, sid)));
            }
        }
    }
    page::of_v2(
        items,
        "conversations",
        &url(asked),
        &asked.query,
        50,
        |(thread, owned, sid)| {
            json!({
                "account_sid": owned.account,
                "chat_service_sid": owned.facts.service,
                "conversation_sid": thread,
                "conversation_state": owned.facts.state,
                "participant_sid": sid,
            })
        },
    )
}

/// `GET …/Conversations/{CH}/Participants/{MB}`.
pub(super) fn fetch_participant(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let mut state = world.state();
    let (thread, owned) = find(&mut state, asked)?;
    let sid: ChatParticipantSid = asked.ask.sid.parse().map_err(|_| Refused::not_found())?;
    let facts = owned
        .facts
        .participants
        .get(&sid)
        .ok_or_else(Refused::not_found)?;
    Ok(StandInAnswer::ok(participant(&thread, owned, &sid, facts)))
}

/// `GET /v1/Services/{IS}/Media/{ME}` of the media service.
pub(super) fn media(world: &World, asked: &AuthenticatedRequest) -> Answer {
    let state = world.state();
    let service = asked.ask.id(0);
    let found = state
        .chats
        .iter()
        .filter(|(_, owned)| {
            owned.account == asked.account && owned.facts.service.as_str() == service
        })
        .flat_map(|(thread, owned)| {
            let messages = owned.facts.messages.iter();
            messages.map(move |(sid, facts)| (thread, sid, facts))
        })
        .find_map(|(thread, sid, facts)| {
            let file = facts
                .media
                .iter()
                .find(|file| file.sid.as_str() == asked.ask.sid)?;
            Some((thread, sid, facts, file))
        });
    let (thread, message, facts, file) = found.ok_or_else(Refused::not_found)?;
    let temporary = world
        .storage
        .put(&format!("/chats/{}", file.sid), file.bytes.clone());
    Ok(StandInAnswer::ok(json!({
        "sid": file.sid,
        "service_sid": service,
        "channel_sid": thread,
        "message_sid": message,
        "author": facts.author,
        "category": "media",
        "size": file.bytes.len(),
        "content_type": file.content_type,
        "filename": file.filename,
        "links": {
            "content": format!("/v1/Services/{service}/Media/{}/Content", file.sid),
            "content_direct_temporary": temporary,
        },
    })))
}

fn chat(sid: &ChatSid, owned: &Owned<ChatFacts>) -> Value {
    json!({
        "account_sid": owned.account,
        "chat_service_sid": owned.facts.service,
        "sid": sid,
        "state": owned.facts.state,
        "unique_name": owned.facts.unique_name,
        "friendly_name": null,
        "attributes": "{}",
        "date_created": iso8601(owned.created),
        "date_updated": iso8601(owned.created),
    })
}

fn message(
    thread: &ChatSid,
    owned: &Owned<ChatFacts>,
    sid: &ChatMessageSid,
    facts: &ChatMessageFacts,
) -> Value {
    let media: Vec<Value> = facts.media.iter().map(file).collect();
    json!({
        "account_sid": owned.account,
        "conversation_sid": thread,
        "sid": sid,
        "index": facts.index,
        "author": facts.author,
        "participant_sid": facts.participant,
        "body": facts.body,
        "media": if media.is_empty() { Value::Null } else { media.into() },
        "attributes": "{}",
        "delivery": null,
        "date_created": facts.created.map(iso8601),
        "date_updated": facts.edited.or(facts.created).map(iso8601),
    })
}

fn file(file: &ChatFile) -> Value {
    json!({
        "category": "media",
        "sid": file.sid,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.bytes.len(),
    })
}

fn participant(
    thread: &ChatSid,
    owned: &Owned<ChatFacts>,
    sid: &ChatParticipantSid,
    facts: &ChatParticipantFacts,
) -> Value {
    let binding = facts.channel.as_ref().map(|channel| {
        json!({
            "type": channel,
            "address": facts.address,
            "proxy_address": facts.proxy_address,
        })
    });
    json!({
        "account_sid": owned.account,
        "conversation_sid": thread,
        "sid": sid,
        "identity": facts.identity,
        "messaging_binding": binding,
        "attributes": "{}",
        "date_created": facts.created.map(iso8601),
        "date_updated": facts.created.map(iso8601),
    })
}
