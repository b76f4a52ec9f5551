//! The unit of work: what it collects, refuses, and leaves.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use metrics_exporter_prometheus::PrometheusBuilder;

use super::{World, at, recording_id};
use crate::{
    db::{
        Error, Unit, audit, holds,
        outbox::{self, OutboxKind},
        recordings,
    },
    evidence::NewEntry,
    model::{id::RecordingId, time::Timestamp},
};

every_database!(
    a_unit_that_changes_rows_and_tells_nothing_is_refused,
    a_unit_that_only_marks_is_refused_as_well,
    a_unit_that_says_why_it_is_no_act_needs_no_entry,
    who_only_looks_and_locks_needs_no_entry,
    what_is_gathered_is_written_once_in_its_order,
    the_number_of_an_entry_is_known_where_a_row_carries_it,
    what_a_unit_gathered_before_a_conflict_is_not_told_twice,
    a_unit_that_is_abandoned_leaves_nothing,
    a_unit_that_fails_leaves_nothing_that_it_told,
    a_unit_that_outlives_its_closure_leaves_nothing,
    who_reads_writes_nothing,
    only_an_empty_database_has_a_first_unit,
);

fn entry(millis: i64) -> NewEntry {
    NewEntry::recording_refused(at(millis), recording_id(1))
}

/// Returns the times of all entries.
async fn log(world: &World) -> Vec<Timestamp> {
    let mut tx = world.db.read().await.unwrap();
    let entries = audit::after(&mut tx, 0, 99).await.unwrap();
    entries.iter().map(|entry| entry.at).collect()
}

async fn seal(unit: &mut Unit, id: RecordingId) -> Result<(), Error> {
    recordings::mark_sealed(unit, id, at(1)).await.map(drop)
}

async fn a_unit_that_changes_rows_and_tells_nothing_is_refused(world: &World) {
    let id = world.one_announced().await;
    let before = world.find(id).await;
    let done = world
        .db
        .unit("sealing", async |mut unit| seal(&mut unit, id).await);
    let refused = done.await.unwrap_err();
    assert!(matches!(refused, Error::Untold("sealing")), "{refused}");
    assert_eq!(world.find(id).await, before);
}

async fn a_unit_that_only_marks_is_refused_as_well(world: &World) {
    let done = world.db.unit("marking", async |mut unit| {
        unit.to_journal(OutboxKind::Recording, &[recording_id(1)], at(1));
        Ok::<_, Error>(())
    });
    assert!(matches!(done.await, Err(Error::Untold("marking"))));
    let waiting = outbox::waiting(&mut world.db.read().await.unwrap()).await;
    assert_eq!(waiting.unwrap(), (0, None));
}

async fn a_unit_that_says_why_it_is_no_act_needs_no_entry(world: &World) {
    let id = world.one_announced().await;
    let done = world.db.unit("sealing", async |mut unit| {
        unit.without_entry("a test");
        seal(&mut unit, id).await
    });
    done.await.unwrap();
    assert_eq!(world.find(id).await.unwrap().sealed_at, Some(at(1)));
    assert_eq!(log(world).await, []);
}

async fn who_only_looks_and_locks_needs_no_entry(world: &World) {
    let id = world.one_announced().await;
    let sealed = world.db.unit("sealing", async |mut unit| {
        unit.audit(entry(1));
        seal(&mut unit, id).await
    });
    sealed.await.unwrap();
    let looked = world.db.unit("looking", async |mut unit| {
        recordings::lock_sealed(&mut unit, id).await?;
        let name = "lawsuit-7".parse().unwrap();
        holds::lift(&mut unit, id, &name, at(2)).await
    });
    assert_eq!(looked.await.unwrap(), None);
}

async fn what_is_gathered_is_written_once_in_its_order(world: &World) {
    let id = world.one_announced().await;
    let done = world.db.unit("sealing", async |mut unit| {
        unit.audit(entry(3));
        unit.to_journal(OutboxKind::Recording, &[id], at(5));
        unit.to_journal(OutboxKind::Recording, &[id, recording_id(9)], at(4));
        unit.to_journal::<RecordingId>(OutboxKind::Consent, &[], at(1));
        seal(&mut unit, id).await?;
        assert_eq!(audit::head(&mut unit).await?, 0, "entries come last");
        assert_eq!(outbox::waiting(&mut unit).await?.0, 0);
        unit.audit_all([entry(2), entry(1)]);
        Ok::<_, Error>(())
    });
    done.await.unwrap();
    assert_eq!(log(world).await, [at(3), at(2), at(1)]);
    let waiting = outbox::waiting(&mut world.db.read().await.unwrap()).await;
    assert_eq!(waiting.unwrap(), (2, Some(at(4))));
}

async fn the_number_of_an_entry_is_known_where_a_row_carries_it(world: &World) {
    let numbered = world.db.unit("numbering", async |mut unit| {
        unit.audit_all([entry(1), entry(2)]);
        let first = unit.audit_now(vec![entry(3), entry(4)]).await?;
        unit.audit(entry(5));
        Ok::<_, Error>(first)
    });
    assert_eq!(numbered.await.unwrap(), 3);
    assert_eq!(log(world).await, [1, 2, 3, 4, 5].map(at));
}

#[expect(
    clippy::future_not_send,
    reason = "what is counted on this one thread is seen by this story alone"
)]
async fn what_a_unit_gathered_before_a_conflict_is_not_told_twice(world: &World) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let counts = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let runs = AtomicU32::new(0);
    let done = world.db.unit("telling", async |mut unit| {
        unit.audit(entry(1));
        unit.count("told_total", 1);
        if runs.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Error::Conflict);
        }
        Ok(())
    });
    done.await.unwrap();
    assert_eq!(log(world).await, [at(1)]);
    assert!(counts.render().contains("told_total 1\n"));
}

async fn a_unit_that_is_abandoned_leaves_nothing(world: &World) {
    let id = world.one_announced().await;
    let before = world.find(id).await;
    let done = world.db.unit("sealing", async |mut unit| {
        seal(&mut unit, id).await?;
        unit.audit_now(vec![entry(1)]).await?;
        unit.abandon();
        Ok::<_, Error>("not now")
    });
    assert_eq!(done.await.unwrap(), "not now");
    assert_eq!(world.find(id).await, before);
    assert_eq!(log(world).await, []);
}

async fn a_unit_that_fails_leaves_nothing_that_it_told(world: &World) {
    let done = world.db.unit("telling", async |mut unit| {
        unit.audit_now(vec![entry(1)]).await?;
        Err::<(), _>(Error::Stale("too late"))
    });
    assert!(matches!(done.await, Err(Error::Stale("too late"))));
    assert_eq!(log(world).await, []);
}

async fn a_unit_that_outlives_its_closure_leaves_nothing(world: &World) {
    let kept = Mutex::new(None);
    let done = world.db.unit("keeping", async |mut unit| {
        unit.audit_now(vec![entry(1)]).await?;
        *kept.lock().unwrap() = Some(unit);
        Ok::<_, Error>(())
    });
    assert!(matches!(done.await, Err(Error::Kept("keeping"))));
    drop(kept);
    assert_eq!(log(world).await, []);
}

/// On PostgreSQL each statement of a reader would be a transaction of its own.
async fn who_reads_writes_nothing(world: &World) {
    let id = world.one_announced().await;
    let before = world.find(id).await;
    let mut reading = world.db.read().await.unwrap();
    let written = recordings::mark_sealed(&mut reading, id, at(1)).await;
    assert!(matches!(written, Err(Error::Reading)), "{written:?}");
    let mut looking = world.db.snapshot().await.unwrap();
    let numbered = audit::append(&mut looking, entry(1)).await;
    assert!(matches!(numbered, Err(Error::Reading)), "{numbered:?}");
    assert_eq!(world.find(id).await, before);
    assert_eq!(log(world).await, []);
}

async fn only_an_empty_database_has_a_first_unit(world: &World) {
    world.one_announced().await;
    let done = world.db.first_unit("beginning", async |mut unit| {
        unit.audit(entry(1));
        Ok::<_, Error>(())
    });
    assert!(matches!(done.await, Err(Error::NotEmpty(_))));
    assert_eq!(log(world).await, []);
}
