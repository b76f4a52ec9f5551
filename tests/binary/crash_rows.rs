//! The executable dies at each named crash point of rows that snapshots share, and the next snapshot
//! continues.

use std::collections::BTreeSet;

use crate::{
    database::Kind,
    world::{World, sound},
};

points! {
    dies_and_shares_again:
    dies_with_rows_that_are_not_stored at "rows.begun";
    dies_with_rows_that_nothing_names at "rows.stored";
    dies_with_rows_given_up at "rows.left";
    dies_with_the_object_of_rows_deleted at "rows.deleted";
}

/// Every snapshot verifies, and a rebuilt vault has and opens everything that lives.
async fn holds(world: &World) {
    let snapshots = world.run(&["snapshot", "list", "--json"]).json();
    for kept in snapshots.as_array().unwrap() {
        let name = kept["snapshot"].as_str().unwrap();
        world.run(&["snapshot", "verify", name]).done();
    }
    world.run(&["drill"]).done();
}

/// Enters recordings that were never made, more than stand in one piece, none of which ends one by
/// its id.
async fn fill(world: &World, kind: Kind) {
    let hex = match kind {
        Kind::Sqlite => "printf('%028x', n)",
        Kind::Postgres => "lpad(to_hex(n), 28, '0')",
    };
    let columns = "kind, state, account, files, source_status, source_rank, tier, policy_version, policy_digest";
    let sql = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1100)
         INSERT INTO recordings (id, source_sid, announced_at, collected_at, {columns})
         SELECT 'rec_ffff' || {hex}, 'REffff' || {hex}, announced_at + 1, announced_at,
           kind, 'absent', account, files, source_status, 1, tier, policy_version, policy_digest
         FROM recordings, numbers"
    );
    world.database.execute(&sql).await;
}

async fn changed(world: &World) {
    let sql = "UPDATE recordings SET error_code = 16101 WHERE id LIKE 'rec_ffff%' AND error_code IS NULL AND id = (SELECT MIN(id) FROM recordings WHERE state = 'absent')";
    world.database.execute(sql).await;
}

async fn dies_and_shares_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let service = world.serve().await;
    world.sealed(&service.client, sound(1, 1)).await;
    service.process.stop().await;
    fill(&world, kind).await;

    let create = ["snapshot", "create"];
    let before = match point {
        "rows.left" => 1,
        "rows.deleted" => 3,
        _ => 0,
    };
    for nth in 0..before {
        world.run(&create).done();
        if nth == 0 {
            changed(&world).await;
        }
    }
    let ended = world.run_until(point, &create);
    assert_eq!(
        ended.code, None,
        "it should have died at {point}: {ended:?}"
    );
    holds(&world).await;

    // Whoever died with it has not finished it an hour later, and is not coming back.
    world
        .database
        .execute("UPDATE shared_rows SET begun_at = 0 WHERE size = 0")
        .await;
    for _ in 0..4 {
        world.run(&create).done();
        holds(&world).await;
    }
    let of = async |sql: &str| -> BTreeSet<String> {
        let texts = world.database.texts(sql).await.into_iter();
        texts
            .map(|object| object.trim_start_matches("obj_").to_owned())
            .collect()
    };
    let shared = of("SELECT object_id FROM shared_rows WHERE left_seq IS NULL").await;
    let all = of("SELECT object_id FROM shared_rows").await;
    let mut named = of("SELECT object_id FROM artefacts WHERE object_id IS NOT NULL").await;
    assert_eq!((shared.len(), &shared), (1, &all));
    named.extend(shared);
    let objects: BTreeSet<String> = world.objects().into_keys().collect();
    assert_eq!(objects, named);
}
