//! The journal's chain, what is durable, gaps, and the gate before every unit of work.

use std::collections::BTreeMap;

use super::{World, at};
use crate::{
    evidence::NewEntry,
    ledger::{
        ClosedFor, Error, Ledger, audit,
        chain::{self, Piece},
        epochs,
        gaps::{self, Gap},
        shreds::{self, NewFence},
    },
    model::id::ReceiptId,
};

every_database!(
    of_two_pieces_behind_the_same_one_the_first_wins,
    fences_become_durable_once,
    a_rebuilt_ledger_goes_on_behind_what_it_took_in,
    an_accepted_gap_stays,
    a_ledger_is_read_until_it_is_proven,
    a_ledger_without_a_known_entry_is_not_proven,
    a_number_that_is_given_twice_closes_the_ledger,
    only_a_database_without_a_row_is_empty,
);

fn piece(number: i64, digest: &str) -> Piece {
    Piece {
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

async fn fences_become_durable_once(world: &World) {
    let announced = world.announced(3).await;
    let mut tx = world.tx().await;
    for (recording, seq) in announced.iter().copied().zip([3, 5, 9]) {
        let receipt = ReceiptId::random(&mut rand::rng());
        shreds::insert_fences(
            &mut tx,
            &[NewFence {
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

async fn a_rebuilt_ledger_goes_on_behind_what_it_took_in(world: &World) {
    let mut tx = world.tx().await;
    epochs::insert(&mut tx, 1, &[7; 60], at(1)).await.unwrap();
    epochs::unsettle(&mut tx, 1, 1).await.unwrap();
    chain::rebuild(&mut tx, Some(&piece(7, "g")), 1_000_000)
        .await
        .unwrap();
    assert_eq!(chain::newest(&mut tx).await.unwrap(), Some(piece(7, "g")));
    assert_eq!(chain::rebuilt_to(&mut tx).await.unwrap(), 1_000_000);
    epochs::finish(&mut tx, 1, at(2)).await.unwrap();
    assert_eq!(
        chain::rebuilt_to(&mut tx).await.unwrap(),
        0,
        "once it is settled, nothing is excused any more"
    );
}

async fn an_accepted_gap_stays(world: &World) {
    let mut tx = world.tx().await;
    let gap = Gap { first: 7, last: 9 };
    gaps::insert(&mut tx, gap, at(5)).await.unwrap();
    gaps::insert(&mut tx, gap, at(6)).await.unwrap();
    assert_eq!(gaps::all(&mut tx).await.unwrap(), [(gap, at(5))]);
}

async fn unproven(world: &World) -> Ledger {
    Ledger::open(&world.settings, world.folder.path())
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

async fn a_ledger_is_read_until_it_is_proven(world: &World) {
    noted(world).await;
    let ledger = unproven(world).await;
    assert!(matches!(
        ledger.begin().await.map(drop),
        Err(Error::Unproven)
    ));
    let position = audit::position(&mut ledger.read().await.unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(ledger.prove(&[position]).await.unwrap());
    let began = ledger.begin().await.unwrap();
    assert!(
        ledger.close_gate(ClosedFor::Forgetful, "it has forgotten")
            && !ledger.close_gate(ClosedFor::TakenOver, "again")
    );
    assert!(
        matches!(began.commit().await, Err(Error::Closed(_))),
        "also what had begun"
    );
    assert!(matches!(
        ledger.clone().begin().await.map(drop),
        Err(Error::Closed(_))
    ));
    assert!(
        matches!(ledger.prove(&[position]).await, Err(Error::Closed(_))),
        "and for ever"
    );
    assert!(matches!(ledger.probe().await, Err(Error::Closed(_))));
    ledger.close().await;
}

async fn a_ledger_without_a_known_entry_is_not_proven(world: &World) {
    noted(world).await;
    let ledger = unproven(world).await;
    let position = audit::position(&mut ledger.read().await.unwrap())
        .await
        .unwrap()
        .unwrap();
    let other = crate::evidence::Position {
        digest: "0a".repeat(32).parse().unwrap(),
        ..position
    };
    let later = crate::evidence::Position {
        seq: position.seq + 1,
        ..position
    };
    for unknown in [other, later] {
        assert!(!ledger.prove(&[position, unknown]).await.unwrap());
        assert!(matches!(
            ledger.begin().await.map(drop),
            Err(Error::Unproven)
        ));
    }
    ledger.close().await;
}

async fn a_number_that_is_given_twice_closes_the_ledger(world: &World) {
    let newest = noted(world).await;
    // As a replica has it that lacks the newest entries.
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
    assert!(world.ledger.begin().await.is_err());
}

async fn only_a_database_without_a_row_is_empty(world: &World) {
    drop(world.ledger.begin_empty().await.unwrap());
    for row in [
        "INSERT INTO budgets (principal_id, purpose, day, used) VALUES ('prn_1', 'training', 1, 1)",
        "INSERT INTO unjournaled (kind, id, mark, since) VALUES ('token', 'tok_1', 1, 1)",
        "UPDATE audit_head SET seq = 1",
        "UPDATE turner SET journaled_to = 1",
    ] {
        world.sql(&[row]).await;
        assert!(
            matches!(
                world.ledger.begin_empty().await.map(drop),
                Err(Error::NotEmpty(_))
            ),
            "{row}"
        );
        world
            .sql(&[
                "DELETE FROM budgets",
                "DELETE FROM unjournaled",
                "UPDATE audit_head SET seq = 0",
                "UPDATE turner SET journaled_to = 0",
            ])
            .await;
        drop(world.ledger.begin_empty().await.unwrap());
    }
}
