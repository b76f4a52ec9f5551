//! Transcripts: what was said is filed, makes its recording more sensitive if it must, and is read
//! under a grant.
//!
//! Owns the order: first the tier, then the text, so that nothing that was said is ever in a tier
//! that is too low for it.

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

/// The only way in for transcripts.
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

    /// Files what was said in a recording that is sealed; an older transcript is replaced. Whether
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

    /// Files what was said in a recording that was sealed a moment ago, whoever brings it: the only
    /// way in.
    ///
    /// # Errors
    /// [`Error::Shredded`]; [`vault::Error::Gone`] inside if it is something else that does not
    /// stand any more.
    pub(in crate::flow) async fn file(
        &self,
        permit: &Permit<action::Transcribe>,
        arrived: Option<Arrived<'_>>,
        recording: &Recording,
        transcript: Transcript,
    ) -> Result<Filed, Error> {
        // Long texts take long to look through, and others wait for this thread.
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

/// The tiers and kinds of the content rules that find something, of every version that binds
/// the recording.
fn found_in(
    rulebook: &Rulebook,
    recording: &Recording,
    transcript: &Transcript,
) -> (Vec<Tier>, Vec<&'static str>) {
    let mut tiers = Vec::new();
    let mut kinds = Vec::new();
    for rules in rulebook.binding(&recording.policy_digest) {
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
