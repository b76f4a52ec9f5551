//! Lists of recordings: filters, pages, and page numbers without a token.

use super::{asking::*, *};

const DAY: Duration = Duration::from_hours(24);

fn day(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap().to_owned()
}

#[tokio::test]
async fn pages_are_followed_by_their_relative_links_only() {
    let asking = Asking::begin().await;
    let made: Vec<_> = ('1'..='5')
        .zip(1..)
        .map(|(digit, hours)| asking.record(digit, Duration::from_hours(hours)))
        .collect();
    let first = asking
        .get("Recordings.json?PageSize=2&IncludeSoftDeleted=false")
        .await;
    assert_eq!(
        (
            &first["page"],
            &first["page_size"],
            &first["start"],
            &first["end"]
        ),
        (&0.into(), &2.into(), &0.into(), &1.into())
    );
    assert_eq!(
        (
            &first["previous_page_uri"],
            sids(&first, "recordings").len()
        ),
        (&serde_json::Value::Null, 2)
    );
    let next = first["next_page_uri"].as_str().unwrap();
    assert!(
        next.starts_with("/2010-04-01/Accounts/AC") && next.contains("IncludeSoftDeleted=false"),
        "{next}"
    );

    // A shown item is deleted, and a newer one is added: the next page stays the same.
    assert_eq!(
        asking
            .status("DELETE", &format!("Recordings/{}.json", made[1]))
            .await,
        204
    );
    asking.record('6', Duration::ZERO);
    let second = asking.get(next).await;
    let third = asking.get(second["next_page_uri"].as_str().unwrap()).await;
    let seen = [
        sids(&first, "recordings"),
        sids(&second, "recordings"),
        sids(&third, "recordings"),
    ]
    .concat();
    assert_eq!(
        seen,
        made.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    assert_eq!(third["next_page_uri"], serde_json::Value::Null);
    let back = asking
        .get(third["previous_page_uri"].as_str().unwrap())
        .await;
    assert_eq!(sids(&back, "recordings"), sids(&second, "recordings"));

    for alone in [
        "Recordings.json?Page=1&PageSize=2",
        "Recordings.json?PageSize=0",
        "Recordings.json?PageToken=x",
        "Recordings.json?Page=-1",
    ] {
        assert_eq!(asking.status("GET", alone).await, 400, "{alone}");
    }
    assert_eq!(
        asking.get("Recordings.json?PageSize=5000").await["page_size"],
        1000
    );
    assert_eq!(asking.get("Recordings.json").await["page_size"], 50);
    assert_eq!(asking.twilio.requests(Call::RecordingList), 10);
}

#[tokio::test]
async fn a_list_is_filtered_by_when_a_recording_began() {
    let asking = Asking::begin().await;
    let now = asking.twilio.now();
    let [new, old] = [('1', 1), ('2', 3)].map(|(digit, days)| asking.record(digit, DAY * days));
    let began = |days: u32| super::super::hours::iso8601(now.before(DAY * days));
    let filters = [
        (format!("DateCreated={}", day(now.before(DAY))), vec![&new]),
        (format!("DateCreated={}", day(now)), vec![]),
        (
            format!("DateCreated%3E={}", day(now.before(DAY * 2))),
            vec![&new],
        ),
        (format!("DateCreated>={}", began(2)), vec![&new]),
        (format!("DateCreated%3C={}", began(2)), vec![&old]),
        (
            format!("DateCreated%3C={}&DateCreated%3E={}", began(0), began(4)),
            vec![&new, &old],
        ),
        (format!("CallSid=CA{}", "1".repeat(32)), vec![&new]),
        (format!("CallSid=CA{}", "f".repeat(32)), vec![]),
        (format!("ConferenceSid=CF{}", "1".repeat(32)), vec![]),
        (String::new(), vec![&new, &old]),
    ];
    for (filter, expected) in filters {
        let found = asking
            .sids(&format!("Recordings.json?{filter}"), "recordings")
            .await;
        assert_eq!(
            found,
            expected.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "{filter}"
        );
    }
    assert_eq!(
        asking
            .status("GET", "Recordings.json?DateCreated%3E=yesterday")
            .await,
        400
    );
}

#[tokio::test]
async fn a_bound_counts_in_itself_to_the_second() {
    let asking = Asking::begin().await;
    let at: Timestamp = Timestamp::parse_rfc3339("2026-03-04T05:06:07Z").unwrap();
    let recording = recording_sid('1');
    let facts = RecordingFacts {
        created: Some(at),
        ..RecordingFacts::new(&recording, Bytes::from_static(WAV))
    };
    asking
        .twilio
        .add_recording_of(&asking.account, recording.clone(), facts);
    for (filter, found) in [
        ("DateCreated%3C=2026-03-04T05:06:07Z", 1),
        ("DateCreated%3C=2026-03-04T05:06:06Z", 0),
        ("DateCreated%3E=2026-03-04T05:06:07Z", 1),
        ("DateCreated%3E=2026-03-04T05:06:08Z", 0),
        // As a bound, a day means its midnight.
        ("DateCreated%3C=2026-03-04", 0),
        ("DateCreated%3C=2026-03-05", 1),
        ("DateCreated%3E=2026-03-04", 1),
        ("DateCreated=2026-03-04", 1),
        ("DateCreated=2026-03-05", 0),
        ("DateCreated=2026-03-03", 0),
        ("DateCreated=2026-03-04T05:06:07Z", 1),
        ("DateCreated=2026-03-04T05:06:00Z", 0),
    ] {
        assert_eq!(
            asking
                .sids(&format!("Recordings.json?{filter}"), "recordings")
                .await
                .len(),
            found,
            "{filter}"
        );
    }
}

#[tokio::test]
async fn recordings_stand_below_their_call_and_their_conference() {
    let asking = Asking::begin().await;
    let of_call = asking.record('1', DAY);
    let of_conference = recording_sid('2');
    let conference: ConferenceSid = sid("CF", '2').parse().unwrap();
    let facts =
        RecordingFacts::of_conference(&of_conference, conference.clone(), Bytes::from_static(WAV));
    asking
        .twilio
        .add_recording_of(&asking.account, of_conference.clone(), facts);
    let call = format!("Calls/CA{}/Recordings", "1".repeat(32));
    assert_eq!(
        asking.sids(&format!("{call}.json"), "recordings").await,
        [of_call.as_str()]
    );
    assert_eq!(
        asking
            .sids(
                &format!("Conferences/{conference}/Recordings.json"),
                "recordings"
            )
            .await,
        [of_conference.as_str()]
    );
    let below = asking.get(&format!("{call}/{of_call}.json")).await;
    assert_eq!(
        (&below["track"], below.get("media_url")),
        (&"both".into(), None)
    );
    assert_eq!(
        asking
            .status("GET", &format!("{call}/{of_conference}.json"))
            .await,
        404
    );
    let own = asking
        .get(&format!("Recordings/{of_conference}.json"))
        .await;
    assert_eq!(
        (&own["call_sid"], &own["conference_sid"]),
        (&serde_json::Value::Null, &conference.as_str().into())
    );
    assert_eq!(
        (&own["duration"], &own["channels"], own.get("track")),
        (&"27".into(), &2.into(), None)
    );
}
