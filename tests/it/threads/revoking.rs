//! One person of a thread revokes: what they wrote, and what others wrote to them.

use recvault::{
    demo::stand_in::MessageFacts,
    evidence::CountedKind,
    model::{id::RecordingId, media::MediaKind, revocation::Authorship, sid::AccountSid},
};
use serde_json::{Value, json};

use super::{ANNA, BEN, LINE, TEXT, id_of, keeping, vault_on};
use crate::{
    transcribing::work,
    viewing::policy,
    world::{Database, Recipe, TestVault},
};

/// Returns the numbers of messages of one part: shredded, held and closed.
fn counted(authorship: Authorship, [shredded, held, closed]: [u64; 3]) -> CountedKind {
    CountedKind {
        kind: MediaKind::Message,
        authorship,
        shredded,
        held,
        closed,
    }
}

async fn vault_that_shreds(database: Database) -> TestVault {
    let keeps = "to_revoked = \"keep-closed\"";
    let policy = keeping(&policy());
    assert!(policy.contains(keeps));
    Recipe {
        policy: policy.replacen(keeps, "to_revoked = \"shred\"", 1),
        ..Recipe::on(database)
    }
    .by_hand()
    .await
}

impl TestVault {
    /// Returns whether training, which rests on consent, opens a recording.
    async fn trains(&self, id: RecordingId) -> bool {
        let path = format!("/v1/recordings/{id}/grants");
        let body = json!({ "purpose": "training", "justification": "a course" });
        match self.asks("reviewer").post(&path, body).await.status {
            201 => true,
            403 => false,
            other => panic!("{other}"),
        }
    }

    /// Announces a message of an account's line; it is not fetched yet.
    async fn answered_in(&self, account: &AccountSid, to: &str) -> RecordingId {
        let known: Vec<RecordingId> = self.messages().await.iter().map(id_of).collect();
        let facts = MessageFacts::outbound(LINE, to, TEXT);
        let sid = self.stand_in.add_message(account, facts);
        let params = self.stand_in.message_status_params(&sid, "delivered");
        let told = self.post_callback(account, "/twilio/messages/status", &params);
        assert_eq!(told.await.status, 204);
        let all = self.messages().await;
        let mut new = all.iter().map(id_of).filter(|id| !known.contains(id));
        new.next().unwrap()
    }

    /// Returns the numbers in the receipt of a revocation as it is now.
    async fn receipt_of(&self, revoked: &Value) -> Vec<CountedKind> {
        let path = format!("/v1/revocations/{}", revoked["id"].as_str().unwrap());
        let now = self.asks("privacy-officer").get(&path).await.json();
        assert_eq!(now["state"], "done", "{now}");
        let receipt = self.whole(&now).await;
        assert_eq!(serde_json::to_value(&receipt.kinds).unwrap(), now["kinds"]);
        receipt.kinds
    }
}

async fn what_others_wrote_stays_closed_and_is_counted(database: Database) {
    let vault = vault_on(database).await;
    let own = vault.kept(ANNA, "where is it?").await;
    let answer = vault.answered_in(&vault.account, ANNA).await;
    let other = vault.answered_in(&vault.account, BEN).await;
    work(&vault).await;
    // Announced before, fetched after.
    let late = vault.answered_in(&vault.account, ANNA).await;
    vault.agrees(ANNA).await;
    vault.agrees(BEN).await;
    assert!(vault.trains(answer).await);

    let revoked = vault.revoked(json!({ "subject": ANNA })).await;
    assert_eq!(
        vault.receipt_of(&revoked).await,
        [
            counted(Authorship::Own, [1, 0, 0]),
            counted(Authorship::Received, [0, 0, 2])
        ]
    );
    work(&vault).await;
    assert_eq!(vault.state(own).await, "shredded");
    for closed in [answer, late] {
        assert_eq!(vault.state(closed).await, "sealed");
        assert!(!vault.trains(closed).await);
        assert_eq!(vault.reads(closed).await, TEXT);
    }
    assert!(vault.trains(other).await);
}

async fn what_others_wrote_goes_too_if_the_policy_says_so(database: Database) {
    let vault = vault_that_shreds(database).await;
    let own = vault.kept(ANNA, "where is it?").await;
    let answer = vault.answered_in(&vault.account, ANNA).await;
    let other = vault.answered_in(&vault.account, BEN).await;
    work(&vault).await;
    let late = vault.answered_in(&vault.account, ANNA).await;

    let would = json!({ "subject": ANNA });
    let revoked = vault.revoked(would).await;
    work(&vault).await;
    for gone in [own, answer, late] {
        assert_eq!(vault.state(gone).await, "shredded");
    }
    assert_eq!(vault.reads(other).await, TEXT);
    assert_eq!(
        vault.receipt_of(&revoked).await,
        [
            counted(Authorship::Own, [1, 0, 0]),
            counted(Authorship::Received, [2, 0, 0])
        ]
    );
}

/// Its thread is known only when it is fetched, after the revocation.
async fn what_arrives_later_has_the_same_fate(database: Database) {
    for shreds in [false, true] {
        let vault = match shreds {
            true => vault_that_shreds(database).await,
            false => vault_on(database).await,
        };
        vault.kept(ANNA, "where is it?").await;
        let facts = MessageFacts::outbound(LINE, ANNA, TEXT);
        let sid = vault.stand_in.add_message(&vault.account, facts);
        let mut params = vault.stand_in.message_status_params(&sid, "sent");
        params.retain(|(name, _)| name != "From");
        let told = vault.post_callback(&vault.account, "/twilio/messages/status", &params);
        assert_eq!(told.await.status, 204);
        let revoked = vault.revoked(json!({ "subject": ANNA })).await;
        assert_eq!(
            vault.receipt_of(&revoked).await,
            [counted(Authorship::Own, [1, 0, 0])]
        );

        work(&vault).await;
        let (state, numbers) = match shreds {
            true => ("shredded", [1, 0, 0]),
            false => ("sealed", [0, 0, 1]),
        };
        let all = vault.messages().await;
        let late = all.iter().find(|message| message["author"] == "line");
        assert_eq!(late.unwrap()["state"], state);
        vault.process.flow.revocations.continue_all().await.unwrap();
        assert_eq!(
            vault.receipt_of(&revoked).await,
            [
                counted(Authorship::Own, [1, 0, 0]),
                counted(Authorship::Received, numbers)
            ]
        );
    }
}

async fn a_revocation_in_one_account_closes_what_others_wrote_there(database: Database) {
    let vault = vault_on(database).await;
    let there = vault.answered_in(&vault.other_account, ANNA).await;
    let here = vault.answered_in(&vault.account, ANNA).await;
    work(&vault).await;
    vault.agrees(ANNA).await;
    assert!(vault.trains(there).await && vault.trains(here).await);

    let revoked = vault.revoke("stranger", json!({ "subject": ANNA })).await;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(
        vault.receipt_of(&revoked.json()).await,
        [counted(Authorship::Received, [0, 0, 1])]
    );
    assert!(!vault.trains(there).await);
    assert_eq!(vault.reads(there).await, TEXT);
    assert!(vault.trains(here).await);
}

on_both_databases!(
    what_others_wrote_stays_closed_and_is_counted,
    what_others_wrote_goes_too_if_the_policy_says_so,
    what_arrives_later_has_the_same_fate,
    a_revocation_in_one_account_closes_what_others_wrote_there,
);
