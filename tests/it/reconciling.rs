//! The comparison of Twilio's list with the vault: recordings without a callback are found, missing
//! ones are reported, and no failure does harm.

mod accounts;
mod asking;
mod awkward;
mod backfilling;
mod failing;

use std::{fs, time::Duration};

use bytes::Bytes;
use recvault::{
    config::Config,
    demo::{
        conversation,
        stand_in::{MediaFault, RecordingFacts},
    },
    flow::{AccountReconciled, Reconciling},
    model::{actor::Initiator, id::RecordingId, reconciled::Reconciled, sid::AccountSid},
};
use serde_json::json;

use crate::world::{Database, Recipe, Recorded, TestVault, digits};

impl TestVault {
    /// Compares the account of most recordings, as the operator.
    async fn reconcile(&self) -> AccountReconciled {
        self.reconcile_of(&self.account, false).await
    }

    async fn reconcile_of(&self, account: &AccountSid, dry_run: bool) -> AccountReconciled {
        let wanted = Reconciling {
            account: Some(account.clone()),
            since: None,
            dry_run,
        };
        self.process
            .flow
            .reconciliation
            .reconcile(&wanted)
            .await
            .unwrap()
            .remove(0)
    }

    /// Returns the result of a comparison, which must be complete.
    async fn finds(&self) -> Reconciled {
        let done = self.reconcile().await;
        assert_eq!(done.fault, None);
        done.found
    }

    /// Does all due work, and returns the number of recordings in each state.
    async fn works_off(&self) -> Vec<(String, i64)> {
        self.process.flow.worker.work_off().await.unwrap();
        let status = self.process.flow.monitoring.status().await.unwrap();
        status
            .recordings
            .into_iter()
            .map(|(state, count)| (state.to_string(), count))
            .collect()
    }

    /// Adds a recording of any kind at Twilio, and returns its id in the vault.
    fn recorded_of(
        &self,
        account: &AccountSid,
        facts: impl FnOnce(RecordingFacts) -> RecordingFacts,
    ) -> Recorded {
        let sid = format!("RE{}", digits()).parse().unwrap();
        let wav = Bytes::from_static(conversation::WAV);
        self.stand_in.add_recording_of(
            account,
            Clone::clone(&sid),
            facts(RecordingFacts::new(&sid, wav.clone())),
        );
        Recorded {
            id: RecordingId::of_source(self.made.vault, account.as_str(), sid.as_str()),
            sid,
            wav,
        }
    }

    /// Changes the configuration and reloads the accounts, as on SIGHUP.
    pub(crate) async fn reconfigure(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.made.config).unwrap();
        assert!(text.contains(from), "`{from}` is not in the configuration");
        fs::write(&self.made.config, text.replacen(from, to, 1)).unwrap();
        let config = Config::read(&self.made.config).unwrap();
        self.process
            .flow
            .accounts
            .put(config.twilio.resolve(&config.base).unwrap())
            .await
            .unwrap();
    }

    /// Returns the number of rows of each table.
    async fn footprint(&self) -> Vec<Option<i64>> {
        let mut counts = Vec::new();
        for table in [
            "recordings",
            "work",
            "audit",
            "listings",
            "reconciliations",
            "outbox",
        ] {
            counts.push(
                self.ground()
                    .integer(&format!("SELECT COUNT(*) FROM {table}"))
                    .await,
            );
        }
        counts
    }

    async fn work_of(&self, kind: &str, id: RecordingId) -> Option<i64> {
        self.ground()
            .integer(&format!(
                "SELECT due_at FROM work WHERE kind = '{kind}' AND recording_id = '{id}'"
            ))
            .await
    }
}

async fn twilio_never_called_and_everything_is_found_all_the_same(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    let absent = vault.recorded_of(&vault.account, |facts| RecordingFacts {
        media: None,
        status: "absent".into(),
        error_code: Some(16102),
        ..facts
    });
    let of_another = vault.record_for(&vault.other_account, Bytes::from_static(conversation::WAV));
    let found = vault.finds().await;
    let expected = Reconciled {
        listed: 2,
        announced: 2,
        absent_not_told: 1,
        completed_not_told: 1,
        ..Reconciled::default()
    };
    assert_eq!(found, expected);
    assert_eq!(
        vault.works_off().await,
        [("absent".to_owned(), 1), ("sealed".to_owned(), 1)]
    );
    vault.plays(&recorded).await;
    assert_eq!(vault.details(absent.id).await["error_code"], 16102);
    assert!(
        !vault.has_row(of_another.id).await,
        "another account was not asked for"
    );
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM recordings WHERE heard_by = 'reconcile'")
            .await,
        Some(2)
    );
    // A repeat finds nothing new; the log has the counts of the earlier one.
    assert_eq!(
        vault.finds().await,
        Reconciled {
            listed: 2,
            ..Reconciled::default()
        }
    );
    assert_eq!(
        vault.works_off().await,
        [("absent".to_owned(), 1), ("sealed".to_owned(), 1)]
    );
    let entry = vault
        .entries()
        .await
        .into_iter()
        .find(|entry| entry["event"] == "reconcile.done")
        .unwrap();
    assert_eq!(
        (&entry["actor"], &entry["details"]["account"]),
        (&json!(Initiator::Operator.actor()), &json!(vault.account))
    );
    assert_eq!(
        (
            &entry["details"]["announced"],
            &entry["details"]["completed_not_told"]
        ),
        (&json!(2), &json!(1))
    );
}

async fn a_callback_that_came_and_one_that_was_lost(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    assert_eq!(vault.tell(&recorded, "in-progress").await.status, 204);
    let told = vault.announced().await;
    let found = vault.finds().await;
    assert_eq!(
        found,
        Reconciled {
            listed: 2,
            advanced: 1,
            completed_not_told: 1,
            ..Reconciled::default()
        }
    );
    assert_eq!(vault.works_off().await, [("sealed".to_owned(), 2)]);
    vault.plays(&recorded).await;
    vault.plays(&told).await;
    // A late callback changes nothing.
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    assert_eq!(vault.process.flow.worker.work_off().await.unwrap(), 0);
}

async fn what_is_shredded_or_should_be_gone_is_asked_to_be_deleted(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let shredded = vault.sealed().await;
    let sealed = vault.sealed().await;
    assert_eq!(vault.shred(shredded.id).await.status, 200);
    vault.process.flow.worker.work_off().await.unwrap();
    // Whatever happened to it at Twilio: it exists (again), and no work waits.
    vault
        .stand_in
        .add_recording(&vault.account, shredded.sid.clone(), shredded.wav.clone());
    assert_eq!(
        vault.finds().await,
        Reconciled {
            listed: 2,
            erased: 1,
            ..Reconciled::default()
        }
    );
    assert!(
        vault
            .work_of("delete-at-source", shredded.id)
            .await
            .is_some()
            && vault.work_of("delete-at-source", sealed.id).await.is_none()
    );
    assert_eq!(vault.finds().await.erased, 0, "it is asked for once");
    assert_eq!(
        vault.state(shredded.id).await,
        "shredded",
        "and is not announced again"
    );
    // From now on the account deletes its copies after sealing; a transcript is awaited first.
    let sid = format!("sid = \"{}\"\n", vault.account);
    vault
        .reconfigure(
            &sid,
            &format!("{sid}delete_source = \"after-sealing\"\nawait_transcript_h = 1\n"),
        )
        .await;
    assert_eq!(vault.finds().await.erased, 0);
    vault.clock.advance(Duration::from_secs(3601));
    assert_eq!(vault.finds().await.erased, 1);
    assert!(vault.work_of("delete-at-source", sealed.id).await.is_some());
    // Nor does it delete copies that an account keeps.
    vault.ground().run("DELETE FROM work").await;
    vault.reconfigure("\"after-sealing\"", "\"never\"").await;
    assert_eq!(vault.finds().await.erased, 0);
}

async fn what_nobody_can_have_is_told_and_not_changed(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let gone = vault.announced().await;
    let deleted = vault.announced().await;
    let lately = vault.record();
    vault.stand_in.remove_recording(&gone.sid);
    vault.stand_in.set_status(&deleted.sid, "deleted");
    vault.stand_in.set_status(&lately.sid, "deleted");
    // One was deleted before its announcement, and one after it. Twilio may not list a recording
    // yet that was announced a minute ago.
    let done = vault.reconcile().await;
    assert_eq!(
        (done.found.ghosts, done.ghost_recordings.len(), done.fault),
        (2, 2, None)
    );
    assert!(
        done.ghost_recordings.contains(&deleted.id) && done.ghost_recordings.contains(&lately.id)
    );
    vault.clock.advance(Duration::from_secs(3700));
    let done = vault.reconcile().await;
    assert_eq!(done.found.ghosts, 3, "{done:?}");
    assert!(done.ghost_recordings.contains(&gone.id));
    for ghost in [&gone, &deleted] {
        assert_eq!(vault.state(ghost.id).await, "announced");
    }
    assert!(!vault.has_row(lately.id).await);
    let status = vault.process.flow.monitoring.status().await.unwrap();
    assert_eq!(
        status
            .accounts
            .iter()
            .map(|source| source.found.unwrap().ghosts)
            .collect::<Vec<_>>(),
        [3]
    );
    // A recording that Twilio has but does not list is no ghost: it is older than the period of the
    // comparison.
    let early = vault.recorded_of(&vault.account, |facts| RecordingFacts {
        created: Some(vault.clock.now().before(Duration::from_secs(80 * 3600))),
        ..facts
    });
    let params = vault.stand_in.callback_params(&early.sid, "completed");
    let params: Vec<_> = params
        .into_iter()
        .filter(|(name, _)| name != "RecordingStartTime")
        .collect();
    assert_eq!(
        vault
            .post_callback(&vault.account, "/twilio/recordings", &params)
            .await
            .status,
        204
    );
    vault.clock.advance(Duration::from_secs(3700));
    assert_eq!(vault.reconcile().await.found.ghosts, 3);
}

on_both_databases!(
    twilio_never_called_and_everything_is_found_all_the_same,
    a_callback_that_came_and_one_that_was_lost,
    what_is_shredded_or_should_be_gone_is_asked_to_be_deleted,
    what_nobody_can_have_is_told_and_not_changed,
);

#[tokio::test]
async fn a_trunk_is_recorded_of_which_nobody_ever_tells() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.recorded_of(&vault.account, |facts| RecordingFacts {
        source: "Trunking".into(),
        ..facts
    });
    assert_eq!(
        vault.finds().await,
        Reconciled {
            listed: 1,
            announced: 1,
            ..Reconciled::default()
        },
        "that no callback came is no fault"
    );
    vault.works_off().await;
    vault.plays(&recorded).await;
    assert_eq!(
        vault
            .ground()
            .integer("SELECT COUNT(*) FROM recordings WHERE source = 'Trunking'")
            .await,
        Some(1)
    );
}

#[tokio::test]
async fn what_still_runs_is_left_until_it_is_over() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.record();
    let call = format!("CA{}", digits()).parse().unwrap();
    vault
        .stand_in
        .begin_recording(&vault.account, recorded.sid.clone(), call);
    assert_eq!(
        vault.finds().await,
        Reconciled {
            listed: 1,
            ..Reconciled::default()
        }
    );
    assert!(!vault.has_row(recorded.id).await);
    vault
        .stand_in
        .completed_with(&recorded.sid, recorded.wav.clone());
    assert_eq!(vault.finds().await.announced, 1);
    vault.works_off().await;
    vault.plays(&recorded).await;
}

#[tokio::test]
async fn a_fetch_that_was_given_up_is_taken_up_again() {
    let vault = Recipe::default().by_hand().await;
    let recorded = vault.announced().await;
    vault.stand_in.fail(&recorded.sid, MediaFault::XmlErrorBody);
    vault.process.flow.worker.work_off().await.unwrap();
    assert!(vault.dead().await.is_some());
    assert_eq!(
        vault.finds().await,
        Reconciled {
            listed: 1,
            advanced: 1,
            ..Reconciled::default()
        }
    );
    vault.works_off().await;
    vault.plays(&recorded).await;
    // And one whose work is lost, as after a restore.
    let recorded = vault.announced().await;
    vault.ground().run("DELETE FROM work").await;
    assert_eq!(vault.finds().await.advanced, 1);
    vault.works_off().await;
    vault.plays(&recorded).await;
}
