//! The only module that combines keys, ciphertext and rows.
//!
//! Owns every use of a key: depositing, opening, shredding, signing. Refuses to know HTTP, Twilio,
//! the queue, the ranking of transcripts, consent, or the reason of a request. It requires a
//! [`Grant`](crate::policy::Grant) or a [`Permit`](crate::policy::Permit), which prove the
//! decision.
//!
//! A function that writes takes the caller's [`Unit`](crate::db::Unit) ([`Vault::unit`] begins
//! one), so that all related changes are in the same unit. Only these functions begin units of
//! their own:
//! - `Vault::create`, `restore`, `ownership`: they make a vault and record its owner.
//! - `epoch`, `snapshot`, `journal`: one operation over many units, with calls to the store and to
//!   custody between them.
//! - `open` and `details` under a grant: no opened byte leaves the vault before the commit.
//!
//! INVARIANTS
//! - Ciphertext first, key entry last: a recording exists when the transaction with its key entry
//!   commits.
//! - Between calls a process keeps only the key of the present epoch's root page and the vault's
//!   own seed. Each use walks from there through rows that were just read, so a shred has no cache
//!   to clear. Rows that were read under another epoch are read again.
//! - The audit entry commits before the first byte is released.
//! - Only `shred` destroys a recording's key: a tier change moves it.

mod answers;
mod approval;
mod ciphertext;
mod deposit;
mod details;
mod digest;
mod drill_view;
mod edit;
mod epoch;
mod error;
mod file;
mod journal;
mod keys;
mod linked;
mod message;
mod open;
mod ownership;
mod packs;
mod read_back;
mod recovery;
mod restore;
mod rollback;
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

pub use answers::OnceRequest;
pub use deposit::{DepositError, DepositOptions, Deposited, StoredMedia};
pub use details::Keeping;
pub(crate) use drill_view::{DrillView, KeyPresence, OpenedFile, Opens, Retained, RetainedFile};
pub use edit::{ArrivingState, SealedEdit};
pub use epoch::TurnReport;
pub use error::{AsVaultError, Error};
pub use file::StoredFile;
pub use message::{MessageContent, SealedMessage};
pub use open::{ConversationPage, OpenedText, PlayableArtefact, PlaybackStream, TextOpening};
pub use ownership::Claim;
pub use restore::{Choice, Plan, Restored, check_restore, plan, restore, unfinished};
pub use rollback::check_unused;
pub use shred::{Cause, DeletedCiphertext, OnHold, ShredOutcome, Shredded};
pub use sign::ReplacedKey;
pub use snapshot::{StoredSnapshot, VerifiedSnapshot};
pub use text::StoredText;
pub use waiting::UtteranceId;

use self::{
    ownership::Ownership,
    rollback::SeenPositions,
    root::CurrentRoot,
    sign::{CurrentSigner, ServicePage},
};
use crate::{
    custody::{self, Change, Custody, Owner, RootName},
    db::{self, Db, epochs, keys as key_rows, signing_keys, timelines},
    evidence::{NewEntry, Signer},
    keyring::{self, RootKey, ServiceKeys, tree},
    model::{
        id::{DatabaseId, HolderId, VaultId},
        time::{Clock, Timestamp},
        timeline::Timeline,
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
    signing: CurrentSigner,
    service: ServiceKeys,
    db: Db,
    store: Store,
    /// The store of snapshots and journal; usually the same store.
    recovery: Store,
    /// The positions of database and store that this process has seen.
    seen: SeenPositions,
    /// Held while the journal is written.
    journaling: journal::JournalLock,
    clock: Clock,
    /// The holder's id under which this process fills leaf pages and turns epochs.
    filler: HolderId,
}

/// The parts with which a vault is unlocked.
pub struct VaultParts {
    /// The database.
    pub db: Db,
    /// The store of ciphertext.
    pub store: Store,
    /// The store of snapshots and journal; usually the same store.
    pub recovery: Store,
    /// The storage of the root key.
    pub custody: Arc<dyn Custody>,
    /// The clock.
    pub clock: Clock,
}

/// Which vault a database is of, and which life of it.
struct VaultIds {
    vault: VaultId,
    database: DatabaseId,
    /// The timeline of its audit log.
    timeline: Timeline,
}

impl Inner {
    /// Combines the parts with the ids and the keys of an unlocked vault.
    fn of(parts: VaultParts, ids: VaultIds, root: CurrentRoot, service: ServicePage) -> Self {
        Self {
            id: ids.vault,
            custody: parts.custody,
            root,
            ownership: Ownership::of(ids.database, ids.timeline),
            signing: CurrentSigner::of(service.signer),
            service: service.keys,
            db: parts.db,
            store: parts.store,
            recovery: parts.recovery,
            seen: SeenPositions::default(),
            journaling: journal::JournalLock::default(),
            clock: parts.clock,
            filler: HolderId::random(&mut rand::rng()),
        }
    }
}

impl Vault {
    /// Creates a vault: a key tree in an empty database, under a new root in an empty place of
    /// custody. An interrupted attempt is continued; of two concurrent attempts, one creates it.
    ///
    /// # Errors
    /// [`Error::VaultExists`] if the database has a vault; [`Error::CustodyTaken`] if custody has
    /// the roots of another vault.
    pub async fn create(db: &Db, custody: &dyn Custody, clock: &Clock) -> Result<VaultId, Error> {
        let existing = key_rows::vault_id(&mut db.read().await?).await?;
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
        first_root(custody, Owner::first(vault, Some(database))).await?;
        let root_key = RootKey {
            epoch: root.epoch,
            key: Key::random(&mut rand::rng()),
        };
        let sealed = custody.seal(root, &root_key.key).await?;
        let pages = tree::create(&root_key, root.vault, &mut rand::rng())?;
        let filler = HolderId::random(&mut rand::rng());
        let service = tree::walk(pages.to_vec(), &root_key, root.vault)?;
        let signer = Signer::from_seed(&keyring::signing_seed(&service.page)?);
        let created = db.first_unit("vault.create", async |mut unit| {
            match epochs::insert(&mut unit, root.epoch, &sealed, now).await {
                // Another `init` of the same database was faster.
                Err(db::Error::Conflict) => return Err(Error::VaultExists(vault)),
                begun => begun?,
            }
            key_rows::insert_vault(&mut unit, root.vault, database, now).await?;
            db::clock::believe(&mut unit, now).await?;
            epochs::note_destroyed(&mut unit, root.epoch, now).await?;
            epochs::finish(&mut unit, root.epoch, now).await?;
            for page in &pages {
                key_rows::insert_page(&mut unit, page, filler, now).await?;
            }
            signing_keys::insert(&mut unit, signer.verifying_key(), now).await?;
            unit.audit(NewEntry::vault_created(now, root.vault, &signer));
            Ok(root.vault)
        });
        match created.await {
            Err(Error::Db(db::Error::NotEmpty(table))) => Err(why_not_empty(db, table).await),
            created => created,
        }
    }

    /// Unlocks a vault, compares its database with the store, and lets this process write to it.
    /// The only way to get a vault that writes.
    ///
    /// # Errors
    /// [`Error::ForgetfulDatabase`]; the store's; as [`Self::unlock_to_read`].
    pub async fn unlock(parts: VaultParts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers().await?;
        Ok(vault)
    }

    /// Unlocks as [`Self::unlock`], over a store that the operator has declared new.
    ///
    /// # Errors
    /// As [`Self::unlock`], but for [`Error::ForgetfulStore`].
    pub async fn unlock_over_a_new_store(parts: VaultParts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers_over_a_new_store().await?;
        Ok(vault)
    }

    /// Unlocks as [`Self::unlock`], for a process that only shreds: also while the store is away.
    ///
    /// # Errors
    /// As [`Self::unlock`], but for those of the store.
    pub async fn unlock_to_shred(parts: VaultParts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_shredder().await?;
        Ok(vault)
    }

    /// Unlocks a vault for reading: proves that custody and database belong together by walking to
    /// the signing key. The database refuses every write.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::LostDatabase`], [`Error::OtherVault`], [`Error::OldDatabase`],
    /// [`Error::Keyring`] when the root is not this tree's.
    pub async fn unlock_to_read(parts: VaultParts) -> Result<Self, Error> {
        let db = &parts.db;
        let custody = parts.custody.as_ref();
        let Some(id) = key_rows::vault_id(&mut db.read().await?).await? else {
            return Err(rollback::why_no_vault(&parts.store, &parts.recovery, custody).await);
        };
        let database = key_rows::database_id(&mut db.read().await?)
            .await?
            .ok_or(Error::NoVault)?;
        let mut tries = 1;
        let (root, service) = loop {
            let root = CurrentRoot::unlock(custody, db, id, database).await?;
            let opened = ServicePage::open(&mut db.read().await?, &root.key(), id).await;
            match opened {
                // Another process has turned since the root was fetched.
                Err(Error::Keyring(keyring::Error::OtherEpoch(_))) if tries < 3 => tries += 1,
                opened => break (root, opened?),
            }
        };
        let timeline = timelines::path(&mut db.read().await?).await?.current();
        let ids = VaultIds {
            vault: id,
            database,
            timeline,
        };
        let inner = Inner::of(parts, ids, root, service);
        Ok(Self(Arc::new(inner)))
    }

    /// Returns the vault's id.
    pub fn id(&self) -> VaultId {
        self.0.id
    }

    /// Returns the store of snapshots and journal; usually the one of ciphertext.
    pub(crate) fn recovery_store(&self) -> &Store {
        &self.0.recovery
    }

    /// Returns the kind of custody.
    pub fn custody_kind(&self) -> &'static str {
        self.0.custody.kind()
    }

    /// Returns the present time of the vault's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the epoch whose root this process holds.
    pub fn epoch(&self) -> u64 {
        self.0.root.key().epoch
    }
}

/// Records the ids of the vault and of its database, before the root is made.
async fn intend(
    db: &Db,
    vault: VaultId,
    database: DatabaseId,
    now: Timestamp,
) -> Result<(VaultId, DatabaseId), db::Error> {
    loop {
        let intended = db.first_unit("vault.intend", async |mut unit| {
            unit.without_entry("there is no vault yet");
            key_rows::intend(&mut unit, vault, database, now).await
        });
        match intended.await {
            // Another `init` of the same database is under way; what it intends is there now.
            Err(db::Error::Conflict) => tokio::task::yield_now().await,
            done => return done,
        }
    }
}

/// Returns the error for a database that has rows: usually it has a vault.
async fn why_not_empty(db: &Db, table: String) -> Error {
    let found = async { key_rows::vault_id(&mut db.read().await?).await };
    match found.await {
        Ok(Some(id)) => Error::VaultExists(id),
        Ok(None) => db::Error::NotEmpty(table).into(),
        Err(error) => error.into(),
    }
}

/// Makes the first root in an empty place of custody, or accepts the one of the same attempt, which
/// was interrupted or runs concurrently.
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
