//! Names from the application before and after sealing, corrections, and the deletion of all names
//! by a shred.

use std::fs;

use recvault::model::id::RecordingId;
use reqwest::Method;
use serde_json::{Value, json};

use super::{ANNA, ANNA_E164, call_of, party};
use crate::{
    epochs::keys,
    viewing::policy,
    world::{Database, Recipe, Recorded, TestVault, files_below, send},
};

const BERND: &str = "+49 30 23125-022";
const BERND_E164: &str = "+493023125022";
/// The number of stored addresses that wait for a recording.
const WAIT: &str = "SELECT COUNT(*) FROM parties WHERE length(sealed) > 0";

impl TestVault {
    /// Names both participants, as the application.
    async fn both_named(&self, recorded: &Recorded) {
        let parties = json!({ "parties": [{ "leg": "customer", "number": ANNA }, { "leg": "agent", "number": BERND }] });
        let path = format!("/v1/calls/{}/parties", call_of(recorded));
        assert_eq!(
            self.asks("privacy-officer")
                .post(&path, parties)
                .await
                .status,
            200
        );
    }

    async fn waiting(&self) -> i64 {
        self.ground().integer(WAIT).await.unwrap()
    }

    /// Adds another recording of the same call.
    pub(crate) fn again(&self, recorded: &Recorded) -> Recorded {
        let sid = super::sid::<recvault::model::sid::RecordingSid>("RE");
        let facts = recvault::demo::stand_in::RecordingFacts {
            call: Some(call_of(recorded)),
            ..recvault::demo::stand_in::RecordingFacts::new(&sid, recorded.wav.clone())
        };
        self.stand_in
            .add_recording_of(&self.account, sid.clone(), facts);
        Recorded {
            id: RecordingId::of_source(self.made.vault, self.account.as_str(), sid.as_str()),
            sid,
            wav: recorded.wav.clone(),
        }
    }
}

fn both() -> [Value; 2] {
    [
        party("agent", None, Some(BERND_E164), None),
        party("customer", None, Some(ANNA_E164), None),
    ]
}

async fn whom_the_application_named_before_is_taken_over(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    vault.both_named(&recorded).await;
    assert_eq!(vault.waiting().await, 2);
    vault.told(&recorded).await;
    assert_eq!(
        (vault.shown(&recorded).await, vault.waiting().await),
        (both().to_vec(), 0)
    );
    // Another recording of the call gets them from the first.
    let again = vault.again(&recorded);
    vault.told(&again).await;
    assert_eq!(vault.shown(&again).await, both());
    assert_eq!(vault.shred(recorded.id).await.status, 200);
    assert_eq!(vault.shown(&again).await, both());
}

async fn whom_the_application_names_after_is_sealed_at_once(database: Database) {
    let vault = Recipe {
        policy: policy(),
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    assert_eq!(
        vault
            .under_a_grant(&recorded, "quality-review")
            .await
            .1
            .status,
        404
    );
    vault.both_named(&recorded).await;
    assert_eq!(
        (vault.shown(&recorded).await, vault.waiting().await),
        (both().to_vec(), 0)
    );
    let named = vault.count("parties.named").await;
    vault.both_named(&recorded).await;
    assert_eq!(
        vault.count("parties.named").await,
        named,
        "the same again changes nothing"
    );
    // In another tier, and after a turn by another process.
    let other = vault.another_process().await;
    vault
        .process
        .flow
        .reclassification
        .move_to(&keys(), recorded.id, &"sensitive".parse().unwrap(), false)
        .await
        .unwrap();
    other.flow.epochs.turn(&keys()).await.unwrap();
    let body = json!({ "parties": [{ "leg": "coach", "number": "client:coach" }] });
    assert_eq!(
        vault
            .asks("privacy-officer")
            .post(&format!("/v1/calls/{}/parties", call_of(&recorded)), body)
            .await
            .status,
        200
    );
    let (_, answer) = vault.under_a_grant(&recorded, "hear").await;
    let all = [
        both()[0].clone(),
        party("coach", None, Some("client:coach"), None),
        both()[1].clone(),
    ];
    assert_eq!(answer.json()["parties"], json!(all), "{answer:?}");
}

async fn who_is_known_keeps_their_place_whatever_twilio_says(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.spoke(ANNA, BERND);
    vault.both_named(&recorded).await;
    vault.told(&recorded).await;
    // Twilio reports their channels.
    let shown = [
        party("agent", Some(2), Some(BERND_E164), None),
        party("customer", Some(1), Some(ANNA_E164), None),
    ];
    assert_eq!(vault.shown(&recorded).await, shown);
    let other = vault.spoke("+49 30 23125-033", "client:somebody");
    vault.both_named(&other).await;
    vault.told(&other).await;
    assert_eq!(
        vault.shown(&other).await,
        both(),
        "nobody else is put in their place, or beside them"
    );
}

async fn a_correction_changes_what_is_shown(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let sealed = vault.spoke(ANNA, "client:agent");
    vault.told(&sealed).await;
    let waits = vault.announced().await;
    vault.both_named(&waits).await;
    let agent = party("callee", Some(2), Some("client:agent"), None);
    for (number, address) in [(json!(BERND), Some(BERND_E164)), (Value::Null, None)] {
        for (recorded, leg) in [(&sealed, "caller"), (&waits, "customer")] {
            let body = json!({ "parties": [{ "leg": leg, "number": number }] });
            let request = vault
                .asks("privacy-officer")
                .request(Method::PATCH, &format!("/v1/recordings/{}", recorded.id));
            let answer = send(request.json(&body)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(
            vault.shown(&sealed).await,
            [agent.clone(), party("caller", Some(1), address, None)]
        );
    }
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(
        vault.shown(&waits).await,
        [both()[0].clone(), party("customer", None, None, None)]
    );
}

async fn a_shred_leaves_nobody(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.spoke(ANNA, "client:zebediah_quuxington");
    vault.told(&recorded).await;
    let named = vault.announced().await;
    vault.both_named(&named).await;
    let grant = vault.under_a_grant(&recorded, "quality-review").await.0;
    for id in [recorded.id, named.id] {
        assert_eq!(vault.shred(id).await.status, 200);
    }
    let path = vault
        .process
        .path_of(grant["parties_url"].as_str().unwrap());
    vault.anybody().get(&path).await.problem(410, "shredded");
    assert_eq!(
        (
            vault.ground().integer("SELECT COUNT(*) FROM details").await,
            vault.waiting().await
        ),
        (Some(0), 0)
    );
    vault.process.flow.recovery.journal().await.unwrap();
    let rows = vault.ground().all_rows().await;
    for text in [&ANNA_E164[1..], &BERND_E164[1..], "quuxington"] {
        assert!(!rows.contains(text), "{text}");
        for file in files_below(vault.folder()) {
            let bytes = fs::read(&file).unwrap();
            assert!(
                !bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes()),
                "{text} is in {}",
                file.display()
            );
        }
    }
}

async fn who_waits_for_a_week_is_forgotten(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    vault.both_named(&recorded).await;
    let hour = std::time::Duration::from_secs(3600);
    vault.clock.advance(7 * 24 * hour);
    vault.process.flow.garbage.sweep(24 * hour).await.unwrap();
    assert_eq!(vault.waiting().await, 2);
    vault.clock.advance(hour);
    vault.process.flow.garbage.sweep(24 * hour).await.unwrap();
    assert_eq!(vault.waiting().await, 0);
    // They are matched nevertheless, but cannot be shown.
    vault.told(&recorded).await;
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM parties WHERE subject IS NOT NULL")
            .await,
        Some(2)
    );
    assert_eq!(
        vault.ground().integer("SELECT COUNT(*) FROM details").await,
        Some(0)
    );
}

async fn a_rebuilt_vault_knows_who_took_part(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let snapshot = vault.spoke(ANNA, BERND);
    let gone = vault.spoke(ANNA, BERND);
    vault.told(&snapshot).await;
    vault.told(&gone).await;
    vault.process.flow.vault.snapshot().await.unwrap();
    let late = vault.spoke(BERND, ANNA);
    vault.told(&late).await;
    vault.shred(gone.id).await;
    vault.process.flow.recovery.journal().await.unwrap();
    let (app, _ground) = vault.app_on_an_empty_database(database).await;
    let plan = recvault::vault::plan(&app.parts(), Default::default())
        .await
        .unwrap();
    recvault::vault::restore(app.parts(), &plan, recvault::vault::Claim::TakeOver)
        .await
        .unwrap();
    let process = vault.process_over(app).await;
    let reviewer = process
        .api
        .clone()
        .bearing(vault.minted("reviewer").token.expose());
    for (recorded, caller) in [(&snapshot, ANNA_E164), (&late, BERND_E164)] {
        let body =
            json!({ "purpose": "quality-review", "justification": "the customer called back" });
        let grant = reviewer
            .post(&format!("/v1/recordings/{}/grants", recorded.id), body)
            .await
            .json();
        let shown = process
            .api
            .get(&process.path_of(grant["parties_url"].as_str().unwrap()))
            .await
            .json();
        assert_eq!(
            shown["parties"][1],
            party("caller", Some(1), Some(caller), None)
        );
    }
    let mut tx = process.db.read().await.unwrap();
    assert_eq!(
        recvault::db::details::find(&mut tx, &[snapshot.id, late.id, gone.id])
            .await
            .unwrap()
            .len(),
        2
    );
}

on_both_databases!(
    whom_the_application_named_before_is_taken_over,
    whom_the_application_names_after_is_sealed_at_once,
    who_is_known_keeps_their_place_whatever_twilio_says,
    a_correction_changes_what_is_shown,
    a_shred_leaves_nobody,
    who_waits_for_a_week_is_forgotten,
    a_rebuilt_vault_knows_who_took_part,
);
