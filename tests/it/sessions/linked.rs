//! A text through a session and the messages behind it: where a message came by itself, too, both are
//! recordings with an exact link, and neither outlives the other.

use recvault::{db::links, demo::stand_in::MessageFacts, model::id::RecordingId};
use serde_json::{Value, json};

use super::{Sent, Session, TEXT, vault_on};
use crate::{
    restoring::rebuilt,
    transcribing::work,
    world::{Database, TestVault},
};

impl TestVault {
    /// Posts the webhook of the message that came in behind a text. Returns its recording.
    async fn tells_leg(&self, sent: &Sent) -> RecordingId {
        let leg = &sent.legs[0];
        let params = self.stand_in.incoming_message_params(leg);
        let answer = self
            .post_callback(&self.account, "/twilio/messages", &params)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        self.leg(sent, 0)
    }

    fn leg(&self, sent: &Sent, which: usize) -> RecordingId {
        let account = self.account.as_str();
        RecordingId::of_source(self.made.vault, account, sent.legs[which].as_str())
    }

    /// Adds a text, and tells of it and of the message that came in.
    async fn linked(&self, session: &Session, is_leg_first: bool) -> (Sent, RecordingId) {
        let sent = self.wrote_in(session, true, TEXT);
        if is_leg_first {
            self.tells_leg(&sent).await;
        }
        assert_eq!(self.tells_of(session, &sent.sid).await.status, 204);
        let leg = self.tells_leg(&sent).await;
        work(self).await;
        (sent, leg)
    }
}

/// Returns the other ends of a recording's links.
pub(crate) async fn links_of(vault: &TestVault, id: impl Into<RecordingId>) -> Vec<Value> {
    let links = vault.details(id.into()).await["links"].clone();
    let mut links = links.as_array().unwrap().clone();
    links.sort_by_key(Value::to_string);
    links
}

async fn both_are_kept_and_linked_whichever_comes_first(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    for is_leg_first in [true, false] {
        let (sent, leg) = vault.linked(&session, is_leg_first).await;
        let exact = |id: RecordingId, state: Value| json!({ "recording_id": id, "kind": "exact", "why": "interaction", "state": state });
        let mut expected = [
            exact(leg, json!("sealed")),
            exact(vault.leg(&sent, 1), Value::Null),
        ];
        expected.sort_by_key(Value::to_string);
        assert_eq!(links_of(&vault, sent.id).await, expected);
        let back = [exact(sent.id, json!("sealed"))];
        assert_eq!(links_of(&vault, leg).await, back);
        for id in [sent.id, leg] {
            assert_eq!(vault.reads(id).await, TEXT);
        }
    }
    // Again, nothing changes.
    let count = "SELECT COUNT(*) FROM links";
    assert_eq!(vault.ground().integer(count).await, Some(8));
}

async fn neither_outlives_the_other(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    for is_leg_first in [true, false] {
        for is_leg_shredded in [true, false] {
            let (sent, leg) = vault.linked(&session, is_leg_first).await;
            let other = vault.keeps(&session, false, "thanks").await;
            vault
                .shred(if is_leg_shredded { leg } else { sent.id })
                .await;
            for id in [sent.id, leg] {
                assert_eq!(vault.state(id).await, "shredded");
                assert!(vault.key_entry(id).await.is_none());
                assert!(vault.details(id).await["receipt_id"].is_string());
            }
            assert_eq!(vault.state(other.id).await, "sealed");
        }
    }
}

async fn what_comes_after_the_shred_goes_too(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    // The message, after its text.
    let sent = vault.keeps(&session, true, TEXT).await;
    vault.shred(sent.id).await;
    let leg = vault.tells_leg(&sent).await;
    assert_eq!(vault.state(leg).await, "shredded");
    // The text, after its message.
    let sent = vault.wrote_in(&session, true, TEXT);
    let leg = vault.tells_leg(&sent).await;
    vault.shred(leg).await;
    assert_eq!(vault.tells_of(&session, &sent.sid).await.status, 204);
    assert_eq!(vault.state(sent.id).await, "shredded");
    // What was linked by a process that died before the shred is found by the sweep.
    let (sent, leg) = vault.linked(&session, true).await;
    vault
        .ground()
        .run("CREATE TABLE kept_links AS SELECT * FROM links")
        .await;
    vault.ground().run("DELETE FROM links").await;
    vault.shred(sent.id).await;
    assert_eq!(vault.state(leg).await, "sealed");
    vault
        .ground()
        .run("INSERT INTO links SELECT * FROM kept_links")
        .await;
    let age = std::time::Duration::from_secs(3600);
    vault.process.flow.sweeper.sweep(age).await.unwrap();
    assert_eq!(vault.state(leg).await, "shredded");
    let reason = vault.entries().await.pop().unwrap();
    assert!(
        reason.to_string().contains("linked-recording-shredded"),
        "{reason}"
    );
}

async fn a_hold_on_one_keeps_it_closed(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let (sent, leg) = vault.linked(&session, false).await;
    vault.held(leg, "lawsuit-7").await;
    vault.shred(sent.id).await;
    assert_eq!(vault.state(sent.id).await, "shredded");
    assert_eq!(vault.state(leg).await, "sealed");
    assert!(vault.details(leg).await["revoked_at"].is_string());
    let lifted = vault.lift(leg, "lawsuit-7").await;
    assert_eq!(lifted.status, 200, "{lifted:?}");
    assert_eq!(vault.state(leg).await, "shredded");
}

async fn a_message_behind_a_text_is_not_taken_in_twice(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    vault.keeps(&session, true, TEXT).await;
    vault.stand_in.add_message(
        &vault.account,
        MessageFacts::inbound(super::BEN, super::MASKS[0], "no session"),
    );
    let later = std::time::Duration::from_secs(2 * 3600);
    vault.clock.advance(later);
    let reconciling = recvault::flow::Reconciling::default();
    let compared = vault.process.flow.reconciliation.reconcile(&reconciling);
    compared.await.unwrap();
    work(&vault).await;
    // The text, and what is behind none.
    assert_eq!(vault.messages().await.len(), 2);
}

async fn links_are_rebuilt(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let (sent, leg) = vault.linked(&session, true).await;
    vault.process.flow.vault.make_durable().await.unwrap();
    let (_, process, _ground) = rebuilt(&vault, database).await;
    let mut tx = process.db.read().await.unwrap();
    let linked = links::of(&mut tx, sent.id).await.unwrap();
    assert_eq!(linked.len(), 2, "{linked:?}");
    assert!(linked.iter().any(|link| link.recording == leg));
}

on_both_databases!(
    both_are_kept_and_linked_whichever_comes_first,
    neither_outlives_the_other,
    what_comes_after_the_shred_goes_too,
    a_hold_on_one_keeps_it_closed,
    a_message_behind_a_text_is_not_taken_in_twice,
    links_are_rebuilt,
);
