//! Pages of the key tree: the cost of keys in each look-up, deposit and shred, without the
//! database's rows.

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use recvault::{
    keyring::{KeyPage, LEAF, LEVELS, PageRow, RootKey, tree},
    model::id::VaultId,
    secret::Key,
};

/// A path of five pages with one record key at its end, as after a deposit.
struct Grown {
    vault: VaultId,
    root_key: RootKey,
    path: Vec<PageRow>,
    slot: u8,
}

impl Grown {
    fn new() -> Self {
        let rng = &mut rand::rng();
        let vault = VaultId::random(rng);
        let root_key = RootKey {
            epoch: 1,
            key: Key::random(rng),
        };
        let [root, _service] = tree::create(&root_key, vault, rng).expect("a new tree has room");
        let mut path = vec![root];
        for level in (LEAF..LEVELS).rev() {
            let above = tree::walk(path.clone(), &root_key, vault).expect("the path is whole");
            let (upper, below) =
                tree::attach(above, "standard", level, vault, rng).expect("a new page has room");
            path.pop();
            path.extend([upper, below.seal(vault, rng)]);
        }
        let mut grown = Self {
            vault,
            root_key,
            path,
            slot: 0,
        };
        let mut leaf = grown.walk(grown.path.clone());
        grown.slot = leaf
            .page
            .push(&Key::random(rng))
            .expect("a new leaf has room");
        grown.path.pop();
        grown.path.push(leaf.seal(vault, rng));
        grown
    }

    fn walk(&self, path: Vec<PageRow>) -> tree::OpenedPage {
        tree::walk(path, &self.root_key, self.vault).expect("the path is whole")
    }
}

fn pages(c: &mut Criterion) {
    let grown = Grown::new();
    let rng = &mut rand::rng();
    let vault = grown.vault;
    let mut group = c.benchmark_group("pages");

    let key = Key::random(rng);
    let alone = KeyPage::empty("standard", LEAF, None, 1, rng).seal(&key, vault, rng);
    group.bench_function("open one", |b| {
        b.iter_batched(
            || alone.clone(),
            |row| black_box(KeyPage::open(row, &key, vault).expect("authentic")),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("seal one", |b| {
        let open = || KeyPage::open(alone.clone(), &key, vault).expect("authentic");
        b.iter_batched(
            open,
            |page| black_box(page.seal(&key, vault, &mut rand::rng())),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("walk five", |b| {
        b.iter_batched(
            || grown.path.clone(),
            |path| black_box(grown.walk(path)),
            BatchSize::SmallInput,
        );
    });
    let fresh = Key::random(rng);
    group.bench_function("insert a key", |b| {
        b.iter_batched(
            || grown.path.clone(),
            |path| {
                let mut leaf = grown.walk(path);
                leaf.page.push(&fresh).expect("the leaf has room");
                black_box(leaf.seal(vault, &mut rand::rng()))
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("destroy a key", |b| {
        b.iter_batched(
            || grown.path.clone(),
            |path| {
                let mut leaf = grown.walk(path);
                leaf.page.destroy(grown.slot).expect("the key is there");
                black_box(leaf.seal(vault, &mut rand::rng()))
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = pages
}
criterion_main!(benches);
