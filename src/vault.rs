//! The one place where key, ciphertext and row meet.
//!
//! Owns every use of a key: depositing, opening, shredding, signing. Refuses to know HTTP, Twilio, or why somebody asks: it wants a
//! [`Grant`](crate::policy::Grant) or a [`Permit`](crate::policy::Permit) and asks no further.
//!
//! INVARIANTS
//! - Ciphertext first, key entry last: a recording exists when the transaction with its key entry commits.
//! - No page key or record key is kept between calls; each use walks from the root key through rows it has just read, so there is no cache
//!   to forget anything from.
//! - The audit entry commits before the first byte is released.

mod deposit;
mod digest;
mod keys;
mod open;
mod shred;

use std::sync::Arc;

pub use deposit::{DepositError, Deposited};
pub use open::{Listening, Playable};
pub use shred::Shredded;

use crate::{
    custody::Root,
    evidence::{KeySet, NewEntry, Signer},
    keyring::{self, tree},
    ledger::{self, Ledger, keys as rows},
    model::{
        id::{HolderId, VaultId},
        time::Clock,
    },
    seal,
    store::{self, Store},
};

/// Why the vault could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger could not.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The object is not what the catalogue says.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// The key tree does not open.
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
    /// The root file and the ledger belong to different vaults.
    #[error("the root file belongs to vault {root} and the ledger to vault {ledger}: check `custody.root_file` and `ledger.url`")]
    OtherVault {
        /// The root file's vault.
        root: VaultId,
        /// The ledger's vault.
        ledger: VaultId,
    },
    /// The ledger has no vault in it.
    #[error("the ledger holds no vault yet: run `recvault init`")]
    NoVault,
    /// The ledger has a vault in it already.
    #[error("the ledger holds vault {0} already: `recvault init` makes a new vault and never replaces one")]
    VaultExists(VaultId),
    /// The recording is shredded, or nothing of it is sealed.
    #[error("nothing of this recording can be opened")]
    Gone,
    /// The key found is not the one the catalogue names.
    #[error("the record key is not the one that sealed this recording")]
    WrongKey,
}

impl ledger::AsLedgerError for Error {
    fn as_ledger_error(&self) -> Option<&ledger::Error> {
        match self {
            Self::Ledger(error) => Some(error),
            _ => None,
        }
    }
}

/// An unlocked vault. Clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    root: Root,
    signer: Signer,
    ledger: Ledger,
    store: Store,
    clock: Clock,
    /// In whose name this process fills leaf pages.
    filler: HolderId,
}

impl Vault {
    /// Plants a new vault's key tree in an empty ledger.
    ///
    /// # Errors
    /// [`Error::VaultExists`] if the ledger has one already.
    pub async fn create(ledger: &Ledger, root: &Root, clock: &Clock) -> Result<(), Error> {
        let pages = tree::plant(&root.key, root.vault, &mut rand::rng())?;
        let (now, filler) = (clock.now(), HolderId::random(&mut rand::rng()));
        let mut tx = ledger.begin().await?;
        if let Some(id) = rows::vault_id(&mut tx).await? {
            return Err(Error::VaultExists(id));
        }
        rows::insert_vault(&mut tx, root.vault, now).await?;
        for page in &pages {
            rows::insert_page(&mut tx, page, filler, now).await?;
        }
        let service = tree::walk(pages.to_vec(), &root.key, root.vault)?;
        let signer = Signer::from_seed(&service.page.key(0)?);
        ledger::audit::append(&mut tx, NewEntry::vault_created(now, root.vault, &signer)).await?;
        Ok(tx.commit().await?)
    }

    /// Unlocks a vault: proves that root file and ledger belong together by walking to the signing key.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::OtherVault`], [`Error::Keyring`] when the root key is not this tree's.
    pub async fn unlock(ledger: Ledger, store: Store, root: Root, clock: Clock) -> Result<Self, Error> {
        let mut tx = ledger.read().await?;
        let id = rows::vault_id(&mut tx).await?.ok_or(Error::NoVault)?;
        if id != root.vault {
            return Err(Error::OtherVault { root: root.vault, ledger: id });
        }
        let page = rows::service_page(&mut tx).await?.ok_or(Error::NoVault)?;
        let service = tree::walk(rows::path(&mut tx, page).await?, &root.key, id)?;
        let signer = Signer::from_seed(&service.page.key(0)?);
        drop(tx);
        let filler = HolderId::random(&mut rand::rng());
        Ok(Self(Arc::new(Inner { root, signer, ledger, store, clock, filler })))
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.0.root.vault
    }

    /// The epoch of the root key.
    pub fn epoch(&self) -> u64 {
        self.0.root.epoch
    }

    /// The public half of the receipt signing key, as a JWK set (RFC 7517).
    pub fn keys(&self) -> KeySet {
        KeySet::new([self.0.signer.verifying_key().clone()])
    }
}
