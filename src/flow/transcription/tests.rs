//! Assembly of pieces to sentences, in any order, and with missing pieces.

use proptest::prelude::*;

use super::{
    intelligence::sentences_of,
    legs::Legs,
    real_time::{HeardUtterance, assembled, best, lost},
    text::language,
};
use crate::{
    db::utterances::Utterance,
    model::{
        recording::{Recording, RecordingState},
        text::is_prose,
        time::Timestamp,
        transcript::{MAX_MS, Said, Sentence, Transcript},
    },
    twilio::{SentenceResource, transcription::Track},
};

const BEGAN: Timestamp = Timestamp::from_millis(1_750_000_000_000);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(BEGAN.as_millis() + millis)
}

fn heard(track: Track, millis: i64, text: &str) -> HeardUtterance {
    HeardUtterance {
        track,
        at: at(millis),
        said: Said::new(text.into()),
        confidence: None,
        language: None,
    }
}

fn shown(sentences: &[Sentence]) -> Vec<(&str, u64, u64, &str)> {
    sentences
        .iter()
        .map(|said| {
            (
                said.leg.as_ref().unwrap().as_str(),
                said.start_ms,
                said.end_ms,
                said.text.expose(),
            )
        })
        .collect()
}

#[test]
fn a_piece_ends_when_it_was_told_and_begins_after_the_one_before() {
    let pieces = [
        heard(Track::Inbound, 2_000, "0123456789"),
        heard(Track::Inbound, 2_300, "0123456789"),
        heard(Track::Outbound, 2_100, "Yes."),
    ];
    let expected = [
        ("caller", 1_400, 2_000, "0123456789"),
        ("caller", 2_000, 2_300, "0123456789"),
        ("callee", 1_860, 2_100, "Yes."),
    ];
    assert_eq!(
        shown(&assembled(&pieces, BEGAN, Some(30_000), &Legs::default())),
        expected
    );
}

#[test]
fn what_was_said_outside_the_recording_is_not_in_it() {
    let pieces = [
        heard(Track::Inbound, -10_001, "before"),
        heard(Track::Inbound, -10_000, "just before"),
        heard(Track::Inbound, 20_000, "in"),
        heard(Track::Inbound, 39_900, "just after"),
        heard(Track::Inbound, 40_001, "after"),
    ];
    let sentences = assembled(&pieces, BEGAN, Some(30_000), &Legs::default());
    assert_eq!(
        shown(&sentences)
            .iter()
            .map(|said| (said.2, said.3))
            .collect::<Vec<_>>(),
        [(0, "just before"), (20_000, "in"), (30_000, "just after")]
    );
    assert_eq!(
        assembled(&pieces, BEGAN, None, &Legs::default()).len(),
        4,
        "of unknown length"
    );
}

#[test]
fn numbers_count_within_a_track_even_if_clocks_go_back() {
    let pieces = [
        heard(Track::Inbound, 5_000, "first"),
        heard(Track::Inbound, 4_000, "second"),
    ];
    let sentences = assembled(&pieces, BEGAN, None, &Legs::default());
    let transcript = Transcript::new("en".into(), "x".into(), sentences).unwrap();
    let order: Vec<_> = transcript
        .sentences()
        .iter()
        .map(|said| (said.text.expose(), said.end_ms))
        .collect();
    assert_eq!(order, [("first", 5_000), ("second", 5_000)]);
}

fn rows(of: &[(&str, &[i64])]) -> Vec<Utterance> {
    of.iter()
        .flat_map(|(track, numbers)| {
            numbers.iter().map(|n| Utterance {
                track: (*track).into(),
                sequence: *n,
                sealed: Vec::new(),
            })
        })
        .collect()
}

#[test]
fn what_was_numbered_and_never_came_is_counted() {
    let i = "inbound_track";
    let o = "outbound_track";
    let none = "";
    for (of, missing) in [
        (&[][..], 0),
        (&[(i, &[5][..])], 0),
        (&[(i, &[1, 2, 4])], 1),
        // One sequence for all events.
        (&[(none, &[1, 6]), (i, &[2, 4]), (o, &[3, 5])], 0),
        (&[(none, &[1, 9]), (i, &[2, 4]), (o, &[3, 5])], 3),
        // One sequence for each side.
        (
            &[(none, &[0, 1]), (i, &[1, 2, 3]), (o, &[1, 2, 3, 4, 5])],
            0,
        ),
        (&[(i, &[1, 3]), (o, &[1, 2, 5])], 3),
        (&[(i, &[0, i64::from(u32::MAX)])], u32::MAX - 1),
    ] {
        assert_eq!(lost(&rows(of)), missing, "{of:?}");
    }
}

fn recording(started: Option<i64>, seconds: i64, state: RecordingState) -> Recording {
    Recording {
        started_at: started.map(at),
        duration_s: Some(seconds),
        state,
        ..crate::samples::recording(at(100_000))
    }
}

#[test]
fn of_several_recordings_of_a_call_the_one_that_covers_most_is_meant() {
    let said = |from: i64, to: i64| Some((at(from), at(to)));
    let pick = |all: &[Recording], span| {
        best(all.to_vec(), span).map(|found| all.iter().position(|one| one.id == found.id).unwrap())
    };
    let first = recording(Some(0), 30, RecordingState::Sealed);
    let second = recording(Some(60_000), 30, RecordingState::Announced);
    let both = [first.clone(), second.clone()];
    assert_eq!(pick(&both, said(2_000, 25_000)), Some(0));
    assert_eq!(pick(&both, said(61_000, 80_000)), Some(1));
    assert_eq!(pick(&both, said(35_000, 80_000)), Some(1));
    assert_eq!(
        pick(&both, said(200_000, 210_000)),
        None,
        "nobody recorded it"
    );
    assert_eq!(pick(&[], said(0, 1)), None);
    // A shredded recording that covers the period is chosen nevertheless; one without audio is not.
    let gone = Recording {
        state: RecordingState::Shredded,
        ..first.clone()
    };
    assert_eq!(pick(&[gone, second.clone()], said(2_000, 25_000)), Some(0));
    let absent = Recording {
        state: RecordingState::Absent,
        ..first.clone()
    };
    assert_eq!(pick(&[absent, second], said(2_000, 25_000)), None);
    let unknown = recording(None, 30, RecordingState::Sealed);
    assert_eq!(
        pick(&[unknown.clone(), first], said(2_000, 25_000)),
        Some(1)
    );
    assert_eq!(pick(&[unknown], said(2_000, 25_000)), Some(0));
}

fn told(json: &str) -> SentenceResource {
    serde_json::from_str(json).unwrap()
}

#[test]
fn sentences_are_brought_into_the_houses_form() {
    let long = format!(
        r#"{{"transcript": "{}", "start_time": "1", "end_time": "0.5"}}"#,
        "x".repeat(30_000)
    );
    let all = vec![
        told(
            r#"{"media_channel": 2, "start_time": "0.4", "end_time": "1.9", "transcript": "Hello.", "confidence": "0.5",
               "words": [{"word": "Hello.", "start_time": null, "end_time": "1.2"}]}"#,
        ),
        told(
            r#"{"media_channel": 1, "start_time": null, "end_time": null, "transcript": "When?"}"#,
        ),
        told(&long),
    ];
    let sentences = sentences_of(all.clone(), &Legs::default(), 0);
    let [first, second, third] = sentences.as_slice() else {
        panic!()
    };
    assert_eq!(
        (
            first.leg.as_ref().unwrap().as_str(),
            first.start_ms,
            first.end_ms,
            first.confidence
        ),
        ("channel-2", 400, 1900, Some(0.5))
    );
    assert_eq!(
        (first.words[0].start_ms, first.words[0].end_ms),
        (400, 1200),
        "a word without a beginning begins with its sentence"
    );
    assert_eq!(
        (
            second.leg.as_ref().unwrap().as_str(),
            second.start_ms,
            second.end_ms
        ),
        ("channel-1", 1900, 1900)
    );
    assert_eq!(
        (
            third.leg.as_ref(),
            third.start_ms,
            third.end_ms,
            third.text.expose().len()
        ),
        (None, 1000, 1000, 20_000)
    );
    let moved = sentences_of(all, &Legs::default(), -500);
    assert_eq!(
        moved.iter().map(|said| said.start_ms).collect::<Vec<_>>(),
        [0, 1400, 500]
    );
    assert_eq!(
        [
            language(Some("de-CH".into())),
            language(Some("deutsch!".into())),
            language(None)
        ],
        ["de-CH", "und", "und"]
    );
}

proptest! {
    #[test]
    fn any_sentences_are_a_transcript(
        all in prop::collection::vec((any::<String>(), "[0-9.e-]{0,8}", "[0-9.e-]{0,8}", any::<Option<i32>>()), 0..20),
        shift in any::<i64>(),
    ) {
        let told = |(text, start, end, channel): &(String, String, String, Option<i32>)| {
            let word = serde_json::json!({ "word": text.repeat(20), "start_time": end, "end_time": start });
            let sentence = serde_json::json!({ "transcript": text, "start_time": start, "end_time": end, "media_channel": channel, "words": [word] });
            told(&sentence.to_string())
        };
        let sentences = sentences_of(all.iter().map(told).collect(), &Legs::default(), shift);
        let transcript = Transcript::new("en".into(), "x".into(), sentences);
        prop_assert!(transcript.is_ok(), "{transcript:?}");
    }

    #[test]
    fn any_pieces_are_a_transcript(
        mut pieces in prop::collection::vec((any::<bool>(), any::<i64>(), ".{0,40}"), 0..30),
        length in prop::option::of(0..MAX_MS),
        began in any::<i64>(),
    ) {
        pieces.sort_by_key(|(inbound, _, _)| !inbound);
        let track = |inbound: bool| if inbound { Track::Inbound } else { Track::Outbound };
        let heard: Vec<HeardUtterance> = pieces
            .into_iter()
            .map(|(inbound, at, text)| HeardUtterance { at: Timestamp::from_millis(at), ..heard(track(inbound), 0, &text) })
            .collect();
        let sentences = assembled(&heard, Timestamp::from_millis(began), length, &Legs::default());
        prop_assert!(sentences.iter().all(|said| said.end_ms <= length.unwrap_or(MAX_MS)));
        // A character that no transcript may contain is removed before a piece is sealed.
        if sentences.iter().all(|said| said.text.expose().chars().all(is_prose)) {
            prop_assert!(Transcript::new("en".into(), "x".into(), sentences).is_ok());
        }
    }
}
