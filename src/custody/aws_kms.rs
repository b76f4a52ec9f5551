//! Custody by AWS KMS: a root file that only a key of KMS unwraps.
//!
//! ```json
//! {"format":"recvault/kms-root/1","vault":"vlt_…","epoch":1,"key_id":"arn:aws:kms:…","ciphertext":"…"}
//! ```
//! `ciphertext` is what `Encrypt` made of 32 random bytes, with the encryption context `recvault-vault` and `recvault-epoch`, which KMS binds to
//! it and writes into CloudTrail. `key_id` is the key that KMS said it had used: after the setting changed, roots from before still open under
//! theirs, and the next root is wrapped by the new one. For each use the root key is asked of KMS and kept for a moment only; the buffers of
//! the SDK in between are not zeroed. During a turn the next root lies beside the current one (see `slots`).
//!
//! **What "destroyed" means here:** the file is overwritten and removed. KMS itself forgets nothing: whoever has an old copy of the file *and* may
//! call `Decrypt` with the key still opens that epoch, until the key is deleted (imported key material: at once; else after 7 days or more) or
//! until its policy denies `Decrypt` for that `recvault-epoch`. Keep the folder outside every backup; after a turn, deny the epochs before it.

mod service;
mod slot;

use std::path::Path;

use futures_util::{FutureExt as _, future::BoxFuture};

use self::{
    service::{NAME, Service},
    slot::Slot,
};
use super::{AwsKms, Custody, Error, Meaning, RootName, slots::Slots, wrap};
use crate::secret::Key;

/// Wrapped root files, and the service that unwraps them.
pub(super) struct Kms {
    slots: Slots,
    service: Service,
}

impl Kms {
    /// As the settings say; relative paths begin at `base`.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(super) fn new(settings: AwsKms, base: &Path) -> Result<Self, Error> {
        Ok(Self { slots: Slots::at(base.join(&settings.slot_file)), service: Service::new(settings, base)? })
    }

    async fn files(&self) -> Result<Vec<Slot>, Error> {
        let slots = self.slots.clone();
        super::blocking(NAME, move || read(&slots)).await
    }

    async fn root_key(&self, root: RootName) -> Result<Key, Error> {
        let slot = self.files().await?.into_iter().find(|slot| slot.name() == root).ok_or(Error::NoRoot(root))?;
        self.service.unwrap(&slot).await
    }
}

impl Custody for Kms {
    fn kind(&self) -> &'static str {
        "aws-kms"
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the file with the wrapped root is overwritten and removed",
            left: "an old copy of the file opens its epoch for whoever may call Decrypt with the KMS key: keep its folder outside every backup, and \
                   after each turn deny kms:Decrypt in the key's policy for the earlier values of kms:EncryptionContext:recvault-epoch, or use \
                   a new KMS key and delete the old one (imported key material can be deleted at once, other keys after 7 days or more)",
        }
    }

    fn roots(&self) -> BoxFuture<'_, Result<Vec<RootName>, Error>> {
        async move { Ok(self.files().await?.iter().map(Slot::name).collect()) }.boxed()
    }

    fn stage(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let there = self.files().await?;
            if let Some(found) = there.iter().find(|slot| slot.name() == root) {
                // One that does not open now would not open after the turn either.
                return self.service.unwrap(found).await.map(drop);
            }
            has_room(&there, root)?;
            let key = Key::random(&mut rand::rng());
            let (slots, content) = (self.slots.clone(), self.service.wrap(root, &key).await?.to_json());
            super::blocking(NAME, move || {
                // A turn may have gone by while KMS was asked, or another process may have made the same root.
                let there = read(&slots)?;
                if there.iter().any(|slot| slot.name() == root) {
                    return Ok(());
                }
                has_room(&there, root)?;
                slots.add(&content)
            })
            .await
        }
        .boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        async move { Ok(wrap::seal(&self.root_key(root).await?, root, key, &mut rand::rng())) }.boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        async move { wrap::open(&self.root_key(root).await?, root, sealed) }.boxed()
    }

    fn destroy(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>> {
        let slots = self.slots.clone();
        super::blocking(NAME, move || slots.destroy(|content| Slot::read(content).is_ok_and(|slot| slot.name() == root))).boxed()
    }
}

fn read(slots: &Slots) -> Result<Vec<Slot>, Error> {
    slots.read()?.iter().map(|content| Slot::read(content)).collect()
}

fn has_room(there: &[Slot], root: RootName) -> Result<(), Error> {
    if there.iter().any(|slot| slot.name().epoch > root.epoch) {
        return Err(Error::Passed(root));
    }
    if there.len() > 1 { Err(Error::TooMany) } else { Ok(()) }
}

#[cfg(test)]
mod moto;
#[cfg(test)]
mod tests;
