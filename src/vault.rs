//! The one place where key, ciphertext and row meet.
//!
//! Owns every use of a key: depositing, opening, shredding, signing. Refuses to know HTTP, Twilio, or why somebody asks: it wants a
//! [`Grant`](crate::policy::Grant) or a [`Permit`](crate::policy::Permit) and asks no further.
//!
//! INVARIANTS
//! - Ciphertext first, key entry last: a recording exists when the transaction with its key entry commits.
//! - Between calls a process keeps the key of the present epoch's root page, the vault's own seed, and no other; each use walks from it through rows just read,
//!   so a shred has no cache to be forgotten from. What was read under another epoch is read again.
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
mod window;

use std::sync::Arc;

pub use deposit::{Beside, DepositError, Deposited};
pub use details::Keeping;
pub use drill::{Forgot, Looked, Old, Recovered, Sandbox, Say};
pub use epoch::Turned;
pub use memory::check_unused;
pub use open::{Listening, Playable};
pub use restore::{Choice, Plan, Restored, plan, restore, unfinished};
pub use revoke::withdrawal;
pub use shred::{LetGo, SayCount, Shredded, Undurable};
pub use snapshot::{Checked, Kept};
pub use transcript::{Arrived, Filed};
pub use utterances::PieceOf;

use self::root::Root;
use crate::{
    custody::{self, Custody, RootName},
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
    #[error("custody holds the root of vault {root} and the ledger belongs to vault {ledger}: check `[custody]` and `ledger.url`")]
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
    /// The ledger has not what is known of it elsewhere: it was put back from an old copy, or went its own way, and has forgotten what happened.
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
    /// Before something is destroyed the store must say what it knows, and it says nothing that opens.
    #[error(
        "nothing is destroyed: the ledger cannot be compared with the store, which has no snapshot or journal that opens ({unreadable} files do not); \
         remove what does not belong into `snapshots/` and `journal/`, then run `recvault snapshot create`"
    )]
    NothingToCompare {
        /// Files that do not open.
        unreadable: usize,
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
    #[error("`--accept-gap {0}`: the journal has no such gap; without the option the gaps are named")]
    NoSuchGap(ledger::gaps::Gap),
    /// The ledger is empty and the store is not.
    #[error(
        "the ledger holds no vault, but the store does: {0}. The database was lost, or `ledger.url` names another one. `recvault snapshot restore` rebuilds \
         the vault in an empty database; a new vault needs a store and a custody of its own"
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
    #[error("the store holds no snapshot of an epoch whose root is in custody ({0}); a snapshot that is older than the root opens no more")]
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
    #[error("the ledger holds no vault yet: run `recvault init`")]
    NoVault,
    /// The ledger has a vault in it already.
    #[error("the ledger holds vault {0} already: `recvault init` makes a new vault and never replaces one")]
    VaultExists(VaultId),
    /// A hold keeps the recording.
    #[error("a hold keeps recording {0}; lift it first")]
    Held(RecordingId),
    /// The recording is shredded, or nothing of it is sealed.
    #[error("nothing of this recording can be opened")]
    Gone,
    /// Others who ran beside it have spent what the policy allows this principal for this purpose today.
    #[error("the day's budget of openings is spent")]
    BudgetSpent,
    /// The store gives back another object than was sealed.
    #[error("what the store gives back is not what was sealed: its length or its SHA-256 is another")]
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
    #[error("the sound of this recording is of a format in which seconds have no fixed place, so that no part of it can be given")]
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
    signer: Signer,
    /// What the signing key is made of, and what people are recognised by.
    seed: Key,
    subject_key: Key,
    ledger: Ledger,
    store: Store,
    /// Where snapshots and journal are; mostly the same store.
    recovery: Store,
    /// What this process has seen of the ledger and of the store.
    memory: memory::Memory,
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
    /// Plants a new vault's key tree in an empty ledger, under a new root. An interrupted attempt is gone on from.
    ///
    /// # Errors
    /// [`Error::VaultExists`] if the ledger has one already.
    pub async fn create(ledger: &Ledger, custody: &dyn Custody, clock: &Clock) -> Result<VaultId, Error> {
        if let Some(id) = rows::vault_id(&mut ledger.read().await?).await? {
            return Err(Error::VaultExists(id));
        }
        // An earlier attempt may have ended between custody and ledger; the vault goes on with that root.
        let root = match custody.roots().await?.first() {
            Some(found) => *found,
            None => RootName { vault: VaultId::random(&mut rand::rng()), epoch: 1 },
        };
        custody.stage(root).await?;
        let root_key = RootKey { epoch: root.epoch, key: Key::random(&mut rand::rng()) };
        let sealed = custody.seal(root, &root_key.key).await?;
        let pages = tree::plant(&root_key, root.vault, &mut rand::rng())?;
        let (now, filler) = (clock.now(), HolderId::random(&mut rand::rng()));
        let database = DatabaseId::random(&mut rand::rng());
        let mut tx = ledger.begin_empty().await?;
        rows::insert_vault(&mut tx, root.vault, database, now).await?;
        epochs::insert(&mut tx, root.epoch, &sealed, now).await?;
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

    /// Unlocks a vault, and lets this process write to its ledger: it is compared with the store first. The one way in for whoever writes.
    ///
    /// # Errors
    /// [`Error::ForgetfulLedger`]; the store's; as [`Self::unlock_to_read`].
    pub async fn unlock(parts: Parts) -> Result<Self, Error> {
        let vault = Self::unlock_to_read(parts).await?;
        vault.admit_writers().await?;
        Ok(vault)
    }

    /// Unlocks a vault for reading: proves that custody and ledger belong together by walking to the signing key, and nothing more. Whatever would write
    /// is refused by the ledger.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::LostLedger`], [`Error::OtherVault`], [`Error::OldLedger`], [`Error::Keyring`] when the root is not this tree's.
    pub async fn unlock_to_read(parts: Parts) -> Result<Self, Error> {
        let Parts { ledger, store, recovery, custody, clock } = parts;
        let Some(id) = rows::vault_id(&mut ledger.read().await?).await? else {
            return Err(memory::why_no_vault(&store, &recovery).await);
        };
        let root = Root::unlock(custody.as_ref(), &ledger, id).await?;
        let mut tx = ledger.read().await?;
        let seed = seed(&mut tx, &root.key(), id).await?;
        drop(tx);
        let (signer, subject_key) = (Signer::from_seed(&seed), keyring::subject_key(&seed));
        let filler = HolderId::random(&mut rand::rng());
        let (memory, journaling) = (memory::Memory::default(), tokio::sync::Mutex::default());
        let inner = Inner { id, custody, root, signer, seed, subject_key, ledger, store, recovery, memory, journaling, clock, filler };
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

/// The seed of the signing key, from the vault's own page.
async fn seed(tx: &mut ledger::Tx, root: &RootKey, vault: VaultId) -> Result<Key, Error> {
    let page = rows::service_page(tx).await?.ok_or(Error::NoVault)?;
    let service = tree::walk(rows::path(tx, page).await?, root, vault)?;
    Ok(service.page.key(0)?)
}
