//! The root key's home.
//!
//! Owns how the root key of an epoch rests, and what its destruction means there. Refuses to know pages, recordings and the ledger: it seals
//! one small key, the root page's, under the root of an epoch, and forgets a root for good when told to.
//!
//! ```text
//! root key (here, in an effaceable place outside every backup) ─seals─▶ root page's key (32 bytes; its sealed form is in the ledger)
//! ```
//! The level between root key and root page lets a root stay inside a token or a cloud service for its whole life.
//!
//! INVARIANTS
//! - At most two roots of a vault exist at once: the current one, and during a turn the next or the one before.
//! - Every operation may be repeated after any interruption, by any process.

#[cfg(feature = "aws-kms")]
mod aws_kms;
#[cfg(test)]
mod conformance;
pub mod passphrase;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod settings;
mod slots;
mod wrap;

use std::{io, path::Path, sync::Arc};

use futures_util::future::BoxFuture;

pub use settings::{AwsKms, Kind, Pkcs11, Settings};

use self::passphrase::RootFile;
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

    /// The roots that exist, oldest first.
    ///
    /// # Errors
    /// The place cannot be asked.
    fn roots(&self) -> BoxFuture<'_, Result<Vec<RootName>, Error>>;

    /// Makes a root. One that exists stays as it is. Durable when this returns.
    ///
    /// # Errors
    /// [`Error::TooMany`] when two others exist; [`Error::Passed`] when a newer one does; the place's own.
    fn stage(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>>;

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

    /// Destroys a root for good; one that does not exist is destroyed already. Durable when this returns.
    ///
    /// # Errors
    /// The place's own; the root must then be taken to exist still.
    fn destroy(&self, root: RootName) -> BoxFuture<'_, Result<(), Error>>;
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
    #[error("the root does not open: wrong passphrase, or it was altered, or what it should open belongs to another epoch")]
    NotAuthentic,
    /// This root does not exist: it was destroyed, or never made.
    #[error("custody holds no root of epoch {} of vault {}", .0.epoch, .0.vault)]
    NoRoot(RootName),
    /// A newer root exists: who stages this one has slept through a turn.
    #[error("custody holds a newer root than that of epoch {}", .0.epoch)]
    Passed(RootName),
    /// There are two other roots already.
    #[error("custody holds two roots already; finish the turn that is under way (`recvault epoch turn`)")]
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
    #[error("{place}: {why}")]
    Place {
        /// Which.
        place: &'static str,
        /// What it says; never a secret.
        why: String,
    },
}

/// The place that the settings name. Nothing is asked of it yet.
///
/// # Errors
/// [`Error::Setting`].
pub fn open(settings: Settings, base: &Path) -> Result<Arc<dyn Custody>, Error> {
    match settings.kind {
        Kind::Passphrase => Ok(Arc::new(RootFile::new(settings, base))),
        #[cfg(feature = "pkcs11")]
        Kind::Pkcs11 => Ok(Arc::new(pkcs11::Token::new(settings.pkcs11, base)?)),
        #[cfg(feature = "aws-kms")]
        Kind::AwsKms => Ok(Arc::new(aws_kms::Kms::new(settings.aws_kms, base)?)),
        #[cfg(not(all(feature = "pkcs11", feature = "aws-kms")))]
        left_out => {
            let why = format!("this recvault was built without `{0}`: build it with `--features {0}`", left_out.as_str());
            Err(Error::Setting { key: "kind", why })
        }
    }
}

/// The root file that the settings name, for what only that kind can do.
///
/// # Errors
/// [`Error::Setting`] for every other kind.
pub fn root_file(settings: Settings, base: &Path) -> Result<RootFile, Error> {
    match settings.kind {
        Kind::Passphrase => Ok(RootFile::new(settings, base)),
        other => Err(Error::Setting { key: "kind", why: format!("custody by `{}` has no passphrase", other.as_str()) }),
    }
}

/// A private key in a PKCS #11 token, for recordings that their source encrypted. Nothing is asked of the token yet.
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
    Err(Error::Setting { key: "pkcs11", why: "this recvault was built without `pkcs11`: build it with `--features pkcs11`".into() })
}

/// Work that would hold up a thread of the runtime, on a thread of its own.
async fn blocking<T: Send + 'static>(place: &'static str, work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Place { place, why: "the process is ending".into() }),
    }
}
