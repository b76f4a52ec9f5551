//! Custody in this process's memory, for stories with so many turns that no passphrase could be stretched for each.
//!
//! Keeps every promise of the real ones: two roots at most, none comes back, what is sealed is bound to its root.

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
    custody::{Custody, Error, Meaning, RootName},
    secret::Key,
};

/// Shared by every process of a vault. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct MemoryCustody(Arc<Mutex<BTreeMap<RootName, Key>>>);

impl MemoryCustody {
    fn cipher(&self, root: RootName) -> Result<Aes256Gcm, Error> {
        let roots = self.0.lock().unwrap();
        roots.get(&root).map(|key| Aes256Gcm::new(key.expose().into())).ok_or(Error::NoRoot(root))
    }

    fn add(&self, root: RootName) -> Result<(), Error> {
        let mut roots = self.0.lock().unwrap();
        if roots.contains_key(&root) {
            return Ok(());
        }
        if roots.keys().any(|there| there.epoch > root.epoch) {
            return Err(Error::Passed(root));
        }
        if roots.len() > 1 {
            return Err(Error::TooMany);
        }
        roots.insert(root, Key::random(&mut rand::rng()));
        Ok(())
    }
}

fn bound_to(root: RootName) -> Vec<u8> {
    [root.vault.as_bytes().as_slice(), &root.epoch.to_be_bytes()].concat()
}

impl Custody for MemoryCustody {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn meaning(&self) -> Meaning {
        Meaning { destroyed: "the key is dropped", left: "nothing" }
    }

    fn roots(&self) -> BoxFuture<'_, Result<Vec<RootName>, Error>> {
        async { Ok(self.0.lock().unwrap().keys().copied().collect()) }.boxed()
    }

    fn stage(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.add(root) }.boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        async move {
            let nonce: [u8; 12] = rand::random();
            let payload = Payload { msg: key.expose(), aad: &bound_to(root) };
            let sealed = self.cipher(root)?.encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::NotAuthentic)?;
            Ok([nonce.as_slice(), &sealed].concat())
        }
        .boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        async move {
            let (nonce, sealed) = sealed.split_first_chunk::<12>().ok_or(Error::NotAuthentic)?;
            let payload = Payload { msg: sealed, aad: &bound_to(root) };
            let key = self.cipher(root)?.decrypt(&Nonce::from(*nonce), payload).map_err(|_| Error::NotAuthentic)?;
            Key::from_slice(&key).ok_or(Error::NotAuthentic)
        }
        .boxed()
    }

    fn destroy(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.0.lock().unwrap().remove(&root);
            Ok(())
        }
        .boxed()
    }
}
