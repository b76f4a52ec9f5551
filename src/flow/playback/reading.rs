//! A transcript is read under a grant.
//!
//! Owns in what form, and what is hidden first. Refuses to know what has to be hidden: `policy` says
//! that.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{Playback, PlaybackSession};
use crate::{
    db::{details, recordings},
    flow::{error::Error, guard::Guarded, streams::Ended},
    model::{artefact::Artefact, recording::Recording, transcript::Transcript},
    policy::{Grant, Rulebook, View, content},
    secret::SecretBuffer,
    vault,
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

impl Playback {
    /// Opens what was said, as the grant's view shows it. It is opened whole, because what is
    /// hidden in it may be anywhere; the stream ends as one of sound does.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile, or `heard` is no transcript; the vault's.
    pub async fn read(
        &self,
        heard: &PlaybackSession,
        form: Form,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        if heard.playable.artefact() != Artefact::Transcript {
            return Err(Error::NotFound);
        }
        let recording = recordings::find(&mut self.db.read().await?, heard.grant.recording())
            .await?
            .ok_or(Error::NotFound)?;
        let mut pieces = self.open(heard, 0..heard.playable.len()).await?;
        let mut json =
            SecretBuffer::with_capacity(usize::try_from(heard.playable.len()).unwrap_or_default());
        while let Some(piece) = pieces.next().await {
            json.extend_from_slice(&piece?);
        }
        let rulebook = Arc::clone(&self.rulebook);
        let view = heard.grant.view();
        let written = tokio::task::spawn_blocking(move || {
            let transcript = Transcript::parse(&json).ok()?;
            Some(form.written(&shown(&rulebook, transcript, view, &recording)?))
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

    /// The artefacts that there are under a grant now.
    pub(in crate::flow) async fn given_by(&self, grant: &Grant) -> Result<Vec<Artefact>, Error> {
        let mut tx = self.db.read().await?;
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

/// What of a transcript a view shows.
fn shown(
    rulebook: &Rulebook,
    transcript: Transcript,
    view: View,
    recording: &Recording,
) -> Option<Transcript> {
    match view {
        View::Audio | View::Transcript => Some(transcript),
        // What was promised when it was recorded stays hidden, whatever is promised now.
        View::RedactedTranscript => Some(
            rulebook
                .binding(&recording.policy_digest)
                .fold(transcript, |shown, rules| {
                    content::redacted(&shown, &rules.document().content)
                }),
        ),
        View::Window { .. } => None,
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
