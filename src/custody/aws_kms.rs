//! Custody by AWS KMS: a slot file whose roots only a key of KMS unwraps.
//!
//! Each root in the slot file (see [`super::file`] for the form) is the output of `Encrypt` for 32
//! random bytes, with the encryption context `recvault-vault` and `recvault-epoch`, which KMS binds
//! to it and records in CloudTrail. `key_id` is the key that KMS reported. After a change of the
//! setting, earlier roots still open under their own key, and the next root is wrapped by the new
//! one. For each use the root key is fetched from KMS and held only briefly; the SDK's intermediate
//! buffers are not zeroed. KMS is never called while the lock of the place is held.
//!
//! **What "destroyed" means here:** the slot file that held the root is overwritten and removed.
//! KMS itself keeps its keys: with an old copy of the file *and* permission to call `Decrypt` with
//! the key that epoch still opens, until the key is deleted (imported key material: immediately;
//! otherwise after 7 days or more) or until its policy denies `Decrypt` for that `recvault-epoch`.
//! Keep the folder outside every backup; after a turn, deny the earlier epochs.

mod service;

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use futures_util::{FutureExt as _, future::BoxFuture};

use self::service::{KmsClient, NAME, Wrapped};
use super::{
    Custody, Error, Item, Meaning, OpenedSecret, RootName,
    file::{KmsFile, KmsRoot},
    folder::CustodyFolder,
    settings::AwsKmsSettings,
    slot::{Change, Slot},
    wrap,
};
use crate::secret::Key;

const KIND: &str = "aws-kms";

/// A slot file with wrapped roots, and the client of the service that unwraps them.
pub(super) struct KmsCustody {
    folder: CustodyFolder,
    service: KmsClient,
}

impl KmsCustody {
    /// Creates it from the settings; relative paths begin at `base`.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(super) fn new(settings: AwsKmsSettings, base: &Path) -> Result<Self, Error> {
        Ok(Self {
            folder: CustodyFolder::at(base.join(&settings.slot_file)),
            service: KmsClient::new(settings, base)?,
        })
    }

    async fn root_key(&self, root: RootName) -> Result<Key, Error> {
        let folder = self.folder.clone();
        let wrapped = super::blocking(NAME, move || {
            let content = folder.read()?.ok_or(Error::NoRoot(root))?;
            let WrappedSlot { slot, roots } = WrappedSlot::read(&content)?;
            let is_there = slot.has(root);
            Ok(roots
                .into_iter()
                .find(|(epoch, _)| is_there && *epoch == root.epoch))
        });
        self.service
            .unwrap(root, &wrapped.await?.ok_or(Error::NoRoot(root))?.1)
            .await
    }

    /// Returns everything in the folder that can be opened with permission to call `Decrypt`.
    async fn reachable(&self) -> Result<Vec<(RootName, Key)>, Error> {
        let folder = self.folder.clone();
        let wrapped = super::blocking(NAME, move || {
            let mut all = Vec::new();
            for found in folder.scan()? {
                let Ok(WrappedSlot { slot, roots }) = WrappedSlot::read(&found.content) else {
                    continue;
                };
                let vault = slot.owner().vault;
                for (epoch, wrapped) in roots {
                    all.push((RootName { vault, epoch }, wrapped));
                }
            }
            Ok(all)
        });
        let mut keys = Vec::new();
        for (name, wrapped) in wrapped.await? {
            match self.service.unwrap(name, &wrapped).await {
                Ok(key) => keys.push((name, key)),
                Err(Error::NotAuthentic) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }
}

impl Custody for KmsCustody {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the slot file that held the wrapped root key is overwritten and removed, \
                        and the folder is listed",
            left: "an old copy of the file opens its epoch for anyone who may call Decrypt with \
                   the KMS key: keep its folder outside every backup, and after each turn deny \
                   kms:Decrypt in the key's policy for the earlier values of \
                   kms:EncryptionContext:recvault-epoch, or use a new KMS key and delete the old \
                   key (imported key material can be deleted immediately, other keys after 7 days \
                   or more)",
        }
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        let folder = self.folder.clone();
        super::blocking(NAME, move || {
            // Only the slot: a process that may change it need not be able to read every root in
            // it.
            let content = folder.read()?;
            content
                .map(|content| KmsFile::read(&content)?.slot())
                .transpose()
        })
        .boxed()
    }

    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        async move {
            // Checked before KMS is called, so that an outdated change costs nothing.
            change.applies_to(self.read().await?.as_ref())?;
            let added = match change.added() {
                None => None,
                Some(epoch) => {
                    let name = RootName {
                        vault: change.next().owner().vault,
                        epoch,
                    };
                    let key = Key::random(&mut rand::rng());
                    Some((epoch, self.service.wrap(name, &key).await?))
                }
            };
            let folder = self.folder.clone();
            let change = change.clone();
            super::blocking(NAME, move || {
                folder.swap(&change, WrappedSlot::read, |present| {
                    let mut roots = present.map_or_else(Vec::new, |(present, _)| present.roots);
                    roots.retain(|(epoch, _)| change.next().roots().contains(epoch));
                    roots.extend(added);
                    Ok(content(change.next(), &roots))
                })?;
                Ok(change.next().clone())
            })
            .await
        }
        .boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        async move {
            Ok(wrap::seal(
                &self.root_key(root).await?,
                root,
                key,
                &mut rand::rng(),
            ))
        }
        .boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        async move { wrap::open(&self.root_key(root).await?, root, sealed) }.boxed()
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        let folder = self.folder.clone();
        super::blocking(NAME, move || folder.contents()).boxed()
    }

    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>> {
        async move {
            let mut broken = Vec::new();
            for (name, root_key) in self.reachable().await? {
                let opened = |(at, sealed): (usize, &Vec<u8>)| {
                    let key = wrap::open(&root_key, name, sealed).ok()?;
                    Some(OpenedSecret {
                        at,
                        epoch: name.epoch,
                        key,
                    })
                };
                broken.extend(sealed.iter().enumerate().filter_map(opened));
            }
            Ok(broken)
        }
        .boxed()
    }
}

/// The contents of a slot file.
struct WrappedSlot {
    slot: Slot,
    /// Oldest first, by epoch.
    roots: Vec<(u64, Wrapped)>,
}

impl WrappedSlot {
    fn read(content: &[u8]) -> Result<Self, Error> {
        let file = KmsFile::read(content)?;
        let slot = file.slot()?;
        let wrapped = |root: KmsRoot| {
            let ciphertext = BASE64
                .decode(&root.sealed)
                .map_err(|_| Error::Format("a wrapped root key in it is not base64"))?;
            let key_id = root.key_id;
            Ok((root.epoch, Wrapped { key_id, ciphertext }))
        };
        let roots = file
            .roots
            .into_iter()
            .map(wrapped)
            .collect::<Result<_, Error>>()?;
        Ok(Self { slot, roots })
    }
}

impl AsRef<Slot> for WrappedSlot {
    fn as_ref(&self) -> &Slot {
        &self.slot
    }
}

fn content(slot: &Slot, roots: &[(u64, Wrapped)]) -> Vec<u8> {
    let root = |(epoch, wrapped): &(u64, Wrapped)| KmsRoot {
        epoch: *epoch,
        key_id: wrapped.key_id.clone(),
        sealed: BASE64.encode(&wrapped.ciphertext),
    };
    KmsFile::of(slot, roots.iter().map(root).collect()).into_json()
}

#[cfg(test)]
mod moto;
#[cfg(test)]
mod tests;
