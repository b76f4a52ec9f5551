//! Custody that fails or waits on demand, before the real one is called, and records the sealed
//! values.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use recvault::{
    custody::{Change, Custody, Error, Item, Meaning, OpenedSecret, RootName, Slot},
    secret::Key,
};
use tokio::sync::Semaphore;

use super::Plan;

/// The longest wait at a gate; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The requests to custody; the last three are those of a turn, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    /// Reads the slot.
    Read,
    /// Stages the next root.
    Stage,
    /// Seals the root page's next key under it.
    Seal,
    /// Destroys the previous root.
    Destroy,
}

/// Controls the custody of every process of a vault. Clones share it.
#[derive(Clone)]
pub(crate) struct FaultyCustody(Arc<State>);

struct State {
    plans: Mutex<HashMap<Ask, VecDeque<Plan>>>,
    sealed: Mutex<Vec<(RootName, Vec<u8>)>>,
    reached: Semaphore,
    open: Semaphore,
}

impl FaultyCustody {
    pub(crate) fn new() -> Self {
        let reached = Semaphore::new(0);
        let open = Semaphore::new(0);
        Self(Arc::new(State {
            plans: Mutex::default(),
            sealed: Mutex::default(),
            reached,
            open,
        }))
    }

    /// Wraps the real custody.
    pub(super) fn before(&self, real: Arc<dyn Custody>) -> Arc<dyn Custody> {
        Arc::new(Before {
            hand: self.clone(),
            real,
        })
    }

    /// Plans the next requests of this kind, in order.
    pub(crate) fn plan(&self, ask: Ask, plans: impl IntoIterator<Item = Plan>) {
        self.0
            .plans
            .lock()
            .unwrap()
            .entry(ask)
            .or_default()
            .extend(plans);
    }

    /// Waits until a request is at the gate.
    pub(crate) async fn reached(&self) {
        let reached = tokio::time::timeout(PATIENCE, self.0.reached.acquire()).await;
        reached.expect("nobody came to the gate").unwrap().forget();
    }

    /// Lets one request through the gate.
    pub(crate) fn open(&self) {
        self.0.open.add_permits(1);
    }

    /// Returns everything that was ever sealed, whether or not it was written to a database.
    pub(crate) fn sealed(&self) -> Vec<(RootName, Vec<u8>)> {
        self.0.sealed.lock().unwrap().clone()
    }

    async fn meet<T>(
        &self,
        ask: Ask,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let plan = self
            .0
            .plans
            .lock()
            .unwrap()
            .get_mut(&ask)
            .and_then(VecDeque::pop_front);
        let failure = Err(Error::Backend {
            name: "faulty",
            why: format!("{ask:?} was to fail"),
        });
        match plan.unwrap_or(Plan::Pass) {
            Plan::Pass => request.await,
            Plan::Fail => failure,
            Plan::Lose => request.await.and(failure),
            Plan::Gate => {
                self.0.reached.add_permits(1);
                self.0.open.acquire().await.unwrap().forget();
                request.await
            }
            Plan::Slow(time) => {
                tokio::time::sleep(time).await;
                request.await
            }
        }
    }
}

struct Before {
    hand: FaultyCustody,
    real: Arc<dyn Custody>,
}

impl Custody for Before {
    fn kind(&self) -> &'static str {
        self.real.kind()
    }

    fn meaning(&self) -> Meaning {
        self.real.meaning()
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        self.hand.meet(Ask::Read, self.real.read()).boxed()
    }

    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        let before = change.before().map_or(0, |before| before.roots().len());
        let ask = match (change.added(), change.next().roots().len() < before) {
            (Some(_), _) => Ask::Stage,
            (None, true) => Ask::Destroy,
            (None, false) => return self.real.swap(change),
        };
        self.hand.meet(ask, self.real.swap(change)).boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let sealing = async move {
            let sealed = self.real.seal(root, key).await?;
            self.hand
                .0
                .sealed
                .lock()
                .unwrap()
                .push((root, sealed.clone()));
            Ok(sealed)
        };
        self.hand.meet(Ask::Seal, sealing).boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        self.real.open(root, sealed)
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        self.real.contents()
    }

    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>> {
        self.real.attack(sealed)
    }
}
