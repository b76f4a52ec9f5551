//! The key page of a shredded recording, and its other keys.

use recvault::{
    db::keys as rows,
    keyring::{KeyPage, RootKey, tree},
    model::artefact::Artefact,
    secret::Key,
};

use crate::world::{Database, Recipe, TestVault};

/// Enough recordings to fill a leaf page and begin the next.
async fn neighbours_on_the_same_page_are_left_alone(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let mut all = Vec::new();
    for number in 0..130u8 {
        let recorded = vault.record_wav(bytes::Bytes::from(
            [b"RIFF\x05\0\0\0WAVE".as_slice(), &[number]].concat(),
        ));
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        all.push(recorded);
    }
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 130);
    let shredded = [0, 5, 127, 128, 129];
    for at in shredded {
        assert_eq!(vault.shred(all[at].id).await.status, 200);
    }
    // A later key is not placed at a destroyed key's position.
    all.push(vault.sealed().await);
    for (at, recorded) in all.iter().enumerate() {
        if shredded.contains(&at) {
            vault
                .grant("reviewer", recorded.id, "quality-review")
                .await
                .problem(410, "shredded");
        } else {
            vault.plays(recorded).await;
        }
    }
}

/// Whether any page of the key tree holds a key.
async fn is_in_the_tree(vault: &TestVault, root: &RootKey, key: &Key) -> bool {
    let mut tx = vault.process.db.read().await.unwrap();
    for row in rows::all_pages(&mut tx).await.unwrap() {
        let page: KeyPage = tree::walk(
            rows::path(&mut tx, row.id).await.unwrap(),
            root,
            vault.made.vault,
        )
        .unwrap()
        .page;
        if (0..128).any(|slot| page.key(slot).is_ok_and(|found| found == *key)) {
            return true;
        }
    }
    false
}

async fn the_key_page_is_rewritten_and_rows_from_before_do_not_help(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let root = vault.root().await;
    let entry = vault.key_entry(recorded.id).await.unwrap();
    let leaf = {
        let mut tx = vault.process.db.read().await.unwrap();
        rows::path(&mut tx, entry.place.page).await.unwrap()
    };
    let key = tree::walk(leaf, &root, vault.made.vault)
        .unwrap()
        .page
        .key(entry.place.slot)
        .unwrap();
    assert!(is_in_the_tree(&vault, &root, &key).await);
    let heard = vault
        .process
        .flow
        .playback
        .redeem(
            vault.audio(recorded.id).await.split('/').nth(3).unwrap(),
            None,
            Artefact::Audio,
        )
        .await
        .unwrap();
    let before = "CREATE TABLE kept_pages AS SELECT * FROM pages; CREATE TABLE kept_entries AS SELECT * FROM key_entries";
    vault.ground().run(before).await;

    assert_eq!(vault.shred(recorded.id).await.status, 200);
    assert!(!is_in_the_tree(&vault, &root, &key).await);
    assert_eq!(vault.key_entry(recorded.id).await, None);
    // A grant from before the shred does not get the key any more.
    let refused = vault
        .process
        .flow
        .playback
        .listen(&heard, 0..1)
        .await
        .err()
        .expect("nothing opens");
    assert_eq!(refused.to_string(), "not found");

    // An attacker restores the rows: the entry, then the page with the key, then the state. The
    // tombstone takes precedence over all of them.
    for restored in [
        "INSERT INTO key_entries SELECT * FROM kept_entries",
        "UPDATE pages SET sealed = (SELECT sealed FROM kept_pages k WHERE k.id = pages.id), \
           generation = (SELECT generation FROM kept_pages k WHERE k.id = pages.id) WHERE id IN (SELECT id FROM kept_pages)",
        "UPDATE recordings SET state = 'sealed', shredded_at = NULL",
    ] {
        vault.ground().run(restored).await;
        assert!(
            vault
                .process
                .flow
                .playback
                .listen(&heard, 0..1)
                .await
                .is_err(),
            "{restored}"
        );
    }
    assert!(
        is_in_the_tree(&vault, &root, &key).await,
        "the key itself is back, as in a backup from before the shred"
    );
    let path = vault.audio(recorded.id).await;
    vault.anybody().get(&path).await.problem(404, "not-found");
    assert_eq!(vault.count("opening.started").await, 0);
}

on_both_databases!(
    neighbours_on_the_same_page_are_left_alone,
    the_key_page_is_rewritten_and_rows_from_before_do_not_help,
);
