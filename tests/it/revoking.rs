//! Many recordings are shredded at once.

use std::collections::BTreeMap;

use bytes::Bytes;
use recvault::{
    db::{
        audit::AuditFilter,
        image::{self, Image, Table},
        keys,
    },
    evidence::{HeldCopy, Receipt, Removal},
    model::id::{PageId, RecordingId},
    policy::{Permit, action},
    vault::Shredded,
};

use crate::{
    epochs,
    world::{Database, Recipe, Recorded, TestVault},
};

const COUNT: u16 = 300;

/// Adds recordings on three leaf pages of one tier and on one of another.
async fn stocked(vault: &TestVault) -> Vec<Recorded> {
    let mut all = Vec::new();
    for number in 0..COUNT {
        let [high, low] = number.to_be_bytes();
        let recorded = vault.record_wav(Bytes::from(
            [b"RIFF\x06\0\0\0WAVE".as_slice(), &[high, low]].concat(),
        ));
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        all.push(recorded);
    }
    assert_eq!(
        vault.process.flow.worker.work_off().await.unwrap(),
        usize::from(COUNT)
    );
    for recorded in all.iter().skip(2).step_by(7) {
        vault
            .process
            .flow
            .reclassification
            .move_to(
                &epochs::keys(),
                recorded.id,
                &"sensitive".parse().unwrap(),
                false,
            )
            .await
            .unwrap();
    }
    all
}

async fn rows(vault: &TestVault, table: Table, id: RecordingId) -> Vec<Image> {
    image::find(
        &mut vault.process.db.read().await.unwrap(),
        table,
        &id.to_string(),
    )
    .await
    .unwrap()
}

/// Returns the data of a shredded recording, without ids and times; checks that its rows, its
/// receipt and its audit entry agree.
async fn what_is_left(vault: &TestVault, shredded: &Shredded) -> String {
    let id = shredded.recording;
    let [recording, tombstone, receipt] = [Table::Recordings, Table::Tombstones, Table::Receipts]
        .map(async |table| rows(vault, table, id).await.remove(0));
    let recording = recording.await;
    let tombstone = tombstone.await;
    let receipt = receipt.await;
    let [erase, work] = rows(vault, Table::Work, id).await.try_into().unwrap();
    assert!(rows(vault, Table::KeyEntries, id).await.is_empty());
    let keys = vault
        .anybody()
        .get("/.well-known/jwks.json")
        .await
        .text()
        .parse()
        .unwrap();
    let claims = Receipt::verify(&shredded.jws, &keys).unwrap();
    let at = shredded.tombstoned_at;
    assert_eq!(receipt.text("jws"), Some(shredded.jws.as_str()));
    assert_eq!(
        (receipt.text("id"), tombstone.text("receipt_id")),
        (
            Some(&*shredded.receipt.to_string()),
            Some(&*shredded.receipt.to_string())
        )
    );
    assert_eq!(
        (
            claims.recording(),
            claims.id(),
            claims.tombstoned_at(),
            tombstone.int("seq")
        ),
        (id, shredded.receipt, at, Some(claims.audit().seq))
    );
    let times = [
        recording.int("shredded_at"),
        tombstone.int("tombstoned_at"),
        receipt.int("issued_at"),
        work.int("due_at"),
        work.int("enqueued_at"),
    ];
    assert_eq!(times, [Some(at.as_millis()); 5]);
    assert_eq!(
        (erase.text("kind"), erase.text("state"), erase.int("due_at")),
        (Some("delete-at-source"), Some("due"), Some(at.as_millis()))
    );
    let page = vault
        .process
        .flow
        .catalogue
        .audit(
            &Permit::of_operator(action::Audit),
            AuditFilter::after(claims.audit().seq - 1),
            1,
        )
        .await
        .unwrap();
    let entry = serde_json::to_value(&page.items[0]).unwrap();
    assert_eq!(
        (&entry["recording"], &entry["details"]["receipt"]),
        (&id.to_string().into(), &shredded.receipt.to_string().into())
    );
    assert_eq!(claims.copies()[0], HeldCopy::KeyEntry { destroyed_at: at });
    assert_eq!(
        claims.copies()[1..],
        [
            HeldCopy::Ciphertext(Removal::Pending),
            HeldCopy::Source(Removal::Pending)
        ]
    );
    assert_eq!(tombstone.text("fingerprint").map(str::len), Some(64));
    format!(
        "{:?} {:?} {:?} {:?} {} {} {} {}",
        recording.text("state"),
        (receipt.text("state"), receipt.int("epoch")),
        (
            work.text("kind"),
            work.text("state"),
            work.int("attempts"),
            work.text("holder"),
            work.text("last_error")
        ),
        (
            claims.state(),
            claims.reason().as_str(),
            claims.older_backups()
        ),
        entry["event"],
        entry["actor"],
        entry["details"]["reason"],
        rows(vault, Table::Artefacts, id).await.len(),
    )
}

async fn generations(vault: &TestVault) -> BTreeMap<PageId, i64> {
    let pages = keys::all_pages(&mut vault.process.db.read().await.unwrap())
        .await
        .unwrap();
    pages
        .into_iter()
        .filter(|page| page.level == 0)
        .map(|page| (page.id, page.generation))
        .collect()
}

async fn many_shreds_leave_what_single_ones_do(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let all = stocked(&vault).await;
    let permit = Permit::of_operator(action::Shred);
    let reason = "subject-request".parse().unwrap();
    let (kept, gone): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(at, _)| at % 29 == 0);
    let gone: Vec<RecordingId> = gone.into_iter().map(|(_, recorded)| recorded.id).collect();
    let mut single = BTreeMap::new();
    for id in gone.iter().copied().step_by(2) {
        single.insert(
            id,
            vault
                .process
                .flow
                .shredding
                .shred(&permit, id, &reason)
                .await
                .unwrap(),
        );
    }
    vault.clock.advance(std::time::Duration::from_secs(3));

    // One of them is named twice.
    let named = [&gone[..], &gone[..1]].concat();
    let before = generations(&vault).await;
    let shredded = vault
        .process
        .flow
        .shredding
        .shred_all(&permit, &named, &reason)
        .await
        .unwrap();
    assert!(
        shredded
            .iter()
            .map(|shredded| shredded.recording)
            .eq(gone.iter().copied()),
        "in their order, each once"
    );
    for (page, generation) in generations(&vault).await {
        assert!(
            generation <= before[&page] + 2,
            "a leaf is written once in each of the two units at most"
        );
    }
    let mut left = BTreeMap::new();
    for shredded in &shredded {
        let earlier = single.get(&shredded.recording);
        assert_eq!(shredded.is_new, earlier.is_none());
        if let Some(earlier) = earlier {
            assert_eq!(
                (earlier.receipt, &earlier.jws, earlier.tombstoned_at),
                (shredded.receipt, &shredded.jws, shredded.tombstoned_at)
            );
        }
        left.entry(what_is_left(&vault, shredded).await)
            .or_insert_with(Vec::new)
            .push(shredded.is_new);
    }
    assert_eq!(left.len(), 1, "{:#?}", left.keys());
    assert_eq!(
        vault.count_of("shred.tombstoned").await,
        Some(gone.len().try_into().unwrap())
    );
    assert_eq!(
        vault.process.flow.recovery.status().await.unwrap().waiting,
        0,
        "a shred that is told is in the journal"
    );

    let again = vault
        .process
        .flow
        .shredding
        .shred_all(&permit, &gone, &reason)
        .await
        .unwrap();
    assert!(
        again
            .iter()
            .zip(&shredded)
            .all(|(again, first)| !again.is_new && again.jws == first.jws)
    );
    let turned = vault
        .process
        .flow
        .epochs
        .turn(&epochs::keys())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(turned.covered, gone.len() as u64);
    for (_, recorded) in kept {
        vault.plays(recorded).await;
    }
}

async fn nothing_is_shredded_if_one_is_not_there(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let permit = Permit::of_operator(action::Shred);
    let ids = [recorded.id, RecordingId::random(&mut rand::rng())];
    let refused = vault
        .process
        .flow
        .shredding
        .shred_all(&permit, &ids, &"operator".parse().unwrap())
        .await;
    assert_eq!(refused.unwrap_err().to_string(), "not found");
    assert!(
        vault
            .process
            .flow
            .shredding
            .shred_all(&permit, &[], &"operator".parse().unwrap())
            .await
            .unwrap()
            .is_empty()
    );
    vault.plays(&recorded).await;
}

/// Two processes shred the same recordings, and some others, at once.
async fn two_who_let_go_at_once_give_the_same_receipts(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let all: Vec<RecordingId> = stocked(&vault)
        .await
        .into_iter()
        .map(|recorded| recorded.id)
        .collect();
    let other = vault.another_process().await;
    let permit = Permit::of_operator(action::Shred);
    let reason = "retention".parse().unwrap();
    let backwards: Vec<RecordingId> = all[50..].iter().rev().copied().collect();
    let [first, second] = [
        (&vault.process.flow, &all[..250]),
        (&other.flow, &backwards[..]),
    ]
    .map(|(flow, ids)| flow.shredding.shred_all(&permit, ids, &reason));
    let (first, second) = tokio::join!(first, second);
    let first: BTreeMap<_, _> = first
        .unwrap()
        .into_iter()
        .map(|shredded| (shredded.recording, shredded))
        .collect();
    for shredded in second.unwrap() {
        if let Some(twin) = first.get(&shredded.recording) {
            assert_eq!(
                (twin.receipt, twin.is_new),
                (shredded.receipt, !shredded.is_new)
            );
        }
    }
    assert_eq!(vault.count_of("shred.tombstoned").await, Some(COUNT.into()));
}

on_both_databases!(
    many_shreds_leave_what_single_ones_do,
    nothing_is_shredded_if_one_is_not_there,
    two_who_let_go_at_once_give_the_same_receipts,
);

impl TestVault {
    /// Returns the number of an event in the audit log, whatever its length.
    async fn count_of(&self, event: &str) -> Option<i64> {
        self.ground()
            .integer(&format!(
                "SELECT COUNT(*) FROM audit WHERE event = '{event}'"
            ))
            .await
    }
}
