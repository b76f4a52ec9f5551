//! The resources of messages, chats, sessions and video, as the others.
//!
//! The fields are those of `spec/json/twilio_api_v2010.json`, `twilio_conversations_v1.json`,
//! `twilio_proxy_v1.json` and `twilio_video_v1.json`.

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    kind::{Kind, Schema},
    lists::{ListSchema, Unreadable, check_lists, fixed},
};
use crate::{
    model::time::Timestamp,
    twilio::{
        rest::{
            ChatPlace, MessageListing, Pages, ProxyPlace, RestError,
            tests::{Other, sid},
        },
        vectors::arbitrary_json,
    },
};

pub(super) const MESSAGE: Schema = &[
    ("body", Kind::Text),
    ("num_segments", Kind::Digits),
    (
        "direction",
        Kind::Word(&["inbound", "outbound-api", "outbound-call", "outbound-reply"]),
    ),
    ("from", Kind::Text),
    ("to", Kind::Text),
    ("date_created", Kind::Rfc2822),
    ("date_updated", Kind::Rfc2822),
    ("date_sent", Kind::Rfc2822),
    ("error_code", Kind::Number),
    ("account_sid", Kind::Sid("AC")),
    ("num_media", Kind::Digits),
    (
        "status",
        Kind::Word(&[
            "queued",
            "sending",
            "sent",
            "failed",
            "delivered",
            "received",
            "read",
        ]),
    ),
    ("messaging_service_sid", Kind::Sid("MG")),
    ("sid", Kind::Sid("SM")),
];
const FILE: Schema = &[
    ("sid", Kind::Sid("ME")),
    ("account_sid", Kind::Sid("AC")),
    ("parent_sid", Kind::Sid("MM")),
    ("content_type", Kind::Text),
    ("date_created", Kind::Rfc2822),
];
pub(super) const CHAT: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    ("chat_service_sid", Kind::Sid("IS")),
    ("messaging_service_sid", Kind::Sid("MG")),
    ("sid", Kind::Sid("CH")),
    ("friendly_name", Kind::Text),
    ("unique_name", Kind::Text),
    ("attributes", Kind::Text),
    (
        "state",
        Kind::Word(&["inactive", "active", "closed", "initializing"]),
    ),
    ("date_created", Kind::Iso),
    ("date_updated", Kind::Iso),
    ("timers", Kind::Anything),
    ("bindings", Kind::Anything),
];
pub(super) const CHAT_MESSAGE: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    ("conversation_sid", Kind::Fixed("CH")),
    ("sid", Kind::Sid("IM")),
    ("index", Kind::Whole),
    ("author", Kind::Text),
    ("body", Kind::Text),
    ("media", Kind::Anything),
    ("attributes", Kind::Text),
    ("participant_sid", Kind::Sid("MB")),
    ("date_created", Kind::Iso),
    ("date_updated", Kind::Iso),
    ("delivery", Kind::Anything),
];
pub(super) const CHAT_PARTICIPANT: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    ("conversation_sid", Kind::Fixed("CH")),
    ("sid", Kind::Sid("MB")),
    ("identity", Kind::Text),
    ("attributes", Kind::Text),
    ("messaging_binding", Kind::Anything),
    ("role_sid", Kind::Sid("RL")),
    ("date_created", Kind::Iso),
    ("date_updated", Kind::Iso),
];
const RECEIPT: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    ("conversation_sid", Kind::Fixed("CH")),
    ("sid", Kind::Sid("DY")),
    ("message_sid", Kind::Fixed("IM")),
    ("channel_message_sid", Kind::Sid("SM")),
    ("participant_sid", Kind::Sid("MB")),
    (
        "status",
        Kind::Word(&["read", "failed", "delivered", "undelivered", "sent"]),
    ),
    ("error_code", Kind::Number),
    ("date_created", Kind::Iso),
    ("date_updated", Kind::Iso),
];
const SERVICE: Schema = &[("sid", Kind::Sid("KS")), ("unique_name", Kind::Text)];
pub(super) const SESSION: Schema = &[
    ("sid", Kind::Sid("KC")),
    ("service_sid", Kind::Fixed("KS")),
    ("account_sid", Kind::Sid("AC")),
    ("date_started", Kind::Iso),
    ("date_ended", Kind::Iso),
    ("date_created", Kind::Iso),
    ("closed_reason", Kind::Text),
    ("ttl", Kind::Number),
    (
        "status",
        Kind::Word(&["open", "in-progress", "closed", "failed", "unknown"]),
    ),
    (
        "mode",
        Kind::Word(&["message-only", "voice-only", "voice-and-message"]),
    ),
    ("unique_name", Kind::Text),
];
const SESSION_PARTICIPANT: Schema = &[
    ("sid", Kind::Sid("KP")),
    ("session_sid", Kind::Fixed("KC")),
    ("service_sid", Kind::Fixed("KS")),
    ("friendly_name", Kind::Text),
    ("identifier", Kind::Text),
    ("proxy_identifier", Kind::Text),
    ("date_deleted", Kind::Iso),
];
pub(super) const INTERACTION: Schema = &[
    ("sid", Kind::Sid("KI")),
    ("session_sid", Kind::Fixed("KC")),
    ("service_sid", Kind::Fixed("KS")),
    ("account_sid", Kind::Sid("AC")),
    ("data", Kind::Text),
    ("type", Kind::Word(&["message", "voice", "unknown"])),
    ("inbound_participant_sid", Kind::Sid("KP")),
    ("inbound_resource_sid", Kind::Sid("SM")),
    (
        "inbound_resource_status",
        Kind::Word(&["received", "accepted", "unknown"]),
    ),
    ("inbound_resource_type", Kind::Text),
    ("outbound_participant_sid", Kind::Sid("KP")),
    ("outbound_resource_sid", Kind::Sid("CA")),
    (
        "outbound_resource_status",
        Kind::Word(&["sent", "initiated", "deleted"]),
    ),
    ("outbound_resource_type", Kind::Text),
    ("date_created", Kind::Iso),
    ("date_updated", Kind::Iso),
];
pub(super) const TRACK: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    (
        "status",
        Kind::Word(&["processing", "completed", "deleted", "failed"]),
    ),
    ("date_created", Kind::Iso),
    ("sid", Kind::Sid("RT")),
    ("source_sid", Kind::Sid("MT")),
    ("size", Kind::Number),
    ("type", Kind::Word(&["audio", "video", "data"])),
    ("duration", Kind::Number),
    ("container_format", Kind::Word(&["mka", "mkv"])),
    ("codec", Kind::Word(&["VP8", "H264", "OPUS", "PCMU"])),
    ("room_sid", Kind::Fixed("RM")),
    ("track_name", Kind::Text),
    ("offset", Kind::Number),
    ("media_external_location", Kind::Text),
];
pub(super) const COMPOSITION: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    (
        "status",
        Kind::Word(&["enqueued", "processing", "completed", "deleted", "failed"]),
    ),
    ("date_created", Kind::Iso),
    ("date_completed", Kind::Iso),
    ("date_deleted", Kind::Iso),
    ("sid", Kind::Sid("CJ")),
    ("room_sid", Kind::Fixed("RM")),
    ("audio_sources", Kind::Anything),
    ("video_layout", Kind::Anything),
    ("format", Kind::Word(&["mp4", "webm"])),
    ("size", Kind::Number),
    ("duration", Kind::Number),
    ("media_external_location", Kind::Text),
];
const ROOM_PARTICIPANT: Schema = &[
    ("sid", Kind::Sid("PA")),
    ("room_sid", Kind::Fixed("RM")),
    ("account_sid", Kind::Sid("AC")),
    ("status", Kind::Word(&["connected", "disconnected"])),
    ("identity", Kind::Text),
    ("start_time", Kind::Iso),
    ("end_time", Kind::Iso),
    ("duration", Kind::Number),
];

const fn list(
    name: &'static str,
    items: &'static str,
    schema: Schema,
    needs: &'static [&'static str],
) -> ListSchema {
    ListSchema {
        name,
        items,
        schema,
        by: "sid",
        needs,
        unreadable: Unreadable::Counted,
    }
}

/// A list whose reader wants all or nothing: what cannot be read must not look like nobody, and no file
/// may be of another message.
const fn whole(
    name: &'static str,
    items: &'static str,
    schema: Schema,
    needs: &'static [&'static str],
) -> ListSchema {
    ListSchema {
        unreadable: Unreadable::Refuses,
        ..list(name, items, schema, needs)
    }
}

const LISTS: [ListSchema; 13] = [
    list("messages", "messages", MESSAGE, &[]),
    whole("files", "media_list", FILE, &[]),
    list("chats", "conversations", CHAT, &[]),
    list(
        "chat messages",
        "messages",
        CHAT_MESSAGE,
        &["conversation_sid"],
    ),
    list(
        "chat participants",
        "participants",
        CHAT_PARTICIPANT,
        &["conversation_sid"],
    ),
    list(
        "receipts",
        "delivery_receipts",
        RECEIPT,
        &["conversation_sid", "message_sid"],
    ),
    whole("services", "services", SERVICE, &[]),
    list("sessions", "sessions", SESSION, &[]),
    whole(
        "session participants",
        "participants",
        SESSION_PARTICIPANT,
        &["session_sid"],
    ),
    list(
        "interactions",
        "interactions",
        INTERACTION,
        &["session_sid"],
    ),
    list("tracks", "recordings", TRACK, &["room_sid"]),
    list("compositions", "compositions", COMPOSITION, &["room_sid"]),
    list(
        "room participants",
        "participants",
        ROOM_PARTICIPANT,
        &["room_sid"],
    ),
];

/// Reads a whole list. Returns the ids of its items, and the number of unreadable ones.
async fn all<T: DeserializeOwned>(
    other: &Other,
    mut pages: Pages<T>,
    id: impl Fn(&T) -> String,
) -> Result<(Vec<String>, usize), RestError> {
    let mut found = Vec::new();
    let mut unreadable = 0;
    while let Some(page) = pages.next(&other.client, other.account()).await? {
        found.extend(page.items.iter().map(&id));
        unreadable += page.unreadable;
    }
    Ok((found, unreadable))
}

async fn listed(other: &Other, list: &str) -> Result<(Vec<String>, usize), RestError> {
    let (client, account) = (&other.client, other.account());
    let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let chat = fixed("CH").parse().unwrap();
    let chat = ChatPlace {
        service: None,
        sid: &chat,
    };
    let service = fixed("KS").parse().unwrap();
    let session = fixed("KC").parse().unwrap();
    let place = ProxyPlace {
        service: &service,
        session: &session,
    };
    let room = fixed("RM").parse().unwrap();
    match list {
        "messages" => {
            let listing = MessageListing {
                since,
                until: None,
                page_size: 1,
            };
            let pages = client.messages(account, &listing);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "files" => {
            let message = fixed("MM").parse().unwrap();
            let list = client.message_media_list(account, &message).await?;
            let ids = list.items.iter().map(|item| item.sid.to_string());
            Ok((ids.collect(), list.unreadable))
        }
        "chats" => {
            let pages = client.chats(account, None, since, None);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "chat messages" => {
            let pages = client.chat_messages(account, chat);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "chat participants" => {
            let pages = client.chat_participants(account, chat);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "receipts" => {
            let sid = fixed("IM").parse().unwrap();
            let list = client.chat_receipts(account, chat, &sid).await?;
            let ids = list.items.iter().map(|item| item.receipt.to_string());
            Ok((ids.collect(), list.unreadable))
        }
        "services" => {
            let services = client.proxy_services(account).await?;
            Ok((services.iter().map(ToString::to_string).collect(), 0))
        }
        "sessions" => {
            let pages = client.proxy_sessions(account, &service);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "session participants" => {
            let found = client.proxy_participants(account, place).await?;
            Ok((found.iter().map(|item| item.sid.to_string()).collect(), 0))
        }
        "interactions" => {
            let pages = client.interactions(account, place);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "tracks" => {
            let pages = client.track_recordings_of(account, &room);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "compositions" => {
            let pages = client.compositions_of(account, &room);
            all(other, pages, |item| item.sid.to_string()).await
        }
        "room participants" => {
            let pages = client.room_participants(account, &room, "disconnected");
            all(other, pages, |item| item.sid.to_string()).await
        }
        other => panic!("{other}"),
    }
}

/// The list's own path, on which its next page is.
fn path_of(list: &str) -> String {
    let account = format!("/2010-04-01/Accounts/{}", sid());
    let chat = format!("/v1/Conversations/{}", fixed("CH"));
    let service = format!("/v1/Services/{}/Sessions", fixed("KS"));
    let session = format!("{service}/{}", fixed("KC"));
    match list {
        "messages" => format!("{account}/Messages.json"),
        "files" => format!("{account}/Messages/{}/Media.json", fixed("MM")),
        "chats" => "/v1/Conversations".to_owned(),
        "chat messages" => format!("{chat}/Messages"),
        "chat participants" => format!("{chat}/Participants"),
        "receipts" => format!("{chat}/Messages/{}/Receipts", fixed("IM")),
        "services" => "/v1/Services".to_owned(),
        "sessions" => service,
        "session participants" => format!("{session}/Participants"),
        "interactions" => format!("{session}/Interactions"),
        "tracks" => format!("/v1/Rooms/{}/Recordings", fixed("RM")),
        "compositions" => "/v1/Compositions".to_owned(),
        _ => format!("/v1/Rooms/{}/Participants", fixed("RM")),
    }
}

#[tokio::test]
async fn an_item_of_any_product_that_tells_nothing_costs_no_other_of_its_list() {
    check_lists(&LISTS, path_of, listed).await;
}

#[test]
fn any_list_of_any_product_is_read_or_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let other = runtime.block_on(Other::start());
    proptest!(|(
        envelope in arbitrary_json(), items in arbitrary_json(), next in arbitrary_json(), which in 0..LISTS.len(),
    )| {
        let ListSchema { name: list, items: member, .. } = LISTS[which];
        let mut told = json!({ member: items, "next_page_uri": next, "meta": { "next_page_url": next } });
        if !envelope.is_object() {
            told = envelope;
        }
        other.tells(200, told.to_string());
        if let Ok((found, unreadable)) = runtime.block_on(listed(&other, list)) {
            let items = told[member].as_array().unwrap();
            prop_assert_eq!(found.len() + unreadable, items.len());
        }
        other.forgets();
    });
}
