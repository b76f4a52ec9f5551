//! Calls through a session: the recording is announced by itself, and finds its session whichever of
//! the two callbacks comes first.

use recvault::{
    db::work::{self as queue, WorkKind},
    demo::stand_in::{CallFacts, InteractionFacts},
    flow::{About, NewStatement, Reconciling},
    model::{
        consent::{Answer, Method},
        sid::{CallSid, InteractionSid},
        subject::Conversation,
    },
    policy::{Permit, action},
};
use serde_json::json;

use super::{ANNA, BEN, MASKS, Session, vault_on};
use crate::{
    consenting::consent_policy,
    threads::keeping,
    transcribing::work,
    world::{Database, Recipe, Recorded, TestVault, digits, that_keeps_everything},
};

/// Adds a recorded call from Anna to Ben through the session. With `is_linked`, Twilio lists the
/// second call below the first.
pub(super) fn called(
    vault: &TestVault,
    session: &Session,
    is_linked: bool,
) -> (Recorded, InteractionSid) {
    let recorded = vault.record();
    let digits_of = recorded.sid.as_str().trim_start_matches("RE").to_owned();
    let first: CallSid = format!("CA{digits_of}").parse().unwrap();
    let second: CallSid = format!("CA{}", digits()).parse().unwrap();
    let came = CallFacts::new(first.clone(), ANNA, MASKS[0]);
    vault.stand_in.add_call(&vault.account, came);
    let went = CallFacts::dialled(first.clone(), second.clone(), MASKS[1], BEN);
    let parent = went.parent.clone().filter(|_| is_linked);
    vault
        .stand_in
        .add_call(&vault.account, CallFacts { parent, ..went });
    let facts = InteractionFacts {
        kind: "Voice".to_owned(),
        data: json!({ "duration": "5" }),
        inbound: (session.anna.clone(), first.to_string()),
        outbound: (session.ben.clone(), second.to_string()),
    };
    let sid = vault.stand_in.add_interaction(&session.sid, facts);
    (recorded, sid)
}

/// Asserts that the recording is in the session and that both people, and nobody else, are in it.
async fn is_found(vault: &TestVault, session: &Session, recorded: &Recorded, case: &str) {
    let found = vault.details(recorded.id).await["session_sid"].clone();
    assert_eq!(found, json!(session.sid), "{case}");
    let id = recorded.id.to_string();
    for person in [ANNA, BEN] {
        assert!(
            vault.of_person(person).await.contains(&id),
            "{case}: {person}"
        );
    }
    let call = vault.details(recorded.id).await["call_sid"].clone();
    let sql = format!(
        "SELECT COUNT(*) FROM parties WHERE conversation = {} AND subject IS NOT NULL",
        call.to_string().replace('"', "'")
    );
    assert_eq!(vault.ground().integer(&sql).await, Some(2), "{case}");
}

async fn a_recording_finds_its_session_whichever_callback_comes_first(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    for is_linked in [true, false] {
        for is_recording_first in [true, false] {
            for is_worked_off_between in [true, false] {
                let case = format!("{is_linked} {is_recording_first} {is_worked_off_between}");
                let (recorded, sid) = called(&vault, &session, is_linked);
                for is_recording in [is_recording_first, !is_recording_first] {
                    let answer = if is_recording {
                        vault.tell(&recorded, "completed").await
                    } else {
                        vault.tells_of(&session, &sid).await
                    };
                    assert_eq!(answer.status, 204, "{case}: {answer:?}");
                    if is_worked_off_between {
                        work(&vault).await;
                    }
                }
                // Once more, which changes nothing.
                assert_eq!(vault.tells_of(&session, &sid).await.status, 204);
                work(&vault).await;
                is_found(&vault, &session, &recorded, &case).await;
            }
        }
    }
    vault.knows_no_mask().await;
}

async fn a_lost_callback_of_a_call_is_found_by_comparison(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let (recorded, _) = called(&vault, &session, false);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work(&vault).await;
    let reconciling = Reconciling::default();
    let compared = vault.process.flow.reconciliation.reconcile(&reconciling);
    compared.await.unwrap();
    work(&vault).await;
    is_found(&vault, &session, &recorded, "compared").await;
}

async fn a_vault_that_keeps_calls_only_finds_a_lost_session_too(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let session = vault.begun();
    let (recorded, _) = called(&vault, &session, false);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work(&vault).await;
    let reconciling = Reconciling::default();
    let compared = vault.process.flow.reconciliation.reconcile(&reconciling);
    compared.await.unwrap();
    work(&vault).await;
    is_found(&vault, &session, &recorded, "calls only").await;
}

async fn people_of_a_call_are_found_also_when_nothing_is_noted_of_it(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let (recorded, sid) = called(&vault, &session, false);
    assert_eq!(vault.tells_of(&session, &sid).await.status, 204);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work(&vault).await;
    // As after a restore.
    for sql in [
        "DELETE FROM session_calls",
        "UPDATE parties SET subject = NULL",
    ] {
        vault.ground().run(sql).await;
    }
    vault.reads_session_of(&recorded).await;
    work(&vault).await;
    is_found(&vault, &session, &recorded, "restored").await;
}

async fn a_call_that_joins_a_withdrawn_session_goes(database: Database) {
    let vault = Recipe {
        policy: keeping(&that_keeps_everything(&consent_policy())),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let session = vault.begun();
    let (recorded, sid) = called(&vault, &session, false);
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    work(&vault).await;
    vault.withdraws_session(&session).await;
    assert_eq!(vault.state(recorded.id).await, "sealed");
    assert_eq!(vault.tells_of(&session, &sid).await.status, 204);
    work(&vault).await;
    // As the service does.
    vault.process.flow.revocations.continue_all().await.unwrap();
    assert_eq!(vault.state(recorded.id).await, "shredded");
}

impl TestVault {
    /// Whoever takes part withdraws for the whole session.
    async fn withdraws_session(&self, session: &Session) {
        let told = NewStatement {
            about: About::Place(Conversation::Session(session.sid.clone()), None),
            purposes: [].into(),
            answer: Answer::Withdrawn,
            method: Method::Letter,
            evidence: None,
            disclosure: None,
            policy_version: None,
            at: None,
            once: None,
        };
        let permit = Permit::of_operator(action::Consent);
        let consents = &self.process.flow.consents;
        consents.record(&permit, vec![told]).await.unwrap();
        work(self).await;
    }

    /// The work that names the people of a call's session waits again.
    async fn reads_session_of(&self, recorded: &Recorded) {
        let id = recorded.id;
        let now = self.clock.now();
        let again = self.process.db.unit("test.again", async |mut unit| {
            unit.without_entry("a test");
            queue::begin_anew(&mut unit, WorkKind::ReadSession, &[id], now).await
        });
        again.await.unwrap();
    }
}

async fn a_revocation_of_either_takes_the_recording(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    for person in [ANNA, BEN] {
        let (recorded, sid) = called(&vault, &session, false);
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        work(&vault).await;
        assert_eq!(vault.tells_of(&session, &sid).await.status, 204);
        work(&vault).await;
        vault.revoked(json!({ "subject": person })).await;
        assert_eq!(vault.state(recorded.id).await, "shredded", "{person}");
    }
}

async fn the_interaction_of_a_call_goes_with_its_last_recording(database: Database) {
    let vault = vault_on(database).await;
    let session = vault.begun();
    let mut all = Vec::new();
    for _ in 0..2 {
        let (recorded, sid) = called(&vault, &session, false);
        assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
        assert_eq!(vault.tells_of(&session, &sid).await.status, 204);
        work(&vault).await;
        all.push((recorded.id, sid));
    }
    let remaining = || vault.stand_in.remaining_session(&session.sid);
    vault.stand_in.set_session_status(&session.sid, "closed");
    vault.clock.advance(std::time::Duration::from_secs(3600));
    vault.shred(all[0].0).await;
    work(&vault).await;
    assert_eq!(remaining(), Some(vec![all[1].1.clone()]));
    let kinds = async |id| {
        let source = vault.details(id).await["at_source"].clone();
        let copies = source["copies"].as_array().unwrap().iter();
        let mut kinds: Vec<_> = copies.map(|copy| copy["kind"].clone()).collect();
        kinds.sort_by_key(ToString::to_string);
        kinds
    };
    assert_eq!(kinds(all[0].0).await, ["interaction", "recording"]);
    vault.shred(all[1].0).await;
    work(&vault).await;
    assert_eq!(remaining(), None);
    let expected = ["interaction", "recording", "session"];
    assert_eq!(kinds(all[1].0).await, expected);
}

on_both_databases!(
    a_recording_finds_its_session_whichever_callback_comes_first,
    a_lost_callback_of_a_call_is_found_by_comparison,
    a_vault_that_keeps_calls_only_finds_a_lost_session_too,
    people_of_a_call_are_found_also_when_nothing_is_noted_of_it,
    a_call_that_joins_a_withdrawn_session_goes,
    a_revocation_of_either_takes_the_recording,
    the_interaction_of_a_call_goes_with_its_last_recording,
);
