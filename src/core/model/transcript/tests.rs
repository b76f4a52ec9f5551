//! Tests of round trips, and of the containment of spoken text.

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = r#"{ "language": "en-US", "source": "example-1", "sentences": [
    { "leg": "callee", "start_ms": 1000, "end_ms": 1900, "text": "Hello.", "confidence": 0.5,
      "words": [{ "text": "Hello.", "start_ms": 1000, "end_ms": 1900 }] },
    { "start_ms": 0, "end_ms": 0, "text": "a --> b\n\n<i>&amp;" } ] }"#;

fn example() -> Transcript {
    Transcript::parse(EXAMPLE.as_bytes()).unwrap()
}

fn sentence(text: &str) -> Sentence {
    Sentence {
        leg: None,
        start_ms: 0,
        end_ms: 1,
        text: Said::new(text.into()),
        confidence: None,
        words: Vec::new(),
    }
}

#[test]
fn what_was_said_comes_back() {
    let read = example();
    let sentences: Vec<_> = read
        .sentences()
        .iter()
        .map(|sentence| (sentence.start_ms, sentence.text.expose()))
        .collect();
    assert_eq!(
        sentences,
        [(0, "a --> b\n\n<i>&amp;"), (1000, "Hello.")],
        "in the order of their beginnings"
    );
    assert_eq!(Transcript::parse(&read.to_json()).unwrap(), read);
}

#[test]
fn webvtt_is_written_down() {
    let expected = "WEBVTT\n\n00:00:00.000 --> 00:00:00.001\na --&gt; b  &lt;i&gt;&amp;amp;\n\n\
                    00:00:01.000 --> 00:00:01.900\n<v callee>Hello.\n";
    assert_eq!(
        String::from_utf8(example().to_vtt(&BTreeSet::new()).to_vec()).unwrap(),
        expected
    );
}

#[test]
fn what_is_missing_is_said_and_older_transcripts_miss_nothing() {
    assert_eq!(example().lost(), 0);
    assert!(
        !String::from_utf8_lossy(&example().to_json()).contains("lost"),
        "readers of before need not know"
    );
    let incomplete = example().with_lost(3);
    let read = Transcript::parse(&incomplete.to_json()).unwrap();
    assert_eq!((read.lost(), &read), (3, &incomplete));
    assert_eq!(
        read.retold(|_, said| (said.text.clone(), Vec::new()))
            .lost(),
        3
    );
    let vtt = String::from_utf8(read.to_vtt(&BTreeSet::new()).to_vec()).unwrap();
    assert!(
        vtt.starts_with(
            "WEBVTT\n\nNOTE Incomplete: 3 pieces of the transcript never arrived.\n\n00:00"
        ),
        "{vtt}"
    );
    assert_eq!(example().with_lost(u32::MAX).lost(), MAX_LOST);
    for bad in ["1000001", "-1", "\"3\"", "null"] {
        assert!(
            Transcript::parse(
                EXAMPLE
                    .replace("\"en-US\"", &format!("\"en-US\", \"lost\": {bad}"))
                    .as_bytes()
            )
            .is_err(),
            "{bad}"
        );
    }
}

#[test]
fn nothing_that_was_said_is_printed() {
    let shown = format!("{:?} {:?}", example(), example().sentences());
    assert!(
        !shown.contains("Hello") && shown.contains("Said(…)"),
        "{shown}"
    );
    for bad in [
        EXAMPLE.replace("\"confidence\": 0.5", "\"Hello\": 0.5"),
        EXAMPLE.replace("\"confidence\": 0.5", "\"confidence\": \"Hello\""),
        EXAMPLE.replace("\"confidence\": 0.5", "\"confidence\": 1.5"),
        EXAMPLE.replace("Hello.", &"Hello".repeat(5000)),
    ] {
        let error = Transcript::parse(bad.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Hello"), "{error:?}");
    }
}

#[test]
fn what_is_out_of_bounds_is_refused_with_its_place() {
    let at = |json: &str| match Transcript::parse(json.as_bytes()).unwrap_err() {
        InvalidTranscript::Value { at, .. } => at,
        other => format!("{other:?}"),
    };
    assert_eq!(
        at(&EXAMPLE.replace("en-US", "english language")),
        "language"
    );
    assert_eq!(at(&EXAMPLE.replace("example-1", "")), "source");
    assert_eq!(
        at(&EXAMPLE.replace("\"end_ms\": 1900, \"text\"", "\"end_ms\": 999, \"text\"")),
        "sentences[0].end_ms"
    );
    assert_eq!(
        at(&EXAMPLE.replace("\"end_ms\": 1900 }", "\"end_ms\": 604800001 }")),
        "sentences[0].words[0].end_ms"
    );
    assert_eq!(
        at(&EXAMPLE.replace("0.5", "1.01")),
        "sentences[0].confidence"
    );
    assert_eq!(
        at(&EXAMPLE.replace("a --> b", "\\u0000")),
        "sentences[1].text"
    );
    for bad in [
        EXAMPLE.replace("\"language\"", "\"lang\""),
        EXAMPLE.replace("\"start_ms\": 0", "\"start_ms\": -1"),
        EXAMPLE.replace("\"callee\"", "\"Anna Schmidt\""),
        format!("{EXAMPLE} x"),
        EXAMPLE.replace("\"source\"", "\"more\": 1, \"source\""),
        String::new(),
    ] {
        assert!(
            matches!(
                Transcript::parse(bad.as_bytes()),
                Err(InvalidTranscript::Form { .. })
            ),
            "{bad}"
        );
    }
    assert_eq!(
        Transcript::parse(&vec![b' '; MAX_BYTES + 1]),
        Err(InvalidTranscript::TooLong)
    );
}

#[test]
fn no_control_character_stands_in_what_was_said() {
    let made = |text: &str| Transcript::new("en".into(), "x".into(), vec![sentence(text)]);
    assert!(made("a\tb\r\nc").is_ok());
    for c in ['\0', '\u{7}', '\u{1b}', '\u{7f}', '\u{9b}'] {
        let fault = made(&format!("a{c}")).unwrap_err().to_string();
        assert!(
            fault.contains("sentences[0].text") && fault.contains("control character"),
            "{fault}"
        );
    }
}

#[test]
fn bounds_hold_to_the_character() {
    let made = |sentences| Transcript::new("en".into(), "x".into(), sentences).is_ok();
    assert!(
        made(vec![sentence(&"ä".repeat(MAX_CHARS))])
            && !made(vec![sentence(&"ä".repeat(MAX_CHARS + 1))])
    );
    assert!(
        made(vec![sentence(""); MAX_SENTENCES]) && !made(vec![sentence(""); MAX_SENTENCES + 1])
    );
    let word = |length| SpokenWord {
        text: Said::new("x".repeat(length)),
        start_ms: 0,
        end_ms: 0,
    };
    let words = |count, length| {
        vec![Sentence {
            words: vec![word(length); count],
            ..sentence("")
        }]
    };
    assert!(
        made(words(MAX_WORDS, MAX_WORD_CHARS))
            && !made(words(MAX_WORDS + 1, 1))
            && !made(words(1, MAX_WORD_CHARS + 1))
    );
}

/// Returns the cues of a WebVTT file as a browser parses them (section 6): blocks between empty
/// lines, a line with an arrow, then the text, unescaped.
fn cues(vtt: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(vtt).unwrap();
    let mut blocks = text.strip_prefix("WEBVTT\n").unwrap().split("\n\n");
    let first = blocks.next().unwrap();
    let cue = |block: &str| {
        let (timing, payload) = block.split_once('\n').unwrap();
        let (start, end) = timing.split_once(" --> ").unwrap();
        assert!(start.len() >= 12 && end != start, "{timing}");
        let payload = payload.strip_prefix("<v caller>").unwrap_or(payload);
        assert!(!payload.contains("-->") && !payload.contains('<'));
        payload
            .trim_end_matches('\n')
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    first
        .strip_prefix('\n')
        .filter(|block| !block.is_empty())
        .into_iter()
        .chain(blocks)
        .map(cue)
        .collect()
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n\r<>&-]{0,60}",
        "\\PC{0,40}",
        "(-->|\n\n|WEBVTT|NOTE x|<v caller>|&lt;){1,6}"
    ]
}

proptest! {
    #[test]
    fn any_transcript_comes_back_and_every_sentence_is_one_cue(
        texts in prop::collection::vec((any_text(), 0..MAX_MS, 0..1000u64, any::<bool>()), 0..12),
    ) {
        let sentences = texts.into_iter().map(|(text, start_ms, length, caller)| Sentence {
            leg: caller.then(|| "caller".parse().unwrap()),
            start_ms,
            end_ms: (start_ms + length).min(MAX_MS),
            ..sentence(&text)
        });
        let made = Transcript::new("en".into(), "x".into(), sentences.collect()).unwrap();
        prop_assert_eq!(&Transcript::parse(&made.to_json()).unwrap(), &made);
        let flat = |text: &str| text.trim().replace(['\n', '\r'], " ");
        let said: Vec<String> = made.sentences().iter().map(|sentence| flat(sentence.text.expose())).filter(|text| !text.is_empty()).collect();
        prop_assert_eq!(cues(&made.to_vtt(&BTreeSet::new())), said);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Transcript::parse(&bytes);
    }

    #[test]
    fn any_damage_is_read_or_refused(at in 0..EXAMPLE.len(), cut in any::<bool>(), byte in any::<u8>()) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Ok(read) = Transcript::parse(&bytes) {
            prop_assert_eq!(Transcript::parse(&read.to_json()).unwrap(), read);
        }
    }
}
