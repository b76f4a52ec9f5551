//! The journal's chain, durability, gaps, and the gate before every unit of work.

use std::collections::BTreeMap;

use super::{World, at};
use crate::{
    db::{
        ClosedFor, Db, Error, audit,
        chain::{self, JournalPiece},
        epochs,
        gaps::{self, Gap},
        shreds::{self, NewTombstone},
        timelines,
    },
    evidence::{NewEntry, Position},
    model::{
        id::ReceiptId,
        timeline::{LogPath, Timeline},
    },
};

every_database!(
    of_two_pieces_behind_the_same_one_the_first_wins,
    tombstones_become_durable_once,
    a_rebuilt_database_goes_on_behind_what_it_took_in,
    an_accepted_gap_stays,
    a_database_is_read_until_it_is_proven,
    a_database_without_a_known_entry_is_not_proven,
    a_number_that_is_given_twice_closes_the_database,
    only_a_database_without_a_row_is_empty,
);

fn piece(number: i64, digest: &str) -> JournalPiece {
    JournalPiece {
        number,
        name: format!("journal/{number}"),
        digest: digest.into(),
    }
}

async fn of_two_pieces_behind_the_same_one_the_first_wins(world: &World) {
    assert_eq!(chain::newest(&mut world.tx().await).await.unwrap(), None);
    for (before, next, wins) in [
        (None, piece(1, "a"), true),
        (None, piece(1, "b"), false),
        (Some(piece(1, "b")), piece(2, "c"), false),
        (Some(piece(1, "a")), piece(2, "c"), true),
        (Some(piece(1, "a")), piece(2, "d"), false),
    ] {
        let mut tx = world.tx().await;
        assert_eq!(
            chain::extend(&mut tx, before.as_ref(), &next)
                .await
                .unwrap(),
            wins,
            "{next:?}"
        );
        tx.commit().await.unwrap();
    }
    assert_eq!(
        chain::newest(&mut world.tx().await).await.unwrap(),
        Some(piece(2, "c"))
    );
}

async fn tombstones_become_durable_once(world: &World) {
    let announced = world.announced(3).await;
    let mut tx = world.tx().await;
    for (recording, seq) in announced.iter().copied().zip([3, 5, 9]) {
        let receipt = ReceiptId::random(&mut rand::rng());
        shreds::insert_tombstones(
            &mut tx,
            &[NewTombstone {
                recording,
                receipt,
                seq,
                destroyed: BTreeMap::new(),
            }],
            at(1),
        )
        .await
        .unwrap();
    }
    let undurable = async |tx: &mut _| {
        let mut found = Vec::new();
        for recording in &announced {
            found.push(shreds::is_undurable(tx, *recording).await.unwrap());
        }
        found
    };
    assert_eq!(undurable(&mut tx).await, [true, true, true]);
    assert_eq!(chain::note_durable(&mut tx, 5).await.unwrap(), 2);
    assert_eq!(undurable(&mut tx).await, [false, false, true]);
    assert_eq!(
        chain::note_durable(&mut tx, 4).await.unwrap(),
        0,
        "it never goes back"
    );
    assert_eq!(chain::note_durable(&mut tx, 9).await.unwrap(), 1);
    assert_eq!(undurable(&mut tx).await, [false, false, false]);
}

async fn a_rebuilt_database_goes_on_behind_what_it_took_in(world: &World) {
    let mut tx = world.tx().await;
    epochs::insert(&mut tx, 1, &[7; 60], at(1)).await.unwrap();
    epochs::unsettle(&mut tx, 1, 1).await.unwrap();
    chain::rebuild(&mut tx, Some(&piece(7, "g")), 40)
        .await
        .unwrap();
    assert_eq!(chain::newest(&mut tx).await.unwrap(), Some(piece(7, "g")));
    assert_eq!(timelines::path(&mut tx).await.unwrap(), LogPath::first());
    let second = Timeline::FIRST.next();
    let path = LogPath::first().forked(second, 1).unwrap();
    timelines::rebuild(&mut tx, &path).await.unwrap();
    assert_eq!(timelines::path(&mut tx).await.unwrap(), path);
    // Entries up to the fork keep their position; later ones have another.
    for (seq, timeline) in [(1, Timeline::FIRST), (2, second)] {
        let entry = NewEntry::root_condemned(at(seq), 1);
        assert_eq!(audit::append(&mut tx, entry.clone()).await.unwrap(), seq);
        let position = Position::of(timeline, &entry.numbered(seq));
        assert_eq!(audit::position(&mut tx).await.unwrap(), Some(position));
        assert!(audit::has(&mut tx, &position).await.unwrap());
    }
}

async fn an_accepted_gap_stays(world: &World) {
    let mut tx = world.tx().await;
    let gap = Gap {
        timeline: None,
        first: 7,
        last: 9,
    };
    let lost = Gap {
        timeline: Some(Timeline::FIRST),
        ..gap
    };
    gaps::insert(&mut tx, gap, at(5)).await.unwrap();
    gaps::insert(&mut tx, gap, at(6)).await.unwrap();
    gaps::insert(&mut tx, lost, at(7)).await.unwrap();
    let all = gaps::all(&mut tx).await.unwrap();
    assert_eq!(all, [(gap, at(5)), (lost, at(7))]);
}

async fn unproven(world: &World) -> Db {
    Db::open(&world.settings, world.folder.path())
        .await
        .unwrap()
}

async fn noted(world: &World) -> i64 {
    let mut tx = world.tx().await;
    let seq = audit::append(&mut tx, NewEntry::root_condemned(at(1), 1))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    seq
}

async fn a_database_is_read_until_it_is_proven(world: &World) {
    noted(world).await;
    let db = unproven(world).await;
    assert!(matches!(db.begin().await.map(drop), Err(Error::Unproven)));
    let position = audit::position(&mut db.read().await.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(db.prove(&[position]).await.unwrap());
    let began = db.begin().await.unwrap();
    assert!(
        db.close_gate(ClosedFor::Forgetful, "it has forgotten")
            && !db.close_gate(ClosedFor::TakenOver, "again")
    );
    assert!(
        matches!(began.commit().await, Err(Error::Closed(_))),
        "also what had begun"
    );
    assert!(matches!(
        db.clone().begin().await.map(drop),
        Err(Error::Closed(_))
    ));
    assert!(
        matches!(db.prove(&[position]).await, Err(Error::Closed(_))),
        "and for ever"
    );
    assert!(matches!(db.probe().await, Err(Error::Closed(_))));
    db.close().await;
}

async fn a_database_without_a_known_entry_is_not_proven(world: &World) {
    noted(world).await;
    let db = unproven(world).await;
    let position = audit::position(&mut db.read().await.unwrap())
        .await
        .unwrap()
        .unwrap();
    let other = Position {
        digest: "0a".repeat(32).parse().unwrap(),
        ..position
    };
    let later = Position {
        seq: position.seq + 1,
        ..position
    };
    for unknown in [other, later] {
        assert!(!db.prove(&[position, unknown]).await.unwrap());
        assert!(matches!(db.begin().await.map(drop), Err(Error::Unproven)));
    }
    db.close().await;
}

async fn a_number_that_is_given_twice_closes_the_database(world: &World) {
    let newest = noted(world).await;
    // Like a replica that lacks the newest entries.
    let mut tx = world.tx().await;
    tx.execute("UPDATE audit_head SET seq = seq - 1", &[])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    let refused = audit::append(&mut tx, NewEntry::root_condemned(at(1), 2))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains(&format!("entry {newest} committed")),
        "{refused}"
    );
    assert!(world.db.begin().await.is_err());
}

async fn only_a_database_without_a_row_is_empty(world: &World) {
    drop(world.db.begin_empty().await.unwrap());
    for row in [
        "INSERT INTO budgets (principal_id, purpose, day, used) VALUES ('prn_1', 'training', 1, 1)",
        "INSERT INTO outbox (kind, id, mark, since) VALUES ('token', 'tok_1', 1, 1)",
        "UPDATE audit_head SET seq = 1",
        "UPDATE turner SET journaled_to = 1",
    ] {
        world.sql(&[row]).await;
        assert!(
            matches!(
                world.db.begin_empty().await.map(drop),
                Err(Error::NotEmpty(_))
            ),
            "{row}"
        );
        world
            .sql(&[
                "DELETE FROM budgets",
                "DELETE FROM outbox",
                "UPDATE audit_head SET seq = 0",
                "UPDATE turner SET journaled_to = 0",
            ])
            .await;
        drop(world.db.begin_empty().await.unwrap());
    }
}
