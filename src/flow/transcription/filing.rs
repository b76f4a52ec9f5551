//! Filing of transcripts: a transcript moves its recording to a more sensitive tier if it must, and
//! is stored.
//!
//! Owns the order: first the tier, then the text, so that no text is ever in a tier that is too low
//! for it.

pub(super) mod rank;

use std::sync::Arc;

use self::rank::{Arrived, Filed};
use crate::{
    db::{Db, recordings},
    flow::{bells::Bells, error::Error, reclassification::Reclassification, refusal::shredded},
    model::{
        id::RecordingId,
        name::Tier,
        recording::{Recording, RecordingState},
        time::Clock,
        transcript::Transcript,
    },
    policy::{Permit, Rulebook, action, content},
    vault::{self, Vault},
};

/// The only entry point for transcripts.
pub struct TranscriptFiling {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    bells: Bells,
    reclassification: Arc<Reclassification>,
}

impl TranscriptFiling {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        bells: Bells,
        reclassification: Arc<Reclassification>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            bells,
            reclassification,
        }
    }

    /// Files a transcript of a sealed recording; an older transcript is replaced. Returns whether
    /// it is the first one.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover;
    /// [`Error::Shredded`]; [`Error::Conflict`] if the recording is not sealed yet.
    pub async fn file_new(
        &self,
        permit: &Permit<action::Transcribe>,
        id: RecordingId,
        transcript: Transcript,
    ) -> Result<bool, Error> {
        let recording = recordings::find(&mut self.db.read().await?, id).await?;
        let recording = recording
            .filter(|recording| permit.covers(recording.account()))
            .ok_or(Error::NotFound)?;
        match recording.state {
            RecordingState::Sealed => {}
            RecordingState::Shredded => return Err(shredded(&self.db, id).await?),
            other => {
                return Err(Error::Conflict(format!(
                    "the recording is `{other}`: a transcript can be filed once it is `sealed`"
                )));
            }
        }
        Ok(self.file(permit, None, &recording, transcript).await? == Filed::First)
    }

    /// Files a transcript of a recording that was sealed when it was last read, from any origin:
    /// the only entry point.
    ///
    /// # Errors
    /// [`Error::Shredded`]; [`Error::NotFound`] if the recording is not sealed, or more pieces
    /// arrived meanwhile; [`db::Error::LeaseLost`](crate::db::Error::LeaseLost) inside if the lease
    /// was lost.
    pub(in crate::flow) async fn file(
        &self,
        permit: &Permit<action::Transcribe>,
        arrived: Option<Arrived<'_>>,
        recording: &Recording,
        transcript: Transcript,
    ) -> Result<Filed, Error> {
        // Scanning a long text takes long, and would block other tasks on this thread.
        let rulebook = Arc::clone(&self.rulebook);
        let looked_at = recording.clone();
        let id = recording.id;
        let looked = tokio::task::spawn_blocking(move || {
            let found = found_in(&rulebook, &looked_at, &transcript);
            (found, transcript)
        });
        let ((tiers, because), transcript) =
            looked.await.map_err(|_| vault::Error::BrokenTranscript)?;
        if !tiers.is_empty() {
            let rules = self.rulebook.current();
            self.reclassification
                .raise(
                    id,
                    |recording| rules.raised(recording, &tiers).cloned(),
                    &because,
                )
                .await?;
        }
        let sealed = self.seal_transcript(permit, arrived, recording, &transcript);
        match sealed.await {
            Ok(filed) => {
                self.bells.journal.notify_one();
                Ok(filed)
            }
            Err(vault::Error::Gone) => Err(shredded(&self.db, id).await?),
            Err(other) => Err(other.into()),
        }
    }
}

/// Returns the tiers and kinds of the content rules that match, of every version that binds the
/// recording.
fn found_in(
    rulebook: &Rulebook,
    recording: &Recording,
    transcript: &Transcript,
) -> (Vec<Tier>, Vec<&'static str>) {
    let mut tiers = Vec::new();
    let mut kinds = Vec::new();
    for rules in rulebook.binding(recording) {
        let rules = &rules.document().content;
        for rule in content::found_in(transcript, rules)
            .into_iter()
            .filter_map(|rule| rules.get(rule))
        {
            tiers.push(rule.tier.clone());
            kinds.push(rule.pattern.kind());
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    (tiers, kinds)
}
