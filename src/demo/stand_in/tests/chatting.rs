//! Chats and sessions: from the webhook to the proof that nothing is left.

use futures_util::TryStreamExt as _;

use super::{super::*, Story};
use crate::{
    model::sid::{ChatServiceSid, ProxyServiceSid},
    twilio::{
        ChatEvent, ConversationCallback, Deletion, InteractionCallback, RestError,
        account::Account,
        rest::{ChatPerson, ChatPlace, ProxyPlace},
        signature::{self, Delivery, SignedRequest, Verified},
    },
};

const URL: &str = "https://vault.example/c";

fn service() -> ChatServiceSid {
    format!("IS{}", "9".repeat(32)).parse().unwrap()
}

impl Story {
    fn own(&self) -> &Account {
        self.accounts.get(&self.account).unwrap()
    }

    pub(super) fn signed(&self, callback: &SignedCallback) -> Verified {
        let request = SignedRequest {
            path_and_query: "/c",
            signature: Some(&callback.signature),
            settings: None,
            delivery: Delivery::Body {
                content_type: Some("application/x-www-form-urlencoded"),
                bytes: callback.body.as_bytes(),
            },
        };
        let public = "https://vault.example".parse().unwrap();
        signature::verify(&self.accounts, &public, &request).unwrap()
    }
}

#[tokio::test]
async fn a_chat_is_told_listed_and_deleted() {
    let story = Story::begin().await;
    let (twilio, client, account) = (&story.twilio, &story.client, story.own());
    let chat_sid = twilio.add_chat(&story.account, &service());
    let anna = ChatParticipantFacts::sms("+493023125001", "+493023125009");
    let anna = twilio.add_chat_participant(&chat_sid, anna);
    twilio.add_chat_participant(&chat_sid, ChatParticipantFacts::identity("dave"));
    let copy = MessageFacts::outbound("+493023125009", "+493023125001", "one");
    let copy = twilio.add_message(&story.account, copy);
    let first = ChatMessageFacts {
        deliveries: vec![ChatDeliveryFacts::new(copy.clone())],
        ..ChatMessageFacts::new("dave", "one")
    };
    let first = twilio.add_chat_message(&chat_sid, first);
    let second = twilio.add_chat_message(&chat_sid, ChatMessageFacts::new("dave", "two"));
    let told = twilio.chat_message_callback(&chat_sid, &second, "onMessageAdded", URL);
    let told = ConversationCallback::parse(&story.signed(&told)).unwrap();
    let ChatEvent::MessageAdded(message) = told.event else {
        panic!("{told:?}")
    };
    assert_eq!(
        (message.sid.clone(), message.index),
        (second.clone(), Some(1))
    );

    let known = service();
    for place in [None, Some(&known)] {
        let chat = ChatPlace {
            service: place,
            sid: &chat_sid,
        };
        let mut pages = client.chat_messages(account, chat);
        let page = pages.next(client, account).await.unwrap().unwrap();
        let read: Vec<_> = page
            .items
            .iter()
            .map(|message| message.sid.clone())
            .collect();
        assert_eq!(
            (read, page.unreadable),
            (vec![first.clone(), second.clone()], 0)
        );
        assert_eq!(page.items[1].body, message.body);
        assert!(pages.next(client, account).await.unwrap().is_none());
    }
    let chat = ChatPlace {
        service: Some(&known),
        sid: &chat_sid,
    };
    assert_eq!(
        client.chat(account, chat).await.unwrap().service,
        Some(service())
    );
    let read = client.chat_message(account, chat, &second).await.unwrap();
    assert_eq!(read.body, Some("two".into()));
    let receipts = client.chat_receipts(account, chat, &first).await.unwrap();
    assert_eq!(receipts.items[0].channel_message, Some(copy.clone()));
    let delivered = &twilio.chat_delivery_callbacks(&chat_sid, &first, URL)[0];
    let delivered = ConversationCallback::parse(&story.signed(delivered)).unwrap();
    let ChatEvent::DeliveryUpdated(delivered) = delivered.event else {
        panic!()
    };
    let receipt = &receipts.items[0];
    assert_eq!(
        (
            &delivered.receipt,
            &delivered.channel_message,
            &delivered.status
        ),
        (&receipt.receipt, &receipt.channel_message, &receipt.status)
    );

    for person in [
        ChatPerson::Identity("dave"),
        ChatPerson::Address("+493023125001"),
    ] {
        let mut chats = client.participant_conversations(account, None, person);
        let page = chats.next(client, account).await.unwrap().unwrap();
        assert_eq!(page.items[0].chat, chat_sid);
    }
    let mut people = client.chat_participants(account, chat);
    let people = people.next(client, account).await.unwrap().unwrap().items;
    assert_eq!(people.len(), 2);
    let joined = twilio.chat_participant_callback(&chat_sid, &anna, "onParticipantAdded", URL);
    let joined = ConversationCallback::parse(&story.signed(&joined)).unwrap();
    assert!(matches!(joined.event, ChatEvent::ParticipantAdded(told) if told.binding.is_some()));

    let deleted = Ok(Deletion::Deleted);
    assert_eq!(
        client.delete_chat_message(account, chat, &first).await,
        deleted
    );
    assert_eq!(
        client.delete_chat_message(account, chat, &first).await,
        Ok(Deletion::Gone)
    );
    assert!(
        twilio.remaining_message(&copy).entry,
        "the copy is deleted by itself"
    );
    assert_eq!(
        client.delete_chat_participant(account, chat, &anna).await,
        deleted
    );
    assert_eq!(twilio.remaining_chat(&chat_sid), Some(vec![second]));
    assert_eq!(client.delete_chat(account, chat).await, deleted);
    assert_eq!(client.chat(account, chat).await, Err(RestError::NotFound));
    assert_eq!(twilio.remaining_chat(&chat_sid), None);
    assert_eq!(client.opens_conversations(account).await, Ok(()));
}

#[tokio::test]
async fn a_file_of_a_chat_comes_without_any_credential() {
    let story =
        Story::with(|settings| settings.media_redirect_hosts = vec!["127.0.0.1".into()]).await;
    let chat_sid = story.twilio.add_chat(&story.account, &service());
    let file = ChatFile::new("x.png", "image/png", b"picture".as_slice());
    let facts = ChatMessageFacts {
        media: vec![file.clone()],
        ..ChatMessageFacts::new("dave", "")
    };
    let sid = story.twilio.add_chat_message(&chat_sid, facts);
    let told = story
        .twilio
        .chat_message_callback(&chat_sid, &sid, "onMessageAdded", URL);
    let told = ConversationCallback::parse(&story.signed(&told)).unwrap();
    assert!(matches!(told.event, ChatEvent::MessageAdded(told) if told.media[0].sid == file.sid));
    let fetched = story
        .client
        .chat_media_file(story.own(), &service(), &file.sid)
        .await
        .unwrap();
    let chunks: Vec<_> = fetched.body.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"picture");
    assert!(!story.twilio.saw_authorization_elsewhere());
    let described = story
        .client
        .chat_media(story.own(), &service(), &file.sid)
        .await
        .unwrap();
    assert_eq!((described.message, described.size), (Some(sid), Some(7)));
    // Storage that is not listed is not asked.
    let strict = Story::begin().await;
    let chat_sid = strict.twilio.add_chat(&strict.account, &service());
    let facts = ChatMessageFacts {
        media: vec![file.clone()],
        ..ChatMessageFacts::default()
    };
    strict.twilio.add_chat_message(&chat_sid, facts);
    let refused = strict
        .client
        .chat_media_file(strict.own(), &service(), &file.sid)
        .await;
    assert!(refused.is_err());
    assert_eq!(strict.twilio.requests_elsewhere(), 0);
}

#[tokio::test]
async fn a_session_is_told_read_and_deleted() {
    let story = Story::begin().await;
    let (twilio, client, account) = (&story.twilio, &story.client, story.own());
    let service: ProxyServiceSid = format!("KS{}", "1".repeat(32)).parse().unwrap();
    let session = twilio.add_proxy_session(&story.account, &service);
    let anna = twilio.add_proxy_participant(&session, "+493023125001", "+493023125009");
    let ben = twilio.add_proxy_participant(&session, "+493023125002", "+493023125008");
    let facts = InteractionFacts {
        kind: "Message".to_owned(),
        data: serde_json::json!({ "body": "hi" }),
        inbound: (anna.clone(), format!("SM{}", "1".repeat(32))),
        outbound: (ben.clone(), format!("SM{}", "2".repeat(32))),
    };
    let sid = twilio.add_interaction(&session, facts);
    let told = twilio.interaction_callback(&session, &sid, URL);
    let told = InteractionCallback::parse(&story.signed(&told)).unwrap();
    assert_eq!(told.account, story.account);
    let place = ProxyPlace {
        service: &service,
        session: &session,
    };
    let read = client.interaction(account, place, &sid).await.unwrap();
    assert_eq!(
        (&read.body, &read.inbound.resource),
        (&told.interaction.body, &told.interaction.inbound.resource)
    );
    let mut pages = client.interactions(account, place);
    assert_eq!(
        pages.next(client, account).await.unwrap().unwrap().items,
        [read]
    );
    let people = client.proxy_participants(account, place).await.unwrap();
    let own = people.iter().find(|one| one.sid == anna).unwrap();
    assert_eq!(own.identifier.as_ref().unwrap().expose(), "+493023125001");
    assert_eq!(
        client
            .proxy_session(account, place)
            .await
            .unwrap()
            .status
            .as_deref(),
        Some("in-progress")
    );

    let deleted = Ok(Deletion::Deleted);
    assert_eq!(
        client.delete_interaction(account, place, &sid).await,
        deleted
    );
    assert_eq!(
        client.delete_interaction(account, place, &sid).await,
        Ok(Deletion::Gone)
    );
    assert_eq!(
        client.delete_proxy_participant(account, place, &ben).await,
        deleted
    );
    assert_eq!(twilio.remaining_session(&session), Some(vec![]));
    assert_eq!(client.opens_proxy(account).await, Ok(()));
    assert_eq!(client.delete_proxy_session(account, place).await, deleted);
    assert_eq!(
        client.proxy_session(account, place).await,
        Err(RestError::NotFound)
    );
}
