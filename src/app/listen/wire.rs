//! The socket of one connection, and the only way on which bytes leave over it.
//!
//! Owns the path from a body to the peer: the pieces that are handed to `hyper`, the size of the
//! socket's buffer, the write time-out, and the end. INVARIANT:
//! every write asks the guards of the streams whose bytes it may carry, and a connection that ends
//! before such a stream has come to its own end is reset, so that what its socket still holds is
//! thrown away. Refuses to know why a stream must end.
//!
//! What the other end has acknowledged is out of reach, in whatever buffer it lies.
//! `server.limits.media_bytes_per_s` bounds that, by the pace alone.

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

/// Bytes of a guarded body that are handed on at a time. Half a second of 8 kHz 16-bit stereo.
const PIECE: usize = 16 * 1024;
/// What a socket that carries guarded bytes is asked to hold. Linux takes twice that, for
/// bookkeeping: about one second of 8 kHz 16-bit stereo is under way at most.
const SEND_BUFFER: usize = 16 * 1024;
/// More is not taken by a socket while so many bytes have not even been sent.
const NOT_SENT: u32 = 16 * 1024;

/// The socket of a connection.
pub(super) struct GuardedSocket {
    stream: TcpStream,
    line: Arc<SocketState>,
    has_small_buffer: bool,
    /// How long the peer may accept no byte.
    patience: Duration,
    /// Runs while it does.
    stall: Option<Pin<Box<Sleep>>>,
}

/// The state that a socket shares with the bodies on it.
#[derive(Default)]
pub(super) struct SocketState(Mutex<Vec<CarriedStream>>);

/// A stream whose bytes may be in the socket.
struct CarriedStream {
    guard: StreamGuard,
    ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
    /// Waits until bytes may leave.
    fresh: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Its body has come to its proper end.
    is_whole: Arc<AtomicBool>,
}

impl SocketState {
    fn lock(&self) -> MutexGuard<'_, Vec<CarriedStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the guard out of an answer, if it has one, and lets its body through piece by piece,
    /// `pace` bytes a second at most.
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

    /// Ready when the database was asked recently.
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

    /// Everything that was written is in the socket.
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
        // On every connection: a socket that takes megabytes at once would seem to take nothing for
        // a minute.
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

    /// Writes, if the guards allow it.
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
            // The wait is ours, so the write time-out does not run.
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

    /// From the first guarded byte on, the socket has a small buffer.
    fn shrink_send_buffer(&mut self) {
        self.has_small_buffer = true;
        if let Err(error) = socket2::SockRef::from(&self.stream).set_send_buffer_size(SEND_BUFFER) {
            tracing::warn!(%error, "the buffer of a connection cannot be reduced");
        }
    }

    /// The connection will be reset, and what its socket holds is thrown away.
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
        // A body that failed, a connection that was cut at the end of the grace: an end that looks
        // proper would be a lie.
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
        // `hyper` flushes only when it holds nothing itself.
        self.line.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A guarded body, piece by piece.
struct Carried {
    body: Body,
    rest: Bytes,
    /// Bytes that are still to come, where that is known: `hyper` does not ask for the end then.
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

/// A rate in bytes a second, with one second's worth at the beginning and after a pause.
struct Throttle {
    per_second: NonZeroU32,
    /// When a listener would have heard everything that was handed on.
    heard: Instant,
    due: Option<Pin<Box<Sleep>>>,
}

/// How far a paced stream may be ahead of its listener.
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
