//! Entries about people's consent: parties, statements, quarantine.
//!
//! INVARIANT: people are keyed hashes here, and conversations the source's ids.

use serde_json::json;

use super::NewEntry;
use crate::{
    evidence::event::AuditEvent,
    model::{
        actor::Initiator,
        consent::{Statement, Whom},
        id::RecordingId,
        sid::MessageSid,
        subject::Conversation,
        time::Timestamp,
    },
};

impl NewEntry {
    /// Parties of a conversation were named: their number, and how many of them are identified.
    pub fn parties_named(
        at: Timestamp,
        by: Initiator,
        conversation: &Conversation,
        parties: usize,
        known: usize,
    ) -> Self {
        let details = json!({ "conversation": conversation, "parties": parties, "known": known });
        Self::new(at, by, AuditEvent::PartiesNamed, None, details)
    }

    /// A statement of consent was recorded. It identifies its person by a keyed hash, or the
    /// conversation by the source's id.
    pub fn consent_recorded(at: Timestamp, by: Initiator, statement: &Statement) -> Self {
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
        Self::new(at, by, AuditEvent::ConsentRecorded, None, details)
    }

    /// The notice of a thread was handed to the source, as this message: the text by its digest.
    pub fn notice_sent(
        at: Timestamp,
        thread: &Conversation,
        message: &MessageSid,
        disclosure: &str,
        policy_version: &str,
    ) -> Self {
        let details = json!({
            "conversation": thread, "message_sid": message, "disclosure": disclosure, "policy_version": policy_version,
        });
        let event = AuditEvent::NoticeSent;
        Self::new(at, Initiator::Vault, event, None, details)
    }

    /// The source did not take or deliver the notice of a thread, with its error code if it gave one.
    pub fn notice_refused(at: Timestamp, thread: &Conversation, code: Option<i64>) -> Self {
        let details = json!({ "conversation": thread, "error_code": code });
        let event = AuditEvent::NoticeRefused;
        Self::new(at, Initiator::Vault, event, None, details)
    }

    /// The recording lacks the required evidence of consent, and is shredded at this time unless
    /// the evidence arrives.
    pub fn recording_quarantined(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        ends: Timestamp,
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::RecordingQuarantined,
            Some(recording),
            json!({ "ends": ends }),
        )
    }

    /// The required evidence arrived.
    pub fn recording_released(at: Timestamp, by: Initiator, recording: RecordingId) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::RecordingReleased,
            Some(recording),
            json!({}),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::{
        consent::{Answer, Method},
        id::{ConsentId, SubjectId},
    };

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn details(entry: &NewEntry) -> Value {
        serde_json::to_value(entry.details()).unwrap()
    }

    #[test]
    fn a_statement_names_its_subject_or_its_conversation_and_no_place() {
        let rng = &mut rand::rng();
        let id = ConsentId::random(rng);
        let subject = SubjectId::random(rng);
        let conversation: Conversation = format!("CA{}", "0".repeat(32)).parse().unwrap();
        let mut said = Statement {
            id,
            whom: Whom::Subject(subject),
            purposes: ["training".parse().unwrap()].into(),
            answer: Answer::Given,
            method: Method::Letter,
            disclosure: Some("d".repeat(64)),
            policy_version: Some("1".into()),
            at: AT,
            recorded_at: AT,
        };
        let entry = NewEntry::consent_recorded(AT, Initiator::Operator, &said);
        assert_eq!(
            (entry.event(), entry.recording()),
            (AuditEvent::ConsentRecorded, None)
        );
        let expected = json!({ "consent": id, "answer": "given", "method": "letter", "purposes": ["training"], "subject": subject });
        assert_eq!(details(&entry), expected);
        // A leg may have the same name as a person.
        said.whom = Whom::Leg(conversation.clone(), Some("anna".parse().unwrap()));
        let entry = NewEntry::consent_recorded(AT, Initiator::Operator, &said);
        assert_eq!(
            entry.details().get("conversation"),
            Some(&json!(conversation))
        );
        assert!(
            !entry.details().to_string().contains("anna")
                && entry.details().get("subject").is_none()
        );
        let entry = NewEntry::parties_named(AT, Initiator::Vault, &conversation, 2, 1);
        assert_eq!(
            details(&entry),
            json!({ "conversation": conversation, "parties": 2, "known": 1 })
        );
    }

    #[test]
    fn quarantine_begins_with_its_end() {
        let id = RecordingId::random(&mut rand::rng());
        let entry = NewEntry::recording_quarantined(AT, Initiator::Vault, id, AT);
        assert_eq!(
            (entry.event().as_str(), entry.recording(), details(&entry)),
            ("recording.quarantined", Some(id), json!({ "ends": AT }))
        );
        let entry = NewEntry::recording_released(AT, Initiator::Operator, id);
        assert_eq!(
            (entry.event().as_str(), entry.actor(), details(&entry)),
            ("recording.released", Initiator::Operator.actor(), json!({}))
        );
    }
}
