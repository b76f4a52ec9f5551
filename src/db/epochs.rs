//! Epochs of the root key. The turn from one epoch to the next is held by a lease on work of the
//! kind [`WorkKind::EpochTurn`].

use std::fmt;

use const_format::formatcp;

use super::{
    error::Error,
    lease::Term,
    news::{self, ChangeNotice},
    table::{TableRow as _, table},
    tx::{Arg, Tx},
    work::{self, Lease, StoredWork, WorkKind},
};
use crate::model::{
    id::{HolderId, VaultId},
    time::Timestamp,
};

table! {
    "epochs" {}

    /// The life of one root key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct EpochRow {
        key {
            /// Its number, from 1.
            pub epoch: u64 = "epoch",
        }
        /// The root page's key, sealed by custody.
        pub root_sealed: Vec<u8> = "root_sealed",
        /// When the turn's transaction committed.
        pub began_at: Timestamp = "began_at",
        snapshot: Option<String> = "snapshot",
        snapshot_at: Option<Timestamp> = "snapshot_at",
        /// When custody had destroyed the previous root; `None` until the turn is done.
        pub previous_destroyed_at: Option<Timestamp> = "previous_destroyed_at",
        /// When the turn was finished.
        pub finished_at: Option<Timestamp> = "finished_at",
    }
}

impl EpochRow {
    /// Returns the newest verified snapshot of this epoch: its name in the store, and when it was
    /// verified.
    pub fn snapshot(&self) -> Option<(String, Timestamp)> {
        self.snapshot.clone().zip(self.snapshot_at)
    }
}

const COLUMNS: &str = EpochRow::COLUMNS;

/// Returns the current epoch; `None` before `recvault init`.
pub async fn current(tx: &mut Tx) -> Result<Option<EpochRow>, Error> {
    const SQL: &str =
        formatcp!("/* epochs.current */ SELECT {COLUMNS} FROM epochs ORDER BY epoch DESC LIMIT 1");
    tx.fetch_row(SQL, &[]).await
}

/// Returns the newest epochs, newest first.
pub async fn newest(tx: &mut Tx, limit: i64) -> Result<Vec<EpochRow>, Error> {
    const SQL: &str =
        formatcp!("/* epochs.newest */ SELECT {COLUMNS} FROM epochs ORDER BY epoch DESC LIMIT $1");
    tx.fetch_rows(SQL, &[Arg::Int(limit)]).await
}

/// Inserts a new epoch.
///
/// # Errors
/// [`Error::Conflict`] if another process inserted it.
pub async fn insert(
    tx: &mut Tx,
    number: u64,
    root_sealed: &[u8],
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* epochs.insert */ {} ON CONFLICT (epoch) DO NOTHING",
        EpochRow::INSERT
    );
    let row = EpochRow {
        epoch: number,
        root_sealed: root_sealed.to_vec(),
        began_at: now,
        snapshot: None,
        snapshot_at: None,
        previous_destroyed_at: None,
        finished_at: None,
    };
    match tx.insert_row(SQL, &row, &[]).await? {
        1 => news::tell(tx, ChangeNotice::Epoch).await,
        _ => Err(Error::Conflict),
    }
}

/// Records a verified snapshot of this epoch, unless a newer one is recorded.
pub async fn note_snapshot(
    tx: &mut Tx,
    number: u64,
    name: &str,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* epochs.note_snapshot */
        UPDATE epochs SET snapshot = $2, snapshot_at = $3 WHERE epoch = $1 AND COALESCE(snapshot, '') < $2";
    const KNOWN: &str = "/* epochs.known */ SELECT COUNT(*) FROM epochs WHERE epoch = $1";
    if tx
        .execute(
            SQL,
            &[int(number), Arg::Text(name), Arg::Int(now.as_millis())],
        )
        .await?
        == 0
        && tx.fetch_int(KNOWN, &[int(number)]).await? == 0
    {
        return Err(Error::Stale(NO_EPOCH));
    }
    Ok(())
}

/// Records that custody destroyed the previous root, and erases the keys that it sealed from this
/// table.
pub async fn note_destroyed(tx: &mut Tx, number: u64, now: Timestamp) -> Result<(), Error> {
    const NOTE: &str =
        "/* epochs.note_destroyed */ UPDATE epochs SET previous_destroyed_at = $2 WHERE epoch = $1";
    tx.execute_one(NOTE, &[int(number), Arg::Int(now.as_millis())], NO_EPOCH)
        .await?;
    const FORGET: &str = "/* epochs.forget */ UPDATE epochs SET root_sealed = $2 WHERE epoch < $1";
    tx.execute(FORGET, &[int(number), Arg::Bytes(&[])])
        .await
        .map(|_| ())
}

/// Records that the turn is finished.
pub async fn finish(tx: &mut Tx, number: u64, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* epochs.finish */ UPDATE epochs SET finished_at = $2 WHERE epoch = $1";
    tx.execute_one(SQL, &[int(number), Arg::Int(now.as_millis())], NO_EPOCH)
        .await?;
    tx.execute(
        "/* epochs.settle */ UPDATE turner SET settled = 1 WHERE one = 1",
        &[],
    )
    .await
    .map(|_| ())
}

/// Returns the number of the current epoch and takes a shared lock on it: no turn changes it before
/// the unit ends.
///
/// # Errors
/// [`Error::Stale`] before `recvault init`.
pub async fn hold(tx: &mut Tx) -> Result<u64, Error> {
    const HOLD: &str = "/* epochs.hold */ SELECT pg_advisory_xact_lock_shared(hashtext('recvault.epoch'), hashtext(current_schema()))";
    const SQL: &str = "/* epochs.held */ SELECT epoch FROM epochs ORDER BY epoch DESC LIMIT 1";
    // SQLite has one writer at a time.
    if tx.is_postgres() {
        tx.execute(HOLD, &[]).await?;
    }
    Ok(tx.fetch_int(SQL, &[]).await?.unsigned_abs())
}

/// Waits for all shared locks on the current epoch and takes an exclusive one until the unit ends.
pub async fn hold_alone(tx: &mut Tx) -> Result<(), Error> {
    const SQL: &str = "/* epochs.hold_alone */ SELECT pg_advisory_xact_lock(hashtext('recvault.epoch'), hashtext(current_schema()))";
    if tx.is_postgres() {
        tx.execute(SQL, &[]).await?;
    }
    Ok(())
}

/// The holder of the epoch turn, and when the lease ends unless it is extended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Holding {
    /// The holder.
    pub holder: String,
    /// When the lease ends, by the database's time.
    pub until: Timestamp,
    /// Seconds until then, by the database's time.
    pub left_s: u64,
    /// The fencing token of the lease, which grows with each taking.
    pub fencing_token: i64,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} holds it until {}, {} s from now by the database's clock, unless it extends the \
             lease",
            self.holder, self.until, self.left_s
        )
    }
}

/// Returns the holder of the turn, whether or not the lease has expired.
pub async fn turning(tx: &mut Tx) -> Result<Option<Holding>, Error> {
    const SQL: &str = formatcp!(
        "/* epochs.turning */ SELECT {} FROM work WHERE kind = 'epoch-turn' AND holder IS NOT NULL",
        StoredWork::COLUMNS
    );
    let Some(work) = tx.fetch_row::<StoredWork>(SQL, &[]).await? else {
        return Ok(None);
    };
    // Rounded up, so that a caller who waits this long has waited long enough.
    let left_s = work
        .due_at
        .since(tx.now().await?)
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX);
    Ok(work.holder.map(|holder| Holding {
        holder,
        until: work.due_at,
        left_s,
        fencing_token: work.token,
    }))
}

/// Takes the turn of a vault for a term; `None` while another holder has it. Every unit of the turn
/// keeps the lease, and the last one ends it.
pub async fn take_turn(
    tx: &mut Tx,
    vault: VaultId,
    holder: HolderId,
    term: Term,
) -> Result<Option<Lease<VaultId>>, Error> {
    work::claim(tx, WorkKind::EpochTurn, &vault, holder, term).await
}

/// Ends the lease on the turn without giving it to another holder; later commits of the former
/// holder fail. Returns the former lease.
pub async fn release_turn(tx: &mut Tx) -> Result<Option<Holding>, Error> {
    const SQL: &str = "/* epochs.release_turn */ DELETE FROM work WHERE kind = 'epoch-turn'";
    let holding = turning(tx).await?;
    if holding.is_some() {
        tx.execute(SQL, &[]).await?;
    }
    Ok(holding)
}

/// Assigns the next epoch number: higher than the current one, than `known`, and than every number
/// assigned here before.
pub async fn next_number(tx: &mut Tx, known: u64) -> Result<u64, Error> {
    const SQL: &str = "/* epochs.next_number */
        UPDATE turner SET numbered_to = 1 + (SELECT MAX(n) FROM (SELECT MAX(epoch) AS n FROM epochs UNION ALL SELECT $1 UNION ALL
          SELECT numbered_to FROM turner) AS numbers) WHERE one = 1 RETURNING numbered_to";
    Ok(tx.fetch_int(SQL, &[int(known)]).await?.unsigned_abs())
}

/// Marks the epoch of a rebuilt database as one whose turn is not finished; nothing is sealed or
/// opened until it is. `known` is the newest root in custody, whose number is not assigned again.
pub async fn unsettle(tx: &mut Tx, number: u64, known: u64) -> Result<(), Error> {
    const EPOCH: &str = "/* epochs.unsettle */
        UPDATE epochs SET snapshot = NULL, snapshot_at = NULL, previous_destroyed_at = NULL, finished_at = NULL WHERE epoch = $1";
    tx.execute_one(EPOCH, &[int(number)], NO_EPOCH).await?;
    const TURNER: &str =
        "/* epochs.unsettled */ UPDATE turner SET settled = 0, numbered_to = $1 WHERE one = 1";
    tx.execute(TURNER, &[int(known)]).await.map(|_| ())
}

/// Returns whether the turn after a rebuild is finished.
pub async fn is_settled(tx: &mut Tx) -> Result<bool, Error> {
    Ok(tx
        .fetch_int(
            "/* epochs.is_settled */ SELECT settled FROM turner WHERE one = 1",
            &[],
        )
        .await?
        == 1)
}

/// Returns when the renewal of all page keys was last requested.
pub async fn rotated_at(tx: &mut Tx) -> Result<Option<Timestamp>, Error> {
    let row = tx
        .fetch_first(
            "/* epochs.rotated_at */ SELECT rotated_at FROM turner WHERE one = 1",
            &[],
        )
        .await?;
    Ok(row
        .map(|row| row.maybe_time("rotated_at"))
        .transpose()?
        .flatten())
}

/// Records that the keys of all pages are to be renewed.
pub async fn note_rotated(tx: &mut Tx, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = "/* epochs.note_rotated */ UPDATE turner SET rotated_at = $1 WHERE one = 1";
    tx.execute(SQL, &[Arg::Int(now.as_millis())])
        .await
        .map(|_| ())
}

fn int(epoch: u64) -> Arg<'static> {
    Arg::Int(epoch.try_into().unwrap_or(i64::MAX))
}

const NO_EPOCH: &str = "the epoch is not there";
