//! Group commit: items that arrive while a transaction is being written queue up and share the next
//! one. Each caller is answered only after the commit that holds its item.
//!
//! Owns the queue, and the search for an item that a database refuses. Refuses to know what an item
//! is: the caller commits a batch.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::error::Error;

/// Most items in one transaction.
const BATCH: usize = 256;
/// Most items that may wait. Beyond this limit the caller is asked to retry.
const QUEUE: usize = 4096;

/// Commits batches of items.
pub trait GroupCommit<T>: Sync {
    /// Makes all of these items durable, or none.
    ///
    /// # Errors
    /// Why none is.
    fn commit(&self, batch: &[&T]) -> impl Future<Output = Result<(), CommitFailure>> + Send;
}

/// Why a batch was not committed.
#[derive(Debug)]
pub enum CommitFailure {
    /// One of the items may be the cause: the others may be committed without it.
    OfItem(Error),
    /// No item can be committed now.
    OfAll(Error),
}

impl From<Error> for CommitFailure {
    fn from(error: Error) -> Self {
        if error.may_be_caused_by_data() {
            Self::OfItem(error)
        } else {
            Self::OfAll(error)
        }
    }
}

/// The sending end of a queue. Clones share one queue.
pub struct GroupSender<T>(mpsc::Sender<Waiting<T>>);

impl<T> Clone for GroupSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Waiting<T> {
    item: T,
    answer: oneshot::Sender<Result<(), Error>>,
}

/// The receiving end of a queue.
pub struct GroupReceiver<T> {
    // Behind a mutex, so that the task can be restarted after a panic.
    queue: Arc<Mutex<mpsc::Receiver<Waiting<T>>>>,
}

/// Creates both ends of a queue.
pub fn channel<T>() -> (GroupSender<T>, GroupReceiver<T>) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let queue = Arc::new(Mutex::new(queue));
    (GroupSender(sender), GroupReceiver { queue })
}

impl<T> GroupSender<T> {
    /// Returns when the item is durable.
    ///
    /// # Errors
    /// [`Error::Unstorable`] if the database refuses its content. [`Error::Unavailable`] otherwise:
    /// the item is not durable, and should be sent again.
    pub async fn send(&self, item: T) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.0
            .try_send(Waiting { item, answer })
            .map_err(|_| Error::Unavailable("too many callbacks are waiting".into()))?;
        answered
            .await
            .unwrap_or_else(|_| Err(Error::Unavailable("the service is stopping".into())))
    }
}

impl<T: Send + Sync> GroupReceiver<T> {
    /// Commits batches until every [`GroupSender`] is dropped and the queue is empty. Another call
    /// continues with the same queue; callers whose batch was interrupted are asked to retry.
    pub async fn run(&self, committer: &impl GroupCommit<T>) {
        let mut queue = self.queue.lock().await;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            if queue.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            settle(batch, committer).await;
        }
    }
}

/// Commits a batch and answers each caller in it. If the batch fails and one item may be the cause,
/// each half is tried by itself: only the bad item fails, after a binary search.
async fn settle<T: Send + Sync>(batch: Vec<Waiting<T>>, committer: &impl GroupCommit<T>) {
    let mut batches = vec![batch];
    while let Some(mut batch) = batches.pop() {
        let items: Vec<&T> = batch.iter().map(|waiting| &waiting.item).collect();
        match committer.commit(&items).await {
            Ok(()) => answer(batch, || Ok(())),
            Err(CommitFailure::OfItem(_)) if batch.len() > 1 => {
                let half = batch.split_off(batch.len() / 2);
                batches.extend([half, batch]);
            }
            Err(CommitFailure::OfItem(Error::Unstorable)) => {
                answer(batch, || Err(Error::Unstorable));
            }
            Err(CommitFailure::OfItem(error) | CommitFailure::OfAll(error)) => {
                answer(batch, || Err(Error::Unavailable(error.to_string())));
            }
        }
    }
}

/// Answers every caller of a batch. A caller that is gone learns the result from its next attempt.
fn answer<T>(batch: Vec<Waiting<T>>, result: impl Fn() -> Result<(), Error>) {
    for waiting in batch {
        let _ = waiting.answer.send(result());
    }
}
