//! Custody by a PKCS #11 token: an HSM, or SoftHSM 2 for trying it out.
//!
//! ```text
//! the slot               CKO_DATA, private, CKA_LABEL recvault-slot, CKA_VALUE the JSON of the slot
//! a root                 CKO_SECRET_KEY, CKK_AES, 32 bytes, private, sensitive, not extractable
//!   CKA_LABEL            recvault-root
//!   CKA_ID               vault id (16) ‖ epoch (8, big endian)
//! sealed root-page key   IV (12) ‖ CKM_AES_GCM(root, IV, key) ‖ tag (16), with the root's name as associated data
//! ```
//! The root is generated in the token and never leaves it; this process sees the root page's key
//! only. One token holds the roots of one vault.
//!
//! **A swap:** under the OS lock, make the keys, then write the next slot object (the commit point:
//! of several the one of the highest generation is in force), destroy keys and slot objects that
//! are not part of it, and list. The next process finishes an interrupted swap.
//!
//! **Limits of the compare-and-swap:** PKCS #11 has none, so the lock file serves. Processes that
//! lock different files, on one machine or on two, can lose a slot to each other; the check after
//! the swap detects and reports that in most cases. Give all processes of a vault the same
//! `lock_file`, and never let two machines share a token.
//!
//! **What "destroyed" means here:** the object is destroyed in the token (`C_DestroyObject`), the
//! token is trusted to erase it, and the token is listed. An earlier copy of the object by the
//! vendor's tools (a backup, a clone in a cluster, SoftHSM's folder of files) still opens that
//! epoch, once it is restored into a token and the PIN is known.
//!
//! **SoftHSM** is for evaluation only: it rewrites its token file at each log-in without atomic
//! replacement, and a kill at that moment destroys the token with every root in it. This process
//! logs in once. A vault that must not be lost needs an HSM with a second copy.

mod objects;
mod token;
mod unwrap;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use cryptoki::{object::ObjectHandle, session::Session};
use futures_util::{FutureExt as _, future::BoxFuture};

pub(super) use self::unwrap::Unwrapper;
use self::{
    objects::{Keys, TokenContents},
    token::{NAME, TokenAddress, TokenError},
};
use super::{
    Custody, Error, Item, Meaning, OpenedSecret, Role, RootName, lock,
    settings::Pkcs11Settings,
    slot::{Change, Slot},
};
use crate::{model::crash, secret::Key};

/// A token, in one session for the life of the process.
pub(super) struct Pkcs11Custody {
    place: Arc<TokenAddress>,
    lock: PathBuf,
}

impl Pkcs11Custody {
    /// Creates it from the settings; relative paths begin at `base`.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub(super) fn new(settings: Pkcs11Settings, base: &Path) -> Result<Self, Error> {
        let lock = base.join(&settings.lock_file);
        if settings.lock_file.as_os_str().is_empty() {
            return Err(Error::Setting {
                key: "pkcs11.lock_file",
                why: "name a file that all processes of this vault can lock".into(),
            });
        }
        Ok(Self {
            place: Arc::new(TokenAddress::new(settings, base)?),
            lock,
        })
    }

    /// Runs `work` in the session; again after a transient failure of the token.
    async fn with<T: Send + 'static>(
        &self,
        work: impl Fn(&Session) -> Result<T, TokenError> + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.place);
        super::blocking(NAME, move || place.with_session(work)).await
    }
}

impl Custody for Pkcs11Custody {
    fn kind(&self) -> &'static str {
        "pkcs11"
    }

    fn meaning(&self) -> Meaning {
        Meaning {
            destroyed: "the key object is destroyed inside the token, which it never left, and the token is listed",
            left: "copies that the token's own tools made of it (backups of the HSM, clones in a \
                   cluster, SoftHSM's folder) open that epoch for anyone who restores them and \
                   has the PIN: exclude this token from such backups, or let the backups expire \
                   before the published deletion horizon. Still keep a second copy of the token \
                   that is updated with each turn: if the only token fails, the vault is lost. \
                   SoftHSM is for trials, not for production",
        }
    }

    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>> {
        self.with(|session| Ok(TokenContents::look(session)?.slot()?))
            .boxed()
    }

    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>> {
        let place = Arc::clone(&self.place);
        let lock = self.lock.clone();
        let change = change.clone();
        super::blocking(NAME, move || {
            // The place is the token; only the lock is on this machine.
            let _lock = lock::take(&lock, true)?;
            if change.added().is_some() {
                place.can_seal()?;
            }
            place.with_session(|session| swap(session, &change))
        })
        .boxed()
    }

    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let key = key.duplicate();
        self.with(move |session| objects::seal(session, in_force(session, root)?, root, &key))
            .boxed()
    }

    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>> {
        let sealed = sealed.to_vec();
        self.with(move |session| objects::open(session, in_force(session, root)?, root, &sealed))
            .boxed()
    }

    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>> {
        self.with(|session| Ok(TokenContents::look(session)?.items()?))
            .boxed()
    }

    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>> {
        let sealed = sealed.to_vec();
        self.with(move |session| {
            let mut broken = Vec::new();
            for object in TokenContents::look(session)?.keys.all() {
                for (at, sealed) in sealed.iter().enumerate() {
                    match objects::open(session, object.handle, object.name, sealed) {
                        Ok(key) => broken.push(OpenedSecret {
                            at,
                            epoch: object.name.epoch,
                            key,
                        }),
                        Err(TokenError::Custody(Error::NotAuthentic | Error::NoRoot(_))) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            Ok(broken)
        })
        .boxed()
    }
}

/// Returns the key object of a root that the slot names.
fn in_force(session: &Session, root: RootName) -> Result<ObjectHandle, TokenError> {
    let found = TokenContents::look(session)?;
    let is_named = found.slot()?.is_some_and(|slot| slot.has(root));
    found
        .keys
        .of(root)
        .first()
        .filter(|_| is_named)
        .map(|object| object.handle)
        .ok_or_else(|| Error::NoRoot(root).into())
}

/// See [`Custody::swap`]. Idempotent: if the next slot is already in force, only the cleanup is
/// repeated.
fn swap(session: &Session, change: &Change) -> Result<Slot, TokenError> {
    let next = change.next();
    let before = TokenContents::look(session)?;
    before.refuse_foreign(next.owner().vault)?;
    if before.slot()?.as_ref() != Some(next) {
        change.applies_to(before.slot()?.as_ref())?;
        // A key whose name is in no slot was made by a process that died, or by a live one that was
        // too late.
        let named: Vec<RootName> = before.slot()?.map(|slot| slot.names()).unwrap_or_default();
        for stray in before
            .keys
            .all()
            .iter()
            .filter(|object| !named.contains(&object.name))
        {
            objects::destroy(session, stray.handle)?;
        }
        if let Some(epoch) = change.added() {
            objects::generate(
                session,
                RootName {
                    vault: next.owner().vault,
                    epoch,
                },
            )?;
        }
        crash::point("custody.written");
        objects::write_slot(session, next)?;
        crash::point("custody.renamed");
    }
    clear(session, next)?;
    crash::point("custody.removed");
    let after = TokenContents::look(session)?;
    let is_exact = after.items()?.iter().all(|item| item.role == Role::Slot)
        && after.slots.len() == 1
        && next
            .names()
            .iter()
            .all(|name| after.keys.of(*name).len() == 1);
    match after.slot()? {
        Some(found) if found == *next && is_exact => Ok(found),
        // Another process with a different lock file made a change.
        Some(found) if found.generation() >= next.generation() && found != *next => {
            Err(Error::Moved {
                expected: next.generation(),
                found: found.generation(),
            }
            .into())
        }
        _ => Err(Error::Inexact { place: NAME.into() }.into()),
    }
}

/// Destroys everything that is not part of this slot, which is in force. Keys are destroyed first,
/// so that no key remains without a slot object that names it.
fn clear(session: &Session, slot: &Slot) -> Result<(), TokenError> {
    let found = TokenContents::look(session)?;
    for name in found.keys.names() {
        let spare = usize::from(slot.has(name));
        for object in found.keys.of(name).iter().skip(spare) {
            objects::destroy(session, object.handle)?;
            crash::point("custody.overwritten");
        }
    }
    for (handle, stored) in &found.slots {
        if stored.generation() < slot.generation() {
            objects::destroy(session, *handle)?;
        }
    }
    Ok(())
}

impl Keys {
    /// Returns the names, each once.
    fn names(&self) -> Vec<RootName> {
        let mut names: Vec<RootName> = self.all().iter().map(|object| object.name).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests;
