//! Two services on one PostgreSQL database, as behind a load balancer.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use recvault::demo::{
    conversation::{self, Channels},
    stand_in::MediaFault,
};
use rustix::process::Signal;

use crate::{
    book::{self, Entry},
    client::eventually,
    database::Kind,
    invariants,
    world::{World, sound},
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn two_services_fed_at_once_seal_and_shred_each_recording_once() {
    let world = World::on(Kind::Postgres).await;
    // Enough connections for concurrent writers: the keys of all these recordings are on two pages.
    world.configure("connections = 4", "connections = 20");
    let first = world.serve().await;
    let second = world.serve().await;
    let entries = Entry::several(&world, 60, 1);
    let clients = [&first.client, &second.client];

    // Every third callback arrives twice, at both services at once.
    let announced =
        stream::iter(entries.iter().enumerate()).for_each_concurrent(16, |(at, entry)| {
            let world = &world;
            async move {
                let here = clients[at % 2];
                let there = clients[(at + 1) % 2];
                let again = async {
                    if at % 3 == 0 {
                        assert_eq!(entry.announce(world, there).await.unwrap(), 204);
                    }
                };
                let (status, ()) = futures_util::join!(entry.announce(world, here), again);
                assert_eq!(status.unwrap(), 204);
            }
        });
    announced.await;
    for (at, entry) in entries.iter().enumerate() {
        clients[at % 2].until(entry.id, "sealed").await;
    }
    assert_eq!(
        world.stand_in.media_requests(),
        60,
        "a lease keeps the other service from fetching the same"
    );

    let shredded = stream::iter(entries.iter().enumerate().skip(20)).for_each_concurrent(
        40,
        |(at, entry)| async move {
            entry.shred(clients[at % 2]).await.unwrap();
            assert!(
                entry.receipt.get().is_some(),
                "a shred is answered, whoever else is shredding: {}",
                entry.id
            );
            // At the other service too, and with the same receipt.
            entry.shred(clients[(at + 1) % 2]).await.unwrap();
        },
    );
    shredded.await;
    book::settle(&entries, &world, clients[1]).await;
    first.process.stop().await;
    second.process.stop().await;
    let found = invariants::check(&world).await;
    let sealed = found
        .states
        .values()
        .filter(|state| *state == "sealed")
        .count();
    assert_eq!(
        (found.states.len(), sealed, found.work, found.orphans),
        (60, 20, 0, 0),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn a_stream_of_one_service_is_silenced_when_the_other_shreds() {
    let world = World::on(Kind::Postgres).await;
    let first = world.serve().await;
    let second = world.serve().await;
    // Much more than the buffers between the service and a slow listener.
    let wav = conversation::repeat_to(1800, Channels::Dual);
    let id = world.sealed(&first.client, wav.clone().into()).await;
    let (_, path) = first.client.grant(id).await.unwrap();
    let mut response = first
        .client
        .http
        .get(format!("{}{}", first.client.base, path.unwrap()))
        .send()
        .await
        .unwrap();
    let mut heard = response
        .chunk()
        .await
        .unwrap()
        .expect("the stream begins")
        .len();

    keep_the_bytes(&world).await;
    let (status, _) = second.client.shred(id).await.unwrap();
    assert_eq!(status, 200);
    let shredded = Instant::now();
    let cut = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => heard += chunk.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
        assert!(
            shredded.elapsed() < Duration::from_secs(5),
            "5 s after the shred it is still heard"
        );
        // A listener that reads slowly.
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(
        cut && heard < wav.len(),
        "the stream ended of itself, after {heard} of {} bytes",
        wav.len()
    );
    assert_eq!(world.objects().len(), 1, "the bytes are there still");
}

/// Postpones the removal of shredded bytes by an hour, so that it does not end a stream.
async fn keep_the_bytes(world: &World) {
    let put_off = "CREATE FUNCTION put_off() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.due_at := NEW.due_at + 3600000; RETURN NEW; END $$";
    world.database.execute(put_off).await;
    world
        .database
        .execute(
            "CREATE TRIGGER put_off BEFORE INSERT ON work FOR EACH ROW WHEN (NEW.kind = 'delete-ciphertext') EXECUTE FUNCTION put_off()",
        )
        .await;
}

/// Reads until nothing has arrived for a while: returns `true` if the audio is not over then,
/// `false` if it is cut off.
async fn drain(response: &mut reqwest::Response, heard: &mut usize, pause: Duration) -> bool {
    loop {
        match tokio::time::timeout(pause, response.chunk()).await {
            Ok(Ok(Some(chunk))) => *heard += chunk.len(),
            Ok(Ok(None)) => panic!("the sound came to its proper end, after {heard} bytes"),
            Ok(Err(_)) => return false,
            Err(_) => return true,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn a_service_that_slept_through_a_shred_wakes_up_silent() {
    let world = World::on(Kind::Postgres).await;
    let sleeper = world.serve().await;
    let other = world.serve().await;
    let wav = conversation::repeat_to(1800, Channels::Dual);
    let id = world.sealed(&sleeper.client, wav.clone().into()).await;
    let (_, path) = sleeper.client.grant(id).await.unwrap();
    let mut response = sleeper
        .client
        .http
        .get(format!("{}{}", sleeper.client.base, path.unwrap()))
        .send()
        .await
        .unwrap();
    let mut heard = response
        .chunk()
        .await
        .unwrap()
        .expect("the stream begins")
        .len();
    keep_the_bytes(&world).await;
    // A process that is suspended while it reads for the journal keeps its session, which blocks
    // the lock below.
    assert!(
        eventually(async || world
            .database
            .texts("SELECT id FROM outbox")
            .await
            .is_empty())
        .await
    );

    sleeper.process.signal(Signal::STOP);
    let slept = Instant::now();
    assert_eq!(other.client.shred(id).await.unwrap().0, 200);
    // The buffers of the connection are drained now.
    assert!(drain(&mut response, &mut heard, Duration::from_millis(500)).await);
    assert!(heard < wav.len() / 2, "{heard} bytes were under way");
    // It wakes up too late to continue without a check, and cannot check: the query for tombstones
    // must wait.
    let lock = world
        .database
        .holding("LOCK TABLE tombstones IN ACCESS EXCLUSIVE MODE")
        .await;
    tokio::time::sleep(Duration::from_millis(4200).saturating_sub(slept.elapsed())).await;
    let before = heard;
    let woken = Instant::now();
    sleeper.process.signal(Signal::CONT);
    assert!(
        !drain(&mut response, &mut heard, Duration::from_secs(5)).await,
        "5 s later the connection still stands"
    );
    assert!(woken.elapsed() < Duration::from_secs(5));
    assert_eq!(
        heard, before,
        "what it had in hand when it was stopped stays there"
    );
    drop(lock);
    assert_eq!(world.objects().len(), 1, "the bytes are there still");
    sleeper.process.stop().await;
    other.process.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn a_service_that_slept_does_not_seal_what_another_has_taken_over() {
    let world = World::on(Kind::Postgres).await;
    let wav = sound(1, 30);
    let (sid, id) = world.record(wav.clone());
    // Half a second the first time; the second time long enough for the suspended process to wake
    // up and lose.
    world.stand_in.fail(
        &sid,
        MediaFault::SlowBody {
            bytes: 50_000,
            every: Duration::from_millis(50),
        },
    );
    world.stand_in.fail(
        &sid,
        MediaFault::SlowBody {
            bytes: 50_000,
            every: Duration::from_millis(200),
        },
    );
    let sleeper = world.serve().await;
    assert_eq!(world.announce(&sleeper.client, &sid).await.unwrap(), 204);
    assert!(eventually(async || world.stand_in.media_requests() == 1).await);
    sleeper.process.signal(Signal::STOP);

    let other = world.serve().await;
    assert!(
        eventually(async || world.stand_in.media_requests() == 2).await,
        "nobody takes over"
    );
    sleeper.process.signal(Signal::CONT);
    sleeper
        .process
        .says("that the work is not its own any more", |log| {
            log.contains("another process has it").then_some(())
        })
        .await;
    other.client.until(id, "sealed").await;
    assert_eq!(other.client.hear(id).await, wav);
    assert!(
        !other.process.log().contains("another process has it"),
        "who has the lease seals:\n{}",
        other.process.log()
    );

    sleeper.process.stop().await;
    other.process.stop().await;
    let found = invariants::check(&world).await;
    // At most the objects that the suspended process had stored are left for the sweep.
    assert!(found.states.len() == 1 && found.orphans <= 1, "{found:?}");
}
