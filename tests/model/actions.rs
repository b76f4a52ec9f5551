//! The actions of the model, and their text in a trace.

use super::{
    flaws::Flaw,
    scopes::Scope,
    state::{LEAVES, Recording, State, Step, Turner, has},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Deposit(Recording),
    Shred(Recording),
    Move(Recording),
    ReadMarks,
    WritePieces,
    Begin(usize),
    Climb(usize),
    Step(usize),
    CrashTurner(usize),
    CrashFlush,
    Lose,
    Restore(usize),
}

impl State {
    /// Returns all possible actions, in a fixed order.
    pub(crate) fn enabled(&self, scope: &Scope) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(db) = &self.db {
            let rows = &db.rows;
            for recording in (0..scope.recordings).filter(|_| !rows.restored) {
                match (has(rows.tombstones, recording), rows.slots[recording]) {
                    (true, _) => {}
                    (false, None) => actions.push(Action::Deposit(recording)),
                    (false, Some(_)) => {
                        actions.extend(
                            has(scope.shreds, recording).then_some(Action::Shred(recording)),
                        );
                        actions.extend(
                            (self.spent.moves < scope.moves).then_some(Action::Move(recording)),
                        );
                    }
                }
            }
            if rows.outbox != 0 && self.flush.is_none() && !rows.restored {
                actions.push(Action::ReadMarks);
            }
            let is_due = !rows.settled || !rows.finished || rows.next <= scope.epochs;
            let may_take = |who: usize| {
                db.holder.is_none_or(|holder| holder == who)
                    || self.spent.takeovers < scope.takeovers
            };
            actions.extend(
                (0..2)
                    .filter(|&who| is_due && self.turners[who] == Turner::IDLE && may_take(who))
                    .map(Action::Begin),
            );
            if self.spent.losses < scope.losses {
                actions.push(Action::Lose);
            }
        } else {
            actions.extend(LEAVES.map(Action::Restore));
        }
        actions.extend(self.flush.is_some().then_some(Action::WritePieces));
        let can_crash = self.spent.crashes < scope.crashes;
        for (who, turner) in self
            .turners
            .iter()
            .enumerate()
            .filter(|(_, turner)| turner.step != Step::Idle)
        {
            if turner.step == Step::Climb && self.lowest_stale().is_some() {
                actions.push(Action::Climb(who));
            }
            actions.push(Action::Step(who));
            actions.extend(can_crash.then_some(Action::CrashTurner(who)));
        }
        actions.extend((can_crash && self.flush.is_some()).then_some(Action::CrashFlush));
        actions
    }

    /// Returns the state after an action.
    pub(crate) fn after(&self, action: Action, flaw: Option<Flaw>) -> State {
        let mut state = self.clone();
        match action {
            Action::Deposit(recording) => state.deposit(recording),
            Action::Shred(recording) => state.shred(recording, flaw),
            Action::Move(recording) => {
                state.relocate(recording, flaw);
                state.spent.moves += 1;
            }
            Action::ReadMarks => state.read_marks(),
            Action::WritePieces => state.write_pieces(flaw),
            Action::Begin(who) => state.begin(who, flaw),
            Action::Climb(who) => state.rekey(who, flaw),
            Action::Step(who) => state.step(who, flaw),
            Action::CrashTurner(who) => {
                state.turners[who] = Turner::IDLE;
                state.spent.crashes += 1;
            }
            Action::CrashFlush => {
                state.flush = None;
                state.spent.crashes += 1;
            }
            Action::Lose => state.lose(),
            Action::Restore(leaf) => state.restore(leaf, flaw),
        }
        state.normal()
    }

    /// Describes an action in this state, for a trace. Turners are interchangeable, so they are
    /// named by the lease.
    pub(crate) fn told(&self, action: Action) -> String {
        let who = |who: usize| {
            let has_lease = self.db.as_ref().is_some_and(|db| db.holder == Some(who));
            if has_lease {
                "the turner"
            } else {
                "a turner without the lease"
            }
        };
        match action {
            Action::Deposit(recording) => format!("deposit of r{recording}"),
            Action::Shred(recording) => format!("shred of r{recording}"),
            Action::Move(recording) => format!("move of r{recording} to the other leaf"),
            Action::ReadMarks => "flush: the marks and the current key are read".into(),
            Action::WritePieces => {
                "flush: pieces are stored, marks cleared, shreds acknowledged".into()
            }
            Action::Begin(turner)
                if self
                    .db
                    .as_ref()
                    .is_some_and(|db| db.holder.is_some_and(|holder| holder != turner)) =>
            {
                "another turner takes over the lease".into()
            }
            Action::Begin(_) => "a turner takes the lease".into(),
            Action::Climb(turner) => format!("{} renews the lowest stale page", who(turner)),
            Action::Step(turner) => format!("{} {}", who(turner), self.turners[turner].told()),
            Action::CrashTurner(turner) => format!("{} crashes", who(turner)),
            Action::CrashFlush => "the flush crashes".into(),
            Action::Lose => "the database is lost".into(),
            Action::Restore(leaf) => {
                format!("the database is rebuilt, what the journal gives in page {leaf}")
            }
        }
    }
}

impl Turner {
    fn told(&self) -> String {
        let epoch = self.epoch;
        let next = self.next;
        match &self.step {
            Step::Idle => "rests".into(),
            Step::Stage => format!("stages root {next}"),
            Step::Climb => "opens the last transaction: first half".into(),
            Step::Commit(_) => format!("commits the last transaction: epoch {next}"),
            Step::Read => format!("reads the rows of epoch {epoch} for a snapshot"),
            Step::Write(Some(_)) => format!("stores a snapshot of epoch {epoch}"),
            Step::Write(None) => "stores a snapshot that nothing opens".into(),
            Step::Verify => "verifies and notes the snapshot".into(),
            Step::Destroy => format!("leaves out every root but that of epoch {epoch}"),
            Step::Note => "notes the destruction".into(),
            Step::Complete => "completes the receipts".into(),
            Step::Finish => {
                format!("removes what is older than epoch {epoch} from the store, and finishes")
            }
        }
    }
}
