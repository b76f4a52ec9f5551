//! Packs: small ciphertext goes to the store once, many in one object, before a snapshot that names
//! it.
//!
//! ```text
//! begin: rows of the pack and its contents, so that no sweep takes the object for an orphan, and
//!   receipts of what is shredded meanwhile wait for it
//!   → the object: ciphertext after ciphertext, as it is in the database
//!   → one unit: every artefact of it names the pack, or none does
//! a worn pack is given up: its living ciphertext is packed again
//!   → no snapshot is left from before that → the object is deleted, then its rows
//! what a restore did not find in a pack is looked for before each snapshot, and entered once it is there
//! ```
//! Owns this order, and when a pack is worn. Refuses to know keys: a pack holds ciphertext only, and
//! whoever has it has no more than whoever has the objects of recordings. A reader never needs a
//! pack while the database lives; a restore fills the rows from it ([`restored`]).
//!
//! INVARIANTS
//! - What a pack holds is also in the database. So a pack that is missing or altered is replaced. Only
//!   a restore can leave a row that lacks it: then the pack is not deleted, given up or not.
//! - A receipt says that ciphertext is removed only when no object of a pack has it.
//! - A snapshot in the store names no pack that is not there.

mod restored;

use std::{collections::BTreeSet, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rand::{RngExt as _, seq::IndexedRandom as _};

use super::{Inner, error::Error};
use crate::{
    db::{
        epochs,
        packs::{self, Pack},
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    model::{crash, id::ObjectId, time::Timestamp},
    store::{self, RecoveryKind, RecoveryName},
};

pub(super) use self::restored::with_ciphertext;

/// The size of a pack in bytes: a request to the store, and little enough to be written again.
const SIZE: usize = 2 * 1024 * 1024;
/// Artefacts read for one pack; each has at most 16 KiB.
const ROWS: i64 = 2048;
/// Packs that may fail to be entered before the rest waits for the next snapshot.
const TRIES: u32 = 8;
/// Packs that are looked for in the store at the same time.
const LOOKS: usize = 16;
/// Packs that are read whole before a snapshot, chosen at random.
const READ_BACK: usize = 2;
/// A pack with bytes that belong to nothing is written again after this time, whatever its share.
const DENTED: Duration = Duration::from_secs(7 * 24 * 3600);
/// A pack that was begun this long ago and never entered is given up.
const UNFINISHED: Duration = Duration::from_secs(3600);
/// The time after which a process does not finish an object: long before others give the pack up.
const WRITABLE: Duration = Duration::from_secs(20 * 60);

/// The outcome of writing a pack.
#[derive(PartialEq, Eq)]
enum Packed {
    /// Nothing is left to pack.
    All,
    /// More may be left.
    Some,
    /// An artefact changed meanwhile, or another process packed it.
    Lost,
}

impl Inner {
    /// Writes small ciphertext to the store that is in no pack, and gives up worn packs before.
    /// What is not packed is written whole in a snapshot, so a failure costs only space.
    ///
    /// # Errors
    /// The store's or the database's.
    pub(super) async fn pack(&self) -> Result<(), Error> {
        self.refill().await?;
        self.leave_worn().await?;
        let mut lost = 0;
        while lost < TRIES {
            match self.write_pack().await? {
                Packed::All => break,
                Packed::Some => {}
                Packed::Lost => lost += 1,
            }
        }
        Ok(())
    }

    async fn write_pack(&self) -> Result<Packed, Error> {
        let mut sealed = packs::unpacked(&mut self.db.read().await?, ROWS).await?;
        let read = sealed.len();
        let mut body = BytesMut::new();
        let fits = sealed.iter().take_while(|sealed| {
            let fits = body.is_empty() || body.len() + sealed.inline.len() <= SIZE;
            if fits {
                body.extend_from_slice(&sealed.inline);
            }
            fits
        });
        let count = fits.count();
        sealed.truncate(count);
        if sealed.is_empty() {
            return Ok(Packed::All);
        }
        let begun = Pack::begun(
            rand::rng().random_range(1..=i64::MAX),
            ObjectId::random(&mut rand::rng()),
            self.clock.now(),
        );
        let is_begun = self.db.unit("packs.begin", async |mut unit| {
            unit.without_entry("a pack that nothing names yet");
            let is_begun = packs::begin(&mut unit, &begun, &sealed).await?;
            if !is_begun {
                unit.abandon();
            }
            Ok::<_, Error>(is_begun)
        });
        if !is_begun.await? {
            // Some of it was shredded since it was read.
            return Ok(Packed::Lost);
        }
        crash::point("pack.begun");
        let Some(pack) = self.store_pack(begun, body.freeze()).await? else {
            // It is given up like that of a process that died.
            return Ok(Packed::Lost);
        };
        crash::point("pack.stored");
        let entered = self.db.unit("packs.enter", async |mut unit| {
            unit.without_entry("where the store has what the database has");
            let entered = packs::enter(&mut unit, &pack, &sealed).await?;
            if !entered {
                unit.abandon();
            }
            Ok::<_, Error>(entered)
        });
        if !entered.await? {
            // It may hold the ciphertext of a recording that was shredded meanwhile.
            self.delete_pack(&pack).await?;
            return Ok(Packed::Lost);
        }
        crash::point("pack.entered");
        let is_last = i64::try_from(read).is_ok_and(|read| read < ROWS) && read == count;
        Ok(if is_last { Packed::All } else { Packed::Some })
    }

    /// Stores a pack. `None` if that took so long that it may be given up by now.
    async fn store_pack(&self, begun: Pack, body: Bytes) -> Result<Option<Pack>, Error> {
        let pack = Pack {
            size: body.len() as u64,
            sealed_sha256: hex::encode(digest(&SHA256, &body)),
            ..begun
        };
        let mut writer = self.store.writer(pack.object);
        writer.write(body).await?;
        if self.clock.now().since(pack.begun_at) >= WRITABLE {
            writer.abort().await?;
            return Ok(None);
        }
        writer.finish().await?;
        Ok(Some(pack))
    }

    /// Gives up packs of which little lives, those with dead bytes for too long, and those that the
    /// store does not have as they were written.
    async fn leave_worn(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let in_use = packs::in_use(&mut self.db.read().await?).await?;
        if in_use.is_empty() {
            return Ok(());
        }
        // A store that is not there lacks no pack.
        self.store.probe().await?;
        let read_back: Vec<ObjectId> = in_use
            .sample(&mut rand::rng(), READ_BACK)
            .map(|(pack, _)| pack.object)
            .collect();
        let read_back = &read_back;
        let mut examined = stream::iter(in_use)
            .map(|(pack, living)| async move {
                let is_read = read_back.contains(&pack.object);
                let is_there = pack.size == 0 || self.has_pack(&pack, is_read).await?;
                Ok::<_, Error>((pack, living, is_there))
            })
            .buffered(LOOKS);
        while let Some((pack, living, is_there)) = examined.try_next().await? {
            if !is_there {
                tracing::warn!(
                    object = %pack.object,
                    "the store does not have this pack as it was written: it is written again"
                );
            }
            if !is_there || is_worn(&pack, living, now) {
                self.leave(&pack, living).await?;
            } else if living < pack.size && pack.dented_at.is_none() {
                let noted = self.db.unit("packs.note_dent", async |mut unit| {
                    unit.without_entry("since when a pack holds dead bytes");
                    packs::note_dent(&mut unit, pack.number, now).await
                });
                noted.await?;
            }
        }
        Ok(())
    }

    /// Returns whether the store has a pack as it was written: its length, and if `is_read` every
    /// byte.
    pub(super) async fn has_pack(&self, pack: &Pack, is_read: bool) -> Result<bool, Error> {
        match self.store.size(pack.object).await {
            Ok(size) if size == pack.size => {}
            Ok(_) | Err(store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if !is_read {
            return Ok(true);
        }
        let body = self.store.read(pack.object, 0..pack.size).await?;
        Ok(hex::encode(digest(&SHA256, &body)) == pack.sealed_sha256)
    }

    async fn leave(&self, pack: &Pack, living: u64) -> Result<(), Error> {
        let now = self.clock.now();
        let left = self.db.unit("packs.leave", async |mut unit| {
            if !packs::leave(&mut unit, pack.number).await? {
                unit.abandon();
                return Ok(());
            }
            // Its number is above those of all snapshots that name the pack.
            let entry = NewEntry::pack_left(now, pack.object, pack.size, living);
            let seq = unit.audit_now(vec![entry]).await?;
            packs::note_left(&mut unit, pack.number, self.ownership.point(seq)).await?;
            Ok::<_, Error>(())
        });
        left.await?;
        crash::point("pack.left");
        Ok(())
    }

    /// Deletes packs that were given up before the oldest snapshot in the store was made: none names
    /// them any more. The caller has checked that the database may destroy something.
    ///
    /// # Errors
    /// The store's or the database's; what is deleted stays deleted.
    pub(super) async fn delete_left_packs(&self) -> Result<(), Error> {
        let all = packs::all(&mut self.db.read().await?).await?;
        let left: Vec<_> = all
            .into_iter()
            .filter_map(|pack| Some((pack.left()?, pack)))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let snapshots = self
            .recovery
            .list_recovery(RecoveryKind::Snapshot)
            .await?
            .into_iter();
        let Some(oldest) = snapshots.map(|(name, _)| name.point()).min() else {
            return Ok(());
        };
        let lacked = packs::lacked(&mut self.db.read().await?).await?;
        let lacked: BTreeSet<i64> = lacked.into_iter().map(|pack| pack.number).collect();
        for (_, pack) in left.into_iter().filter(|(left, _)| *left <= oldest) {
            if !lacked.contains(&pack.number) {
                self.delete_pack(&pack).await?;
            }
        }
        Ok(())
    }

    /// Deletes a pack that nothing names any more.
    async fn delete_pack(&self, pack: &Pack) -> Result<(), Error> {
        self.store.delete(pack.object).await?;
        crash::point("pack.deleted");
        let now = self.clock.now();
        let removed = self.db.unit("packs.remove", async |mut unit| {
            unit.without_entry("what a pack had is told of elsewhere");
            let shredded = packs::awaited_by(&mut unit, pack.number).await?;
            // Their receipts wait for it. Whoever is about to find that they still have to wait loses
            // the lease, and asks again.
            work::begin_anew(&mut unit, WorkKind::DeleteCiphertext, &shredded, now).await?;
            packs::remove(&mut unit, pack.number).await
        });
        Ok(removed.await?)
    }

    /// Deletes a snapshot that did not verify because a newer one is noted, with which packs that it
    /// names were deleted while it was written. Returns whether it is one.
    ///
    /// # Errors
    /// The store's or the database's.
    pub(super) async fn discard_outrun(&self, written: RecoveryName) -> Result<bool, Error> {
        let current = epochs::current(&mut self.db.read().await?).await?;
        let noted = current.and_then(|current| current.snapshot());
        let is_outrun = noted.is_some_and(|(noted, _)| noted > written);
        if is_outrun {
            self.recovery.delete_recovery(written).await?;
        }
        Ok(is_outrun)
    }
}

/// Returns whether a pack is to be given up: it was never finished, less than half of it lives, or
/// some of it has been dead for long.
fn is_worn(pack: &Pack, living: u64, now: Timestamp) -> bool {
    if pack.size == 0 {
        return now.since(pack.begun_at) >= UNFINISHED;
    }
    let is_dented_for_long = || {
        pack.dented_at
            .is_some_and(|since| now.since(since) >= DENTED)
    };
    living < pack.size && (living < pack.size - living || is_dented_for_long())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_worn_when_it_is_mostly_dead_or_partly_for_long() {
        let at = |days: u64| Timestamp::from_millis(0).after(Duration::from_secs(days * 24 * 3600));
        let whole = Pack {
            size: 100,
            ..Pack::begun(1, ObjectId::random(&mut rand::rng()), at(0))
        };
        let dented = Pack {
            dented_at: Some(at(10)),
            ..whole.clone()
        };
        let unfinished = Pack {
            size: 0,
            ..whole.clone()
        };
        for (pack, living, day, expected) in [
            (&whole, 100, 400, false),
            (&whole, 50, 400, false),
            (&whole, 49, 1, true),
            (&whole, 0, 1, true),
            (&dented, 99, 16, false),
            (&dented, 99, 17, true),
            (&dented, 100, 400, false),
            (&unfinished, 0, 0, false),
            (&unfinished, 0, 1, true),
        ] {
            let is_worn = is_worn(pack, living, at(day));
            assert_eq!(is_worn, expected, "{living} on day {day}: {pack:?}");
        }
    }
}
