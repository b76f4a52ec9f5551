//! Transcripts: what was said is filed, makes its recording more sensitive if it must, and is read
//! under a grant.
//!
//! Owns the order: first the tier, then the text, so that nothing that was said is ever in a tier
//! that is too low for it.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use crate::flow::{
    Error, Flow, Guarded,
    playback::{Ended, Heard},
};
use crate::{
    ledger::{details, recordings},
    model::{
        artefact::Artefact,
        id::RecordingId,
        name::Tier,
        recording::{Recording, State},
        transcript::Transcript,
    },
    policy::{Action, Grant, Permit, View, content},
    secret::SecretBuffer,
    vault::{self, Arrived, Filed},
};

/// How a transcript is written for who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The house's own form.
    Json,
    /// Subtitles.
    Vtt,
}

/// Bytes released at a time.
const PIECE: usize = 16 * 1024;

impl Flow {
    /// Files what was said in a recording that is sealed; an older transcript is replaced. Whether
    /// it is the first one.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for a recording that the permit does not cover;
    /// [`Error::Shredded`]; [`Error::Conflict`] if the recording is not sealed yet.
    pub async fn file_transcript(
        &self,
        permit: &Permit,
        id: RecordingId,
        transcript: Transcript,
    ) -> Result<bool, Error> {
        if permit.action() != Action::Transcribe {
            return Err(Error::NotFound);
        }
        let recording = recordings::find(&mut self.0.ledger.read().await?, id).await?;
        let recording = recording
            .filter(|recording| permit.covers(&recording.account))
            .ok_or(Error::NotFound)?;
        match recording.state {
            State::Sealed => {}
            State::Shredded => return Err(self.shredded(id).await?),
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
        permit: &Permit,
        arrived: Option<Arrived<'_>>,
        recording: &Recording,
        transcript: Transcript,
    ) -> Result<Filed, Error> {
        // Long texts take long to look through, and others wait for this thread.
        let flow = self.clone();
        let looked_at = recording.clone();
        let id = recording.id;
        let looked = tokio::task::spawn_blocking(move || {
            let found = flow.found_in(&looked_at, &transcript);
            (found, transcript)
        });
        let ((tiers, because), transcript) =
            looked.await.map_err(|_| vault::Error::BrokenTranscript)?;
        if !tiers.is_empty() {
            let rules = self.0.rulebook.current();
            self.raise(
                id,
                |recording| rules.raised(recording, &tiers).cloned(),
                &because,
            )
            .await?;
        }
        match self
            .0
            .vault
            .seal_transcript(permit, arrived, recording, &transcript)
            .await
        {
            Ok(filed) => {
                self.0.journal_bell.notify_one();
                Ok(filed)
            }
            Err(vault::Error::Gone) => Err(self.shredded(id).await?),
            Err(other) => Err(other.into()),
        }
    }

    /// The tiers and kinds of the content rules that find something, of every version that binds
    /// the recording.
    fn found_in(
        &self,
        recording: &Recording,
        transcript: &Transcript,
    ) -> (Vec<Tier>, Vec<&'static str>) {
        let mut tiers = Vec::new();
        let mut kinds = Vec::new();
        for rules in self.0.rulebook.binding(recording) {
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

    /// Opens what was said, as the grant's view shows it. It is opened whole, because what is
    /// hidden in it may be anywhere; the stream ends as one of sound does.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile, or `heard` is no transcript; the vault's.
    pub async fn read(
        &self,
        heard: &Heard,
        form: Form,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        if heard.playable.artefact() != Artefact::Transcript {
            return Err(Error::NotFound);
        }
        let recording = recordings::find(&mut self.0.ledger.read().await?, heard.grant.recording())
            .await?
            .ok_or(Error::NotFound)?;
        let mut pieces = self.open(heard, 0..heard.playable.len()).await?;
        let mut json =
            SecretBuffer::with_capacity(usize::try_from(heard.playable.len()).unwrap_or_default());
        while let Some(piece) = pieces.next().await {
            json.extend_from_slice(&piece?);
        }
        let flow = self.clone();
        let view = heard.grant.view();
        let written = tokio::task::spawn_blocking(move || {
            let transcript = Transcript::parse(&json).ok()?;
            Some(form.written(&flow.shown(transcript, view, &recording)?))
        });
        let written = written
            .await
            .ok()
            .flatten()
            .ok_or(vault::Error::BrokenTranscript)?;
        let written = Bytes::from_owner(written);
        let starts = (0..written.len()).step_by(PIECE);
        let pieces: Vec<_> = starts
            .map(|start| Ok::<_, Ended>(written.slice(start..(start + PIECE).min(written.len()))))
            .collect();
        Ok(self.guarded(&heard.registered, &heard.grant, stream::iter(pieces)))
    }

    /// What of a transcript a view shows.
    fn shown(
        &self,
        transcript: Transcript,
        view: View,
        recording: &Recording,
    ) -> Option<Transcript> {
        match view {
            View::Audio | View::Transcript => Some(transcript),
            // What was promised when it was recorded stays hidden, whatever is promised now.
            View::RedactedTranscript => Some(
                self.0
                    .rulebook
                    .binding(recording)
                    .fold(transcript, |shown, rules| {
                        content::redacted(&shown, &rules.document().content)
                    }),
            ),
            View::Window { .. } => None,
        }
    }

    /// The artefacts that there are under a grant now.
    pub(in crate::flow) async fn given_by(&self, grant: &Grant) -> Result<Vec<Artefact>, Error> {
        let mut tx = self.0.ledger.read().await?;
        let sealed = recordings::artefacts(&mut tx, grant.recording()).await?;
        let parties = details::is_there(&mut tx, grant.recording())
            .await?
            .then_some(Artefact::Parties);
        let artefacts = sealed
            .into_iter()
            .map(|sealed| sealed.artefact)
            .chain(parties);
        Ok(artefacts
            .filter(|artefact| grant.view().gives(*artefact))
            .collect())
    }
}

impl Form {
    fn written(self, transcript: &Transcript) -> SecretBuffer {
        match self {
            Self::Json => transcript.to_json(),
            Self::Vtt => transcript.to_vtt(),
        }
    }
}
