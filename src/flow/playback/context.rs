//! What was written beside a text that is redacted.
//!
//! Owns how far is read: the redaction of a text must not depend on where a page begins or ends, nor
//! on which other texts the reader may see. So everything is read that the same author wrote in the
//! conversation, until as many words lie on either side as can belong to one finding. Refuses to show
//! it: it only decides where a redaction begins and ends.

use std::collections::{BTreeMap, BTreeSet};

use super::Playback;
use crate::{
    db::recordings::{self, Beside},
    flow::error::Error,
    model::{
        id::RecordingId, name::LegName, recording::Recording, sid::AccountSid,
        subject::Conversation, time::Timestamp, transcript::Transcript,
    },
    policy::content,
    vault,
};

/// Messages read at a time: mostly enough at once.
const CHUNK: i64 = 32;

/// The place of a message in its conversation.
pub(super) type TextPlace = (Timestamp, RecordingId);

/// A text beside those that are redacted.
pub(super) struct ContextText {
    pub(super) place: TextPlace,
    pub(super) author: LegName,
    pub(super) transcript: Transcript,
}

/// Returns the place of a message in its conversation.
pub(super) fn place_of(recording: &Recording) -> TextPlace {
    (recording.collected_at, recording.id)
}

/// Whose messages are read, and where.
struct Author<'a> {
    account: &'a AccountSid,
    conversation: &'a Conversation,
    leg: &'a LegName,
}

impl Playback {
    /// Returns the texts beside these messages, in no order. They are in one conversation.
    ///
    /// # Errors
    /// The database's, the store's: what cannot be read now must not look like nothing.
    pub(super) async fn context(&self, redacted: &[&Recording]) -> Result<Vec<ContextText>, Error> {
        let rules = redacted
            .iter()
            .flat_map(|recording| self.rulebook.binding(&recording.policy_digest));
        let reach = rules.map(|rules| content::reach(&rules.document().content));
        let reach = reach.max().unwrap_or_default();
        if reach == 0 {
            return Ok(Vec::new());
        }
        let mut places: BTreeMap<&LegName, BTreeSet<TextPlace>> = BTreeMap::new();
        for recording in redacted {
            if let Some(author) = &recording.author {
                let of_author = places.entry(author).or_default();
                of_author.insert(place_of(recording));
            }
        }
        let Some((account, conversation)) = redacted.first().and_then(|any| {
            let conversation = any.thread.as_ref()?;
            Some((any.account(), conversation))
        }) else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for (leg, places) in places {
            let author = Author {
                account,
                conversation,
                leg,
            };
            let (Some(first), Some(last)) = (places.first(), places.last()) else {
                continue;
            };
            self.read_beside(
                &author,
                Beside::Before,
                (*first, *first),
                &places,
                reach,
                &mut all,
            )
            .await?;
            self.read_beside(
                &author,
                Beside::Behind,
                (*first, *last),
                &places,
                reach,
                &mut all,
            )
            .await?;
        }
        Ok(all)
    }

    /// Reads from a place on, until enough words lie beyond another.
    async fn read_beside(
        &self,
        author: &Author<'_>,
        beside: Beside,
        (from, beyond): (TextPlace, TextPlace),
        known: &BTreeSet<TextPlace>,
        reach: usize,
        all: &mut Vec<ContextText>,
    ) -> Result<(), Error> {
        let mut place = from;
        let mut weight = 0;
        while weight < reach {
            let of = (author.account, author.conversation, author.leg);
            let mut tx = self.db.read().await?;
            let places = recordings::written_by(&mut tx, of, beside, place, CHUNK).await?;
            drop(tx);
            let Some(farthest) = places.last() else { break };
            place = *farthest;
            let unknown: Vec<TextPlace> = places
                .into_iter()
                .filter(|place| !known.contains(place))
                .collect();
            for (text, words) in self.read_texts(author.leg, &unknown).await? {
                let is_beyond = match beside {
                    Beside::Before => text.place < beyond,
                    Beside::Behind => text.place > beyond,
                };
                weight += if is_beyond { words } else { 0 };
                all.push(text);
            }
        }
        Ok(())
    }

    /// Reads the texts at these places, each with the number of its words.
    async fn read_texts(
        &self,
        author: &LegName,
        places: &[TextPlace],
    ) -> Result<Vec<(ContextText, usize)>, Error> {
        let ids: Vec<RecordingId> = places.iter().map(|(_, id)| *id).collect();
        let mut latest = recordings::latest_texts(&mut self.db.read().await?, &ids).await?;
        let found = places
            .iter()
            .filter_map(|place| Some((*place, latest.remove(&place.1)?)));
        let (places, sealed): (Vec<TextPlace>, Vec<_>) = found.unzip();
        let read = self.vault.read_context(&sealed).await?;
        let author = author.clone();
        let parsed = tokio::task::spawn_blocking(move || {
            let mut texts = Vec::with_capacity(read.len());
            for (place, json) in places.into_iter().zip(read) {
                let Some(json) = json else { continue };
                let transcript = Transcript::parse(&json).ok()?;
                let sentences = transcript.sentences().iter();
                let words = sentences.map(|sentence| content::weight(sentence.text.expose()));
                let words = words.sum();
                let text = ContextText {
                    place,
                    author: author.clone(),
                    transcript,
                };
                texts.push((text, words));
            }
            Some(texts)
        });
        let parsed = parsed.await.ok().flatten();
        Ok(parsed.ok_or(vault::Error::BrokenTranscript)?)
    }
}
