//! TwiML as an independent parser reads it.

use proptest::prelude::*;
use roxmltree::Document;

use super::*;

fn say(text: &str) -> TwimlSay {
    TwimlSay {
        text: text.into(),
        language: "en-US".into(),
        voice: Some("Polly.Joanna-Neural".into()),
    }
}

fn gather(text: &str, hints: &[&str]) -> Verb {
    let hints = hints.iter().map(|hint| (*hint).to_owned()).collect();
    Verb::Gather(Gather {
        say: say(text),
        action: "https://vault.example.com/x?a=1&b=2".into(),
        timeout_s: 5,
        hints,
    })
}

fn rendered(verbs: impl IntoIterator<Item = Verb>) -> String {
    verbs
        .into_iter()
        .fold(Response::default(), Response::with)
        .to_string()
}

/// Every verb, and the output of Twilio's own library (twilio 9.13.0,
/// `twilio.twiml.voice_response`) for it; its attributes are in alphabetical order.
#[test]
fn each_verb_says_what_twilios_own_library_says() {
    let attributes = |node: roxmltree::Node<'_, '_>| {
        let mut all: Vec<_> = node
            .attributes()
            .map(|each| (each.name().to_owned(), each.value().to_owned()))
            .collect();
        all.sort();
        all
    };
    let number = |whisper: Option<&str>| Dial {
        to: Endpoint::Number("+493023125001".into()),
        whisper: whisper.map(str::to_owned),
    };
    for (verb, theirs) in [
        (
            gather("Yes or no?", &["yes", "no"]),
            r#"<Gather action="https://vault.example.com/x?a=1&amp;b=2" bargeIn="false" hints="yes,no" input="dtmf speech" language="en-US" method="POST" numDigits="1" speechTimeout="auto" timeout="5"><Say language="en-US" voice="Polly.Joanna-Neural">Yes or no?</Say></Gather>"#,
        ),
        (
            gather("1 or 2?", &[]),
            r#"<Gather action="https://vault.example.com/x?a=1&amp;b=2" bargeIn="false" input="dtmf" method="POST" numDigits="1" timeout="5"><Say language="en-US" voice="Polly.Joanna-Neural">1 or 2?</Say></Gather>"#,
        ),
        (
            Verb::Redirect("https://a.example/?b&c".into()),
            r#"<Redirect method="POST">https://a.example/?b&amp;c</Redirect>"#,
        ),
        (
            Verb::StartRecording(StartRecording {
                callback: "https://a.example/r".into(),
            }),
            r#"<Start><Recording channels="dual" recordingStatusCallback="https://a.example/r" recordingStatusCallbackEvent="in-progress completed absent" recordingStatusCallbackMethod="POST" /></Start>"#,
        ),
        (
            Verb::Dial(number(None)),
            "<Dial><Number>+493023125001</Number></Dial>",
        ),
        (
            Verb::Dial(number(Some("https://a.example/w"))),
            r#"<Dial><Number method="POST" url="https://a.example/w">+493023125001</Number></Dial>"#,
        ),
        (
            Verb::Dial(Dial {
                to: Endpoint::Sip("sip:a@example.com".into()),
                whisper: None,
            }),
            "<Dial><Sip>sip:a@example.com</Sip></Dial>",
        ),
        (
            Verb::Dial(Dial {
                to: Endpoint::Client("agent_7".into()),
                whisper: None,
            }),
            "<Dial><Client>agent_7</Client></Dial>",
        ),
        (Verb::Hangup, "<Hangup />"),
        (Verb::Message("Done.".into()), "<Message>Done.</Message>"),
    ] {
        let ours = rendered([verb]);
        let theirs =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{theirs}</Response>");
        let ours = Document::parse(&ours).unwrap();
        let theirs = Document::parse(&theirs).unwrap();
        let all = |document: &Document<'_>| -> Vec<_> {
            document
                .descendants()
                .map(|node| {
                    (
                        node.tag_name().name().to_owned(),
                        attributes(node),
                        node.text().map(str::to_owned),
                    )
                })
                .collect()
        };
        assert_eq!(all(&ours), all(&theirs));
    }
}

#[test]
fn nothing_to_say_is_an_empty_response() {
    assert_eq!(
        Response::default().to_string(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>"
    );
    assert_eq!(Response::default().with_any(None), Response::default());
}

#[test]
fn verbs_come_in_their_order() {
    let text = rendered([gather("?", &[]), Verb::Say(say("a")), Verb::Hangup]);
    let document = Document::parse(&text).unwrap();
    let names: Vec<_> = document
        .root_element()
        .children()
        .map(|node| node.tag_name().name())
        .collect();
    assert_eq!(names, ["Gather", "Say", "Hangup"]);
}

#[test]
fn who_is_dialled_is_not_printed() {
    let dial = Dial {
        to: Endpoint::Number("+493023125001".into()),
        whisper: None,
    };
    assert!(!format!("{dial:?}").contains("4930"));
}

/// Replaces characters that XML 1.0 does not allow.
fn allowed(text: &str) -> String {
    let has_no_place = |c: char| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.chars()
        .map(|c| if has_no_place(c) { '\u{fffd}' } else { c })
        .collect()
}

proptest! {
    #[test]
    fn any_text_comes_out_as_it_went_in(text in any::<String>(), url in any::<String>()) {
        let dial = Dial { to: Endpoint::Client(text.clone()), whisper: Some(url.clone()) };
        let document = rendered([Verb::Message(text.clone()), Verb::Dial(dial), Verb::Redirect(url.clone())]);
        let read = Document::parse(&document).unwrap();
        let nodes: Vec<_> = read.root_element().children().collect();
        prop_assert_eq!(nodes.len(), 3);
        prop_assert_eq!(nodes[0].text().unwrap_or_default(), allowed(&text));
        let client = nodes[1].first_child().unwrap();
        prop_assert_eq!((client.text().unwrap_or_default(), client.attribute("url").unwrap()), (&*allowed(&text), &*allowed(&url)));
        prop_assert_eq!(nodes[2].text().unwrap_or_default(), allowed(&url));
    }

    #[test]
    fn any_hint_comes_out_as_it_went_in(text in "[\u{0}-\u{7f}äß<>&\"']{0,40}", hint in "[a-z<>&\"' ]{1,20}") {
        let document = rendered([gather(&text, &[&hint])]);
        let read = Document::parse(&document).unwrap();
        let gather = read.root_element().first_element_child().unwrap();
        prop_assert_eq!(gather.attribute("hints"), Some(&*hint));
        prop_assert_eq!(gather.first_element_child().unwrap().text().unwrap_or_default(), allowed(&text));
    }
}
