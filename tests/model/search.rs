//! Breadth first over all reachable states, so that the first violation found has the shortest
//! trace.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
};

use super::{actions::Action, flaws::Flaw, invariants::Invariant, scopes::Scope, state::State};

/// The result of a search.
pub(crate) struct Found {
    pub(crate) states: usize,
    /// The states with an `unrecoverable` receipt.
    pub(crate) completed: usize,
    /// The states in which a rebuilt database has finished a turn since.
    pub(crate) recovered: usize,
    pub(crate) violation: Option<Violation>,
}

pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) trace: Vec<String>,
}

/// Visits every state, or all until a violation.
pub(crate) fn search(scope: &Scope, flaw: Option<Flaw>) -> Found {
    let first = Rc::new(State::initial());
    let mut seen: HashSet<Rc<State>, BuildHasherDefault<Mixer>> =
        HashSet::from_iter([first.clone()]);
    // The predecessor and the action by which each state was reached first.
    let mut ways: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut queue = VecDeque::from([(0, first)]);
    let mut found = Found {
        states: 1,
        completed: 0,
        recovered: 0,
        violation: None,
    };
    while let Some((index, state)) = queue.pop_front() {
        if let Some(invariant) = state.violated(flaw) {
            found.violation = Some(Violation {
                invariant,
                trace: trace(&ways, index, flaw),
            });
            break;
        }
        found.completed += usize::from(state.told.unrecoverable != 0);
        let recovered = state.spent.losses > 0
            && state
                .db
                .as_ref()
                .is_some_and(|db| db.rows.finished && db.rows.epoch > 1);
        found.recovered += usize::from(recovered);
        for action in state.enabled(scope) {
            let next = Rc::new(state.after(action, flaw));
            if seen.insert(next.clone()) {
                ways.push((index, Some(action)));
                queue.push_back((ways.len() - 1, next));
            }
        }
    }
    found.states = seen.len();
    found
}

fn trace(ways: &[(usize, Option<Action>)], mut index: usize, flaw: Option<Flaw>) -> Vec<String> {
    let mut actions = Vec::new();
    while let (before, Some(action)) = ways[index] {
        actions.push(action);
        index = before;
    }
    let mut state = State::initial();
    let tell = |action: Action| {
        let told = state.told(action);
        state = state.after(action, flaw);
        told
    };
    actions.into_iter().rev().map(tell).collect()
}

/// A fast hasher: there are many states, and none is chosen to collide.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.write_u64(
                chunk
                    .iter()
                    .fold(0, |word, byte| word << 8 | u64::from(*byte)),
            );
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
    }
}
