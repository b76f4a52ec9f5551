//! Messages as Twilio sends them, and malformed ones.

use proptest::prelude::*;

use super::*;
use crate::{
    model::consent::OptOut,
    twilio::signed::{post_form, sid},
};

fn parse(params: &[(&str, &str)]) -> Result<IncomingMessage, CallbackError> {
    let mut all = vec![
        ("AccountSid".to_owned(), sid("AC", "0")),
        ("MessageSid".to_owned(), sid("SM", "1")),
        ("From".to_owned(), "+493023125001".to_owned()),
        ("Body".to_owned(), "Stop recording".to_owned()),
    ];
    all.retain(|(name, _)| !params.iter().any(|(own, _)| own == name));
    all.extend(
        params
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned())),
    );
    IncomingMessage::parse(&post_form("/m", &all))
}

#[test]
fn a_message_comes_in() {
    let message = parse(&[("MessagingServiceSid", &sid("MG", "2")), ("NumMedia", "0")]).unwrap();
    assert_eq!(
        (message.sid.as_str(), message.body.as_str()),
        (sid("SM", "1").as_str(), "Stop recording")
    );
    assert_eq!(
        (message.from, message.keyword),
        ("+493023125001".parse().ok(), None)
    );
    let picture = parse(&[("MessageSid", &sid("MM", "1")), ("Body", "")]).unwrap();
    assert_eq!(
        (picture.sid.as_str(), picture.body.as_str()),
        (sid("MM", "1").as_str(), "")
    );
    // Older names of the parameter.
    assert_eq!(
        parse(&[("MessageSid", ""), ("SmsSid", &sid("SM", "3"))])
            .unwrap()
            .sid
            .as_str(),
        sid("SM", "3")
    );
}

#[test]
fn what_twilio_took_it_for_is_read() {
    let keyword = |word: &str| parse(&[("OptOutType", word)]).unwrap().keyword;
    assert_eq!(keyword("STOP"), Some(Keyword::Known(OptOut::Stop)));
    assert_eq!(keyword("start"), Some(Keyword::Known(OptOut::Start)));
    assert_eq!(keyword("HELP"), Some(Keyword::Known(OptOut::Help)));
    assert_eq!(
        keyword("PAUSE"),
        Some(Keyword::Unknown),
        "a word that comes later"
    );
    assert_eq!(keyword(""), None);
}

#[test]
fn a_sender_is_somebody_or_nobody() {
    let from = |sender: &str| parse(&[("From", sender)]).unwrap().from;
    for sender in [
        "+493023125001",
        "whatsapp:+493023125001",
        "rcs:+493023125001",
    ] {
        assert_eq!(from(sender), "+493023125001".parse().ok(), "{sender}");
    }
    for sender in [
        "",
        "12345",
        "ACME",
        "messenger:1234567890",
        "anonymous",
        "whatsapp:",
    ] {
        assert_eq!(from(sender), None, "{sender}");
    }
}

#[test]
fn what_says_which_message_it_is_is_right_or_refused() {
    for (name, value) in [
        ("MessageSid", ""),
        ("MessageSid", "SM1"),
        ("MessageSid", "RE00000000000000000000000000000000"),
    ] {
        assert!(
            parse(&[(name, value)])
                .unwrap_err()
                .to_string()
                .contains("`MessageSid`"),
            "{value}"
        );
    }
    assert!(
        parse(&[("Body", "a"), ("Body", "b")])
            .unwrap_err()
            .to_string()
            .contains("`Body`")
    );
    assert!(
        parse(&[("From", "a"), ("From", "b")])
            .unwrap_err()
            .to_string()
            .contains("`From`")
    );
}

#[test]
fn nothing_about_anybody_is_printed() {
    let printed = format!("{:?}", parse(&[]).unwrap());
    assert!(
        !printed.contains("4930") && !printed.contains("Stop"),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn any_message_is_read_or_refused(
        params in prop::collection::vec(("From|Body|OptOutType|MessageSid|SmsSid", "\\PC{0,40}|[+0-9a-z:]{0,20}"), 0..8),
    ) {
        let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Ok(message) = parse(&params) {
            prop_assert!(message.sid.as_str().len() == 34);
        }
    }
}
