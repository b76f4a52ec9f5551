//! Span arithmetic: the ciphertext range of a plaintext range. Its cost must be negligible beside
//! the reading.

use std::{hint::black_box, num::NonZeroUsize, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::RngExt as _;
use recvault::seal::{Layout, SegmentLength};

/// A day of two-channel sound, sealed: about 2.8 GB.
const SEALED: u64 = 2_800_000_000;
/// Segments opened at a time in playback.
const STRIDE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

fn range(c: &mut Criterion) {
    let layout = Layout::of(SEALED, SegmentLength::Media).expect("an object may have this length");
    let len = layout.plain_len();
    let mut rng = rand::rng();
    let mut group = c.benchmark_group("range");

    group.bench_function("layout of a length", |b| {
        b.iter(|| black_box(Layout::of(black_box(SEALED), SegmentLength::Media)));
    });
    group.bench_function("16 KiB at a random place", |b| {
        b.iter(|| {
            let start = rng.random_range(0..len - (16 << 10));
            let spans = layout
                .spans(start..start + (16 << 10), STRIDE)
                .expect("the range is within the whole");
            spans.map(|span| span.sealed().end).max()
        });
    });
    let spans = || {
        layout
            .spans(0..len, STRIDE)
            .expect("the whole is within the whole")
    };
    group.throughput(Throughput::Elements(spans().count() as u64));
    group.bench_function("all spans of 2.8 GB", |b| {
        b.iter(|| {
            spans()
                .map(|span| black_box(span).plain_len() as u64)
                .sum::<u64>()
        })
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = range
}
criterion_main!(benches);
