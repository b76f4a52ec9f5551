//! The executable dies at each named crash point of a restore, and the same command completes it.

use super::{Kind, Life};
use crate::{
    book::Entry,
    database::Database,
    needs,
    world::{World, sound},
};

points! {
    dies_while_it_restores:
    dies_with_the_rows_entered at "restore.loaded";
    dies_with_a_restore_that_is_not_committed at "restore.before_commit";
    dies_with_custody_taken_for_rows_that_are_not_committed at "restore.taken_over";
    dies_with_a_restored_vault_that_is_not_settled at "restore.committed";
    dies_with_the_turn_that_settles_it at "turn.verified";
    dies_with_the_receipts_of_a_restored_vault_signed at "turn.receipts";
}

async fn dies_while_it_restores(kind: Kind, point: &str) {
    let mut world = World::on(kind).await;
    let mut life = Life::led(&world).await;
    world.run(&["snapshot", "create"]).done();
    // In the journal only: one more living recording.
    let service = world.serve().await;
    let late = Entry::new(&world, sound(7, 1));
    assert_eq!(late.announce(&world, &service.client).await.unwrap(), 204);
    service.client.until(late.id, "sealed").await;
    service.process.stop().await;
    let tombstones = world
        .database
        .texts("SELECT CAST(COUNT(*) AS TEXT) FROM tombstones")
        .await;

    // The database is lost.
    let empty = match kind {
        Kind::Sqlite => Database::Sqlite(world.path("rebuilt.db")),
        Kind::Postgres => {
            Database::create_postgres(&needs::required("RECVAULT_TEST_POSTGRES")).await
        }
    };
    let url = if kind == Kind::Sqlite {
        "sqlite:rebuilt.db".to_owned()
    } else {
        empty.url()
    };
    world.configure(
        &format!("url = \"{}\"", world.database.url()),
        &format!("url = \"{url}\""),
    );
    let lost = std::mem::replace(&mut world.database, empty);
    drop(lost);
    let ended = world.run_until(point, &["snapshot", "restore", "--take-over"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (None, ""),
        "it should have died at {point}: {ended:?}"
    );
    let is_settling = point.starts_with("turn.");
    let is_committed = is_settling || point == "restore.committed";
    assert_eq!(
        world.database.texts("SELECT id FROM vault").await.len(),
        usize::from(is_committed),
        "half a vault is none"
    );
    if !is_committed {
        let refused = world.run(&["epoch", "status"]).refused();
        assert!(
            refused.contains("holds no vault, but a vault exists"),
            "{refused}"
        );
    }

    if is_settling {
        // The dead process still holds the turn: the refusal states the time, and its remedy works.
        let refused = world.run(&["snapshot", "restore", "--take-over"]).refused();
        assert!(
            refused.contains("s from now by the database's clock")
                && refused.contains("recvault epoch release"),
            "{refused}"
        );
        let released = world.run(&["epoch", "release", "--json"]).json();
        assert!(
            (1..=60).contains(&released["left_s"].as_u64().unwrap()),
            "{released}"
        );
    }
    // The same command resumes.
    let restored = world
        .run(&["snapshot", "restore", "--take-over", "--json"])
        .json();
    if is_committed {
        assert_eq!(restored["settled"], true);
    } else {
        assert_eq!(vec![restored["tombstones"].to_string()], tombstones);
    }
    assert_eq!(
        world
            .database
            .texts("SELECT CAST(COUNT(*) AS TEXT) FROM tombstones")
            .await,
        tombstones
    );
    let refused = world.run(&["snapshot", "restore", "--take-over"]).refused();
    assert!(refused.contains("not empty"), "{refused}");
    life.living.push(late);
    // Grants live for minutes, and are not in snapshots.
    for entry in life.living.iter_mut().chain(&mut life.shredded) {
        entry.audio.take();
    }
    life.goes_on(&world).await;
}
