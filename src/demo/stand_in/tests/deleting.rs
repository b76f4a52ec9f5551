//! The extent of a deletion, and the retention of the rest.

use super::{asking::*, *};

/// Adds a recording with every kind of subresource.
fn laden(asking: &Asking) -> RecordingSid {
    let recording = asking.record('1', Duration::ZERO);
    let account = &asking.account;
    asking.twilio.add_transcription(
        account,
        TranscriptionFacts::new(sid("TR", '1'), recording.clone(), "Hello."),
    );
    asking
        .twilio
        .add_add_on(account, AddOnFacts::new(sid("XR", '1'), recording.clone()));
    asking
        .twilio
        .add_transcript(account, TranscriptFacts::new(sid("GT", '1'), &recording));
    recording
}

#[tokio::test]
async fn a_deleted_recording_leaves_its_metadata_for_forty_days() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    let own = format!("Recordings/{recording}.json");
    let with_deleted = format!("Recordings/{recording}.json?IncludeSoftDeleted=true");
    assert_eq!(asking.get(&with_deleted).await["status"], "completed");
    assert_eq!(asking.status("DELETE", &own).await, 204);
    assert_eq!(asking.status("GET", &own).await, 404);
    asking
        .twilio
        .behave(|behaviour| behaviour.deleted_is_shown = true);
    assert_eq!(asking.get(&own).await["status"], "deleted");
    asking
        .twilio
        .behave(|behaviour| behaviour.deleted_is_shown = false);
    assert_eq!(asking.status("DELETE", &own).await, 404);
    assert_eq!(
        asking
            .status("GET", &format!("Recordings/{recording}.wav"))
            .await,
        404
    );
    assert!(
        asking
            .sids("Recordings.json", "recordings")
            .await
            .is_empty()
    );
    assert_eq!(
        asking
            .sids("Recordings.json?IncludeSoftDeleted=true", "recordings")
            .await,
        [recording.as_str()]
    );
    let left = asking.get(&with_deleted).await;
    assert_eq!(
        (&left["status"], &left["duration"]),
        (&"deleted".into(), &"27".into())
    );
    let kept = asking.twilio.kept(&recording);
    assert_eq!(
        (kept.status.as_deref(), kept.media, kept.content()),
        (Some("deleted"), false, false)
    );

    let until = kept.metadata_until.unwrap();
    let left = until.since(asking.twilio.now());
    assert!(left > Duration::from_hours(40 * 24 - 1) && left <= Duration::from_hours(40 * 24));
    asking.twilio.advance(left - Duration::from_secs(60));
    assert_eq!(asking.status("GET", &with_deleted).await, 200);
    asking.twilio.advance(Duration::from_secs(120));
    assert_eq!(asking.status("GET", &with_deleted).await, 404);
    assert!(
        asking
            .sids("Recordings.json?IncludeSoftDeleted=true", "recordings")
            .await
            .is_empty()
    );
    assert_eq!(asking.twilio.kept(&recording), RemainingCopies::default());
}

#[tokio::test]
async fn only_a_completed_recording_can_be_deleted() {
    let asking = Asking::begin().await;
    let recording = asking.record('1', Duration::ZERO);
    let own = format!("Recordings/{recording}.json");
    for status in ["in-progress", "paused", "stopped", "processing", "absent"] {
        asking.twilio.set_status(&recording, status);
        let (status, error) = asking.ask("DELETE", &own, &[]).await;
        assert_eq!((status, &error["code"]), (400, &20009.into()));
    }
    asking.twilio.behave(|behaviour| {
        behaviour.undeletable = TwilioProblem {
            status: 409,
            code: 20409,
        };
        behaviour.absent_can_be_deleted = true;
    });
    assert_eq!(asking.get(&own).await["error_code"], 16101);
    asking.twilio.set_status(&recording, "processing");
    assert_eq!(asking.status("DELETE", &own).await, 409);
    // Its file exists, but is not available yet.
    assert_eq!(
        asking
            .status("GET", &format!("Recordings/{recording}"))
            .await,
        404
    );
    assert!(asking.twilio.kept(&recording).media);
    asking.twilio.set_status(&recording, "absent");
    assert_eq!(asking.status("DELETE", &own).await, 204);
    asking
        .twilio
        .behave(|behaviour| behaviour.second_deletion_is_fine = true);
    assert_eq!(asking.status("DELETE", &own).await, 204);
    assert_eq!(
        asking
            .status("DELETE", &format!("Recordings/{}.json", recording_sid('9')))
            .await,
        404
    );
    assert_eq!(asking.twilio.requests(Call::RecordingDelete), 9);
}

#[tokio::test]
async fn what_was_made_of_a_recording_outlives_it_unless_twilio_takes_it_too() {
    let asking = Asking::begin().await;
    let recording = laden(&asking);
    let below = [
        format!("Recordings/{recording}/Transcriptions.json"),
        format!("Recordings/{recording}/AddOnResults.json"),
    ];
    assert_eq!(
        asking
            .status("DELETE", &format!("Recordings/{recording}.json"))
            .await,
        204
    );
    let kept = asking.twilio.kept(&recording);
    assert_eq!(
        (
            kept.transcriptions.len(),
            kept.add_ons.len(),
            kept.transcripts.len(),
            kept.content()
        ),
        (1, 1, 1, true)
    );
    for list in &below {
        assert_eq!(asking.status("GET", list).await, 404, "{list}");
    }
    asking
        .twilio
        .behave(|behaviour| behaviour.deleted_lists_subresources = true);
    for list in &below {
        assert_eq!(asking.status("GET", list).await, 200, "{list}");
    }
    assert_eq!(
        asking
            .status("DELETE", &format!("Transcriptions/{}.json", sid("TR", '1')))
            .await,
        204
    );

    let recording = laden(&asking);
    asking.twilio.behave(|behaviour| {
        behaviour.deletion_takes_transcriptions = true;
        behaviour.deletion_takes_add_ons = true;
    });
    assert_eq!(
        asking
            .status("DELETE", &format!("Recordings/{recording}.json"))
            .await,
        204
    );
    let kept = asking.twilio.kept(&recording);
    assert_eq!(
        (
            kept.transcriptions.len(),
            kept.add_ons.len(),
            kept.transcripts.len()
        ),
        (0, 0, 1)
    );
}

#[tokio::test]
async fn subresources_are_listed_fetched_and_deleted() {
    let asking = Asking::begin().await;
    let recording = laden(&asking);
    let other = asking.record('2', Duration::ZERO);
    asking.twilio.add_transcription(
        &asking.account,
        TranscriptionFacts::new(sid("TR", '2'), other.clone(), "Bye."),
    );
    assert_eq!(
        asking
            .sids("Transcriptions.json", "transcriptions")
            .await
            .len(),
        2
    );
    let list = format!("Recordings/{recording}/Transcriptions");
    let one = format!("{list}/{}.json", sid("TR", '1'));
    assert_eq!(
        asking.sids(&format!("{list}.json"), "transcriptions").await,
        [sid("TR", '1')]
    );
    let transcription = asking.get(&one).await;
    assert_eq!(
        (
            &transcription["transcription_text"],
            &transcription["recording_sid"]
        ),
        (&"Hello.".into(), &recording.as_str().into())
    );
    assert_eq!(
        asking
            .status("DELETE", &format!("{list}/{}.json", sid("TR", '2')))
            .await,
        404
    );
    assert_eq!(asking.status("DELETE", &one).await, 204);
    assert_eq!(asking.status("GET", &one).await, 404);

    let list = format!("Recordings/{recording}/AddOnResults");
    let one = format!("{list}/{}.json", sid("XR", '1'));
    assert_eq!(
        asking.sids(&format!("{list}.json"), "add_on_results").await,
        [sid("XR", '1')]
    );
    assert_eq!(asking.get(&one).await["reference_sid"], recording.as_str());
    assert_eq!(
        asking
            .status(
                "DELETE",
                &format!("Recordings/{other}/AddOnResults/{}.json", sid("XR", '1'))
            )
            .await,
        404
    );
    assert_eq!(asking.status("DELETE", &one).await, 204);
    assert!(asking.twilio.kept(&recording).add_ons.is_empty());
    assert_eq!(
        (
            asking.twilio.requests(Call::AddOnDelete),
            asking.twilio.requests(Call::TranscriptionDelete)
        ),
        (2, 2)
    );
}
