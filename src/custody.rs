//! Custody of the root key.
//!
//! Owns how the root key of an epoch is stored, and what its destruction means there. Refuses to
//! know pages, recordings and the database: it seals one small key, the root page's, under the root
//! of an epoch, and destroys a root when told to.
//!
//! ```text
//! root key (here, in an effaceable place outside every backup) ─seals─▶ root page's key (32 bytes; its sealed form is in the database)
//! ```
//! The level between root key and root page lets a root stay inside a token or a cloud service for
//! its whole life.
//!
//! INVARIANTS
//! - A place of custody is a compare-and-swap register with an owner: it is read and swapped, and
//!   changed in no other way (see [`Change`]).
//! - At most two roots of a vault exist at once: the current one, and during a turn the next or the
//!   one before.
//! - A swap that is reported as done left the place with the new slot and nothing else.
//! - Every operation may be repeated after any interruption, by any process.

#[cfg(feature = "aws-kms")]
mod aws_kms;
#[cfg(test)]
mod conformance;
mod file;
mod folder;
mod lock;
pub mod passphrase;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod read_only;
mod settings;
mod slot;
mod wrap;

use std::{io, path::Path, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};

pub use read_only::read_only;
pub use settings::{AwsKmsSettings, CustodyKind, CustodySettings, Pkcs11Settings};
pub use slot::{Change, Owner, Restorable, Slot};

use self::passphrase::PassphraseCustody;
use crate::{
    model::id::VaultId,
    secret::Key,
    twilio::encryption::{TokenKey, UnwrapKey},
};

/// Which root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootName {
    /// The vault it belongs to.
    pub vault: VaultId,
    /// The epoch, from 1.
    pub epoch: u64,
}

/// A place where root keys rest.
pub trait Custody: Send + Sync {
    /// The word by which the configuration names this kind.
    fn kind(&self) -> &'static str;

    /// What destroying a root means here, for `recvault doctor`.
    fn meaning(&self) -> Meaning;

    /// What the place holds; `None` in an empty one. Cheap: no passphrase and no service is asked.
    ///
    /// # Errors
    /// The place cannot be asked.
    fn read(&self) -> BoxFuture<'_, Result<Option<Slot>, Error>>;

    /// Makes a change: under the lock of the place, compares with the slot that the change was made
    /// from, makes the new root, destroys what is left out, and looks whether the place then holds
    /// the next slot and nothing else. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::Moved`] when the place holds another slot; [`Error::Foreign`]; the place's own.
    /// After any error the slot is the one before or the next, and the same call may be repeated
    /// once the slot was read again.
    fn swap<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Slot, Error>>;

    /// Seals a key under a root, bound to the root's name.
    ///
    /// # Errors
    /// [`Error::NoRoot`]; the place's own.
    fn seal<'a>(&'a self, root: RootName, key: &'a Key) -> BoxFuture<'a, Result<Vec<u8>, Error>>;

    /// Opens what [`Custody::seal`] gave.
    ///
    /// # Errors
    /// [`Error::NoRoot`] when the root was destroyed or never was; [`Error::NotAuthentic`].
    fn open<'a>(&'a self, root: RootName, sealed: &'a [u8]) -> BoxFuture<'a, Result<Key, Error>>;

    /// Everything in the place that is, was or may be a root, not only the slot in force.
    ///
    /// # Errors
    /// The place cannot be asked.
    fn contents(&self) -> BoxFuture<'_, Result<Vec<Item>, Error>>;

    /// Tries to open each of these with every root in everything that [`Custody::contents`] lists,
    /// as an attacker would.
    ///
    /// # Errors
    /// The place cannot be asked. What does not open is no error.
    fn attack<'a>(
        &'a self,
        sealed: &'a [Vec<u8>],
    ) -> BoxFuture<'a, Result<Vec<OpenedSecret>, Error>>;

    /// The roots in force, oldest first.
    ///
    /// # Errors
    /// As [`Custody::read`].
    fn roots(&self) -> BoxFuture<'_, Result<Vec<RootName>, Error>> {
        async move {
            Ok(self
                .read()
                .await?
                .map(|slot| slot.names())
                .unwrap_or_default())
        }
        .boxed()
    }
}

/// Something in a place of custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The file or the object.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// The roots in it.
    pub roots: Vec<RootName>,
}

/// What something in a place of custody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The slot in force, or a part of it.
    Slot,
    /// Left by an interrupted change; the next one destroys it.
    Leftover,
    /// A copy, or somebody else's: refused by name, never destroyed.
    Foreign,
    /// It cannot be read, is too large to be a slot, or lies too deep: nobody knows what is in it.
    Unexamined,
}

/// A sealed key that a root in the place opened.
#[derive(Debug)]
pub struct OpenedSecret {
    /// Which of those that were given.
    pub at: usize,
    /// The epoch of the root.
    pub epoch: u64,
    /// The key.
    pub key: Key,
}

/// What a destroyed root is, and what the operator has to see to.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// What is done.
    pub destroyed: &'static str,
    /// What an old copy of the place would still give, and what is left to the operator.
    pub left: &'static str,
}

/// Why a root cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no passphrase to try.
    #[error("no passphrase for the root file: {0}")]
    Passphrase(String),
    /// A file cannot be read or written.
    #[error("root file `{path}`: {cause}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A file is not a root file this program knows.
    #[error("root file: {0}")]
    Format(&'static str),
    /// Wrong passphrase or key, or something was altered: which of them cannot be told.
    #[error(
        "the root key does not open: the passphrase is wrong, the root key was altered, or the \
         data belongs to another epoch"
    )]
    NotAuthentic,
    /// This root does not exist: it was destroyed, or never made.
    #[error("custody holds no root key of epoch {} of vault {}", .0.epoch, .0.vault)]
    NoRoot(RootName),
    /// A newer root exists: who stages this one has slept through a turn.
    #[error("custody holds a root key newer than that of epoch {}", .0.epoch)]
    Passed(RootName),
    /// The place was changed since it was read.
    #[error(
        "custody was changed by another process (its generation is {found}, expected {expected}), \
         which turns the epoch, restores the vault or changes the passphrase; nothing was done \
         here, run the command again"
    )]
    Moved {
        /// The generation that the change was made from; 0 for an empty place.
        expected: u64,
        /// The one that the place has.
        found: u64,
    },
    /// Something lies in the place that is no part of the slot, and that this program did not put
    /// there.
    #[error(
        "`{name}` is in the place of custody and is not part of its slot: it may hold a root key \
         that should be destroyed, or belong to another vault. Examine it; then destroy it (a \
         copy of a file: overwrite and remove it) or move it elsewhere"
    )]
    Foreign {
        /// The file or the object.
        name: String,
    },
    /// The place does not hold what it should after a change.
    #[error(
        "`{place}` does not hold exactly its slot after a change of custody: run the command \
         again; `recvault doctor` lists the contents"
    )]
    Inexact {
        /// Which place.
        place: String,
    },
    /// Somebody else keeps the lock of the place.
    #[error(
        "`{path}` has been locked by another process for more than {seconds} s: check that \
         process, or end it, and run the command again"
    )]
    Busy {
        /// The lock file.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
    /// This view of custody is only for reading.
    #[error("a rehearsal cannot change custody")]
    ReadOnly,
    /// There are two other roots already.
    #[error(
        "custody already holds two root keys; finish the turn in progress (`recvault epoch turn`)"
    )]
    TooMany,
    /// The settings of `[custody]` do not name a place that can be used.
    #[error("`custody.{key}`: {why}")]
    Setting {
        /// The key at fault.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The token or the service cannot do it.
    #[error("{name}: {why}")]
    Backend {
        /// Which.
        name: &'static str,
        /// What it says; never a secret.
        why: String,
    },
}

/// The place that the settings name. Nothing is asked of it yet.
///
/// # Errors
/// [`Error::Setting`].
pub fn open(settings: CustodySettings, base: &Path) -> Result<Arc<dyn Custody>, Error> {
    match settings.kind {
        CustodyKind::Passphrase => Ok(Arc::new(PassphraseCustody::new(settings, base))),
        #[cfg(feature = "pkcs11")]
        CustodyKind::Pkcs11 => Ok(Arc::new(pkcs11::Pkcs11Custody::new(settings.pkcs11, base)?)),
        #[cfg(feature = "aws-kms")]
        CustodyKind::AwsKms => Ok(Arc::new(aws_kms::KmsCustody::new(settings.aws_kms, base)?)),
        #[cfg(not(all(feature = "pkcs11", feature = "aws-kms")))]
        left_out => {
            let why = format!(
                "this recvault was built without `{0}`: build it with `--features {0}`",
                left_out.as_str()
            );
            Err(Error::Setting { key: "kind", why })
        }
    }
}

/// The root file that the settings name, for what only that kind can do.
///
/// # Errors
/// [`Error::Setting`] for every other kind.
pub fn root_file(settings: CustodySettings, base: &Path) -> Result<PassphraseCustody, Error> {
    match settings.kind {
        CustodyKind::Passphrase => Ok(PassphraseCustody::new(settings, base)),
        other => Err(Error::Setting {
            key: "kind",
            why: format!("custody by `{}` has no passphrase", other.as_str()),
        }),
    }
}

/// A private key in a PKCS #11 token, for recordings that their source encrypted. Nothing is asked
/// of the token yet.
///
/// # Errors
/// [`Error::Setting`].
#[cfg(feature = "pkcs11")]
pub fn unwrapper(key: &TokenKey) -> Result<Arc<dyn UnwrapKey>, Error> {
    Ok(Arc::new(pkcs11::Unwrapper::new(key)?))
}

/// The same in a build that has no tokens.
///
/// # Errors
/// [`Error::Setting`], always.
#[cfg(not(feature = "pkcs11"))]
pub fn unwrapper(_key: &TokenKey) -> Result<Arc<dyn UnwrapKey>, Error> {
    Err(Error::Setting {
        key: "pkcs11",
        why: "this recvault was built without `pkcs11`: build it with `--features pkcs11`".into(),
    })
}

/// A place that does not answer must not hold up a turn or a listener for ever. The call itself
/// cannot be taken back; all may be repeated.
const PATIENCE: Duration = Duration::from_secs(60);

/// Work that would hold up a thread of the runtime, on a thread of its own, for a limited time. A
/// thread that hangs is left behind; the program does not wait for it when it ends.
async fn blocking<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    within(PATIENCE, name, work).await
}

async fn within<T: Send + 'static>(
    patience: Duration,
    name: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::time::timeout(patience, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err(Error::Backend {
            name,
            why: "the process is ending".into(),
        }),
        Err(_) => Err(Error::Backend {
            name,
            why: format!("no answer within {} s", patience.as_secs()),
        }),
    }
}

fn fault(path: &Path, cause: io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_call_that_never_returns_does_not_hold_up_its_caller() {
        let ((_never_told, never), (tell, told)) = (mpsc::channel::<()>(), mpsc::channel());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let hanging = within(Duration::from_millis(50), "a place that hangs", move || {
                let _ = never.recv();
                Ok(())
            });
            let done = runtime.block_on(hanging);
            runtime.shutdown_background();
            tell.send(done)
        });
        let done = told
            .recv_timeout(Duration::from_secs(20))
            .expect("it is given up");
        assert_eq!(
            done.unwrap_err().to_string(),
            "a place that hangs: no answer within 0 s"
        );
    }
}
