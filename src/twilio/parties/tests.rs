//! Calls as Twilio reports them, and the participants of each.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    secret::SecretText,
    twilio::{
        account::{AccountSettings, TwilioSettings},
        signature::{self, Delivery, SignedRequest},
    },
};

fn sid(prefix: &str, digit: u32) -> String {
    format!("{prefix}{digit:032}")
}

fn call(number: u32, direction: &str, from: &str, to: &str) -> CallResource {
    let call = json!({
        "sid": sid("CA", number), "account_sid": sid("AC", 0), "direction": direction, "from": from, "to": to, "status": "completed",
        "start_time": format!("Tue, 28 May 2019 02:18:{:02} +0000", number % 60), "duration": "9",
    });
    serde_json::from_value(call).unwrap()
}

fn participant(call: u32, label: Option<&str>, second: u32) -> ParticipantResource {
    let created = format!("Tue, 28 May 2019 03:00:{second:02} +0000");
    serde_json::from_value(
        json!({ "call_sid": sid("CA", call), "label": label, "date_created": created }),
    )
    .unwrap()
}

/// Formats legs, channels, addresses and names as text.
fn told(found: &[Participant]) -> Vec<String> {
    let text = |found: &Participant| {
        let channel = found
            .channel
            .map_or("-".into(), |channel| channel.to_string());
        let address = found.address.as_ref().map_or("?", Address::expose);
        format!(
            "{} {channel} {address} {}",
            found.leg,
            found.name.as_deref().unwrap_or("-")
        )
    };
    found.iter().map(text).collect()
}

const ANNA: &str = "+49 30 12345678";
const LINE: &str = "+14155550142";

#[test]
fn of_two_channels_the_first_is_the_call_and_the_second_what_it_dialled() {
    let parent = CallResource {
        caller_name: Some(" Anna A. ".into()),
        ..call(1, "inbound", ANNA, LINE)
    };
    let child = call(2, "outbound-dial", ANNA, "client:Agent_7");
    let both = [
        "caller 1 +493012345678 Anna A.",
        "callee 2 client:agent_7 -",
    ];
    assert_eq!(
        told(&of_call(
            &parent,
            std::slice::from_ref(&child),
            Some("DialVerb")
        )),
        both
    );
    // Of the parties that were rung, only the one that answered.
    let rang = CallResource {
        status: Some("no-answer".into()),
        ..call(3, "outbound-dial", ANNA, "sip:late@example.com")
    };
    assert_eq!(
        told(&of_call(
            &parent,
            &[rang.clone(), child.clone()],
            Some("DialVerb")
        )),
        both
    );
    assert_eq!(
        told(&of_call(&parent, &[rang], Some("DialVerb"))),
        both[..1]
    );
    // The party that was called first, and then was connected.
    let agent = call(1, "outbound-api", LINE, "client:agent");
    let customer = call(2, "outbound-dial", LINE, ANNA);
    assert_eq!(
        told(&of_call(&agent, &[customer], Some("OutboundAPI"))),
        ["caller 1 client:agent -", "callee 2 +493012345678 -"]
    );
}

#[test]
fn of_several_who_were_dialled_nobody_knows_the_channel() {
    let parent = call(1, "inbound", ANNA, LINE);
    let later = call(9, "outbound-dial", ANNA, "client:b");
    let children = [later, call(2, "outbound-dial", ANNA, "client:a")];
    let expected = [
        "caller 1 +493012345678 -",
        "callee - client:a -",
        "callee-2 - client:b -",
    ];
    assert_eq!(
        told(&of_call(&parent, &children, Some("DialVerb"))),
        expected
    );
}

#[test]
fn a_call_that_dialled_nobody_has_another_side_unless_it_is_a_voicemail() {
    let inbound = call(1, "inbound", ANNA, LINE);
    let outbound = call(1, "outbound-api", LINE, ANNA);
    assert_eq!(
        told(&of_call(&inbound, &[], Some("RecordVerb"))),
        ["caller 1 +493012345678 -"]
    );
    assert_eq!(
        told(&of_call(&inbound, &[], Some("DialVerb"))),
        ["caller 1 +493012345678 -", "callee 2 ? -"]
    );
    assert_eq!(
        told(&of_call(&outbound, &[], None)),
        ["callee 1 +493012345678 -", "caller 2 ? -"]
    );
}

#[test]
fn a_trunk_says_who_both_are_in_one_call() {
    for (direction, source) in [
        ("trunking-originating", None),
        ("trunking-terminating", None),
        ("inbound", Some("Trunking")),
        ("", None),
    ] {
        let call = call(1, direction, "sip:+4930123@pbx.example.com", ANNA);
        let expected = [
            "caller - sip:+4930123@pbx.example.com -",
            "callee - +493012345678 -",
        ];
        assert_eq!(told(&of_call(&call, &[], source)), expected, "{direction}");
    }
}

#[test]
fn who_withholds_their_number_is_somebody_whom_nobody_knows() {
    for from in [
        "anonymous",
        "+266696687",
        "Restricted",
        "",
        "whatsapp:73277",
        "73277",
    ] {
        let found = of_call(
            &call(1, "inbound", from, LINE),
            &[call(
                2,
                "outbound-dial",
                from,
                "sip:Desk@Example.com;transport=tls",
            )],
            None,
        );
        assert_eq!(
            told(&found),
            ["caller 1 ? -", "callee 2 sip:desk@example.com -"],
            "{from}"
        );
    }
}

#[test]
fn who_comes_first_into_a_conference_is_on_the_first_channel() {
    let [anna, agent, boss] = [
        call(1, "inbound", ANNA, LINE),
        call(2, "outbound-api", LINE, "client:agent"),
        call(3, "inbound", "client:boss", LINE),
    ];
    let two = [
        (participant(2, Some("Agent-2"), 9), Some(agent.clone())),
        (participant(1, Some("Anna A."), 1), Some(anna.clone())),
    ];
    let expected = [
        "participant-1 1 +493012345678 Anna A.",
        "agent-2 2 client:agent -",
    ];
    assert_eq!(told(&of_conference(&two)), expected);
    let three = [
        two[0].clone(),
        (participant(3, Some("agent-2"), 5), Some(boss)),
        two[1].clone(),
        (participant(4, None, 30), None),
    ];
    let expected = [
        "participant-1 1 +493012345678 Anna A.",
        "agent-2 - client:boss -",
        "participant-3 - client:agent Agent-2",
        "participant-4 - ? -",
    ];
    assert_eq!(told(&of_conference(&three)), expected);
    // Two that joined at the same time, and whose calls began at the same time.
    let at_once = |number, of: &CallResource| {
        (
            participant(number, None, 1),
            Some(CallResource {
                start_time: None,
                ..of.clone()
            }),
        )
    };
    let expected = [
        "participant-1 - +493012345678 -",
        "participant-2 - client:agent -",
    ];
    assert_eq!(
        told(&of_conference(&[at_once(2, &agent), at_once(1, &anna)])),
        expected
    );
    assert!(of_conference(&[]).is_empty());
}

#[test]
fn of_a_conference_that_has_ended_one_is_known_and_others_were_there() {
    assert_eq!(
        told(&of_ended_conference(&call(1, "inbound", ANNA, LINE))),
        ["participant-1 - +493012345678 -", "participant-2 - ? -"]
    );
}

#[test]
fn a_label_that_may_be_a_name_is_no_place() {
    for (label, place) in [
        ("Customer", Some("customer")),
        ("agent-12", Some("agent-12")),
        ("agent_3", Some("agent_3")),
        ("agent-anna", None),
        ("agent-123", None),
        ("agent-", None),
        ("anna", None),
        ("customer+493012345678", None),
        ("", None),
    ] {
        assert_eq!(part(label).as_ref().map(LegName::as_str), place, "{label}");
    }
}

fn callback(query: &str, params: &[(&str, &str)]) -> Option<CallbackParties> {
    let token = SecretText::new("12345".into());
    let account = AccountSettings::new(
        sid("AC", 0).parse().unwrap(),
        vec![SecretText::new("12345".into())],
    );
    let accounts = TwilioSettings {
        accounts: vec![account],
        ..TwilioSettings::default()
    }
    .resolve(Path::new("/"))
    .unwrap();
    let ours = [("AccountSid".to_owned(), sid("AC", 0))];
    let params: Vec<(String, String)> = ours
        .into_iter()
        .chain(
            params
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
        .collect();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&params)
        .finish();
    let path = format!("/twilio/recordings{query}");
    let signature = signature::sign(&token, &format!("https://vault.example.com{path}"), &params);
    let delivery = Delivery::Body {
        content_type: Some("application/x-www-form-urlencoded"),
        bytes: body.as_bytes(),
    };
    let request = SignedRequest {
        path_and_query: &path,
        signature: Some(&signature),
        settings: None,
        delivery,
    };
    CallbackParties::parse(
        &signature::verify(
            &accounts,
            &"https://vault.example.com".parse().unwrap(),
            &request,
        )
        .ok()?,
    )
}

#[test]
fn a_callback_with_the_parameters_of_a_call_tells_whose_leg_it_is() {
    let call = sid("CA", 1);
    let of = |direction, more: &[(&str, &str)]| {
        let params = [
            ("CallSid", call.as_str()),
            ("From", ANNA),
            ("To", LINE),
            ("CallerName", "Anna"),
            ("Direction", direction),
        ];
        let parties = callback("", &[&params, more].concat());
        parties
            .map(|parties| told(&parties.parties))
            .unwrap_or_default()
    };
    assert_eq!(
        of("inbound", &[]),
        ["caller 1 +493012345678 Anna", "callee 2 ? -"]
    );
    assert_eq!(
        of("inbound", &[("RecordingSource", "RecordVerb")]),
        ["caller 1 +493012345678 Anna"]
    );
    assert_eq!(
        of("outbound-api", &[]),
        ["callee 1 +14155550142 -", "caller 2 ? -"]
    );
    // Without a direction the person's end is not known, and a conference's callback describes one
    // leg of many.
    assert!(of("", &[]).is_empty() && of("sideways", &[]).is_empty());
    assert!(of("inbound", &[("ConferenceSid", &sid("CF", 1))]).is_empty());
    assert!(
        of("inbound", &[("From", "anonymous")]).is_empty(),
        "two values are none"
    );
    assert!(
        callback(
            "",
            &[
                ("CallSid", &call),
                ("From", "anonymous"),
                ("Direction", "inbound")
            ]
        )
        .is_none()
    );
    assert!(
        callback(
            "",
            &[("CallSid", "CA1"), ("From", ANNA), ("Direction", "inbound")]
        )
        .is_none()
    );
}

#[test]
fn our_own_url_may_name_identities_and_no_numbers() {
    let call = sid("CA", 1);
    let of = |query| {
        callback(query, &[("CallSid", &call)])
            .map(|parties| told(&parties.parties))
            .unwrap_or_default()
    };
    assert_eq!(
        of("?callee=client%3AAgent_7&caller=sip:desk@example.com"),
        [
            "caller - sip:desk@example.com -",
            "callee - client:agent_7 -"
        ]
    );
    assert!(of("?callee=%2B493012345678&caller=anna").is_empty());
    assert!(of("?callee=client:a&callee=client:b").is_empty());
    let both = callback(
        "?callee=client:agent",
        &[("CallSid", &call), ("From", ANNA), ("Direction", "inbound")],
    )
    .unwrap();
    assert_eq!(
        told(&both.parties),
        ["callee - client:agent -", "caller 1 +493012345678 -"]
    );
    let printed = format!("{both:?}");
    assert!(
        !printed.contains("agent") && !printed.contains("4930"),
        "{printed}"
    );
}

#[test]
fn a_participant_of_whom_nothing_is_told_is_somebody_all_the_same() {
    let known = (
        participant(1, Some("agent"), 1),
        Some(call(1, "outbound-api", LINE, ANNA)),
    );
    let found = of_conference(&[known, (ParticipantResource::default(), None)]);
    assert_eq!(
        told(&found),
        ["participant-1 - ? -", "agent - +493012345678 -"],
        "and on which channel anybody is, is not known"
    );
}

fn any_call() -> impl Strategy<Value = CallResource> {
    let word = prop_oneof![
        Just("inbound".to_owned()),
        Just("outbound-dial".to_owned()),
        Just(String::new()),
        ".{0,12}"
    ];
    let status = prop_oneof![
        Just("completed".to_owned()),
        Just("busy".to_owned()),
        ".{0,8}"
    ];
    let text = prop_oneof![
        Just("+493012345678".to_owned()),
        "\\PC{0,20}",
        "client:[a-z]{0,4}"
    ];
    (
        0..99u32,
        word,
        status,
        text.clone(),
        text,
        proptest::option::of(0i64..9),
    )
        .prop_map(
            |(number, direction, status, from, to, duration)| CallResource {
                status: Some(status),
                duration,
                ..call(number, &direction, &from, &to)
            },
        )
}

proptest! {
    #[test]
    fn any_call_has_parties_at_places_of_their_own(
        parent in any_call(), children in proptest::collection::vec(any_call(), 0..6), source in proptest::option::of("[A-Za-z]{0,12}"),
    ) {
        let found = of_call(&parent, &children, source.as_deref());
        let places: std::collections::BTreeSet<_> = found.iter().map(|found| found.leg.as_str()).collect();
        prop_assert!(!found.is_empty() && places.len() == found.len());
        for channel in [1, 2] {
            prop_assert!(found.iter().filter(|found| found.channel == Some(channel)).count() <= 1);
        }
    }

    #[test]
    fn any_conference_has_parties_at_places_of_their_own(
        all in proptest::collection::vec((0..9u32, proptest::option::of(".{0,12}"), 0..4u32, proptest::option::of(any_call())), 0..8),
    ) {
        let all: Vec<_> = all.into_iter().map(|(number, label, second, call)| (participant(number, label.as_deref(), second), call)).collect();
        let found = of_conference(&all);
        let places: std::collections::BTreeSet<_> = found.iter().map(|found| found.leg.as_str()).collect();
        prop_assert_eq!((places.len(), found.len()), (all.len(), all.len()));
    }

    #[test]
    fn any_parameters_are_parties_or_none(query in "[a-z=&%0-9:@.+]{0,40}", from in ".{0,30}", direction in "inbound|outbound-api|.{0,9}") {
        if let Some(parties) = callback(&format!("?caller={query}"), &[("CallSid", &sid("CA", 1)), ("From", &from), ("Direction", &direction)]) {
            prop_assert!(parties.parties.len() == 2 && parties.parties.iter().any(|found| found.address.is_some()));
        }
    }
}
