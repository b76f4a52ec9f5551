//! The socket of one connection, and the only path of outgoing bytes.
//!
//! Owns the path from a body to the peer: the chunks for `hyper`, the size of the socket's buffer,
//! the write time-out, and the end. INVARIANT: before every write, the guards of all streams with
//! bytes in it are checked. A connection that ends before such a stream has ended properly is
//! reset, so that the bytes in its socket are discarded. Refuses to know the reason why a stream
//! must end.
//!
//! Bytes that the peer has acknowledged cannot be recalled, in whatever buffer they are. Only the
//! rate `server.limits.media_bytes_per_s` bounds their number.

use std::{
    io::{self, IoSlice},
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::header,
    response::Response,
};
use hyper::body::Frame;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use crate::flow::{Ended, StreamGuard};

/// The largest chunk of a guarded body, in bytes. Half a second of 8 kHz 16-bit stereo.
const PIECE: usize = 16 * 1024;
/// The requested send buffer of a socket with guarded bytes. Linux doubles it for bookkeeping: at
/// most about one second of 8 kHz 16-bit stereo is in transit.
const SEND_BUFFER: usize = 16 * 1024;
/// The most unsent bytes in a socket before it accepts no more.
const NOT_SENT: u32 = 16 * 1024;

/// The socket of a connection.
pub(super) struct GuardedSocket {
    stream: TcpStream,
    line: Arc<SocketState>,
    has_small_buffer: bool,
    /// The longest time for which the peer may accept no byte.
    patience: Duration,
    /// Runs while the peer accepts no byte.
    stall: Option<Pin<Box<Sleep>>>,
}

/// The state that a socket shares with the bodies on it.
#[derive(Default)]
pub(super) struct SocketState(Mutex<Vec<CarriedStream>>);

/// A stream whose bytes may be in the socket.
struct CarriedStream {
    guard: StreamGuard,
    ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
    /// Waits until bytes may be sent.
    fresh: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whether its body has ended properly.
    is_whole: Arc<AtomicBool>,
}

impl SocketState {
    fn lock(&self) -> MutexGuard<'_, Vec<CarriedStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the guard from an answer, if it has one, and passes its body on in chunks, at most
    /// `pace` bytes per second.
    pub(super) fn carry(
        self: &Arc<Self>,
        mut response: Response,
        pace: Option<NonZeroU32>,
    ) -> Response {
        let Some(guard) = response.extensions_mut().remove::<StreamGuard>() else {
            return response;
        };
        let length = response.headers().get(header::CONTENT_LENGTH);
        let left = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let is_whole = Arc::new(AtomicBool::new(left == Some(0)));
        let ended = {
            let guard = guard.clone();
            Box::pin(async move { guard.ended().await })
        };
        self.lock().push(CarriedStream {
            guard,
            ended,
            fresh: None,
            is_whole: Arc::clone(&is_whole),
        });
        let line = Arc::clone(self);
        response.map(|body| {
            Body::new(Carried {
                body,
                rest: Bytes::new(),
                left,
                line,
                is_whole,
                pace: pace.map(Throttle::of),
            })
        })
    }

    fn poll_ended(&self, context: &mut Context<'_>) -> Option<Ended> {
        self.lock()
            .iter_mut()
            .find_map(|held| match held.guard.has_ended() {
                Some(ended) => Some(ended),
                None => match held.ended.as_mut().poll(context) {
                    Poll::Ready(ended) => {
                        // The next poll returns the same.
                        held.ended = Box::pin(std::future::poll_fn(move |_| Poll::Ready(ended)));
                        Some(ended)
                    }
                    Poll::Pending => None,
                },
            })
    }

    /// Ready when the guards' last check of the database is recent.
    fn poll_fresh(&self, context: &mut Context<'_>) -> Poll<()> {
        for held in self.lock().iter_mut() {
            while !held.guard.is_fresh() {
                let guard = held.guard.clone();
                let fresh = held
                    .fresh
                    .get_or_insert_with(|| Box::pin(async move { guard.fresh().await }));
                ready!(fresh.as_mut().poll(context));
                held.fresh = None;
            }
        }
        Poll::Ready(())
    }

    /// Records that all written bytes are in the socket.
    fn flushed(&self) {
        self.lock()
            .retain(|held| !held.is_whole.load(Ordering::Acquire));
    }

    fn is_holding(&self) -> bool {
        !self.lock().is_empty()
    }
}

impl GuardedSocket {
    pub(super) fn new(stream: TcpStream, line: Arc<SocketState>, patience: Duration) -> Self {
        // On every connection: a socket that accepts megabytes at once would then seem to accept
        // nothing for a minute.
        #[cfg(target_os = "linux")]
        if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(NOT_SENT) {
            tracing::warn!(%error, "the buffer of a connection cannot be bounded");
        }
        Self {
            stream,
            line,
            has_small_buffer: false,
            patience,
            stall: None,
        }
    }

    /// Writes, if the guards permit it.
    fn poll_out(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Some(ended) = self.line.poll_ended(context) {
            return Poll::Ready(Err(self.cut(
                "silenced",
                io::ErrorKind::ConnectionAborted,
                ended,
            )));
        }
        if self.line.poll_fresh(context).is_pending() {
            // The service itself causes the wait, so the write time-out does not run.
            self.stall = None;
            return Poll::Pending;
        }
        if !self.has_small_buffer && self.line.is_holding() {
            self.shrink_send_buffer();
        }
        let written = write(Pin::new(&mut self.stream), context);
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self
            .stall
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        ready!(stall.as_mut().poll(context));
        Poll::Ready(Err(self.cut(
            "write_timeout",
            io::ErrorKind::TimedOut,
            "the other end accepts no bytes",
        )))
    }

    /// Reduces the send buffer, at the first guarded byte.
    fn shrink_send_buffer(&mut self) {
        self.has_small_buffer = true;
        if let Err(error) = socket2::SockRef::from(&self.stream).set_send_buffer_size(SEND_BUFFER) {
            tracing::warn!(%error, "the buffer of a connection cannot be reduced");
        }
    }

    /// Sets the connection to be reset on close, which discards the bytes in its socket.
    fn cut(&self, why: &'static str, kind: io::ErrorKind, error: impl ToString) -> io::Error {
        metrics::counter!("recvault_connections_cut_total", "why" => why).increment(1);
        self.reset();
        io::Error::new(kind, error.to_string())
    }

    fn reset(&self) {
        if let Err(error) = self.stream.set_zero_linger() {
            tracing::warn!(%error, "a connection cannot be reset");
        }
    }
}

impl Drop for GuardedSocket {
    fn drop(&mut self) {
        // The body failed, or the connection was aborted after the grace period: an orderly end
        // would be misleading.
        if self.line.is_holding() {
            self.reset();
        }
    }
}

impl AsyncRead for GuardedSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for GuardedSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(context, |stream, context| {
            stream.poll_write_vectored(context, bytes)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        // `hyper` flushes only when its own buffer is empty.
        self.line.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A guarded body, in chunks.
struct Carried {
    body: Body,
    rest: Bytes,
    /// The remaining bytes, if known: `hyper` then does not poll for the end.
    left: Option<u64>,
    line: Arc<SocketState>,
    is_whole: Arc<AtomicBool>,
    pace: Option<Throttle>,
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        // Before any wait below.
        if let Some(ended) = this.line.poll_ended(context) {
            return Poll::Ready(Some(Err(axum::Error::new(ended))));
        }
        if let Some(pace) = &mut this.pace {
            ready!(pace.poll_due(context));
        }
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                None => {
                    this.is_whole.store(true, Ordering::Release);
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        if let Some(left) = &mut this.left {
            *left = left.saturating_sub(piece.len() as u64);
            this.is_whole.store(*left == 0, Ordering::Release);
        }
        if let Some(pace) = &mut this.pace {
            pace.spend(piece.len());
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

/// A rate in bytes per second, with a burst of one second at the beginning and after a pause.
struct Throttle {
    per_second: NonZeroU32,
    /// The time at which the passed bytes have been played.
    heard: Instant,
    due: Option<Pin<Box<Sleep>>>,
}

/// The longest lead of a throttled stream over its playback.
const AHEAD: Duration = Duration::from_secs(1);

impl Throttle {
    fn of(per_second: NonZeroU32) -> Self {
        Self {
            per_second,
            heard: Instant::now(),
            due: None,
        }
    }

    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(due) = &mut self.due {
            ready!(due.as_mut().poll(context));
            self.due = None;
        }
        Poll::Ready(())
    }

    fn spend(&mut self, bytes: usize) {
        let now = Instant::now();
        let lasts = Duration::from_secs(bytes as u64) / self.per_second.get();
        self.heard = self.heard.max(now) + lasts;
        self.due = (self.heard > now + AHEAD)
            .then(|| Box::pin(tokio::time::sleep_until(self.heard - AHEAD)));
    }
}

#[cfg(test)]
mod tests;
