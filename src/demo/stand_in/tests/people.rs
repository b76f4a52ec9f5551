//! Participants: calls and their legs, conferences and their participants, numbers.

use super::{asking::*, *};

#[tokio::test]
async fn a_call_and_the_legs_it_dialled() {
    let asking = Asking::begin().await;
    let [parent, child, other]: [CallSid; 3] =
        ['1', '2', '3'].map(|digit| sid("CA", digit).parse().unwrap());
    let facts = CallFacts {
        caller_name: Some("EXAMPLE".into()),
        ..CallFacts::new(parent.clone(), "anonymous", "+4989654321")
    };
    asking.twilio.add_call(&asking.account, facts);
    asking.twilio.add_call(
        &asking.account,
        CallFacts::dialled(
            parent.clone(),
            child.clone(),
            "+4989654321",
            "client:agent_7",
        ),
    );
    asking.twilio.add_call(
        &asking.account,
        CallFacts::new(other.clone(), "sip:a@example.com", "+4989654321"),
    );
    let call = asking.get(&format!("Calls/{parent}.json")).await;
    assert_eq!(
        (
            &call["from"],
            &call["parent_call_sid"],
            &call["caller_name"]
        ),
        (
            &"anonymous".into(),
            &serde_json::Value::Null,
            &"EXAMPLE".into()
        )
    );
    assert_eq!(
        (&call["duration"], &call["direction"], &call["status"]),
        (&"27".into(), &"inbound".into(), &"completed".into())
    );
    assert!(Timestamp::parse_rfc2822(call["start_time"].as_str().unwrap()).is_some());
    let legs = asking
        .get(&format!("Calls.json?ParentCallSid={parent}"))
        .await;
    assert_eq!(sids(&legs, "calls"), [child.as_str()]);
    assert_eq!(
        (&legs["calls"][0]["direction"], &legs["calls"][0]["to"]),
        (&"outbound-dial".into(), &"client:agent_7".into())
    );
    assert_eq!(asking.sids("Calls.json", "calls").await.len(), 3);
    assert_eq!(
        asking.sids("Calls.json?Status=busy", "calls").await.len(),
        0
    );
    assert_eq!(
        asking
            .status("GET", &format!("Calls/{}.json", sid("CA", '9')))
            .await,
        404
    );
}

#[tokio::test]
async fn a_conference_lists_its_participants_while_it_lasts() {
    let asking = Asking::begin().await;
    let conference: ConferenceSid = sid("CF", '1').parse().unwrap();
    asking.twilio.add_conference(
        &asking.account,
        ConferenceFacts::new(conference.clone(), "room"),
    );
    for (digit, label) in [('1', "caller"), ('2', "agent")] {
        let facts = ParticipantFacts {
            label: Some(label.into()),
            ..ParticipantFacts::new(sid("CA", digit).parse().unwrap())
        };
        asking.twilio.add_participant(&conference, facts);
    }
    let list = format!("Conferences/{conference}/Participants.json");
    let labels = async || {
        let participants = asking.get(&list).await["participants"].clone();
        participants
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["label"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels().await, ["caller", "agent"]);
    asking
        .twilio
        .set_conference_status(&conference, "completed");
    assert_eq!(
        asking.get(&format!("Conferences/{conference}.json")).await["status"],
        "completed"
    );
    assert!(labels().await.is_empty());
    asking
        .twilio
        .behave(|behaviour| behaviour.ended_conference_lists_participants = true);
    assert_eq!(labels().await.len(), 2);
    assert_eq!(asking.status("GET", &list.replace("CF1", "CF2")).await, 404);
}

#[tokio::test]
async fn numbers_say_what_answers_them() {
    let asking = Asking::begin().await;
    asking.twilio.add_number(
        &asking.account,
        NumberFacts::new("+4930123456", "https://vault.example/twilio/consent/voice"),
    );
    asking
        .twilio
        .add_number(&asking.account, NumberFacts::new("+4930123457", ""));
    let numbers = asking
        .get("IncomingPhoneNumbers.json?PhoneNumber=%2B4930123456")
        .await;
    let numbers = numbers["incoming_phone_numbers"].as_array().unwrap();
    assert_eq!(
        (numbers.len(), &numbers[0]["voice_url"]),
        (1, &"https://vault.example/twilio/consent/voice".into())
    );
    assert_eq!(
        asking
            .sids("IncomingPhoneNumbers.json", "incoming_phone_numbers")
            .await
            .len(),
        2
    );
}
