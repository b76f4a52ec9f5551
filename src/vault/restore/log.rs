//! The audit log of a rebuilt database: numbered from 1 without holes, whatever the store still
//! has.
//!
//! ```text
//! the main log, that of the newest file, under its own numbers
//!   → a placeholder for each lost entry, in a gap that was accepted
//!   → entries of other timelines, appended, each with its original timeline and number
//!   → the new timeline continues
//! ```
//! Owns these numbers. Refuses to know the content of entries. INVARIANT: a number that may have
//! been read in the main log stays with that entry; an entry that was read in a lost timeline is
//! never dropped, and never entered twice.

use super::{JournalLine, LineParser, fault_in, journal, reader::RecoveryReader};
use crate::{
    db::{
        Tx, audit,
        gaps::Gap,
        image::{self, Image, Table},
    },
    model::{
        time::Timestamp,
        timeline::{LogPath, LogPoint},
    },
    store::RecoveryName,
    vault::{error::Error, recovery::Header},
};

/// The log that a restore continues.
pub(super) struct MainLog {
    path: LogPath,
    /// Its last number that is known to have been assigned.
    pub(super) to: i64,
}

impl MainLog {
    /// Returns the log of the newest file, which may be known to have continued further.
    pub(super) fn of(newest: &Header, not_before: Option<LogPoint>) -> Self {
        let path = newest.path.clone();
        let known = not_before.filter(|known| known.timeline == path.current());
        Self {
            to: known.map_or(newest.seq, |known| known.seq.max(newest.seq)),
            path,
        }
    }

    /// Returns its timelines.
    pub(super) fn path(&self) -> &LogPath {
        &self.path
    }

    /// Returns the number up to which it equals the log of a file: higher numbers in the file
    /// belong to a lost timeline.
    pub(super) fn shared_with(&self, file: &Header) -> i64 {
        self.path.shared_with(&file.path)
    }

    /// Returns whether a file has entries of a lost timeline.
    pub(super) fn has_lost(&self, file: &Header) -> bool {
        file.seq > self.shared_with(file).max(file.since)
    }

    /// Enters a placeholder for each missing entry, which records that the entry is lost.
    ///
    /// # Errors
    /// [`Error::Gaps`] if a missing entry is in no accepted gap; the database's.
    pub(super) async fn fill(
        &self,
        tx: &mut Tx,
        accepted: &[Gap],
        now: Timestamp,
    ) -> Result<(), Error> {
        for (first, last) in audit::missing(tx, self.to).await? {
            let mut next = first;
            while next <= last {
                let gap = accepted
                    .iter()
                    .filter(|gap| gap.timeline.is_none())
                    .find(|gap| gap.first <= next && next <= gap.last);
                next = gap
                    .ok_or_else(|| Error::Gaps(format!("{next}-{last}")))?
                    .last
                    + 1;
            }
            audit::enter_lost(tx, (first, last), now).await?;
        }
        Ok(())
    }

    /// Enters the entries of lost timelines from these files, after number `to`. Returns the last
    /// number.
    ///
    /// # Errors
    /// The store's, custody's, the database's; [`Error::RecoveryFile`].
    pub(super) async fn take_lost(
        &self,
        tx: &mut Tx,
        files: &[(RecoveryName, Header)],
        reader: &mut RecoveryReader<'_>,
    ) -> Result<i64, Error> {
        let mut last = self.to;
        for (name, header) in files {
            let mut file = reader.reopened(*name, header).await?;
            let shared = self.shared_with(header);
            let mut parser = LineParser::default();
            while let Some(line) = file.line().await? {
                let parsed = journal::parse(&mut parser, line).map_err(fault_in(*name))?;
                if let JournalLine::Row(row) = parsed
                    && row.table() == Table::Audit
                    && let Some(seq) = row.int("seq").filter(|seq| *seq > shared)
                {
                    let timeline = header.path.timeline_of(seq);
                    let told = row.told().unwrap_or(LogPoint { timeline, seq });
                    last += i64::from(self.take_entry(tx, row, told, last + 1).await?);
                }
            }
            parser.end().map_err(fault_in(*name))?;
        }
        Ok(last)
    }

    /// Enters one entry that was published at this point. Returns whether it took the number.
    async fn take_entry(
        &self,
        tx: &mut Tx,
        row: Image,
        told: LogPoint,
        number: i64,
    ) -> Result<bool, Error> {
        if self.path.holds(told) {
            let row = row.renumbered(told.seq, None);
            image::upsert(tx, Table::Audit, &[row]).await?;
            return Ok(false);
        }
        if audit::has_told(tx, told).await? {
            return Ok(false);
        }
        let row = row.renumbered(number, Some(told));
        image::insert(tx, Table::Audit, &[row]).await?;
        Ok(true)
    }
}
