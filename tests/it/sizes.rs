//! Recordings of every length play back unchanged, from every kind of store.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use recvault::seal::{Layout, SegmentLength};

use crate::world::{Database, Kept, Recipe, TestVault};

/// The size of a part in the store.
const PART: u64 = 8 * 1024 * 1024;

/// Returns a file of exactly this length with a RIFF/WAVE header and noise, so that all parts of it
/// differ.
fn noise(len: u64) -> Bytes {
    let len = usize::try_from(len).unwrap();
    let mut file = Vec::with_capacity(len + 8);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&u32::try_from(len - 8).unwrap().to_le_bytes());
    file.extend_from_slice(b"WAVE");
    let mut state = len as u64;
    while file.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        file.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    file.truncate(len);
    file.into()
}

/// Returns lengths of plaintext around every boundary: the shortest file, segments, parts of an
/// upload, up to four of them.
fn lengths() -> Vec<u64> {
    let segment = SegmentLength::Media.plain() as u64;
    let mut lengths = vec![12, 13, segment - 1, segment, segment + 1, 2 * segment];
    for sealed in [
        PART - 1,
        PART,
        PART + 1,
        2 * PART,
        2 * PART + 1,
        3 * PART + 1,
    ] {
        // Not every sealed length exists; the nearest one below is used.
        let plain = (0..64)
            .find_map(|less| Layout::of(sealed - less, SegmentLength::Media).ok())
            .unwrap()
            .plain_len();
        lengths.push(plain);
    }
    lengths
}

async fn every_length_comes_back(vault: TestVault) {
    for len in lengths() {
        let recorded = vault.sealed_wav(noise(len)).await;
        let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
        assert_eq!(artefact.plain_len, len);
        assert_eq!(
            vault
                .process
                .store
                .size(artefact.object.unwrap())
                .await
                .unwrap(),
            artefact.sealed_len
        );
        assert_ne!(artefact.sealed_len, len);
        let stored = vault
            .process
            .store
            .read(artefact.object.unwrap(), 0..artefact.sealed_len)
            .await
            .unwrap();
        assert_eq!(
            artefact.sealed_sha256,
            hex::encode(digest(&SHA256, &stored)),
            "{len}"
        );
        vault.plays(&recorded).await;
        let last = vault
            .anybody()
            .with(
                reqwest::Method::GET,
                &vault.audio(recorded.id).await,
                &[("range", "bytes=-1")],
            )
            .await;
        assert_eq!(
            (last.status, &last.body),
            (206, &recorded.wav.slice(recorded.wav.len() - 1..)),
            "{len}"
        );
    }
}

#[tokio::test]
async fn recordings_of_every_length_come_back_from_a_folder() {
    every_length_comes_back(Recipe::default().by_hand().await).await;
}

#[tokio::test]
async fn recordings_of_every_length_come_back_from_memory() {
    every_length_comes_back(
        Recipe {
            kept: Kept::Memory,
            ..Recipe::default()
        }
        .by_hand()
        .await,
    )
    .await;
}

#[tokio::test]
async fn recordings_of_every_length_come_back_from_s3() {
    let vault = Recipe {
        kept: Kept::S3,
        ..Recipe::default()
    }
    .by_hand()
    .await;
    every_length_comes_back(vault).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: run `tests/run`"]
async fn recordings_of_every_length_come_back_from_s3_beside_postgres() {
    every_length_comes_back(
        Recipe {
            kept: Kept::S3,
            ..Recipe::on(Database::Postgres)
        }
        .by_hand()
        .await,
    )
    .await;
}
