//! Films that Twilio encrypted with the customer's own public key.

use recvault::demo::stand_in::{TrackFacts, encrypted_film};

use super::{Meeting, matroska, recipe};
use crate::{
    encrypted::{Keys, PAIRS},
    transcribing::work,
    viewing::policy,
    world::{Database, Recipe, TestVault, files_below},
};

async fn vault_with(keys: &Keys) -> TestVault {
    Recipe {
        home: keys.lines.clone(),
        ..recipe(Database::Sqlite, &policy())
    }
    .by_hand()
    .await
}

#[tokio::test]
async fn a_film_is_decrypted_on_its_way_with_the_key_that_fits() {
    const SPOKEN: &[u8] = b"words that are on no disk";
    let mut keys = Keys::with(1);
    keys.add_another(0);
    let vault = vault_with(&keys).await;
    let meeting = Meeting::of(&vault);
    let film = matroska(SPOKEN);
    let (file, headers) = encrypted_film(&film, &PAIRS[0].public);
    let facts = TrackFacts {
        media: Some(file),
        headers,
        ..TrackFacts::new(&meeting.room, &meeting.alice)
    };
    let sid = vault.stand_in.add_track(&vault.account, facts);
    let id = vault.filmed(&sid).await;
    assert_eq!(vault.watched(id).await.body, film);
    for file in files_below(vault.folder()) {
        let bytes = std::fs::read(&file).unwrap();
        let is_there = bytes.windows(SPOKEN.len()).any(|some| some == SPOKEN);
        assert!(!is_there, "{}", file.display());
    }
}

#[tokio::test]
async fn a_film_that_does_not_open_is_not_sealed() {
    let keys = Keys::with(0);
    let vault = vault_with(&keys).await;
    let meeting = Meeting::of(&vault);
    let film = matroska(&[5; 5000]);
    let (file, headers) = encrypted_film(&film, &PAIRS[0].public);
    let (strange, strange_headers) = encrypted_film(&film, &PAIRS[1].public);
    let (html, html_headers) = encrypted_film(&[b'<'; 4000], &PAIRS[0].public);
    let mut altered = file.to_vec();
    altered[0] ^= 1;
    for (media, headers, why) in [
        (strange, strange_headers, "opens its content key"),
        (html, html_headers, "does not begin as Matroska"),
        (altered.into(), headers.clone(), "does not begin as"),
        (
            file.slice(..file.len() - 16),
            headers.clone(),
            "cut or altered",
        ),
        (file, headers[..1].to_vec(), "x-amz-meta-x-amz-iv"),
    ] {
        let facts = TrackFacts {
            media: Some(media),
            headers,
            ..TrackFacts::new(&meeting.room, &meeting.alice)
        };
        let sid = vault.stand_in.add_track(&vault.account, facts);
        let id = vault.told_track(&sid, "recording-completed").await;
        work(&vault).await;
        let (_, told) = vault.dead().await.expect("it is set aside");
        assert!(told.contains(why), "{told}, not: {why}");
        vault.holds_nothing_of(id).await;
        vault.shred(id).await;
        work(&vault).await;
    }
}
