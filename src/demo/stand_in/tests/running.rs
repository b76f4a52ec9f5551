//! Recordings of calls in progress: started, paused, stopped, and completed when Twilio reports so.

use super::{asking::*, *};

/// A call in progress.
fn call(asking: &Asking) -> CallSid {
    let call: CallSid = sid("CA", '1').parse().unwrap();
    let facts = CallFacts {
        status: "in-progress".into(),
        ..CallFacts::new(call.clone(), "+4930123456", "+4989654321")
    };
    asking.twilio.add_call(&asking.account, facts);
    call
}

#[tokio::test]
async fn a_recording_is_stopped_processed_completed_and_only_then_deleted() {
    let asking = Asking::begin().await;
    let call = call(&asking);
    let recording = recording_sid('7');
    asking
        .twilio
        .begin_recording(&asking.account, recording.clone(), call.clone());
    let own = format!("Recordings/{recording}.json");
    let control = format!("Calls/{call}/Recordings/{recording}.json");
    let current = format!("Calls/{call}/Recordings/Twilio.CURRENT.json");
    let shown = asking.get(&own).await;
    assert_eq!(
        (&shown["status"], &shown["duration"]),
        (&"in-progress".into(), &serde_json::Value::Null)
    );
    assert_eq!(
        asking
            .status("GET", &format!("Recordings/{recording}"))
            .await,
        404
    );

    for (path, status, seen) in [
        (&control, "paused", "paused"),
        (&current, "in-progress", "in-progress"),
        (&current, "stopped", "processing"),
    ] {
        let (code, shown) = asking.ask("POST", path, &[("Status", status)]).await;
        assert_eq!(
            (code, &shown["status"], &shown["sid"]),
            (200, &seen.into(), &recording.as_str().into())
        );
    }
    assert_eq!(
        asking
            .ask("POST", &current, &[("Status", "stopped")])
            .await
            .0,
        404
    );
    let (code, error) = asking.ask("POST", &control, &[("Status", "stopped")]).await;
    assert_eq!((code, &error["code"]), (400, &21220.into()));
    assert_eq!(asking.status("DELETE", &own).await, 400);
    asking.twilio.completed(&recording);
    assert_eq!(asking.get(&own).await["duration"], "27");
    let media = asking
        .send("GET", &format!("Recordings/{recording}"), &[])
        .await
        .bytes()
        .await
        .unwrap();
    assert!(media == WAV);
    assert_eq!(asking.status("DELETE", &own).await, 204);
    assert_eq!(asking.twilio.requests(Call::RecordingUpdate), 5);
}

#[tokio::test]
async fn a_stop_completes_at_once_where_it_is_said_and_bad_updates_change_nothing() {
    let asking = Asking::begin().await;
    let call = call(&asking);
    let recording = recording_sid('7');
    asking
        .twilio
        .begin_recording(&asking.account, recording.clone(), call.clone());
    let control = format!("Calls/{call}/Recordings/{recording}.json");
    for bad in [
        vec![],
        vec![("Status", "deleted")],
        vec![("Status", "stopped"), ("PauseBehavior", "skip")],
        vec![("Status", "paused"), ("PauseBehavior", "x")],
    ] {
        assert_eq!(asking.ask("POST", &control, &bad).await.0, 400, "{bad:?}");
    }
    assert_eq!(
        asking
            .ask(
                "POST",
                &control.replace("CA1", "CA2"),
                &[("Status", "stopped")]
            )
            .await
            .0,
        404
    );
    assert_eq!(
        asking.twilio.kept(&recording).status.as_deref(),
        Some("in-progress")
    );
    asking
        .twilio
        .behave(|behaviour| behaviour.stop_completes = true);
    assert_eq!(
        asking
            .ask("POST", &control, &[("Status", "stopped")])
            .await
            .1["status"],
        "completed"
    );
}

#[tokio::test]
async fn a_recording_is_begun_and_whoever_began_it_is_told() {
    let asking = Asking::begin().await;
    let call = call(&asking);
    let start = format!("Calls/{call}/Recordings.json");
    let wanted = [
        ("RecordingChannels", "dual"),
        (
            "RecordingStatusCallback",
            "https://vault.example/twilio/recordings",
        ),
        ("RecordingStatusCallbackEvent", "in-progress"),
        ("RecordingStatusCallbackEvent", "completed"),
    ];
    let (code, begun) = asking.ask("POST", &start, &wanted).await;
    assert_eq!(
        (code, &begun["status"], &begun["source"]),
        (201, &"in-progress".into(), &"StartCallRecordingAPI".into())
    );
    assert_eq!(
        (&begun["channels"], &begun["call_sid"], &begun["track"]),
        (&2.into(), &call.as_str().into(), &"both".into())
    );
    let recording: RecordingSid = begun["sid"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        asking.twilio.recordings_of(&call),
        std::slice::from_ref(&recording)
    );
    assert!(
        asking
            .twilio
            .started_with(&recording)
            .contains(&("RecordingChannels".into(), "dual".into()))
    );
    asking.twilio.completed(&recording);
    let told: Vec<_> = asking
        .twilio
        .take_pending()
        .into_iter()
        .map(|callback| (callback.status, callback.url))
        .collect();
    assert_eq!(
        told,
        ["in-progress", "completed"].map(|status| (status.to_owned(), wanted[1].1.to_owned()))
    );

    // Mono is the default, and a single track is always mono.
    for form in [
        vec![],
        vec![("RecordingTrack", "inbound"), ("RecordingChannels", "dual")],
    ] {
        let (_, begun) = asking.ask("POST", &start, &form).await;
        assert_eq!(begun["channels"], 1);
        let recording: RecordingSid = begun["sid"].as_str().unwrap().parse().unwrap();
        asking.twilio.completed(&recording);
        assert!(asking.twilio.media(&recording).unwrap() == mix_to_mono(WAV).unwrap());
    }
    assert!(asking.twilio.take_pending().is_empty());
    for bad in [("RecordingTrack", "left"), ("RecordingChannels", "5.1")] {
        assert_eq!(asking.ask("POST", &start, &[bad]).await.0, 400);
    }
    asking.twilio.set_call_status(&call, "completed");
    assert_eq!(asking.ask("POST", &start, &[]).await.1["code"], 21220);
    assert_eq!(
        asking
            .ask("POST", &start.replace("CA1", "CA2"), &[])
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn of_two_recordings_that_run_the_current_one_is_the_newer() {
    let asking = Asking::begin().await;
    let call = call(&asking);
    let [newer, older] = [('1', 5), ('2', 9)].map(|(digit, seconds)| {
        let created = Some(asking.twilio.now().before(Duration::from_secs(seconds)));
        let sid = recording_sid(digit);
        let running = RecordingFacts {
            status: "in-progress".into(),
            media: None,
            call: Some(call.clone()),
            created,
            ..RecordingFacts::new(&sid, Bytes::new())
        };
        asking
            .twilio
            .add_recording_of(&asking.account, sid.clone(), running);
        sid
    });
    let current = format!("Calls/{call}/Recordings/Twilio.CURRENT.json");
    for expected in [&newer, &older] {
        assert_eq!(
            asking
                .ask("POST", &current, &[("Status", "stopped")])
                .await
                .1["sid"],
            expected.as_str()
        );
    }
    assert_eq!(asking.twilio.recordings_of(&call), [older, newer]);
}
