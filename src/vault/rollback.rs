//! Rollback detection: whether the database has everything that this vault has done, or is an older
//! copy.
//!
//! ```text
//! store    → the newest file that opens with a root in custody → the position of the newest audit entry that it knows
//! process  → the newest position that it has seen
//! database   → has an entry at that position, and the same one? then it may be written to; otherwise never again by this process
//! ```
//! Owns the comparison, without which a database becomes writable only to shred while the store is
//! away ([`away`]). Refuses to know
//! why a database is old: restored from a copy, a lagging replica that was promoted, or a second
//! database of the same vault.
//!
//! INVARIANTS
//! - A name in the store decides nothing. It determines the order in which files are tried; what
//!   counts is inside a file that opens.
//! - A file that does not open is skipped, with a warning, and is not tried again by this process.
//! - A rolled-back database is closed before the caller gets the error.

mod away;

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use futures_util::TryStreamExt as _;

use super::{
    Inner, Vault,
    error::Error,
    recovery::{Front, Header, RecoveryFile, Roots},
};
use crate::{
    custody::{self, Custody},
    db::{ClosedFor, Tx, audit, chain, epochs, timelines},
    evidence::Position,
    model::{
        numerals::counted,
        time::Timestamp,
        timeline::{LogPoint, Timeline},
    },
    store::{self, RecoveryKind, RecoveryName, Store},
};

/// The maximum number of files that do not open in one comparison: anyone with write access to the
/// store can put any number of them there.
const TRIES: usize = 64;

/// The maximum number of comparisons before a process may write.
const ROUNDS: usize = 16;

/// Before the first entry.
const NOTHING: LogPoint = LogPoint {
    timeline: Timeline::FIRST,
    seq: 0,
};

/// The positions and files that a process has seen.
#[derive(Default)]
pub(super) struct SeenPositions {
    /// The newest position that it has seen.
    newest: Mutex<Option<Position>>,
    /// Files that do not open.
    unreadable: Mutex<BTreeSet<RecoveryName>>,
    /// Files whose headers name this vault.
    own_headers: Mutex<BTreeSet<RecoveryName>>,
    /// Whether this process writes without having compared the database with the store.
    is_uncompared: AtomicBool,
}

impl SeenPositions {
    fn unreadable(&self) -> MutexGuard<'_, BTreeSet<RecoveryName>> {
        self.unreadable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn own_headers(&self) -> MutexGuard<'_, BTreeSet<RecoveryName>> {
        self.own_headers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn newest(&self) -> MutexGuard<'_, Option<Position>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, position: Position) {
        let mut newest = self.newest();
        if newest.is_none_or(|newest| newest.point() < position.point()) {
            *newest = Some(position);
        }
    }
}

/// The newest position recorded in the store.
struct Head {
    /// The newest file that opens, and its position; `None` if there is none.
    known: Option<(RecoveryName, Position)>,
    /// Whether every file that might be newer was tried; false if the search gave up.
    is_complete: bool,
}

/// The result of comparing the database with the store.
enum Comparison {
    /// Both have this position.
    Agreed(Position),
    /// The store has no file that opens.
    NothingInStore,
    /// The newest file is of an earlier timeline, and a restore accepted its absence.
    EarlierTimeline,
    /// The search gave up before it found the newest file that opens.
    Inconclusive,
}

/// The age of the store that the database is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoreAge {
    /// It holds what this vault has written.
    Known,
    /// An operator declares it new: it holds nothing that was written before.
    DeclaredNew,
}

impl Vault {
    /// Compares the database with the store, and lets this process write to it.
    ///
    /// # Errors
    /// [`Error::ForgetfulDatabase`], [`Error::ForgetfulStore`], [`Error::NothingToCompare`]; the
    /// store's, custody's or the database's.
    pub async fn admit_writers(&self) -> Result<(), Error> {
        self.admit(StoreAge::Known).await
    }

    /// As [`Self::admit_writers`], over a store that an operator declares new: it holds nothing
    /// that was written before.
    ///
    /// # Errors
    /// As [`Self::admit_writers`], but for [`Error::ForgetfulStore`].
    pub async fn admit_writers_over_a_new_store(&self) -> Result<(), Error> {
        self.admit(StoreAge::DeclaredNew).await
    }

    async fn admit(&self, store: StoreAge) -> Result<(), Error> {
        let vault = &*self.0;
        let mut compared = vault.compare(store).await?;
        // A file that does not open is tried once. A database is admitted only after a comparison
        // with the newest of all files that open.
        for _ in 1..ROUNDS {
            let Comparison::Inconclusive = compared else {
                break;
            };
            compared = vault.compare(store).await?;
        }
        let agreed = match compared {
            Comparison::Agreed(position) => Some(position),
            Comparison::NothingInStore | Comparison::EarlierTimeline => None,
            Comparison::Inconclusive => return Err(vault.nothing_to_compare()),
        };
        if !vault.db.prove(agreed.as_slice()).await? {
            let known = agreed.map_or(NOTHING, |agreed| agreed.point());
            return Err(vault.refuse_rolled_back(known).await);
        }
        vault.check_rollback().await
    }

    /// Compares the database with the store. If the database lacks something, it is closed for
    /// writing.
    ///
    /// # Errors
    /// As [`Self::admit_writers`].
    pub async fn compare_with_store(&self) -> Result<(), Error> {
        self.0.compare(StoreAge::Known).await.map(drop)
    }

    /// Compares the database with the positions that this process has seen. Cheap; otherwise as
    /// [`Self::compare_with_store`].
    ///
    /// # Errors
    /// [`Error::ForgetfulDatabase`]; the database's.
    pub async fn check_rollback(&self) -> Result<(), Error> {
        self.0.check_rollback().await
    }

    /// As [`Self::compare_with_store`], before a destruction: the store must then also have a
    /// position to compare with.
    ///
    /// # Errors
    /// [`Error::NothingToCompare`]; as [`Self::admit_writers`].
    pub async fn check_before_destroying(&self) -> Result<(), Error> {
        self.0.check_before_destroying().await
    }

    /// Checks that no file in the store names another vault, whose objects a sweep would take for
    /// orphans. The headers are not authenticated; a planted one only prevents the sweep.
    ///
    /// # Errors
    /// [`Error::SharedStore`]; the store's.
    pub async fn check_alone(&self) -> Result<(), Error> {
        let vault = &*self.0;
        for kind in RecoveryKind::ALL {
            for (name, _) in vault.recovery.list_recovery(kind).await? {
                if vault.seen.own_headers().contains(&name) {
                    continue;
                }
                match Front::read(&vault.recovery, name).await {
                    Ok(front) if front.header.vault != vault.id => {
                        return Err(Error::SharedStore {
                            name: name.to_string(),
                            vault: front.header.vault,
                        });
                    }
                    Ok(_) => drop(vault.seen.own_headers().insert(name)),
                    Err(Error::Store(store::Error::NotFound { .. })) => {}
                    Err(error) if is_unreadable(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Returns how many files in the store this process could not open.
    pub fn unreadable_files(&self) -> usize {
        self.0.seen.unreadable().len()
    }
}

impl Inner {
    /// See [`Vault::check_rollback`].
    pub(super) async fn check_rollback(&self) -> Result<(), Error> {
        self.db.stands()?;
        let known = *self.seen.newest();
        let mut tx = self.db.read().await?;
        self.check_rollback_in(&mut tx, known).await
    }

    /// Opens a session that sees the database as it is now, compared with what this process has
    /// seen: a session opened after the database was replaced sees different data than earlier
    /// ones.
    pub(super) async fn snapshot_session(&self) -> Result<Tx, Error> {
        // Before the session is opened: later changes by other tasks of this process are not
        // visible in it.
        let known = *self.seen.newest();
        let mut tx = self.db.snapshot().await?;
        self.check_rollback_in(&mut tx, known).await?;
        Ok(tx)
    }

    /// Compares the session's view with a position that was known before the session began.
    async fn check_rollback_in(&self, tx: &mut Tx, known: Option<Position>) -> Result<(), Error> {
        if let Some(known) = known
            && !audit::has(tx, &known).await?
        {
            let ends = audit::head(tx).await?;
            return Err(self.close(ends, known.point()));
        }
        if let Some(newest) = audit::position(tx).await? {
            self.seen.remember(newest);
        }
        Ok(())
    }

    /// See [`Vault::check_before_destroying`].
    pub(super) async fn check_before_destroying(&self) -> Result<(), Error> {
        self.check_rollback().await?;
        let compared = self.compare(StoreAge::Known).await?;
        let mut tx = self.db.read().await?;
        let current = epochs::current(&mut tx).await?.ok_or(Error::NoVault)?;
        let expects = current.snapshot().is_some() || chain::newest(&mut tx).await?.is_some();
        drop(tx);
        match compared {
            Comparison::Inconclusive => Err(self.nothing_to_compare()),
            Comparison::NothingInStore if expects => Err(self.nothing_to_compare()),
            _ => Ok(()),
        }
    }

    fn nothing_to_compare(&self) -> Error {
        Error::NothingToCompare {
            unreadable: self.seen.unreadable().len(),
        }
    }

    /// Compares the database with the store's newest file that opens: neither may lack what the
    /// other has.
    async fn compare(&self, store: StoreAge) -> Result<Comparison, Error> {
        // Before the store is read: whatever it holds then, it holds until there is something
        // newer.
        let mut tx = self.db.read().await?;
        let durable = if epochs::is_settled(&mut tx).await? {
            audit::durable_position(&mut tx).await?
        } else {
            None
        };
        drop(tx);
        let Head { known, is_complete } = self.store_head().await?;
        let found = known.map(|(_, position)| position.point());
        if let Some(durable) = durable
            && store == StoreAge::Known
            && is_complete
            && found.is_none_or(|found| found < durable.point())
        {
            return Err(Error::ForgetfulStore {
                db: durable.point(),
                store: found.unwrap_or(NOTHING),
            });
        }
        let Some((_, position)) = known else {
            return Ok(if is_complete {
                Comparison::NothingInStore
            } else {
                Comparison::Inconclusive
            });
        };
        let mut tx = self.db.read().await?;
        if audit::has(&mut tx, &position).await? {
            return Ok(Comparison::Agreed(position));
        }
        // A restore accepted the absence of those entries of earlier timelines that it could not
        // enter; until it is settled, its own snapshot is not in the store.
        let path = timelines::path(&mut tx).await?;
        let is_earlier = position.timeline < path.current();
        // A settled database can never have entries that a lost timeline published too late; over a
        // store declared new, the database's own files need not be there.
        let is_late = store == StoreAge::DeclaredNew && !path.holds(position.point());
        if is_earlier && (is_late || !epochs::is_settled(&mut tx).await?) {
            return Ok(Comparison::EarlierTimeline);
        }
        drop(tx);
        Err(self.refuse_rolled_back(position.point()).await)
    }

    /// Closes the database: it does not have what is known at this number.
    async fn refuse_rolled_back(&self, known: LogPoint) -> Error {
        let ends = async { audit::head(&mut self.db.read().await?).await };
        let ends = ends.await.unwrap_or(0);
        self.close(ends, known)
    }

    /// Closes the database, whose last entry is `db`.
    fn close(&self, db: i64, known: LogPoint) -> Error {
        let error = Error::ForgetfulDatabase { db, known };
        self.db.close_gate(ClosedFor::Forgetful, &error.to_string());
        error
    }

    /// Returns the newest file that opens. Files of epochs that have no root in custody never open,
    /// whatever their names.
    async fn store_head(&self) -> Result<Head, Error> {
        let roots = self.custody.roots().await?;
        let epochs: BTreeSet<u64> = roots
            .iter()
            .filter(|root| root.vault == self.id)
            .map(|root| root.epoch)
            .collect();
        let mut names = Vec::new();
        for kind in RecoveryKind::ALL {
            names.extend(
                self.recovery
                    .list_recovery(kind)
                    .await?
                    .into_iter()
                    .map(|(name, _)| name),
            );
        }
        names.retain(|name| epochs.contains(&name.epoch) && !self.seen.unreadable().contains(name));
        names.sort_unstable_by_key(|name| std::cmp::Reverse(*name));
        let mut roots = Roots::default();
        let mut failed = 0;
        for name in names {
            match self.authentic(name, &mut roots).await {
                Ok(header) => {
                    return Ok(Head {
                        known: Some((name, header.entry)),
                        is_complete: true,
                    });
                }
                // It was removed since it was listed.
                Err(Error::Store(store::Error::NotFound { .. })) => {}
                Err(error) if is_unreadable(&error) => {
                    tracing::warn!(
                        file = %name, %error,
                        "a recovery file does not open and is skipped"
                    );
                    metrics::counter!("recvault_recovery_files_unreadable_total").increment(1);
                    self.seen.unreadable().insert(name);
                    failed += 1;
                }
                Err(error) => return Err(error),
            }
            if failed == TRIES {
                tracing::error!(
                    failed,
                    "recovery files do not open; the search for the newest that opens is given up"
                );
                return Ok(Head {
                    known: None,
                    is_complete: false,
                });
            }
        }
        Ok(Head {
            known: None,
            is_complete: true,
        })
    }

    /// Returns the newest snapshot that a root in custody opens, whatever the names of others.
    pub(super) async fn newest_snapshot(&self) -> Result<Option<RecoveryName>, Error> {
        let slot = self.own_slot().await?;
        let all = self.recovery.list_recovery(RecoveryKind::Snapshot).await?;
        let names = all
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| slot.roots().contains(&name.epoch));
        let mut roots = Roots::default();
        for name in names.rev() {
            match self.authentic(name, &mut roots).await {
                Ok(_) => return Ok(Some(name)),
                Err(Error::Store(store::Error::NotFound { .. })) => {}
                Err(error) if is_unreadable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Returns the header of a file that opens and belongs to this vault.
    pub(super) async fn authentic(
        &self,
        name: RecoveryName,
        roots: &mut Roots,
    ) -> Result<Header, Error> {
        let file = RecoveryFile::open(&self.recovery, name, self.custody.as_ref(), roots).await?;
        if file.header.vault == self.id {
            Ok(file.header)
        } else {
            Err(Error::RecoveryFile {
                name: name.to_string(),
                why: "it is another vault's",
            })
        }
    }
}

/// Checks that a new vault may be created over these stores: they contain nothing of another one.
///
/// # Errors
/// [`Error::LostDatabase`], which lists what they contain; the stores'.
pub async fn check_unused(store: &Store, recovery: &Store) -> Result<(), Error> {
    for kind in RecoveryKind::ALL {
        let files = recovery.list_recovery(kind).await?;
        if let Some((newest, _)) = files.last() {
            return Err(Error::LostDatabase(format!(
                "{}, the last of them `{newest}`",
                counted(files.len(), "recovery file", "recovery files")
            )));
        }
    }
    let mut objects = std::pin::pin!(store.list(Timestamp::from_millis(i64::MAX)));
    match objects.try_next().await? {
        Some(object) => Err(Error::LostDatabase(format!(
            "sealed objects, `{}` among them",
            object.id
        ))),
        None => Ok(()),
    }
}

/// Returns why a database without a vault cannot be used.
pub(super) async fn why_no_vault(store: &Store, recovery: &Store, custody: &dyn Custody) -> Error {
    match custody.read().await {
        Ok(Some(slot)) => Error::LostDatabase(format!(
            "custody has the roots of vault {}",
            slot.owner().vault
        )),
        Ok(None) => check_unused(store, recovery)
            .await
            .err()
            .unwrap_or(Error::NoVault),
        Err(error) => error.into(),
    }
}

/// Returns whether the file is at fault, and not the store or custody: reading it again gives the
/// same result.
pub(super) fn is_unreadable(error: &Error) -> bool {
    matches!(
        error,
        Error::RecoveryFile { .. }
            | Error::Seal(_)
            | Error::SharedRows(_)
            | Error::Keyring(_)
            | Error::Custody(custody::Error::NoRoot(_) | custody::Error::NotAuthentic)
            | Error::Store(store::Error::OutOfRange { .. })
    )
}
