//! The callbacks and resources of Video.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::twilio::{
    container::FileContainer,
    signed::post_form,
    vectors::{FormVector, arbitrary_json, changed, expanded, id},
};

fn callback(name: &str) -> VideoCallback {
    VideoCallback::parse(&FormVector::named(name).verified()).unwrap()
}

fn track(name: &str) -> TrackRecording {
    match callback(name).event {
        VideoEvent::Track(track) => track,
        other => panic!("{other:?}"),
    }
}

fn composition(name: &str) -> CompositionEvent {
    match callback(name).event {
        VideoEvent::Composition(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_track_is_complete() {
    let told = track("V1");
    assert_eq!(told.source_ref(&id("AC").parse().unwrap()).sid(), id("RT"));
    assert_eq!(
        (told.room.as_str(), told.status.as_str()),
        (id("RM").as_str(), "completed")
    );
    assert_eq!(told.participant.clone().unwrap().as_str(), id("PA"));
    assert_eq!(told.identity, Some("alice".into()));
    assert_eq!(
        (told.kind, told.codec.as_deref()),
        (Some(TrackKind::Video), Some("vp8"))
    );
    assert_eq!((told.size, told.duration_s), (Some(105_956), Some(3)));
    assert_eq!(told.offset_ms, Some(155_137_307_765));
    assert!(callback("V1").at.is_some());
    let printed = format!("{told:?}");
    assert!(
        !printed.contains("alice") && !printed.contains("visit"),
        "{printed}"
    );
}

#[test]
fn sound_is_told_from_picture_by_whatever_there_is() {
    for (changes, kind) in [
        (
            vec![("Type", "Audio"), ("Container", ""), ("Codec", "")],
            Some(TrackKind::Audio),
        ),
        (
            vec![("Container", "MKA"), ("Codec", "")],
            Some(TrackKind::Audio),
        ),
        (
            vec![("Container", ""), ("Codec", "PCMU")],
            Some(TrackKind::Audio),
        ),
        (vec![("Container", ""), ("Codec", "AV1")], None),
    ] {
        let told = VideoCallback::parse(&changed("V1", &changes)).unwrap();
        let VideoEvent::Track(track) = told.event else {
            panic!("{changes:?}")
        };
        assert_eq!(track.kind, kind, "{changes:?}");
    }
}

#[test]
fn a_track_that_failed_says_where() {
    let told = track("V2");
    assert_eq!(
        (told.status.as_str(), told.failed_operation.as_deref()),
        ("failed", Some("recordingupload"))
    );
}

#[test]
fn a_composition_is_there_or_its_hook_failed() {
    let told = composition("V3");
    let made = told.composition.unwrap();
    assert_eq!(
        (told.kind.as_str(), made.sid.as_str()),
        ("available", id("CJ").as_str())
    );
    assert_eq!(made.source_ref(&id("AC").parse().unwrap()).sid(), id("CJ"));
    assert_eq!((made.size, made.duration_s), (Some(4_096_000), Some(61)));
    let failed = composition("V4");
    assert_eq!(
        (failed.kind.as_str(), failed.composition),
        ("hook-failed", None)
    );
    assert_eq!(failed.room.unwrap().as_str(), id("RM"));
    assert!(VideoCallback::parse(&changed("V3", &[("CompositionSid", "")])).is_err());
}

#[test]
fn people_come_to_a_room_and_go() {
    for (word, kind) in [
        ("room-created", RoomEventKind::Created),
        ("room-ended", RoomEventKind::Ended),
        ("participant-connected", RoomEventKind::ParticipantConnected),
        (
            "participant-disconnected",
            RoomEventKind::ParticipantDisconnected,
        ),
    ] {
        let verified = changed("V1", &[("StatusCallbackEvent", word)]);
        let VideoEvent::Room(event) = VideoCallback::parse(&verified).unwrap().event else {
            panic!("{word}")
        };
        assert_eq!((event.kind, event.identity), (kind, Some("alice".into())));
    }
    let other = changed("V1", &[("StatusCallbackEvent", "track-enabled")]);
    assert_eq!(
        VideoCallback::parse(&other).unwrap().event,
        VideoEvent::Other
    );
}

#[test]
fn what_says_which_recording_it_is_is_right_or_refused() {
    for (field, value) in [
        ("StatusCallbackEvent", ""),
        ("RecordingSid", ""),
        ("RecordingSid", "RE22222222222222222222222222222222"),
        ("RoomSid", "RM1"),
    ] {
        let refused = VideoCallback::parse(&changed("V1", &[(field, value)])).unwrap_err();
        assert!(
            refused.to_string().contains(&format!("`{field}`")),
            "{refused}"
        );
    }
}

#[test]
fn the_resources_are_read_by_the_same_names() {
    let deleted = expanded(
        r#"{"sid":"RT","status":"deleted","type":"video","grouping_sids":{"room_sid":"RM","participant_sid":"PA"},"size":105956,"duration":3}"#,
    );
    let deleted: TrackRecording = serde_json::from_str(&deleted).unwrap();
    assert!(deleted.is_deleted());
    assert_eq!(
        (deleted.room, deleted.participant),
        (track("V1").room, track("V1").participant)
    );
    let made = json!({ "sid": id("CJ"), "room_sid": id("RM"), "status": "completed", "format": "mp4", "date_completed": "2026-11-29T18:05:00Z" });
    let made: Composition = serde_json::from_value(made).unwrap();
    assert_eq!(made.container(), FileContainer::Mp4);
    assert!(made.completed_at.is_some() && !made.is_deleted());
    let person = json!({ "sid": id("PA"), "room_sid": id("RM"), "identity": "alice", "status": "disconnected", "start_time": "2026-11-29T18:05:00Z", "end_time": null });
    let person: RoomParticipant = serde_json::from_value(person).unwrap();
    assert!(person.joined_at.is_some() && person.left_at.is_none());
}

proptest! {
    #[test]
    fn any_callback_is_read_or_refused(
        kind in "recording-(started|completed|failed)|composition-[a-z-]{0,12}|room-ended|[a-z-]{0,12}",
        fields in prop::collection::vec(("RecordingSid|RoomSid|CompositionSid|Codec|Container|Size|Duration|Timestamp", "\\PC{0,30}|[-0-9a-z]{0,30}"), 0..6),
    ) {
        let mut params = FormVector::named("V1").params();
        params.retain(|(name, _)| name != "StatusCallbackEvent");
        params.push(("StatusCallbackEvent".to_owned(), kind));
        params.extend(fields);
        let _ = VideoCallback::parse(&post_form("/v", &params));
    }

    #[test]
    fn any_resource_is_read_or_refused(value in arbitrary_json()) {
        let object = json!({ "sid": id("RT"), "room_sid": id("RM"), "grouping_sids": value, "codec": value, "size": value });
        let _ = serde_json::from_value::<TrackRecording>(object);
        let _ = serde_json::from_value::<Composition>(value.clone());
        let _: Result<RoomParticipant, _> = serde_json::from_value::<Value>(value).and_then(serde_json::from_value);
    }
}
