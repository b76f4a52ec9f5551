//! Approvals, budgets, and the queries of exports and corrections.

mod budgets;
mod exporting;

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::{World, at, parsed};
use crate::{
    db::{
        Error,
        approvals::{self, ApprovalFilter, ApprovalRow, ApprovalState},
        merged, recordings,
    },
    model::{
        id::{ApprovalId, PrincipalId, RecordingId},
        name::Purpose,
    },
};

every_database!(
    a_request_comes_back_as_it_was_made,
    an_approval_is_for_one_principal_recording_and_purpose_and_for_a_time,
    a_request_is_decided_once_and_in_time,
    of_two_who_decide_at_once_one_does,
    requests_are_listed_by_what_was_asked_for,
    what_a_dropped_principal_asked_and_decided_is_the_kept_ones,
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
        stage: ApprovalState::Requested,
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
        stage: ApprovalState::Refused,
        decided_at: Some(at(9)),
        decided_by: Some(by),
        ..request(id, 1)
    };
    entered(world, &[&waiting, &decided]).await;
    let mut tx = world.db.read().await.unwrap();
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
        approvals::standing_all(
            &mut world.db.read().await.unwrap(),
            &ids,
            token,
            purpose,
            at(now),
        )
        .await
        .unwrap()
        .get(&recording)
        .map(|(_, until)| *until)
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
        (ApprovalState::Requested, ApprovalState::Approved),
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
        (ApprovalState::Approved, ApprovalState::Refused),
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
    let decide = (ApprovalState::Requested, ApprovalState::Approved);
    approvals::decide(&mut tx, row.id, decide, by, at(2 * MINUTE), at(MINUTE - 1))
        .await
        .unwrap();
    let found = approvals::find(&mut tx, row.id).await.unwrap().unwrap();
    let expected = ApprovalRow {
        stage: ApprovalState::Approved,
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
    let decided = join_all([ApprovalState::Approved, ApprovalState::Refused].map(|to| {
        let db = world.db.clone();
        let id = row.id;
        async move {
            let done = db.unit("decided", async |mut unit| {
                unit.without_entry("a test");
                approvals::decide(
                    &mut unit,
                    id,
                    (ApprovalState::Requested, to),
                    somebody(),
                    at(MINUTE),
                    at(1),
                )
                .await
            });
            done.await.is_ok()
        }
    }));
    let decided = decided.await;
    assert_eq!(decided.iter().filter(|done| **done).count(), 1);
    let stage = approvals::find(&mut world.db.read().await.unwrap(), row.id)
        .await
        .unwrap()
        .unwrap()
        .stage;
    assert_eq!(
        stage,
        if decided[0] {
            ApprovalState::Approved
        } else {
            ApprovalState::Refused
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
        (ApprovalState::Requested, ApprovalState::Approved),
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
    let listed = async |filter: ApprovalFilter, limit| {
        let found = approvals::list(&mut world.db.read().await.unwrap(), &filter, limit)
            .await
            .unwrap();
        found
            .into_iter()
            .map(|(row, _)| rows.iter().position(|own| own.id == row.id).unwrap())
            .collect::<Vec<_>>()
    };
    let all = ApprovalFilter::default;
    assert_eq!(
        listed(all(), 9).await,
        [0, 1, 2],
        "what is shredded needs no approval"
    );
    assert_eq!(listed(all(), 2).await, [0, 1]);
    assert_eq!(
        listed(
            ApprovalFilter {
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
            ApprovalFilter {
                stage: Some(ApprovalState::Requested),
                ..all()
            },
            9
        )
        .await,
        [0, 2]
    );
    let living = |now| ApprovalFilter {
        stage: Some(ApprovalState::Requested),
        living_at: Some(at(now)),
        ..all()
    };
    assert_eq!(listed(living(MINUTE), 9).await, [2]);
    assert_eq!(listed(living(MINUTE + 20), 9).await, [] as [usize; 0]);
    assert_eq!(
        listed(
            ApprovalFilter {
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
            ApprovalFilter {
                tiers: Some(Vec::new()),
                ..all()
            },
            9
        )
        .await,
        [] as [usize; 0]
    );
    let accounts: BTreeSet<_> = [parsed(&format!("AC{:032x}", 1))].into();
    assert_eq!(listed(ApprovalFilter { accounts, ..all() }, 9).await, [1]);
    let mut tx = world.db.read().await.unwrap();
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

async fn what_a_dropped_principal_asked_and_decided_is_the_kept_ones(world: &World) {
    let id = world.one_announced().await;
    let [dropped, kept] = [somebody(), somebody()];
    let asked = ApprovalRow {
        requested_by: dropped,
        ..request(id, 1)
    };
    let decided = ApprovalRow {
        stage: ApprovalState::Approved,
        decided_at: Some(at(3)),
        decided_by: Some(dropped),
        ..request(id, 2)
    };
    entered(world, &[&asked, &decided]).await;

    let mut tx = world.tx().await;
    merged::replace_principal(&mut tx, &dropped.to_string(), &kept.to_string())
        .await
        .unwrap();
    let found = approvals::find(&mut tx, asked.id).await.unwrap().unwrap();
    assert_eq!(found.requested_by, kept);
    let found = approvals::find(&mut tx, decided.id).await.unwrap().unwrap();
    assert_eq!(found.decided_by, Some(kept));
    assert_eq!(found.requested_by, decided.requested_by);
}
