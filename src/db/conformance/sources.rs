//! Copies at the source.

use std::collections::BTreeSet;

use super::{World, at, work_rows};
use crate::{
    db::{
        Term, Tx, sources,
        work::{self, WorkKind},
    },
    model::{
        id::RecordingId,
        media::SourceRef,
        source::{CopyKind, CopyState, SourceCopy},
        time::Timestamp,
    },
};

every_database!(
    what_is_known_of_a_copy_only_grows,
    copies_that_are_not_deletable_yet_are_found_the_longest_refused_first,
    transcripts_that_were_told_of_are_copies_too,
    a_transcript_that_is_due_is_awaited_by_its_recording,
    work_at_the_source_is_leased_apart,
    work_that_begins_anew_is_taken_from_who_was_at_it,
    work_that_waits_is_hastened_and_no_other,
    deletions_in_vain_are_found_by_reason_and_by_attempts,
    a_shredded_recording_that_is_told_of_again_is_erased_again,
);

fn copy(kind: CopyKind, state: CopyState, sid: &str) -> SourceCopy {
    SourceCopy {
        state,
        ..SourceCopy::found(kind, sid, at(5))
    }
}

async fn what_is_known_of_a_copy_only_grows(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    assert_eq!(sources::of(&mut tx, id).await.unwrap(), []);
    let there = copy(CopyKind::Recording, CopyState::There, "RE1");
    let word = copy(CopyKind::AddOn, CopyState::There, "XR1");
    sources::enter(&mut tx, id, &[there.clone(), word.clone()])
        .await
        .unwrap();
    assert_eq!(
        sources::of(&mut tx, id).await.unwrap(),
        [word.clone(), there.clone()]
    );

    let deleted = SourceCopy {
        state: CopyState::Deleted,
        found_at: at(99),
        deleted_at: Some(at(6)),
        ..there.clone()
    };
    sources::enter(&mut tx, id, std::slice::from_ref(&deleted))
        .await
        .unwrap();
    let seen = SourceCopy {
        found_at: at(5),
        ..deleted.clone()
    };
    assert_eq!(
        sources::of(&mut tx, id).await.unwrap(),
        [word.clone(), seen.clone()],
        "it was found when it was found first"
    );
    sources::enter(
        &mut tx,
        id,
        &[SourceCopy {
            found_at: at(7),
            ..there.clone()
        }],
    )
    .await
    .unwrap();
    assert_eq!(
        sources::of(&mut tx, id).await.unwrap(),
        [word.clone(), seen.clone()],
        "what is deleted is not there again"
    );

    let confirmed = SourceCopy {
        state: CopyState::Confirmed,
        deleted_at: Some(at(9)),
        confirmed_at: Some(at(8)),
        left_until: Some(at(40)),
        ..seen
    };
    sources::enter(&mut tx, id, std::slice::from_ref(&confirmed))
        .await
        .unwrap();
    let confirmed = SourceCopy {
        deleted_at: Some(at(6)),
        ..confirmed
    };
    assert_eq!(
        sources::of(&mut tx, id).await.unwrap(),
        [word.clone(), confirmed.clone()]
    );
    for state in CopyState::ALL.iter().copied() {
        sources::enter(&mut tx, id, &[copy(CopyKind::Recording, state, "RE1")])
            .await
            .unwrap();
        assert_eq!(
            sources::of(&mut tx, id).await.unwrap()[1],
            confirmed,
            "{state:?}"
        );
    }
    assert!(
        sources::enter(&mut tx, super::recording_id(9), &[there])
            .await
            .is_err(),
        "there are no copies of what does not exist"
    );
}

async fn copies_that_are_not_deletable_yet_are_found_the_longest_refused_first(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    let refused = |sid: &str, since| SourceCopy {
        refused_at: Some(at(since)),
        ..copy(CopyKind::Message, CopyState::NotDeletableYet, sid)
    };
    let gone = copy(CopyKind::File, CopyState::Deleted, "ME1");
    let copies = [refused("SM2", 9), refused("SM1", 7), gone.clone()];
    sources::enter(&mut tx, id, &copies).await.unwrap();
    // A later refusal does not put off the alarm, and what is deleted is not undeletable.
    let later = [
        refused("SM1", 20),
        SourceCopy {
            state: CopyState::NotDeletableYet,
            refused_at: Some(at(20)),
            ..gone
        },
    ];
    sources::enter(&mut tx, id, &later).await.unwrap();
    let found = sources::not_deletable_yet(&mut tx, 9).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|(of, copy)| (*of, copy.sid.as_str(), copy.refused_at))
        .collect();
    let expected = [("SM1", 7), ("SM2", 9)];
    assert_eq!(
        found,
        expected.map(|(sid, since)| (id, sid, Some(at(since))))
    );
    // The text is removed while the copy is there.
    let there = SourceCopy::found(CopyKind::Message, "SM3", at(5));
    sources::enter(&mut tx, id, std::slice::from_ref(&there))
        .await
        .unwrap();
    let redacted = SourceCopy {
        redacted_at: Some(at(6)),
        ..there
    };
    sources::enter(&mut tx, id, std::slice::from_ref(&redacted))
        .await
        .unwrap();
    let known = sources::of(&mut tx, id).await.unwrap();
    assert!(known.contains(&redacted), "{known:?}");
}

async fn told(world: &World, sid: &str, kind: &str, source: &str, state: &str) {
    let announced = super::announcement(0, "completed");
    let account = announced.source_ref.account();
    let work = state;
    let state = if state == "filed" { "filed" } else { "waiting" };
    let row = format!(
        "INSERT INTO transcripts (account, sid, kind, source_sid, state, told_at) \
         VALUES ('{account}', '{sid}', '{kind}', {source}, '{state}', 0)"
    );
    let work = format!(
        "INSERT INTO work (kind, subject, state, due_at, attempts, enqueued_at) \
         SELECT 'transcript', '{account}/{kind}/{sid}', '{work}', 0, 0, 0 WHERE '{state}' = 'waiting'"
    );
    world.sql(&[&row, &work]).await;
}

async fn transcripts_that_were_told_of_are_copies_too(world: &World) {
    let announced = super::announcement(0, "completed");
    let source = &announced.source_ref;
    let quoted = format!("'{}'", source.sid());
    told(world, "GT1", "intelligence", &quoted, "filed").await;
    told(world, "TR1", "record", &quoted, "dead").await;
    told(world, "GT2", "real-time", &quoted, "due").await;
    told(world, "GT3", "intelligence", "NULL", "due").await;
    let found = sources::told(&mut world.tx().await, source).await.unwrap();
    assert_eq!(
        found,
        BTreeSet::from([
            (CopyKind::Transcript, "GT1".to_owned()),
            (CopyKind::Transcription, "TR1".to_owned())
        ])
    );
    let other = "AC99999999999999999999999999999999".parse().unwrap();
    let other = SourceRef::parse(other, source.sid()).unwrap();
    assert!(
        sources::told(&mut world.tx().await, &other)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_transcript_that_is_due_is_awaited_by_its_recording(world: &World) {
    let announced = super::announcement(0, "completed");
    let source = &announced.source_ref;
    let awaits = async |sids: &[&str]| {
        let sids: BTreeSet<String> = sids.iter().map(|sid| (*sid).to_owned()).collect();
        sources::awaits(&mut world.tx().await, source, &sids)
            .await
            .unwrap()
    };
    assert!(!awaits(&[]).await && !awaits(&["GT1"]).await);
    told(world, "GT1", "intelligence", "NULL", "due").await;
    assert!(!awaits(&[]).await && !awaits(&["GT2"]).await && awaits(&["GT2", "GT1"]).await);
    told(
        world,
        "GT2",
        "intelligence",
        &format!("'{}'", source.sid()),
        "due",
    )
    .await;
    assert!(awaits(&[]).await);
    world
        .sql(&[
            "UPDATE transcripts SET state = 'filed'",
            "DELETE FROM work WHERE kind = 'transcript'",
        ])
        .await;
    assert!(!awaits(&["GT1", "GT2"]).await);
}

/// Whether work at the source, or any fetch, is due.
async fn any_due(tx: &mut Tx, now: Timestamp) -> bool {
    let kinds = [WorkKind::FetchMedia, WorkKind::DeleteAtSource];
    let due = work::due(tx, &kinds, Term::at(now, now)).await.unwrap();
    !due.is_empty()
}

async fn work_at_the_source_is_leased_apart(world: &World) {
    let ids = world.announced(3).await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteAtSource, &ids, at(0))
        .await
        .unwrap();
    let fetches = work::lease(
        &mut tx,
        &[WorkKind::FetchMedia],
        super::holder(),
        Term::at(at(100), at(200)),
        9,
    )
    .await
    .unwrap();
    assert!(
        fetches.len() == 3
            && fetches
                .iter()
                .all(|lease| lease.kind == WorkKind::FetchMedia)
    );
    assert!(any_due(&mut tx, at(100)).await);
    let erasures = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(100), at(200)),
        2,
    )
    .await
    .unwrap();
    assert!(
        erasures.len() == 2
            && erasures
                .iter()
                .all(|lease| lease.kind == WorkKind::DeleteAtSource)
    );
    assert_eq!(
        work::lease(
            &mut tx,
            &[WorkKind::DeleteAtSource],
            super::holder(),
            Term::at(at(100), at(200)),
            9
        )
        .await
        .unwrap()
        .len(),
        1
    );
    assert!(!any_due(&mut tx, at(100)).await);
}

async fn work_that_begins_anew_is_taken_from_who_was_at_it(world: &World) {
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteAtSource, &[id], at(5_000))
        .await
        .unwrap();
    assert!(
        work::lease(
            &mut tx,
            &[WorkKind::DeleteAtSource],
            super::holder(),
            Term::at(at(10), at(200)),
            9
        )
        .await
        .unwrap()
        .is_empty()
    );
    work::begin_anew(&mut tx, WorkKind::DeleteAtSource, &[id], at(10))
        .await
        .unwrap();
    let [first] = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(10), at(200)),
        9,
    )
    .await
    .unwrap()
    .try_into()
    .unwrap();
    work::begin_anew(&mut tx, WorkKind::DeleteAtSource, &[id], at(20))
        .await
        .unwrap();
    assert!(
        work::finish(&mut tx, &first).await.is_err()
            && work::extend(&mut tx, &first, Term::at(at(0), at(900)))
                .await
                .is_err()
    );
    let [second] = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(20), at(200)),
        9,
    )
    .await
    .unwrap()
    .try_into()
    .unwrap();
    assert_eq!((second.attempts, second.enqueued_at), (1, at(20)));
    work::bury(&mut tx, &second, "no").await.unwrap();
    work::begin_anew(&mut tx, WorkKind::DeleteAtSource, &[id], at(30))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        work_rows(world, "delete-at-source").await,
        [(id, "due".into(), at(30).as_millis(), 0, None)]
    );
}

async fn work_that_waits_is_hastened_and_no_other(world: &World) {
    let ids = world.announced(3).await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteAtSource, &ids[..1], at(50))
        .await
        .unwrap();
    let leased = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(50), at(9_000)),
        1,
    )
    .await
    .unwrap();
    work::enqueue(&mut tx, WorkKind::DeleteAtSource, &ids[1..2], at(5_000))
        .await
        .unwrap();
    work::hasten(&mut tx, WorkKind::DeleteAtSource, &ids, at(60))
        .await
        .unwrap();
    let [hastened] = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(60), at(200)),
        9,
    )
    .await
    .unwrap()
    .try_into()
    .unwrap();
    assert_eq!(hastened.subject, ids[1].to_string());
    assert!(
        !work::is_asked(&mut tx, WorkKind::DeleteAtSource, ids[2])
            .await
            .unwrap(),
        "nothing was asked for"
    );
    assert!(
        work::is_asked(&mut tx, WorkKind::DeleteAtSource, ids[0])
            .await
            .unwrap()
    );
    work::finish(&mut tx, &leased[0]).await.unwrap();
}

async fn deletions_in_vain_are_found_by_reason_and_by_attempts(world: &World) {
    let ids = world.announced(3).await;
    let mut tx = world.tx().await;
    work::enqueue(&mut tx, WorkKind::DeleteAtSource, &ids, at(0))
        .await
        .unwrap();
    let leases = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(1), at(100)),
        9,
    )
    .await
    .unwrap();
    let of = |id: RecordingId| {
        let id = id.to_string();
        leases.iter().find(|lease| lease.subject == id).unwrap()
    };
    work::postpone(&mut tx, of(ids[0]), at(900), "stuck: refused")
        .await
        .unwrap();
    work::postpone(&mut tx, of(ids[1]), at(50), "not stuck: busy")
        .await
        .unwrap();
    let found = async |tx: &mut crate::db::Tx, attempts| {
        let found = work::stuck_deletions(tx, attempts, "stuck: ", "early: ", 9)
            .await
            .unwrap();
        found
            .into_iter()
            .map(|dead| (dead.subject, dead.attempts, dead.last_error.unwrap()))
            .collect::<Vec<_>>()
    };
    let refused = (ids[0].to_string(), 1, "stuck: refused".to_owned());
    assert_eq!(found(&mut tx, 2).await, [refused]);
    assert_eq!(
        found(&mut tx, 1).await.len(),
        2,
        "one that never failed is not among them"
    );
    // However often something was tried that is only too early.
    let sql = "UPDATE work SET attempts = 99, last_error = 'early: ' || last_error";
    tx.execute(sql, &[]).await.unwrap();
    assert_eq!(found(&mut tx, 1).await, []);
    // The operator's retry does not wait for the long pause.
    assert_eq!(
        work::revive(&mut tx, Some(ids[0]), at(60)).await.unwrap(),
        1
    );
    let [again] = work::lease(
        &mut tx,
        &[WorkKind::DeleteAtSource],
        super::holder(),
        Term::at(at(60), at(200)),
        1,
    )
    .await
    .unwrap()
    .try_into()
    .unwrap();
    assert!(ids[..2].contains(&again.subject.parse().unwrap()));
}

async fn a_shredded_recording_that_is_told_of_again_is_erased_again(world: &World) {
    let id = world.one_announced().await;
    world
        .sql(&[
            "UPDATE recordings SET state = 'shredded'",
            "DELETE FROM work",
        ])
        .await;
    for (time, status) in [(70, "in-progress"), (80, "completed"), (90, "completed")] {
        world
            .told(vec![super::announcement(0, status)], at(time))
            .await;
        assert_eq!(
            work_rows(world, "delete-at-source").await,
            [(id, "due".into(), at(time).as_millis(), 0, None)],
            "{status}"
        );
    }
    assert_eq!(work_rows(world, "fetch").await, []);
    assert_eq!(
        world
            .int("SELECT COUNT(*) FROM audit WHERE event = 'recording.refused'")
            .await,
        3
    );
}
