//! The liveness of this process's long-lived tasks.
//!
//! Owns their names, and how long each may be silent. Refuses to start or restart them:
//! `app::supervise` does, and reports it here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A long-lived task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Task {
    /// Makes announcements durable.
    Callbacks,
    /// Does the work of the queue.
    Work,
    /// Ends the streams of recordings that other processes shredded or closed.
    Tombstones,
    /// Sweeps once an hour.
    Sweep,
    /// Checks that the database has not lost changes.
    Memory,
    /// Writes the journal and snapshots.
    Recovery,
    /// Turns epochs.
    Epochs,
    /// Shreds recordings released from holds.
    Revocations,
    /// Compares accounts with the vault.
    Reconciliation,
    /// Answers requests.
    Requests,
    /// Answers metrics requests.
    Metrics,
}

impl Task {
    /// Returns the name, for logs, metrics and problems.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns how long the task may be silent: many of its periods, and longer than its longest
    /// step without a heartbeat. `None` for tasks that wait for external events, and for those with
    /// a period of an hour.
    fn silence(self) -> Option<Duration> {
        match self {
            Self::Work | Self::Tombstones | Self::Memory => Some(Duration::from_secs(120)),
            Self::Revocations => Some(Duration::from_secs(600)),
            Self::Recovery | Self::Epochs => Some(Duration::from_secs(3600)),
            Self::Callbacks
            | Self::Sweep
            | Self::Reconciliation
            | Self::Requests
            | Self::Metrics => None,
        }
    }
}

/// The state of this process's tasks. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Liveness(Arc<Mutex<BTreeMap<Task, Pulse>>>);

#[derive(Clone, Copy, Debug)]
struct Pulse {
    is_running: bool,
    heard: Instant,
}

impl Pulse {
    fn is_alive(&self, task: Task, now: Instant) -> bool {
        self.is_running
            && task
                .silence()
                .is_none_or(|silence| now.duration_since(self.heard) < silence)
    }
}

impl Liveness {
    /// Records that a task was started or restarted.
    pub fn begun(&self, task: Task) {
        self.tasks().insert(
            task,
            Pulse {
                is_running: true,
                heard: Instant::now(),
            },
        );
    }

    /// Records that a task ended unexpectedly.
    pub fn lost(&self, task: Task) {
        self.tasks().insert(
            task,
            Pulse {
                is_running: false,
                heard: Instant::now(),
            },
        );
    }

    /// Records that a task ended as requested.
    pub fn ended(&self, task: Task) {
        self.tasks().remove(&task);
    }

    /// Records a heartbeat.
    pub(super) fn beat(&self, task: Task) {
        if let Some(pulse) = self.tasks().get_mut(&task) {
            pulse.heard = Instant::now();
        }
    }

    /// Returns the tasks that should be running, and whether they are.
    pub fn all(&self) -> Vec<(Task, bool)> {
        self.all_at(Instant::now())
    }

    fn all_at(&self, now: Instant) -> Vec<(Task, bool)> {
        self.tasks()
            .iter()
            .map(|(task, pulse)| (*task, pulse.is_alive(*task, now)))
            .collect()
    }

    /// Returns the tasks that should be running and are not.
    pub fn dead(&self) -> Vec<Task> {
        self.all()
            .into_iter()
            .filter_map(|(task, is_alive)| (!is_alive).then_some(task))
            .collect()
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<Task, Pulse>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_dead_when_it_is_lost_or_silent_for_too_long() {
        let liveness = Liveness::default();
        let begun = Instant::now();
        let dead_after = |seconds| -> Vec<Task> {
            let all = liveness.all_at(begun + Duration::from_secs(seconds));
            all.into_iter()
                .filter_map(|(task, is_alive)| (!is_alive).then_some(task))
                .collect()
        };
        for task in [Task::Work, Task::Requests, Task::Sweep] {
            liveness.begun(task);
        }
        assert_eq!((dead_after(0), liveness.dead()), (vec![], vec![]));
        liveness.lost(Task::Sweep);
        assert_eq!(liveness.dead(), [Task::Sweep]);
        liveness.begun(Task::Sweep);
        assert_eq!(dead_after(119), []);
        assert_eq!(
            dead_after(180),
            [Task::Work],
            "who waits for others may be silent"
        );
        liveness.beat(Task::Work);
        assert_eq!(liveness.dead(), []);
        // A heartbeat before the start and a requested end have no effect.
        liveness.beat(Task::Epochs);
        liveness.ended(Task::Work);
        assert_eq!(
            liveness.all(),
            [(Task::Sweep, true), (Task::Requests, true)]
        );
    }
}
