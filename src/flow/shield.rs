//! What was begun runs to its end, whoever waits for it.
//!
//! Owns the tasks in which requests run that change something. A client that goes away, or an
//! answer that takes too long, drops what waits for such a task and not the task: a shred is not
//! left between its commit and its journal. Refuses to know what runs. The service waits for all of
//! them when it stops.

use tokio_util::task::TaskTracker;

/// What ran has panicked. The log says where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// The tasks that run to their end.
#[derive(Clone, Debug, Default)]
pub struct Shield {
    running: TaskTracker,
}

impl Shield {
    /// Runs `work` to its end, also when the answer is not waited for.
    ///
    /// # Errors
    /// [`Panicked`].
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Panicked> {
        self.running.spawn(work).await.map_err(|_| Panicked)
    }

    /// Waits until everything that runs has ended. To be called when no request comes in any more.
    pub async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
    }
}
