//! Decryption of recordings that are encrypted with a customer's key, as a stream; compared with
//! the one-shot AES-256-GCM of both libraries, which needs the whole file.

use std::{hint::black_box, time::Duration};

use aes_gcm::{Aes256Gcm, KeyInit as _, aead::AeadInOut as _};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use recvault::{secret::Key, twilio::encryption::Decryptor};

const LENGTH: usize = 8 << 20;
const KEY: [u8; 32] = [7; 32];
const NONCE: [u8; 12] = [9; 12];

fn decrypt(c: &mut Criterion) {
    let one_shot =
        || LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY).expect("the key has 32 bytes"));
    let mut file = vec![0x55; LENGTH];
    let sealed = one_shot().seal_in_place_append_tag(
        Nonce::assume_unique_for_key(NONCE),
        Aad::empty(),
        &mut file,
    );
    sealed.expect("8 MiB can be encrypted");
    let mut group = c.benchmark_group("decrypt 8 MiB");
    group.throughput(Throughput::Bytes(LENGTH as u64));
    // About the size of one read from a connection.
    for piece in [16 << 10, 64 << 10, 1 << 20] {
        group.bench_function(format!("streamed, {} KiB at a time", piece >> 10), |b| {
            b.iter(|| {
                let mut decryptor =
                    Decryptor::new(&Key::from_slice(&KEY).expect("it has 32 bytes"), &NONCE);
                for piece in file.chunks(piece) {
                    black_box(decryptor.push(piece).expect("it is short"));
                }
                decryptor.finish().expect("it is authentic")
            });
        });
    }
    group.bench_function("one shot, aes-gcm", |b| {
        let cipher = Aes256Gcm::new_from_slice(&KEY).expect("the key has 32 bytes");
        let open = |mut file: Vec<u8>| {
            cipher
                .decrypt_in_place(&NONCE.into(), b"", &mut file)
                .expect("it is authentic");
            file
        };
        b.iter_batched(|| file.clone(), open, BatchSize::LargeInput);
    });
    group.bench_function("one shot, aws-lc-rs", |b| {
        let key = one_shot();
        let open = |mut file: Vec<u8>| {
            key.open_in_place(Nonce::assume_unique_for_key(NONCE), Aad::empty(), &mut file)
                .expect("it is authentic");
            file
        };
        b.iter_batched(|| file.clone(), open, BatchSize::LargeInput);
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = decrypt
}
criterion_main!(benches);
