//! Real-time transcriptions of running calls: pieces, ends, and the sweep.

use super::{
    super::{World, at},
    account, any_due, call, event, gt, lease, of_one_call, piece,
};
use crate::{
    db::{
        Tx, transcripts,
        utterances::{self, Utterance},
    },
    model::origin::Origin,
};

every_database!(
    an_end_stands_and_silence_begins_anew_with_each_event,
    a_transcription_that_is_over_takes_no_more,
    the_same_piece_is_kept_once,
    old_pieces_are_swept,
);

async fn an_end_stands_and_silence_begins_anew_with_each_event(world: &World) {
    let ids = (account(0), gt(1), call(1));
    let mut tx = world.tx().await;
    let hear = async |tx: &mut Tx, began, ended, due: i64| {
        assert!(
            transcripts::hear(tx, &event(&ids, began, ended), at(due), at(1))
                .await
                .unwrap()
        );
    };
    hear(&mut tx, None, None, 100).await;
    hear(&mut tx, Some(5), None, 200).await;
    hear(&mut tx, Some(6), None, 300).await;
    hear(&mut tx, Some(4), None, 300).await;
    assert!(!any_due(&mut tx, at(299)).await);
    hear(&mut tx, None, Some(50), 60).await;
    // A late piece after the end, and the end once more.
    hear(&mut tx, None, None, 400).await;
    hear(&mut tx, None, Some(51), 500).await;
    let [ours] = lease(&mut tx, 60, 100).await.try_into().unwrap();
    assert_eq!(
        (ours.origin().clone(), ours.call.clone(), ours.began_at),
        (Origin::RealTime(gt(1)), Some(call(1)), Some(at(4)))
    );
    // It does not change a lease.
    hear(&mut tx, None, None, 10).await;
    assert!(!any_due(&mut tx, at(99)).await);
}

async fn a_transcription_that_is_over_takes_no_more(world: &World) {
    let recording = of_one_call(world, &[3]).await.remove(0);
    let ids = (account(0), gt(1), call(1));
    let mut tx = world.tx().await;
    let hear = async |tx: &mut Tx| {
        transcripts::hear(tx, &event(&ids, None, None), at(1), at(1))
            .await
            .unwrap()
    };
    assert!(hear(&mut tx).await);
    let [ours] = lease(&mut tx, 1, 100).await.try_into().unwrap();
    transcripts::file(&mut tx, &ours, &recording).await.unwrap();
    assert!(!hear(&mut tx).await);
}

async fn the_same_piece_is_kept_once(world: &World) {
    let mut tx = world.tx().await;
    for (piece, new) in [
        (piece("outbound_track", 1), true),
        (piece("inbound_track", 2), true),
        (piece("inbound_track", 1), true),
        (
            Utterance {
                sealed: vec![9],
                ..piece("inbound_track", 2)
            },
            false,
        ),
        (
            Utterance {
                sealed: vec![],
                ..piece("", 3)
            },
            true,
        ),
    ] {
        assert_eq!(
            utterances::insert(&mut tx, &account(0), &gt(1), &piece, at(1))
                .await
                .unwrap(),
            new
        );
    }
    assert!(
        utterances::insert(
            &mut tx,
            &account(0),
            &gt(2),
            &piece("inbound_track", 1),
            at(1)
        )
        .await
        .unwrap()
    );
    let kept = utterances::of(&mut tx, &account(0), &gt(1)).await.unwrap();
    let silent = Utterance {
        sealed: vec![],
        ..piece("", 3)
    };
    assert_eq!(
        kept,
        [
            silent,
            piece("inbound_track", 1),
            piece("inbound_track", 2),
            piece("outbound_track", 1)
        ]
    );
    assert_eq!(
        utterances::remove(&mut tx, &account(0), &gt(1))
            .await
            .unwrap(),
        4
    );
    assert_eq!(
        utterances::of(&mut tx, &account(0), &gt(2))
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn old_pieces_are_swept(world: &World) {
    let mut tx = world.tx().await;
    for (number, told) in [(1, 10), (2, 20)] {
        utterances::insert(
            &mut tx,
            &account(0),
            &gt(1),
            &piece("inbound_track", number),
            at(told),
        )
        .await
        .unwrap();
    }
    assert_eq!(utterances::sweep(&mut tx, at(20)).await.unwrap(), 1);
    assert_eq!(
        utterances::of(&mut tx, &account(0), &gt(1)).await.unwrap(),
        [piece("inbound_track", 2)]
    );
}
