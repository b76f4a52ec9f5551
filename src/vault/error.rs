//! Errors of the vault, and the remedy for each.
//!
//! Owns the messages. Refuses to know who asked.

use crate::{
    custody, db, keyring,
    model::{
        id::{DatabaseId, ObjectId, ReceiptId, RecordingId, VaultId},
        numerals::counted,
        timeline::LogPoint,
    },
    seal, store,
};

/// Why an operation of the vault failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The object does not match the catalogue.
    #[error(transparent)]
    Seal(#[from] seal::Error),
    /// The key tree does not open.
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
    /// The root key is not available.
    #[error(transparent)]
    Custody(#[from] custody::Error),
    /// Custody and the database belong to different vaults.
    #[error(
        "custody holds the root key of vault {root}, but the database belongs to vault {db}: check \
         `[custody]` and `database.url`"
    )]
    OtherVault {
        /// The vault whose root is in custody.
        root: VaultId,
        /// The database's vault.
        db: VaultId,
    },
    /// The database is a copy from before a turn: the root that it needs was destroyed.
    #[error(
        "the database is of epoch {db}, but custody holds the root key of epoch {custody}: this \
         database is an old copy, which no key opens any more; `recvault snapshot restore` \
         rebuilds the vault from the store"
    )]
    OldDatabase {
        /// The database's epoch.
        db: u64,
        /// The newest in custody.
        custody: u64,
    },
    /// The database lacks an entry that is known elsewhere: it was restored from an old copy, or it
    /// diverged.
    #[error(
        "the database ends with audit entry {db} and lacks entry {known}: it is an old copy, or a \
         replica that lagged, and lacks later changes, including shreds. Nothing is written and \
         nothing opens. Bring back the newer database, or run `recvault snapshot restore` into an \
         empty database, which rebuilds the latest state of the vault"
    )]
    ForgetfulDatabase {
        /// The database's last entry.
        db: i64,
        /// The entry that it should have.
        known: LogPoint,
    },
    /// The roots belong to another database, which was restored and took over, or this one is a
    /// copy.
    #[error(
        "custody of vault {vault} belongs to database {owner}, and this is database {database}: \
         another database was restored and took over, or this database is a copy. It opens and \
         writes nothing. Use the owner; if the owner is lost, `recvault snapshot restore \
         --take-over` into an empty database rebuilds the vault"
    )]
    NotOwner {
        /// The vault.
        vault: VaultId,
        /// The database that owns the roots.
        owner: DatabaseId,
        /// This one.
        database: DatabaseId,
    },
    /// A restore would take the roots from another database.
    #[error(
        "custody of vault {vault} belongs to database {owner}, and a restore takes it over: a \
         process that still runs on that database then opens and writes nothing. To confirm this, \
         add `--take-over`; to rehearse, run `recvault drill`"
    )]
    TakeOver {
        /// The vault.
        vault: VaultId,
        /// The database that owns the roots.
        owner: DatabaseId,
    },
    /// The store received a file while a database was rebuilt from it: the former database was
    /// still written to.
    #[error(
        "the store received `{0}` while the database was rebuilt: a process still worked on the \
         former database. Custody is taken from that database now, so run the same command again, \
         with `--take-over`"
    )]
    StoreMoved(String),
    /// The place of custody is empty.
    #[error(
        "custody holds no root key of vault {0}: the slot is missing, or `[custody]` names another \
         place. Put the slot back. A service that still runs has the key in memory: do not stop \
         it before"
    )]
    NoSlot(VaultId),
    /// The last access to custody failed.
    #[error("custody has a problem: {0}")]
    CustodyTrouble(String),
    /// The slot is older than one that this process saw.
    #[error(
        "the slot in custody is of generation {found}, and this process has seen generation \
         {known}: an old copy was put back; put the newest slot back"
    )]
    OldSlot {
        /// The generation that was seen.
        known: u64,
        /// The present one.
        found: u64,
    },
    /// The database lacks an entry that it had when it last changed custody.
    #[error(
        "the database ends with audit entry {db} and lacks entry {custody}, which it had when it \
         last changed custody: this database is an old copy; `recvault snapshot restore \
         --take-over` into an empty database rebuilds the latest state of the vault"
    )]
    BehindCustody {
        /// The database's last entry.
        db: i64,
        /// The one that custody knows of.
        custody: LogPoint,
    },
    /// A restore is not finished, and another process is finishing it, or died doing so.
    #[error(
        "the restore of this vault is not finished, and another process holds the turn that \
         finishes it: {0}. If that process is dead, wait that long and run this command again, or \
         first run `recvault epoch release`, which takes the turn away immediately"
    )]
    TurnHeld(db::epochs::Holding),
    /// The newest snapshot needs a root that a turn would destroy.
    #[error(
        "the newest snapshot `{snapshot}` needs the root key of epoch {epoch}, which this turn \
         would destroy: this database is not the one that wrote the store; `recvault snapshot \
         restore --take-over` into an empty database rebuilds the latest state of the vault"
    )]
    NewerSnapshot {
        /// The snapshot.
        snapshot: String,
        /// The epoch whose root it needs.
        epoch: u64,
    },
    /// `init` found roots in custody.
    #[error(
        "custody holds the root keys of vault {0}, and the database holds no vault: `recvault \
         init` never replaces a vault. If the database was lost, `recvault snapshot restore \
         --take-over` rebuilds the vault; for another vault, name another place in `[custody]`"
    )]
    CustodyTaken(VaultId),
    /// Before a destruction the store must provide a position to compare with, and it has no file
    /// that opens.
    #[error(
        "nothing is destroyed: the database cannot be compared with the store, which has no \
         snapshot or journal that opens ({} not). Check `store.url` and `[recovery]`, and remove \
         foreign files from `snapshots/` and `journal/`",
        counted(*unreadable, "file does", "files do")
    )]
    NothingToCompare {
        /// Files that do not open.
        unreadable: usize,
    },
    /// The store lacks entries that were written there: it is another store, or an older copy of
    /// the right one.
    #[error(
        "the store ends with audit entry {store}, and entry {db} was written there: `store.url` or \
         `[recovery]` names another store, its disk is not mounted, or it was restored from an \
         older copy. Bring back the right store. Until then nothing is written or destroyed. If \
         it is lost, or is intentionally new, `recvault snapshot create --new-store` writes a \
         snapshot to it"
    )]
    ForgetfulStore {
        /// The newest entry that the database knows to be in the store.
        db: LogPoint,
        /// The store's newest.
        store: LogPoint,
    },
    /// Another vault's files are in the store.
    #[error(
        "`{name}` in the store claims vault {vault}: two vaults must not share a store, because \
         one would sweep the other's objects. Give each vault its own store, or its own path in \
         the bucket; if the file belongs to no vault, remove it"
    )]
    SharedStore {
        /// The file.
        name: String,
        /// The vault that it names.
        vault: VaultId,
    },
    /// The change is committed in the database and is not in the store yet.
    #[error(
        "done, but not durable yet: the change has taken effect and no shredded recording opens, \
         but it is not in the store, so a restore would lack it. It completes by itself when the \
         store can be written; repeat the request to confirm it ({0})"
    )]
    NotDurable(String),
    /// The journal has a gap that was not accepted.
    #[error(
        "the journal has gaps: audit entries {0} are incomplete in the store, and may include a \
         shred. Bring back the missing files, or restore without them by `--accept-gap` for \
         exactly each of these gaps"
    )]
    Gaps(String),
    /// An accepted gap does not exist.
    #[error(
        "`--accept-gap {0}`: the journal has no such gap; run the command without the option to \
         list the gaps"
    )]
    NoSuchGap(db::gaps::Gap),
    /// The database is empty and the store is not.
    #[error(
        "the database holds no vault, but a vault exists: {0}. The database was lost, or \
         `database.url` names another database. `recvault snapshot restore --take-over` rebuilds \
         the vault in an empty database; a new vault needs its own store and custody"
    )]
    LostDatabase(String),
    /// Rows that snapshots share are missing or altered.
    #[error(
        "`{0}` in the store of snapshots, with rows that snapshots share, is missing or not as it was \
         written: the next snapshot writes these rows again"
    )]
    SharedRows(ObjectId),
    /// A recovery file is malformed.
    #[error("`{name}` in the store: {why}")]
    RecoveryFile {
        /// The file.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Two timelines published two policies under one version.
    #[error(
        "`{name}` in the store holds a policy of version `{version}` that is another file than the \
         one an earlier timeline published under that version: recordings are pinned to a version, \
         so a vault has one file for each. To restore without what `{name}` holds, move it away \
         and accept the gap that it leaves"
    )]
    PolicyTwice {
        /// The recovery file.
        name: String,
        /// The version.
        version: String,
    },
    /// There is no snapshot that a root in custody opens.
    #[error(
        "the store holds no snapshot of an epoch whose root key is in custody ({0}); a snapshot \
         that is older than the root key no longer opens"
    )]
    NoSnapshot(String),
    /// A drill's folder cannot be used.
    #[error("`{path}`: {why}")]
    Sandbox {
        /// The folder, or a file in it.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The database contains no vault.
    #[error(
        "the database holds no vault: `recvault init` creates one. If there was a vault and its \
         database is lost, `recvault snapshot restore --take-over` rebuilds it from the store"
    )]
    NoVault,
    /// The database already contains a vault.
    #[error(
        "the database already holds vault {0}: `recvault init` creates a new vault and never \
         replaces one. If the first `recvault init` was interrupted before it showed a token, run \
         `recvault snapshot create` and `recvault token create` to complete it"
    )]
    VaultExists(VaultId),
    /// A hold keeps the recording.
    #[error("a hold keeps recording {0}; lift it first")]
    Held(RecordingId),
    /// The recording is shredded, or nothing of it is sealed.
    #[error(
        "this recording has no content that can be opened: it is shredded, or was never sealed"
    )]
    Gone,
    /// The grant has ended, or its approval was revoked.
    #[error("the grant has ended; ask for another one")]
    GrantEnded,
    /// A receipt in the database does not verify with any key of this vault.
    #[error(
        "receipt {0} in the database is not signed by a key of this vault: its row was altered;          bring the row back from a copy of the database"
    )]
    BrokenReceipt(ReceiptId),
    /// The store lacks the sealed object of a recording whose key lives: it is lost, unless it is
    /// brought back.
    #[error(
        "the store has no sealed object of recording `{0}`, though its key lives: bring the object \
         back from a copy of the store"
    )]
    CiphertextMissing(RecordingId),
    /// Concurrent openings have used up the budget that the policy allows this principal for this
    /// purpose today.
    #[error(
        "the principal's budget of openings for this purpose is spent; it renews at midnight UTC"
    )]
    BudgetSpent,
    /// The store returned another object than was sealed.
    #[error("the object in the store is not the sealed one: its length or its SHA-256 differs")]
    Altered,
    /// The key found is not the one the catalogue names.
    #[error("the record key is not the key that sealed this recording")]
    WrongKey,
    /// The object that is sealed as a transcript does not parse.
    #[error("the sealed transcript cannot be parsed")]
    BrokenTranscript,
    /// The sealed participants do not parse.
    #[error("the sealed participants cannot be parsed")]
    BrokenDetails,
    /// The audio format does not allow a part to be cut out.
    #[error(
        "the audio format of this recording has no fixed position for a second, so no part of the \
         audio can be given; use a purpose without `window`"
    )]
    NoWindow,
}

impl db::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&db::Error> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// An error that may be one of the vault's: a unit of work checks whether it means that the epoch
/// has turned.
pub trait AsVaultError {
    /// Returns the vault's error, if it is one.
    fn as_vault_error(&self) -> Option<&Error>;
}

impl AsVaultError for Error {
    fn as_vault_error(&self) -> Option<&Error> {
        Some(self)
    }
}
