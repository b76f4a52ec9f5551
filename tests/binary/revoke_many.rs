//! `revoke` of an account, interrupted by a power failure; and holds on the command line.

use serde_json::{Value, json};

use crate::{
    client::eventually,
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

/// More recordings than one unit of work takes; it dies after the first unit's commit.
async fn what_dies_half_way_goes_on_by_itself(kind: Kind) {
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
    let kept = ids[0].to_string();
    let hold = [
        "hold",
        "place",
        &kept,
        "--name",
        "lawsuit-7",
        "--purpose",
        "legal-request",
        "--reason",
        "litigation",
    ];
    let hold = [
        &hold[..],
        &[
            "--authority",
            "Landgericht",
            "--review-at",
            "2099-01-01T00:00:00Z",
            "--json",
        ],
    ]
    .concat();
    assert_eq!(world.run(&hold).json()[0]["name"], "lawsuit-7");
    let why = world
        .run(&["shred", &kept, &ids[1].to_string(), "--reason", "operator"])
        .refused();
    assert!(why.contains("lawsuit-7"), "{why}");

    let account = world.account.to_string();
    let args = [
        "revoke",
        "--account",
        &account,
        "--reason",
        "account-closed",
        "--json",
    ];
    let dry = world.run(&[&args[..], &["--dry-run"]].concat()).json();
    let named = |what: &str| dry[what].as_array().unwrap().len();
    assert_eq!(
        [
            "would_shred",
            "shredded_before",
            "would_close",
            "would_hold"
        ]
        .map(named),
        [209, 0, 0, 1]
    );
    assert_eq!(dry["would_hold"], json!([kept]));
    assert_eq!(shredded(&world).await, 0);
    let dead = run_in(
        world.folder.path(),
        &args,
        &[("RECVAULT_CRASH_AT", "shred.after_commit")],
    );
    assert_eq!((dead.code, dead.stdout.as_str()), (None, ""), "{dead:?}");
    let half = shredded(&world).await;
    assert!(0 < half && half < 209, "{half} of 209");
    invariants::check(&world).await;
    let revocation = world
        .database
        .texts("SELECT id FROM revocations WHERE state = 'running'")
        .await
        .remove(0);

    // The dead process's lease expires, and the service continues.
    world
        .database
        .execute("UPDATE work SET due_at = 0 WHERE kind = 'revocation'")
        .await;
    let service = world.serve().await;
    let done = "SELECT id FROM revocations WHERE state = 'done'";
    assert!(eventually(async || world.database.texts(done).await == [revocation.clone()]).await);
    assert_eq!(shredded(&world).await, 209);
    service.process.stop().await;
    invariants::check(&world).await;

    // A repeat reports the same for all of them.
    let again = world.run(&args);
    assert!(
        again.stderr.contains("revoke: 2"),
        "progress in plain lines: {}",
        again.stderr
    );
    let again = again.json();
    assert_eq!(
        again["counts"],
        json!({ "shredded": 209, "held": 1, "closed": 0 })
    );
    assert!(
        again["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .all(|each| each["outcome"] == "held" || each["receipt"].is_string())
    );
    std::fs::write(
        world.folder.path().join("whole"),
        again["receipt"].as_str().unwrap(),
    )
    .unwrap();
    let whole = world.run(&["receipt", "verify", "whole", "--json"]).json();
    assert_eq!(
        (&whole["verified"], &whole["shredded"], &whole["state"]),
        (&true.into(), &209.into(), &"held".into()),
        "{whole}"
    );
    assert!(
        world
            .run(&["receipt", "verify", "whole"])
            .done()
            .contains("kept by holds: 1")
    );
    let conflicts = world.run(&["hold", "list", "--conflicts", "--json"]).json();
    assert_eq!(
        (
            conflicts.as_array().unwrap().len(),
            &conflicts[0]["recording_id"]
        ),
        (1, &Value::from(kept.clone()))
    );
    assert_eq!(
        world.run(&["hold", "list", "--due", "--json"]).json(),
        json!([])
    );
    let lift = ["hold", "lift", &kept, "--name", "lawsuit-7"];
    let dry = world
        .run(&[&lift[..], &["--dry-run", "--json"]].concat())
        .json();
    assert_eq!(
        (&dry[0]["would_lift"], &dry[0]["would_shred"]),
        (&true.into(), &true.into())
    );
    assert_eq!(shredded(&world).await, 209);
    assert!(world.run(&lift).done().contains("is shredded"));
    assert_eq!(shredded(&world).await, 210);
    assert!(
        world
            .run(&["hold", "lift", &kept, "--name", "other"])
            .refused()
            .contains("no hold `other`")
    );
}

mod sqlite {
    #[tokio::test(flavor = "multi_thread")]
    async fn what_dies_half_way_goes_on_by_itself() {
        super::what_dies_half_way_goes_on_by_itself(super::Kind::Sqlite).await;
    }
}

mod postgres {
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs PostgreSQL: run `tests/run`"]
    async fn what_dies_half_way_goes_on_by_itself() {
        super::what_dies_half_way_goes_on_by_itself(super::Kind::Postgres).await;
    }
}
