//! The catalogue and the audit log, for those who may read them.

use super::{error::Error, refusal::shred_of};
use crate::{
    db::{
        Db, audit,
        holds::{self, HoldRow},
        recordings::{self, RecordingFilter, SealedArtefact},
        sources,
        work::{self, WorkKind},
    },
    evidence::Entry,
    model::{
        id::{ReceiptId, RecordingId},
        recording::Recording,
        source::{SourceCopy, SourceState},
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// A page of the catalogue.
pub struct RecordingPage {
    /// The recordings, newest announced first.
    pub items: Vec<Recording>,
    /// Where the next page begins, if there is more.
    pub next: Option<(Timestamp, RecordingId)>,
}

/// One recording with what hangs on it.
pub struct RecordingDetails {
    /// The recording.
    pub recording: Recording,
    /// Its sealed objects.
    pub artefacts: Vec<SealedArtefact>,
    /// The holds that stand on it.
    pub holds: Vec<HoldRow>,
    /// Its receipt, after a shred.
    pub receipt: Option<ReceiptId>,
    /// What the source keeps of it, as far as the vault has dealt with that.
    pub source: SourceStanding,
}

/// The source's copies of a recording.
#[derive(Debug, serde::Serialize)]
pub struct SourceStanding {
    /// How they stand, in one word.
    pub state: SourceState,
    /// Those that were found when they were to be deleted.
    pub copies: Vec<SourceCopy>,
}

/// A page of the audit log.
pub struct AuditPage {
    /// The entries in order.
    pub items: Vec<Entry>,
    /// The number to ask after for the next page, if there is more.
    pub next: Option<i64>,
}

/// What is known of recordings, and what was done.
pub struct Catalogue {
    db: Db,
}

impl Catalogue {
    pub(in crate::flow) fn new(db: Db) -> Self {
        Self { db }
    }

    /// Lists recordings of the accounts that the permit covers. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// The database's.
    pub async fn list(
        &self,
        permit: &Permit<action::Catalogue>,
        mut filter: RecordingFilter,
        limit: u16,
    ) -> Result<RecordingPage, Error> {
        filter.accounts = permit.accounts().clone();
        let mut items =
            recordings::list(&mut self.db.read().await?, &filter, i64::from(limit) + 1).await?;
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| (last.announced_at, last.id));
        Ok(RecordingPage { items, next })
    }

    /// One recording.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for one that the permit does not cover.
    pub async fn show(
        &self,
        permit: &Permit<action::Catalogue>,
        id: RecordingId,
    ) -> Result<RecordingDetails, Error> {
        let mut tx = self.db.read().await?;
        let recording = recordings::find(&mut tx, id)
            .await?
            .filter(|recording| permit.covers(recording.account()))
            .ok_or(Error::NotFound)?;
        let artefacts = recordings::artefacts(&mut tx, id).await?;
        let receipt = shred_of(&mut tx, id).await?.map(|(_, receipt)| receipt);
        let holds = holds::standing(&mut tx, &[id]).await?;
        let copies = sources::of(&mut tx, id).await?;
        let state = SourceState::of(
            &copies,
            work::is_asked(&mut tx, WorkKind::DeleteAtSource, id).await?,
        );
        Ok(RecordingDetails {
            recording,
            artefacts,
            holds,
            receipt,
            source: SourceStanding { state, copies },
        })
    }

    /// Audit entries after number `after`, in order; of the accounts that the permit covers.
    /// `limit` is 1 to 1000.
    ///
    /// # Errors
    /// The database's.
    pub async fn audit(
        &self,
        permit: &Permit<action::Audit>,
        after: i64,
        limit: u16,
    ) -> Result<AuditPage, Error> {
        let mut tx = self.db.read().await?;
        let many = i64::from(limit) + 1;
        let mut items = match permit.accounts() {
            all if all.is_empty() => audit::after(&mut tx, after, many).await?,
            some => audit::after_of(&mut tx, some, after, many).await?,
        };
        drop(tx);
        let more = items.len() > usize::from(limit);
        items.truncate(limit.into());
        let next = items.last().filter(|_| more).map(|last| last.seq);
        Ok(AuditPage { items, next })
    }
}
