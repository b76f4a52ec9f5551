//! Parties, statements of consent, holds and quarantine.

mod people;

use std::collections::BTreeSet;

use super::{World, announcement, at, parsed, recording_id, vouched};
use crate::{
    db::{
        accept::Announcement,
        consents::{self, ConsentRow},
        holds,
        notices::{self, NoticeRow},
        parties::{self, Naming},
        quarantine::{self, AffectedScope},
        recordings,
    },
    model::{
        actor::{Actor, Initiator},
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, RecordingId, SubjectId},
        name::LegName,
        recording::Recording,
        subject::{Conversation, Party, PartyScope, Presence},
    },
};

every_database!(
    a_statement_comes_back_as_it_was_told,
    a_statement_told_twice_is_one,
    statements_only_grow,
    a_thread_is_asked_for_its_notice_once,
    statements_are_listed_by_whose_they_are,
    only_standing_holds_have_a_purpose,
    only_what_is_sealed_is_in_quarantine,
    what_is_due_leaves_quarantine_out_of_order,
    those_concerned_are_found_by_conversation_and_by_person,
    a_shred_ends_the_quarantine,
);

async fn a_thread_is_asked_for_its_notice_once(world: &World) {
    let thread = |number: u32| -> Conversation { parsed(&format!("thr_{number:032x}")) };
    let mut tx = world.tx().await;
    let both = [thread(1), thread(2)];
    let first = notices::ask(&mut tx, &[thread(1)].into(), at(5))
        .await
        .unwrap();
    let second = notices::ask(&mut tx, &both.clone().into(), at(6))
        .await
        .unwrap();
    let third = notices::ask(&mut tx, &both.into(), at(7)).await.unwrap();
    assert_eq!(
        (first, second, third),
        (vec![thread(1)], vec![thread(2)], vec![])
    );
    let asked = notices::find(&mut tx, &thread(2)).await.unwrap().unwrap();
    assert_eq!((asked.asked_at, asked.ended_at), (at(6), None));
    let sent = NoticeRow {
        message: Some(parsed(&format!("SM{}", "0".repeat(32)))),
        error_code: Some(21610),
        ended_at: Some(at(9)),
        ..asked
    };
    notices::put(&mut tx, &sent).await.unwrap();
    let found = notices::find(&mut tx, &thread(2)).await.unwrap();
    assert_eq!(found, Some(sent));
    assert_eq!(notices::find(&mut tx, &thread(3)).await.unwrap(), None);
}

pub(super) fn call(number: u32) -> Conversation {
    parsed(&format!("CA{number:032x}"))
}

fn conference(number: u32) -> Conversation {
    parsed(&format!("CF{number:032x}"))
}

pub(super) fn person(number: u32) -> SubjectId {
    parsed(&format!("sub_{number:032x}"))
}

fn leg(name: &str) -> LegName {
    parsed(name)
}

pub(super) fn party(leg: &str, subject: Option<u32>) -> Party {
    Party {
        leg: parsed(leg),
        subject: subject.map(person),
        channel: None,
        presence: Presence::ALWAYS,
    }
}

fn row(number: u32, whom: Whom) -> ConsentRow {
    let statement = Statement {
        id: parsed(&format!("cns_{number:032x}")),
        whom,
        purposes: BTreeSet::new(),
        answer: Answer::Given,
        method: Method::Keypad,
        disclosure: None,
        policy_version: None,
        at: at(number.into()),
        recorded_at: at(1),
    };
    ConsentRow {
        statement,
        accounts: BTreeSet::new(),
        evidence: Vec::new(),
        recorded_by: Initiator::Operator.actor(),
        vouched: vouched(),
    }
}

async fn told(world: &World, rows: &[ConsentRow]) -> BTreeSet<ConsentId> {
    let mut tx = world.tx().await;
    let fresh = consents::insert_new(&mut tx, rows).await.unwrap();
    tx.commit().await.unwrap();
    fresh
}

pub(super) async fn named(world: &World, conversation: &Conversation, parties: &[Party]) -> Naming {
    let mut tx = world.tx().await;
    let naming = parties::name(
        &mut tx,
        conversation,
        &PartyScope::Every,
        parties,
        &vouched(),
        at(2),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    naming
}

/// Sealed recordings of these conversations, from number 0.
async fn sealed(world: &World, conversations: &[(Option<u32>, Option<u32>)]) -> Vec<RecordingId> {
    let announcement =
        |(number, (call, conference)): (u32, &(Option<u32>, Option<u32>))| Announcement {
            call: call.map(|call| parsed(&format!("CA{call:032x}"))),
            conference: conference.map(|conference| parsed(&format!("CF{conference:032x}"))),
            ..announcement(number, "completed")
        };
    let all: Vec<_> = (0..).zip(conversations).map(announcement).collect();
    let ids: Vec<RecordingId> = all.iter().map(|announcement| announcement.id).collect();
    world.told(all, at(0)).await;
    let mut tx = world.tx().await;
    for id in &ids {
        recordings::mark_sealed(&mut tx, *id, at(1)).await.unwrap();
    }
    tx.commit().await.unwrap();
    ids
}

fn ids(recordings: Vec<Recording>) -> Vec<RecordingId> {
    recordings
        .into_iter()
        .map(|recording| recording.id)
        .collect()
}

async fn a_statement_comes_back_as_it_was_told(world: &World) {
    let person = row(1, Whom::Subject(person(1)));
    let mut place = row(2, Whom::Leg(call(1), Some(leg("caller"))));
    place.statement.purposes = [parsed("recording"), parsed("training")].into();
    place.statement.answer = Answer::Declined;
    place.statement.disclosure = Some("d".repeat(64));
    place.statement.policy_version = Some("1".into());
    place.evidence = vec![0, 255, 7];
    place.recorded_by = Actor::Principal(parsed(&format!("prn_{:032x}", 5)));
    let everybody = row(3, Whom::Leg(conference(1), None));
    let rows = [person.clone(), place.clone(), everybody.clone()];
    assert_eq!(told(world, &rows).await.len(), 3);
    let mut tx = world.db.read().await.unwrap();
    let mut found = consents::find(
        &mut tx,
        &[self::person(1), self::person(2)],
        &[call(1), conference(1)],
    )
    .await
    .unwrap();
    found.sort_by_key(|row| row.statement.id);
    assert_eq!(found, rows);
    assert_eq!(
        consents::find(&mut tx, &[self::person(2)], &[call(2)])
            .await
            .unwrap(),
        []
    );
    assert_eq!(consents::find(&mut tx, &[], &[]).await.unwrap(), []);
    drop(tx);
    named(world, &call(1), &[party("caller", Some(1))]).await;
    let listed = consents::page(
        &mut world.db.read().await.unwrap(),
        self::person(1),
        None,
        10,
    )
    .await
    .unwrap();
    assert_eq!(listed, [person, place]);
}

async fn a_statement_told_twice_is_one(world: &World) {
    let [one, two, three] = [1, 2, 3].map(|number| row(number, Whom::Subject(person(1))));
    let changed = ConsentRow {
        recorded_by: Actor::Vault,
        ..one.clone()
    };
    assert_eq!(
        told(world, &[one.clone(), two.clone(), one.clone()]).await,
        [one.statement.id, two.statement.id].into()
    );
    assert_eq!(
        told(world, &[changed, three.clone()]).await,
        [three.statement.id].into()
    );
    let mut tx = world.db.read().await.unwrap();
    assert_eq!(
        consents::page(&mut tx, person(1), None, 10).await.unwrap(),
        [one.clone(), two, three]
    );
    assert_eq!(
        consents::known(
            &mut tx,
            &[one.statement.id, parsed(&format!("cns_{:032x}", 9))]
        )
        .await
        .unwrap(),
        [one.statement.id].into()
    );
}

async fn statements_only_grow(world: &World) {
    told(world, &[row(1, Whom::Subject(person(1)))]).await;
    for sql in [
        "UPDATE consents SET answer = 'declined'",
        "DELETE FROM consents",
    ] {
        assert!(world.tx().await.execute(sql, &[]).await.is_err(), "{sql}");
    }
    assert_eq!(
        world
            .int("SELECT COUNT(*) FROM consents WHERE answer = 'given'")
            .await,
        1
    );
}

async fn statements_are_listed_by_whose_they_are(world: &World) {
    named(
        world,
        &call(1),
        &[party("caller", Some(1)), party("callee", Some(2))],
    )
    .await;
    let rows = [
        row(1, Whom::Subject(person(1))),
        row(2, Whom::Leg(call(1), Some(leg("caller")))),
        row(3, Whom::Leg(call(1), Some(leg("callee")))),
        row(4, Whom::Leg(call(1), None)),
        row(5, Whom::Leg(call(2), None)),
        row(6, Whom::Subject(person(3))),
    ];
    told(world, &rows).await;
    let mut tx = world.db.read().await.unwrap();
    for (subject, expected) in [
        (1, vec![0, 1, 3]),
        (2, vec![2, 3]),
        (3, vec![5]),
        (4, vec![]),
    ] {
        let expected: Vec<ConsentRow> = expected
            .into_iter()
            .map(|at: usize| rows[at].clone())
            .collect();
        for limit in [1, 2, 100] {
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let page = consents::page(&mut tx, person(subject), after, limit)
                    .await
                    .unwrap();
                let Some(last) = page.last() else { break };
                after = Some((last.statement.recorded_at, last.statement.id));
                paged.extend(page);
            }
            assert_eq!(paged, expected, "{subject} by {limit}");
        }
    }
}

async fn only_standing_holds_have_a_purpose(world: &World) {
    let all = sealed(world, &[(None, None), (None, None), (None, None)]).await;
    let mut tx = world.tx().await;
    for (number, name, purpose, lifted) in [
        (0, "b", "legal-request", "NULL"),
        (0, "a", "dispute-resolution", "NULL"),
        (0, "c", "training", "5"),
        (1, "a", "training", "5"),
    ] {
        let sql = format!(
            "INSERT INTO holds (recording_id, name, purpose, reason, authority, review_at, placed_at, placed_by, lifted_at)
             VALUES ('{}', '{name}', '{purpose}', 'r', 'a', 9, 1, 'operator:root', {lifted})",
            recording_id(number)
        );
        tx.execute(&sql, &[]).await.unwrap();
    }
    let purposes = holds::purposes(&mut tx, &all).await.unwrap();
    assert_eq!(
        purposes,
        [(
            all[0],
            vec![parsed("dispute-resolution"), parsed("legal-request")]
        )]
        .into()
    );
}

async fn only_what_is_sealed_is_in_quarantine(world: &World) {
    let announced = world.one_announced().await;
    let mut tx = world.tx().await;
    assert!(!quarantine::begin(&mut tx, announced, at(10)).await.unwrap());
    recordings::mark_sealed(&mut tx, announced, at(1))
        .await
        .unwrap();
    assert!(!quarantine::release(&mut tx, announced).await.unwrap());
    assert!(quarantine::begin(&mut tx, announced, at(10)).await.unwrap());
    assert!(
        !quarantine::begin(&mut tx, announced, at(20)).await.unwrap(),
        "it is not prolonged"
    );
    tx.commit().await.unwrap();
    assert_eq!(
        world.find(announced).await.unwrap().quarantine_ends,
        Some(at(10))
    );
    let mut tx = world.tx().await;
    assert!(quarantine::release(&mut tx, announced).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(world.find(announced).await.unwrap().quarantine_ends, None);
}

async fn what_is_due_leaves_quarantine_out_of_order(world: &World) {
    let all = sealed(world, &[(None, None); 5]).await;
    let mut tx = world.tx().await;
    for (id, ends) in all.iter().zip([30, 20, 10, 41]) {
        quarantine::begin(&mut tx, *id, at(ends)).await.unwrap();
    }
    tx.execute(
        &format!("UPDATE recordings SET holds = 1 WHERE id = '{}'", all[1]),
        &[],
    )
    .await
    .unwrap();
    let due = async |tx: &mut _, now, after, limit| {
        let read = ids(quarantine::over(tx, at(now), after, limit).await.unwrap());
        let locked = ids(quarantine::due(tx, at(now), after, limit).await.unwrap());
        assert_eq!(read, locked, "who only reads sees the same");
        locked
    };
    assert_eq!(due(&mut tx, 9, None, 10).await, []);
    assert_eq!(due(&mut tx, 10, None, 10).await, [all[2]]);
    assert_eq!(
        due(&mut tx, 40, None, 10).await,
        [all[0], all[2]],
        "a hold keeps one"
    );
    assert_eq!(due(&mut tx, 40, None, 1).await, [all[0]]);
    assert_eq!(due(&mut tx, 40, Some(all[0]), 10).await, [all[2]]);
}

async fn those_concerned_are_found_by_conversation_and_by_person(world: &World) {
    let all = sealed(
        world,
        &[
            (Some(1), None),
            (Some(2), Some(1)),
            (Some(3), None),
            (None, None),
            (Some(1), Some(1)),
        ],
    )
    .await;
    world
        .told(
            vec![Announcement {
                call: Some(parsed(&format!("CA{:032x}", 1))),
                ..announcement(9, "completed")
            }],
            at(0),
        )
        .await;
    named(world, &call(3), &[party("caller", Some(1))]).await;
    named(world, &conference(1), &[party("guest", Some(2))]).await;
    let mut tx = world.tx().await;
    for id in &all[..4] {
        quarantine::begin(&mut tx, *id, at(10)).await.unwrap();
    }
    for (conversations, subjects, waiting, released) in [
        (vec![call(1)], vec![], vec![0], vec![4]),
        (vec![conference(1)], vec![], vec![1], vec![4]),
        (vec![], vec![person(1)], vec![2], vec![]),
        (vec![], vec![person(2)], vec![1], vec![4]),
        (
            vec![call(1)],
            vec![person(1), person(2)],
            vec![0, 1, 2],
            vec![4],
        ),
        (vec![call(9)], vec![person(9)], vec![], vec![]),
        (vec![], vec![], vec![], vec![]),
    ] {
        let bearing = AffectedScope::of(&conversations, &subjects);
        let of = |places: &[usize]| places.iter().map(|at| all[*at]).collect::<Vec<_>>();
        quarantine::wait_for_sealing(&mut tx, &bearing)
            .await
            .unwrap();
        assert_eq!(
            ids(quarantine::waiting(&mut tx, &bearing, None, 10)
                .await
                .unwrap()),
            of(&waiting),
            "{bearing:?}"
        );
        let pinned = [announcement(0, "").policy_digest];
        assert_eq!(
            ids(quarantine::released(&mut tx, &bearing, &pinned, None, 10)
                .await
                .unwrap()),
            of(&released),
            "{bearing:?}"
        );
        assert_eq!(
            quarantine::released(&mut tx, &bearing, &["other"], None, 10)
                .await
                .unwrap(),
            []
        );
        if let [first, rest @ ..] = waiting.as_slice() {
            assert_eq!(
                ids(quarantine::waiting(&mut tx, &bearing, None, 1)
                    .await
                    .unwrap()),
                of(&[*first])
            );
            assert_eq!(
                ids(
                    quarantine::waiting(&mut tx, &bearing, Some(all[*first]), 10)
                        .await
                        .unwrap()
                ),
                of(rest)
            );
        }
    }
    let accounts = quarantine::accounts_of(&mut tx, &[call(2), call(3)])
        .await
        .unwrap();
    assert_eq!(
        accounts,
        [1, 2]
            .map(|number| announcement(number, "").source_ref.account().clone())
            .into()
    );
}

async fn a_shred_ends_the_quarantine(world: &World) {
    let all = sealed(world, &[(None, None)]).await;
    let mut tx = world.tx().await;
    quarantine::begin(&mut tx, all[0], at(10)).await.unwrap();
    recordings::mark_shredded(&mut tx, &all, at(5))
        .await
        .unwrap();
    assert_eq!(
        ids(quarantine::due(&mut tx, at(20), None, 10).await.unwrap()),
        []
    );
    tx.commit().await.unwrap();
    assert_eq!(world.find(all[0]).await.unwrap().quarantine_ends, None);
}
