//! Requests for TwiML as Twilio sends them, and malformed ones.

use proptest::prelude::*;

use super::*;
use crate::twilio::signed::{get, post_form, sid};

fn parse(path: &str, params: &[(&str, &str)]) -> Result<VoiceRequest, CallbackError> {
    let mut all = vec![
        ("AccountSid".to_owned(), sid("AC", "0")),
        ("CallSid".to_owned(), sid("CA", "1")),
    ];
    all.retain(|(name, _)| !params.iter().any(|(own, _)| own == name));
    all.extend(
        params
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned())),
    );
    VoiceRequest::parse(&post_form(path, &all))
}

#[test]
fn a_call_comes_in() {
    let request = parse(
        "/v",
        &[
            ("From", "+49 30 23125-001"),
            ("To", "+493023125009"),
            ("Direction", "inbound"),
        ],
    )
    .unwrap();
    assert_eq!(
        (
            request.call.as_str(),
            request.leg.as_str(),
            request.is_whisper
        ),
        (sid("CA", "1").as_str(), CALLER, false)
    );
    assert_eq!(request.address, "+493023125001".parse().ok());
    assert_eq!(request.conversation(), &request.call);
    let step = VoiceStep {
        answers: false,
        attempt: 1,
        language: None,
        policy: None,
        waits_for_both: false,
    };
    assert_eq!(
        (request.step, request.digits, request.speech),
        (step, None, None)
    );
}

#[test]
fn who_is_called_is_the_one_who_hears_it() {
    let request = parse(
        "/v",
        &[
            ("From", "+493023125009"),
            ("To", "+493023125001"),
            ("Direction", "outbound-api"),
        ],
    )
    .unwrap();
    assert_eq!((request.leg.as_str(), request.is_whisper), (CALLER, false));
    assert_eq!(request.address, "+493023125001".parse().ok());
}

#[test]
fn a_whisper_is_about_the_call_that_dialled() {
    let parent = sid("CA", "2");
    let params = [
        ("ParentCallSid", parent.as_str()),
        ("Direction", "outbound-dial"),
        ("From", "+493023125001"),
        ("To", "client:desk"),
    ];
    let request = parse("/v?leg=callee&record=both", &params).unwrap();
    assert_eq!(
        (
            request.leg.as_str(),
            request.is_whisper,
            request.step.waits_for_both
        ),
        (CALLEE, true, true)
    );
    assert_eq!(
        (request.conversation().as_str(), request.address.clone()),
        (parent.as_str(), "client:desk".parse().ok())
    );
    // If Twilio does not report the parent call, it is this call.
    let request = parse("/v?leg=callee", &[("Direction", "outbound-dial")]).unwrap();
    assert_eq!(request.conversation(), &request.call);
    // A dialled call that requests for itself is like any other.
    let request = parse("/v", &params).unwrap();
    assert_eq!(
        (request.is_whisper, request.conversation()),
        (false, &request.call)
    );
    assert!(!parse("/v?leg=caller", &[]).unwrap().is_whisper);
}

#[test]
fn who_is_withheld_is_nobody() {
    for from in [
        "anonymous",
        "Anonymous",
        "unknown",
        "+266696687",
        "12345",
        "",
        "Restricted",
    ] {
        assert_eq!(
            parse("/v", &[("From", from), ("Direction", "inbound")])
                .unwrap()
                .address,
            None,
            "{from}"
        );
    }
}

#[test]
fn an_answer_comes_with_what_our_own_url_carries() {
    let url = "/v?step=answer&attempt=2&language=de-DE&policy=0123456789abcdef";
    let request = parse(url, &[("SpeechResult", "Ja."), ("Confidence", "0.9375")]).unwrap();
    let language = Some("de-DE".into());
    let policy = Some("0123456789abcdef".into());
    assert_eq!(
        request.step,
        VoiceStep {
            answers: true,
            attempt: 2,
            language,
            policy,
            waits_for_both: false
        }
    );
    assert_eq!(
        (request.speech.as_deref(), request.confidence),
        (Some("Ja."), Some(0.9375))
    );
    assert_eq!(
        parse(url, &[("Digits", "1")]).unwrap().digits.as_deref(),
        Some("1")
    );
    // By GET, Twilio's parameters are among ours.
    let path = format!(
        "{url}&AccountSid={}&CallSid={}&Digits=2",
        sid("AC", "0"),
        sid("CA", "1")
    );
    let request = VoiceRequest::parse(&get(&path)).unwrap();
    assert_eq!(
        (request.digits.as_deref(), request.step.attempt),
        (Some("2"), 2)
    );
}

#[test]
fn what_else_our_url_carries_is_kept_in_its_order() {
    let request = parse(
        "/v?queue=claims&step=answer&attempt=1&queue=a%26b&leg=callee",
        &[],
    )
    .unwrap();
    let pairs: Vec<_> = request
        .query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(pairs, [("queue", "claims"), ("queue", "a&b")]);
}

#[test]
fn what_our_url_should_carry_and_does_not_is_as_in_a_first_request() {
    for query in [
        "",
        "?attempt=0",
        "?attempt=-1",
        "?attempt=256",
        "?attempt=1&attempt=2",
        "?step=other",
    ] {
        let step = parse(&format!("/v{query}"), &[]).unwrap().step;
        assert_eq!((step.answers, step.attempt), (false, 1), "{query}");
    }
}

#[test]
fn what_says_which_call_it_is_is_right_or_refused() {
    let field = |result: Result<VoiceRequest, CallbackError>| match result.unwrap_err() {
        CallbackError::Missing { field }
        | CallbackError::Malformed { field, .. }
        | CallbackError::Misdirected { field, .. }
        | CallbackError::Ambiguous { field } => field,
    };
    assert_eq!(field(parse("/v", &[("CallSid", "")])), "CallSid");
    assert_eq!(field(parse("/v", &[("CallSid", "CA1")])), "CallSid");
    assert_eq!(
        field(parse("/v", &[("ParentCallSid", "x")])),
        "ParentCallSid"
    );
    assert_eq!(
        field(parse("/v", &[("Digits", "1"), ("Digits", "2")])),
        "Digits"
    );
    assert_eq!(field(parse("/v?leg=A%20B", &[])), "leg");
}

#[test]
fn nothing_about_anybody_is_printed() {
    let request = parse(
        "/v?language=secret",
        &[
            ("From", "+493023125001"),
            ("Digits", "777"),
            ("SpeechResult", "my secret"),
        ],
    )
    .unwrap();
    let printed = format!("{request:?}");
    assert!(
        !["4930", "777", "secret"]
            .iter()
            .any(|part| printed.contains(part)),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn any_parameters_are_read_or_refused(
        params in prop::collection::vec(("From|To|Direction|Digits|SpeechResult|Confidence|ParentCallSid|CallSid", "\\PC{0,20}|[0-9.+eNaif-]{0,8}"), 0..12),
        query in "(step|attempt|language|leg|policy|record)=[a-z0-9%&=-]{0,30}",
    ) {
        let params: Vec<_> = params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if !query.contains('%') && let Ok(request) = parse(&format!("/v?{query}"), &params) {
            prop_assert!(request.step.attempt > 0);
        }
    }
}
