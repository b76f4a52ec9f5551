//! Sealing and opening by size, in memory: the cost of the format and the cipher, without store and
//! database.

use std::{hint::black_box, num::NonZeroUsize, ops::Range, time::Duration};

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::RngExt as _;
use recvault::{
    model::{
        artefact::{Artefact, Leg},
        id::{RecordingId, VaultId},
    },
    seal::{Context, Layout, Opener, Sealer, SegmentLength},
    secret::Key,
};

/// Bytes of plaintext: below one segment, one segment, and up to a long call.
const SIZES: [usize; 6] = [1 << 10, 16 << 10, 64 << 10, 1 << 20, 8 << 20, 64 << 20];
/// The size of a part for the store in a deposit.
const PART: usize = 8 << 20;
/// The size of a chunk from the network.
const CHUNK: usize = 64 << 10;
/// Segments opened at a time in playback.
const STRIDE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

/// Key and context of the objects here.
struct Place {
    key: Key,
    context: Context,
}

impl Place {
    fn random() -> Self {
        let rng = &mut rand::rng();
        let context = Context {
            vault: VaultId::random(rng),
            recording: RecordingId::random(rng),
            leg: Leg::All,
            artefact: Artefact::Audio,
        };
        Self {
            key: Key::random(rng),
            context,
        }
    }

    /// Seals `plain` as a deposit does: chunk by chunk, and passes each full part to `keep`.
    fn seal(&self, plain: &[u8], mut keep: impl FnMut(&mut BytesMut)) {
        let mut sealer = Sealer::new(&self.key, &self.context, SegmentLength::Media)
            .expect("there is randomness");
        let mut out = BytesMut::with_capacity(PART.min(plain.len() + CHUNK));
        for chunk in plain.chunks(CHUNK) {
            sealer
                .push(chunk, &mut out)
                .expect("the content is short enough");
            if out.len() >= PART {
                keep(&mut out);
            }
        }
        black_box(
            sealer
                .finish(&mut out)
                .expect("the content is short enough"),
        );
        keep(&mut out);
    }

    fn sealed(&self, plain: &[u8]) -> Bytes {
        let mut object = BytesMut::new();
        self.seal(plain, |part| object.unsplit(part.split()));
        object.freeze()
    }

    fn opener(&self, object: &Bytes) -> (Opener, Layout) {
        let layout =
            Layout::of(object.len() as u64, SegmentLength::Media).expect("the object is whole");
        let header = cut(object, layout.header());
        let last = cut(object, layout.final_segment());
        (
            Opener::new(&self.key, &self.context, layout, &header, last)
                .expect("the object is authentic"),
            layout,
        )
    }
}

/// Returns an unshared copy of a range, as from a store.
fn cut(object: &Bytes, range: Range<u64>) -> Bytes {
    let at = |end: u64| usize::try_from(end).expect("the object is in memory");
    Bytes::copy_from_slice(&object[at(range.start)..at(range.end)])
}

fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
    bytes
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for size in SIZES {
        let place = Place::random();
        let plain = noise(size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| place.seal(black_box(&plain), BytesMut::clear))
        });
    }
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    for size in SIZES {
        let place = Place::random();
        let object = place.sealed(&noise(size));
        let (mut opener, layout) = place.opener(&object);
        let spans = || {
            layout
                .spans(0..size as u64, STRIDE)
                .expect("the whole is within the whole")
        };
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            // Fetched pieces are opened in place, so each round needs its own.
            let fetched = || {
                spans()
                    .map(|span| (cut(&object, span.sealed()), span))
                    .collect::<Vec<_>>()
            };
            let batch = if size < PART {
                BatchSize::LargeInput
            } else {
                BatchSize::PerIteration
            };
            b.iter_batched(
                fetched,
                |pieces| {
                    for (sealed, span) in pieces {
                        black_box(opener.open(&span, sealed).expect("the object is authentic"));
                    }
                },
                batch,
            );
        });
    }
}

/// Measures header and final segment: the cost of every opening before its first byte.
fn begin(c: &mut Criterion) {
    let place = Place::random();
    let object = place.sealed(&noise(1 << 20));
    c.bench_function("open/begin", |b| {
        b.iter(|| black_box(place.opener(&object)))
    });
}

/// A player's seek: 16 KiB from anywhere in 64 MiB.
fn range(c: &mut Criterion) {
    const WANTED: u64 = 16 << 10;
    let place = Place::random();
    let plain = noise(64 << 20);
    let object = place.sealed(&plain);
    let (mut opener, layout) = place.opener(&object);
    let mut rng = rand::rng();
    let mut group = c.benchmark_group("open");
    group.throughput(Throughput::Bytes(WANTED));
    group.bench_function("random 16 KiB of 64 MiB", |b| {
        b.iter_batched(
            || {
                let start = rng.random_range(0..plain.len() as u64 - WANTED);
                let spans = layout
                    .spans(start..start + WANTED, STRIDE)
                    .expect("the range is within the whole");
                spans
                    .map(|span| (cut(&object, span.sealed()), span))
                    .collect::<Vec<_>>()
            },
            |pieces| {
                for (sealed, span) in pieces {
                    black_box(opener.open(&span, sealed).expect("the object is authentic"));
                }
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = seal, open, begin, range
}
criterion_main!(benches);
