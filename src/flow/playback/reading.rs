//! Reading of a transcript under a grant.
//!
//! Owns the output format, and the redaction before output. Refuses to know what must be redacted:
//! `policy` decides that.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{
    Playback, PlaybackSession,
    context::{ContextText, place_of},
    redaction::{RedactedText, TextToRedact, redacted},
};
use crate::{
    db::{details, recordings},
    flow::{error::Error, guard::Guarded, streams::Ended},
    model::{artefact::Artefact, recording::Recording, transcript::Transcript},
    policy::{Grant, Rulebook, View, content},
    secret::SecretBuffer,
    vault,
};

/// The output format of a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The vault's own JSON format.
    Json,
    /// Subtitles.
    Vtt,
}

/// Bytes released at a time.
const PIECE: usize = 16 * 1024;

impl Playback {
    /// Streams the transcript in the grant's view. It is opened as a whole, because a redaction may
    /// be anywhere in it; the stream ends under the same conditions as audio.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was shredded meanwhile, or the session is not for a transcript;
    /// errors of the vault.
    pub async fn read(
        &self,
        session: &PlaybackSession,
        form: Form,
    ) -> Result<Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send + use<>>, Error> {
        if !session.playable.artefact().is_text() {
            return Err(Error::NotFound);
        }
        let recording = recordings::find(&mut self.db.read().await?, session.grant.recording())
            .await?
            .ok_or(Error::NotFound)?;
        let mut pieces = self.open(session, 0..session.playable.len()).await?;
        let mut json = SecretBuffer::with_capacity(
            usize::try_from(session.playable.len()).unwrap_or_default(),
        );
        while let Some(piece) = pieces.next().await {
            json.extend_from_slice(&piece?);
        }
        let rulebook = Arc::clone(&self.rulebook);
        let view = session.grant.view();
        // A message is redacted as in its thread.
        let is_beside = view == View::RedactedTranscript && recording.kind().is_written();
        let context = match is_beside {
            true => self.context(&[&recording]).await?,
            false => Vec::new(),
        };
        let written = tokio::task::spawn_blocking(move || {
            let transcript = Transcript::parse(&json).ok()?;
            let (shown, redacted) = match is_beside {
                true => shown_of_message(&rulebook, transcript, &recording, context)?,
                false => shown(&rulebook, transcript, view, &recording)?,
            };
            Some(form.written(&shown, &redacted))
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
        Ok(self.guarded(&session.registered, &session.grant, stream::iter(pieces)))
    }

    /// Returns the artefacts that a grant gives now.
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

/// Returns the transcript in a view, and the kinds of content that were redacted for it.
fn shown(
    rulebook: &Rulebook,
    transcript: Transcript,
    view: View,
    recording: &Recording,
) -> Option<(Transcript, BTreeSet<&'static str>)> {
    let mut kinds = BTreeSet::new();
    let shown = match view {
        View::Audio | View::Transcript => Some(transcript),
        // A redaction by the version at the time of the recording stays, whatever later versions
        // say.
        View::RedactedTranscript => Some(rulebook.binding(&recording.policy_digest).fold(
            transcript,
            |shown, rules| {
                let content = &rules.document().content;
                let found = content::found_in(&shown, content).into_keys();
                let found = found.filter_map(|rule| content.get(rule));
                kinds.extend(found.map(|rule| rule.pattern.kind()));
                content::redacted(&shown, content)
            },
        )),
        View::Window { .. } => None,
    };
    Some((shown?, kinds))
}

/// The same for a message, of which what its author wrote beside it decides, too.
fn shown_of_message(
    rulebook: &Rulebook,
    transcript: Transcript,
    recording: &Recording,
    context: Vec<ContextText>,
) -> Option<(Transcript, BTreeSet<&'static str>)> {
    let text = TextToRedact {
        place: place_of(recording),
        author: recording.author.clone(),
        policy_digest: recording.policy_digest.clone(),
        transcript: transcript.clone(),
    };
    let mut texts = redacted(vec![text], context, rulebook)?;
    let RedactedText { sentences, kinds } = texts.remove(&recording.id)?;
    let shown = transcript.retold(|at, _| {
        let text = sentences.get(at).cloned().unwrap_or_default();
        // What was written has no words with times of their own.
        (text, Vec::new())
    });
    Some((shown, kinds))
}

impl Form {
    fn written(self, transcript: &Transcript, redacted: &BTreeSet<&'static str>) -> SecretBuffer {
        match self {
            Self::Json => transcript.to_json_redacted(redacted),
            Self::Vtt => transcript.to_vtt(redacted),
        }
    }
}
