//! The one place where key, ciphertext and row meet.
//!
//! Owns every use of a key: depositing, opening, shredding, signing. Refuses to know HTTP, Twilio,
//! or why somebody asks: it wants a [`Grant`](crate::policy::Grant) or a
//! [`Permit`](crate::policy::Permit) and asks no further.
//!
//! INVARIANTS
//! - Ciphertext first, key entry last: a recording exists when the transaction with its key entry
//!   commits.
//! - Between calls a process keeps the key of the present epoch's root page, the vault's own seed,
//!   and no other; each use walks from it through rows just read, so a shred has no cache to be
//!   forgotten from. What was read under another epoch is read again.
//! - The audit entry commits before the first byte is released.

mod approval;
mod deposit;
mod details;
mod digest;
mod drill;
mod epoch;
mod journal;
mod keys;
mod memory;
mod open;
mod ownership;
mod publish;
mod read_back;
mod recovery;
mod restore;
mod revoke;
mod root;
mod shred;
mod snapshot;
mod source;
mod subjects;
mod tier;
mod transcript;
mod utterances;
mod waiting;
mod window;

use std::sync::Arc;

pub use deposit::{Beside, DepositError, Deposited};
pub use details::Keeping;
pub use drill::{Forgot, Looked, Old, Recovered, Sandbox, Say};
pub use epoch::Turned;
pub use memory::check_unused;
pub use open::{Listening, Playable};
pub use ownership::Claim;
pub use restore::{Choice, Plan, Restored, plan, restore, unfinished};
pub use revoke::withdrawal;
pub use shred::{LetGo, SayCount, Shredded, Undurable};
pub use snapshot::{Checked, Kept};
pub use transcript::{Arrived, Filed};
pub use utterances::PieceOf;

use self::{memory::Memory, ownership::Ownership, root::Root};
use crate::{
    custody::{self, Change, Custody, Owner, RootName},
    evidence::{KeySet, NewEntry, Signer},
    keyring::{self, RootKey, tree},
    ledger::{self, Ledger, epochs, keys as rows},
    model::{
        id::{DatabaseId, HolderId, RecordingId, VaultId},
        time::Clock,
    },
    seal,
    secret::Key,
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
    /// The root key cannot be had.
    #[error(transparent)]
    Custody(#[from] custody::Error),
    /// Custody and the ledger belong to different vaults.
    #[error(
        "custody holds the root of vault {root} and the ledger belongs to vault {ledger}: check `[custody]` and `ledger.url`"
    )]
    OtherVault {
        /// The vault whose root is in custody.
        root: VaultId,
        /// The ledger's vault.
        ledger: VaultId,
    },
    /// The ledger is a copy from before a turn: the root it needs was destroyed.
    #[error(
        "the ledger is of epoch {ledger} and custody holds the root of epoch {custody}: this ledger is an old copy, which nothing opens any \
         more; `recvault snapshot restore` rebuilds the vault from the store"
    )]
    OldLedger {
        /// The ledger's epoch.
        ledger: u64,
        /// The newest in custody.
        custody: u64,
    },
    /// The ledger has not what is known of it elsewhere: it was put back from an old copy, or went
    /// its own way, and has forgotten what happened.
    #[error(
        "the ledger ends with audit entry {ledger} and has not the entry {known} that is known of it: it is an old copy, or a replica that lagged, \
         and has forgotten what happened since, shreds among it. Nothing is written and nothing opens. Bring back the newer database, or run \
         `recvault snapshot restore` into an empty one, which rebuilds the vault as it was last"
    )]
    ForgetfulLedger {
        /// The ledger's last entry.
        ledger: i64,
        /// The entry that it should have.
        known: i64,
    },
    /// Another database has the roots: it was restored and took over, or this one is a copy.
    #[error(
        "custody of vault {vault} belongs to database {owner} and this is database {database}: another database was restored and took over, or this \
         one is a copy; it opens and writes nothing. Go on with the owner; should it be lost, `recvault snapshot restore --take-over` into an \
         empty database rebuilds the vault"
    )]
    NotOwner {
        /// The vault.
        vault: VaultId,
        /// The database that has the roots.
        owner: DatabaseId,
        /// This one.
        database: DatabaseId,
    },
    /// A restore would take the roots from another database.
    #[error(
        "custody of vault {vault} belongs to database {owner}, and a restore takes it over: whatever still runs on that database then opens and \
         writes nothing any more. If that is what you want, add `--take-over`; to rehearse, run `recvault drill`"
    )]
    TakeOver {
        /// The vault.
        vault: VaultId,
        /// The database that has the roots.
        owner: DatabaseId,
    },
    /// The place of custody is empty.
    #[error(
        "custody holds no root of vault {0}: the slot is missing, or `[custody]` names another place. Put it back. A service that still runs has the \
         key in its memory: do not stop it before"
    )]
    NoSlot(VaultId),
    /// Custody was in trouble when it was last asked.
    #[error("custody is in trouble: {0}")]
    CustodyTrouble(String),
    /// The slot is older than one that this process saw.
    #[error(
        "the slot in custody is of generation {found}, and this process has seen {known}: an old copy was put back; put the newest one back"
    )]
    OldSlot {
        /// The generation that was seen.
        known: u64,
        /// The one that is there.
        found: u64,
    },
    /// The ledger lacks an entry that it had when it last changed custody.
    #[error(
        "the ledger ends with audit entry {ledger} and lacks entry {custody}, which it had when it last changed custody: this ledger is an old copy; \
         `recvault snapshot restore --take-over` into an empty database rebuilds the vault as it was last"
    )]
    BehindCustody {
        /// The ledger's last entry.
        ledger: i64,
        /// The one that custody knows of.
        custody: i64,
    },
    /// A rebuilding is not finished, and another process is at it, or died at it.
    #[error(
        "the rebuilding of this vault is not finished, and a process has the turn that finishes it: {0}. If that process is dead, wait so long and run this \
         command again, or run `recvault epoch release` before, which takes the turn away from it at once"
    )]
    TurnHeld(epochs::Holding),
    /// The newest snapshot needs a root that a turn would destroy.
    #[error(
        "the newest snapshot `{snapshot}` needs the root of epoch {epoch}, which this turn would destroy: this ledger is not the one that the store \
         knows; `recvault snapshot restore --take-over` into an empty database rebuilds the vault as it was last"
    )]
    NewerSnapshot {
        /// The snapshot.
        snapshot: String,
        /// The epoch whose root it needs.
        epoch: u64,
    },
    /// `init` found roots in custody.
    #[error(
        "custody holds the roots of vault {0}, and the ledger holds no vault: `recvault init` never replaces one. If the database was lost, \
         `recvault snapshot restore --take-over` rebuilds the vault; for another vault, name another place in `[custody]`"
    )]
    CustodyTaken(VaultId),
    /// Before something is destroyed the store must say what it knows, and it says nothing that
    /// opens.
    #[error(
        "nothing is destroyed: the ledger cannot be compared with the store, which has no snapshot or journal that opens ({unreadable} files do not). Check \
         `store.url` and `[recovery]`, and remove what does not belong into `snapshots/` and `journal/`"
    )]
    NothingToCompare {
        /// Files that do not open.
        unreadable: usize,
    },
    /// The store knows less than the ledger: it is another one, or an older copy of the right one.
    #[error(
        "the store ends with audit entry {store}, and entry {ledger} was written there: `store.url` or `[recovery]` names another store, its disk is not \
         mounted, or it was put back from an older copy. Bring back the right one. Nothing is written or destroyed before. If it is lost, or the store is \
         meant to be new, `recvault snapshot create --new-store` gives it what it needs"
    )]
    ForgetfulStore {
        /// The newest entry that the ledger knows to be in the store.
        ledger: i64,
        /// The store's newest.
        store: i64,
    },
    /// Another vault's files are in the store.
    #[error(
        "`{name}` in the store says that it is of vault {vault}: two vaults must not share a store, because one would sweep the other's objects. Give \
         each a store, or a path in the bucket, of its own; if the file is nobody's, remove it"
    )]
    SharedStore {
        /// The file.
        name: String,
        /// Whose it says it is.
        vault: VaultId,
    },
    /// What was done stands in the ledger and is not in the store yet.
    #[error(
        "done, but not durable yet: it has taken effect here and nothing that was shredded opens any more, but the store does not know of it, so that a \
         restore would not. It completes by itself when the store can be written; ask again to be sure ({0})"
    )]
    NotDurable(String),
    /// The journal has a hole that nobody has accepted.
    #[error(
        "the journal has gaps: of audit entries {0} something is missing in the store, and a shred may be in it. Bring back the missing files, or restore \
         without them by `--accept-gap FROM-TO` for exactly each of these"
    )]
    Gaps(String),
    /// A gap was accepted that is none.
    #[error(
        "`--accept-gap {0}`: the journal has no such gap; without the option the gaps are named"
    )]
    NoSuchGap(ledger::gaps::Gap),
    /// The ledger is empty and the store is not.
    #[error(
        "the ledger holds no vault, but there is one: {0}. The database was lost, or `ledger.url` names another one. `recvault snapshot restore --take-over` \
         rebuilds the vault in an empty database; a new vault needs a store and a custody of its own"
    )]
    LostLedger(String),
    /// A recovery file is not what it should be.
    #[error("`{name}` in the store: {why}")]
    RecoveryFile {
        /// The file.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// There is no snapshot that a root in custody opens.
    #[error(
        "the store holds no snapshot of an epoch whose root is in custody ({0}); a snapshot that is older than the root opens no more"
    )]
    NoSnapshot(String),
    /// The folder that a drill works in cannot be used.
    #[error("`{path}`: {why}")]
    Sandbox {
        /// The folder, or what is in it.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The ledger has no vault in it.
    #[error(
        "the ledger holds no vault: `recvault init` makes a new one. If there was one and its database is lost, `recvault snapshot restore --take-over` rebuilds \
         it from the store"
    )]
    NoVault,
    /// The ledger has a vault in it already.
    #[error(
        "the ledger holds vault {0} already: `recvault init` makes a new vault and never replaces one. If the first `recvault init` was broken off \
         before it showed a token, `recvault snapshot create` and `recvault token create` do what is left"
    )]
    VaultExists(VaultId),
    /// A hold keeps the recording.
    #[error("a hold keeps recording {0}; lift it first")]
    Held(RecordingId),
    /// The recording is shredded, or nothing of it is sealed.
    #[error("nothing of this recording can be opened")]
    Gone,
    /// Others who ran beside it have spent what the policy allows this principal for this purpose
    /// today.
    #[error("the day's budget of openings is spent")]
    BudgetSpent,
    /// The store gives back another object than was sealed.
    #[error(
        "what the store gives back is not what was sealed: its length or its SHA-256 is another"
    )]
    Altered,
    /// The key found is not the one the catalogue names.
    #[error("the record key is not the one that sealed this recording")]
    WrongKey,
    /// What is sealed as a transcript is none.
    #[error("what is sealed as a transcript cannot be read")]
    BrokenTranscript,
    /// What is sealed of who took part is none.
    #[error("what is sealed of who took part cannot be read")]
    BrokenDetails,
    /// The sound is in a form of which no part can be cut out.
    #[error(
        "the sound of this recording is of a format in which seconds have no fixed place, so that no part of it can be given"
    )]
    NoWindow,
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
    id: VaultId,
    custody: Arc<dyn Custody>,
    root: Root,
    ownership: Ownership,
    signer: Signer,
    /// What the signing key is made of, and what people are recognised by.
    seed: Key,
    subject_key: Key,
    ledger: Ledger,
    store: Store,
    /// Where snapshots and journal are; mostly the same store.
    recovery: Store,
    /// What this process has seen of the ledger and of the store.
    memory: Memory,
    /// Held while the journal is written.
    journaling: tokio::sync::Mutex<()>,
    clock: Clock,
    /// In whose name this process fills leaf pages and turns epochs.
    filler: HolderId,
}

/// What a vault is unlocked with.
pub struct Parts {
    /// What is known.
    pub ledger: Ledger,
    /// Where ciphertext is.
    pub store: Store,
    /// Where snapshots and journal are; mostly the same store.
    pub recovery: Store,
    /// The root key's home.
    pub custody: Arc<dyn Custody>,
    /// What time it is.
    pub clock: Clock,
}

impl Vault {
    /// Plants a new vault's key tree in an empty ledger, under a new root in an empty place of
    /// custody. An interrupted attempt is gone on from, and of two at once one makes the vault.
    ///
    /// # Errors
    /// [`Error::VaultExists`] if the ledger has one already; [`Error::CustodyTaken`] if custody has
    /// the roots of another one.
    pub async fn create(
        ledger: &Ledger,
        custody: &dyn Custody,
        clock: &Clock,
    ) -> Result<VaultId, Error> {
        let existing = rows::vault_id(&mut ledger.read().await?).await?;
        if let Some(id) = existing {
            return Err(Error::VaultExists(id));
        }
        let now = clock.now();
        let vault = VaultId::random(&mut rand::rng());
        let database = DatabaseId::random(&mut rand::rng());
        let intended = ledger.unit(async || {
            let mut tx = ledger.begin_empty().await?;
            let intended = rows::intend(&mut tx, vault, database, now).await?;
            tx.commit().await?;
            Ok::<_, ledger::Error>(intended)
        });
        let (vault, database) = match intended.await {
            Err(ledger::Error::NotEmpty(table)) => return Err(why_not_empty(ledger, table).await),
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
        let mut tx = first_unit(ledger).await?;
        match epochs::insert(&mut tx, root.epoch, &sealed, now).await {
            // Another `init` of the same ledger was faster.
            Err(ledger::Error::Conflict) => return Err(Error::VaultExists(vault)),
            begun => begun?,
        }
        rows::insert_vault(&mut tx, root.vault, database, now).await?;
        ledger::clock::believe(&mut tx, now).await?;
        epochs::note_destroyed(&mut tx, root.epoch, now).await?;
        epochs::finish(&mut tx, root.epoch, now).await?;
        for page in &pages {
            rows::insert_page(&mut tx, page, filler, now).await?;
        }
        let service = tree::walk(pages.to_vec(), &root_key, root.vault)?;
        let signer = Signer::from_seed(&service.page.key(0)?);
        ledger::audit::append(&mut tx, NewEntry::vault_created(now, root.vault, &signer)).await?;
        tx.commit().await?;
        Ok(root.vault)
    }

    /// Unlocks a vault, and lets this process write to its ledger: it is compared with the store
    /// first. The one way in for whoever writes.
    ///
    /// # Errors
    /// [`Error::ForgetfulLedger`]; the store's; as [`Self::unlock_to_read`].
    pub async fn unlock(parts: Parts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers().await?;
        Ok(vault)
    }

    /// As [`Self::unlock`], over a store that somebody says is new.
    ///
    /// # Errors
    /// As [`Self::unlock`], but for [`Error::ForgetfulStore`].
    pub async fn unlock_over_a_new_store(parts: Parts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers_over_a_new_store().await?;
        Ok(vault)
    }

    /// Unlocks a vault for reading: proves that custody and ledger belong together by walking to
    /// the signing key, and nothing more. Whatever would write is refused by the ledger.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::LostLedger`], [`Error::OtherVault`], [`Error::OldLedger`],
    /// [`Error::Keyring`] when the root is not this tree's.
    pub async fn unlock_to_read(parts: Parts) -> Result<Self, Error> {
        let Parts {
            ledger,
            store,
            recovery,
            custody,
            clock,
        } = parts;
        let Some(id) = rows::vault_id(&mut ledger.read().await?).await? else {
            return Err(memory::why_no_vault(&store, &recovery, custody.as_ref()).await);
        };
        let database = rows::database_id(&mut ledger.read().await?)
            .await?
            .ok_or(Error::NoVault)?;
        let root = Root::unlock(custody.as_ref(), &ledger, id, database).await?;
        let mut tx = ledger.read().await?;
        let seed = seed(&mut tx, &root.key(), id).await?;
        drop(tx);
        let signer = Signer::from_seed(&seed);
        let subject_key = keyring::subject_key(&seed);
        let filler = HolderId::random(&mut rand::rng());
        let memory = Memory::default();
        let journaling = tokio::sync::Mutex::default();
        let ownership = Ownership::of(database);
        let inner = Inner {
            id,
            custody,
            root,
            ownership,
            signer,
            seed,
            subject_key,
            ledger,
            store,
            recovery,
            memory,
            journaling,
            clock,
            filler,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The vault's id.
    pub fn id(&self) -> VaultId {
        self.0.id
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
async fn first_unit(ledger: &Ledger) -> Result<ledger::Tx, Error> {
    match ledger.begin_empty().await {
        Err(ledger::Error::NotEmpty(table)) => Err(why_not_empty(ledger, table).await),
        begun => Ok(begun?),
    }
}

/// Why no vault is made in a ledger that has rows: mostly it holds one.
async fn why_not_empty(ledger: &Ledger, table: String) -> Error {
    let found = async { rows::vault_id(&mut ledger.read().await?).await };
    match found.await {
        Ok(Some(id)) => Error::VaultExists(id),
        Ok(None) => ledger::Error::NotEmpty(table).into(),
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
async fn seed(tx: &mut ledger::Tx, root: &RootKey, vault: VaultId) -> Result<Key, Error> {
    let page = rows::service_page(tx).await?.ok_or(Error::NoVault)?;
    let service = tree::walk(rows::path(tx, page).await?, root, vault)?;
    Ok(service.page.key(0)?)
}
