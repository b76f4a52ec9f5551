//! Single resources of messages, chats, sessions and video, as their lists.

use super::{
    lists::{check_resources, fixed},
    products::{
        CHAT, CHAT_MESSAGE, CHAT_PARTICIPANT, COMPOSITION, INTERACTION, MESSAGE, SESSION, TRACK,
    },
};
use crate::twilio::rest::{ChatPlace, ProxyPlace, RestError, tests::Other};

async fn read(other: &Other, what: &str) -> Result<(), RestError> {
    let (client, account) = (&other.client, other.account());
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
    match what {
        "message" => {
            let sid = fixed("SM").parse().unwrap();
            client.message(account, &sid).await.map(drop)
        }
        "chat" => client.chat(account, chat).await.map(drop),
        "chat message" => {
            let sid = fixed("IM").parse().unwrap();
            client.chat_message(account, chat, &sid).await.map(drop)
        }
        "chat participant" => {
            let sid = fixed("MB").parse().unwrap();
            client.chat_participant(account, chat, &sid).await.map(drop)
        }
        "session" => client.proxy_session(account, place).await.map(drop),
        "interaction" => {
            let sid = fixed("KI").parse().unwrap();
            client.interaction(account, place, &sid).await.map(drop)
        }
        "track" => {
            let sid = fixed("RT").parse().unwrap();
            client.track_recording(account, &sid).await.map(drop)
        }
        "composition" => {
            let sid = fixed("CJ").parse().unwrap();
            client.composition(account, &sid).await.map(drop)
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_resource_of_any_product_is_read_whatever_else_is_told_of_it() {
    let all = [
        ("message", MESSAGE, fixed("SM"), &[][..]),
        ("chat", CHAT, fixed("CH"), &[]),
        (
            "chat message",
            CHAT_MESSAGE,
            fixed("IM"),
            &["conversation_sid"],
        ),
        (
            "chat participant",
            CHAT_PARTICIPANT,
            fixed("MB"),
            &["conversation_sid"],
        ),
        ("session", SESSION, fixed("KC"), &[]),
        ("interaction", INTERACTION, fixed("KI"), &["session_sid"]),
        ("track", TRACK, fixed("RT"), &["room_sid"]),
        ("composition", COMPOSITION, fixed("CJ"), &["room_sid"]),
    ];
    check_resources(&all, read).await;
}
