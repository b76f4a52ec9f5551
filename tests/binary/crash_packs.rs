//! The executable dies at each named crash point of a pack, and the next snapshot continues.

use recvault::{
    demo::stand_in::MessageFacts,
    model::{id::RecordingId, media::SourceRef},
};

use crate::{
    client::eventually,
    crash_messages::{keep_messages, tells},
    database::Kind,
    world::World,
};

points! {
    dies_and_packs_again:
    dies_with_a_pack_that_is_not_stored at "pack.begun";
    dies_with_a_pack_that_nothing_names at "pack.stored";
    dies_with_a_pack_and_no_snapshot at "pack.entered";
    dies_with_a_pack_given_up at "pack.left";
    dies_with_the_object_of_a_pack_deleted at "pack.deleted";
}

const ANNA: &str = "+493090182001";
const LINE: &str = "+493090182009";

/// Every snapshot verifies, and a rebuilt vault has and opens everything that lives.
async fn holds(world: &World) {
    let snapshots = world.run(&["snapshot", "list", "--json"]).json();
    for kept in snapshots.as_array().unwrap() {
        let name = kept["snapshot"].as_str().unwrap();
        world.run(&["snapshot", "verify", name]).done();
    }
    world.run(&["drill"]).done();
    let lacking = "SELECT artefact FROM artefacts JOIN recordings ON id = recording_id
        WHERE state = 'sealed' AND object_id IS NULL AND length(inline) <> sealed_len";
    assert_eq!(world.database.texts(lacking).await, [""; 0]);
}

/// Shreds recordings, and serves until their ciphertext is dropped.
async fn shred(world: &World, ids: &[RecordingId]) {
    for id in ids {
        let id = id.to_string();
        world
            .run(&["shred", &id, "--reason", "subject-request"])
            .done();
    }
    dropped(world, "length(inline) > 0").await;
}

/// Serves until no shredded recording has artefacts of this kind.
async fn dropped(world: &World, which: &str) {
    let left = format!(
        "SELECT artefact FROM artefacts JOIN recordings ON id = recording_id WHERE state = 'shredded' AND {which}"
    );
    let service = world.serve().await;
    let is_dropped = eventually(async || world.database.texts(&left).await.is_empty());
    assert!(is_dropped.await, "{}", service.process.log());
    service.process.stop().await;
}

async fn dies_and_packs_again(kind: Kind, point: &str) {
    let world = World::on(kind).await;
    keep_messages(&world);
    let service = world.serve().await;
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        let facts = MessageFacts::inbound(ANNA, LINE, text);
        let sid = world.stand_in.add_message(&world.account, facts);
        assert_eq!(tells(&world, &service.client, &sid).await.unwrap(), 200);
        let source = SourceRef::parse(world.account.clone(), sid.as_str()).unwrap();
        ids.push(source.recording_id(world.vault));
    }
    service.process.stop().await;

    let create = ["snapshot", "create"];
    match point {
        "pack.left" => {
            world.run(&create).done();
            shred(&world, &ids[..2]).await;
        }
        "pack.deleted" => {
            world.run(&create).done();
            shred(&world, &ids[..2]).await;
            world.run(&create).done();
        }
        _ => {}
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
        .execute("UPDATE packs SET begun_at = 0 WHERE size = 0")
        .await;
    for _ in 0..3 {
        world.run(&create).done();
        holds(&world).await;
    }
    dropped(&world, "1 = 1").await;
    world.run(&["sweep"]).done();
    world.sweep_now().await;
    let packs = world.database.texts("SELECT object_id FROM packs").await;
    let objects: Vec<String> = world.objects().into_keys().collect();
    assert_eq!(packs.len(), 1, "{packs:?}");
    assert_eq!(objects, [packs[0].trim_start_matches("obj_")]);
    let unpacked = "SELECT artefact FROM artefacts WHERE pack IS NULL";
    assert_eq!(world.database.texts(unpacked).await, [""; 0]);
}
