//! The executable dies between the replacement of the signing key and the turn that puts older
//! copies of its seed out of reach.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{Kind, Life, roots, shred, the_lease_runs_out};
use crate::{
    book::Entry,
    world::{World, sound},
};

points! {
    dies_while_it_replaces_the_key:
    dies_with_a_new_key_before_the_turn at "sign.replaced";
}

/// Returns the key that signs now.
fn in_force(world: &World) -> String {
    let present = world.run(&["rotate", "--signing-key", "--dry-run", "--json"]);
    present.json()["signing_key"].as_str().unwrap().to_owned()
}

/// Checks that every receipt verifies with the vault's published keys.
fn all_verify(world: &World, life: &Life) {
    for entry in &life.shredded {
        let id = entry.receipt.get().unwrap();
        let shown = world.run(&["receipt", "show", id]).done();
        fs::write(world.path("receipt"), shown).unwrap();
        let verified = world
            .run(&["receipt", "verify", "receipt", "--json"])
            .json();
        assert_eq!(verified["verified"], Value::Bool(true), "{verified}");
    }
}

async fn dies_while_it_replaces_the_key(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    let mut life = Life::led(&world).await;
    let (before, epochs) = (in_force(&world), roots(&world).await);
    let ended = world.run_until(point, &["rotate", "--signing-key"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (None, ""),
        "it should have died at {point}: {ended:?}"
    );
    let after = in_force(&world);
    assert_ne!(after, before, "the new key is in force");
    assert_eq!(roots(&world).await, epochs, "and the epoch has not turned");
    all_verify(&world, &life);
    life.holds(&world, false).await;

    the_lease_runs_out(&world).await;
    let service = world.serve().await;
    let again = Entry::new(&world, sound(8, 1));
    assert_eq!(again.announce(&world, &service.client).await.unwrap(), 204);
    service.client.until(again.id, "sealed").await;
    service.process.stop().await;
    shred(&world, &again);
    assert_eq!(in_force(&world), after, "no second replacement");
    life.shredded.push(again);
    all_verify(&world, &life);
    let began = world.turn();
    assert_eq!(roots(&world).await, BTreeSet::from([began]));
    all_verify(&world, &life);
    life.goes_on(&world).await;
}
