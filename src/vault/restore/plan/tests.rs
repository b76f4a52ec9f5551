//! Which pieces follow a snapshot, and what is missing between them.

use super::*;
use crate::{
    model::{
        id::{ObjectId, VaultId},
        time::Timestamp,
    },
    vault::recovery::ChainPosition,
};

type File = (RecoveryName, Header);

fn file(
    vault: VaultId,
    kind: RecoveryKind,
    seq: i64,
    since: i64,
    chain: i64,
    previous: Option<&File>,
) -> File {
    let name = RecoveryName {
        kind,
        epoch: 1,
        seq,
        id: ObjectId::random(&mut rand::rng()),
    };
    let previous = previous.map(|(name, header)| Link {
        name: *name,
        sha256: header.digest(),
    });
    let entry = Position {
        seq,
        digest: "0a".repeat(32).parse().unwrap(),
    };
    (
        name,
        Header::of(
            name,
            vault,
            &[1, 2],
            Timestamp::from_millis(seq),
            ChainPosition {
                entry,
                since,
                chain,
                previous,
            },
        ),
    )
}

/// A snapshot at entry 10 that knows of piece 2, and the pieces 1 to 6; piece 5 holds states only.
fn chain() -> (File, Vec<File>) {
    let vault = VaultId::random(&mut rand::rng());
    let mut pieces: Vec<File> = Vec::new();
    for (number, (seq, since)) in (1..).zip([(4, 0), (9, 4), (12, 9), (20, 12), (20, 20), (31, 20)])
    {
        pieces.push(file(
            vault,
            RecoveryKind::Journal,
            seq,
            since,
            number,
            pieces.last(),
        ));
    }
    (
        file(vault, RecoveryKind::Snapshot, 10, 0, 2, pieces.get(1)),
        pieces,
    )
}

fn gaps(snapshot: &File, pieces: &[File], not_before: Option<i64>) -> (Vec<i64>, Vec<String>) {
    let mut shuffled = pieces.to_vec();
    shuffled.reverse();
    let (taken, gaps) = behind(&snapshot.1, shuffled, not_before);
    (
        taken.iter().map(|(_, piece)| piece.chain).collect(),
        gaps.iter().map(Gap::to_string).collect(),
    )
}

#[test]
fn the_pieces_behind_a_snapshot_are_taken_in_their_order() {
    let (snapshot, pieces) = chain();
    assert_eq!(gaps(&snapshot, &pieces, None), (vec![3, 4, 5, 6], vec![]));
    assert_eq!(
        gaps(&snapshot, &pieces, Some(31)),
        (vec![3, 4, 5, 6], vec![])
    );
    // What stands before the snapshot may be gone.
    assert_eq!(
        gaps(&snapshot, &pieces[2..], None),
        (vec![3, 4, 5, 6], vec![])
    );
}

#[test]
fn every_piece_that_is_missing_in_between_is_a_gap() {
    let (snapshot, pieces) = chain();
    for (missing, named) in [(2, "11-12"), (3, "13-20"), (4, "20-20")] {
        let mut left = pieces.clone();
        left.remove(missing);
        assert_eq!(
            gaps(&snapshot, &left, None).1,
            [named],
            "without piece {}",
            missing + 1
        );
    }
    let two: Vec<File> = [2, 5]
        .into_iter()
        .map(|at: usize| pieces[at].clone())
        .collect();
    assert_eq!(
        gaps(&snapshot, &two, None).1,
        ["13-20"],
        "a run of them is one gap"
    );
    let two: Vec<File> = [3, 5]
        .into_iter()
        .map(|at: usize| pieces[at].clone())
        .collect();
    assert_eq!(
        gaps(&snapshot, &two, None).1,
        ["11-12", "20-20"],
        "and two are two"
    );
}

#[test]
fn the_end_is_missed_by_who_knows_of_it_only() {
    let (snapshot, pieces) = chain();
    assert_eq!(gaps(&snapshot, &pieces[..5], None).1, [""; 0]);
    assert_eq!(gaps(&snapshot, &pieces[..5], Some(31)).1, ["21-31"]);
    assert_eq!(gaps(&snapshot, &[], Some(11)).1, ["11-11"]);
}

#[test]
fn another_piece_in_the_place_of_the_one_that_is_named_is_a_gap_and_a_second_successor_is_none() {
    let (snapshot, pieces) = chain();
    let vault = snapshot.1.vault;
    let mut replaced = pieces.clone();
    replaced[3] = file(vault, RecoveryKind::Journal, 20, 12, 4, Some(&pieces[2]));
    assert_eq!(
        gaps(&snapshot, &replaced, None).1,
        ["20-20"],
        "piece 5 names another one"
    );
    let mut forked = pieces.clone();
    forked.push(file(
        vault,
        RecoveryKind::Journal,
        19,
        12,
        4,
        Some(&pieces[2]),
    ));
    assert_eq!(
        gaps(&snapshot, &forked, None).1,
        [""; 0],
        "of two writers one came too late"
    );
    let mut others = pieces.clone();
    others.push(file(
        VaultId::random(&mut rand::rng()),
        RecoveryKind::Journal,
        40,
        35,
        7,
        None,
    ));
    assert_eq!(
        gaps(&snapshot, &others, None).1,
        [""; 0],
        "another vault's is not looked at"
    );
}

#[test]
fn a_piece_that_was_put_together_before_the_snapshot_and_chained_after_it_may_be_gone() {
    let (snapshot, pieces) = chain();
    let late = file(
        snapshot.1.vault,
        RecoveryKind::Journal,
        9,
        9,
        3,
        pieces.get(1),
    );
    let next = file(
        snapshot.1.vault,
        RecoveryKind::Journal,
        14,
        9,
        4,
        Some(&late),
    );
    assert_eq!(gaps(&snapshot, &[next], None), (vec![4], vec![]));
}

#[test]
fn a_piece_that_begins_behind_all_that_is_there_is_a_gap_whatever_it_names() {
    let (snapshot, pieces) = chain();
    let of_nobody = file(snapshot.1.vault, RecoveryKind::Journal, 20, 14, 3, None);
    assert_eq!(gaps(&snapshot, &[of_nobody], None).1, ["11-14"]);
    let far = file(
        snapshot.1.vault,
        RecoveryKind::Journal,
        31,
        25,
        5,
        pieces.get(3),
    );
    assert_eq!(
        gaps(&snapshot, &[&pieces[2..4], &[far]].concat(), None).1,
        ["21-25"]
    );
}
