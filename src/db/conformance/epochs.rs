//! Epochs, turns, stale pages, and marks for the journal.

mod pages;

use super::{World, at, holder, recording_id};
use crate::{
    db::{
        Error, Term, Tx,
        clock::{self, BelievedTime},
        epochs,
        outbox::{self, OutboxKind},
        work::{self, Lease},
    },
    model::{
        id::{HolderId, VaultId},
        time::Clock,
        timeline::Timeline,
    },
    store::{RecoveryKind, RecoveryName},
};

every_database!(
    an_epoch_begins_once_and_forgets_what_the_ones_before_sealed,
    one_process_turns_at_a_time,
    a_turner_whose_clock_was_ahead_holds_nobody_back,
    a_turn_is_taken_away_from_whoever_has_it,
    what_is_believed_of_the_clock_only_grows_until_somebody_accepts_another_time,
    the_database_has_a_time_of_its_own,
    no_epoch_number_is_given_twice,
    a_rebuilt_database_is_unsettled_until_its_epoch_is_finished,
    a_mark_goes_only_if_nothing_changed_meanwhile,
    signing_keys_are_journaled_before_what_they_signed,
);

async fn begun(world: &World, epoch: u64) {
    let mut tx = world.tx().await;
    epochs::insert(&mut tx, epoch, &[7; 60], at(epoch.try_into().unwrap()))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// A snapshot's name with this number.
fn snapshot(seq: i64) -> RecoveryName {
    RecoveryName {
        kind: RecoveryKind::Snapshot,
        epoch: 2,
        timeline: Timeline::FIRST,
        seq,
        id: "obj_0123456789abcdef0123456789abcdef".parse().unwrap(),
    }
}

async fn an_epoch_begins_once_and_forgets_what_the_ones_before_sealed(world: &World) {
    assert_eq!(epochs::current(&mut world.tx().await).await.unwrap(), None);
    begun(world, 1).await;
    begun(world, 2).await;
    assert!(matches!(
        epochs::insert(&mut world.tx().await, 2, &[8; 60], at(9)).await,
        Err(Error::Conflict)
    ));
    let current = epochs::current(&mut world.tx().await)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            current.epoch,
            current.root_sealed.as_slice(),
            current.began_at
        ),
        (2, [7; 60].as_slice(), at(2))
    );
    assert_eq!(
        (
            current.snapshot(),
            current.previous_destroyed_at,
            current.finished_at
        ),
        (None, None, None)
    );
    let mut tx = world.tx().await;
    epochs::note_snapshot(&mut tx, 2, snapshot(9), at(3))
        .await
        .unwrap();
    epochs::note_snapshot(&mut tx, 2, snapshot(8), at(9))
        .await
        .unwrap();
    epochs::note_destroyed(&mut tx, 2, at(4)).await.unwrap();
    epochs::finish(&mut tx, 2, at(5)).await.unwrap();
    tx.commit().await.unwrap();
    let [current, before] = epochs::newest(&mut world.tx().await, 9)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(current.snapshot(), Some((snapshot(9), at(3))));
    assert_eq!(
        (current.previous_destroyed_at, current.finished_at),
        (Some(at(4)), Some(at(5)))
    );
    assert_eq!(
        (current.root_sealed.len(), before.root_sealed.len()),
        (60, 0),
        "the older epoch's key is forgotten"
    );
    let mut tx = world.tx().await;
    assert!(matches!(
        epochs::note_snapshot(&mut tx, 3, snapshot(1), at(1)).await,
        Err(Error::Stale(_))
    ));
    assert!(matches!(
        epochs::note_destroyed(&mut tx, 3, at(1)).await,
        Err(Error::Stale(_))
    ));
    assert!(matches!(
        epochs::finish(&mut tx, 3, at(1)).await,
        Err(Error::Stale(_))
    ));
}

fn vault() -> VaultId {
    super::parsed(&format!("vlt_{:032x}", 1))
}

async fn take_turn(tx: &mut Tx, who: HolderId, from: i64, until: i64) -> Option<Lease<VaultId>> {
    epochs::take_turn(tx, vault(), who, Term::at(at(from), at(until)))
        .await
        .unwrap()
}

async fn keep_turn(tx: &mut Tx, lease: &Lease<VaultId>) -> Result<(), Error> {
    work::extend(tx, lease, Term::at(at(40), at(50))).await
}

async fn one_process_turns_at_a_time(world: &World) {
    let first = holder();
    let second = holder();
    let take = async |holder, now, until| {
        let mut tx = world.tx().await;
        let taken = take_turn(&mut tx, holder, now, until).await;
        tx.commit().await.unwrap();
        taken
    };
    let one = take(first, 10, 20).await.unwrap();
    assert_eq!(take(second, 19, 30).await, None, "it is held");
    let two = take(first, 15, 25)
        .await
        .expect("its holder may take it again");
    let three = take(second, 26, 40).await.expect("the lease ran out");
    assert!(one.token() < two.token() && two.token() < three.token());
    let lost = keep_turn(&mut world.tx().await, &two).await;
    assert!(
        matches!(lost, Err(Error::LeaseLost)),
        "who slept does nothing more"
    );
    let mut tx = world.tx().await;
    let four = take_turn(&mut tx, second, 39, 60).await.unwrap();
    let lost = keep_turn(&mut tx, &three).await;
    assert!(
        matches!(lost, Err(Error::LeaseLost)),
        "nor does an earlier taking of the same holder"
    );
    keep_turn(&mut tx, &four).await.unwrap();
    let left = work::finish(&mut tx, &two).await;
    assert!(matches!(left, Err(Error::LeaseLost)), "{left:?}");
    tx.commit().await.unwrap();
    assert_eq!(
        take(first, 45, 60).await,
        None,
        "what was lost cannot be given back"
    );
    let mut tx = world.tx().await;
    work::finish(&mut tx, &four).await.unwrap();
    tx.commit().await.unwrap();
    let five = take(first, 45, 60).await.unwrap();
    assert!(four.token() < five.token());
}

async fn a_turner_whose_clock_was_ahead_holds_nobody_back(world: &World) {
    let ahead = holder();
    let hour = 3_600_000;
    let mut tx = world.tx().await;
    let taken = take_turn(&mut tx, ahead, 72 * hour, 72 * hour + 60_000)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.tx().await;
    assert_eq!(
        epochs::turning(&mut tx)
            .await
            .unwrap()
            .map(|held| held.holder),
        Some(ahead.to_string())
    );
    let stolen = take_turn(&mut tx, holder(), hour, hour + 60_000)
        .await
        .unwrap();
    assert!(taken.token() < stolen.token());
    tx.commit().await.unwrap();
    let lost = keep_turn(&mut world.tx().await, &taken).await;
    assert!(matches!(lost, Err(Error::LeaseLost)));
}

async fn a_turn_is_taken_away_from_whoever_has_it(world: &World) {
    let mut tx = world.tx().await;
    assert_eq!(epochs::release_turn(&mut tx).await.unwrap(), None);
    let slow = take_turn(&mut tx, holder(), 0, 60).await.unwrap();
    let released = epochs::release_turn(&mut tx).await.unwrap().unwrap();
    assert_eq!(
        (released.holder, released.until, released.fencing_token),
        (slow.holder().to_string(), at(60), slow.token())
    );
    assert!(keep_turn(&mut tx, &slow).await.is_err());
    assert!(take_turn(&mut tx, holder(), 1, 9).await.is_some());
    assert!(keep_turn(&mut tx, &slow).await.is_err());
}

async fn what_is_believed_of_the_clock_only_grows_until_somebody_accepts_another_time(
    world: &World,
) {
    let mut tx = world.tx().await;
    assert_eq!(clock::find(&mut tx).await.unwrap(), None);
    for (believed, stands) in [(5, 5), (3, 5), (9, 9)] {
        clock::believe(&mut tx, at(believed)).await.unwrap();
        assert_eq!(
            clock::find(&mut tx).await.unwrap(),
            Some(BelievedTime {
                read_at: at(stands),
                accepted: 0
            })
        );
    }
    clock::accept(&mut tx, at(2)).await.unwrap();
    assert_eq!(
        clock::find(&mut tx).await.unwrap(),
        Some(BelievedTime {
            read_at: at(2),
            accepted: 1
        })
    );
}

async fn the_database_has_a_time_of_its_own(world: &World) {
    let near = world
        .tx()
        .await
        .now()
        .await
        .unwrap()
        .since(Clock::System.now());
    assert!(near < std::time::Duration::from_secs(3600), "{near:?}");
}

async fn no_epoch_number_is_given_twice(world: &World) {
    begun(world, 4).await;
    let next = async |known| {
        let mut tx = world.tx().await;
        let next = epochs::next_number(&mut tx, known).await.unwrap();
        tx.commit().await.unwrap();
        next
    };
    assert_eq!(next(4).await, 5);
    assert_eq!(
        next(4).await,
        6,
        "the one before was given, though nothing came of it"
    );
    assert_eq!(next(9).await, 10, "custody knows of a newer one");
    begun(world, 20).await;
    assert_eq!(next(4).await, 21);
}

async fn a_rebuilt_database_is_unsettled_until_its_epoch_is_finished(world: &World) {
    begun(world, 3).await;
    let mut tx = world.tx().await;
    epochs::note_snapshot(&mut tx, 3, snapshot(1), at(1))
        .await
        .unwrap();
    epochs::finish(&mut tx, 3, at(1)).await.unwrap();
    assert!(epochs::is_settled(&mut tx).await.unwrap());
    epochs::unsettle(&mut tx, 3, 7).await.unwrap();
    tx.commit().await.unwrap();
    let current = epochs::current(&mut world.tx().await)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            current.snapshot(),
            current.finished_at,
            current.previous_destroyed_at
        ),
        (None, None, None)
    );
    assert!(!epochs::is_settled(&mut world.tx().await).await.unwrap());
    let mut tx = world.tx().await;
    assert_eq!(
        epochs::next_number(&mut tx, 3).await.unwrap(),
        8,
        "the lost database's root has a number, too"
    );
    epochs::finish(&mut tx, 3, at(2)).await.unwrap();
    assert!(epochs::is_settled(&mut tx).await.unwrap());
}

async fn signing_keys_are_journaled_before_what_they_signed(world: &World) {
    let mut tx = world.tx().await;
    let recordings: Vec<_> = (0..9).map(recording_id).collect();
    outbox::set(&mut tx, OutboxKind::Recording, &recordings, at(1))
        .await
        .unwrap();
    outbox::set(&mut tx, OutboxKind::SigningKey, &["k"], at(2))
        .await
        .unwrap();
    let read = outbox::next(&mut tx, 9).await.unwrap();
    assert_eq!(read.len(), 9);
    assert_eq!(read[0].kind, OutboxKind::SigningKey);
}

async fn a_mark_goes_only_if_nothing_changed_meanwhile(world: &World) {
    let id = recording_id(1).to_string();
    let mut tx = world.tx().await;
    assert_eq!(outbox::waiting(&mut tx).await.unwrap(), (0, None));
    outbox::set(&mut tx, OutboxKind::Recording, &[&id], at(1))
        .await
        .unwrap();
    outbox::set(&mut tx, OutboxKind::Token, &[&id], at(2))
        .await
        .unwrap();
    let mut read = outbox::next(&mut tx, 9).await.unwrap();
    read.sort_by_key(|mark| mark.kind != OutboxKind::Recording);
    assert_eq!(
        read.iter()
            .map(|mark| (mark.kind, mark.id.as_str()))
            .collect::<Vec<_>>(),
        [
            (OutboxKind::Recording, id.as_str()),
            (OutboxKind::Token, &id)
        ]
    );
    // The recording changes again while the journal is written.
    outbox::set(&mut tx, OutboxKind::Recording, &[&id], at(3))
        .await
        .unwrap();
    outbox::clear(&mut tx, &read).await.unwrap();
    assert_eq!(
        outbox::waiting(&mut tx).await.unwrap(),
        (1, Some(at(1))),
        "it is marked since its first change"
    );
    let read = outbox::next(&mut tx, 9).await.unwrap();
    outbox::clear(&mut tx, &read).await.unwrap();
    assert_eq!(
        (
            outbox::next(&mut tx, 9).await.unwrap(),
            outbox::waiting(&mut tx).await.unwrap().0
        ),
        (vec![], 0)
    );
}
