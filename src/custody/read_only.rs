//! Read-only custody for a drill: everything opens, no owner is named, and nothing is ever changed.
//!
//! Owns this wrapper. A drill and a trial restore use the roots of a live vault through it, so that
//! they cannot change them.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};

use super::{
    Custody, Error, Item, Meaning, OpenedSecret, RootName,
    slot::{Change, Owner, Slot},
};
use crate::secret::Key;

struct ReadOnlyCustody(Arc<dyn Custody>);

/// Wraps a place so that it can be read but never changed.
pub fn read_only(real: Arc<dyn Custody>) -> Arc<dyn Custody> {
    Arc::new(ReadOnlyCustody(real))
}

impl Custody for ReadOnlyCustody {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn meaning(&self) -> Meaning {
        self.0.meaning()
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        async move {
            let Some(slot) = self.0.read().await? else {
                return Ok(None);
            };
            let owner = Owner {
                database: None,
                seen: None,
                ..*slot.owner()
            };
            Slot::read(owner, slot.generation(), slot.roots().to_vec()).map(Some)
        }
        .boxed()
    }

    fn swap<'a>(&'a self, _change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        async { Err(Error::ReadOnly) }.boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        self.0.seal(root, key)
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        self.0.open(root, sealed)
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        self.0.contents()
    }

    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>> {
        self.0.attack(sealed)
    }
}
