//! Sessions, units of work, opening, and several processes on one database.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{World, at, holder, recording_id};
use crate::{
    db::{
        DatabaseSettings, Db, Error, Term, audit, recordings,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
};

every_database!(
    a_dropped_session_leaves_nothing,
    what_is_counted_is_what_was_committed,
    what_is_not_committed_nobody_else_sees,
    a_unit_is_run_again_after_a_conflict_and_only_then,
    opening_again_changes_nothing,
    several_processes_open_a_new_database_at_once,
    two_processes_write_and_neither_is_refused,
    who_rests_in_the_middle_of_a_unit_keeps_nobody_for_long,
    a_closed_database_is_not_available,
    a_newer_schema_is_refused,
    a_foreign_schema_is_refused,
    a_url_of_another_kind_is_refused,
);

/// A process that is suspended while it holds the head of the audit log. On SQLite no other process
/// can write until it continues or ends.
async fn who_rests_in_the_middle_of_a_unit_keeps_nobody_for_long(world: &World) {
    if world.is_sqlite() {
        return;
    }
    let mut resting = world.tx().await;
    audit::append(
        &mut resting,
        NewEntry::recording_refused(at(1), recording_id(1)),
    )
    .await
    .unwrap();
    let mut other = world.tx().await;
    audit::append(
        &mut other,
        NewEntry::recording_refused(at(2), recording_id(2)),
    )
    .await
    .unwrap();
    other.commit().await.unwrap();
    let late = audit::append(
        &mut resting,
        NewEntry::recording_refused(at(3), recording_id(3)),
    )
    .await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    drop(resting);
    let log = audit::after(&mut world.tx().await, 0, 9).await.unwrap();
    assert_eq!(
        log.iter()
            .map(|entry| (entry.seq, entry.at))
            .collect::<Vec<_>>(),
        [(1, at(2))]
    );
}

async fn a_dropped_session_leaves_nothing(world: &World) {
    let id = world.one_announced().await;
    let before = world.find(id).await;
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap();
    work::lease(
        &mut tx,
        &[WorkKind::FetchMedia],
        holder(),
        Term::at(at(1), at(9)),
        9,
    )
    .await
    .unwrap();
    assert_eq!(
        recordings::find(&mut tx, id)
            .await
            .unwrap()
            .unwrap()
            .sealed_at,
        Some(at(1)),
        "it sees its own writing"
    );
    drop(tx);
    assert_eq!(world.find(id).await, before);
    assert!(
        !work::due(
            &mut world.tx().await,
            &[WorkKind::FetchMedia],
            Term::at(at(1), at(1))
        )
        .await
        .unwrap()
        .is_empty()
    );
}

#[expect(
    clippy::future_not_send,
    reason = "what is counted on this one thread is seen by this story alone"
)]
async fn what_is_counted_is_what_was_committed(world: &World) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let counts = recorder.handle();
    let _counting = metrics::set_default_local_recorder(&recorder);
    let mut tx = world.tx().await;
    tx.count("told_total", 2);
    tx.count_as("told_by_kind_total", "kind", "either", 2);
    drop(tx);
    let mut tx = world.tx().await;
    tx.count("told_total", 3);
    tx.count_as("told_by_kind_total", "kind", "either", 4);
    assert_eq!(counts.render(), "", "nothing is committed");
    tx.commit().await.unwrap();
    let counted = counts.render();
    assert!(
        counted.contains("told_total 3\n")
            && counted.contains("told_by_kind_total{kind=\"either\"} 4\n"),
        "{counted}"
    );
}

async fn what_is_not_committed_nobody_else_sees(world: &World) {
    let id = world.one_announced().await;
    let before = world.find(id).await;
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap();
    assert_eq!(world.find(id).await, before);
    tx.commit().await.unwrap();
    assert_eq!(world.find(id).await.unwrap().sealed_at, Some(at(1)));
}

async fn a_unit_is_run_again_after_a_conflict_and_only_then(world: &World) {
    // The number of failures, the error, the number of runs, and whether the unit succeeds.
    let stale = || Error::Stale("gone");
    for (failures, error, runs, succeeds) in [
        (0, None, 1, true),
        (1, None, 2, true),
        (11, None, 12, true),
        (12, None, 12, false),
        (1, Some(stale()), 1, false),
        (1, Some(Error::Unavailable("full".into())), 1, false),
    ] {
        let count = AtomicU32::new(0);
        let error = std::sync::Mutex::new(error);
        let outcome = world
            .db
            .unit("failed", async |_| {
                match count.fetch_add(1, Ordering::SeqCst) {
                    run if run < failures => {
                        Err(error.lock().unwrap().take().unwrap_or(Error::Conflict))
                    }
                    _ => Ok(()),
                }
            })
            .await;
        assert_eq!(
            (count.into_inner(), outcome.is_ok()),
            (runs, succeeds),
            "{failures} failures: {outcome:?}"
        );
    }
}

async fn opening_again_changes_nothing(world: &World) {
    let id = world.one_announced().await;
    let before = world.find(id).await;
    world.db.close().await;
    let again = world.another().await.unwrap();
    assert_eq!(
        recordings::find(&mut again.read().await.unwrap(), id)
            .await
            .unwrap(),
        before
    );
    assert_eq!(
        again.kind(),
        if world.is_sqlite() {
            "sqlite"
        } else {
            "postgres"
        }
    );
    again.probe().await.unwrap();
    again.close().await;
}

async fn several_processes_open_a_new_database_at_once(world: &World) {
    // On SQLite a missing file; on PostgreSQL a database without tables.
    let settings = match world.is_sqlite() {
        true => DatabaseSettings {
            url: "sqlite:new.db".into(),
            ..DatabaseSettings::default()
        },
        false => {
            world
                .sql(&["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"])
                .await;
            world.settings.clone()
        }
    };
    let opened = join_all((0..4).map(|_| Db::open(&settings, world.folder.path()))).await;
    for db in opened {
        let db = db.unwrap();
        db.probe().await.unwrap();
        db.close().await;
    }
}

async fn two_processes_write_and_neither_is_refused(world: &World) {
    let ids = world.announced(40).await;
    let another = world.another().await.unwrap();
    let writes = ids.iter().enumerate().map(|(index, id)| {
        let db = if index % 2 == 0 { &world.db } else { &another };
        let id = *id;
        db.unit("sealed", move |mut unit| async move {
            unit.without_entry("a test");
            recordings::mark_sealed(&mut unit, id, at(1)).await
        })
    });
    for written in join_all(writes).await {
        written.unwrap();
    }
    for db in [&world.db, &another] {
        let counted = recordings::count_by_state(&mut db.read().await.unwrap())
            .await
            .unwrap();
        assert_eq!(
            counted,
            [(crate::model::recording::RecordingState::Sealed, 40)]
        );
    }
    another.close().await;
}

async fn a_closed_database_is_not_available(world: &World) {
    world.db.close().await;
    assert!(matches!(
        world.db.begin().await.err(),
        Some(Error::Unavailable(_))
    ));
    assert!(matches!(
        world.db.read().await.err(),
        Some(Error::Unavailable(_))
    ));
    assert!(matches!(world.db.probe().await, Err(Error::Unavailable(_))));
}

async fn a_newer_schema_is_refused(world: &World) {
    world
        .sql(&["INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            SELECT 9999, 'from the future', success, checksum, execution_time FROM _sqlx_migrations WHERE version = 1"])
        .await;
    let refused = world.another().await.err();
    let Some(Error::Schema(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        why.contains("9999") && why.contains("newer recvault"),
        "{why}"
    );
}

async fn a_foreign_schema_is_refused(world: &World) {
    let other = if world.is_sqlite() {
        "x'00'"
    } else {
        "'\\x00'::bytea"
    };
    world
        .sql(&[&format!(
            "UPDATE _sqlx_migrations SET checksum = {other} WHERE version = 1"
        )])
        .await;
    let refused = world.another().await.err();
    let Some(Error::Schema(why)) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        why.contains("schema 1") && why.contains("another program"),
        "{why}"
    );
}

async fn a_url_of_another_kind_is_refused(world: &World) {
    for url in [
        "",
        "vault.db",
        "mysql://localhost/vault",
        "postgres",
        "postgres://[",
        "SQLITE:x",
    ] {
        let refused = Db::open(
            &DatabaseSettings {
                url: url.into(),
                ..DatabaseSettings::default()
            },
            world.folder.path(),
        )
        .await
        .err();
        let Some(Error::Url(why)) = refused else {
            panic!("{url}: {refused:?}")
        };
        assert!(!why.is_empty());
    }
    assert_eq!(world.find(recording_id(0)).await, None);
}
