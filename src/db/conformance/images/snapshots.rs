//! Sessions that see one state.

use sqlx::{Connection as _, SqliteConnection};

use super::{
    super::{World, announcement, at, recording_id},
    all, contents, filled, parsed,
};
use crate::db::{
    Error,
    image::{self, Table},
    tx::Arg,
};

every_database!(
    a_snapshot_sees_nothing_of_what_comes_later,
    a_snapshot_may_rest,
    a_snapshot_writes_nothing,
    a_dropped_snapshot_holds_nothing_up,
    a_closed_database_gives_no_snapshot,
);

async fn a_snapshot_sees_nothing_of_what_comes_later(world: &World) {
    filled(world).await;
    let before = contents(world).await;
    let mut snapshot = world.db.snapshot().await.unwrap();
    let another = world.another().await.unwrap();
    for (number, (table, expected)) in (500..).zip(Table::ALL.into_iter().zip(&before)) {
        // The session does not block writers, neither here nor in another process.
        world
            .told(vec![announcement(number, "completed")], at(9))
            .await;
        let mut tx = another.begin().await.unwrap();
        tx.execute("UPDATE vault SET created_at = created_at + 1", &[])
            .await
            .unwrap();
        tx.execute(
            "DELETE FROM work WHERE recording_id = $1",
            &[Arg::Text(&recording_id(1).to_string())],
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        assert_eq!(&all(&mut snapshot, table, 50).await, expected, "{table:?}");
    }
    assert_eq!(
        image::count(&mut snapshot, Table::Recordings)
            .await
            .unwrap(),
        200
    );
    let mut later = world.db.snapshot().await.unwrap();
    assert_eq!(
        image::count(&mut later, Table::Recordings).await.unwrap(),
        200 + Table::ALL.len() as i64
    );
    drop((snapshot, later));
    another.close().await;
}

async fn a_snapshot_may_rest(world: &World) {
    if world.is_sqlite() {
        return;
    }
    const TIMEOUT: &str = "SELECT setting::bigint FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'";
    let mut snapshot = world.db.snapshot().await.unwrap();
    assert_eq!(snapshot.fetch_int(TIMEOUT, &[]).await.unwrap(), 0);
    let another = world.another().await.unwrap();
    let mut tx = another.begin().await.unwrap();
    assert_eq!(
        tx.fetch_int(TIMEOUT, &[]).await.unwrap(),
        8_000,
        "an ordinary session may not"
    );
    image::defer_references(&mut tx).await.unwrap();
    assert_eq!(tx.fetch_int(TIMEOUT, &[]).await.unwrap(), 0);
    tx.commit().await.unwrap();
    assert_eq!(
        another
            .begin()
            .await
            .unwrap()
            .fetch_int(TIMEOUT, &[])
            .await
            .unwrap(),
        8_000,
        "for one unit of work only"
    );
    another.close().await;
}

async fn a_snapshot_writes_nothing(world: &World) {
    filled(world).await;
    let mut snapshot = world.db.snapshot().await.unwrap();
    let refused = image::insert(
        &mut snapshot,
        Table::Vault,
        &[parsed(Table::Vault, r#"["vlt_2",1,"dbi_2"]"#)],
    )
    .await;
    assert!(matches!(refused, Err(Error::Reading)), "{refused:?}");
    drop(snapshot);
    let snapshot = world.db.snapshot().await.unwrap();
    snapshot.commit().await.unwrap();
    assert_eq!(world.int("SELECT COUNT(*) FROM vault").await, 1);
}

async fn a_dropped_snapshot_holds_nothing_up(world: &World) {
    filled(world).await;
    let mut snapshot = world.db.snapshot().await.unwrap();
    let pid = if world.is_sqlite() {
        0
    } else {
        snapshot
            .fetch_int("SELECT pg_backend_pid()::bigint", &[])
            .await
            .unwrap()
    };
    world
        .told(vec![announcement(900, "completed")], at(9))
        .await;
    drop(snapshot);
    if world.is_sqlite() {
        // Waits for readers of the log for some seconds, and returns whether one was left.
        let path = world.folder.path().join("vault.db");
        let mut connection = SqliteConnection::connect(&format!("sqlite:{}", path.display()))
            .await
            .unwrap();
        let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(busy, 0);
        connection.close().await.unwrap();
    } else {
        // The server ends its backend process once the connection is closed.
        while world
            .int(&format!(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE pid = {pid}"
            ))
            .await
            > 0
        {}
    }
}

async fn a_closed_database_gives_no_snapshot(world: &World) {
    world.db.close().await;
    assert!(matches!(
        world.db.snapshot().await.err(),
        Some(Error::Unavailable(_))
    ));
}
