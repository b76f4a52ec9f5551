//! Each fault of a request, and rate limits.

use super::{asking::*, *};

#[tokio::test]
async fn every_wrong_answer_is_what_it_says_and_only_once() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    let own = format!("Recordings/{recording}.json");
    for (wrong, status, code) in [
        (RequestFault::NotFound, 404, 20404),
        (RequestFault::Unauthorised, 401, 20003),
        (RequestFault::Forbidden, 403, 20005),
        (RequestFault::TooMany { retry_after: None }, 429, 20429),
        (
            RequestFault::TooMany {
                retry_after: Some(7),
            },
            429,
            20429,
        ),
        (RequestFault::ServerError, 500, 20500),
        (
            RequestFault::Refused {
                status: 408,
                code: 20408,
            },
            408,
            20408,
        ),
    ] {
        asking.twilio.fail_call(Call::RecordingFetch, wrong.clone());
        // A request of another kind is not affected.
        assert_eq!(asking.status("GET", "Recordings.json").await, 200);
        let response = asking.send("GET", &own, &[]).await;
        let retry_after = response.headers().get("retry-after").cloned();
        assert_eq!(
            retry_after.is_some(),
            wrong
                == RequestFault::TooMany {
                    retry_after: Some(7)
                }
        );
        assert_eq!(response.status().as_u16(), status, "{wrong:?}");
        let error: serde_json::Value = response.json().await.unwrap();
        assert_eq!(
            (&error["code"], &error["status"]),
            (&code.into(), &status.into()),
            "{wrong:?}"
        );
        assert!(error["message"].is_string());
        assert_eq!(asking.get(&own).await["sid"], recording.as_str());
    }
    assert_eq!(
        (
            asking.twilio.requests(Call::RecordingFetch),
            asking.twilio.requests(Call::RecordingList)
        ),
        (14, 7)
    );
}

#[tokio::test]
async fn answers_that_are_no_answers() {
    let asking = Asking::begin().await;
    let queue = |wrong| asking.twilio.fail_call(Call::RecordingList, wrong);
    queue(RequestFault::CutBody);
    let response = asking.send("GET", "Recordings.json", &[]).await;
    assert_eq!(
        (response.status().as_u16(), response.bytes().await.is_err()),
        (200, true)
    );
    queue(RequestFault::NotJson);
    let response = asking.send("GET", "Recordings.json", &[]).await;
    assert_eq!(response.headers()["content-type"], "text/html");
    queue(RequestFault::WrongShape);
    assert!(asking.get("Recordings.json").await["recordings"].is_object());
    queue(RequestFault::RedirectAway);
    let response = asking.send("GET", "Recordings.json", &[]).await;
    assert_eq!(response.status().as_u16(), 307);
    assert!(
        !response.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with(&asking.twilio.base_url())
    );
    queue(RequestFault::HugeBody);
    let mut response = asking.send("GET", "Recordings.json", &[]).await;
    let mut received = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        received += chunk.len();
    }
    assert!(received > 256 * 1024 * 1024);
}

#[tokio::test]
async fn silence_may_follow_a_deed() {
    let asking = Asking::begin().await;
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    for (digit, wrong, done) in [
        ('1', RequestFault::Silence, false),
        ('2', RequestFault::DoneThenSilence, true),
        ('3', RequestFault::DoneThenServerError, true),
    ] {
        let recording = asking.record(digit, Duration::ZERO);
        asking
            .twilio
            .fail_call(Call::RecordingDelete, wrong.clone());
        let url = asking.url(&format!("Recordings/{recording}.json"));
        let answer = http
            .delete(url)
            .basic_auth(&asking.account, Some(TOKEN))
            .send()
            .await;
        match answer {
            Err(error) => assert!(
                error.is_timeout() && wrong != RequestFault::DoneThenServerError,
                "{error:?}"
            ),
            Ok(response) => assert_eq!(
                (response.status().as_u16(), wrong),
                (500, RequestFault::DoneThenServerError)
            ),
        }
        assert_eq!(
            asking.twilio.kept(&recording).status.as_deref() == Some("deleted"),
            done
        );
    }
}

#[tokio::test]
async fn media_goes_wrong_in_xml() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    asking.twilio.fail_call(
        Call::Media,
        RequestFault::TooMany {
            retry_after: Some(1),
        },
    );
    let response = asking
        .send("GET", &format!("Recordings/{recording}"), &[])
        .await;
    assert_eq!(
        (
            response.status().as_u16(),
            response.headers()["content-type"].to_str().unwrap()
        ),
        (429, "application/xml")
    );
    assert_eq!(
        (
            asking.twilio.requests(Call::Media),
            asking.twilio.media_requests()
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_limit_holds_until_its_time_is_over() {
    let asking = Asking::begin().await;
    let limit = RateLimit {
        requests: 2,
        per: Duration::from_hours(1),
        retry_after: Some(3),
    };
    asking
        .twilio
        .behave(|behaviour| behaviour.rate_limit = Some(limit));
    let response = async || asking.send("GET", "Recordings.json", &[]).await;
    assert_eq!(
        (response().await.status(), response().await.status()),
        (reqwest::StatusCode::OK, reqwest::StatusCode::OK)
    );
    let refused = response().await;
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.headers()["retry-after"].to_str().unwrap()
        ),
        (429, "3")
    );
    assert_eq!(asking.status("GET", "/v2/Transcripts").await, 429);
    asking.twilio.advance(Duration::from_hours(1));
    assert_eq!(response().await.status(), 200);
}

#[tokio::test]
async fn what_twilio_does_not_have_is_not_found() {
    let asking = Asking::begin().await;
    for path in [
        "/",
        "/2010-04-01",
        "/2010-04-01/Accounts",
        "/v2",
        "/v2/Transcripts/",
        "/v3/Transcripts",
        "Messages/SM1/Feedback.json",
        "Recordings/x.json",
        "Recordings//Transcriptions.json",
    ] {
        assert_eq!(asking.status("GET", path).await, 404, "{path}");
    }
    assert_eq!(asking.status("PUT", "Recordings.json").await, 404);
}

/// One request of each kind, with its method and its path below an account that has everything.
const PLACES: &[(Call, &str, &str)] = &[
    (
        Call::Account,
        "GET",
        "/2010-04-01/Accounts/AC00000000000000000000000000000000.json",
    ),
    (Call::AccountList, "GET", "/2010-04-01/Accounts.json"),
    (Call::RecordingList, "GET", "Recordings.json"),
    (
        Call::RecordingFetch,
        "GET",
        "Recordings/RE11111111111111111111111111111111.json",
    ),
    (
        Call::RecordingDelete,
        "DELETE",
        "Recordings/RE11111111111111111111111111111111.json",
    ),
    (
        Call::RecordingUpdate,
        "POST",
        "Calls/CA11111111111111111111111111111111/Recordings/Twilio.CURRENT.json",
    ),
    (
        Call::RecordingStart,
        "POST",
        "Calls/CA11111111111111111111111111111111/Recordings.json",
    ),
    (
        Call::Media,
        "GET",
        "Recordings/RE11111111111111111111111111111111",
    ),
    (Call::TranscriptionList, "GET", "Transcriptions.json"),
    (
        Call::TranscriptionFetch,
        "GET",
        "Transcriptions/TR11111111111111111111111111111111.json",
    ),
    (
        Call::TranscriptionDelete,
        "DELETE",
        "Transcriptions/TR11111111111111111111111111111111.json",
    ),
    (
        Call::AddOnList,
        "GET",
        "Recordings/RE11111111111111111111111111111111/AddOnResults.json",
    ),
    (
        Call::AddOnFetch,
        "GET",
        "Recordings/RE11111111111111111111111111111111/AddOnResults/XR1.json",
    ),
    (
        Call::AddOnDelete,
        "DELETE",
        "Recordings/RE11111111111111111111111111111111/AddOnResults/XR1.json",
    ),
    (
        Call::CallFetch,
        "GET",
        "Calls/CA11111111111111111111111111111111.json",
    ),
    (Call::CallList, "GET", "Calls.json"),
    (
        Call::ConferenceFetch,
        "GET",
        "Conferences/CF11111111111111111111111111111111.json",
    ),
    (
        Call::ParticipantList,
        "GET",
        "Conferences/CF11111111111111111111111111111111/Participants.json",
    ),
    (Call::NumberList, "GET", "IncomingPhoneNumbers.json"),
    (Call::TranscriptList, "GET", "/v2/Transcripts"),
    (
        Call::TranscriptFetch,
        "GET",
        "/v2/Transcripts/GT11111111111111111111111111111111",
    ),
    (
        Call::TranscriptSentences,
        "GET",
        "/v2/Transcripts/GT11111111111111111111111111111111/Sentences",
    ),
    (
        Call::TranscriptDelete,
        "DELETE",
        "/v2/Transcripts/GT11111111111111111111111111111111",
    ),
    (Call::MessageList, "GET", "Messages.json"),
    (Call::MessageFetch, "GET", "Messages/SM1.json"),
    (Call::MessageCreate, "POST", "Messages.json"),
    (Call::MessageUpdate, "POST", "Messages/SM1.json"),
    (Call::MessageDelete, "DELETE", "Messages/SM1.json"),
    (Call::MessageMediaList, "GET", "Messages/SM1/Media.json"),
    (
        Call::MessageMediaFetch,
        "GET",
        "Messages/SM1/Media/ME1.json",
    ),
    (
        Call::MessageMediaDelete,
        "DELETE",
        "Messages/SM1/Media/ME1.json",
    ),
    (Call::MessageFile, "GET", "Messages/SM1/Media/ME1"),
    (Call::ChatList, "GET", "/v1/Conversations"),
    (Call::ChatFetch, "GET", "/v1/Conversations/CH1"),
    (Call::ChatDelete, "DELETE", "/v1/Conversations/CH1"),
    (
        Call::ChatMessageList,
        "GET",
        "/v1/Conversations/CH1/Messages",
    ),
    (
        Call::ChatMessageFetch,
        "GET",
        "/v1/Conversations/CH1/Messages/IM1",
    ),
    (
        Call::ChatMessageDelete,
        "DELETE",
        "/v1/Conversations/CH1/Messages/IM1",
    ),
    (
        Call::ChatReceiptList,
        "GET",
        "/v1/Conversations/CH1/Messages/IM1/Receipts",
    ),
    (
        Call::ChatParticipantList,
        "GET",
        "/v1/Conversations/CH1/Participants",
    ),
    (
        Call::ChatParticipantDelete,
        "DELETE",
        "/v1/Conversations/CH1/Participants/MB1",
    ),
    (
        Call::ChatParticipantFetch,
        "GET",
        "/v1/Conversations/CH1/Participants/MB1",
    ),
    (
        Call::ParticipantConversationList,
        "GET",
        "/v1/ParticipantConversations",
    ),
    (Call::ChatMedia, "GET", "/v1/Services/IS1/Media/ME1"),
    (Call::ProxyServiceList, "GET", "/v1/Services"),
    (Call::ProxySessionList, "GET", "/v1/Services/KS1/Sessions"),
    (
        Call::ProxySessionFetch,
        "GET",
        "/v1/Services/KS1/Sessions/KC1",
    ),
    (
        Call::ProxySessionDelete,
        "DELETE",
        "/v1/Services/KS1/Sessions/KC1",
    ),
    (
        Call::ProxyParticipantList,
        "GET",
        "/v1/Services/KS1/Sessions/KC1/Participants",
    ),
    (
        Call::ProxyParticipantDelete,
        "DELETE",
        "/v1/Services/KS1/Sessions/KC1/Participants/KP1",
    ),
    (
        Call::InteractionList,
        "GET",
        "/v1/Services/KS1/Sessions/KC1/Interactions",
    ),
    (
        Call::InteractionFetch,
        "GET",
        "/v1/Services/KS1/Sessions/KC1/Interactions/KI1",
    ),
    (
        Call::InteractionDelete,
        "DELETE",
        "/v1/Services/KS1/Sessions/KC1/Interactions/KI1",
    ),
    (Call::TrackList, "GET", "/v1/Recordings"),
    (Call::TrackFetch, "GET", "/v1/Recordings/RT1"),
    (Call::TrackDelete, "DELETE", "/v1/Recordings/RT1"),
    (Call::TrackMedia, "GET", "/v1/Recordings/RT1/Media"),
    (Call::CompositionList, "GET", "/v1/Compositions"),
    (Call::CompositionFetch, "GET", "/v1/Compositions/CJ1"),
    (Call::CompositionDelete, "DELETE", "/v1/Compositions/CJ1"),
    (Call::CompositionMedia, "GET", "/v1/Compositions/CJ1/Media"),
    (
        Call::RoomParticipantList,
        "GET",
        "/v1/Rooms/RM1/Participants",
    ),
    (
        Call::RoomParticipantAnonymize,
        "POST",
        "/v1/Rooms/RM1/Participants/PA1/Anonymize",
    ),
];

#[tokio::test]
async fn each_request_can_go_wrong() {
    let asking = Asking::begin().await;
    let of_table: Vec<Call> = PLACES.iter().map(|(call, ..)| *call).collect();
    assert_eq!(of_table, Call::ALL);
    for (call, method, path) in PLACES {
        asking.twilio.fail_call(
            *call,
            RequestFault::Refused {
                status: 418,
                code: 1,
            },
        );
        assert_eq!(
            (
                asking.send(method, path, &[]).await.status().as_u16(),
                asking.twilio.requests(*call)
            ),
            (418, 1),
            "{call:?}"
        );
        assert_ne!(asking.status(method, path).await, 418, "{call:?}");
    }
    let ways = RequestFault::all().len();
    let told: std::collections::BTreeSet<String> = RequestFault::all()
        .iter()
        .map(|wrong| format!("{wrong:?}"))
        .collect();
    assert_eq!(told.len(), ways);
}

#[tokio::test]
async fn media_comes_late_and_without_its_length_where_it_is_said() {
    let asking = Asking::begin().await;
    let recording = recording_sid('1');
    asking.twilio.behave(|behaviour| {
        behaviour.media_delay = Duration::from_hours(1);
        behaviour.media_without_length = true;
    });
    asking.twilio.begin_recording(
        &asking.account,
        recording.clone(),
        sid("CA", '1').parse().unwrap(),
    );
    asking.twilio.completed(&recording);
    let media = format!("Recordings/{recording}.wav");
    assert_eq!(asking.status("GET", &media).await, 404);
    asking.twilio.advance(Duration::from_hours(1));
    let response = asking.send("GET", &media, &[]).await;
    assert_eq!(
        (response.status().as_u16(), response.content_length()),
        (200, None)
    );
    assert!(response.bytes().await.unwrap() == WAV);
}
