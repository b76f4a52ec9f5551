//! The deletions at the source: a running recording is stopped first; then text copies and the
//! recording are deleted.

use std::collections::BTreeSet;

use super::{Copies, CopyName, Found};
use crate::{
    flow::erase::trouble::Trouble,
    model::{
        crash,
        residue::{self, ResidueKind},
        source::{CopyKind, CopyState, SourceCopy},
    },
    twilio::{
        RestError,
        rest::{Deletion, RecordingResource},
    },
};

/// Rounds of deleting and listing again, before the rest is left to another attempt.
const ROUNDS: usize = 3;

impl Copies<'_> {
    /// Stops a recording in progress. It can be deleted once it is complete, which a callback
    /// reports.
    pub(super) async fn stop(&self, resource: &RecordingResource) -> Result<(), Trouble> {
        let client = &self.deletion.twilio.client;
        let account = self.account;
        let recording = self.recording;
        let conference = recording
            .conference
            .as_ref()
            .or(resource.conference_sid.as_ref());
        let call = recording.call.as_ref().or(resource.call_sid.as_ref());
        let stopped = match (conference, call) {
            (Some(conference), _) => {
                client
                    .stop_conference_recording(account, conference, &self.sid)
                    .await
            }
            (None, Some(call)) => client.stop_recording(account, call, &self.sid).await,
            (None, None) => {
                return Err(Trouble::NotYet(
                    "the recording is still in progress, and its call is unknown",
                ));
            }
        };
        match stopped {
            Ok(_) => {
                self.deletion.note_stopped(recording.id).await?;
                Err(Trouble::NotYet(
                    "the recording was stopped, and is not complete yet",
                ))
            }
            // The call has ended by itself.
            Err(RestError::NotFound | RestError::Refused { .. }) => Err(Trouble::NotYet(
                "the call is over, and its recording not complete yet",
            )),
            Err(other) => Err(other.into()),
        }
    }

    /// Deletes text copies, and lists them again until none is left.
    pub(super) async fn delete_words(
        &mut self,
        mut listed: BTreeSet<CopyName>,
        below: bool,
    ) -> Result<(), Trouble> {
        for _ in 0..ROUNDS {
            let open: Vec<CopyName> = self.words().cloned().collect();
            if open.is_empty() {
                return Ok(());
            }
            for name in open {
                let is_there = self
                    .book
                    .known
                    .get(&name)
                    .is_some_and(|copy| copy.state != CopyState::Deleted);
                if is_there || listed.contains(&name) {
                    let answer = self.delete_word(&name).await;
                    self.believe(&name, answer).await?;
                    self.book.mark_deleted(&name);
                    crash::point("erase.deleted");
                }
            }
            listed = self.list(below).await?;
            self.enter(&Found::Settled, &listed).await?;
            let open: Vec<CopyName> = self
                .words()
                .filter(|name| !listed.contains(*name))
                .cloned()
                .collect();
            for name in open {
                if self
                    .book
                    .known
                    .get(&name)
                    .is_none_or(|copy| copy.state != CopyState::Deleted)
                {
                    continue;
                }
                if self.unlisted.contains(&name.0) {
                    // It was deleted, and the source cannot confirm it.
                    self.book.set(&name, |copy| copy.state = CopyState::Left);
                } else {
                    self.book.mark_confirmed(&name, None);
                }
            }
        }
        if self.words().next().is_none() {
            Ok(())
        } else {
            Err(Trouble::NotYet(
                "the source still lists a copy after its deletion",
            ))
        }
    }

    async fn delete_word(&self, (kind, sid): &CopyName) -> Result<Deletion, RestError> {
        const NO_SID: RestError = RestError::Shape("an id of the copy is malformed");
        let client = &self.deletion.twilio.client;
        let account = self.account;
        match kind {
            CopyKind::Transcription => {
                client
                    .delete_transcription(account, &sid.parse().map_err(|_| NO_SID)?)
                    .await
            }
            CopyKind::AddOn => {
                client
                    .delete_add_on(account, &self.sid, &sid.parse().map_err(|_| NO_SID)?)
                    .await
            }
            CopyKind::Transcript => {
                client
                    .delete_transcript(account, &sid.parse().map_err(|_| NO_SID)?)
                    .await
            }
            CopyKind::Recording
            | CopyKind::Object
            | CopyKind::Message
            | CopyKind::File
            | CopyKind::ChatMessage
            | CopyKind::Chat
            | CopyKind::Track
            | CopyKind::Composition
            | CopyKind::Participant
            | CopyKind::Interaction
            | CopyKind::Session => Err(RestError::Shape("the copy is no text")),
        }
    }

    pub(super) async fn delete_recording(&mut self, found: &Found) -> Result<(), Trouble> {
        let name = self.own_name();
        let now = self.deletion.clock.now();
        let metadata = residue::stated(CopyKind::Recording, ResidueKind::Metadata);
        match found {
            Found::Settled => return Ok(()),
            Found::Gone => {
                self.book
                    .known
                    .entry(name.clone())
                    .or_insert_with(|| SourceCopy::found(CopyKind::Recording, name.1.clone(), now));
                self.book.mark_deleted(&name);
                self.book.mark_confirmed(&name, None);
                return Ok(());
            }
            Found::Deleted => {
                self.book.mark_deleted(&name);
                self.book.mark_confirmed(&name, metadata);
                return Ok(());
            }
            Found::Absent | Found::Running(_) | Found::Unfinished | Found::Complete(_) => {}
        }
        let answer = self
            .deletion
            .twilio
            .client
            .delete_recording(self.account, &self.sid)
            .await;
        if matches!(
            (found, &answer),
            (
                Found::Absent,
                Ok(Deletion::NotYet | Deletion::Refused { .. })
            )
        ) {
            // Twilio deletes only complete recordings. This one has only metadata, and Twilio does
            // not publish when that is deleted.
            self.book.mark_confirmed(&name, None);
            return Ok(());
        }
        self.believe(&name, answer).await?;
        self.book.mark_deleted(&name);
        crash::point("erase.deleted");
        match self.look().await? {
            Found::Deleted => self.book.mark_confirmed(&name, metadata),
            Found::Gone => self.book.mark_confirmed(&name, None),
            _ => {
                return Err(Trouble::NotYet(
                    "the source does not report the recording as deleted yet",
                ));
            }
        }
        Ok(())
    }
}
