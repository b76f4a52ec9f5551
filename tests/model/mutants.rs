//! Mutants: each flawed protocol, the invariant that fails, and the smallest scope for it.

use super::{
    flaws::Flaw,
    invariants::Invariant,
    scopes::{NOTHING, Scope},
    search,
};

fn table() -> Vec<(Flaw, Invariant, Scope)> {
    use Flaw::*;
    use Invariant::*;
    let turn = || Scope {
        shreds: 0b11,
        ..NOTHING
    };
    let lost = || Scope {
        losses: 1,
        ..turn()
    };
    vec![
        (RootPageKeyKept, Unrecoverable, turn()),
        (RootKept, Unrecoverable, turn()),
        (ClimbSkipsTheBranch, Unrecoverable, turn()),
        (SnapshotLast, Rebuildable, turn()),
        (DestroyedBeforeTheCommit, Opens, turn()),
        (CompletedBeforeDestroyed, Unrecoverable, turn()),
        (CoversLast, Unrecoverable, turn()),
        (MoveNotStale, Unrecoverable, Scope { moves: 1, ..turn() }),
        (ShredNotStale, Unrecoverable, turn()),
        (AcknowledgedUnflushed, Tombstoned, turn()),
        (AcknowledgedUnasked, Tombstoned, lost()),
        (FlushForgetsChanges, Tombstoned, turn()),
        (FlushSealsUnderALaterKey, Unrecoverable, turn()),
        (PiecesCarryNoKey, Tombstoned, turn()),
        (
            LeaseNotAsked,
            Opens,
            Scope {
                recordings: 1,
                takeovers: 1,
                ..turn()
            },
        ),
        (
            ForgetsItsReceipts,
            Completed,
            Scope {
                recordings: 1,
                epochs: 3,
                crashes: 1,
                ..turn()
            },
        ),
        (
            SwapNotCompared,
            Opens,
            Scope {
                recordings: 1,
                shreds: 0,
                epochs: 3,
                takeovers: 1,
                ..turn()
            },
        ),
        (
            StagesBesideAnother,
            TwoRoots,
            Scope {
                recordings: 1,
                shreds: 0,
                epochs: 3,
                crashes: 1,
                ..turn()
            },
        ),
        (RestoreIgnoresTombstones, Tombstoned, turn()),
        (
            RestoreKeepsMarks,
            Unrecoverable,
            Scope {
                shreds: 0b10,
                ..lost()
            },
        ),
        (
            RestoreKeepsCovers,
            Unrecoverable,
            Scope {
                losses: 2,
                shreds: 0b10,
                ..lost()
            },
        ),
        (
            RestoreOpensEarly,
            Rebuildable,
            Scope {
                recordings: 3,
                shreds: 0,
                ..lost()
            },
        ),
    ]
}

/// These were dangerous because of a suspended turner, which destroyed roots that it had found
/// earlier. Now its swap is refused.
#[test]
fn some_flaws_are_harmless_since_custody_compares() {
    let lost = || Scope {
        losses: 1,
        recordings: 1,
        takeovers: 1,
        ..NOTHING
    };
    for (flaw, scope) in [
        (
            Flaw::RestoreForgetsLives,
            Scope {
                losses: 2,
                shreds: 0,
                ..lost()
            },
        ),
        (
            Flaw::RestoreReusesNumbers,
            Scope {
                shreds: 0,
                ..lost()
            },
        ),
        (Flaw::RestoreReusesNumbers, lost()),
        // And custody keeps exactly one root before a rebuilt database stages its next.
        (
            Flaw::RestoreKeepsTheStagedRoot,
            Scope {
                takeovers: 0,
                ..lost()
            },
        ),
    ] {
        let found = search::search(&scope, Some(flaw));
        assert!(
            found.violation.is_none(),
            "{flaw:?}: {:?}",
            found.violation.map(|violation| violation.trace)
        );
    }
}

#[test]
fn each_flaw_of_a_turn_breaks_the_promise_that_it_should() {
    each_breaks(|scope| scope.losses == 0);
}

#[test]
fn each_flaw_of_a_rebuilding_breaks_the_promise_that_it_should() {
    each_breaks(|scope| scope.losses > 0);
}

fn each_breaks(is_here: fn(&Scope) -> bool) {
    let mut faults = Vec::new();
    for (flaw, expected, scope) in table().into_iter().filter(|(_, _, scope)| is_here(scope)) {
        let began = std::time::Instant::now();
        let found = search::search(&scope, Some(flaw));
        match found.violation {
            Some(violation) => {
                println!(
                    "{flaw:?}: {:?} falls after {} states, {:.1?}:",
                    violation.invariant,
                    found.states,
                    began.elapsed()
                );
                violation
                    .trace
                    .iter()
                    .for_each(|line| println!("    {line}"));
                if violation.invariant != expected {
                    faults.push(format!(
                        "{flaw:?}: {:?} falls, not {expected:?}",
                        violation.invariant
                    ));
                }
            }
            None => faults.push(format!(
                "{flaw:?}: nothing falls in {} states",
                found.states
            )),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
