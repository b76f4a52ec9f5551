//! A clock jumps: nothing is destroyed by a date that only this clock has reached, until an
//! operator confirms it.

use std::time::Duration;

use recvault::{
    flow::{ClockStatus, Error},
    model::id::RecordingId,
    policy::{Permit, action},
};

use crate::{
    epochs::keys,
    world::{Database, Process, Recipe, TestVault},
};

const DAY: Duration = Duration::from_secs(86_400);

impl TestVault {
    /// Starts another process, as after a stop.
    async fn restarted(&self) -> Process {
        self.another_process().await
    }
}

/// Returns the state by direct access, because tokens expire earlier.
async fn state(vault: &TestVault, id: RecordingId) -> String {
    vault
        .process
        .flow
        .catalogue
        .show(&Permit::of_operator(action::Catalogue), id)
        .await
        .unwrap()
        .recording
        .state
        .to_string()
}

fn operator() -> Permit<action::Keys> {
    Permit::of_operator(action::Keys)
}

/// Sweeps; returns whether the clock was trusted.
async fn sweeps(process: &Process) -> bool {
    match process
        .flow
        .sweeper
        .sweep(Duration::from_secs(24 * 3600))
        .await
    {
        Ok(_) => true,
        Err(Error::Conflict(why)) => {
            assert!(why.contains("recvault clock accept"), "{why}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

async fn refused(process: &Process) -> Option<String> {
    let ClockStatus { refused, .. } = process.flow.clock.status().await.unwrap();
    refused
}

async fn a_clock_that_jumps_shreds_nothing_until_it_is_accepted(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    let other = vault.sealed().await;
    assert!(sweeps(&vault.process).await);
    vault.clock.set_ahead(400 * DAY);
    let restarted = vault.restarted().await;
    for process in [&vault.process, &restarted] {
        assert!(!sweeps(process).await);
        assert!(
            process.flow.garbage.sweep(Duration::ZERO).await.is_err()
                && process.flow.quarantine.sweep().await.is_err()
        );
        assert!(process.flow.retention.sweep(false).await.is_err());
        assert!(
            process.flow.retention.sweep(true).await.is_ok(),
            "what would be done may be asked"
        );
    }
    assert_eq!(
        (
            state(&vault, recorded.id).await.as_str(),
            vault.objects().await.len()
        ),
        ("sealed", 2)
    );
    let status = vault.process.flow.monitoring.status().await.unwrap();
    assert!(status.clock.refused.is_some());

    // Requested actions continue: a shred, and the turn after it.
    vault
        .process
        .flow
        .shredding
        .shred(
            &Permit::of_operator(action::Shred),
            other.id,
            &"test".parse().unwrap(),
        )
        .await
        .unwrap();
    assert!(restarted.flow.epochs.turn(&keys()).await.unwrap().is_some());

    let looked = restarted
        .flow
        .clock
        .accept(&operator(), true)
        .await
        .unwrap();
    assert!(
        looked.refused.is_some() && !sweeps(&vault.process).await,
        "a dry run changes nothing"
    );
    assert_eq!(vault.count("clock.accepted").await, 0);
    assert_eq!(
        restarted
            .flow
            .clock
            .accept(&operator(), false)
            .await
            .unwrap()
            .refused,
        None
    );
    assert_eq!(vault.count("clock.accepted").await, 1);
    // Also for the process that was running all the time.
    assert!(sweeps(&vault.process).await && sweeps(&restarted).await);
    assert_eq!(
        state(&vault, recorded.id).await,
        "shredded",
        "its time is over by the clock that is right"
    );
}

async fn time_that_passes_is_no_jump(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.sealed().await;
    vault.clock.advance(400 * DAY);
    assert!(sweeps(&vault.process).await);
    assert_eq!(state(&vault, recorded.id).await, "shredded");
    // And the next process uses the time of its sweep.
    let restarted = vault.restarted().await;
    vault.clock.set_ahead(DAY);
    assert!(sweeps(&restarted).await);
    vault.clock.set_ahead(Duration::from_secs(1));
    assert!(!sweeps(&restarted).await, "a day and a second");
}

async fn a_clock_that_runs_too_fast_gets_nowhere(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let half = DAY / 2;
    for believed in [true, true, false, false] {
        vault.clock.set_ahead(half);
        assert_eq!(
            sweeps(&vault.process).await,
            believed,
            "each step is small, and all of them are not"
        );
    }
}

async fn a_clock_that_is_set_back_destroys_nothing_and_is_told(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    assert!(sweeps(&vault.process).await);
    vault.clock.set_back(2 * DAY);
    let restarted = vault.restarted().await;
    assert!(!sweeps(&vault.process).await && !sweeps(&restarted).await);
    vault
        .process
        .flow
        .clock
        .accept(&operator(), false)
        .await
        .unwrap();
    assert!(sweeps(&vault.process).await && sweeps(&restarted).await);
    assert_eq!(refused(&restarted).await, None);
}

async fn copies_at_the_source_wait_for_a_clock_that_is_right(database: Database) {
    let account =
        "delete_source = \"after-sealing\"\nawait_transcript_h = 24\nfetch_transcripts = false";
    let vault = Recipe {
        account,
        ..Recipe::on(database)
    }
    .by_hand()
    .await;
    let recorded = vault.sealed().await;
    vault.clock.set_ahead(31 * DAY);
    vault.process.flow.worker.work_off().await.unwrap();
    assert!(
        vault.stand_in.kept(&recorded.sid).content(),
        "its day is reached by a wrong clock only"
    );
    let stuck = vault
        .process
        .flow
        .dead_work
        .stuck_deletions()
        .await
        .unwrap();
    assert!(
        stuck[0]
            .last_error
            .as_ref()
            .unwrap()
            .contains("recvault clock accept")
    );
}

/// A process died while its clock was ahead: its postponed work is due, and its turn can be taken.
async fn nothing_waits_for_the_time_of_a_clock_that_was_ahead(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    let recorded = vault.record();
    assert_eq!(vault.tell(&recorded, "completed").await.status, 204);
    let ahead = 3 * DAY;
    let until = vault.clock.now().after(ahead).as_millis();
    vault
        .ground()
        .run(&format!(
            "UPDATE work SET holder = 'hld_{}', due_at = {until}",
            "0".repeat(32)
        ))
        .await;
    vault
        .ground()
        .run(&format!(
            "INSERT INTO work (kind, subject, state, due_at, holder, token, attempts, enqueued_at)
             VALUES ('epoch-turn', '{}', 'due', {until}, 'hld_{}', 7, 1, 0)",
            vault.process.flow.vault.id(),
            "0".repeat(32)
        ))
        .await;
    assert!(
        vault
            .process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .is_some(),
        "the turn is nobody's"
    );
    vault.process.flow.garbage.sweep(DAY).await.unwrap();
    vault.process.flow.worker.work_off().await.unwrap();
    assert_eq!(vault.state(recorded.id).await, "sealed");
}

async fn an_operator_takes_the_turn_away(database: Database) {
    let vault = Recipe::on(database).by_hand().await;
    assert_eq!(
        vault
            .process
            .flow
            .epochs
            .release(&operator())
            .await
            .unwrap(),
        None
    );
    let until = vault.clock.now().after(Duration::from_secs(50)).as_millis();
    vault
        .ground()
        .run(&format!(
            "INSERT INTO work (kind, subject, state, due_at, holder, token, attempts, enqueued_at)
             VALUES ('epoch-turn', '{}', 'due', {until}, 'hld_{}', 7, 1, 0)",
            vault.process.flow.vault.id(),
            "0".repeat(32)
        ))
        .await;
    assert!(
        vault
            .process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .is_none()
    );
    let held = vault.process.flow.epochs.turning().await.unwrap().unwrap();
    assert_eq!((held.fencing_token, held.until.as_millis()), (7, until));
    assert_eq!(
        vault
            .process
            .flow
            .epochs
            .release(&operator())
            .await
            .unwrap(),
        Some(held)
    );
    assert_eq!(vault.count("turn.released").await, 1);
    assert!(
        vault
            .process
            .flow
            .epochs
            .turn(&keys())
            .await
            .unwrap()
            .is_some()
    );
}

on_both_databases!(
    a_clock_that_jumps_shreds_nothing_until_it_is_accepted,
    time_that_passes_is_no_jump,
    a_clock_that_runs_too_fast_gets_nowhere,
    a_clock_that_is_set_back_destroys_nothing_and_is_told,
    copies_at_the_source_wait_for_a_clock_that_is_right,
    nothing_waits_for_the_time_of_a_clock_that_was_ahead,
    an_operator_takes_the_turn_away,
);
