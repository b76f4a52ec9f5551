//! Parties of conversations.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    super::{World, at, name_locks::somebody_waits, parsed, recording_id, vouched},
    call, conference, leg, named, party, person, row, sealed, told,
};
use crate::{
    db::{
        Error, consents,
        parties::{self, Naming, Vouched},
        recordings,
        revocations::{self, Revocation},
    },
    model::{
        actor::Initiator,
        consent::Whom,
        id::{ConsentId, RevocationId, SubjectId},
        revocation::Target,
        subject::{Conversation, Party, PartyScope},
    },
};

every_database!(
    a_party_is_named_once_and_known_later,
    somebody_else_at_a_known_place_changes_nothing,
    a_correction_puts_somebody_else_there,
    conversations_are_found_by_who_took_part,
    a_recording_has_the_parties_of_its_conference_or_else_of_its_call,
    a_naming_and_a_revocation_of_a_person_see_each_other,
    a_revocation_is_not_before_a_naming_that_it_saw,
    two_who_confirm_a_place_at_once_both_count,
);

async fn parties_of(world: &World, conversation: &Conversation) -> Vec<Party> {
    let mut tx = world.db.read().await.unwrap();
    parties::of(
        &mut tx,
        &PartyScope::Every,
        std::slice::from_ref(conversation),
    )
    .await
    .unwrap()
    .remove(conversation)
    .unwrap_or_default()
}

async fn a_party_is_named_once_and_known_later(world: &World) {
    let one = call(1);
    let both = [party("callee", None), party("caller", Some(1))];
    assert_eq!(named(world, &one, &both).await, Naming::Done(2));
    assert_eq!(named(world, &one, &both).await, Naming::Done(0));
    assert_eq!(parties_of(world, &one).await, both);
    assert_eq!(
        named(
            world,
            &one,
            &[party("callee", Some(2)), party("caller", None)]
        )
        .await,
        Naming::Done(1)
    );
    assert_eq!(
        parties_of(world, &one).await,
        [party("callee", Some(2)), party("caller", Some(1))],
        "who is known stays known"
    );
    assert_eq!(parties_of(world, &call(2)).await, []);
}

async fn somebody_else_at_a_known_place_changes_nothing(world: &World) {
    let one = call(1);
    named(world, &one, &[party("caller", Some(1))]).await;
    let naming = named(
        world,
        &one,
        &[party("callee", Some(2)), party("caller", Some(3))],
    )
    .await;
    assert_eq!(naming, Naming::Taken(vec![leg("caller")]));
    assert_eq!(parties_of(world, &one).await, [party("caller", Some(1))]);
}

async fn a_correction_puts_somebody_else_there(world: &World) {
    let one = call(1);
    named(world, &one, &[party("caller", Some(1))]).await;
    for subject in [Some(2), None] {
        let mut tx = world.tx().await;
        parties::correct(
            &mut tx,
            (&one, &leg("caller")),
            &[PartyScope::Every],
            subject.map(person),
            &vouched(),
            at(3),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(parties_of(world, &one).await, [party("caller", subject)]);
    }
    let nobody = parties::correct(
        &mut world.tx().await,
        (&one, &leg("callee")),
        &[PartyScope::Every],
        None,
        &vouched(),
        at(3),
    )
    .await;
    assert!(matches!(nobody, Err(Error::Stale(_))));
}

async fn conversations_are_found_by_who_took_part(world: &World) {
    for (number, subject) in [(1, 1), (2, 2), (3, 1)] {
        named(
            world,
            &call(number),
            &[party("caller", Some(subject)), party("callee", Some(9))],
        )
        .await;
    }
    named(world, &call(3), &[party("third", Some(1))]).await;
    let mut tx = world.db.read().await.unwrap();
    let all = parties::of_subject(&mut tx, person(1), None, 10)
        .await
        .unwrap();
    assert_eq!(
        all,
        [
            (call(1), leg("caller")),
            (call(3), leg("caller")),
            (call(3), leg("third"))
        ]
    );
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let page = parties::of_subject(&mut tx, person(1), after.as_ref(), 1)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(
        parties::of_subject(&mut tx, person(7), None, 10)
            .await
            .unwrap(),
        []
    );
}

async fn a_recording_has_the_parties_of_its_conference_or_else_of_its_call(world: &World) {
    let all = sealed(
        world,
        &[
            (Some(1), None),
            (Some(1), Some(1)),
            (Some(1), Some(2)),
            (None, None),
        ],
    )
    .await;
    named(world, &call(1), &[party("caller", Some(1))]).await;
    named(
        world,
        &conference(1),
        &[party("chair", Some(2)), party("guest", None)],
    )
    .await;
    let rows = [
        row(1, Whom::Subject(person(1))),
        row(2, Whom::Subject(person(2))),
        row(3, Whom::Leg(call(1), None)),
        row(4, Whom::Leg(conference(1), None)),
        row(5, Whom::Leg(call(2), None)),
    ];
    told(world, &rows).await;
    let mut tx = world.db.read().await.unwrap();
    let recordings = recordings::find_all(&mut tx, &all).await.unwrap();
    let gathered = consents::gather(&mut tx, &recordings).await.unwrap();
    assert_eq!(gathered.len(), 4);
    let caller = vec![party("caller", Some(1))];
    let guests = vec![party("chair", Some(2)), party("guest", None)];
    for (number, parties, statements) in [
        (0, &caller, vec![1, 3]),
        (1, &guests, vec![2, 3, 4]),
        (2, &caller, vec![1, 3]),
        (3, &vec![], vec![]),
    ] {
        let consents = &gathered[&recording_id(number)];
        assert_eq!(&consents.parties, parties, "{number}");
        let mut found: Vec<_> = consents
            .statements
            .iter()
            .map(|statement| statement.id)
            .collect();
        found.sort();
        let expected: Vec<ConsentId> = statements
            .into_iter()
            .map(|number| parsed(&format!("cns_{number:032x}")))
            .collect();
        assert_eq!(found, expected, "{number}");
    }
}

/// Returns a revocation by a process whose clock shows the third second.
fn revocation_of(person: SubjectId) -> Revocation {
    Revocation {
        id: RevocationId::random(&mut rand::rng()),
        target: Target::Subject(person),
        purposes: [].into(),
        accounts: [].into(),
        reason: parsed("subject-request"),
        actor: Initiator::Operator.actor(),
        revoked_at: at(3),
        is_done: false,
        cursor: None,
        jws: None,
        finished_at: None,
    }
}

/// The process that named the person, and may not revoke, has a clock that is ahead.
async fn a_revocation_is_not_before_a_naming_that_it_saw(world: &World) {
    let ids = sealed(world, &[(Some(1), None)]).await;
    let person = person(1);
    let parties = [party("caller", Some(1))];
    let mut tx = world.tx().await;
    parties::name(
        &mut tx,
        &call(1),
        &PartyScope::Every,
        &parties,
        &Vouched::by(None),
        at(30),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    let inserted = revocations::insert(&mut tx, &revocation_of(person), at(60))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(inserted.revoked_at, at(30));
    let mut tx = world.db.read().await.unwrap();
    let stored = revocations::find(&mut tx, inserted.id).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&inserted));
    let reached = revocations::reached(&mut tx, &inserted, None, 10).await;
    assert_eq!(reached.unwrap(), ids);
}

async fn a_naming_and_a_revocation_of_a_person_see_each_other(world: &World) {
    let one = call(1);
    let person = person(1);
    let mut naming = world.tx().await;
    let parties = [party("caller", Some(1))];
    parties::name(
        &mut naming,
        &one,
        &PartyScope::Every,
        &parties,
        &vouched(),
        at(2),
    )
    .await
    .unwrap();

    let is_begun = AtomicBool::new(false);
    let revoking = async {
        let mut tx = world.tx().await;
        let revocation = revocation_of(person);
        revocations::insert(&mut tx, &revocation, at(60))
            .await
            .unwrap();
        is_begun.store(true, Ordering::SeqCst);
        parties::is_anybody(&mut tx, person).await.unwrap()
    };
    let committing = async {
        while !is_begun.load(Ordering::SeqCst) && !somebody_waits(world).await {
            tokio::task::yield_now().await;
        }
        naming.commit().await.unwrap();
    };
    let (is_seen, ()) = tokio::join!(revoking, committing);
    assert!(is_seen, "the naming that came first");
}

async fn two_who_confirm_a_place_at_once_both_count(world: &World) {
    let one = call(1);
    let parties = [party("caller", Some(1))];
    let nobody = Vouched::by(None);
    let mut tx = world.tx().await;
    parties::name(&mut tx, &one, &PartyScope::Every, &parties, &nobody, at(1))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let account = |digit: u8| parsed(&format!("AC{digit:032x}"));
    let confirm = async |digit: u8| {
        let vouched = Vouched::of_accounts(&[account(digit)].into());
        let confirmed = world.db.unit("confirmed", async |mut unit| {
            unit.without_entry("a test");
            parties::name(
                &mut unit,
                &one,
                &PartyScope::Every,
                &parties,
                &vouched,
                at(2),
            )
            .await
        });
        confirmed.await.unwrap();
    };
    tokio::join!(confirm(1), confirm(2));
    let mut tx = world.db.read().await.unwrap();
    let named = parties::namings(&mut tx, std::slice::from_ref(&one)).await;
    let vouched = named.unwrap()[&one][0].vouched.clone();
    assert!(
        vouched.is_for(&account(1)) && vouched.is_for(&account(2)),
        "{vouched:?}"
    );
}
