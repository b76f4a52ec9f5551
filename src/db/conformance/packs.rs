//! Packs: what is entered in them, what is given up, and what an image leaves out.

use bytes::Bytes;

use super::{World, at};
use crate::{
    db::{
        Error, artefacts,
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
    a_receipt_waits_for_every_pack_until_it_is_gone,
    a_pack_that_was_given_up_counts_for_what_lived_then,
    a_pack_counts_from_its_beginning_and_begins_with_nothing_dead,
    a_replaced_artefact_still_counts,
    contents_of_a_pack_that_is_not_there_are_forgotten,
    what_a_restore_did_not_find_is_entered_later,
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
        assert!(packs::begin(&mut unit, pack, sealed).await?);
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
    let elsewhere = SealedArtefact {
        artefact: Artefact::Audio,
        ..rest[1].clone()
    };
    for wrong in [changed, elsewhere, some[0].clone()] {
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
    assert!(packs::begin(&mut tx, &slow, &all).await.unwrap());
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

async fn shredded(world: &World, ids: &[RecordingId]) {
    let mut tx = world.tx().await;
    let marked = recordings::mark_shredded(&mut tx, ids, at(9)).await;
    assert_eq!(marked.unwrap().len(), ids.len());
    tx.commit().await.unwrap();
}

/// Drops the ciphertext of a shredded recording. Returns whether packs have some of it.
async fn dropped(world: &World, id: RecordingId) -> bool {
    let mut tx = world.tx().await;
    let is_held = packs::drop_ciphertext(&mut tx, id).await.unwrap();
    let rows = recordings::artefacts(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows, []);
    is_held
}

/// Removes a pack. Returns the shredded recordings that waited for it.
async fn removed(world: &World, number: i64) -> Vec<RecordingId> {
    let mut tx = world.tx().await;
    let freed = packs::awaited_by(&mut tx, number).await.unwrap();
    packs::remove(&mut tx, number).await.unwrap();
    tx.commit().await.unwrap();
    freed
}

async fn a_receipt_waits_for_every_pack_until_it_is_gone(world: &World) {
    let all = filled(world).await;
    assert!(entered(world, &pack(7), &all[..3]).await);
    let [first, second, third] = [all[0].recording, all[2].recording, all[4].recording];
    shredded(world, &[first, second, third]).await;
    assert_eq!(unpacked(world).await, [], "a shredded one is not packed");
    assert!(dropped(world, first).await);
    assert!(dropped(world, second).await, "one of two was packed");
    assert!(!dropped(world, third).await);
    assert_eq!(living(world).await, [(7, 0)]);
    assert!(left(world, 7, 5).await);
    assert!(dropped(world, first).await, "its bytes are in the store");
    let mut expected = vec![first, second];
    expected.sort_unstable();
    assert_eq!(removed(world, 7).await, expected);
    assert!(!dropped(world, first).await);
    assert!(!dropped(world, second).await);
}

async fn a_pack_that_was_given_up_counts_for_what_lived_then(world: &World) {
    let all = filled(world).await;
    assert!(entered(world, &pack(7), &all).await);
    assert!(left(world, 7, 5).await);
    let again = unpacked(world).await;
    assert!(entered(world, &pack(8), &again).await);
    let id = all[0].recording;
    shredded(world, &[id]).await;
    assert!(dropped(world, id).await);
    assert!(left(world, 8, 6).await);
    assert_eq!(removed(world, 8).await, [id]);
    assert!(dropped(world, id).await, "the older pack has it, too");
    assert_eq!(removed(world, 7).await, [id]);
    assert!(!dropped(world, id).await);
}

async fn a_pack_counts_from_its_beginning_and_begins_with_nothing_dead(world: &World) {
    let all = filled(world).await;
    let id = all[0].recording;
    let mut tx = world.tx().await;
    let begun = Pack { size: 0, ..pack(7) };
    assert!(packs::begin(&mut tx, &begun, &all).await.unwrap());
    tx.commit().await.unwrap();
    shredded(world, &[id]).await;
    assert!(dropped(world, id).await, "its object may be written now");
    let mut tx = world.tx().await;
    assert!(!packs::enter(&mut tx, &pack(7), &all).await.unwrap());
    drop(tx);
    assert_eq!(removed(world, 7).await, [id], "it was never entered");
    assert!(!dropped(world, id).await);

    let mut tx = world.tx().await;
    assert!(!packs::begin(&mut tx, &pack(8), &all).await.unwrap());
    drop(tx);
    assert!(!dropped(world, id).await);
}

async fn a_replaced_artefact_still_counts(world: &World) {
    let all = filled(world).await;
    let id = all[0].recording;
    assert!(entered(world, &pack(7), &all[..1]).await);
    let replaced = world.db.unit("a test", async |mut unit| {
        unit.without_entry("a test");
        let newer = small(id, Artefact::Form, 77);
        artefacts::replace(&mut unit, &newer, at(3)).await.map(drop)
    });
    replaced.await.unwrap();
    shredded(world, &[id]).await;
    assert!(dropped(world, id).await);
}

async fn contents_of_a_pack_that_is_not_there_are_forgotten(world: &World) {
    let all = filled(world).await;
    assert!(entered(world, &pack(7), &all).await);
    assert!(entered(world, &pack(8), &[]).await);
    let id = all[0].recording;
    shredded(world, &[id]).await;
    world.sql(&["DELETE FROM packs WHERE number = 7"]).await;
    let mut tx = world.tx().await;
    assert_eq!(packs::forget_removed(&mut tx).await.unwrap(), [id]);
    assert_eq!(packs::forget_removed(&mut tx).await.unwrap(), []);
    tx.commit().await.unwrap();
    assert!(!dropped(world, id).await);
}

async fn what_a_restore_did_not_find_is_entered_later(world: &World) {
    let all = filled(world).await;
    for number in [7, 8] {
        let half = usize::try_from(number - 7).unwrap() * 3;
        assert!(entered(world, &pack(number), &all[half..half + 3]).await);
    }
    world.sql(&["UPDATE artefacts SET inline = ''"]).await;
    assert!(left(world, 7, 5).await);
    let lacked = async || {
        let mut tx = world.db.read().await.unwrap();
        let lacked = packs::lacked(&mut tx).await.unwrap();
        lacked
            .into_iter()
            .map(|pack| pack.number)
            .collect::<Vec<_>>()
    };
    assert_eq!(lacked().await, [7, 8]);
    let gone = all[5].recording;
    shredded(world, &[gone]).await;
    for number in [7, 8] {
        let mut tx = world.tx().await;
        let lacking = packs::lacking_of(&mut tx, number).await.unwrap();
        let found: Vec<SealedArtefact> = all
            .iter()
            .filter(|sealed| {
                lacking
                    .iter()
                    .any(|row| row.sealed_sha256 == sealed.sealed_sha256)
            })
            .cloned()
            .collect();
        // One of them is dead by now, as if it was shredded after it was found.
        let more = [found.clone(), vec![all[5].clone()]].concat();
        let filled = packs::refill(&mut tx, number, &more).await.unwrap();
        assert_eq!(filled, found.len() as u64);
        tx.commit().await.unwrap();
    }
    assert_eq!(lacked().await, [0; 0]);
    assert_eq!(
        unpacked(world).await.len(),
        3,
        "the given-up pack names nothing"
    );
    assert_eq!(living(world).await, [(8, 100)]);
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
    packs::begin(&mut tx, &pack, &[]).await.unwrap();
    assert!(recordings::has_object(&mut tx, pack.object).await.unwrap());
}
