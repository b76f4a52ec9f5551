//! Messages as Twilio sends them, and malformed ones.

use proptest::prelude::*;

use super::*;
use crate::{
    model::consent::OptOut,
    twilio::{
        signed::{post_form, sid},
        vectors::{FormVector, changed, id},
    },
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

fn incoming(name: &str) -> IncomingMessage {
    IncomingMessage::parse(&FormVector::named(name).verified()).unwrap()
}

#[test]
fn a_text_is_kept_whole() {
    let text = incoming("M1");
    assert_eq!(text.source_ref().sid(), id("SM"));
    assert_eq!(
        (
            text.sender.expose(),
            text.receiver.expose(),
            text.body.as_str()
        ),
        ("+15005550001", "+15005550006", "Hi, is 5 pm ok?")
    );
    assert_eq!((text.num_media, text.media.len()), (0, 0));
    let kept = ReceivedForm::decode(text.form.as_bytes()).unwrap();
    assert_eq!(kept, FormVector::named("M1").params());
    assert_eq!(
        incoming("M4").messaging_service,
        Some(id("MG").parse().unwrap())
    );
}

#[test]
fn a_picture_names_its_media_by_their_ids() {
    let picture = incoming("M2");
    assert_eq!(picture.source_ref().sid(), id("MM"));
    let sids: Vec<_> = picture
        .media
        .iter()
        .map(|media| media.sid.clone())
        .collect();
    let named = |short: &str| id(short).parse().ok();
    assert_eq!(sids, [named("MEb"), named("MEc")]);
    let types: Vec<&str> = picture
        .media
        .iter()
        .map(|media| media.content_type.as_str())
        .collect();
    assert_eq!(types, ["image/jpeg", "text/vcard"]);
    assert_eq!(picture.num_media, 2);
    // An address elsewhere gives no id, so that nothing is fetched from it.
    for strange in [
        "https://evil.example/x.jpg",
        "https://api.twilio.com/2010-04-01/Accounts/AC99999999999999999999999999999999/Messages/MM/Media/MEb",
        "not an address",
    ] {
        let read = IncomingMessage::parse(&changed("M2", &[("MediaUrl0", strange)])).unwrap();
        assert_eq!(read.media[0].sid, None, "{strange}");
    }
    // Less is announced than there is: the message is complete with all of it.
    let more = IncomingMessage::parse(&changed("M2", &[("NumMedia", "1")])).unwrap();
    assert_eq!((more.num_media, more.media.len()), (2, 2));
    let less = IncomingMessage::parse(&changed("M2", &[("NumMedia", "9")])).unwrap();
    assert_eq!((less.num_media, less.media.len()), (9, 2));
}

#[test]
fn a_sender_who_hides_their_number_has_an_identifier() {
    let hidden = incoming("M3");
    assert_eq!(hidden.from.as_ref(), hidden.sender.address());
    assert_eq!(hidden.from, "whatsapp:US.ABC123XYZ".parse().ok());
    assert_eq!(hidden.sender.expose(), "whatsapp:US.ABC123XYZ");
    assert_eq!(hidden.external_user_id, Some("US.ABC123XYZ".into()));
    assert_eq!(
        hidden.receiver.address(),
        "+15005550006".parse().ok().as_ref()
    );
    for (changes, id) in [
        (
            vec![("ExternalUserId", ""), ("ExternalUserIdentifier", "US.Z")],
            "US.Z",
        ),
        (vec![("ExternalUserId", "")], "US.ABC123XYZ"),
    ] {
        let read = IncomingMessage::parse(&changed("M3", &changes)).unwrap();
        assert_eq!(read.external_user_id, Some(id.into()));
    }
}

#[test]
fn a_status_is_told_from_a_message() {
    for (name, status, error_code) in [("M5", "delivered", None), ("M6", "read", None)] {
        let verified = FormVector::named(name).verified();
        let read = MessageStatusCallback::parse(&verified).unwrap();
        assert_eq!(
            (read.status.as_str(), read.error_code),
            (status, error_code)
        );
        assert!(read.is_final());
        assert_eq!(read.source_ref().sid(), id("SM"));
        assert_eq!(read.to.address(), "+15005550001".parse().ok().as_ref());
        let refused = IncomingMessage::parse(&verified).unwrap_err().to_string();
        assert!(refused.contains("`MessageStatus` is present"), "{refused}");
    }
    // Present without a value is present, too.
    let params = [
        ("AccountSid", id("AC")),
        ("MessageSid", id("SM")),
        ("MessageStatus", String::new()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    assert!(IncomingMessage::parse(&post_form("/m", &params)).is_err());
    for name in ["M1", "M2", "M3", "M4"] {
        let refused = MessageStatusCallback::parse(&FormVector::named(name).verified());
        assert_eq!(
            refused,
            Err(CallbackError::Missing {
                field: "MessageStatus"
            }),
            "{name}"
        );
    }
    for (status, is_final) in [
        ("sent", false),
        ("queued", false),
        ("failed", true),
        ("partially_delivered", false),
    ] {
        let verified = changed("M5", &[("MessageStatus", status), ("ErrorCode", "30003")]);
        let read = MessageStatusCallback::parse(&verified).unwrap();
        assert_eq!(
            (read.is_final(), read.error_code),
            (is_final, Some(30003)),
            "{status}"
        );
    }
    for bad in ["DELIVERED", "a b", &"a".repeat(33)] {
        assert!(MessageStatusCallback::parse(&changed("M5", &[("MessageStatus", bad)])).is_err());
    }
    let printed = format!(
        "{:?}",
        MessageStatusCallback::parse(&FormVector::named("M5").verified())
    );
    assert!(!printed.contains("1500"), "{printed}");
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
        params in prop::collection::vec(("From|To|Body|OptOutType|MessageSid|SmsSid|NumMedia|Media(Url|ContentType)[0-2]|ExternalUserId|MessageStatus", "\\PC{0,40}|[-+0-9a-z:]{0,20}"), 0..8),
    ) {
        let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Ok(message) = parse(&params) {
            prop_assert!(message.sid.as_str().len() == 34);
            prop_assert!(message.media.len() <= message.num_media);
        }
    }
}
