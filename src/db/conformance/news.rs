//! Change notifications of other processes: sent by PostgreSQL, not by SQLite.

use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::{World, at};
use crate::{
    db::{epochs, news::ChangeNotice},
    model::id::ReceiptId,
};

every_database!(
    a_tombstone_is_told_when_it_commits_and_not_before,
    an_epoch_is_told_when_it_begins,
    a_lost_connection_is_made_again
);

/// Inserts a tombstone, and drops the session before the commit or commits it.
async fn tombstone(world: &World, number: usize, commits: bool) {
    let receipt = ReceiptId::random(&mut rand::rng());
    let mut tx = world.tx().await;
    super::tombstone(
        &mut tx,
        super::recording_id(u32::try_from(number).unwrap()),
        at(0),
        receipt,
        1,
        None,
    )
    .await
    .unwrap();
    if commits {
        tx.commit().await.unwrap();
    }
}

/// Follows the notifications of another process while `done` runs; without notifications, it does
/// nothing.
async fn following<F: Future<Output = ()>>(
    world: &World,
    done: impl FnOnce(mpsc::UnboundedReceiver<ChangeNotice>) -> F,
) {
    let another = world.another().await.unwrap();
    let (hear, mut heard) = mpsc::unbounded_channel();
    let following = another.news().follow(move |word| hear.send(word).unwrap());
    if world.is_sqlite() {
        tombstone(world, 0, true).await;
        assert!(
            following.now_or_never().is_none() && heard.recv().now_or_never().flatten().is_none()
        );
    } else {
        let done = tokio::time::timeout(Duration::from_secs(30), done(heard));
        tokio::select! {
            never = following => match never {},
            done = done => done.expect("the bell rings"),
        }
    }
    another.close().await;
}

/// Receives the notifications after a new connection: one of every kind, because some may have been
/// missed.
async fn connected(heard: &mut mpsc::UnboundedReceiver<ChangeNotice>) {
    for word in [ChangeNotice::Tombstone, ChangeNotice::Epoch] {
        assert_eq!(heard.recv().await, Some(word));
    }
}

async fn an_epoch_is_told_when_it_begins(world: &World) {
    let told = async |mut heard: mpsc::UnboundedReceiver<ChangeNotice>| {
        connected(&mut heard).await;
        let mut tx = world.tx().await;
        epochs::insert(&mut tx, 1, &[0; 60], at(0)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(heard.recv().await, Some(ChangeNotice::Epoch));
    };
    world.announced(1).await;
    following(world, told).await;
}

async fn a_tombstone_is_told_when_it_commits_and_not_before(world: &World) {
    world.announced(3).await;
    let told = async |mut heard: mpsc::UnboundedReceiver<ChangeNotice>| {
        connected(&mut heard).await;
        tombstone(world, 0, false).await;
        tombstone(world, 1, true).await;
        assert_eq!(heard.recv().await, Some(ChangeNotice::Tombstone));
        world
            .sql(&[
                "SELECT pg_notify('recvault', 'a word of a newer program')",
                "SELECT pg_notify('another', 'tombstone')",
            ])
            .await;
        tombstone(world, 2, true).await;
        assert_eq!(heard.recv().await, Some(ChangeNotice::Tombstone));
        assert_eq!(heard.recv().now_or_never(), None, "nothing else was told");
    };
    following(world, told).await;
}

async fn a_lost_connection_is_made_again(world: &World) {
    world.announced(1).await;
    let told = async |mut heard: mpsc::UnboundedReceiver<ChangeNotice>| {
        connected(&mut heard).await;
        let lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        world.sql(&[lost]).await;
        connected(&mut heard).await;
        tombstone(world, 0, true).await;
        assert_eq!(heard.recv().await, Some(ChangeNotice::Tombstone));
    };
    following(world, told).await;
}
