//! The catalogue and the audit log, for callers who may read them.

pub(super) mod conversations;

use super::{
    error::Error,
    page::{self, Page},
    refusal::shred_of,
};
use crate::{
    db::{
        Db,
        audit::{self, AuditFilter},
        holds::{self, HoldRow},
        links::{self, LinkedRecording},
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

/// A recording with its related data.
pub struct RecordingDetails {
    /// The recording.
    pub recording: Recording,
    /// Its sealed objects.
    pub artefacts: Vec<SealedArtefact>,
    /// The holds in force on it; `None` if the caller may not list holds.
    pub holds: Option<Vec<HoldRow>>,
    /// Its receipt, after a shred.
    pub receipt: Option<ReceiptId>,
    /// The copies at the source, as far as the vault has dealt with them.
    pub source: SourceStanding,
    /// Other recordings of the same text.
    pub links: Vec<LinkedRecording>,
}

/// The source's copies of a recording.
#[derive(Debug, serde::Serialize)]
pub struct SourceStanding {
    /// Their state.
    pub state: SourceState,
    /// The copies that were found when they were to be deleted.
    pub copies: Vec<SourceCopy>,
}

/// Read access to recordings and to the audit log.
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
    /// Any database error.
    pub async fn list(
        &self,
        permit: &Permit<action::Catalogue>,
        mut filter: RecordingFilter,
        limit: u16,
    ) -> Result<Page<Recording, (Timestamp, RecordingId)>, Error> {
        filter.accounts = permit.accounts().clone();
        let mut tx = self.db.read().await?;
        let rows = recordings::list(&mut tx, &filter, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, |last| filter.sort.place(last)))
    }

    /// Returns one recording with its related data.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover.
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
        let holds = match permit.also(action::Hold) {
            Some(_) => Some(holds::standing(&mut tx, &[id]).await?),
            None => None,
        };
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
            links: links::of(&mut tx, id).await?,
        })
    }

    /// Lists audit entries of the accounts that the permit covers. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// Any database error.
    pub async fn audit(
        &self,
        permit: &Permit<action::Audit>,
        mut filter: AuditFilter,
        limit: u16,
    ) -> Result<Page<Entry, i64>, Error> {
        filter.accounts = permit.accounts().clone();
        let mut tx = self.db.read().await?;
        let rows = audit::list(&mut tx, &filter, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, |last| last.seq))
    }
}
