//! The bounds of each search, so small that it is complete within seconds. Each disturbance meets
//! each other one in some scope; the wider scopes are in the test that is run by hand.

use super::{search, state::Set};

/// Bounds of a search. Deposits and shreds are bounded by the recordings, turns by the epochs.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) recordings: usize,
    pub(crate) epochs: u8,
    pub(crate) shreds: Set,
    pub(crate) moves: u8,
    pub(crate) crashes: u8,
    pub(crate) takeovers: u8,
    pub(crate) losses: u8,
}

/// One whole turn, and a flush that may be slow.
pub(crate) const NOTHING: Scope = Scope {
    recordings: 2,
    epochs: 2,
    shreds: 0b11,
    moves: 0,
    crashes: 0,
    takeovers: 0,
    losses: 0,
};

fn holds(scope: &Scope) {
    let began = std::time::Instant::now();
    let found = search::search(scope, None);
    println!(
        "{} states in {:.1?}, {} with a completed receipt: {scope:?}",
        found.states,
        began.elapsed(),
        found.completed
    );
    if let Some(violation) = found.violation {
        panic!(
            "{:?} falls after {} states:\n{}",
            violation.invariant,
            found.states,
            violation.trace.join("\n")
        );
    }
    // An event that never happens in a scope is not checked by it.
    assert!(
        found.completed > 0 || scope.shreds == 0,
        "no receipt was ever completed"
    );
    assert!(
        found.recovered > 0 || scope.losses == 0 || scope.epochs < 3,
        "no rebuilt database ever turned"
    );
}

#[test]
fn recordings_come_and_go_while_two_epochs_turn() {
    holds(&Scope {
        epochs: 3,
        ..NOTHING
    });
}

#[test]
fn a_recording_changes_pages_while_two_epochs_turn() {
    holds(&Scope {
        epochs: 3,
        shreds: 0b10,
        moves: 1,
        ..NOTHING
    });
}

#[test]
fn a_turner_is_paused_for_any_time_and_a_process_crashes() {
    holds(&Scope {
        epochs: 3,
        shreds: 0b10,
        crashes: 1,
        takeovers: 1,
        ..NOTHING
    });
}

#[test]
fn the_database_is_lost_at_any_time_and_a_recording_is_shredded_at_any_time() {
    holds(&Scope {
        epochs: 3,
        shreds: 0b10,
        losses: 1,
        ..NOTHING
    });
}

#[test]
fn the_database_is_lost_while_a_turner_is_paused() {
    holds(&Scope {
        epochs: 3,
        shreds: 0,
        takeovers: 1,
        losses: 1,
        ..NOTHING
    });
}

#[test]
fn the_database_is_lost_while_recordings_come() {
    holds(&Scope {
        recordings: 3,
        shreds: 0,
        losses: 1,
        ..NOTHING
    });
}

#[test]
fn the_database_is_lost_again_before_all_is_as_it_was() {
    holds(&Scope {
        recordings: 1,
        epochs: 3,
        shreds: 0,
        takeovers: 1,
        losses: 2,
        ..NOTHING
    });
}

#[test]
#[ignore = "two minutes when optimised, and gigabytes: for a change of the protocol"]
fn more_at_once() {
    let all = Scope {
        epochs: 3,
        ..NOTHING
    };
    holds(&Scope {
        moves: 1,
        ..all.clone()
    });
    holds(&Scope {
        shreds: 0b10,
        moves: 1,
        takeovers: 1,
        ..all.clone()
    });
    holds(&Scope {
        shreds: 0b10,
        crashes: 1,
        losses: 1,
        ..all.clone()
    });
    holds(&Scope {
        shreds: 0b10,
        takeovers: 1,
        losses: 1,
        ..all.clone()
    });
    holds(&Scope {
        recordings: 1,
        moves: 1,
        takeovers: 1,
        losses: 1,
        ..all.clone()
    });
    holds(&Scope {
        recordings: 1,
        moves: 1,
        losses: 1,
        epochs: 4,
        ..all.clone()
    });
    holds(&Scope {
        shreds: 0b10,
        losses: 2,
        ..all
    });
}
