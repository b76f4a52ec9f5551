//! The behaviour required of every store for recovery files: the same as for objects, and an
//! ordered listing.

use std::ops::Range;

use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};

use super::{PART, content, id, in_an_hour, list, put, write};
use crate::{
    model::{id::ObjectId, timeline::Timeline},
    store::{
        Error, Listed, RecoveryKind,
        RecoveryKind::{Journal, Snapshot},
        RecoveryName, Store,
    },
};

pub(in crate::store) fn name(kind: RecoveryKind, epoch: u64, seq: i64) -> RecoveryName {
    RecoveryName {
        kind,
        epoch,
        timeline: Timeline::FIRST,
        seq,
        id: id(),
    }
}

pub(in crate::store) async fn put_recovery(
    store: &Store,
    name: RecoveryName,
    bytes: Bytes,
) -> Result<(), Error> {
    write(store.recovery_writer(name), bytes).await
}

async fn both(store: &Store) -> [Vec<(RecoveryName, u64)>; 2] {
    [
        store.list_recovery(Snapshot).await.unwrap(),
        store.list_recovery(Journal).await.unwrap(),
    ]
}

every_store!(
    recovery_files_of_any_length_come_back,
    they_are_listed_in_order,
    they_are_not_objects_and_objects_are_not_they,
    ranges_at_the_edges,
    a_range_beyond_the_end_is_an_error,
    what_is_not_there_is_not_found,
    a_second_write_of_a_name_is_refused,
    a_removed_one_is_gone_and_its_neighbours_stay,
    unfinished_ones_are_never_listed,
    foreign_files_are_passed_over_and_kept,
    sweeping_spares_finished_ones,
);

async fn recovery_files_of_any_length_come_back(store: &Store) {
    for kind in [Snapshot, Journal] {
        for len in [0, 1, 1000, PART - 1, PART, PART + 1, 2 * PART + 12_345] {
            let name = name(kind, 3, 17);
            let bytes = content(len);
            put_recovery(store, name, bytes.clone()).await.unwrap();
            assert_eq!(store.recovery_size(name).await.unwrap(), len as u64);
            assert!(
                store.read_recovery(name, 0..len as u64).await.unwrap() == bytes,
                "{kind:?} {len}"
            );
        }
    }
}

async fn they_are_listed_in_order(store: &Store) {
    assert_eq!(both(store).await, [[], []]);
    let digits = |digit: &str| -> ObjectId { format!("obj_{}", digit.repeat(32)).parse().unwrap() };
    let ordered = |kind| {
        let name = |epoch, seq, digit| RecoveryName {
            kind,
            epoch,
            timeline: Timeline::FIRST,
            seq,
            id: digits(digit),
        };
        [
            name(0, 0, "a"),
            name(10, 1, "d"),
            name(2, 5, "c"),
            name(2, 40, "0"),
            name(2, 40, "f"),
            name(1, 999, "b"),
            name(u64::MAX, i64::MAX, "e"),
        ]
    };
    for kind in [Journal, Snapshot] {
        // An order that is neither sorted nor reversed.
        for place in [3, 0, 6, 1, 5, 2, 4] {
            put_recovery(store, ordered(kind)[place], content(place))
                .await
                .unwrap();
        }
    }
    for (kind, listed) in [Snapshot, Journal].into_iter().zip(both(store).await) {
        assert_eq!(
            listed,
            Vec::from_iter(ordered(kind).into_iter().zip(0u64..))
        );
    }
}

async fn they_are_not_objects_and_objects_are_not_they(store: &Store) {
    let snapshot = name(Snapshot, 1, 2);
    let long = name(Journal, 1, 2);
    put_recovery(store, snapshot, content(10)).await.unwrap();
    put_recovery(store, long, content(PART + 1)).await.unwrap();
    put(store, snapshot.id, content(11)).await.unwrap();
    assert_eq!(
        list(store, in_an_hour()).await,
        [Listed {
            id: snapshot.id,
            size: 11
        }]
    );
    assert_eq!(
        both(store).await,
        [[(snapshot, 10)], [(long, PART as u64 + 1)]]
    );
    assert_eq!(
        store.recovery_size(snapshot).await,
        Ok(10),
        "an object of the same id is another file"
    );
    store.delete(snapshot.id).await.unwrap();
    assert_eq!(
        both(store).await,
        [[(snapshot, 10)], [(long, PART as u64 + 1)]]
    );
}

async fn ranges_at_the_edges(store: &Store) {
    let name = name(Journal, 1, 1);
    let n = 100_000u64;
    let bytes = content(100_000);
    put_recovery(store, name, bytes.clone()).await.unwrap();
    let ranges: [Range<u64>; 8] = [
        0..0,
        0..1,
        1..2,
        0..n - 1,
        0..n,
        n - 1..n,
        n..n,
        50_000..50_001,
    ];
    for range in ranges {
        let place = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(
            store.read_recovery(name, range.clone()).await.unwrap(),
            bytes.slice(place),
            "{range:?}"
        );
    }
}

async fn a_range_beyond_the_end_is_an_error(store: &Store) {
    let name = name(Snapshot, 1, 1);
    let size = 1000;
    put_recovery(store, name, content(1000)).await.unwrap();
    for range in [0..1001u64, 999..1001, 1000..1001, 5000..5001] {
        let end = range.end;
        let expected = Error::OutOfRange {
            store: store.name(),
            name: name.into(),
            end,
            size,
        };
        assert_eq!(store.read_recovery(name, range).await, Err(expected));
    }
}

async fn what_is_not_there_is_not_found(store: &Store) {
    let there = name(Snapshot, 1, 1);
    put_recovery(store, there, content(10)).await.unwrap();
    for name in [
        RecoveryName {
            kind: Journal,
            ..there
        },
        RecoveryName { epoch: 2, ..there },
        RecoveryName {
            timeline: Timeline::FIRST.next(),
            ..there
        },
        RecoveryName { seq: 2, ..there },
        RecoveryName { id: id(), ..there },
    ] {
        let missing = Error::NotFound {
            store: store.name(),
            name: name.into(),
        };
        assert_eq!(store.recovery_size(name).await, Err(missing.clone()));
        assert_eq!(store.read_recovery(name, 0..1).await, Err(missing.clone()));
        assert_eq!(
            missing.to_string(),
            format!("the {} store has no `{name}`", store.name())
        );
    }
}

async fn a_second_write_of_a_name_is_refused(store: &Store) {
    for (first, second) in [(3, 5), (PART + 1, 5), (5, PART + 1), (PART + 1, PART + 2)] {
        let name = name(Snapshot, 1, 1);
        let bytes = content(first);
        put_recovery(store, name, bytes.clone()).await.unwrap();
        let taken = Error::AlreadyExists {
            store: store.name(),
            name: name.into(),
        };
        assert_eq!(
            put_recovery(store, name, content(second)).await,
            Err(taken),
            "{first} {second}"
        );
        assert!(
            store.read_recovery(name, 0..first as u64).await.unwrap() == bytes,
            "the first one stays as it was"
        );
    }
}

async fn a_removed_one_is_gone_and_its_neighbours_stay(store: &Store) {
    store.delete_recovery(name(Snapshot, 1, 1)).await.unwrap();
    let snapshot = name(Snapshot, 1, 1);
    let piece = RecoveryName {
        kind: Journal,
        ..snapshot
    };
    let later = RecoveryName {
        epoch: 2,
        ..snapshot
    };
    for name in [snapshot, piece, later] {
        put_recovery(store, name, content(10)).await.unwrap();
    }
    put(store, snapshot.id, content(10)).await.unwrap();
    store.delete_recovery(snapshot).await.unwrap();
    store.delete_recovery(snapshot).await.unwrap();
    assert!(matches!(
        store.recovery_size(snapshot).await,
        Err(Error::NotFound { .. })
    ));
    assert_eq!(both(store).await, [[(later, 10)], [(piece, 10)]]);
    store.delete_recovery(piece).await.unwrap();
    assert_eq!(both(store).await, [vec![(later, 10)], vec![]]);
    assert_eq!(store.size(snapshot.id).await, Ok(10));
}

async fn unfinished_ones_are_never_listed(store: &Store) {
    for kind in [Snapshot, Journal] {
        for len in [0, 10, PART, 2 * PART + 10] {
            let mut writer = store.recovery_writer(name(kind, 1, 1));
            writer.write(content(len)).await.unwrap();
            assert_eq!(both(store).await, [[], []], "{kind:?} {len}");
            writer.abort().await.unwrap();
            assert_eq!(both(store).await, [[], []], "{kind:?} {len}");
        }
        assert_eq!(
            store.sweep_uploads(in_an_hour()).await.unwrap(),
            0,
            "what was given up left nothing"
        );
        let mut writer = store.recovery_writer(name(kind, 1, 1));
        writer.write(content(2 * PART + 10)).await.unwrap();
        drop(writer);
        assert_eq!(both(store).await, [[], []]);
        store.sweep_uploads(in_an_hour()).await.unwrap();
    }
}

async fn foreign_files_are_passed_over_and_kept(store: &Store) {
    let snapshot = name(Snapshot, 1, 1);
    let digits = "0123456789abcdef0123456789abcdef";
    put_recovery(store, snapshot, content(10)).await.unwrap();
    let snapshots = store.paths.top("snapshots");
    let journal = store.paths.top("journal");
    let foreign = [
        snapshots.clone().join("README"),
        snapshots.clone().join(format!("{digits}.floe")),
        snapshots.clone().join(format!("1-1-{digits}.floe")),
        snapshots.clone().join("01").join(format!("{digits}.floe")),
        snapshots
            .clone()
            .join("old")
            .join(format!("0000000001-00000000000000000001-{digits}.floe")),
        snapshots.join(format!("0000000001-00000000000000000001-{digits}.floe.bak")),
        journal.join(format!(
            "0000000001-00000000000000000001-{}.floe",
            digits.to_uppercase()
        )),
        store
            .paths
            .top("journals")
            .join(format!("0000000001-00000000000000000001-{digits}.floe")),
        Path::from(format!(
            "elsewhere/snapshots/0000000001-0000000001-00000000000000000001-{digits}.floe"
        )),
    ];
    for path in &foreign {
        store
            .inner
            .put(path, Bytes::from_static(b"not ours").into())
            .await
            .unwrap();
    }
    assert_eq!(both(store).await, [vec![(snapshot, 10)], vec![]]);
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    store.delete_recovery(snapshot).await.unwrap();
    for path in &foreign {
        assert!(store.inner.head(path).await.is_ok(), "{path}");
    }
}

async fn sweeping_spares_finished_ones(store: &Store) {
    let short = name(Snapshot, 1, 1);
    let long = name(Journal, 1, 1);
    put_recovery(store, short, content(10)).await.unwrap();
    put_recovery(store, long, content(2 * PART)).await.unwrap();
    assert_eq!(store.sweep_uploads(in_an_hour()).await.unwrap(), 0);
    assert_eq!(
        both(store).await,
        [[(short, 10)], [(long, 2 * PART as u64)]]
    );
}
