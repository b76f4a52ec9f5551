//! The routes of Conversations, Proxy and Video. No account is in their paths.

use super::{Ask, Below, ask};
use crate::demo::stand_in::wrong::Call;

/// Routes a request below `/v1/`.
pub(super) fn v1(method: &str, path: &[&str]) -> Option<Ask> {
    let (call, ids, sid): (Call, &[&str], &str) = match (method, path) {
        ("GET", ["Recordings"]) => (Call::TrackList, &[], ""),
        ("GET", ["Recordings", sid]) => (Call::TrackFetch, &[], sid),
        ("DELETE", ["Recordings", sid]) => (Call::TrackDelete, &[], sid),
        ("GET", ["Recordings", sid, "Media"]) => (Call::TrackMedia, &[], sid),
        ("GET", ["Compositions"]) => (Call::CompositionList, &[], ""),
        ("GET", ["Compositions", sid]) => (Call::CompositionFetch, &[], sid),
        ("DELETE", ["Compositions", sid]) => (Call::CompositionDelete, &[], sid),
        ("GET", ["Compositions", sid, "Media"]) => (Call::CompositionMedia, &[], sid),
        ("GET", ["Rooms", room, "Recordings"]) => (Call::TrackList, &[*room], ""),
        ("GET", ["Rooms", room, "Participants"]) => (Call::RoomParticipantList, &[*room], ""),
        ("POST", ["Rooms", room, "Participants", sid, "Anonymize"]) => {
            (Call::RoomParticipantAnonymize, &[*room], sid)
        }
        ("GET", ["Services"]) => (Call::ProxyServiceList, &[], ""),
        (_, ["Services", service, "Sessions", rest @ ..]) => return proxy(method, service, rest),
        ("GET", ["Services", service, "Media", sid]) => (Call::ChatMedia, &[*service], sid),
        (_, ["Services", service, rest @ ..]) => return chat(method, service, rest),
        (_, rest) => return chat(method, "", rest),
    };
    Some(made(call, ids, sid))
}

fn proxy(method: &str, service: &str, rest: &[&str]) -> Option<Ask> {
    let (call, session, sid) = match (method, rest) {
        ("GET", []) => (Call::ProxySessionList, "", ""),
        ("GET", [session]) => (Call::ProxySessionFetch, *session, ""),
        ("DELETE", [session]) => (Call::ProxySessionDelete, *session, ""),
        ("GET", [session, "Participants"]) => (Call::ProxyParticipantList, *session, ""),
        ("DELETE", [session, "Participants", sid]) => {
            (Call::ProxyParticipantDelete, *session, *sid)
        }
        ("GET", [session, "Interactions"]) => (Call::InteractionList, *session, ""),
        ("GET", [session, "Interactions", sid]) => (Call::InteractionFetch, *session, *sid),
        ("DELETE", [session, "Interactions", sid]) => (Call::InteractionDelete, *session, *sid),
        _ => return None,
    };
    Some(made(call, &[service, session], sid))
}

fn chat(method: &str, service: &str, rest: &[&str]) -> Option<Ask> {
    let (call, thread, sid) = match (method, rest) {
        ("GET", ["ParticipantConversations"]) => (Call::ParticipantConversationList, "", ""),
        ("GET", ["Conversations"]) => (Call::ChatList, "", ""),
        ("GET", ["Conversations", thread]) => (Call::ChatFetch, *thread, ""),
        ("DELETE", ["Conversations", thread]) => (Call::ChatDelete, *thread, ""),
        ("GET", ["Conversations", thread, "Messages"]) => (Call::ChatMessageList, *thread, ""),
        ("GET", ["Conversations", thread, "Messages", sid]) => {
            (Call::ChatMessageFetch, *thread, *sid)
        }
        ("DELETE", ["Conversations", thread, "Messages", sid]) => {
            (Call::ChatMessageDelete, *thread, *sid)
        }
        ("GET", ["Conversations", thread, "Messages", sid, "Receipts"]) => {
            (Call::ChatReceiptList, *thread, *sid)
        }
        ("GET", ["Conversations", thread, "Participants"]) => {
            (Call::ChatParticipantList, *thread, "")
        }
        ("GET", ["Conversations", thread, "Participants", sid]) => {
            (Call::ChatParticipantFetch, *thread, *sid)
        }
        ("DELETE", ["Conversations", thread, "Participants", sid]) => {
            (Call::ChatParticipantDelete, *thread, *sid)
        }
        _ => return None,
    };
    Some(made(call, &[service, thread], sid))
}

fn made(call: Call, ids: &[&str], sid: &str) -> Ask {
    let ids = ids.iter().map(|&id| id.to_owned()).collect();
    Ask {
        account: None,
        ..ask(call, "", Below::Ids(ids), sid)
    }
}
