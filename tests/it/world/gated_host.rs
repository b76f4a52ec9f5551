//! A media host that stops in the middle of a file until the test continues it.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, http::header};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// Serves one file on every path. Stops on drop.
pub(crate) struct GatedHost {
    pub(crate) url: String,
    gate: Arc<Gate>,
    _serving: JoinSet<()>,
}

struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl GatedHost {
    pub(crate) async fn start(wav: Bytes) -> Self {
        let gate = Arc::new(Gate {
            reached: Semaphore::new(0),
            open: Semaphore::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/media", listener.local_addr().unwrap());
        let own = Arc::clone(&gate);
        let answer = async move || {
            let first = wav.slice(..wav.len() / 2);
            let rest = wav.slice(wav.len() / 2..);
            let rest = stream::once(async move {
                own.reached.add_permits(1);
                own.open.acquire().await.unwrap().forget();
                rest
            });
            let body = stream::iter([first]).chain(rest).map(Ok::<_, Infallible>);
            (
                [(header::CONTENT_TYPE, "audio/x-wav")],
                Body::from_stream(body),
            )
        };
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            axum::serve(listener, Router::new().fallback(answer))
                .await
                .unwrap()
        });
        Self {
            url,
            gate,
            _serving: serving,
        }
    }

    /// Waits until a request is in the middle of the file.
    pub(crate) async fn reached(&self) {
        self.gate.reached.acquire().await.unwrap().forget();
    }

    /// Continues one of the waiting requests.
    pub(crate) fn open(&self) {
        self.gate.open.add_permits(1);
    }
}
