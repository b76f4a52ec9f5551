//! Answers to requests that no handler has read: `hyper`'s own answer to a request that is not
//! HTTP, with a problem as its body, and the answer to a client with too many connections.
//!
//! Owns the form of such an answer. `hyper` has no option to change its own answers: it writes a
//! bare head, which is replaced here before it reaches the socket. INVARIANT: nothing else is
//! changed; an answer of the router with one of these statuses is never empty. A request that
//! `hyper` does not answer at all (headers that never end) stays without an answer.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, ready},
};

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::api::Problem;

/// The header that marks an answer written by hyper itself: it has no body.
const EMPTY: &str = "content-length: 0\r\n";

/// Returns the answer to a client that has reached its limit of connections. Its request is not
/// read, so the answer may not arrive.
pub(super) fn crowded() -> &'static [u8] {
    static CROWDED: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let head = format!(
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n{EMPTY}\r\n"
        );
        with_body(&head, &Problem::crowded())
    });
    &CROWDED
}

/// Adds a problem as the body to a bare head.
fn with_body(head: &str, problem: &Problem) -> Vec<u8> {
    let json = problem.to_json();
    let described = format!(
        "content-type: application/problem+json\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\ncontent-length: {}\r\n",
        json.len()
    );
    let mut answer = head.replacen(EMPTY, &described, 1);
    answer.push_str(&json);
    answer.into_bytes()
}

/// Returns the whole answer, if these bytes are `hyper`'s own answer to an unreadable request.
fn explained(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let problem = Problem::unreadable(status)?;
    let head = str::from_utf8(bytes).ok()?;
    let is_bare = head.contains(EMPTY) && head.find("\r\n\r\n") == Some(head.len() - 4);
    is_bare.then(|| with_body(head, &problem))
}

/// A connection on which `hyper`'s own answers get a problem as their body.
pub(super) struct ProblemBodies<W> {
    wire: W,
    /// The remaining bytes of a replaced answer.
    replacement: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> ProblemBodies<W> {
    pub(super) fn over(wire: W) -> Self {
        Self {
            wire,
            replacement: Vec::new(),
        }
    }

    fn poll_replacement(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replacement.is_empty() {
            let written = ready!(Pin::new(&mut self.wire).poll_write(context, &self.replacement))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replacement.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Replaces an answer of `hyper`'s own.
    fn take(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Option<Poll<io::Result<usize>>> {
        self.replacement = explained(bytes)?;
        Some(match self.poll_replacement(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // The remaining bytes are written by the flush.
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
        })
    }
}

impl<W: AsyncRead + Unpin> AsyncRead for ProblemBodies<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for ProblemBodies<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(context))?;
        match self.take(context, bytes) {
            Some(taken) => taken,
            None => Pin::new(&mut self.wire).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(context))?;
        // An answer of `hyper`'s own is written alone.
        if let [only] = slices
            && let Some(taken) = self.take(context, only)
        {
            return taken;
        }
        Pin::new(&mut self.wire).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_answer_to_what_cannot_be_read_is_explained() {
        let bare = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let answer = String::from_utf8(explained(bare.as_bytes()).unwrap()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"));
        assert!(head.ends_with(&format!("content-length: {}\r\ndate: now", body.len())));
        assert!(body.contains("\"/problems/bad-request\""), "{body}");
        for other in [
            "",
            "HTTP/1.1",
            &bare.replace("400 Bad Request", "404 Not Found"),
            &bare.replace("400 Bad Request", "200 OK"),
            &bare.replace("length: 0", "length: 2"),
            &format!("{bare}x"),
            &bare[1..],
            &bare[..bare.len() - 1],
        ] {
            assert_eq!(explained(other.as_bytes()), None, "{other}");
        }
    }
}
