//! Lists of the copies that were made from a recording at the source.
//!
//! Owns the meaning of each answer to a list. INVARIANT: only an empty list from the source counts
//! as "none". If the source refuses to list, or lists something unreadable, the result is unknown.

use std::collections::BTreeSet;

use super::{Copies, CopyName, Product};
use crate::{
    db::recordings,
    flow::erase::trouble::Trouble,
    model::{
        id::RecordingId, media::SourceRef, recording::RecordingState, sid::CallSid,
        source::CopyKind, subject::Conversation,
    },
    twilio::{
        RestError,
        rest::{List, TranscriptResource},
    },
};

impl Copies<'_> {
    /// Lists the copies made from the recording, by every product that makes text. Without `below`,
    /// subresources of the recording, which is deleted, are left out.
    pub(super) async fn list(&mut self, below: bool) -> Result<BTreeSet<CopyName>, Trouble> {
        let client = &self.deletion.twilio.client;
        let account = self.account;
        let sid = &self.sid.clone();
        let mut listed = BTreeSet::new();
        if below {
            let transcriptions = none_if_missing(client.transcriptions_of(account, sid).await)?;
            let add_ons = none_if_missing(client.add_ons_of(account, sid).await)?;
            self.note(CopyKind::Transcription, transcriptions.unreadable == 0);
            self.note(CopyKind::AddOn, add_ons.unreadable == 0);
            listed.extend(
                transcriptions
                    .items
                    .into_iter()
                    .map(|found| (CopyKind::Transcription, found.sid.to_string())),
            );
            listed.extend(
                add_ons
                    .items
                    .into_iter()
                    .map(|found| (CopyKind::AddOn, found.sid.to_string())),
            );
        }
        let mut lists = vec![if_listed(client.transcripts_of(account, sid).await)?];
        if let Some(call) = self
            .recording
            .call
            .as_ref()
            .filter(|_| !self.shares_call && self.recording.conference.is_none())
        {
            let of_call = if_listed(client.transcripts_of_call(account, call).await)?;
            let is_empty = of_call.as_ref().is_none_or(|found| found.items.is_empty());
            // They are deleted with the last recording of the call, and the vault may not know all
            // recordings of the call yet.
            if is_empty || !self.has_unknown_recordings(call).await? {
                lists.push(of_call);
            }
        }
        if lists.iter().any(Option::is_some) {
            self.open.insert(Product::Intelligence);
        }
        self.note(
            CopyKind::Transcript,
            lists
                .iter()
                .all(|list| list.as_ref().is_some_and(|list| list.unreadable == 0)),
        );
        let transcripts = lists.into_iter().flatten().flat_map(|list| list.items);
        listed.extend(transcripts.map(|found| (CopyKind::Transcript, found.sid.to_string())));
        Ok(listed)
    }

    fn note(&mut self, kind: CopyKind, is_known: bool) {
        if is_known {
            self.unlisted.remove(&kind);
        } else if self.unlisted.insert(kind) {
            tracing::warn!(
                recording = %self.recording.id, %kind,
                "Twilio does not list copies of this kind, so it is unknown whether all are deleted"
            );
        }
    }

    /// Returns whether another recording of the call is kept or expected.
    pub(super) async fn shares_its_call(&self) -> Result<bool, Trouble> {
        let Some(call) = self.recording.call.clone() else {
            return Ok(false);
        };
        let all = recordings::of_conversation(
            &mut self.deletion.db.read().await?,
            &Conversation::Call(call),
        )
        .await?;
        Ok(all.iter().any(|other| {
            other.id != self.recording.id
                && matches!(
                    other.state,
                    RecordingState::Sealed | RecordingState::Announced
                )
        }))
    }

    /// Returns whether the source has a recording of the call that was not announced to the vault
    /// yet.
    async fn has_unknown_recordings(&self, call: &CallSid) -> Result<bool, Trouble> {
        let deletion = self.deletion;
        let found = match deletion
            .twilio
            .client
            .recordings_of_call(self.account, call)
            .await
        {
            Err(RestError::NotFound) => Vec::new(),
            found => found?,
        };
        let vault = deletion.vault.id();
        let account = self.account.sid();
        let there: BTreeSet<RecordingId> = found
            .iter()
            .filter(|other| other.status != "deleted")
            .map(|other| SourceRef::of_call(account, &other.sid).recording_id(vault))
            .collect();
        let there: Vec<RecordingId> = there.into_iter().collect();
        let known = recordings::find_all(&mut deletion.db.read().await?, &there).await?;
        Ok(known.len() < there.len())
    }

    /// Returns whether a transcript that was filed with this recording was made from the whole
    /// call, and another recording of the call needs it.
    pub(super) async fn is_another_ones_too(
        &self,
        (kind, sid): &CopyName,
    ) -> Result<bool, Trouble> {
        let (CopyKind::Transcript, true, Ok(sid)) = (kind, self.shares_call, sid.parse()) else {
            return Ok(false);
        };
        match self
            .deletion
            .twilio
            .client
            .transcript(self.account, &sid)
            .await
        {
            Ok(told) => Ok(told
                .channel
                .media_properties
                .source_sid
                .is_some_and(|of| of.parse::<CallSid>().is_ok())),
            // A missing or inaccessible transcript is handled when it is to be deleted.
            Err(RestError::NotFound | RestError::Refused { .. }) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

/// Below a recording that was just read with the same credential, a 404 means that there is none.
fn none_if_missing<T>(answer: Result<List<T>, RestError>) -> Result<List<T>, Trouble> {
    match answer {
        Err(RestError::NotFound) => Ok(List::default()),
        other => Ok(other?),
    }
}

/// Converts a list of Conversational Intelligence. `None` if the product is refused as a whole or
/// not available: then it is unknown whether anything was transcribed with it. A wrong credential,
/// or a key without this permission, needs an operator and is returned as an error.
fn if_listed(
    answer: Result<List<TranscriptResource>, RestError>,
) -> Result<Option<List<TranscriptResource>>, Trouble> {
    /// <https://www.twilio.com/docs/api/errors/20003>: authentication; 70051: authorisation.
    const CREDENTIAL: [i64; 2] = [20003, 70051];
    match answer {
        Err(RestError::NotFound) => Ok(None),
        Err(RestError::Refused {
            status: 400 | 403 | 410,
            code,
        }) if !code.is_some_and(|code| CREDENTIAL.contains(&code)) => Ok(None),
        other => Ok(Some(other?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_that_is_not_there_leaves_open_what_there_is_and_a_wrong_credential_needs_somebody()
    {
        let refused = |status, code| Err(RestError::Refused { status, code });
        for not_known in [
            Err(RestError::NotFound),
            refused(403, Some(20403)),
            refused(400, None),
            refused(403, None),
            refused(410, None),
        ] {
            assert!(
                matches!(if_listed(not_known.clone()), Ok(None)),
                "{not_known:?}"
            );
        }
        for needs_somebody in [
            refused(401, Some(20003)),
            refused(401, None),
            refused(403, Some(70051)),
            refused(403, Some(20003)),
            refused(405, None),
            Err(RestError::Throttled { retry_after: None }),
            Err(RestError::Shape("")),
        ] {
            assert!(
                if_listed(needs_somebody.clone()).is_err(),
                "{needs_somebody:?}"
            );
        }
        assert!(matches!(if_listed(Ok(List::default())), Ok(Some(_))));
    }
}
