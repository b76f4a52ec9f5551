//! Second persons, budgets, and what an export or a correction asks of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use super::{World, announcement, at, parsed, recording_id};
use crate::{
    evidence::NewEntry,
    ledger::{
        Error,
        accept::Announcement,
        approvals::{self, ApprovalRow, Filter, Stage},
        audit, budgets, exports,
        grants::{self, GrantRow},
        parties, recordings,
        tokens::{self, TokenRow},
    },
    model::{
        actor::{Actor, Initiator},
        id::{ApprovalId, GrantId, PrincipalId, RecordingId, SubjectId, TokenId},
        name::Purpose,
        subject::{Conversation, Party},
    },
};

every_database!(
    a_request_comes_back_as_it_was_made,
    an_approval_is_for_one_principal_recording_and_purpose_and_for_a_time,
    a_request_is_decided_once_and_in_time,
    of_two_who_decide_at_once_one_does,
    requests_are_listed_by_what_was_asked_for,
    the_last_opening_of_a_budget_is_had_by_one,
    a_budget_is_one_principals_purposes_and_days,
    without_a_budget_openings_are_counted_too,
    past_days_are_forgotten,
    a_grant_is_opened_for_the_first_time_once,
    labels_are_changed_one_by_one,
    a_person_is_found_in_every_conversation_of_theirs,
    the_log_is_read_about_a_few_recordings,
);

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn somebody() -> PrincipalId {
    PrincipalId::random(&mut rand::rng())
}

fn approval_id() -> ApprovalId {
    ApprovalId::random(&mut rand::rng())
}

fn purpose() -> Purpose {
    parsed("legal-request")
}

fn request(recording: RecordingId, millis: i64) -> ApprovalRow {
    ApprovalRow {
        id: approval_id(),
        recording,
        requested_by: somebody(),
        purpose: purpose(),
        justification: vec![0, 1, 255],
        stage: Stage::Requested,
        requested_at: at(millis),
        expires_at: at(millis + MINUTE),
        decided_at: None,
        decided_by: None,
    }
}

async fn entered(world: &World, rows: &[&ApprovalRow]) {
    let mut tx = world.tx().await;
    for row in rows {
        approvals::insert(&mut tx, row).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn sealed(world: &World, count: u32) -> Vec<RecordingId> {
    let ids = world.announced(count).await;
    let mut tx = world.tx().await;
    for id in &ids {
        recordings::mark_sealed(&mut tx, *id, at(1)).await.unwrap();
    }
    tx.commit().await.unwrap();
    ids
}

async fn a_request_comes_back_as_it_was_made(world: &World) {
    let id = world.one_announced().await;
    let waiting = request(id, 0);
    let by = somebody();
    let decided = ApprovalRow {
        stage: Stage::Refused,
        decided_at: Some(at(9)),
        decided_by: Some(by),
        ..request(id, 1)
    };
    entered(world, &[&waiting, &decided]).await;
    let mut tx = world.ledger.read().await.unwrap();
    for row in [&waiting, &decided] {
        assert_eq!(
            approvals::find(&mut tx, row.id).await.unwrap().as_ref(),
            Some(row)
        );
    }
    assert_eq!(approvals::find(&mut tx, approval_id()).await.unwrap(), None);
}

async fn an_approval_is_for_one_principal_recording_and_purpose_and_for_a_time(world: &World) {
    let ids = sealed(world, 2).await;
    let row = request(ids[0], 0);
    let by = somebody();
    entered(world, &[&row]).await;
    let until = async |recording, token, purpose: &Purpose, now| {
        approvals::approved_until(
            &mut world.ledger.read().await.unwrap(),
            recording,
            token,
            purpose,
            at(now),
        )
        .await
        .unwrap()
    };
    assert_eq!(
        until(ids[0], row.requested_by, &row.purpose, 1).await,
        None,
        "a request is no approval"
    );
    let mut tx = world.tx().await;
    approvals::decide(
        &mut tx,
        row.id,
        (Stage::Requested, Stage::Approved),
        by,
        at(1000),
        at(500),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        until(ids[0], row.requested_by, &row.purpose, 999).await,
        Some(at(1000))
    );
    assert_eq!(
        until(ids[0], row.requested_by, &row.purpose, 1000).await,
        None,
        "it is over"
    );
    assert_eq!(
        until(ids[1], row.requested_by, &row.purpose, 999).await,
        None,
        "another recording"
    );
    assert_eq!(
        until(ids[0], somebody(), &row.purpose, 999).await,
        None,
        "another principal"
    );
    assert_eq!(
        until(ids[0], by, &row.purpose, 999).await,
        None,
        "not who approved"
    );
    assert_eq!(
        until(ids[0], row.requested_by, &parsed("training"), 999).await,
        None,
        "another purpose"
    );
    let mut tx = world.tx().await;
    approvals::decide(
        &mut tx,
        row.id,
        (Stage::Approved, Stage::Refused),
        by,
        at(1000),
        at(600),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        until(ids[0], row.requested_by, &row.purpose, 999).await,
        None,
        "it was taken back"
    );
}

async fn a_request_is_decided_once_and_in_time(world: &World) {
    let id = world.one_announced().await;
    let row = request(id, 0);
    let late = request(id, 0);
    let by = somebody();
    entered(world, &[&row, &late]).await;
    let mut tx = world.tx().await;
    let decide = (Stage::Requested, Stage::Approved);
    approvals::decide(&mut tx, row.id, decide, by, at(2 * MINUTE), at(MINUTE - 1))
        .await
        .unwrap();
    let found = approvals::find(&mut tx, row.id).await.unwrap().unwrap();
    let expected = ApprovalRow {
        stage: Stage::Approved,
        expires_at: at(2 * MINUTE),
        decided_at: Some(at(MINUTE - 1)),
        decided_by: Some(by),
        ..row.clone()
    };
    assert_eq!(found, expected);
    for (id, now) in [(row.id, MINUTE - 1), (late.id, MINUTE), (approval_id(), 1)] {
        let again = approvals::decide(&mut tx, id, decide, by, at(9 * MINUTE), at(now)).await;
        assert!(matches!(again, Err(Error::Stale(_))), "{again:?}");
    }
}

async fn of_two_who_decide_at_once_one_does(world: &World) {
    let row = request(world.one_announced().await, 0);
    entered(world, &[&row]).await;
    let decided = join_all([Stage::Approved, Stage::Refused].map(|to| {
        let ledger = world.ledger.clone();
        let id = row.id;
        async move {
            let done = ledger.unit(|| async {
                let mut tx = ledger.begin().await?;
                approvals::decide(
                    &mut tx,
                    id,
                    (Stage::Requested, to),
                    somebody(),
                    at(MINUTE),
                    at(1),
                )
                .await?;
                tx.commit().await
            });
            done.await.is_ok()
        }
    }));
    let decided = decided.await;
    assert_eq!(decided.iter().filter(|done| **done).count(), 1);
    let stage = approvals::find(&mut world.ledger.read().await.unwrap(), row.id)
        .await
        .unwrap()
        .unwrap()
        .stage;
    assert_eq!(
        stage,
        if decided[0] {
            Stage::Approved
        } else {
            Stage::Refused
        }
    );
}

async fn requests_are_listed_by_what_was_asked_for(world: &World) {
    let ids = sealed(world, 4).await;
    let rows: Vec<ApprovalRow> = (0..4)
        .map(|number| request(ids[number], 10 * i64::try_from(number).unwrap()))
        .collect();
    entered(world, &rows.iter().collect::<Vec<_>>()).await;
    let mut tx = world.tx().await;
    approvals::decide(
        &mut tx,
        rows[1].id,
        (Stage::Requested, Stage::Approved),
        somebody(),
        at(DAY),
        at(11),
    )
    .await
    .unwrap();
    recordings::mark_shredded(&mut tx, &[ids[3]], at(50))
        .await
        .unwrap();
    recordings::set_tier(&mut tx, ids[2], &parsed("standard"), &parsed("restricted"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let listed = async |filter: Filter, limit| {
        let found = approvals::list(&mut world.ledger.read().await.unwrap(), &filter, limit)
            .await
            .unwrap();
        found
            .into_iter()
            .map(|(row, _)| rows.iter().position(|own| own.id == row.id).unwrap())
            .collect::<Vec<_>>()
    };
    let all = Filter::default;
    assert_eq!(
        listed(all(), 9).await,
        [0, 1, 2],
        "what is shredded needs no approval"
    );
    assert_eq!(listed(all(), 2).await, [0, 1]);
    assert_eq!(
        listed(
            Filter {
                after: Some((rows[0].requested_at, rows[0].id)),
                ..all()
            },
            9
        )
        .await,
        [1, 2]
    );
    assert_eq!(
        listed(
            Filter {
                stage: Some(Stage::Requested),
                ..all()
            },
            9
        )
        .await,
        [0, 2]
    );
    let living = |now| Filter {
        stage: Some(Stage::Requested),
        living_at: Some(at(now)),
        ..all()
    };
    assert_eq!(listed(living(MINUTE), 9).await, [2]);
    assert_eq!(listed(living(MINUTE + 20), 9).await, [] as [usize; 0]);
    assert_eq!(
        listed(
            Filter {
                tiers: Some(vec![parsed("restricted"), parsed("other")]),
                ..all()
            },
            9
        )
        .await,
        [2]
    );
    assert_eq!(
        listed(
            Filter {
                tiers: Some(Vec::new()),
                ..all()
            },
            9
        )
        .await,
        [] as [usize; 0]
    );
    let accounts: BTreeSet<_> = [parsed(&format!("AC{:032x}", 1))].into();
    assert_eq!(listed(Filter { accounts, ..all() }, 9).await, [1]);
    let mut tx = world.ledger.read().await.unwrap();
    for (row, waits) in [(&rows[0], true), (&rows[1], false)] {
        let found = approvals::find_waiting(
            &mut tx,
            row.recording,
            row.requested_by,
            &row.purpose,
            at(20),
        )
        .await
        .unwrap();
        assert_eq!(found.is_some(), waits);
        assert_eq!(
            approvals::find_waiting(&mut tx, row.recording, somebody(), &row.purpose, at(20))
                .await
                .unwrap(),
            None
        );
        assert_eq!(
            approvals::find_waiting(
                &mut tx,
                row.recording,
                row.requested_by,
                &row.purpose,
                at(MINUTE)
            )
            .await
            .unwrap(),
            None
        );
    }
}

async fn spent(world: &World, principal: PrincipalId, budget: Option<u32>, millis: i64) -> bool {
    let spent = world.ledger.unit(|| async {
        let mut tx = world.ledger.begin().await?;
        let spent = budgets::spend(&mut tx, principal, &purpose(), budget, at(millis)).await?;
        tx.commit().await?;
        Ok::<_, Error>(spent)
    });
    spent.await.unwrap()
}

async fn used(world: &World, principal: PrincipalId, millis: i64) -> u32 {
    budgets::used(
        &mut world.ledger.read().await.unwrap(),
        principal,
        &purpose(),
        at(millis),
    )
    .await
    .unwrap()
}

async fn the_last_opening_of_a_budget_is_had_by_one(world: &World) {
    let somebody = somebody();
    let spent = join_all((0..20).map(|_| spent(world, somebody, Some(5), 0))).await;
    assert_eq!(spent.into_iter().filter(|spent| *spent).count(), 5);
    assert_eq!(used(world, somebody, 0).await, 5);
}

async fn a_budget_is_one_principals_purposes_and_days(world: &World) {
    let one = somebody();
    let other = somebody();
    // `at(0)` is some hours after midnight.
    let midnight = DAY - at(0).as_millis().rem_euclid(DAY);
    assert!(spent(world, one, Some(1), midnight - 1).await);
    assert!(!spent(world, one, Some(1), midnight - 1).await);
    assert!(
        spent(world, one, Some(2), midnight - 1).await,
        "the budget grew"
    );
    assert!(
        !spent(world, one, Some(1), midnight - 1).await,
        "and shrank"
    );
    assert!(spent(world, other, Some(1), midnight - 1).await);
    assert!(spent(world, one, Some(1), midnight).await);
    assert!(
        !spent(world, one, Some(0), midnight + DAY).await,
        "nothing is what none of it leaves"
    );
    assert_eq!(
        (
            used(world, one, midnight - 1).await,
            used(world, one, midnight).await,
            used(world, one, midnight + DAY).await
        ),
        (2, 1, 0)
    );
    let mut tx = world.tx().await;
    assert!(
        budgets::spend(&mut tx, one, &parsed("training"), Some(1), at(midnight))
            .await
            .unwrap()
    );
    drop(tx);
    assert_eq!(
        budgets::used(
            &mut world.tx().await,
            one,
            &parsed("training"),
            at(midnight)
        )
        .await
        .unwrap(),
        0,
        "that unit was dropped"
    );
}

async fn without_a_budget_openings_are_counted_too(world: &World) {
    let somebody = somebody();
    for _ in 0..3 {
        assert!(spent(world, somebody, None, 0).await);
    }
    assert!(!spent(world, somebody, Some(3), 0).await);
}

async fn past_days_are_forgotten(world: &World) {
    let somebody = somebody();
    for day in 0..3 {
        assert!(spent(world, somebody, None, day * DAY).await);
    }
    let mut tx = world.tx().await;
    assert_eq!(budgets::remove_past(&mut tx, at(DAY)).await.unwrap(), 1);
    assert_eq!(budgets::remove_past(&mut tx, at(DAY)).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(
        (
            used(world, somebody, 0).await,
            used(world, somebody, DAY).await,
            used(world, somebody, 2 * DAY).await
        ),
        (0, 1, 1)
    );
}

async fn a_grant_is_opened_for_the_first_time_once(world: &World) {
    let bearer = TokenRow {
        id: TokenId::random(&mut rand::rng()),
        principal: somebody(),
        label: "x".into(),
        roles: Vec::new(),
        accounts: Vec::new(),
        attributes: BTreeMap::new(),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: None,
    };
    let recording = world.one_announced().await;
    let row = GrantRow {
        id: GrantId::random(&mut rand::rng()),
        recording,
        token: bearer.id,
        purpose: purpose(),
        justified: true,
        ticket: None,
        break_glass: true,
        policy_digest: "d".repeat(64),
        issued_at: at(1),
        expires_at: at(100),
        opened_at: None,
    };
    let mut tx = world.tx().await;
    super::principals::enter(&mut tx, bearer.principal).await;
    tokens::insert(&mut tx, &bearer, "h").await.unwrap();
    grants::insert(&mut tx, &row, "g").await.unwrap();
    assert!(grants::open(&mut tx, row.id, at(5)).await.unwrap());
    assert!(!grants::open(&mut tx, row.id, at(6)).await.unwrap());
    let nobodys = GrantId::random(&mut rand::rng());
    assert!(!grants::open(&mut tx, nobodys, at(6)).await.unwrap());
    assert_eq!(
        grants::find(&mut tx, "g").await.unwrap(),
        Some(GrantRow {
            opened_at: Some(at(5)),
            ..row
        })
    );
}

async fn labels_are_changed_one_by_one(world: &World) {
    let id = world.one_announced().await;
    let change = async |label: &str, value: Option<&str>| {
        let mut tx = world.tx().await;
        let changes = [(parsed(label), value.map(|value| value.parse().unwrap()))].into();
        let changed = recordings::change_labels(&mut tx, id, &changes)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        changed
            .into_iter()
            .map(|label| label.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        change("queue", Some("sales")).await,
        [] as [&str; 0],
        "it is so already"
    );
    assert_eq!(change("team", Some("n\"örd")).await, ["team"]);
    assert_eq!(change("queue", None).await, ["queue"]);
    assert_eq!(change("queue", None).await, [] as [&str; 0]);
    assert_eq!(
        world.find(id).await.unwrap().labels,
        [(parsed("team"), "n\"örd".to_owned())].into()
    );
    let mut tx = world.tx().await;
    recordings::mark_shredded(&mut tx, &[id], at(1))
        .await
        .unwrap();
    let shredded = recordings::change_labels(&mut tx, id, &[(parsed("team"), None)].into()).await;
    assert!(matches!(shredded, Err(Error::Stale(_))));
}

async fn a_person_is_found_in_every_conversation_of_theirs(world: &World) {
    let sid = |kind: &str, number: u32| format!("{kind}{number:032x}");
    let told = |number: u32, call: Option<u32>, conference: Option<u32>| Announcement {
        call: call.map(|call| parsed(&sid("CA", call))),
        conference: conference.map(|conference| parsed(&sid("CF", conference))),
        ..announcement(number, "completed")
    };
    let all = vec![
        told(0, Some(1), None),
        told(1, Some(2), Some(9)),
        told(2, Some(3), Some(9)),
        told(3, Some(4), None),
        told(4, None, None),
    ];
    world.told(all, at(0)).await;
    let subject = SubjectId::random(&mut rand::rng());
    let other = SubjectId::random(&mut rand::rng());
    let mut tx = world.tx().await;
    for (conversation, subject) in [
        (sid("CA", 1), subject),
        (sid("CA", 2), subject),
        (sid("CF", 9), subject),
        (sid("CA", 4), other),
    ] {
        let conversation: Conversation = parsed(&conversation);
        parties::name(
            &mut tx,
            &conversation,
            &[Party {
                leg: parsed("caller"),
                subject: Some(subject),
                channel: None,
            }],
            at(0),
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    let mut tx = world.ledger.read().await.unwrap();
    let theirs = [0, 1, 2].map(recording_id);
    assert_eq!(
        exports::recordings(&mut tx, subject, None, 9)
            .await
            .unwrap(),
        theirs
    );
    assert_eq!(
        exports::recordings(&mut tx, subject, None, 2)
            .await
            .unwrap(),
        theirs[..2]
    );
    assert_eq!(
        exports::recordings(&mut tx, subject, Some(theirs[1]), 9)
            .await
            .unwrap(),
        theirs[2..]
    );
    assert_eq!(
        exports::recordings(&mut tx, other, None, 9).await.unwrap(),
        [recording_id(3)]
    );
}

async fn the_log_is_read_about_a_few_recordings(world: &World) {
    let subject = SubjectId::random(&mut rand::rng());
    let other = SubjectId::random(&mut rand::rng());
    let entries: Vec<NewEntry> = (0..4)
        .map(|number| {
            NewEntry::work_retried(at(0), Initiator::Operator, Some(recording_id(number)), 1)
        })
        .chain([subject, other].map(|subject| {
            NewEntry::subject_exported(
                at(7),
                Initiator::Recorded(Actor::Principal(somebody())),
                subject,
                &purpose(),
                1,
                0,
            )
        }))
        .collect();
    let mut tx = world.tx().await;
    audit::append_all(&mut tx, &entries).await.unwrap();
    let mut read = async |range| {
        let found = audit::about(&mut tx, &[recording_id(1), recording_id(3)], subject, range)
            .await
            .unwrap();
        found.into_iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(read((0, 9)).await, [2, 4, 5]);
    assert_eq!(read((2, 4)).await, [4]);
    assert_eq!(read((5, 9)).await, [] as [i64; 0]);
    assert_eq!(audit::broken_glass_since(&mut tx, at(0)).await.unwrap(), 0);
}
