//! The one place where key, ciphertext and row meet.
//!
//! Owns every use of a key: depositing, opening, shredding, signing. Refuses to know HTTP, Twilio,
//! the queue, which of two transcripts is better, who consented, or why somebody asks: it wants a
//! [`Grant`](crate::policy::Grant) or a [`Permit`](crate::policy::Permit) and asks no further.
//!
//! What writes takes the [`Unit`](crate::db::Unit) of whoever decides ([`Vault::unit`] begins
//! one), so that everything else which becomes true with it stands in the same unit. Only these
//! open units of their own:
//! - `Vault::create`, `restore`, `ownership`: the acts that make a vault and say whose it is.
//! - `epoch`, `snapshot`, `journal`: one act over many units, with the store and custody between
//!   them.
//! - `open` and `details` under a grant: nothing that they open leaves the vault before the commit.
//!
//! INVARIANTS
//! - Ciphertext first, key entry last: a recording exists when the transaction with its key entry
//!   commits.
//! - Between calls a process keeps the key of the present epoch's root page, the vault's own seed,
//!   and no other; each use walks from it through rows just read, so a shred has no cache to be
//!   forgotten from. What was read under another epoch is read again.
//! - The audit entry commits before the first byte is released.
//! - Nothing but `shred` destroys a recording's key for good: a tier change moves it.

mod approval;
mod deposit;
mod details;
mod digest;
mod epoch;
mod error;
mod journal;
mod keys;
mod memory;
mod open;
mod ownership;
mod read_back;
mod recovery;
mod rehearsal;
mod restore;
mod root;
mod shred;
mod sign;
mod snapshot;
mod subjects;
mod text;
mod tier;
mod utterances;
mod waiting;
mod window;

use std::sync::Arc;

pub use deposit::{DepositError, DepositOptions, Deposited, StoredMedia};
pub use details::Keeping;
pub use epoch::Turned;
pub use error::{AsVaultError, Error};
pub use memory::check_unused;
pub use open::{PlayableArtefact, PlaybackStream};
pub use ownership::Claim;
pub(crate) use rehearsal::{OpenedFile, Opens, Rehearsal, Retained, RetainedFile};
pub use restore::{Choice, Plan, Restored, plan, restore, unfinished};
pub use shred::{Cause, DeletedCiphertext, OnHold, ShredOutcome, Shredded};
pub use snapshot::{Checked, StoredSnapshot};
pub use text::StoredText;
pub use waiting::PieceOf;

use self::{memory::SeenPositions, ownership::Ownership, root::CurrentRoot};
use crate::{
    custody::{self, Change, Custody, Owner, RootName},
    db::{self, Db, epochs, keys as rows},
    evidence::{KeySet, NewEntry, Signer},
    keyring::{self, RootKey, tree},
    model::{
        id::{DatabaseId, HolderId, VaultId},
        time::{Clock, Timestamp},
    },
    secret::Key,
    store::Store,
};

/// An unlocked vault. Clones share it.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    id: VaultId,
    custody: Arc<dyn Custody>,
    root: CurrentRoot,
    ownership: Ownership,
    signer: Signer,
    /// What the signing key is made of, and what people are recognised by.
    seed: Key,
    subject_key: Key,
    db: Db,
    store: Store,
    /// Where snapshots and journal are; mostly the same store.
    recovery: Store,
    /// What this process has seen of the database and of the store.
    memory: SeenPositions,
    /// Held while the journal is written.
    journaling: journal::JournalTurns,
    clock: Clock,
    /// In whose name this process fills leaf pages and turns epochs.
    filler: HolderId,
}

/// What a vault is unlocked with.
pub struct VaultParts {
    /// What is known.
    pub db: Db,
    /// Where ciphertext is.
    pub store: Store,
    /// Where snapshots and journal are; mostly the same store.
    pub recovery: Store,
    /// The root key's home.
    pub custody: Arc<dyn Custody>,
    /// What time it is.
    pub clock: Clock,
}

impl Inner {
    /// What a process holds of this vault in this database, whose root it has.
    fn of(
        parts: VaultParts,
        (id, database): (VaultId, DatabaseId),
        root: CurrentRoot,
        seed: Key,
    ) -> Self {
        Self {
            id,
            custody: parts.custody,
            root,
            ownership: Ownership::of(database),
            signer: Signer::from_seed(&seed),
            subject_key: keyring::subject_key(&seed),
            seed,
            db: parts.db,
            store: parts.store,
            recovery: parts.recovery,
            memory: SeenPositions::default(),
            journaling: journal::JournalTurns::default(),
            clock: parts.clock,
            filler: HolderId::random(&mut rand::rng()),
        }
    }
}

impl Vault {
    /// Plants a new vault's key tree in an empty database, under a new root in an empty place of
    /// custody. An interrupted attempt is gone on from, and of two at once one makes the vault.
    ///
    /// # Errors
    /// [`Error::VaultExists`] if the database has one already; [`Error::CustodyTaken`] if custody has
    /// the roots of another one.
    pub async fn create(db: &Db, custody: &dyn Custody, clock: &Clock) -> Result<VaultId, Error> {
        let existing = rows::vault_id(&mut db.read().await?).await?;
        if let Some(id) = existing {
            return Err(Error::VaultExists(id));
        }
        let now = clock.now();
        let vault = VaultId::random(&mut rand::rng());
        let database = DatabaseId::random(&mut rand::rng());
        let (vault, database) = match intend(db, vault, database, now).await {
            Err(db::Error::NotEmpty(table)) => return Err(why_not_empty(db, table).await),
            intended => intended?,
        };
        let root = RootName { vault, epoch: 1 };
        first_root(
            custody,
            Owner {
                vault,
                database: Some(database),
                seen: None,
            },
        )
        .await?;
        let root_key = RootKey {
            epoch: root.epoch,
            key: Key::random(&mut rand::rng()),
        };
        let sealed = custody.seal(root, &root_key.key).await?;
        let pages = tree::plant(&root_key, root.vault, &mut rand::rng())?;
        let filler = HolderId::random(&mut rand::rng());
        let service = tree::walk(pages.to_vec(), &root_key, root.vault)?;
        let signer = Signer::from_seed(&service.page.key(0)?);
        let created = db.first_unit("vault.create", async |mut unit| {
            match epochs::insert(&mut unit, root.epoch, &sealed, now).await {
                // Another `init` of the same database was faster.
                Err(db::Error::Conflict) => return Err(Error::VaultExists(vault)),
                begun => begun?,
            }
            rows::insert_vault(&mut unit, root.vault, database, now).await?;
            db::clock::believe(&mut unit, now).await?;
            epochs::note_destroyed(&mut unit, root.epoch, now).await?;
            epochs::finish(&mut unit, root.epoch, now).await?;
            for page in &pages {
                rows::insert_page(&mut unit, page, filler, now).await?;
            }
            unit.audit(NewEntry::vault_created(now, root.vault, &signer));
            Ok(root.vault)
        });
        match created.await {
            Err(Error::Db(db::Error::NotEmpty(table))) => Err(why_not_empty(db, table).await),
            created => created,
        }
    }

    /// Unlocks a vault, and lets this process write to its database: it is compared with the store
    /// first. The one way in for whoever writes.
    ///
    /// # Errors
    /// [`Error::ForgetfulDatabase`]; the store's; as [`Self::unlock_to_read`].
    pub async fn unlock(parts: VaultParts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers().await?;
        Ok(vault)
    }

    /// As [`Self::unlock`], over a store that somebody says is new.
    ///
    /// # Errors
    /// As [`Self::unlock`], but for [`Error::ForgetfulStore`].
    pub async fn unlock_over_a_new_store(parts: VaultParts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers_over_a_new_store().await?;
        Ok(vault)
    }

    /// Unlocks a vault for reading: proves that custody and database belong together by walking to
    /// the signing key, and nothing more. Whatever would write is refused by the database.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::LostDatabase`], [`Error::OtherVault`], [`Error::OldDatabase`],
    /// [`Error::Keyring`] when the root is not this tree's.
    pub async fn unlock_to_read(parts: VaultParts) -> Result<Self, Error> {
        let db = &parts.db;
        let custody = parts.custody.as_ref();
        let Some(id) = rows::vault_id(&mut db.read().await?).await? else {
            return Err(memory::why_no_vault(&parts.store, &parts.recovery, custody).await);
        };
        let database = rows::database_id(&mut db.read().await?)
            .await?
            .ok_or(Error::NoVault)?;
        let mut tries = 1;
        let (root, seed) = loop {
            let root = CurrentRoot::unlock(custody, db, id, database).await?;
            let opened = seed(&mut db.read().await?, &root.key(), id).await;
            match opened {
                // Another process has turned since the root was fetched.
                Err(Error::Keyring(keyring::Error::OtherEpoch(_))) if tries < 3 => tries += 1,
                opened => break (root, opened?),
            }
        };
        let inner = Inner::of(parts, (id, database), root, seed);
        Ok(Self(Arc::new(inner)))
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.0.id
    }

    /// The kind of custody.
    pub fn custody_kind(&self) -> &'static str {
        self.0.custody.kind()
    }

    /// What time it is for the vault.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The epoch whose root this process holds.
    pub fn epoch(&self) -> u64 {
        self.0.root.key().epoch
    }

    /// The public half of the receipt signing key, as a JWK set (RFC 7517).
    pub fn keys(&self) -> KeySet {
        self.0.key_set()
    }
}

impl Inner {
    fn key_set(&self) -> KeySet {
        KeySet::new([self.signer.verifying_key().clone()])
    }
}

/// The unit that makes the vault.
async fn intend(
    db: &Db,
    vault: VaultId,
    database: DatabaseId,
    now: Timestamp,
) -> Result<(VaultId, DatabaseId), db::Error> {
    loop {
        let intended = db.first_unit("vault.intend", async |mut unit| {
            unit.without_entry("there is no vault yet");
            rows::intend(&mut unit, vault, database, now).await
        });
        match intended.await {
            // Another `init` of the same database is under way; what it intends is there now.
            Err(db::Error::Conflict) => tokio::task::yield_now().await,
            done => return done,
        }
    }
}

/// Why no vault is made in a database that has rows: mostly it holds one.
async fn why_not_empty(db: &Db, table: String) -> Error {
    let found = async { rows::vault_id(&mut db.read().await?).await };
    match found.await {
        Ok(Some(id)) => Error::VaultExists(id),
        Ok(None) => db::Error::NotEmpty(table).into(),
        Err(error) => error.into(),
    }
}

/// Makes the first root in an empty place; one that this very attempt made before, or makes beside
/// this process, will do.
async fn first_root(custody: &dyn Custody, owner: Owner) -> Result<(), Error> {
    let first = Change::first(owner);
    let found = match custody.read().await? {
        Some(found) => found,
        None => match custody.swap(&first).await {
            Err(custody::Error::Moved { .. }) => {
                custody.read().await?.ok_or(Error::NoSlot(owner.vault))?
            }
            made => made?,
        },
    };
    if found == *first.next() {
        Ok(())
    } else {
        Err(Error::CustodyTaken(found.owner().vault))
    }
}

/// The seed of the signing key, from the vault's own page.
async fn seed(tx: &mut db::Tx, root: &RootKey, vault: VaultId) -> Result<Key, Error> {
    let page = rows::service_page(tx).await?.ok_or(Error::NoVault)?;
    let service = tree::walk(rows::path(tx, page).await?, root, vault)?;
    Ok(service.page.key(0)?)
}
