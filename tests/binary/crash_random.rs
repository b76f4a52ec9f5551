//! The executable is killed at random moments under load, again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    book::{self, Entry},
    client::Client,
    database::Kind,
    invariants,
    world::World,
};

const RECORDINGS: u32 = 200;
const CALLERS: u64 = 16;
const KILLS: usize = 5;
/// The limit of a run; longer means that it hangs.
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_killed_at_random_under_load() {
    is_killed_at_random(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn postgres_is_killed_at_random_under_load() {
    is_killed_at_random(Kind::Postgres).await;
}

/// The state that the clients share.
struct Load {
    world: World,
    entries: Vec<Entry>,
    next: AtomicUsize,
    /// The present service; between two runs the last one.
    service: watch::Receiver<Client>,
    is_over: AtomicBool,
}

async fn is_killed_at_random(kind: Kind) {
    let world = World::on(kind).await;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);

    let mut service = world.serve().await;
    let (tell, told) = watch::channel(service.client.clone());
    let entries = Entry::several(&world, RECORDINGS, 1);
    let load = Arc::new(Load {
        world,
        entries,
        next: AtomicUsize::new(0),
        service: told,
        is_over: AtomicBool::new(false),
    });
    let mut callers = JoinSet::new();
    for at in 0..CALLERS {
        callers.spawn(Arc::clone(&load).announce(StdRng::seed_from_u64(seed ^ at)));
    }
    let mut others = JoinSet::new();
    for at in 0..2 {
        others.spawn(Arc::clone(&load).shred(StdRng::seed_from_u64(seed ^ (100 + at))));
        others.spawn(Arc::clone(&load).listen(StdRng::seed_from_u64(seed ^ (200 + at))));
    }
    for round in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..700))).await;
        service.process.kill().await;
        let found = invariants::check(&load.world).await;
        println!(
            "kill {round}: {} recordings, {} orphans, {} to do",
            found.states.len(),
            found.orphans,
            found.work
        );
        // Sometimes it is killed during its start.
        if round % 2 == 1 {
            let process = load.world.launch(None);
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
            process.kill().await;
            invariants::check(&load.world).await;
        }
        service = load.world.serve().await;
        tell.send_replace(service.client.clone());
    }
    let finished = tokio::time::timeout(LIMIT, async {
        while let Some(ended) = callers.join_next().await {
            ended.unwrap()
        }
    })
    .await;
    assert!(finished.is_ok(), "callers hang: seed {seed}");
    load.is_over.store(true, SeqCst);
    while let Some(ended) = others.join_next().await {
        ended.unwrap();
    }

    book::settle(&load.entries, &load.world, &service.client).await;
    service.process.stop().await;
    let found = invariants::check(&load.world).await;
    assert_eq!(
        (found.states.len(), found.work),
        (load.entries.len(), 0),
        "seed {seed}: {found:?}"
    );
    let shredded = found
        .states
        .values()
        .filter(|state| *state == "closed")
        .count();
    println!("{shredded} shredded, {} orphans", found.orphans);
    assert!(shredded > 0, "seed {seed}: nobody shredded anything");
}

impl Load {
    fn client(&self) -> Client {
        self.service.borrow().clone()
    }

    /// Sends callbacks until each is answered, as Twilio does with `#rc=…`.
    async fn announce(self: Arc<Self>, mut rng: StdRng) {
        while let Some(entry) = self.entries.get(self.next.fetch_add(1, SeqCst)) {
            pause(&mut rng, 320).await;
            while !matches!(entry.announce(&self.world, &self.client()).await, Ok(204)) {
                pause(&mut rng, 50).await;
            }
        }
    }

    /// Shreds one recording after another. An unanswered shred is not repeated.
    async fn shred(self: Arc<Self>, mut rng: StdRng) {
        while !self.is_over.load(SeqCst) {
            pause(&mut rng, 60).await;
            let entry = self.entries.choose(&mut rng).expect("there are recordings");
            if entry.is_acknowledged.load(SeqCst) && !entry.is_condemned.load(SeqCst) {
                let client = self.client();
                let _ = entry.prepare_to_listen(&client).await;
                let _ = entry.shred(&client).await;
                let _ = entry.listen_again(&client).await;
            }
        }
    }

    /// Plays recordings, also shredded ones.
    async fn listen(self: Arc<Self>, mut rng: StdRng) {
        while !self.is_over.load(SeqCst) {
            pause(&mut rng, 20).await;
            let entry = self.entries.choose(&mut rng).expect("there are recordings");
            if entry.audio.get().is_none() {
                let _ = entry.prepare_to_listen(&self.client()).await;
            }
            let _ = entry.listen_again(&self.client()).await;
        }
    }
}

async fn pause(rng: &mut StdRng, up_to_ms: u64) {
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..=up_to_ms))).await;
}
