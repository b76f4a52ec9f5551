//! Packs: what is entered in them, what is given up, and what an image leaves out.

use bytes::Bytes;

use super::{World, at, recording_id};
use crate::{
    db::{
        Error,
        image::{self, Table},
        outbox::{self, OutboxKind},
        packs::{self, Pack},
        recordings::{self, SealedArtefact},
    },
    model::{
        artefact::{Artefact, Leg},
        id::{ObjectId, RecordingId},
        timeline::{LogPoint, Timeline},
    },
};

every_database!(
    a_pack_is_entered_whole_or_not_at_all,
    a_pack_that_was_given_up_is_not_entered,
    what_a_pack_has_is_left_out_of_images,
    a_shredded_recording_keeps_its_place_until_the_pack_is_gone,
    small_ciphertext_is_marked_for_the_journal_and_the_rest_as_ever,
    the_object_of_a_pack_is_no_orphan,
);

fn small(recording: RecordingId, artefact: Artefact, byte: u8) -> SealedArtefact {
    SealedArtefact {
        recording,
        leg: Leg::All,
        artefact,
        object: None,
        inline: Bytes::from(vec![byte; 100]),
        plain_len: 90,
        sealed_len: 100,
        sealed_sha256: hex::encode([byte; 32]),
        segment: 16_384,
        content_type: "application/json".into(),
        pack: None,
        pack_at: None,
    }
}

/// Inserts two small artefacts of each of three recordings.
async fn filled(world: &World) -> Vec<SealedArtefact> {
    let ids = world.announced(3).await;
    let of = |(id, byte): (&RecordingId, u8)| {
        [
            small(*id, Artefact::Form, byte),
            small(*id, Artefact::Transcript, byte + 100),
        ]
    };
    let all: Vec<SealedArtefact> = ids.iter().zip(1..).flat_map(of).collect();
    world.with_artefacts(&all).await.unwrap();
    all
}

fn pack(number: i64) -> Pack {
    Pack {
        size: 600,
        sealed_sha256: "p".into(),
        ..Pack::begun(number, ObjectId::random(&mut rand::rng()), at(1))
    }
}

/// Begins a pack and enters it. Returns whether it was entered.
async fn entered(world: &World, pack: &Pack, sealed: &[SealedArtefact]) -> bool {
    let entered = world.db.unit("a test", async |mut unit| {
        unit.without_entry("a test");
        packs::begin(&mut unit, pack).await?;
        let entered = packs::enter(&mut unit, pack, sealed).await?;
        if !entered {
            unit.abandon();
        }
        Ok::<_, Error>(entered)
    });
    entered.await.unwrap()
}

async fn unpacked(world: &World) -> Vec<SealedArtefact> {
    let mut all = packs::unpacked(&mut world.db.read().await.unwrap(), 99)
        .await
        .unwrap();
    all.sort_by_key(|sealed| (sealed.recording, sealed.artefact.to_string()));
    all
}

async fn living(world: &World) -> Vec<(i64, u64)> {
    let in_use = packs::in_use(&mut world.db.read().await.unwrap()).await;
    let number = |(pack, living): (Pack, u64)| (pack.number, living);
    in_use.unwrap().into_iter().map(number).collect()
}

fn point(seq: i64) -> LogPoint {
    LogPoint {
        timeline: Timeline::FIRST,
        seq,
    }
}

async fn left(world: &World, number: i64, seq: i64) -> bool {
    let left = world.db.unit("a test", async |mut unit| {
        unit.without_entry("a test");
        let left = packs::leave(&mut unit, number).await?;
        if left {
            packs::note_left(&mut unit, number, point(seq)).await?;
        }
        Ok::<_, Error>(left)
    });
    left.await.unwrap()
}

async fn a_pack_is_entered_whole_or_not_at_all(world: &World) {
    let all = filled(world).await;
    assert_eq!(unpacked(world).await.len(), 6);
    let (some, rest) = all.split_at(4);
    assert!(entered(world, &pack(i64::MAX), some).await);
    assert_eq!(living(world).await, [(i64::MAX, 400)]);
    let mut found = Vec::new();
    for sealed in some {
        let mut tx = world.db.read().await.unwrap();
        let row = recordings::artefacts(&mut tx, sealed.recording)
            .await
            .unwrap();
        let row = row.into_iter().find(|row| row.artefact == sealed.artefact);
        let row = row.unwrap();
        assert_eq!((row.pack, &row.inline), (Some(i64::MAX), &sealed.inline));
        found.push(row.pack_at.unwrap());
    }
    assert_eq!(found, [0, 100, 200, 300]);
    assert_eq!(unpacked(world).await.len(), 2);

    let changed = SealedArtefact {
        sealed_sha256: hex::encode([9; 32]),
        ..rest[1].clone()
    };
    let empty = SealedArtefact {
        recording: recording_id(99),
        ..rest[1].clone()
    };
    for wrong in [changed, empty, some[0].clone()] {
        assert!(!entered(world, &pack(8), &[rest[0].clone(), wrong]).await);
        assert_eq!(unpacked(world).await.len(), 2, "none of it is entered");
    }
    assert!(entered(world, &pack(8), rest).await);
    assert_eq!(living(world).await, [(8, 200), (i64::MAX, 400)]);
}

async fn a_pack_that_was_given_up_is_not_entered(world: &World) {
    let all = filled(world).await;
    let slow = pack(7);
    let mut tx = world.tx().await;
    packs::begin(&mut tx, &slow).await.unwrap();
    tx.commit().await.unwrap();
    assert!(left(world, 7, 5).await);
    assert!(!left(world, 7, 6).await, "it is given up once");
    let mut tx = world.tx().await;
    assert!(!packs::enter(&mut tx, &slow, &all).await.unwrap());
    drop(tx);
    let [found] = <[Pack; 1]>::try_from(packs::all(&mut world.tx().await).await.unwrap()).unwrap();
    assert_eq!(found.left(), Some(point(5)));
    assert_eq!(living(world).await, []);
}

async fn what_a_pack_has_is_left_out_of_images(world: &World) {
    let all = filled(world).await;
    assert!(entered(world, &pack(7), &all[..3]).await);
    let mut tx = world.db.read().await.unwrap();
    let ids: Vec<String> = all
        .iter()
        .map(|sealed| sealed.recording.to_string())
        .collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let chunk = image::chunk(&mut tx, Table::Artefacts, None, 99)
        .await
        .unwrap();
    let found = image::find_all(&mut tx, Table::Artefacts, &ids)
        .await
        .unwrap();
    assert_eq!(chunk, found);
    assert_eq!(chunk.len(), 6);
    for row in &chunk {
        let bytes = row.bytes("inline").unwrap();
        match row.int("pack") {
            Some(number) => assert_eq!((number, bytes), (7, &[][..])),
            None => assert_eq!(bytes.len(), 100),
        }
    }
    let packs = image::packs_of(&mut tx, &ids).await.unwrap();
    assert_eq!(packs.len(), 1);
    assert_eq!(image::pack_of(&packs[0]).unwrap().number, 7);
    let last = all[5].recording.to_string();
    assert_eq!(image::packs_of(&mut tx, &[&last]).await.unwrap(), []);
    assert_eq!(
        image::unfilled(&mut tx, 7).await.unwrap(),
        [],
        "all is there"
    );
}

async fn a_shredded_recording_keeps_its_place_until_the_pack_is_gone(world: &World) {
    let all = filled(world).await;
    assert!(entered(world, &pack(7), &all[..3]).await);
    let [first, second, third] = [all[0].recording, all[2].recording, all[4].recording];
    let mut tx = world.tx().await;
    recordings::mark_shredded(&mut tx, &[first, second, third], at(9))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(unpacked(world).await, [], "a shredded one is not packed");
    let dropped = async |id| {
        let mut tx = world.tx().await;
        let has_left = packs::drop_ciphertext(&mut tx, id).await.unwrap();
        let rows = recordings::artefacts(&mut tx, id).await.unwrap();
        tx.commit().await.unwrap();
        assert!(rows.iter().all(|row| row.inline.is_empty()));
        (has_left, rows.len())
    };
    assert_eq!(dropped(first).await, (true, 2));
    assert_eq!(dropped(second).await, (true, 1), "one of two was packed");
    assert_eq!(dropped(third).await, (false, 0));
    assert_eq!(living(world).await, [(7, 0)]);
    assert!(left(world, 7, 5).await);
    assert_eq!(
        dropped(first).await,
        (true, 2),
        "its bytes are in the store"
    );
    let mut tx = world.tx().await;
    let freed = packs::remove(&mut tx, 7).await.unwrap();
    tx.commit().await.unwrap();
    let mut expected = vec![first, second];
    expected.sort_unstable();
    assert_eq!(freed, expected);
    assert_eq!(dropped(first).await, (false, 0));
    assert_eq!(dropped(second).await, (false, 0));
}

async fn small_ciphertext_is_marked_for_the_journal_and_the_rest_as_ever(world: &World) {
    let ids = world.announced(2).await;
    let mut tx = world.tx().await;
    let before = outbox::next(&mut tx, 99).await.unwrap();
    outbox::clear(&mut tx, &before).await.unwrap();
    tx.commit().await.unwrap();
    let stored = SealedArtefact {
        object: Some(ObjectId::random(&mut rand::rng())),
        inline: Bytes::new(),
        ..small(ids[1], Artefact::Form, 2)
    };
    let both = [small(ids[0], Artefact::Form, 1), stored];
    world.with_artefacts(&both).await.unwrap();
    let mut tx = world.db.read().await.unwrap();
    let marks = outbox::next(&mut tx, 99).await.unwrap();
    let mut marks: Vec<_> = marks.into_iter().map(|mark| (mark.kind, mark.id)).collect();
    marks.sort();
    assert_eq!(
        marks,
        [
            (OutboxKind::Recording, ids[1].to_string()),
            (OutboxKind::Ciphertext, ids[0].to_string())
        ]
    );
    let names: Vec<String> = ids.iter().map(RecordingId::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let marked = outbox::marked(&mut tx, OutboxKind::Ciphertext, &names).await;
    assert_eq!(marked.unwrap(), [ids[0].to_string()].into());
}

async fn the_object_of_a_pack_is_no_orphan(world: &World) {
    let pack = pack(7);
    let mut tx = world.tx().await;
    assert!(!recordings::has_object(&mut tx, pack.object).await.unwrap());
    packs::begin(&mut tx, &pack).await.unwrap();
    assert!(recordings::has_object(&mut tx, pack.object).await.unwrap());
}
