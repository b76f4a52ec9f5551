//! Rules of HTTP/1.1 for every request and answer.
//!
//! Owns the check of `Host`, and the closing of a connection whose request body was not read to its
//! end. Refuses to know routes.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, Version, header, uri::Authority},
    middleware::Next,
    response::Response,
};
use hyper::body::{Frame, SizeHint};

use super::problem::Problem;

/// Refuses an HTTP/1.1 request without exactly one `Host` (RFC 9112, section 3.2): two parsers
/// could disagree about its target.
pub(super) async fn require_host(request: Request, next: Next) -> Result<Response, Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let fault = match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => Some("the request has no `Host`"),
        (Some(_), Some(_)) => Some("the request has several `Host`"),
        (Some(host), None) if is_host(host) => None,
        (Some(_), None) => Some("`Host` is no host: expected a name or address, and maybe a port"),
    };
    match fault {
        Some(fault) => Err(Problem::bad_request(fault)),
        None => Ok(next.run(request).await),
    }
}

/// Whether a value is a name or address, with an optional port and without a user.
fn is_host(value: &HeaderValue) -> bool {
    Authority::try_from(value.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

/// Closes the connection after an answer that was sent before the end of the request body: the rest
/// of the body would be parsed as the next request.
pub(super) async fn close_if_body_unread(request: Request, next: Next) -> Response {
    let is_read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let body = Arc::clone(&is_read);
    let request = request.map(|inner| {
        Body::new(Watched {
            inner,
            is_read: body,
        })
    });
    let mut response = next.run(request).await;
    if !is_read.load(Ordering::Acquire) {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that records whether it was read to its end.
struct Watched {
    inner: Body,
    is_read: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if frame.is_none() || self.inner.is_end_stream() {
            self.is_read.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (text, is) in [
            ("vault.example.com", true),
            ("vault.example.com:8443", true),
            ("127.0.0.1:8080", true),
            ("[2001:db8::1]:8080", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
            ("somebody@vault.example.com", false),
            ("http://vault.example.com", false),
        ] {
            assert_eq!(is_host(&HeaderValue::from_str(text).unwrap()), is, "{text}");
        }
    }
}
