//! Filing of transcripts: a transcript moves its recording to a more sensitive tier if it must, and
//! is stored.
//!
//! Owns the order: first the tier, then the text, so that no text is ever in a tier that is too low
//! for it.

mod closed;
pub(super) mod rank;

use std::{collections::BTreeMap, sync::Arc};

use self::{
    closed::closed_by_move,
    rank::{Arrived, Filed},
};
use crate::{
    db::{Db, recordings},
    flow::{error::Error, reclassification::Reclassification, refusal::shredded, wakeups::Wakeups},
    model::{
        id::{GrantId, RecordingId},
        name::Tier,
        recording::{Recording, RecordingState},
        time::Clock,
        transcript::Transcript,
    },
    policy::{Permit, Rulebook, action, content},
    vault::{self, Vault},
};

/// What filing a transcript did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FiledTranscript {
    /// The recording.
    pub recording_id: RecordingId,
    /// Whether it took the place of an older transcript.
    pub replaced: bool,
    /// The tier before.
    pub tier_before: Tier,
    /// The tier now: a more sensitive one, if the rules of the policy demand it.
    pub tier_after: Tier,
    /// What the content rules of the policy found, by kind; never the text.
    #[schema(max_items = 16)]
    pub found: Vec<FoundContent>,
    /// Living grants that open the recording no longer, because the policy does not allow it in the
    /// new tier; their streams end.
    pub grants_ended: Vec<GrantId>,
}

/// How much of one kind was found in a transcript.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FoundContent {
    /// The kind, as the policy names it: `card-number`, `us-social-security-number`, `iban` or
    /// `words`.
    #[schema(pattern = "^[a-z-]{1,64}$", examples("card-number"))]
    pub kind: &'static str,
    /// How often.
    #[schema(minimum = 1, examples(1))]
    pub count: u64,
}

/// The only entry point for transcripts.
pub struct TranscriptFiling {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    reclassification: Arc<Reclassification>,
}

impl TranscriptFiling {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        wakeups: Wakeups,
        reclassification: Arc<Reclassification>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            reclassification,
        }
    }

    /// Files what was said in a recording that is sealed; an older transcript is replaced. What that
    /// did.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover;
    /// [`Error::Shredded`]; [`Error::Conflict`] if the recording is not sealed yet.
    pub async fn file_new(
        &self,
        permit: &Permit<action::Transcribe>,
        id: RecordingId,
        transcript: Transcript,
    ) -> Result<FiledTranscript, Error> {
        let recording = recordings::find(&mut self.db.read().await?, id).await?;
        let recording = recording
            .filter(|recording| permit.covers(recording.account()))
            .ok_or(Error::NotFound)?;
        if recording.kind().is_written() {
            return Err(Error::Conflict(
                "the recording is a message: its text is what was written, and is not replaced"
                    .into(),
            ));
        }
        match recording.state {
            RecordingState::Sealed => {}
            RecordingState::Shredded => return Err(shredded(&self.db, id).await?),
            other => {
                return Err(Error::Conflict(format!(
                    "the recording is `{other}`: a transcript can be filed once it is `sealed`"
                )));
            }
        }
        let (filed, found) = self.file(permit, None, &recording, transcript).await?;
        let now = recordings::find(&mut self.db.read().await?, id)
            .await?
            .ok_or(Error::NotFound)?;
        let grants_ended =
            closed_by_move(&self.db, &self.rulebook, &recording, &now, self.clock.now()).await?;
        Ok(FiledTranscript {
            recording_id: id,
            replaced: filed != Filed::First,
            tier_before: recording.tier,
            tier_after: now.tier,
            found,
            grants_ended,
        })
    }

    /// Files what was said in a recording that was sealed a moment ago, whoever brings it: the only
    /// way in. What became of it, and what the rules found in it.
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
    ) -> Result<(Filed, Vec<FoundContent>), Error> {
        // Scanning a long text takes long, and would block other tasks on this thread.
        let rulebook = Arc::clone(&self.rulebook);
        let looked_at = recording.clone();
        let id = recording.id;
        let looked = tokio::task::spawn_blocking(move || {
            let found = found_in(&rulebook, &looked_at, &transcript);
            (found, transcript)
        });
        let ((tiers, found), transcript) =
            looked.await.map_err(|_| vault::Error::BrokenTranscript)?;
        if !tiers.is_empty() {
            let because: Vec<&'static str> = found.iter().map(|found| found.kind).collect();
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
                self.wakeups.journal.notify_one();
                Ok((filed, found))
            }
            Err(vault::Error::Gone) => Err(shredded(&self.db, id).await?),
            Err(other) => Err(other.into()),
        }
    }
}

/// The tiers of the content rules that find something, of every version that binds the recording;
/// and how much of each kind they find. Versions find the same things, so the most that one finds
/// counts.
fn found_in(
    rulebook: &Rulebook,
    recording: &Recording,
    transcript: &Transcript,
) -> (Vec<Tier>, Vec<FoundContent>) {
    let mut tiers = Vec::new();
    let mut most: BTreeMap<&'static str, u64> = BTreeMap::new();
    for rules in rulebook.binding(&recording.policy_digest) {
        let rules = &rules.document().content;
        let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (rule, count) in content::found_in(transcript, rules) {
            let Some(rule) = rules.get(rule) else {
                continue;
            };
            tiers.push(rule.tier.clone());
            *kinds.entry(rule.pattern.kind()).or_default() += count as u64;
        }
        for (kind, count) in kinds {
            let most = most.entry(kind).or_default();
            *most = count.max(*most);
        }
    }
    let found = most
        .into_iter()
        .map(|(kind, count)| FoundContent { kind, count });
    (tiers, found.collect())
}
