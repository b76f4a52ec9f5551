//! Entries about people's consent: parties, statements, quarantine.
//!
//! INVARIANT: people are keyed hashes here, and conversations the source's ids.

use serde_json::json;

use super::NewEntry;
use crate::{
    evidence::Event,
    model::{
        actor::Actor,
        consent::{Statement, Whom},
        id::RecordingId,
        subject::Conversation,
        time::Timestamp,
    },
};

impl NewEntry {
    /// So many parties of a conversation were named, of whom so many are known.
    pub fn parties_named(at: Timestamp, actor: Actor, conversation: &Conversation, parties: usize, known: usize) -> Self {
        let details = json!({ "conversation": conversation, "parties": parties, "known": known });
        Self::new(at, actor, Event::PartiesNamed, None, details)
    }

    /// A statement of consent was recorded. Who it is about is a keyed hash, or the source's id of a conversation.
    pub fn consent_recorded(at: Timestamp, actor: Actor, statement: &Statement) -> Self {
        let mut details = json!({
            "consent": statement.id,
            "answer": statement.answer,
            "method": statement.method,
            "purposes": statement.purposes,
        });
        match &statement.whom {
            Whom::Subject(subject) => details["subject"] = json!(subject),
            Whom::Leg(conversation, _) => details["conversation"] = json!(conversation),
        }
        Self::new(at, actor, Event::ConsentRecorded, None, details)
    }

    /// The recording has not the evidence of consent that it needs, and is shredded at this time unless it arrives.
    pub fn recording_quarantined(at: Timestamp, actor: Actor, recording: RecordingId, ends: Timestamp) -> Self {
        Self::new(at, actor, Event::RecordingQuarantined, Some(recording), json!({ "ends": ends }))
    }

    /// The evidence that the recording needed has arrived.
    pub fn recording_released(at: Timestamp, actor: Actor, recording: RecordingId) -> Self {
        Self::new(at, actor, Event::RecordingReleased, Some(recording), json!({}))
    }
}
