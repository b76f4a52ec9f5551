//! The webhooks of Conversations.

use proptest::prelude::*;

use super::*;
use crate::twilio::{
    signed::post_form,
    vectors::{FormVector, arbitrary_json, changed, id},
};

fn callback(name: &str) -> ConversationCallback {
    ConversationCallback::parse(&FormVector::named(name).verified()).unwrap()
}

fn message(name: &str) -> ChatMessage {
    match callback(name).event {
        ChatEvent::MessageAdded(message)
        | ChatEvent::MessageUpdated(message)
        | ChatEvent::MessageRemoved(message) => message,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn a_message_comes_into_a_chat() {
    let told = callback("C1");
    assert!(matches!(told.event, ChatEvent::MessageAdded(_)));
    assert_eq!(told.source.as_deref(), Some("sdk"));
    assert_eq!(told.client_identity, Some("dave".into()));
    let message = message("C1");
    assert_eq!(message.source_ref(&told.account).sid(), id("IM"));
    assert_eq!(message.chat.as_str(), id("CH"));
    assert_eq!(
        (message.index, message.author),
        (Some(35), Some("dave".into()))
    );
    assert_eq!(message.body, Some("two".into()));
    assert!(message.media.is_empty() && message.media_are_whole);
    assert!(message.created_at.is_some());
}

#[test]
fn files_are_read_whatever_the_case_of_their_fields() {
    let message = message("C2");
    let [file] = message.media.as_slice() else {
        panic!("{message:?}")
    };
    assert_eq!(
        (file.sid.as_str(), file.size),
        (id("MEb").as_str(), Some(92724))
    );
    assert_eq!(file.filename, Some("a b.jpg".into()));
    assert_eq!(file.content_type, "image/jpeg");
    assert_eq!(message.body, Some("".into()));
    for (media, files, is_whole) in [
        (
            r#"[{"sid":"MEc","content_type":"text/plain","size":1}]"#,
            1,
            true,
        ),
        (r#"[{"sid":"MEc"},{"sid":"ME1"}]"#, 1, false),
        ("[]", 0, true),
        ("null", 0, true),
        ("{", 0, false),
        ("{}", 0, false),
        ("", 0, true),
    ] {
        let verified = changed("C2", &[("Media", media)]);
        let told = ConversationCallback::parse(&verified).unwrap();
        let ChatEvent::MessageAdded(message) = told.event else {
            panic!("{media}")
        };
        assert_eq!(
            (message.media.len(), message.media_are_whole),
            (files, is_whole),
            "{media}"
        );
    }
}

#[test]
fn an_edit_and_a_removal_keep_the_message() {
    assert!(matches!(callback("C3").event, ChatEvent::MessageUpdated(_)));
    assert_eq!(message("C3").body, Some("two (edited)".into()));
    assert!(message("C3").updated_at.is_some());
    assert!(matches!(callback("C4").event, ChatEvent::MessageRemoved(_)));
    assert!(message("C4").removed_at.is_some());
    // A post event of a REST message with media had no text at all.
    let verified = changed("C3", &[("Body", "")]);
    let ChatEvent::MessageUpdated(silent) = ConversationCallback::parse(&verified).unwrap().event
    else {
        panic!()
    };
    assert_eq!(silent.body, None);
}

#[test]
fn a_participant_joins_with_every_address() {
    let ChatEvent::ParticipantAdded(participant) = callback("C5").event else {
        panic!()
    };
    let binding = participant.binding.unwrap();
    assert_eq!(binding.kind.as_deref(), Some("sms"));
    assert_eq!(binding.addresses[0].expose(), "+15005550001");
    assert_eq!(binding.proxy_address.unwrap().expose(), "+15005550006");
    let mut params = FormVector::named("C5").params();
    params.push(("MessagingBinding.Address".into(), "+15005550009".into()));
    params.push(("MessagingBinding.Address".into(), "whatsapp:US.ABC".into()));
    let told = ConversationCallback::parse(&post_form("/c", &params)).unwrap();
    let ChatEvent::ParticipantAdded(group) = told.event else {
        panic!()
    };
    let addresses = group.binding.unwrap().addresses;
    assert_eq!(addresses.len(), 3);
    assert_eq!(addresses[2].external_user_id(), Some("US.ABC"));
    let gone = changed(
        "C5",
        &[("EventType", "onParticipantRemoved"), ("DateRemoved", "D3")],
    );
    let ChatEvent::ParticipantRemoved(gone) = ConversationCallback::parse(&gone).unwrap().event
    else {
        panic!()
    };
    assert!(gone.left_at > gone.joined_at);
}

#[test]
fn a_chat_begins_ends_and_delivers() {
    let ChatEvent::ChatRemoved(thread) = callback("C6").event else {
        panic!()
    };
    assert_eq!(
        (thread.sid.as_str(), thread.state.as_deref()),
        (id("CH").as_str(), Some("closed"))
    );
    assert_eq!(thread.service.unwrap().as_str(), id("IS"));
    let ChatEvent::DeliveryUpdated(delivery) = callback("C7").event else {
        panic!()
    };
    assert_eq!(delivery.channel_message.unwrap().as_str(), id("SM"));
    assert_eq!(
        (delivery.status.as_deref(), delivery.error_code),
        (Some("delivered"), Some(0))
    );
    let state = changed(
        "C6",
        &[
            ("EventType", "onConversationStateUpdated"),
            ("StateFrom", "active"),
            ("StateTo", "closed"),
            ("Reason", "TIMER"),
        ],
    );
    let ChatEvent::StateChanged(state) = ConversationCallback::parse(&state).unwrap().event else {
        panic!()
    };
    assert_eq!(
        (state.from.as_deref(), state.to.as_deref()),
        (Some("active"), Some("closed"))
    );
    assert_eq!(state.reason.as_deref(), Some("timer"));
    let other = changed("C6", &[("EventType", "onUserUpdated")]);
    assert_eq!(
        ConversationCallback::parse(&other).unwrap().event,
        ChatEvent::Other
    );
}

#[test]
fn a_pre_event_and_a_missing_id_are_refused() {
    for (name, field, value) in [
        ("C1", "EventType", "onMessageAdd"),
        ("C1", "EventType", ""),
        ("C1", "MessageSid", ""),
        ("C1", "MessageSid", "SM"),
        ("C1", "ConversationSid", "CH1"),
        ("C5", "ParticipantSid", ""),
        ("C7", "DeliveryReceiptSid", ""),
    ] {
        let refused = ConversationCallback::parse(&changed(name, &[(field, value)]));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(&format!("`{field}`")), "{text}");
    }
}

#[test]
fn nothing_about_anybody_is_printed() {
    for name in ["C1", "C2", "C5"] {
        let printed = format!("{:?}", callback(name));
        for personal in ["dave", "two", "1500", "a b"] {
            assert!(!printed.contains(personal), "{personal}: {printed}");
        }
    }
}

proptest! {
    #[test]
    fn any_webhook_is_read_or_refused(
        kind in "on(Message|Participant|Conversation|User)(Added|Updated|Removed)|onDeliveryUpdated|onConversationStateUpdated|[a-zA-Z]{0,12}",
        fields in prop::collection::vec(("ConversationSid|MessageSid|Body|Media|Index|MessagingBinding\\.(Type|Address)|Date(Created|Removed)|State", "\\PC{0,30}|[\\[\\]{}\":a-zA-Z0-9,]{0,30}"), 0..8),
    ) {
        let mut params = FormVector::named("C1").params();
        params.retain(|(name, _)| name != "EventType");
        params.push(("EventType".to_owned(), kind));
        params.extend(fields);
        let _ = ConversationCallback::parse(&post_form("/c", &params));
    }

    #[test]
    fn any_resource_is_read_or_refused(value in arbitrary_json(), media in arbitrary_json()) {
        let mut object = serde_json::json!({ "sid": id("IM"), "conversation_sid": id("CH") });
        object["media"] = media;
        object["messaging_binding"] = value.clone();
        let _ = serde_json::from_value::<ChatMessage>(object.clone());
        object["sid"] = id("MB").into();
        prop_assert!(serde_json::from_value::<ChatParticipant>(object).is_ok());
        let _ = serde_json::from_value::<Chat>(value.clone());
        let _ = serde_json::from_value::<ChatDelivery>(value.clone());
        let _ = serde_json::from_value::<ParticipantConversation>(value);
    }
}
