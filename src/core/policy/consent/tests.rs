//! Tests of consent, with statements in every order.

use proptest::prelude::*;

use super::*;
use crate::{
    model::{
        consent::Method,
        id::{ConsentId, SubjectId},
        recording::RecordingState,
    },
    policy::cast::{COLLECTED, NOW, days, in_call, party, recording, said, subject},
};

const ANNA: &str = "caller";
const BERT: &str = "callee";

fn anna() -> Whom {
    Whom::Subject(subject(1))
}

fn bert() -> Whom {
    Whom::Subject(subject(2))
}

fn both() -> Vec<Party> {
    vec![party(ANNA, Some(subject(1))), party(BERT, Some(subject(2)))]
}

fn alone() -> Vec<Party> {
    vec![party(ANNA, Some(subject(1)))]
}

fn covers(parties: Vec<Party>, statements: Vec<Statement>) -> bool {
    let consents = Consents {
        parties,
        statements,
    };
    consents.cover(
        &recording(RecordingState::Sealed, "standard", ""),
        &"training".parse().unwrap(),
        NOW,
    )
}

fn yes(whom: Whom, day: i64) -> Statement {
    said(Answer::Given, whom, &["training"], days(day))
}

fn no(whom: Whom, day: i64) -> Statement {
    said(Answer::Declined, whom, &["training"], days(day))
}

fn withdrawal(whom: Whom, day: i64) -> Statement {
    said(Answer::Withdrawn, whom, &["training"], days(day))
}

#[test]
fn whoever_is_in_a_call_must_agree_before_more_of_it_is_collected() {
    let call: CallSid = format!("CA{}", "7".repeat(32)).parse().unwrap();
    let conversation = Conversation::Call(call.clone());
    let recording: Purpose = "recording".parse().unwrap();
    let now = Timestamp::from_millis(1_000);
    let leg = |name: &str| Party {
        leg: name.parse().unwrap(),
        subject: None,
        channel: None,
        presence: crate::model::subject::Presence::ALWAYS,
    };
    let said = |leg: &str, answer, at| Statement {
        id: ConsentId::random(&mut rand::rng()),
        whom: Whom::Leg(conversation.clone(), Some(leg.parse().unwrap())),
        purposes: [recording.clone()].into(),
        answer,
        method: Method::Keypad,
        disclosure: None,
        policy_version: None,
        at: Timestamp::from_millis(at),
        recorded_at: Timestamp::from_millis(at),
    };
    let covers = |statements: Vec<Statement>| {
        let consents = Consents {
            parties: vec![leg("caller"), leg("callee")],
            statements,
        };
        consents.cover_from_now(&call, &recording, now)
    };
    assert!(!covers(vec![said("caller", Answer::Given, 900)]));
    assert!(covers(vec![
        said("caller", Answer::Given, 900),
        said("callee", Answer::Given, 1_000)
    ]));
    assert!(!covers(vec![
        said("caller", Answer::Given, 900),
        said("callee", Answer::Given, 950),
        said("caller", Answer::Declined, 999)
    ]));
    assert!(
        !covers(vec![
            said("caller", Answer::Given, 900),
            said("callee", Answer::Given, 1_001)
        ]),
        "of which nobody knows yet"
    );
    assert!(
        !Consents {
            parties: Vec::new(),
            statements: vec![said("caller", Answer::Given, 900)]
        }
        .cover_from_now(&call, &recording, now)
    );
}

#[test]
fn every_party_must_have_said_yes() {
    assert!(!covers(both(), vec![]));
    assert!(!covers(both(), vec![yes(anna(), -20)]));
    assert!(!covers(both(), vec![yes(bert(), -20)]));
    assert!(covers(both(), vec![yes(anna(), -20), yes(bert(), -20)]));
    assert!(covers(alone(), vec![yes(anna(), -20)]));
    assert!(
        !covers(both(), vec![yes(anna(), -20), yes(anna(), -19)]),
        "twice the same person is not two"
    );
}

#[test]
fn somebody_who_is_not_known_has_not_said_yes() {
    let stranger = || vec![party(ANNA, Some(subject(1))), party(BERT, None)];
    assert!(!covers(vec![], vec![]));
    assert!(
        !covers(vec![], vec![yes(anna(), -20)]),
        "it is not known that she was in it"
    );
    assert!(
        !covers(vec![], vec![yes(in_call(Some(ANNA)), -10)]),
        "it is not known who else was in it"
    );
    assert!(covers(vec![], vec![yes(in_call(None), -10)]));
    assert!(!covers(stranger(), vec![yes(anna(), -20)]));
    assert!(covers(
        stranger(),
        vec![yes(anna(), -20), yes(in_call(Some(BERT)), -10)]
    ));
    assert!(!covers(
        stranger(),
        vec![yes(anna(), -20), yes(in_call(Some("channel-3")), -10)]
    ));
    assert!(
        covers(stranger(), vec![yes(in_call(None), -10)]),
        "everybody in the call"
    );
    assert!(
        !covers(
            vec![],
            vec![yes(in_call(None), -10), no(in_call(Some(BERT)), -9)]
        ),
        "one of them said no"
    );
}

#[test]
fn a_yes_is_for_the_purposes_it_names() {
    let of = |purposes: &[&str]| {
        covers(
            alone(),
            vec![said(Answer::Given, anna(), purposes, days(-20))],
        )
    };
    assert!(of(&["training"]) && of(&["recording", "training"]) && of(&[]));
    assert!(!of(&["recording"]) && !of(&["quality-review"]));
    let but = said(Answer::Declined, anna(), &[], days(-15));
    assert!(
        !covers(alone(), vec![yes(anna(), -20), but]),
        "a no to everything is a no to this"
    );
}

#[test]
fn a_no_lasts_until_a_later_yes() {
    assert!(!covers(alone(), vec![no(anna(), -20)]));
    assert!(covers(alone(), vec![no(anna(), -20), yes(anna(), -15)]));
    assert!(!covers(alone(), vec![yes(anna(), -20), no(anna(), -15)]));
    assert!(
        covers(alone(), vec![no(anna(), -9), yes(anna(), -1)]),
        "a yes that comes after the recording is evidence too"
    );
    assert!(
        !covers(alone(), vec![yes(anna(), -15), no(anna(), -15)]),
        "of the same moment the no counts"
    );
    assert!(!covers(alone(), vec![no(anna(), -15), yes(anna(), -15)]));
}

#[test]
fn what_is_of_tomorrow_speaks_against_only() {
    assert!(!covers(alone(), vec![yes(anna(), 1)]));
    assert!(covers(alone(), vec![yes(anna(), 0)]));
    assert!(!covers(alone(), vec![yes(anna(), -20), no(anna(), 1)]));
    assert!(!covers(
        alone(),
        vec![yes(anna(), -20), withdrawal(anna(), 1)]
    ));
}

#[test]
fn a_withdrawal_is_final_for_what_was_collected_before() {
    assert!(!covers(
        alone(),
        vec![yes(anna(), -20), withdrawal(anna(), -5)]
    ));
    assert!(
        !covers(
            alone(),
            vec![yes(anna(), -20), withdrawal(anna(), -5), yes(anna(), -1)]
        ),
        "a later yes is for later recordings"
    );
    let at_once = Statement {
        at: COLLECTED,
        recorded_at: COLLECTED,
        ..withdrawal(anna(), 0)
    };
    assert!(!covers(alone(), vec![at_once, yes(anna(), -1)]));
}

#[test]
fn a_yes_after_a_withdrawal_is_for_what_was_collected_after_it() {
    assert!(!covers(alone(), vec![withdrawal(anna(), -20)]));
    assert!(!covers(
        alone(),
        vec![yes(anna(), -30), withdrawal(anna(), -20)]
    ));
    assert!(covers(
        alone(),
        vec![withdrawal(anna(), -20), yes(anna(), -15)]
    ));
    assert!(
        covers(alone(), vec![withdrawal(anna(), -20), yes(anna(), -9)]),
        "said in the call that is recorded"
    );
}

#[test]
fn a_withdrawal_reaches_what_was_collected_until_the_vault_learnt_of_it() {
    let late = |recorded_day| Statement {
        recorded_at: days(recorded_day),
        ..withdrawal(anna(), -20)
    };
    assert!(covers(alone(), vec![late(-12), yes(anna(), -11)]));
    assert!(
        !covers(alone(), vec![late(-12), yes(anna(), -13)]),
        "it went on counting until it was known"
    );
    assert!(
        !covers(alone(), vec![late(-9), yes(anna(), -11)]),
        "it was collected before the vault knew"
    );
}

#[test]
fn what_is_said_in_one_conversation_is_of_that_conversation() {
    let other = Conversation::Call(format!("CA{}", "1".repeat(32)).parse().unwrap());
    assert!(!covers(
        alone(),
        vec![yes(Whom::Leg(other.clone(), None), -10)]
    ));
    assert!(
        covers(
            alone(),
            vec![yes(anna(), -20), no(Whom::Leg(other, None), -9)]
        ),
        "elsewhere"
    );
    assert!(covers(
        both(),
        vec![yes(in_call(Some(ANNA)), -10), yes(in_call(Some(BERT)), -10)]
    ));
    assert!(!covers(both(), vec![yes(in_call(Some(ANNA)), -10)]));
    assert!(
        !covers(
            both(),
            vec![yes(in_call(None), -10), withdrawal(anna(), -5)]
        ),
        "she withdraws what was said for her"
    );
}

#[test]
fn a_leg_of_a_conference_does_not_speak_for_the_others() {
    let conference: crate::model::sid::ConferenceSid =
        format!("CF{}", "0".repeat(32)).parse().unwrap();
    let recording = Recording {
        conference: Some(conference.clone()),
        ..recording(RecordingState::Sealed, "standard", "")
    };
    let in_conference = |leg: Option<&str>| {
        Whom::Leg(
            Conversation::Conference(conference.clone()),
            leg.map(|leg| leg.parse().unwrap()),
        )
    };
    let covers = |statements| {
        Consents {
            parties: both(),
            statements,
        }
        .cover(&recording, &"training".parse().unwrap(), NOW)
    };
    assert!(covers(vec![yes(in_conference(None), -10)]));
    assert!(
        !covers(vec![yes(in_call(None), -10)]),
        "everybody in one call"
    );
    assert!(
        !covers(vec![
            yes(in_conference(None), -10),
            withdrawal(in_call(Some(ANNA)), -5)
        ]),
        "somebody in it said no"
    );
    assert!(!covers(vec![
        yes(in_conference(None), -10),
        no(in_call(None), -5)
    ]));
    assert!(!covers(vec![
        yes(in_conference(None), -10),
        no(in_conference(Some(BERT)), -5)
    ]));
}

#[test]
fn renewed_consent_is_of_everybody_under_that_version_and_after_the_recording() {
    let recording = recording(RecordingState::Sealed, "standard", "");
    let renewed = |statements| {
        Consents {
            parties: both(),
            statements,
        }
        .renew(&recording, &"training".parse().unwrap(), "2", NOW)
    };
    let under = |version: &str, statement| Statement {
        policy_version: Some(version.into()),
        ..statement
    };
    assert!(renewed(vec![
        under("2", yes(anna(), -5)),
        under("2", yes(bert(), -5))
    ]));
    assert!(!renewed(vec![
        under("2", yes(anna(), -5)),
        under("1", yes(bert(), -5))
    ]));
    assert!(
        !renewed(vec![under("2", yes(anna(), -5)), yes(bert(), -5)]),
        "under which one is not known"
    );
    assert!(
        !renewed(vec![
            under("2", yes(anna(), -5)),
            under("2", yes(bert(), -11))
        ]),
        "that was before the recording"
    );
    assert!(!renewed(vec![
        under("2", yes(anna(), -5)),
        under("2", yes(bert(), -5)),
        withdrawal(bert(), -1)
    ]));
    assert!(!renewed(vec![
        under("2", yes(anna(), -5)),
        under("2", yes(bert(), -5)),
        no(bert(), -1)
    ]));
    let more = vec![
        under("2", yes(anna(), -5)),
        under("2", yes(bert(), -5)),
        under("1", yes(bert(), -1)),
        yes(anna(), -5),
    ];
    assert!(
        renewed(more.clone()) && renewed(more.into_iter().rev().collect()),
        "one more yes takes nothing away"
    );
    assert!(!Consents::NONE.renew(&recording, &"training".parse().unwrap(), "2", NOW));
}

fn any_whom() -> impl Strategy<Value = Whom> {
    let leg = prop_oneof![Just(None), Just(Some(ANNA)), Just(Some(BERT))];
    prop_oneof![
        (1..4_u8).prop_map(|number| Whom::Subject(SubjectId::of_hash(&[number; 32]))),
        leg.prop_map(in_call)
    ]
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let purposes = prop_oneof![
        Just(vec![]),
        Just(vec!["training"]),
        Just(vec!["recording"]),
        Just(vec!["recording", "training"])
    ];
    let version = prop_oneof![
        Just(None),
        Just(Some("1".to_owned())),
        Just(Some("2".to_owned()))
    ];
    (
        any_whom(),
        proptest::sample::select(Answer::ALL),
        purposes,
        -25..3_i64,
        0..3_i64,
        version,
    )
        .prop_map(
            |(whom, answer, purposes, day, later, policy_version)| Statement {
                recorded_at: days(day + later),
                policy_version,
                ..said(answer, whom, &purposes, days(day))
            },
        )
}

fn any_parties() -> impl Strategy<Value = Vec<Party>> {
    let subject = || {
        prop_oneof![
            Just(None),
            (1..3_u8).prop_map(|number| Some(subject(number)))
        ]
    };
    let party = prop_oneof![
        subject().prop_map(|who| party(ANNA, who)),
        subject().prop_map(|who| party(BERT, who))
    ];
    proptest::collection::vec(party, 0..3)
}

proptest! {
    #[test]
    fn any_yes_never_takes_anything_away(parties in any_parties(), before in proptest::collection::vec(any_statement(), 0..6), more in any_statement()) {
        let recording = recording(RecordingState::Sealed, "standard", "");
        let purpose = "training".parse().unwrap();
        let less = Consents { parties, statements: before };
        let mut more_said = less.clone();
        more_said.statements.push(Statement { answer: Answer::Given, ..more });
        prop_assert!(!less.cover(&recording, &purpose, NOW) || more_said.cover(&recording, &purpose, NOW));
        prop_assert!(!less.renew(&recording, &purpose, "2", NOW) || more_said.renew(&recording, &purpose, "2", NOW));
    }

    #[test]
    fn any_no_never_gives_anything(parties in any_parties(), before in proptest::collection::vec(any_statement(), 0..6), more in any_statement(), withdrawn in any::<bool>()) {
        let recording = recording(RecordingState::Sealed, "standard", "");
        let purpose = "training".parse().unwrap();
        let less = Consents { parties, statements: before };
        let mut more_said = less.clone();
        more_said.statements.push(Statement { answer: if withdrawn { Answer::Withdrawn } else { Answer::Declined }, ..more });
        prop_assert!(less.cover(&recording, &purpose, NOW) || !more_said.cover(&recording, &purpose, NOW));
    }

    #[test]
    fn any_word_that_somebody_was_told_changes_nothing(parties in any_parties(), before in proptest::collection::vec(any_statement(), 0..6), more in any_statement()) {
        let recording = recording(RecordingState::Sealed, "standard", "");
        let purpose = "training".parse().unwrap();
        let less = Consents { parties, statements: before };
        let mut told = less.clone();
        told.statements.push(Statement { answer: Answer::Informed, ..more });
        prop_assert_eq!(less.cover(&recording, &purpose, NOW), told.cover(&recording, &purpose, NOW));
        prop_assert_eq!(less.renew(&recording, &purpose, "2", NOW), told.renew(&recording, &purpose, "2", NOW));
    }

    #[test]
    fn any_order_of_statements_says_the_same(parties in any_parties(), said in proptest::collection::vec(any_statement(), 0..6)) {
        let recording = recording(RecordingState::Sealed, "standard", "");
        let purpose = "training".parse().unwrap();
        let forth = Consents { parties: parties.clone(), statements: said.clone() };
        let back = Consents { parties: parties.into_iter().rev().collect(), statements: said.into_iter().rev().collect() };
        prop_assert_eq!(forth.cover(&recording, &purpose, NOW), back.cover(&recording, &purpose, NOW));
        prop_assert_eq!(forth.renew(&recording, &purpose, "2", NOW), back.renew(&recording, &purpose, "2", NOW));
    }

    #[test]
    fn any_party_more_never_gives_consent(parties in any_parties(), said in proptest::collection::vec(any_statement(), 0..6)) {
        prop_assume!(!parties.is_empty());
        let recording = recording(RecordingState::Sealed, "standard", "");
        let purpose = "training".parse().unwrap();
        let fewer = Consents { parties, statements: said };
        let mut more = fewer.clone();
        more.parties.push(party("channel-3", None));
        prop_assert!(fewer.cover(&recording, &purpose, NOW) || !more.cover(&recording, &purpose, NOW));
        prop_assert!(fewer.cover(&recording, &purpose, NOW) || !fewer.renew(&recording, &purpose, "2", NOW));
    }
}
