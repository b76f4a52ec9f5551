//! Tests of the pieces after a snapshot, and of the gaps between them.

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
    file_of(
        &LogPath::first(),
        vault,
        kind,
        (seq, since, chain),
        previous,
    )
}

/// Returns a file whose log goes along a path.
fn file_of(
    path: &LogPath,
    vault: VaultId,
    kind: RecoveryKind,
    (seq, since, chain): (i64, i64, i64),
    previous: Option<&File>,
) -> File {
    let name = RecoveryName {
        kind,
        epoch: 1,
        timeline: path.current(),
        seq,
        id: ObjectId::random(&mut rand::rng()),
    };
    let previous = previous.map(|(name, header)| Link {
        name: *name,
        sha256: header.digest(),
    });
    let entry = Position {
        timeline: path.current(),
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
                path: path.clone(),
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
    let not_before = not_before.map(|seq| point(1, seq));
    gaps_before(snapshot, pieces, not_before)
}

fn point(timeline: u32, seq: i64) -> LogPoint {
    LogPoint {
        timeline: timeline.try_into().unwrap(),
        seq,
    }
}

fn gaps_before(
    snapshot: &File,
    pieces: &[File],
    not_before: Option<LogPoint>,
) -> (Vec<i64>, Vec<String>) {
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
    // Pieces before the snapshot may be missing.
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

/// A vault that was restored after entry 30, from a snapshot at entry 10 and the pieces 1 and 2.
/// The pieces 3 and 4 of the lost timeline were written later, and the new timeline has its own 3
/// and 4.
struct Forked {
    snapshot: File,
    pieces: Vec<File>,
    late: [File; 2],
    new: [File; 2],
}

fn path(forks: &[(u32, i64)]) -> LogPath {
    forks
        .iter()
        .fold(LogPath::first(), |path, (timeline, behind)| {
            path.forked((*timeline).try_into().unwrap(), *behind)
                .unwrap()
        })
}

fn forked() -> Forked {
    let vault = VaultId::random(&mut rand::rng());
    let piece = |path: &LogPath, numbers, previous: Option<&File>| {
        file_of(path, vault, RecoveryKind::Journal, numbers, previous)
    };
    let (first, second) = (path(&[]), path(&[(2, 30)]));
    let one = piece(&first, (20, 10, 1), None);
    let two = piece(&first, (30, 20, 2), Some(&one));
    let late = piece(&first, (40, 30, 3), Some(&two));
    let later = piece(&first, (45, 40, 4), Some(&late));
    let new = piece(&second, (36, 30, 3), Some(&two));
    let newer = piece(&second, (38, 36, 4), Some(&new));
    Forked {
        snapshot: file_of(&first, vault, RecoveryKind::Snapshot, (10, 0, 0), None),
        pieces: vec![one, two],
        late: [late, later],
        new: [new, newer],
    }
}

fn all_of(forked: &Forked) -> Vec<File> {
    let late = forked.late.iter().chain(&forked.new);
    forked.pieces.iter().chain(late).cloned().collect()
}

#[test]
fn pieces_of_a_lost_timeline_come_before_those_of_the_next_whatever_their_numbers() {
    let forked = forked();
    let (taken, gaps) = behind(&forked.snapshot.1, all_of(&forked), None);
    let points: Vec<(i64, i64)> = taken
        .iter()
        .map(|(_, piece)| (piece.path.current().number(), piece.seq))
        .collect();
    assert_eq!(
        points,
        [(1, 20), (1, 30), (1, 40), (1, 45), (2, 36), (2, 38)]
    );
    assert_eq!(gaps, []);
}

#[test]
fn a_hole_in_the_main_log_is_not_covered_by_numbers_of_a_lost_timeline() {
    let forked = forked();
    let without = |at: usize| {
        let mut left = all_of(&forked);
        left.remove(at);
        gaps(&forked.snapshot, &left, None).1
    };
    assert_eq!(without(0), ["11-20"]);
    assert_eq!(without(1), ["21-30"]);
    assert_eq!(without(2), ["1/31-40"], "of the lost timeline's numbers");
    assert_eq!(without(3), [""; 0], "its end is missed by nobody");
    assert_eq!(without(4), ["31-36"], "the lost timeline has such, too");
    assert_eq!(without(5), [""; 0]);
    let mut left = all_of(&forked);
    left.drain(1..3);
    let both = gaps(&forked.snapshot, &left, None).1;
    assert_eq!(both, ["21-30", "1/31-40"], "what both share by one name");
}

#[test]
fn the_end_is_missed_along_the_timeline_that_it_is_known_of() {
    let forked = forked();
    let all = all_of(&forked);
    let missed = |known| gaps_before(&forked.snapshot, &all, Some(known)).1;
    assert_eq!(missed(point(1, 50)), [""; 0], "it was lost by a restore");
    assert_eq!(missed(point(2, 38)), [""; 0]);
    assert_eq!(missed(point(2, 41)), ["39-41"]);
    assert_eq!(missed(point(3, 33)), ["3/33-33"]);
}

#[test]
fn a_snapshot_of_a_lost_timeline_hides_no_piece_of_the_next() {
    let forked = forked();
    let vault = forked.snapshot.1.vault;
    let late = Some(&forked.late[1]);
    let snapshot = file_of(&path(&[]), vault, RecoveryKind::Snapshot, (45, 0, 4), late);
    let (chain, gaps) = gaps(&snapshot, &all_of(&forked), None);
    assert_eq!((chain, gaps), (vec![3, 4], vec![]));
    // A snapshot of the next timeline excludes the pieces of the lost one.
    let new = Some(&forked.new[0]);
    let second = path(&[(2, 30)]);
    let snapshot = file_of(&second, vault, RecoveryKind::Snapshot, (36, 0, 3), new);
    let (taken, gaps) = behind(&snapshot.1, all_of(&forked), None);
    assert_eq!((taken.len(), gaps), (1, vec![]));
    assert_eq!(taken[0].0, forked.new[1].0);
}

#[test]
fn pieces_of_the_main_log_count_though_the_snapshot_is_of_a_later_timeline_that_it_left() {
    let vault = VaultId::random(&mut rand::rng());
    let piece = |path: &LogPath, numbers, previous: Option<&File>| {
        file_of(path, vault, RecoveryKind::Journal, numbers, previous)
    };
    let (first, second, third) = (path(&[]), path(&[(2, 30)]), path(&[(3, 33)]));
    let two = piece(&first, (30, 20, 2), None);
    let between = piece(&first, (33, 30, 3), Some(&two));
    let lost = piece(&second, (35, 30, 3), Some(&two));
    let new = piece(&third, (40, 33, 4), Some(&between));
    let numbers = (35, 0, 3);
    let snapshot = file_of(&second, vault, RecoveryKind::Snapshot, numbers, Some(&lost));

    let all = [two.clone(), between, lost.clone(), new.clone()];
    let (taken, missed) = behind(&snapshot.1, all.to_vec(), None);
    let names: Vec<RecoveryName> = taken.iter().map(|(name, _)| *name).collect();
    assert_eq!((names, missed), (vec![all[1].0, new.0], vec![]));
    assert_eq!(gaps(&snapshot, &[two, lost, new], None).1, ["31-33"]);
}
