//! Every REST call against answers generated from Twilio's published schemas.
//!
//! The tables hold the fields that are read, as in <https://github.com/twilio/twilio-oai>,
//! `spec/json/twilio_api_v2010.json` and `spec/json/twilio_intelligence_v2.json` (read on
//! 2026-11-29). No field is required there, and everything but whole numbers may be `null`.

mod kind;
mod lists;
mod products;
mod resources;

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use serde_json::json;

use self::{
    kind::{Kind, Schema, resource},
    lists::{ListSchema, Unreadable, check_lists, check_resources, fixed},
};
use super::{
    tests::{Other, recording, sid},
    *,
};
use crate::model::{sid::CallSid, time::Timestamp};

const RECORDING: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    ("call_sid", Kind::Sid("CA")),
    ("conference_sid", Kind::Sid("CF")),
    ("date_created", Kind::Rfc2822),
    ("start_time", Kind::Rfc2822),
    ("duration", Kind::Digits),
    ("sid", Kind::Sid("RE")),
    (
        "status",
        Kind::Word(&[
            "in-progress",
            "paused",
            "stopped",
            "processing",
            "completed",
            "absent",
            "deleted",
        ]),
    ),
    ("channels", Kind::Whole),
    (
        "source",
        Kind::Word(&[
            "DialVerb",
            "Conference",
            "OutboundAPI",
            "Trunking",
            "RecordVerb",
            "StartCallRecordingAPI",
        ]),
    ),
    ("error_code", Kind::Number),
    ("encryption_details", Kind::Anything),
    ("media_url", Kind::Text),
];
const CALL: Schema = &[
    ("sid", Kind::Sid("CA")),
    ("parent_call_sid", Kind::Sid("CA")),
    ("account_sid", Kind::Sid("AC")),
    ("to", Kind::Text),
    ("from", Kind::Text),
    (
        "status",
        Kind::Word(&[
            "queued",
            "ringing",
            "in-progress",
            "completed",
            "busy",
            "failed",
            "no-answer",
            "canceled",
        ]),
    ),
    ("start_time", Kind::Rfc2822),
    ("duration", Kind::Digits),
    ("direction", Kind::Text),
    ("caller_name", Kind::Text),
];
const PARTICIPANT: Schema = &[
    ("call_sid", Kind::Sid("CA")),
    ("label", Kind::Text),
    ("date_created", Kind::Rfc2822),
];
const ACCOUNT: Schema = &[
    ("sid", Kind::Sid("AC")),
    ("owner_account_sid", Kind::Sid("AC")),
    ("status", Kind::Word(&["active", "suspended", "closed"])),
];
const NUMBER: Schema = &[("sid", Kind::Sid("PN")), ("voice_url", Kind::Text)];
const ADD_ON: Schema = &[
    ("sid", Kind::Sid("XR")),
    (
        "status",
        Kind::Word(&["canceled", "completed", "failed", "in-progress", "queued"]),
    ),
];
const TRANSCRIPTION: Schema = &[
    ("sid", Kind::Sid("TR")),
    ("recording_sid", Kind::Sid("RE")),
    ("duration", Kind::Digits),
    (
        "status",
        Kind::Word(&["in-progress", "completed", "failed"]),
    ),
    ("transcription_text", Kind::Text),
];
const TRANSCRIPT: Schema = &[
    ("account_sid", Kind::Sid("AC")),
    ("sid", Kind::Sid("GT")),
    (
        "status",
        Kind::Word(&["queued", "in-progress", "completed", "failed", "canceled"]),
    ),
    ("channel", Kind::Channel),
    ("language_code", Kind::Text),
    ("media_start_time", Kind::Iso),
];
const SENTENCE: Schema = &[
    ("media_channel", Kind::Whole),
    ("start_time", Kind::Number),
    ("end_time", Kind::Number),
    ("transcript", Kind::Text),
    ("confidence", Kind::Number),
    ("words", Kind::Words),
];

fn call() -> CallSid {
    fixed("CA").parse().unwrap()
}

const fn list(
    name: &'static str,
    items: &'static str,
    schema: Schema,
    unreadable: Unreadable,
) -> ListSchema {
    ListSchema {
        name,
        items,
        schema,
        by: "sid",
        needs: &[],
        unreadable,
    }
}

const LISTS: [ListSchema; 11] = [
    list("recordings", "recordings", RECORDING, Unreadable::Counted),
    list(
        "recordings of a call",
        "recordings",
        RECORDING,
        Unreadable::LeftOut,
    ),
    ListSchema {
        needs: &["parent_call_sid"],
        ..list("legs of a call", "calls", CALL, Unreadable::LeftOut)
    },
    ListSchema {
        by: "call_sid",
        ..list(
            "participants",
            "participants",
            PARTICIPANT,
            Unreadable::None,
        )
    },
    list("subaccounts", "accounts", ACCOUNT, Unreadable::LeftOut),
    list(
        "numbers",
        "incoming_phone_numbers",
        NUMBER,
        Unreadable::LeftOut,
    ),
    list(
        "add-on results",
        "add_on_results",
        ADD_ON,
        Unreadable::Counted,
    ),
    list(
        "transcriptions",
        "transcriptions",
        TRANSCRIPTION,
        Unreadable::Counted,
    ),
    list(
        "transcripts",
        "transcripts",
        TRANSCRIPT,
        Unreadable::Counted,
    ),
    list(
        "transcripts of a call",
        "transcripts",
        TRANSCRIPT,
        Unreadable::Counted,
    ),
    ListSchema {
        by: "transcript",
        ..list("sentences", "sentences", SENTENCE, Unreadable::Counted)
    },
];

/// Lists two pages by a call; returns the identifying field of each item, and the number of
/// unreadable items.
async fn listed(other: &Other, list: &str) -> Result<(Vec<String>, usize), RestError> {
    fn known<T>(list: List<T>, by: impl Fn(&T) -> String) -> (Vec<String>, usize) {
        (list.items.iter().map(by).collect(), list.unreadable)
    }
    let client = &other.client;
    let account = other.account();
    let transcript = format!("GT{}", "4".repeat(32)).parse().unwrap();
    let conference = format!("CF{}", "4".repeat(32)).parse().unwrap();
    let option = |sid: &Option<CallSid>| sid.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(match list {
        "recordings" => {
            let since = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
            let mut pages = client.recordings(
                account,
                &Listing {
                    since,
                    until: None,
                    page_size: 1,
                    with_deleted: true,
                },
            );
            let mut all = Vec::new();
            let mut unreadable = 0;
            while let Some(page) = pages.next(client, account).await? {
                all.extend(page.items.iter().map(|item| item.sid.to_string()));
                unreadable += page.unreadable;
            }
            (all, unreadable)
        }
        "recordings of a call" => (
            client
                .recordings_of_call(account, &call())
                .await?
                .iter()
                .map(|item| item.sid.to_string())
                .collect(),
            0,
        ),
        "legs of a call" => (
            client
                .child_calls(account, &call())
                .await?
                .iter()
                .map(|item| option(&item.sid))
                .collect(),
            0,
        ),
        "participants" => (
            client
                .participants(account, &conference)
                .await?
                .iter()
                .map(|item| option(&item.call_sid))
                .collect(),
            0,
        ),
        "subaccounts" => (
            client
                .subaccounts(account)
                .await?
                .iter()
                .map(|item| item.sid.to_string())
                .collect(),
            0,
        ),
        "numbers" => (
            client
                .incoming_numbers(account)
                .await?
                .iter()
                .map(|item| item.sid.clone())
                .collect(),
            0,
        ),
        "add-on results" => known(client.add_ons_of(account, &recording()).await?, |item| {
            item.sid.to_string()
        }),
        "transcriptions" => known(
            client.transcriptions_of(account, &recording()).await?,
            |item| item.sid.to_string(),
        ),
        "transcripts" => known(
            client.transcripts_of(account, &recording()).await?,
            |item| item.sid.to_string(),
        ),
        "transcripts of a call" => known(
            client.transcripts_of_call(account, &call()).await?,
            |item| item.sid.to_string(),
        ),
        "sentences" => known(
            client.sentences(account, &transcript, false).await?,
            |item| item.transcript.expose().to_owned(),
        ),
        other => panic!("{other}"),
    })
}

#[tokio::test]
async fn an_item_that_tells_nothing_costs_no_other_of_its_list() {
    check_lists(&LISTS, next_of, listed).await;
}

/// The list's own path, on which its next page is.
fn next_of(list: &str) -> String {
    let own = format!("/2010-04-01/Accounts/{}", sid());
    match list {
        "recordings" => format!("{own}/Recordings.json"),
        "recordings of a call" => format!("{own}/Calls/{}/Recordings.json", call()),
        "legs of a call" => format!("{own}/Calls.json"),
        "participants" => format!("{own}/Conferences/CF{}/Participants.json", "4".repeat(32)),
        "subaccounts" => "/2010-04-01/Accounts.json".to_owned(),
        "numbers" => format!("{own}/IncomingPhoneNumbers.json"),
        "add-on results" => format!("{own}/Recordings/{}/AddOnResults.json", recording()),
        "transcriptions" => format!("{own}/Recordings/{}/Transcriptions.json", recording()),
        "transcripts" | "transcripts of a call" => "/v2/Transcripts".to_owned(),
        _ => format!("/v2/Transcripts/GT{}/Sentences", "4".repeat(32)),
    }
}

async fn read(other: &Other, what: &str) -> Result<(), RestError> {
    let (client, account) = (&other.client, other.account());
    match what {
        "recording" => client
            .recording(account, &recording(), true)
            .await
            .map(drop),
        "call" => client.call(account, &call()).await.map(drop),
        "transcription" => {
            let sid = fixed("TR").parse().unwrap();
            client.transcription(account, &sid).await.map(drop)
        }
        "transcript" => {
            let sid = fixed("GT").parse().unwrap();
            client.transcript(account, &sid).await.map(drop)
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_asked_for_by_its_id_is_read_whatever_else_is_told_of_it() {
    let all = [
        ("recording", RECORDING, recording().to_string(), &[][..]),
        ("call", CALL, call().to_string(), &[]),
        ("transcription", TRANSCRIPTION, fixed("TR"), &[]),
        ("transcript", TRANSCRIPT, fixed("GT"), &[]),
    ];
    check_resources(&all, read).await;
}

#[tokio::test]
async fn a_request_took_effect_whatever_its_answer_shows() {
    let other = Other::start().await;
    let mut runner = TestRunner::default();
    let (client, account) = (&other.client, other.account());
    for _ in 0..16 {
        let told = resource(ACCOUNT).new_tree(&mut runner).unwrap().current();
        let mut told = told;
        told["sid"] = json!(sid());
        other.tells(200, told.to_string());
        assert_eq!(client.account(account).await.map(drop), Ok(()), "{told}");
    }
    for _ in 0..16 {
        let told = resource(RECORDING)
            .new_tree(&mut runner)
            .unwrap()
            .current()
            .to_string();
        other.tells(201, &*told).tells(200, &*told);
        assert_eq!(
            client
                .start_recording(account, &call(), "https://vault.example.com")
                .await,
            Ok(()),
            "{told}"
        );
        assert_eq!(
            client.stop_recording(account, &call(), &recording()).await,
            Ok(()),
            "{told}"
        );
    }
}
