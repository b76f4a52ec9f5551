//! Log lines, written to standard error by a dedicated thread.
//!
//! Owns the queue of that thread. Never blocks and never fails: a line that cannot be written now
//! (the pipe is closed, the disk is full, the reader is stuck) is dropped and counted. `eprintln!`
//! would panic there, and so does `tracing-subscriber` when its writer returns an error.

use std::{
    io::{self, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// The most waiting lines. Further ones are dropped, so that a stuck reader costs a bounded amount
/// of memory and nothing else.
const QUEUE: usize = 4096;

static LOST: AtomicU64 = AtomicU64::new(0);
static QUEUED: OnceLock<SyncSender<LogMessage>> = OnceLock::new();

enum LogMessage {
    Line(Vec<u8>),
    /// Answered when every message before it was written.
    Flush(SyncSender<()>),
}

/// Starts the writing thread, and returns its queue.
///
/// # Errors
/// If the system cannot start a thread.
pub(super) fn to_standard_error() -> io::Result<Queue> {
    let queue = to(io::stderr())?;
    let _ = QUEUED.set(queue.0.clone());
    Ok(queue)
}

fn to(sink: impl Write + Send + 'static) -> io::Result<Queue> {
    let (sender, messages) = sync_channel(QUEUE);
    std::thread::Builder::new()
        .name("log".into())
        .spawn(move || write_all(&messages, sink))?;
    Ok(Queue(sender))
}

fn write_all(messages: &Receiver<LogMessage>, mut sink: impl Write) {
    for message in messages {
        match message {
            LogMessage::Line(line) if sink.write_all(&line).is_err() => lose(),
            LogMessage::Line(_) => {}
            LogMessage::Flush(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

fn lose() {
    LOST.fetch_add(1, Ordering::Relaxed);
}

/// Returns the number of lines that were dropped since the process began.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Waits until the lines so far are written, at most for `patience`; for a process that is about to
/// end.
pub fn flush(patience: Duration) {
    let Some(queue) = QUEUED.get() else { return };
    let (done, written) = sync_channel(1);
    if queue.try_send(LogMessage::Flush(done)).is_ok() {
        let _ = written.recv_timeout(patience);
    }
}

/// The queue of the thread. `tracing-subscriber` writes one line at a time.
#[derive(Clone)]
pub(super) struct Queue(SyncSender<LogMessage>);

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.try_send(LogMessage::Line(line.to_vec())).is_err() {
            lose();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refuses every write, as a full disk does.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Blocks on a write, as a pipe without a reader does.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn wait_for_the_end_of(queue: &Queue) {
        let (done, written) = sync_channel(1);
        queue.0.send(LogMessage::Flush(done)).unwrap();
        written.recv().unwrap();
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_nobody_waits_for_them() {
        let before = lost();
        let mut full = to(Full).unwrap();
        for _ in 0..10 {
            full.write_all(b"a line\n")
                .expect("writing a line never fails");
        }
        wait_for_the_end_of(&full);
        assert_eq!(lost() - before, 10);

        let (release, held) = sync_channel(0);
        let mut stuck = to(Stuck(held)).unwrap();
        for _ in 0..QUEUE + 100 {
            stuck
                .write_all(b"a line\n")
                .expect("writing a line never fails");
        }
        // One line may be in the writer.
        assert!((99..=100).contains(&(lost() - before - 10)), "{}", lost());
        drop(release);
        wait_for_the_end_of(&stuck);
    }
}
