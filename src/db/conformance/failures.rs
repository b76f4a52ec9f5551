//! Failures: a full disk, a read-only database, locks, lost connections, invalid rows.

use super::{World, announcement, at, holder};
use crate::{
    db::{
        Error, Term, audit, grants,
        keys::{self, KeyEntry},
        principals, recordings, tokens,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    keyring::{LEAF, PageRow},
    model::{
        actor::Initiator,
        artefact::Leg,
        id::{PageId, ReceiptId, RevocationId},
    },
};

every_database!(
    a_database_that_takes_no_writes_keeps_nothing_of_a_batch,
    a_full_disk_keeps_nothing_of_a_batch,
    a_full_disk_keeps_nothing_of_a_unit,
    a_lock_that_is_not_given_means_not_available,
    a_lost_connection_is_replaced,
    what_the_server_says_becomes_what_the_caller_can_do,
    a_folder_that_is_not_there_is_named,
    a_row_that_cannot_be_names_table_column_and_id,
);

/// Makes the database read-only; open connections notice it.
async fn forbid_writing(world: &World) {
    match &world.server {
        None => {
            let mut tx = world.tx().await;
            tx.execute("PRAGMA query_only = on", &[]).await.unwrap();
            tx.commit().await.unwrap();
        }
        Some(server) => {
            server
                .run(&format!(
                    "ALTER DATABASE {} SET default_transaction_read_only = on",
                    server.database
                ))
                .await;
            disconnect_all(world).await;
        }
    }
}

/// Disconnects every connection, like a restart of the PostgreSQL server.
async fn disconnect_all(world: &World) {
    let server = world.server.as_ref().unwrap();
    server
        .run(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            server.database
        ))
        .await;
}

async fn a_database_that_takes_no_writes_keeps_nothing_of_a_batch(world: &World) {
    world
        .told(vec![announcement(0, "in-progress")], at(0))
        .await;
    let before = world.find(super::recording_id(0)).await;
    forbid_writing(world).await;
    let (answers, _) = world
        .told_together(
            (0..3)
                .map(|number| announcement(number, "completed"))
                .collect(),
            at(1),
        )
        .await;
    for answer in answers {
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
    assert_eq!(world.find(super::recording_id(0)).await, before);
    assert_eq!(
        (
            world.int("SELECT COUNT(*) FROM recordings").await,
            world.int("SELECT COUNT(*) FROM work").await
        ),
        (1, 0)
    );
    if let Some(server) = &world.server {
        server
            .run(&format!(
                "ALTER DATABASE {} RESET default_transaction_read_only",
                server.database
            ))
            .await;
    }
    let again = world.another().await.unwrap();
    let mut tx = again.begin().await.unwrap();
    audit::append(
        &mut tx,
        NewEntry::work_retried(at(1), Initiator::Operator, None, 0),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    again.close().await;
}

/// Limits how far the file may grow; only SQLite's disk can be filled by a test.
async fn let_grow(world: &World, pages: i64) {
    let mut tx = world.tx().await;
    let used = tx.fetch_int("PRAGMA page_count", &[]).await.unwrap();
    tx.execute(&format!("PRAGMA max_page_count = {}", used + pages), &[])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn a_full_disk_keeps_nothing_of_a_batch(world: &World) {
    if !world.is_sqlite() {
        return;
    }
    world
        .told(vec![announcement(999, "completed")], at(0))
        .await;
    let_grow(world, 3).await;
    let batch = || {
        (0..256)
            .map(|number| announcement(number, "completed"))
            .collect()
    };
    let (answers, _) = world.told_together(batch(), at(1)).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(Error::Unavailable(_))))
    );
    assert_eq!(
        (
            world.int("SELECT COUNT(*) FROM recordings").await,
            world.int("SELECT COUNT(*) FROM work").await
        ),
        (1, 1)
    );
    // An operator makes room, and the source retries.
    let_grow(world, 1000).await;
    world.told(batch(), at(2)).await;
    assert_eq!(world.int("SELECT COUNT(*) FROM recordings").await, 257);
}

async fn a_full_disk_keeps_nothing_of_a_unit(world: &World) {
    if !world.is_sqlite() {
        return;
    }
    let id = world.one_announced().await;
    let_grow(world, 1).await;
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap();
    let failed = keys::insert_page(&mut tx, &leaf(40_000), holder(), at(1)).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    drop(tx);
    assert_eq!(world.find(id).await.unwrap().sealed_at, None);
}

async fn a_lock_that_is_not_given_means_not_available(world: &World) {
    let id = world.one_announced().await;
    let another = world.another().await.unwrap();
    let mut patient = another.begin().await.unwrap();
    let impatient = if world.is_sqlite() {
        "PRAGMA busy_timeout = 1"
    } else {
        "SET lock_timeout = '1ms'"
    };
    patient.execute(impatient, &[]).await.unwrap();
    if world.is_sqlite() {
        // The lock is requested at the beginning.
        patient.commit().await.unwrap();
        let holds = world.tx().await;
        assert!(matches!(
            another.begin().await.err(),
            Some(Error::Unavailable(_))
        ));
        drop(holds);
    } else {
        let mut holds = world.tx().await;
        recordings::mark_sealed(&mut holds, id, at(1))
            .await
            .unwrap();
        let refused = recordings::mark_sealed(&mut patient, id, at(1)).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        drop((patient, holds));
    }
    another.close().await;
}

async fn a_lost_connection_is_replaced(world: &World) {
    if world.is_sqlite() {
        return;
    }
    let id = world.one_announced().await;
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(1)).await.unwrap();
    disconnect_all(world).await;
    let lost = tx.commit().await;
    assert!(matches!(lost, Err(Error::Unavailable(_))), "{lost:?}");
    assert_eq!(world.find(id).await.unwrap().sealed_at, None);
    let mut tx = world.tx().await;
    recordings::mark_sealed(&mut tx, id, at(2)).await.unwrap();
    tx.commit().await.unwrap();
}

async fn what_the_server_says_becomes_what_the_caller_can_do(world: &World) {
    if world.is_sqlite() {
        return;
    }
    // PostgreSQL 15, appendix A: error codes.
    for (code, expected) in [
        ("40001", "conflict"),    // serialization_failure
        ("40P01", "conflict"),    // deadlock_detected
        ("23505", "conflict"),    // unique_violation
        ("08006", "unavailable"), // connection_failure
        ("53100", "unavailable"), // disk_full
        ("53300", "unavailable"), // too_many_connections
        ("55P03", "unavailable"), // lock_not_available
        ("57014", "unavailable"), // query_canceled, by statement_timeout
        ("57P01", "unavailable"), // admin_shutdown
        ("58030", "unavailable"), // io_error
        ("25006", "unavailable"), // read_only_sql_transaction
        ("23503", "statement"),   // foreign_key_violation
        ("42601", "statement"),   // syntax_error
    ] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
        let seen = match world.tx().await.execute(&raise, &[]).await {
            Err(Error::Conflict) => "conflict",
            Err(Error::Unavailable(_)) => "unavailable",
            Err(Error::Statement(_)) => "statement",
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!(seen, expected, "{code}");
    }
}

async fn a_folder_that_is_not_there_is_named(world: &World) {
    if !world.is_sqlite() {
        return;
    }
    let refused = crate::db::Db::open(&world.settings, &world.folder.path().join("not/there"))
        .await
        .err();
    assert!(
        matches!(refused, Some(Error::Unavailable(_))),
        "{refused:?}"
    );
}

fn leaf(sealed_len: usize) -> PageRow {
    let id = PageId::random(&mut rand::rng());
    let tier = "standard".into();
    PageRow {
        id,
        tier,
        level: LEAF,
        generation: 1,
        parent: None,
        used: 1,
        epoch: 1,
        stale: false,
        sealed: vec![1; sealed_len],
    }
}

/// Each case has the error of a query, and the table, column and row that it must name.
async fn a_row_that_cannot_be_names_table_column_and_id(world: &World) {
    let id = world.one_announced().await;
    let other = super::recording_id(1);
    world.told(vec![announcement(1, "completed")], at(0)).await;
    let page = leaf(8);
    let receipt = ReceiptId::random(&mut rand::rng());
    let entry = KeyEntry {
        place: crate::keyring::PageSlot {
            page: page.id,
            slot: 0,
        },
        fingerprint: "f".into(),
    };
    let mut tx = world.tx().await;
    keys::insert_page(&mut tx, &page, holder(), at(0))
        .await
        .unwrap();
    keys::insert_entries(&mut tx, [((id, Leg::All), entry.clone())].into())
        .await
        .unwrap();
    super::tombstone(&mut tx, other, at(0), receipt, 1, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world
        .sql(&[
            "INSERT INTO principals (id, kind, issuer, subject, label, created_at)
             VALUES ('prn_00000000000000000000000000000001', 'android', 'local', 'a', '', 0)",
            "INSERT INTO tokens (id, hash, label, roles, accounts, created_at, expires_at, principal_id)
             VALUES ('tok_00000000000000000000000000000001', 'h1', '', '[\"not a role\"]', '[]', 0, 1, 'prn_00000000000000000000000000000001')",
            "INSERT INTO grants (id, hash, object, account, token_id, purpose, justified, policy_digest, issued_at, expires_at)
             SELECT 'grt_1', 'g1', id, account, 'tok_00000000000000000000000000000001', 'quality-review', 1, '', 0, 1 FROM recordings LIMIT 1",
            "INSERT INTO audit (seq, at, actor, event, recording_id, details) VALUES (1, 0, 'somebody', 'work.dead', NULL, '{}')",
            "UPDATE pages SET used = 300",
            "UPDATE key_entries SET slot = -1",
            "UPDATE recordings SET tier = 'Not A Tier'",
            "UPDATE work SET kind = 'revocation', subject = 'dance' WHERE subject = (SELECT MIN(subject) FROM work)",
            "INSERT INTO vault (id, created_at) VALUES ('vlt_', 0)",
            "INSERT INTO artefacts (recording_id, leg, artefact, object_id, inline, plain_len, sealed_len, sealed_sha256, segment, content_type)
             SELECT recording_id, leg, 'audio', 'obj_', '', 0, 0, '', 65536, '' FROM key_entries",
        ])
        .await;
    let mut tx = world.tx().await;
    let recording = id.to_string();
    let found = [
        (
            recordings::find(&mut tx, id).await.err(),
            "recordings",
            "tier",
            recording.clone(),
        ),
        (
            recordings::artefacts(&mut tx, id).await.err(),
            "artefacts",
            "object_id",
            recording.clone(),
        ),
        (
            keys::find_entry(&mut tx, id, Leg::All).await.err(),
            "key_entries",
            "slot",
            recording,
        ),
        (
            keys::path(&mut tx, page.id).await.err(),
            "pages",
            "used",
            page.id.to_string(),
        ),
        (
            keys::vault_id(&mut tx).await.err(),
            "vault",
            "id",
            "vlt_".into(),
        ),
        (
            principals::list(&mut tx).await.err(),
            "principals",
            "kind",
            "prn_00000000000000000000000000000001".into(),
        ),
        (
            tokens::authenticate(&mut tx, "h1", at(0)).await.err(),
            "tokens",
            "roles",
            "tok_00000000000000000000000000000001".into(),
        ),
        (
            grants::find(&mut tx, "g1").await.err(),
            "grants",
            "id",
            "grt_1".into(),
        ),
        (
            audit::after(&mut tx, 0, 9).await.err(),
            "audit",
            "actor",
            "1".into(),
        ),
    ];
    for (error, table, column, id) in found {
        let Some(error) = error else {
            panic!("table {table} column {column} was read")
        };
        assert_eq!(
            error.to_string(),
            format!("table `{table}` column `{column}` row `{id}` has an invalid value")
        );
    }
    let danced = work::lease(
        &mut tx,
        &[WorkKind::Revocation],
        holder(),
        Term::at(at(1), at(9)),
        1,
    )
    .await
    .unwrap()[0]
        .parsed::<RevocationId>()
        .err();
    assert!(
        matches!(
            danced,
            Some(Error::Inconsistent {
                table: "work",
                column: "subject",
                ..
            })
        ),
        "{danced:?}"
    );
}
