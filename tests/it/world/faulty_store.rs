//! A store in memory that fails, waits or is slow on demand.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UploadPart, memory::InMemory, path::Path,
};
use tokio::sync::Semaphore;

/// The requests to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    /// Writes a whole object at once.
    Put,
    /// Begins a multipart upload.
    Begin,
    /// Writes one part of it.
    Part,
    /// Completes it.
    Complete,
    /// Reads bytes of an object.
    Get,
    /// Deletes an object.
    Delete,
}

/// The result of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    /// Success.
    Pass,
    /// A failure without effect.
    Fail,
    /// It takes effect, but the answer is lost.
    Lose,
    /// It waits until [`FaultyStore::open`].
    Gate,
    /// It takes this long.
    Slow(Duration),
}

/// The store and its control. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyStore(Arc<State>);

#[derive(Debug)]
struct State {
    inner: InMemory,
    plans: Mutex<HashMap<Op, VecDeque<Plan>>>,
    met: Mutex<HashMap<Op, usize>>,
    reached: Semaphore,
    open: Semaphore,
}

#[derive(Debug)]
struct FaultyUpload {
    store: FaultyStore,
    inner: Box<dyn MultipartUpload>,
}

impl FaultyStore {
    pub(crate) fn new() -> Self {
        let reached = Semaphore::new(0);
        let open = Semaphore::new(0);
        Self(Arc::new(State {
            inner: InMemory::new(),
            plans: Mutex::default(),
            met: Mutex::default(),
            reached,
            open,
        }))
    }

    /// Plans the next requests of this kind, in order.
    pub(crate) fn plan(&self, op: Op, plans: impl IntoIterator<Item = Plan>) {
        self.0
            .plans
            .lock()
            .unwrap()
            .entry(op)
            .or_default()
            .extend(plans);
    }

    /// Whether every plan was used.
    pub(crate) fn is_through(&self) -> bool {
        self.0
            .plans
            .lock()
            .unwrap()
            .values()
            .all(VecDeque::is_empty)
    }

    /// Returns the number of requests of this kind.
    pub(crate) fn met(&self, op: Op) -> usize {
        self.0
            .met
            .lock()
            .unwrap()
            .get(&op)
            .copied()
            .unwrap_or_default()
    }

    /// Waits until a request is at the gate.
    pub(crate) async fn reached(&self) {
        self.0.reached.acquire().await.unwrap().forget();
    }

    /// Lets one request through the gate.
    pub(crate) fn open(&self) {
        self.0.open.add_permits(1);
    }

    /// Returns the whole content, regardless of plans.
    pub(crate) async fn contents(&self) -> BTreeMap<String, Bytes> {
        let listed: Vec<_> = self.0.inner.list(None).try_collect().await.unwrap();
        let mut contents = BTreeMap::new();
        for object in listed {
            let bytes = self
                .0
                .inner
                .get(&object.location)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            contents.insert(object.location.to_string(), bytes);
        }
        contents
    }

    /// Runs a request as planned.
    async fn meet<T>(&self, op: Op, request: impl Future<Output = Result<T>>) -> Result<T> {
        *self.0.met.lock().unwrap().entry(op).or_default() += 1;
        let plan = self
            .0
            .plans
            .lock()
            .unwrap()
            .get_mut(&op)
            .and_then(VecDeque::pop_front);
        let failure = Err(Error::Generic {
            store: "faulty",
            source: format!("{op:?} was to fail").into(),
        });
        match plan.unwrap_or(Plan::Pass) {
            Plan::Pass => {}
            Plan::Fail => return failure,
            Plan::Lose => return request.await.and(failure),
            Plan::Gate => {
                self.0.reached.add_permits(1);
                self.0.open.acquire().await.unwrap().forget();
            }
            Plan::Slow(time) => tokio::time::sleep(time).await,
        }
        request.await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let store = self.store.clone();
        let part = self.inner.put_part(data);
        async move { store.meet(Op::Part, part).await }.boxed()
    }

    fn complete<'a, 'f>(&'a mut self) -> Answer<'f, PutResult>
    where
        'a: 'f,
    {
        async move { self.store.meet(Op::Complete, self.inner.complete()).await }.boxed()
    }

    fn abort<'a, 'f>(&'a mut self) -> Answer<'f, ()>
    where
        'a: 'f,
    {
        self.inner.abort()
    }
}

impl ObjectStore for FaultyStore {
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
        async move {
            self.meet(Op::Put, self.0.inner.put_opts(location, payload, opts))
                .await
        }
        .boxed()
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
            let inner = self
                .meet(Op::Begin, self.0.inner.put_multipart_opts(location, opts))
                .await?;
            Ok(Box::new(FaultyUpload {
                store: self.clone(),
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
        async move {
            let is_head = options.head;
            let request = self.0.inner.get_opts(location, options);
            if is_head {
                request.await
            } else {
                self.meet(Op::Get, request).await
            }
        }
        .boxed()
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store
                    .meet(Op::Delete, store.0.inner.delete(&location))
                    .await
                    .map(|()| location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.inner.list(prefix)
    }

    fn list_with_delimiter<'a, 'b, 'f>(&'a self, prefix: Option<&'b Path>) -> Answer<'f, ListResult>
    where
        'a: 'f,
        'b: 'f,
    {
        self.0.inner.list_with_delimiter(prefix)
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
        self.0.inner.copy_opts(from, to, options)
    }
}
