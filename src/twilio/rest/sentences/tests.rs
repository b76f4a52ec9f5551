//! Sentences as Twilio sends them, and malformed ones.

use proptest::prelude::*;

use super::*;

fn read(json: &str) -> Result<SentenceResource, serde_json::Error> {
    serde_json::from_str(json)
}

#[test]
fn a_sentence_is_read_whatever_is_not_known_of_it() {
    let full = r#"{"media_channel": 2, "sentence_index": 0, "start_time": "0.40", "end_time": "1.9", "transcript": "Thank you.", "sid": "GX",
        "confidence": "0.95", "words": [{"word": "Thank", "start_time": "0.40", "end_time": "1.1295"}, {"word": "you.", "start_time": null}]}"#;
    let sentence = read(full).unwrap();
    assert_eq!(
        (
            sentence.media_channel,
            sentence.start_ms,
            sentence.end_ms,
            sentence.confidence
        ),
        (Some(2), Some(400), Some(1900), Some(0.95))
    );
    assert_eq!(sentence.transcript.expose(), "Thank you.");
    let words: Vec<_> = sentence
        .words
        .iter()
        .map(|word| (word.word.expose(), word.start_ms, word.end_ms))
        .collect();
    assert_eq!(
        words,
        [("Thank", Some(400), Some(1130)), ("you.", None, None)]
    );
    assert!(!format!("{sentence:?}").contains("hank"));

    let bare = read(
        r#"{"transcript": "Hm.", "start_time": null, "end_time": null, "confidence": null, "words": null, "media_channel": null}"#,
    );
    let bare = bare.unwrap();
    assert_eq!(
        (
            bare.media_channel,
            bare.start_ms,
            bare.end_ms,
            bare.confidence
        ),
        (None, None, None, None)
    );
    let numbers =
        read(r#"{"transcript": "", "start_time": 1.5, "media_channel": "1", "confidence": 1}"#)
            .unwrap();
    assert_eq!(
        (numbers.start_ms, numbers.media_channel, numbers.confidence),
        (Some(1500), Some(1), Some(1.0))
    );
    for odd in ["-1", "soon", "NaN", "inf", "1e300", ""] {
        assert_eq!(
            read(&format!(
                r#"{{"transcript": "", "start_time": "{odd}", "confidence": "{odd}"}}"#
            ))
            .unwrap()
            .start_ms,
            None,
            "{odd}"
        );
    }
    for share in ["-0.1", "1.1", "NaN", "much"] {
        assert_eq!(
            read(&format!(r#"{{"transcript": "", "confidence": "{share}"}}"#))
                .unwrap()
                .confidence,
            None,
            "{share}"
        );
    }
    assert!(
        read(r#"{"start_time": "0.4"}"#).is_err(),
        "a sentence says something"
    );
}

proptest! {
    #[test]
    fn any_time_is_a_time_or_not_known(text in "[0-9.eE+-]{0,12}") {
        let read = read(&format!(r#"{{"transcript": "", "start_time": "{text}"}}"#)).unwrap();
        let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0 && *seconds < 1e15);
        if let Some(seconds) = seconds {
            #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
            let read = read.start_ms.unwrap() as f64;
            prop_assert!((read - seconds * 1000.0).abs() <= 1.0, "{text}: {read}");
        }
    }

    #[test]
    fn any_sentence_is_read_or_refused(json in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = read(&json);
        let _ = serde_json::from_slice::<SentenceResource>(&bytes);
        let _ = read(&format!(r#"{{"transcript": {json:?}, "words": [{{"word": {json:?}}}]}}"#));
    }
}
