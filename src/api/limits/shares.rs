//! A cap on concurrent connections or requests per client.
//!
//! Owns the count. Its memory is bounded by the counted connections: a client without any has no
//! entry.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use hyper::body::{Frame, SizeHint};

use super::RateLimitKey;

/// The open connections or requests of each client. Clones share the count.
#[derive(Clone)]
pub(crate) struct Shares {
    most: usize,
    open: Arc<Mutex<HashMap<RateLimitKey, usize>>>,
}

/// One open connection or request of a client, released on drop.
pub(crate) struct Share {
    shares: Shares,
    client: RateLimitKey,
}

impl Shares {
    /// Permits at most `most` for each client.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            open: Arc::default(),
        }
    }

    /// Counts one more for this client; `None` if it has reached the limit.
    pub(crate) fn enter(&self, client: RateLimitKey) -> Option<Share> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(client).or_default();
        if *count >= self.most {
            metrics::counter!("recvault_limited_total", "what" => "connections").increment(1);
            return None;
        }
        *count += 1;
        Some(Share {
            shares: self.clone(),
            client,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self
            .shares
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

impl Share {
    /// Releases the share when the body of the answer ends.
    pub(super) fn until_the_end_of(self, response: Response) -> Response {
        response.map(|body| Body::new(CountedBody { body, _share: self }))
    }
}

/// A body that holds a share.
struct CountedBody {
    body: Body,
    _share: Share,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_share_and_who_has_nothing_open_is_forgotten() {
        let shares = Shares::new(2);
        let one = RateLimitKey::of(Some([192, 0, 2, 1].into()));
        let other = RateLimitKey::of(None);
        let held = [shares.enter(one).unwrap(), shares.enter(one).unwrap()];
        assert!(shares.enter(one).is_none());
        let another = shares.enter(other).unwrap();
        drop(held);
        assert!(shares.enter(one).is_some());
        drop(another);
        assert!(shares.open.lock().unwrap().is_empty());
    }
}
