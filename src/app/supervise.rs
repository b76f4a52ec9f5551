//! Long-lived tasks: started, monitored, restarted when they end unexpectedly, and awaited when the
//! service stops.
//!
//! Owns the pauses before a restart. Refuses to know the work of a task. INVARIANT: every task with
//! the lifetime of the service was started here; `tests/tidy.rs` permits no other file of `app` to
//! start a task, except for the one task of each connection.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    flow::{Liveness, Task},
    model::numerals,
};

/// The pauses before a task is restarted.
#[derive(Clone, Copy)]
struct Pauses {
    /// The first pause; it doubles with each restart.
    first: Duration,
    /// The longest pause.
    longest: Duration,
    /// The running time after which the next pause is the first one again.
    recovered: Duration,
}

const PAUSES: Pauses = Pauses {
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    recovered: Duration::from_secs(300),
};

/// The tasks of a service.
pub(super) struct Tasks {
    stop: CancellationToken,
    liveness: Liveness,
    pauses: Pauses,
    running: Vec<JoinHandle<()>>,
}

impl Tasks {
    /// Creates an empty set of tasks, which end after `stop`.
    pub(super) fn until(stop: CancellationToken, liveness: Liveness) -> Self {
        Self {
            stop,
            liveness,
            pauses: PAUSES,
            running: Vec::new(),
        }
    }

    /// Runs the future of `make`. If it panics, or ends before `stop`, runs another one after a
    /// pause.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where long-lived tasks start; `ended` waits for them"
    )]
    pub(super) fn keep<F>(&mut self, task: Task, make: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        let liveness = self.liveness.clone();
        // Not when the task is first polled, so that `/readyz` does not report a task as running
        // before it starts.
        liveness.begun(task);
        self.running.push(tokio::spawn(supervise(
            task,
            stop,
            liveness,
            self.pauses,
            make,
        )));
    }

    /// Waits until all tasks have ended.
    pub(super) async fn ended(self) {
        for task in self.running {
            let _ = task.await;
        }
    }
}

async fn supervise<F>(
    task: Task,
    stop: CancellationToken,
    liveness: Liveness,
    pauses: Pauses,
    make: impl Fn() -> F + Send + Sync,
) where
    F: Future<Output = ()> + Send,
{
    let mut pause = pauses.first;
    loop {
        let begun = Instant::now();
        liveness.begun(task);
        // The future's own state is dropped with it; shared state is behind locks that tolerate a
        // panic, or in the database.
        let ended = AssertUnwindSafe(async { make().await })
            .catch_unwind()
            .await;
        if stop.is_cancelled() {
            break;
        }
        liveness.lost(task);
        let name = task.as_str();
        metrics::counter!("recvault_task_restarts_total", "task" => name).increment(1);
        if begun.elapsed() >= pauses.recovered {
            pause = pauses.first;
        }
        tracing::error!(
            task = name,
            panicked = ended.is_err(),
            "a task ended unexpectedly and is restarted in {}",
            numerals::pause(pause)
        );
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(pauses.longest);
    }
    liveness.ended(task);
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    /// The longest wait for an immediate event; only a failing test waits this long.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Runs a task that fails in its first `bad` runs; returns the pause before each later run.
    async fn rests(bad: usize, fail: fn()) -> Vec<Duration> {
        let stop = CancellationToken::new();
        let liveness = Liveness::default();
        let lives = Arc::new(AtomicUsize::new(0));
        let mut tasks = Tasks::until(stop.clone(), liveness.clone());
        let milliseconds = Duration::from_millis;
        tasks.pauses = Pauses {
            first: milliseconds(20),
            longest: milliseconds(80),
            recovered: Duration::from_secs(300),
        };
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let seen = liveness.clone();
        let stopping = stop.clone();
        tasks.keep(Task::Work, move || {
            let stop = stopping.clone();
            let lives = Arc::clone(&lives);
            let tell = tell.clone();
            let is_alive = seen.dead().is_empty();
            async move {
                tell.send((Instant::now(), is_alive)).unwrap();
                if lives.fetch_add(1, Ordering::SeqCst) < bad {
                    return fail();
                }
                stop.cancelled().await;
            }
        });
        let (mut at, mut begun): (Option<Instant>, Vec<Duration>) = (None, Vec::new());
        for _ in 0..=bad {
            let life = tokio::time::timeout(PATIENCE, told.recv())
                .await
                .expect("it is started again");
            let (now, is_alive) = life.unwrap();
            assert!(is_alive, "who runs again is alive again");
            begun.extend(at.replace(now).map(|before| now - before));
        }
        stop.cancel();
        tasks.ended().await;
        assert_eq!(liveness.all(), []);
        begun
    }

    #[tokio::test]
    async fn a_task_that_panics_is_started_again_after_pauses_that_grow() {
        let rests = rests(4, || panic!("for the test")).await;
        let least = [20, 40, 80, 80].map(Duration::from_millis);
        assert!(
            rests.len() == 4 && rests.iter().zip(least).all(|(rest, least)| *rest >= least),
            "{rests:?}"
        );
    }

    #[tokio::test]
    async fn a_task_that_returns_too_early_is_started_again() {
        assert_eq!(rests(2, || {}).await.len(), 2);
    }

    #[tokio::test]
    async fn a_task_that_rests_is_not_alive() {
        let stop = CancellationToken::new();
        let liveness = Liveness::default();
        let mut tasks = Tasks::until(stop.clone(), liveness.clone());
        tasks.pauses.first = Duration::from_secs(3600);
        tasks.keep(Task::Epochs, || async {});
        let dies = async {
            while liveness.dead().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, dies)
            .await
            .expect("it is dead while it rests");
        assert_eq!(liveness.all(), [(Task::Epochs, false)]);
        stop.cancel();
        tasks.ended().await;
    }
}
