//! Tests of the consent rules in the file.

use super::*;
use crate::model::consent::{Answer, OptOut};
use crate::policy::document::NoticeSender;
use crate::samples::asking;

fn read(text: &str) -> ConsentRules {
    PolicyDocument::read("p.toml", text)
        .unwrap_or_else(|faults| panic!("{faults:#?}"))
        .0
        .consent
}

#[test]
fn a_file_that_asks_for_nothing_asks_for_nothing() {
    let consent = read(SHIPPED);
    assert!(consent.voice.is_none() && consent.messages.is_empty());
}

#[test]
fn the_example_in_the_shipped_file_loads_as_it_is() {
    let (document, warnings) =
        PolicyDocument::read("p.toml", &asking()).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(warnings, []);
    let voice = document.consent.voice.unwrap();
    assert_eq!(
        voice
            .purposes
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["recording", "training"]
    );
    assert_eq!(
        (
            voice.attempts,
            voice.patience_s,
            voice.min_confidence_percent
        ),
        (2, 5, 50)
    );
    let languages: Vec<_> = voice
        .languages
        .iter()
        .map(|spoken| spoken.language.as_str())
        .collect();
    assert_eq!(languages, ["en-US", "de-DE"]);
    let english = &voice.languages[0];
    assert_eq!(
        (
            english.voice.as_deref(),
            english.yes.digit,
            english.no.digit
        ),
        (Some("Polly.Joanna-Neural"), '1', '2')
    );
    assert_eq!(english.yes.words, ["yes", "yes please", "i agree"]);
    assert!(english.text.contains("Twilio") && english.declined.contains("not recorded"));
    let [withdrawal, help] = &document.consent.messages[..] else {
        panic!()
    };
    assert_eq!(
        (withdrawal.words[0].as_str(), withdrawal.opt_out),
        ("stop recording", Some(OptOut::Stop))
    );
    assert_eq!(
        (withdrawal.answer, withdrawal.purposes.len()),
        (Some(Answer::Withdrawn), 0)
    );
    assert_eq!((help.answer, help.reply.is_some()), (None, true));
}

#[test]
fn every_fault_of_the_questions_is_told_with_its_line() {
    let text = asking();
    let english = "yes = { digit = \"1\", words = [\"yes\", \"yes please\", \"i agree\"] }";
    let cases = [
        // (what is changed, into what, the line that is named, what is said)
        (
            "purposes = [\"recording\", \"training\"]",
            "purposes = [\"training\"] # bare",
            "[consent.voice]",
            "must hold `recording`",
        ),
        (
            "[\"recording\", \"training\"]",
            "[\"recording\", \"sale\"]",
            "\"sale\"",
            "`purposes` names `sale`, which no `[[purposes]]` declares",
        ),
        (
            "[\"recording\", \"training\"]",
            "[\"recording\", \"follow-up\"]",
            "\"recording\", \"follow-up\"",
            "`purposes` names `follow-up`, which does not rest on consent",
        ),
        (
            "[\"recording\", \"training\"]",
            "[\"recording\", \"recording\"]",
            "\"recording\", \"recording\"",
            "`recording` twice",
        ),
        (
            "attempts = 2",
            "attempts = 0",
            "attempts = 0",
            "`attempts`: `0` must be from 1 to 5",
        ),
        (
            "attempts = 2",
            "attempts = 6",
            "attempts = 6",
            "must be from 1 to 5",
        ),
        (
            "attempts = 2",
            "attempt = 2",
            "attempt = 2",
            "unknown key `attempt` in `[voice]`",
        ),
        (
            "patience_s = 5",
            "patience_s = 61",
            "patience_s = 61",
            "must be from 1 to 60",
        ),
        (
            "min_confidence_percent = 50",
            "min_confidence_percent = 101",
            "= 101",
            "must be from 0 to 100",
        ),
        (
            "language = \"en-US\"",
            "language = \"english\"",
            "\"english\"",
            "`language`: `english` must be a language tag (BCP 47)",
        ),
        (
            "language = \"de-DE\"",
            "language = \"de_DE\"",
            "de_DE",
            "must be a language tag",
        ),
        (
            "language = \"de-DE\"",
            "language = \"EN-us\"",
            "EN-us",
            "`language`: `EN-us` is declared twice",
        ),
        (
            "Twilio carries the call and makes the recording. To agree",
            "To agree",
            "text = \"We would",
            "it does not name `Twilio`",
        ),
        (
            "name = \"Twilio\"",
            "name = \"Carrier\"",
            "text = \"We would",
            "it does not name `Carrier`",
        ),
        (
            "agreed = \"Thank you. This call is recorded.\"",
            "",
            "[[consent.voice.languages]]",
            "`agreed` is missing in `[[languages]]`",
        ),
        (
            english,
            "yes = { digit = \"#\", words = [\"yes\"] }",
            "\"#\"",
            "`digit`: `#` must be one key",
        ),
        (
            english,
            "yes = { digit = \"11\", words = [\"yes\"] }",
            "\"11\"",
            "`digit`: `11` must be one key",
        ),
        (
            english,
            "yes = { digit = \"2\", words = [\"yes\"] }",
            "[[consent.voice.languages]]",
            "are the same key `2`",
        ),
        (
            english,
            "yes = { digit = \"1\", words = [\"No!\"] }",
            "[[consent.voice.languages]]",
            "`no` in `[[languages]]` means both",
        ),
        (
            english,
            "yes = { digit = \"1\", words = [\"...\"] }",
            "[\"...\"]",
            "`words` must hold 1 to 100 utterances",
        ),
        (
            english,
            "yes = { digit = \"1\", words = [] }",
            "words = []",
            "`words` must hold 1 to 100 utterances",
        ),
        (
            english,
            "yes = { digit = \"1\" }",
            "[[consent.voice.languages]]",
            "need `words` both, or neither",
        ),
        (
            "opt_out = \"STOP\"",
            "opt_out = \"stop\"",
            "\"stop\"",
            "`opt_out` in `[[messages]]`: expected one of `STOP`, `START`, `HELP`",
        ),
        (
            "answer = \"withdrawn\"",
            "answer = \"revoked\"",
            "answer = \"revoked\"",
            "`answer` in `[[messages]]`: expected one of `given`, `declined`, `withdrawn`",
        ),
        (
            "answer = \"withdrawn\"",
            "answer = \"given\"",
            "[[consent.messages]]",
            "name the purposes of this yes",
        ),
        ("answer = \"withdrawn\"\n", "", "[[consent.messages]]", ""),
        (
            "words = [\"recording help\"]",
            "words = [\"Stop, recording\"]",
            "# second",
            "`stop recording` is in two `[[messages]]`",
        ),
        (
            "words = [\"recording help\"]",
            "opt_out = \"STOP\"",
            "# second",
            "`opt_out = \"STOP\"` is in two",
        ),
        (
            "words = [\"recording help\"]",
            "",
            "# second",
            "matches no message",
        ),
        (
            "reply = \"Send STOP",
            "replies = \"Send STOP",
            "# second",
            "has no effect: give it an `answer` or a `reply`",
        ),
    ];
    for (from, to, marker, said) in cases {
        assert!(text.contains(from), "the example has `{from}`");
        let mut text = text.replacen(from, to, 1);
        text = text.replacen(
            "[[consent.messages]]\nwords = [\"recording help\"]",
            "[[consent.messages]] # second\nwords = [\"recording help\"]",
            1,
        );
        for first in [
            "words = [\"Stop, recording\"]",
            "opt_out = \"STOP\"\nreply = \"Send",
            "\nreply = \"Send",
            "words = [\"recording help\"]\nreplies",
        ] {
            text = text.replacen(
                &format!("[[consent.messages]]\n{first}"),
                &format!("[[consent.messages]] # second\n{first}"),
                1,
            );
        }
        if said.is_empty() {
            // A reply alone is not a fault, even beside an opt-out; the warning states that it is
            // not delivered.
            assert!(
                PolicyDocument::read("p.toml", &text.replacen("purposes = []", "", 1)).is_ok(),
                "{from}"
            );
            continue;
        }
        assert_told(&text, marker, said, to);
    }
}

#[test]
fn a_reply_to_an_opt_out_is_odd() {
    let text = asking().replacen("words = [\"stop recording\"", "words = [\"Stop.\"", 1);
    let (_, warnings) = PolicyDocument::read("p.toml", &text).unwrap();
    let [odd] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(odd.reason.contains("error 21610"), "{odd}");
}

#[test]
fn keys_alone_are_an_answer_where_nobody_is_asked_to_speak() {
    let mut text = asking();
    for words in [
        ", words = [\"yes\", \"yes please\", \"i agree\"]",
        ", words = [\"no\", \"no thank you\", \"i do not agree\"]",
    ] {
        assert!(text.contains(words));
        text = text.replacen(words, "", 1);
    }
    let voice = read(&text).voice.unwrap();
    assert_eq!(voice.languages[0].hints().count(), 0);
}

#[test]
fn text_that_is_too_long_to_be_said_at_once_is_refused() {
    let long = |characters: usize| {
        asking().replacen(
            "We would like",
            &format!("{} We would like", "x".repeat(characters)),
            1,
        )
    };
    let own = read(&asking()).voice.unwrap().languages[0]
        .text
        .chars()
        .count();
    assert_eq!(
        read(&long(4096 - own - 1)).voice.unwrap().languages[0]
            .text
            .chars()
            .count(),
        4096
    );
    assert!(
        faults(&long(4096 - own))
            .iter()
            .any(|fault| fault.contains("`text` has at most 4096 characters"))
    );
}

proptest! {
    #[test]
    fn any_damaged_question_is_read_or_refused(at in 0_usize..12_000, cut in 0_usize..60, put in "[\\[\\]{}=\",.a-z0-9\n #'\\\\-]{0,20}") {
        let text = asking();
        let start = text.find("[consent.voice]").unwrap();
        let at = start + at % (text.len() - start);
        if let (Some(head), Some(tail)) = (text.get(..at), text.get((at + cut).min(text.len())..))
            && let Err(faults) = PolicyDocument::read("p.toml", &format!("{head}{put}{tail}"))
        {
            prop_assert!(!faults.is_empty());
        }
    }
}

/// The shipped file with what a notice needs.
fn with_notice(collection: &str, first: &str) -> String {
    let text = SHIPPED.replacen(
        "[collection]\n",
        "[collection]\nkinds = [\"call\", \"message\"]\n",
        1,
    );
    let text = text.replacen("basis = \"legitimate-interest\"", collection, 1);
    format!("{text}\n[consent.messages_first]\n{first}\n")
}

#[test]
fn a_notice_names_controller_and_processors_and_something_waits_for_its_answer() {
    let consent = "basis = \"consent\"";
    let named = "text = \"Example Company keeps this. Twilio carries it.\"";
    let first = read(&with_notice(consent, named)).messages_first.unwrap();
    assert_eq!(first.sent_by, NoticeSender::Vault);
    let by_application = format!("{named}\nsent_by = \"application\"");
    let first = read(&with_notice(consent, &by_application)).messages_first;
    assert_eq!(first.unwrap().sent_by, NoticeSender::Application);

    let faults = |collection: &str, first: &str| faults(&with_notice(collection, first)).join("\n");
    let nameless = faults(consent, "text = \"We keep this. Twilio carries it.\"");
    assert!(
        nameless.contains("does not name `Example Company`"),
        "{nameless}"
    );
    let nameless = faults(consent, "text = \"Example Company keeps this.\"");
    assert!(nameless.contains("does not name `Twilio`"), "{nameless}");
    let open = faults("basis = \"contract\"", named);
    assert!(open.contains("no message waits for an answer"), "{open}");
    let someone = faults(consent, &format!("{named}\nsent_by = \"nobody\""));
    assert!(someone.contains("sent_by"), "{someone}");
    let calls = with_notice(consent, named).replacen("kinds = [\"call\", \"message\"]\n", "", 1);
    let calls = super::faults(&calls).join("\n");
    assert!(calls.contains("no message is kept"), "{calls}");
    let said = with_notice(consent, named)
        + "\n[[consent.messages]]\nwords = [\"told\"]\nanswer = \"informed\"\npurposes = [\"recording\"]\n";
    let said = super::faults(&said).join("\n");
    assert!(said.contains("not what they say"), "{said}");
}
