//! Data in the store or in the database is altered: the vault never returns false audio.

use std::{fs, path::PathBuf};

use recvault::{model::id::ObjectId, seal::SegmentLength};
use reqwest::Method;

use crate::world::{Recipe, Recorded, TestVault};

/// Returns the path of an object in the folder store.
fn file_of(vault: &TestVault, object: ObjectId) -> PathBuf {
    let digits = hex::encode(object.as_bytes());
    vault
        .folder()
        .join("objects/objects")
        .join(&digits[..2])
        .join(format!("{digits}.floe"))
}

/// Plays the whole: returns the status, whether the body came to its end, and the received body.
async fn hear(vault: &TestVault, recorded: &Recorded) -> (u16, bool, Vec<u8>) {
    let path = vault.audio(recorded.id).await;
    // If not even the first segment opens, the connection ends without an answer.
    let Ok(mut response) = vault.anybody().request(Method::GET, &path).send().await else {
        return (200, false, Vec::new());
    };
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (status, true, body),
            Err(_) => return (status, false, body),
        }
    }
}

/// Checks that not one byte of audio is returned, and that the answer does not state the reason.
async fn is_refused(vault: &TestVault, recorded: &Recorded, case: &str) {
    let (status, complete, body) = hear(vault, recorded).await;
    let text = String::from_utf8(body).expect("a problem, and no sound");
    assert!(
        matches!(status, 500 | 503) && complete && text.contains("/problems/"),
        "{case}: {status} {text}"
    );
    for word in ["tag", "authentic", "segment", "floe", "objects"] {
        assert!(!text.contains(word), "{case}: {text}");
    }
}

#[tokio::test]
async fn a_byte_is_altered_and_nothing_from_there_on_is_heard() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
    let file = file_of(&vault, artefact.object.unwrap());
    let sealed = fs::read(&file).unwrap();
    let segment = artefact.segment as usize;
    let plain = SegmentLength::Media.plain();
    let header = sealed.len() - recorded.wav.len() - 32 * recorded.wav.len().div_ceil(plain);
    assert!(
        (16..256).contains(&header),
        "what is left without segments is the header: {header}"
    );
    let segments = recorded.wav.len().div_ceil(plain);
    assert!(segments > 10);
    for at in [
        0,
        5,
        header - 1,
        header + (segments - 1) * segment,
        sealed.len() - 20,
        sealed.len() - 1,
    ] {
        alter(&file, &sealed, at);
        is_refused(&vault, &recorded, &format!("byte {at}")).await;
    }
    for number in [0, 1, 7, segments - 2] {
        for at in [0, 4, 30, segment / 2, segment - 1] {
            alter(&file, &sealed, header + number * segment + at);
            let (status, complete, body) = hear(&vault, &recorded).await;
            assert!(
                status == 200 && !complete,
                "segment {number} byte {at}: {status}"
            );
            assert!(
                body.len() <= number * plain,
                "nothing of the altered segment is heard"
            );
            assert!(recorded.wav.starts_with(&body));
            // A range without the altered segment still opens.
            let range = format!(
                "bytes={}-{}",
                (number + 1) * plain,
                (number + 1) * plain + 9
            );
            let beside = vault
                .anybody()
                .with(
                    Method::GET,
                    &vault.audio(recorded.id).await,
                    &[("range", &range)],
                )
                .await;
            assert!(
                beside.status == 206
                    && beside.body
                        == recorded
                            .wav
                            .slice((number + 1) * plain..(number + 1) * plain + 10)
            );
        }
    }
    fs::write(&file, &sealed).unwrap();
    vault.plays(&recorded).await;
}

fn alter(file: &PathBuf, sealed: &[u8], at: usize) {
    let mut altered = sealed.to_vec();
    altered[at] ^= 1;
    fs::write(file, altered).unwrap();
}

#[tokio::test]
async fn an_object_is_cut_lengthened_or_lost() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let [artefact] = vault.artefacts(recorded.id).await.try_into().unwrap();
    let file = file_of(&vault, artefact.object.unwrap());
    let sealed = fs::read(&file).unwrap();
    let segment = artefact.segment as usize;
    for len in [
        0,
        1,
        segment,
        sealed.len() / 2,
        sealed.len() - segment,
        sealed.len() - 1,
    ] {
        fs::write(&file, &sealed[..len]).unwrap();
        is_refused(&vault, &recorded, &format!("cut to {len}")).await;
    }
    // A whole segment removed from the middle, and the length filled up with an earlier one.
    let mut shifted = sealed.clone();
    shifted.drain(segment * 3..segment * 4);
    shifted.extend_from_slice(&sealed[sealed.len() - segment..]);
    fs::write(&file, &shifted).unwrap();
    let (_, complete, body) = hear(&vault, &recorded).await;
    assert!(
        !complete || body.is_empty() || body.starts_with(b"{"),
        "{} bytes",
        body.len()
    );
    fs::remove_file(&file).unwrap();
    is_refused(&vault, &recorded, "lost").await;
    fs::write(&file, &sealed).unwrap();
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn objects_are_swapped_in_the_store() {
    let vault = Recipe::default().by_hand().await;
    let first = vault.sealed().await;
    let second = vault.sealed().await;
    let [a, b] = [
        vault.artefacts(first.id).await,
        vault.artefacts(second.id).await,
    ]
    .map(|found| file_of(&vault, found[0].object.unwrap()));
    let of_a = fs::read(&a).unwrap();
    let of_b = fs::read(&b).unwrap();
    assert_eq!(of_a.len(), of_b.len());
    fs::write(&a, &of_b).unwrap();
    fs::write(&b, &of_a).unwrap();
    is_refused(&vault, &first, "swapped").await;
    is_refused(&vault, &second, "swapped").await;
}

#[tokio::test]
async fn rows_are_swapped_in_the_database() {
    let vault = Recipe::default().by_hand().await;
    let first = vault.sealed().await;
    let second = vault.sealed().await;
    let swap = |table: &str, column: &str, away: &str| {
        format!(
            "CREATE TEMP TABLE was AS SELECT recording_id, {column} AS it FROM {table}; UPDATE {table} SET {column} = {away};
             UPDATE {table} SET {column} = (SELECT it FROM was WHERE was.recording_id <> {table}.recording_id); DROP TABLE was"
        )
    };
    // Another recording's object, then its key, then both: the recording's id is part of the
    // authenticated data.
    for (tables, case) in [
        (&["artefacts"][..], "object"),
        (&["key_entries"], "object and key"),
        (&["artefacts"], "key"),
    ] {
        for table in tables {
            let columns: &[(&str, &str)] = match *table {
                "artefacts" => &[("object_id", "'obj_' || recording_id")],
                _ => &[("slot", "slot + 100"), ("fingerprint", "''")],
            };
            for (column, away) in columns {
                vault.ground().run(&swap(table, column, away)).await;
            }
        }
        is_refused(&vault, &first, case).await;
        is_refused(&vault, &second, case).await;
    }
    for (column, away) in [("slot", "slot + 100"), ("fingerprint", "''")] {
        vault.ground().run(&swap("key_entries", column, away)).await;
    }
    vault.plays(&first).await;
    vault.plays(&second).await;
}

#[tokio::test]
async fn a_key_is_replaced_by_another_recordings_key() {
    let vault = Recipe::default().by_hand().await;
    let first = vault.sealed().await;
    let second = vault.sealed().await;
    // Two entries for one key, but each with its own fingerprint: the key is not the named one.
    vault
        .ground()
        .run("UPDATE key_entries SET slot = (SELECT MIN(slot) FROM key_entries)")
        .await;
    vault.plays(&first).await;
    is_refused(&vault, &second, "another key").await;
}

#[tokio::test]
async fn a_key_page_is_altered_or_taken_from_another_place() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.sealed().await;
    let level = |level: u8| {
        format!("(SELECT sealed FROM pages WHERE level = {level} AND tier = 'standard')")
    };
    vault
        .ground()
        .run("CREATE TABLE kept AS SELECT id, sealed, generation FROM pages")
        .await;
    for (level, sealed) in [
        (0, level(1)),
        (2, level(3)),
        (4, level(0)),
        (0, "zeroblob(4124)".to_owned()),
        (0, "substr(sealed, 1, 4123) || x'00'".to_owned()),
        (3, "substr(sealed, 1, 100)".to_owned()),
    ] {
        vault.ground().run(&format!("UPDATE pages SET sealed = CAST({sealed} AS BLOB) WHERE level = {level} AND tier <> '~service'")).await;
        is_refused(&vault, &recorded, &sealed).await;
        vault
            .ground()
            .run("UPDATE pages SET sealed = (SELECT sealed FROM kept WHERE kept.id = pages.id)")
            .await;
        vault.plays(&recorded).await;
    }
    // An older generation of the same page with a new number, as a restored row would have.
    vault
        .ground()
        .run("UPDATE pages SET generation = generation + 1 WHERE level = 0 AND tier = 'standard'")
        .await;
    is_refused(&vault, &recorded, "generation").await;
}
