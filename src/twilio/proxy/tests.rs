//! The callbacks and resources of Proxy.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    secret::SecretText,
    twilio::{
        signature::{self, Delivery},
        signed::post_form,
        vectors::{FormVector, arbitrary_json, changed, expanded, id, verified},
    },
};

fn callback(name: &str) -> Interaction {
    let verified = FormVector::named(name).verified();
    let told = InteractionCallback::parse(&verified).unwrap();
    assert_eq!(told.account.as_str(), id("AC"));
    told.interaction
}

#[test]
fn a_text_goes_through_a_session() {
    let text = callback("P1");
    assert_eq!(text.kind, InteractionKind::Message);
    assert_eq!(
        (text.body.clone(), text.duration_s),
        (Some("hi".into()), None)
    );
    assert_eq!(text.source_ref(&id("AC").parse().unwrap()).sid(), id("KI"));
    assert_eq!(
        (text.session.as_str(), text.num_media),
        (id("KC").as_str(), 0)
    );
    assert_eq!(
        text.inbound.participant.clone().unwrap().as_str(),
        id("KPa")
    );
    assert_eq!(text.inbound.resource, Some(id("SM")));
    assert_eq!(text.inbound.resource_kind.as_deref(), Some("message"));
    assert_eq!(text.outbound.resource, Some(id("SMf")));
    assert_eq!(text.outbound.status.as_deref(), Some("sent"));
    assert!(!format!("{text:?}").contains("hi"));
}

#[test]
fn a_call_goes_through_a_session() {
    let call = callback("P2");
    assert_eq!(
        (call.kind, call.duration_s),
        (InteractionKind::Voice, Some(5))
    );
    assert_eq!(call.inbound.resource, Some(id("CA1")));
    let verified = changed(
        "P2",
        &[
            ("interactionType", "VOICE"),
            ("interactionData", ""),
            ("inboundResourceType", "Call"),
        ],
    );
    let begun = InteractionCallback::parse(&verified).unwrap().interaction;
    assert_eq!(
        (begun.kind, begun.duration_s),
        (InteractionKind::Voice, None)
    );
    assert_eq!(begun.inbound.resource_kind.as_deref(), Some("call"));
    for strange in ["RE11111111111111111111111111111111", "SM1", "../x"] {
        let verified = changed("P2", &[("inboundResourceSid", strange)]);
        let told = InteractionCallback::parse(&verified).unwrap().interaction;
        assert_eq!(told.inbound.resource, None, "{strange}");
    }
}

#[test]
fn what_says_which_interaction_it_is_is_right_or_refused() {
    for field in ["interactionSid", "interactionSessionSid"] {
        for value in ["", "KI1", "KS11111111111111111111111111111111"] {
            let told = InteractionCallback::parse(&changed("P1", &[(field, value)]));
            let text = told.unwrap_err().to_string();
            assert!(text.contains(&format!("`{field}`")), "{text}");
        }
    }
}

#[test]
fn the_resource_is_read_by_the_same_names() {
    let object = expanded(
        r#"{"sid":"KI","session_sid":"KC","service_sid":"KS","account_sid":"AC","data":"{\"body\":\"hi\"}","type":"message","inbound_participant_sid":"KPa","inbound_resource_sid":"SM","inbound_resource_status":"received","inbound_resource_type":"message","outbound_participant_sid":"KPb","outbound_resource_sid":"SMf","outbound_resource_status":"sent","outbound_resource_type":null,"date_created":"D1"}"#,
    );
    let read: Interaction = serde_json::from_str(&object).unwrap();
    let told = callback("P1");
    assert_eq!(
        (&read.sid, &read.body, &read.inbound, &read.outbound),
        (&told.sid, &told.body, &told.inbound, &told.outbound)
    );
    assert!(read.created_at.is_some());
    let participant = json!({ "sid": id("KPa"), "session_sid": id("KC"), "identifier": "+15005550001", "proxy_identifier": "+15005550006" });
    let read: ProxyParticipant = serde_json::from_value(participant).unwrap();
    assert_eq!(read.identifier.unwrap().expose(), "+15005550001");
    let session = json!({ "sid": id("KC"), "status": "closed", "mode": "voice-and-message", "date_ended": "2026-11-29T18:05:00Z" });
    let read: ProxySession = serde_json::from_value(session).unwrap();
    assert!(read.ended_at.is_some());
}

#[test]
fn only_proxys_own_parameters_may_come_before_its_account() {
    let sent = |path: &str, params: &[(String, String)], signature: &str| {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(params)
            .finish();
        let delivery = Delivery::Body {
            content_type: Some("application/x-www-form-urlencoded"),
            bytes: body.as_bytes(),
        };
        verified(path, signature, delivery)
    };
    // Twilio signed `/p?inbound=1`; the end of that URL is moved into the form.
    let params = FormVector::named("P1").params();
    let token = SecretText::new("12345".into());
    let signature = signature::sign(&token, "https://vault.example/p?inbound=1", &params);
    assert!(sent("/p?inbound=1", &params, &signature).is_ok());
    let mut moved = vec![("inbound=".to_owned(), "1".to_owned())];
    moved.extend(params.clone());
    let refused = sent("/p?", &moved, &signature).unwrap_err();
    assert!(
        refused.to_string().contains("precedes the account's"),
        "{refused}"
    );
    // With an account of the older name, the rule is the older one.
    let mut both = params;
    both.push(("AccountSid".to_owned(), id("AC")));
    let signature = signature::sign(&token, "https://vault.example/p", &both);
    assert!(sent("/p", &both, &signature).is_ok());
    both.push(("AAA".to_owned(), "1".to_owned()));
    let signature = signature::sign(&token, "https://vault.example/p", &both);
    assert!(sent("/p", &both, &signature).is_err());
}

proptest! {
    #[test]
    fn any_interaction_is_read_or_refused(
        fields in prop::collection::vec(("interaction(Sid|Type|Data|NumMedia|DateCreated)|(in|out)boundResource(Sid|Type)", "\\PC{0,30}|[{}\":a-z0-9]{0,30}"), 0..8),
    ) {
        let mut params = vec![("AccountSid".to_owned(), id("AC"))];
        params.extend(FormVector::named("P1").params());
        params.extend(fields);
        let _ = InteractionCallback::parse(&post_form("/p", &params));
    }

    #[test]
    fn any_resource_is_read_or_refused(data in arbitrary_json()) {
        let object = json!({ "sid": id("KI"), "session_sid": id("KC"), "data": data, "type": data });
        prop_assert!(serde_json::from_value::<Interaction>(object).is_ok());
        let _ = serde_json::from_value::<ProxySession>(data.clone());
        let _: Result<ProxyParticipant, _> = serde_json::from_value::<Value>(data).and_then(serde_json::from_value);
    }
}
