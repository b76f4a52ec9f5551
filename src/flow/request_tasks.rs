//! Tasks of requests: a request that changes something runs to its end, even if the client
//! disconnects.
//!
//! Owns the tasks in which such requests run. A client that disconnects, or a response that takes
//! too long, drops only the waiting and not the task: a shred is not stopped between its commit and
//! its journal. Refuses to know what runs. The service waits for all tasks when it stops.

use tokio_util::task::TaskTracker;

/// The task panicked. The log has the location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs tasks to their end.
#[derive(Clone, Debug, Default)]
pub struct RequestTasks {
    running: TaskTracker,
}

impl RequestTasks {
    /// Runs `work` to its end, even if this future is dropped.
    ///
    /// # Errors
    /// [`Panicked`].
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Panicked> {
        self.running.spawn(work).await.map_err(|_| Panicked)
    }

    /// Waits until all running tasks have ended. Must be called after the last request.
    pub async fn idle(&self) {
        self.running.close();
        self.running.wait().await;
    }
}
