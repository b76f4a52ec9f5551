//! Custody in this process's memory, for tests with so many turns that deriving a key from a
//! passphrase for each would be too slow.
//!
//! Keeps every promise of the real ones: it compares before it swaps, and sealed values are bound
//! to their root.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use recvault::{
    custody::{Change, Custody, Error, Item, Meaning, OpenedSecret, Role, RootName, Slot},
    secret::Key,
};

/// The custody of every process of a vault. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct MemoryCustody(Arc<Mutex<Place>>);

#[derive(Default)]
struct Place {
    slot: Option<Slot>,
    keys: BTreeMap<RootName, Key>,
}

impl MemoryCustody {
    fn cipher(&self, root: RootName) -> Result<Aes256Gcm, Error> {
        let place = self.0.lock().unwrap();
        place
            .keys
            .get(&root)
            .map(|key| Aes256Gcm::new(key.expose().into()))
            .ok_or(Error::NoRoot(root))
    }
}

fn bound_to(root: RootName) -> Vec<u8> {
    [root.vault.as_bytes().as_slice(), &root.epoch.to_be_bytes()].concat()
}

fn unseal(cipher: &Aes256Gcm, root: RootName, sealed: &[u8]) -> Result<Key, Error> {
    let (nonce, sealed) = sealed
        .split_first_chunk::<12>()
        .ok_or(Error::NotAuthentic)?;
    let payload = Payload {
        msg: sealed,
        aad: &bound_to(root),
    };
    let key = cipher
        .decrypt(&Nonce::from(*nonce), payload)
        .map_err(|_| Error::NotAuthentic)?;
    Key::from_slice(&key).ok_or(Error::NotAuthentic)
}

impl Custody for MemoryCustody {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the key is dropped",
            left: "nothing",
        }
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        async { Ok(self.0.lock().unwrap().slot.clone()) }.boxed()
    }

    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        async move {
            let place = &mut *self.0.lock().unwrap();
            let next = change.next();
            change.applies_to(place.slot.as_ref())?;
            place.keys.retain(|name, _| next.has(*name));
            for name in next.names() {
                place
                    .keys
                    .entry(name)
                    .or_insert_with(|| Key::random(&mut rand::rng()));
            }
            place.slot = Some(next.clone());
            Ok(next.clone())
        }
        .boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        async move {
            let nonce: [u8; 12] = rand::random();
            let payload = Payload {
                msg: key.expose(),
                aad: &bound_to(root),
            };
            let sealed = self
                .cipher(root)?
                .encrypt(&Nonce::from(nonce), payload)
                .map_err(|_| Error::NotAuthentic)?;
            Ok([nonce.as_slice(), &sealed].concat())
        }
        .boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        async move { unseal(&self.cipher(root)?, root, sealed) }.boxed()
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        async {
            let names: Vec<RootName> = self.0.lock().unwrap().keys.keys().copied().collect();
            Ok(names
                .into_iter()
                .map(|name| Item {
                    name: "memory".into(),
                    role: Role::Slot,
                    roots: vec![name],
                })
                .collect())
        }
        .boxed()
    }

    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>> {
        async move {
            let mut broken = Vec::new();
            for root in self.roots().await? {
                let cipher = self.cipher(root)?;
                let opened = |(at, sealed): (usize, &Vec<u8>)| {
                    Some(OpenedSecret {
                        at,
                        epoch: root.epoch,
                        key: unseal(&cipher, root, sealed).ok()?,
                    })
                };
                broken.extend(sealed.iter().enumerate().filter_map(opened));
            }
            Ok(broken)
        }
        .boxed()
    }
}
