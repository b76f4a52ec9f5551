//! A vault with any number of sealed recordings, inserted by SQL: their keys are real and can be
//! looked up and destroyed; there is no audio.

use std::{collections::BTreeMap, error::Error, path::Path, sync::Arc};

use recvault::{
    custody::{self, Custody, RootName},
    db::{self, Db, Tx, epochs, keys},
    evidence::ShredReason,
    keyring::{FAN_OUT, LEAF, LEVELS, PageRow, RootKey, fingerprint, tree},
    model::{
        id::{HolderId, ObjectId, PageId, RecordingId, VaultId},
        recording::Recording,
        time::{Clock, Timestamp},
    },
    policy::{Permit, action},
    secret::{Key, SecretText},
    store::Store,
    vault::{self, Cause, OnHold, Vault},
};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};

use crate::cast;

/// Recordings per statement.
const BATCH: usize = 10_000;
/// The tier of all of them.
const TIER: &str = "standard";

type Failure = Box<dyn Error + Send + Sync>;

/// A vault with recordings.
pub(crate) struct Filled {
    pub(crate) db: Db,
    pub(crate) vault: Vault,
    /// All recordings, oldest first.
    pub(crate) ids: Vec<RecordingId>,
}

impl Filled {
    /// Shreds one recording in its own unit; fails if it was shredded before, or is held.
    pub(crate) async fn shred(
        &self,
        recording: &Recording,
        reason: &ShredReason,
    ) -> Result<(), Failure> {
        let permit = Permit::of_operator(action::Shred);
        let cause = Cause::permitted(&permit, reason);
        let vault = &self.vault;
        let shredded = vault.unit("shredded", async |mut unit| {
            let done = vault
                .shred(&mut unit, &[recording], cause, OnHold::Keep)
                .await?;
            if !done.is_news {
                unit.abandon();
            }
            Ok::<_, vault::Error>(done.is_news)
        });
        if shredded.await? {
            Ok(())
        } else {
            Err("the recording was shredded before, or is held".into())
        }
    }
}

/// The location of a new vault.
pub(crate) struct Ground<'a> {
    /// Its empty database.
    pub(crate) url: String,
    /// The folder of its root key, and of its database if that is a file.
    pub(crate) folder: &'a Path,
    /// The store of its objects and snapshots.
    pub(crate) store: Store,
}

/// Custody of the root in a folder.
pub(crate) fn custody(folder: &Path) -> Result<Arc<dyn Custody>, Failure> {
    let settings = custody::CustodySettings {
        passphrase: Some(SecretText::new("bench".into())),
        ..Default::default()
    };
    Ok(custody::open(settings, folder)?)
}

/// The root of the key tree.
struct Root {
    vault: VaultId,
    key: RootKey,
}

/// Creates a vault with `count` sealed recordings, announced one per second until now.
pub(crate) async fn fill(ground: Ground<'_>, count: usize) -> Result<Filled, Failure> {
    let Ground { url, folder, store } = ground;
    let db = Db::open(
        &db::DatabaseSettings {
            url: url.clone(),
            ..Default::default()
        },
        folder,
    )
    .await?;
    let clock = Clock::System;
    let custody = custody(folder)?;
    let id = Vault::create(&db, custody.as_ref(), &clock).await?;
    let epoch = epochs::current(&mut db.read().await?)
        .await?
        .ok_or("a vault has an epoch")?;
    let key = custody
        .open(
            RootName {
                vault: id,
                epoch: epoch.epoch,
            },
            &epoch.root_sealed,
        )
        .await?;
    let root = Root {
        vault: id,
        key: RootKey {
            epoch: epoch.epoch,
            key,
        },
    };

    // The rows were not written by the vault, so nothing is compared.
    db.prove(&[]).await?;
    let grown = db.unit("grown", async |mut unit| {
        unit.without_entry("a bench");
        grow(&mut unit, &root, count)
            .await
            .map_err(|error| db::Error::Statement(error.to_string()))
    });
    let slots = grown.await?;
    let mut rows = Rows::connect(&url, folder).await?;
    let book = cast::rulebook();
    let now = clock.now();
    let version = book.current().version();
    let digest = book.current().digest();
    let mut ids = Vec::with_capacity(count);
    for (at, slots) in slots.chunks(BATCH).enumerate() {
        let members = slots.iter().enumerate().map(|(within, slot)| {
            let number = at * BATCH + within;
            let sid = format!("RE{number:032x}");
            let announced_at = now.as_millis() - 1000 * i64::try_from(count - number).unwrap_or(0);
            let id = RecordingId::of_source(root.vault, cast::ACCOUNT, &sid);
            let object = ObjectId::random(&mut rand::rng()).to_string();
            (
                id,
                Member {
                    account: cast::ACCOUNT,
                    sid,
                    announced_at,
                    version,
                    digest,
                    object,
                    slot,
                },
            )
        });
        let members: BTreeMap<RecordingId, Member<'_>> =
            members.inspect(|(id, _)| ids.push(*id)).collect();
        rows.insert(&serde_json::to_string(&members)?).await?;
    }
    rows.close().await?;

    let vault = Vault::unlock(vault::VaultParts {
        db: db.clone(),
        store: store.clone(),
        recovery: store,
        custody,
        clock,
    })
    .await?;
    Ok(Filled { db, vault, ids })
}

/// One recording with its key entry and its artefact.
#[derive(serde::Serialize)]
struct Member<'a> {
    account: &'a str,
    sid: String,
    announced_at: i64,
    version: &'a str,
    digest: &'a str,
    object: String,
    #[serde(flatten)]
    slot: &'a Slot,
}

/// The position of a record key, and its public name.
#[derive(serde::Serialize)]
struct Slot {
    page: PageId,
    slot: usize,
    fingerprint: String,
}

/// Extends the tier's tree until it holds `count` record keys.
async fn grow(tx: &mut Tx, root: &Root, count: usize) -> Result<Vec<Slot>, Failure> {
    let page = keys::root_page(tx)
        .await?
        .ok_or("a vault has a root page")?;
    let mut grove = Grove {
        root,
        pages: Vec::new(),
        slots: Vec::with_capacity(count),
    };
    let grown = grove.below(keys::path(tx, page).await?, LEVELS, count)?;
    keys::replace_page(tx, &grown).await?;
    let filler = HolderId::random(&mut rand::rng());
    for page in &grove.pages {
        keys::insert_page(tx, page, filler, Timestamp::from_millis(0)).await?;
    }
    Ok(grove.slots)
}

struct Grove<'a> {
    root: &'a Root,
    /// Finished pages, each after its parent's key was placed; children come before their parents.
    pages: Vec<PageRow>,
    slots: Vec<Slot>,
}

impl Grove<'_> {
    /// Attaches pages for `count` record keys below the last page of `path`, and returns that page.
    fn below(
        &mut self,
        mut path: Vec<PageRow>,
        level: u8,
        count: usize,
    ) -> Result<PageRow, Failure> {
        let vault = self.root.vault;
        let rng = &mut rand::rng();
        // The root page has one child for the tier, however many keys there are.
        let each = FAN_OUT.pow(u32::from(level.min(LEVELS)));
        let mut left = count;
        while left > 0 {
            let opened = tree::walk(path.clone(), &self.root.key, vault)?;
            let (above, mut child) = tree::attach(opened, TIER, level - 1, vault, rng)?;
            path.pop();
            path.push(above);
            let keys = left.min(each);
            left -= keys;
            if level - 1 == LEAF {
                let page = child.page.id();
                for slot in 0..keys {
                    let key = Key::random(rng);
                    child.page.push(&key)?;
                    self.slots.push(Slot {
                        page,
                        slot,
                        fingerprint: fingerprint(&key),
                    });
                }
                self.pages.push(child.seal(vault, rng));
            } else {
                let mut path = path.clone();
                path.push(child.seal(vault, rng));
                let child = self.below(path, level - 1, keys)?;
                self.pages.push(child);
            }
        }
        path.pop().ok_or_else(|| "the path ends in a page".into())
    }
}

/// A separate connection that need not be durable.
enum Rows {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The database's own `json_each`, in both databases, gives one row for each member.
const INSERT: [&str; 3] = [
    "INSERT INTO recordings (id, kind, state, account, source_sid, source_status, source_rank, duration_s, channels, tier, policy_version, files,
       policy_digest, announced_at, sealed_at, collected_at)
     SELECT key, 'call', 'sealed', value->>'account', value->>'sid', 'completed', 2, 60, 1, 'standard', value->>'version', 0, value->>'digest',
       CAST(value->>'announced_at' AS BIGINT), CAST(value->>'announced_at' AS BIGINT), CAST(value->>'announced_at' AS BIGINT) FROM json_each($1) AS filled",
    "INSERT INTO key_entries (recording_id, leg, page_id, slot, fingerprint)
     SELECT key, 'all', value->>'page', CAST(value->>'slot' AS BIGINT), value->>'fingerprint' FROM json_each($1) AS filled",
    "INSERT INTO artefacts (recording_id, leg, artefact, object_id, inline, plain_len, sealed_len, sealed_sha256, segment, content_type)
     SELECT key, 'all', 'audio', value->>'object', '', 960044, 960648, value->>'fingerprint', 65536, 'audio/wav' FROM json_each($1) AS filled",
];

impl Rows {
    async fn connect(url: &str, base: &Path) -> Result<Self, Failure> {
        Ok(match url.strip_prefix("sqlite:") {
            Some(file) => {
                let options = SqliteConnectOptions::new()
                    .filename(base.join(file))
                    .foreign_keys(false);
                let options = options
                    .pragma("synchronous", "off")
                    .pragma("cache_size", "-800000");
                Self::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
            None => Self::Postgres(PgConnection::connect(url).await?),
        })
    }

    async fn insert(&mut self, members: &str) -> Result<(), Failure> {
        for sql in INSERT {
            let _rows = match self {
                Self::Sqlite(connection) => sqlx::query(sql)
                    .bind(members.to_owned())
                    .execute(connection)
                    .await?
                    .rows_affected(),
                // PostgreSQL takes an empty text for no bytes.
                Self::Postgres(connection) => {
                    sqlx::query(AssertSqlSafe(sql.replace("''", "CAST('' AS BYTEA)")))
                        .bind(members)
                        .execute(connection)
                        .await?
                        .rows_affected()
                }
            };
        }
        Ok(())
    }

    /// Leaves the database as that of a service that has been running for long.
    async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(mut connection) => {
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                    .execute(&mut connection)
                    .await?;
                connection.close().await?;
            }
            Self::Postgres(mut connection) => {
                sqlx::query("ANALYZE").execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }
}
