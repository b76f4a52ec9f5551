//! Batches of events, whole and faulty.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    secret::SecretText,
    twilio::{
        account::{AccountSettings, TwilioSettings},
        signature::{self, Delivery},
        vectors::{expanded, id, verify},
    },
};

const TYPE: &str = "application/json";

fn accounts() -> Accounts {
    let token = |text: &str| vec![SecretText::new(text.into())];
    let main = AccountSettings::new(id("AC").parse().unwrap(), token("12345"));
    let sub = AccountSettings {
        parent: Some(id("AC").parse().unwrap()),
        ..AccountSettings::new(subaccount(), token("other"))
    };
    TwilioSettings {
        accounts: vec![main, sub],
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap()
}

fn subaccount() -> AccountSid {
    format!("AC{}", "7".repeat(32)).parse().unwrap()
}

fn verified(path: &str, body: &[u8], content_type: &str) -> Verified {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    let join = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{join}bodySHA256={}", hex::encode(digest));
    let url = format!("https://vault.example{path}");
    let signature = signature::sign(&SecretText::new("12345".into()), &url, &[]);
    let delivery = Delivery::Body {
        content_type: Some(content_type),
        bytes: body,
    };
    verify(&path, &signature, delivery)
}

fn batch(events: Value) -> EventBatch {
    let path = format!("/twilio/events?AccountSid={}", id("AC"));
    let body = events.to_string();
    EventBatch::parse(&verified(&path, body.as_bytes(), TYPE), &accounts()).unwrap()
}

fn event(kind: &str, data: Value) -> Value {
    let data: Value = serde_json::from_str(&expanded(&data.to_string())).unwrap();
    json!({ "specversion": "1.0", "type": format!("com.twilio.{kind}"), "id": id("EZ"), "time": "2026-11-29T18:00:58.111Z", "data": data })
}

#[test]
fn vector_e1_a_batch_is_signed_by_its_digest() {
    let body = expanded(
        r#"[{"specversion":"1.0","type":"com.twilio.messaging.inbound-message.received","id":"EZ","data":{"messageSid":"SM","accountSid":"AC","from":"N1","to":"N6","numMedia":0,"numSegments":1,"body":"hi","recipients":[]}}]"#,
    );
    assert_eq!(body.len(), 328);
    let path = "/twilio/events?bodySHA256=33747dd88c325e1248604f30a511132dfcd5f6c55c774dfc500f9ac0321cbb3a";
    let delivery = Delivery::Body {
        content_type: Some(TYPE),
        bytes: body.as_bytes(),
    };
    let signed = verify(path, "VXdnNN4ZH9MHTvSowIvQCzBfBo8=", delivery);
    let batch = EventBatch::parse(&signed, &accounts()).unwrap();
    let [event] = batch.events.as_slice() else {
        panic!("{batch:?}")
    };
    assert_eq!(
        (event.id.clone(), event.account.as_str()),
        (id("EZ"), id("AC").as_str())
    );
    let StreamEventKind::IncomingMessage(message) = &event.kind else {
        panic!("{event:?}")
    };
    assert_eq!(message.source_ref(&event.account).sid(), id("SM"));
    assert_eq!(
        (message.from.expose(), message.body.clone()),
        ("+15005550001", Some("hi".into()))
    );
    assert_eq!((message.num_media, message.recipients.len()), (Some(0), 0));
    let printed = format!("{batch:?}");
    assert!(
        !printed.contains("hi\"") && !printed.contains("1500"),
        "{printed}"
    );
}

#[test]
fn an_outgoing_message_brings_its_text_and_a_status_in_capitals() {
    let data = json!({ "messageSid": "SM", "from": "N6", "to": "N1", "messageStatus": "DELIVERED", "body": "two", "errorCode": 0 });
    let told = batch(json!([event("messaging.message.delivered", data)]));
    let StreamEventKind::OutgoingMessage(message) = &told.events[0].kind else {
        panic!("{told:?}")
    };
    assert_eq!(message.status.as_deref(), Some("delivered"));
    assert_eq!(
        (message.body.clone(), message.error_code),
        (Some("two".into()), Some(0))
    );
    let silent = batch(json!([event(
        "messaging.message.read",
        json!({ "messageSid": "SM" })
    )]));
    let StreamEventKind::OutgoingMessage(message) = &silent.events[0].kind else {
        panic!("{silent:?}")
    };
    assert_eq!(
        (message.status.as_deref(), &message.body),
        (Some("read"), &None)
    );
    assert_eq!(silent.events[0].account.as_str(), id("AC"));
}

#[test]
fn a_group_message_names_all_receivers() {
    let data = json!({ "messageSid": "MM", "from": "N1", "to": "N6", "recipients": ["N6", "+15005550007"], "numMedia": 1 });
    let told = batch(json!([event("messaging.inbound-message.received", data)]));
    let StreamEventKind::IncomingMessage(message) = &told.events[0].kind else {
        panic!("{told:?}")
    };
    let all: Vec<&str> = message
        .recipients
        .iter()
        .map(MessageAddress::expose)
        .collect();
    assert_eq!(all, ["+15005550006", "+15005550007"]);
    assert_eq!((message.num_media, message.is_whole()), (Some(1), false));
}

#[test]
fn a_chat_message_comes_as_in_its_webhook() {
    let data = json!({
        "ConversationSid": "CH", "MessageSid": "IM", "MessageBody": "two", "Author": "dave", "Index": 35,
        "Media": [{ "MediaSid": "MEb", "Filename": "x.jpg", "ContentType": "image/jpeg", "Size": 5 }],
    });
    let told = batch(json!([event("conversations.message.added", data)]));
    let StreamEventKind::Chat(ChatEvent::MessageAdded(message)) = &told.events[0].kind else {
        panic!("{told:?}")
    };
    assert_eq!(message.body, Some("two".into()));
    assert_eq!((message.index, message.media[0].size), (Some(35), Some(5)));
    assert_eq!(message.media[0].sid.as_str(), id("MEb"));
}

#[test]
fn a_faulty_event_costs_only_itself() {
    let good = || {
        event(
            "messaging.inbound-message.received",
            json!({ "messageSid": "SM" }),
        )
    };
    let with = |name: &str, value: Value| {
        let mut event = good();
        event[name] = value;
        event
    };
    let told = batch(json!([
        good(),
        json!(1),
        json!({}),
        with("id", json!("a b")),
        with("id", Value::Null),
        with("data", Value::Null),
        with("data", json!({ "messageSid": "SM1" })),
        with(
            "data",
            json!({ "messageSid": id("SM"), "accountSid": "AC1" })
        ),
        event("conversations.message.added", json!({ "MessageSid": "IM" })),
        event("conversations.user.updated", json!({})),
        event("voice.insights.call-summary.complete", json!({})),
        with(
            "data",
            json!({ "messageSid": id("SM"), "accountSid": format!("AC{}", "9".repeat(32)) })
        ),
        good(),
    ]));
    let counts = (told.events.len(), told.unknown, told.foreign);
    assert_eq!(counts, (2, 2, 1));
    let faults: Vec<String> = told
        .faults
        .iter()
        .map(|fault| {
            let text = fault.to_string();
            text.split(';').next().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!(
        faults,
        [
            "event 2 of the batch: `type` is missing",
            "event 3 of the batch: `type` is missing",
            "event 4 of the batch: `id` is malformed: expected 1 to 64 letters, digits, `-` and `_`",
            "event 5 of the batch: `id` is missing",
            "event 6 of the batch: `data` is missing",
            "event 7 of the batch: `messageSid` is malformed: expected `SM` or `MM` and 32 hex digits",
            "event 8 of the batch: `accountSid` is malformed: expected `AC` and 32 hex digits",
            "event 9 of the batch: `ConversationSid` is missing",
        ]
    );
}

#[test]
fn a_parent_speaks_for_its_subaccount() {
    let data = json!({ "messageSid": "SM", "accountSid": subaccount() });
    let told = batch(json!([event("messaging.inbound-message.received", data)]));
    assert_eq!(told.events[0].account, subaccount());
}

#[test]
fn a_batch_without_an_account_is_nobodys() {
    let refused = |events: &Value| {
        let named = signature::named_in_events(events);
        assert_eq!(named, None, "{events}");
    };
    refused(&json!([event(
        "messaging.message.sent",
        json!({ "messageSid": "SM" })
    )]));
    let two = ["1", "2"]
        .map(|digit| json!({ "data": { "accountSid": format!("AC{}", digit.repeat(32)) } }));
    refused(&json!(two));
}

#[test]
fn an_array_is_read_as_strictly_as_an_object() {
    let path = format!("/twilio/events?AccountSid={}", id("AC"));
    for body in [r#"[{"a":1,"a":2}]"#, r#"[],"x":[]"#, "[1", "[]]", "[] []"] {
        let request = signature::SignedRequest {
            path_and_query: &path,
            signature: Some("x"),
            settings: None,
            delivery: Delivery::Body {
                content_type: Some(TYPE),
                bytes: body.as_bytes(),
            },
        };
        let public = "https://vault.example".parse().unwrap();
        let refused = signature::verify(&accounts(), &public, &request);
        assert!(
            matches!(refused, Err(signature::Rejection::Malformed(_))),
            "{body}"
        );
    }
    let cloud = verified(
        &path,
        b"[]",
        "application/cloudevents-batch+json; charset=utf-8",
    );
    assert!(
        EventBatch::parse(&cloud, &accounts())
            .unwrap()
            .events
            .is_empty()
    );
    let object = format!(r#"{{"account_sid":"{}"}}"#, id("AC"));
    assert!(EventBatch::parse(&verified("/e", object.as_bytes(), TYPE), &accounts()).is_err());
}

proptest! {
    #[test]
    fn any_batch_is_read_or_counted(
        kinds in prop::collection::vec("messaging.inbound-message.received|messaging.message.[a-z]{1,6}|conversations.(message|participant|conversation).(added|removed)|[a-z.]{0,12}", 0..6),
        name in "messageSid|MessageSid|ConversationSid|Media|MessagingBinding|from|recipients|Index",
        value in crate::twilio::vectors::arbitrary_json(),
    ) {
        let events: Vec<Value> = kinds.iter().map(|kind| {
            event(kind, json!({ "messageSid": "SM", name.as_str(): value }))
        }).collect();
        let count = events.len();
        let told = batch(json!(events));
        prop_assert_eq!(told.events.len() + told.faults.len() + told.unknown + told.foreign, count);
    }
}
