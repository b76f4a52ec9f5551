//! A store in memory whose parts wait at a gate that the test opens, or fail there.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use futures_util::{FutureExt, future::BoxFuture, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart, memory::InMemory,
    path::Path,
};
use tokio::sync::Semaphore;

use crate::store::Store;

/// The test's control of the gate.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    passes: Semaphore,
    failing: AtomicBool,
    waiting: AtomicUsize,
    most: AtomicUsize,
    unfinished: AtomicUsize,
}

/// Returns a store whose gate is shut.
pub(super) fn shut() -> (Gate, Store) {
    let state = State {
        passes: Semaphore::new(0),
        failing: false.into(),
        waiting: 0.into(),
        most: 0.into(),
        unfinished: 0.into(),
    };
    let gate = Gate(Arc::new(state));
    (
        gate.clone(),
        Store::over(Arc::new(Gated {
            gate,
            inner: InMemory::new(),
        })),
    )
}

impl Gate {
    pub(super) fn let_pass(&self, parts: usize) {
        self.0.passes.add_permits(parts);
    }

    pub(super) fn fail(&self) {
        self.0.failing.store(true, SeqCst);
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.0.most.load(SeqCst)
    }

    /// Returns the number of uploads that were begun, and neither completed nor aborted.
    pub(super) fn unfinished(&self) -> usize {
        self.0.unfinished.load(SeqCst)
    }

    async fn pass(&self) -> Result<()> {
        self.0
            .most
            .fetch_max(self.0.waiting.fetch_add(1, SeqCst) + 1, SeqCst);
        self.0.passes.acquire().await.unwrap().forget();
        self.0.waiting.fetch_sub(1, SeqCst);
        if self.0.failing.load(SeqCst) {
            return Err(object_store::Error::Generic {
                store: "gate",
                source: "shut for good".into(),
            });
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Gated {
    gate: Gate,
    inner: InMemory,
}

#[derive(Debug)]
struct GatedUpload {
    gate: Gate,
    inner: Box<dyn MultipartUpload>,
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gated")
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl MultipartUpload for GatedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let gate = self.gate.clone();
        let part = self.inner.put_part(data);
        let passed: BoxFuture<'static, Result<()>> = async move {
            gate.pass().await?;
            part.await
        }
        .boxed();
        passed
    }

    fn complete<'a, 'f>(&'a mut self) -> Answer<'f, PutResult>
    where
        'a: 'f,
    {
        async move {
            let done = self.inner.complete().await?;
            self.gate.0.unfinished.fetch_sub(1, SeqCst);
            Ok(done)
        }
        .boxed()
    }

    fn abort<'a, 'f>(&'a mut self) -> Answer<'f, ()>
    where
        'a: 'f,
    {
        async move {
            self.inner.abort().await?;
            self.gate.0.unfinished.fetch_sub(1, SeqCst);
            Ok(())
        }
        .boxed()
    }
}

impl ObjectStore for Gated {
    fn put_opts<'a, 'b, 'f>(
        &'a self,
        location: &'b Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Answer<'f, PutResult>
    where
        'a: 'f,
        'b: 'f,
    {
        self.inner.put_opts(location, payload, opts)
    }

    fn put_multipart_opts<'a, 'b, 'f>(
        &'a self,
        location: &'b Path,
        opts: PutMultipartOptions,
    ) -> Answer<'f, Box<dyn MultipartUpload>>
    where
        'a: 'f,
        'b: 'f,
    {
        async move {
            let inner = self.inner.put_multipart_opts(location, opts).await?;
            self.gate.0.unfinished.fetch_add(1, SeqCst);
            Ok(Box::new(GatedUpload {
                gate: self.gate.clone(),
                inner,
            }) as Box<dyn MultipartUpload>)
        }
        .boxed()
    }

    fn get_opts<'a, 'b, 'f>(
        &'a self,
        location: &'b Path,
        options: GetOptions,
    ) -> Answer<'f, GetResult>
    where
        'a: 'f,
        'b: 'f,
    {
        self.inner.get_opts(location, options)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'f>(&'a self, prefix: Option<&'b Path>) -> Answer<'f, ListResult>
    where
        'a: 'f,
        'b: 'f,
    {
        self.inner.list_with_delimiter(prefix)
    }

    fn copy_opts<'a, 'b, 'c, 'f>(
        &'a self,
        from: &'b Path,
        to: &'c Path,
        options: CopyOptions,
    ) -> Answer<'f, ()>
    where
        'a: 'f,
        'b: 'f,
        'c: 'f,
    {
        self.inner.copy_opts(from, to, options)
    }
}
