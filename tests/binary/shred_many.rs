//! `shred` with many recordings, interrupted by a power failure.

use serde_json::Value;

use crate::{
    database::Kind,
    invariants,
    process::run_in,
    world::{World, sound},
};

async fn shredded(world: &World) -> usize {
    world
        .database
        .texts("SELECT id FROM recordings WHERE state = 'shredded'")
        .await
        .len()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_shredded_by_one_command() {
    let world = World::sqlite().await;
    let service = world.serve().await;
    let ids = [
        world.sealed(&service.client, sound(1, 1)).await,
        world.sealed(&service.client, sound(2, 1)).await,
    ];
    let ids = ids.map(|id| id.to_string());
    let args = ["shred", &ids[0], &ids[1], "--reason", "subject-request"];
    let dry = world
        .run(&[&args[..], &["--dry-run", "--json"]].concat())
        .json();
    let would: Vec<_> = dry
        .as_array()
        .unwrap()
        .iter()
        .map(|facts| (&facts["recording_id"], &facts["would_shred"]))
        .collect();
    assert_eq!(
        would,
        [
            (&ids[0].clone().into(), &true.into()),
            (&ids[1].clone().into(), &true.into())
        ]
    );
    let missing = "rec_00000000000000000000000000000000";
    let why = world
        .run(&["shred", &ids[0], missing, "--reason", "subject-request"])
        .refused();
    assert!(why.contains(missing), "{why}");
    assert_eq!(
        shredded(&world).await,
        0,
        "a wrong id among them, and nothing is done"
    );

    let facts = world.run(&[&args[..], &["--json"]].concat()).json();
    let receipts: Vec<&Value> = facts
        .as_array()
        .unwrap()
        .iter()
        .map(|facts| &facts["receipt"])
        .collect();
    let said = world.run(&args).done();
    assert!(ids.iter().all(|id| said.contains(id)), "{said}");
    assert_eq!(receipts.len(), 2);
    assert_eq!(
        world
            .run(&["shred", &ids[0], "--reason", "x", "--json"])
            .json()["recording_id"],
        ids[0].as_str()
    );
}

/// More recordings than one unit of work takes; it dies after the first unit's commit.
async fn what_dies_half_way_is_gone_on_with(kind: Kind) {
    let world = World::on(kind).await;
    let service = world.serve().await;
    let mut ids = Vec::new();
    for number in 0..210 {
        let (sid, id) = world.record(sound(number, 1));
        assert_eq!(world.announce(&service.client, &sid).await.unwrap(), 204);
        ids.push(id);
    }
    for id in &ids {
        service.client.until(*id, "sealed").await;
    }
    service.process.stop().await;
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let args: Vec<&str> = ["shred", "--reason", "retention", "--json"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    let dead = run_in(
        world.folder.path(),
        &args,
        &[("RECVAULT_CRASH_AT", "shred.after_commit")],
    );
    assert_eq!((dead.code, dead.stdout.as_str()), (None, ""), "{dead:?}");
    let half = shredded(&world).await;
    assert!(0 < half && half < ids.len(), "{half} of {}", ids.len());
    invariants::check(&world).await;

    let facts = world.run(&args).json();
    let told: Vec<&str> = facts
        .as_array()
        .unwrap()
        .iter()
        .map(|facts| facts["recording_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        told, ids,
        "all of them, in their order, whoever shredded them"
    );
    assert_eq!(shredded(&world).await, ids.len());
    invariants::check(&world).await;
    assert_eq!(world.run(&args).json(), facts);
}

mod sqlite {
    #[tokio::test(flavor = "multi_thread")]
    async fn what_dies_half_way_is_gone_on_with() {
        super::what_dies_half_way_is_gone_on_with(super::Kind::Sqlite).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: run `tests/run`"]
    async fn what_dies_half_way_is_gone_on_with() {
        super::what_dies_half_way_is_gone_on_with(super::Kind::Postgres).await;
    }
}
