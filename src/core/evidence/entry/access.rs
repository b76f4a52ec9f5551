//! Entries about access besides the decision itself: request details, approvals, emergencies,
//! exports, corrections.

use serde_json::{Value, json};

use super::{NewEntry, reasons};
use crate::{
    evidence::event::AuditEvent,
    model::{
        actor::Initiator,
        grant_object::GrantObject,
        id::{ApprovalId, GrantId, PrincipalId, RecordingId, SubjectId},
        name::Purpose,
        subject::Conversation,
        time::Timestamp,
    },
    policy::{DecisionFacts, Denial, Grant},
};

impl NewEntry {
    /// Adds the request's ticket, and whether it asked to bypass approval, if either is so.
    pub fn with_request(mut self, facts: &DecisionFacts<'_>) -> Self {
        if let Some(ticket) = facts.ticket {
            self.details
                .0
                .insert("ticket".into(), json!(ticket.as_str()));
        }
        if facts.break_glass {
            self.details.0.insert("break_glass".into(), json!(true));
        }
        self
    }

    /// A grant was ended early: by itself, or with the approval on which it rested.
    pub fn grant_ended(
        at: Timestamp,
        by: Initiator,
        object: &GrantObject,
        grant: GrantId,
        approval: Option<ApprovalId>,
    ) -> Self {
        let mut details = json!({ "grant": grant });
        if let Some(approval) = approval {
            details["approval"] = json!(approval);
        }
        if let Some(conversation) = object.conversation() {
            details["conversation"] = json!(conversation);
        }
        Self::new(at, by, AuditEvent::GrantEnded, object.recording(), details)
    }

    /// The decision about a message of a conversation allowed the request, and the grant over the
    /// conversation is stored under this id. Each message is decided again when it is opened.
    pub fn conversation_allowed(
        at: Timestamp,
        grant: &Grant,
        id: GrantId,
        conversation: &Conversation,
    ) -> Self {
        let mut entry = Self::decision_allowed(at, grant, id);
        entry.recording = None;
        entry
            .details
            .0
            .insert("conversation".into(), json!(conversation));
        entry
    }

    /// Messages of a conversation are about to leave under the grant over it: this many, and this
    /// many others are withheld. Each has an entry of its own.
    pub fn conversation_opened(
        at: Timestamp,
        grant: &Grant,
        id: GrantId,
        conversation: &Conversation,
        (opened, withheld): (usize, usize),
    ) -> Self {
        let details = json!({
            "grant": id, "conversation": conversation, "purpose": grant.purpose(), "opened": opened, "withheld": withheld,
        });
        Self::new(
            at,
            grant.initiator(),
            AuditEvent::ConversationOpened,
            None,
            details,
        )
    }

    /// Adds the conversation under whose grant a recording is opened, and the purpose.
    pub fn in_conversation(mut self, conversation: &Conversation, purpose: &Purpose) -> Self {
        let details = &mut self.details.0;
        details.insert("conversation".into(), json!(conversation));
        details.insert("purpose".into(), json!(purpose));
        self
    }

    /// A requester asks for a second person's approval.
    pub fn approval_requested(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        approval: ApprovalId,
        purpose: &Purpose,
        expires_at: Timestamp,
    ) -> Self {
        let details = json!({ "approval": approval, "purpose": purpose, "expires_at": expires_at });
        Self::new(
            at,
            by,
            AuditEvent::ApprovalRequested,
            Some(recording),
            details,
        )
    }

    /// The justification of a request is about to be shown to an approver.
    pub fn approval_shown(
        at: Timestamp,
        to: Initiator,
        recording: RecordingId,
        approval: ApprovalId,
    ) -> Self {
        Self::new(
            at,
            to,
            AuditEvent::ApprovalShown,
            Some(recording),
            json!({ "approval": approval }),
        )
    }

    /// A second person approved until `expires_at`, refused, or revoked the approval.
    pub fn approval_decided(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        (approval, requested_by): (ApprovalId, PrincipalId),
        approved: bool,
        expires_at: Timestamp,
    ) -> Self {
        let expires_at = approved.then_some(expires_at);
        let details = json!({ "approval": approval, "requested_by": requested_by, "approved": approved, "expires_at": expires_at });
        Self::new(
            at,
            by,
            AuditEvent::ApprovalDecided,
            Some(recording),
            details,
        )
    }

    /// A principal tried to decide on their own request, which is not allowed; there is no denial.
    pub fn approval_denied(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        approval: ApprovalId,
        denial: Option<&Denial>,
    ) -> Self {
        let mut details = denial.map(reasons).unwrap_or_default();
        if denial.is_none() {
            details.insert("reasons".into(), json!(["own-request"]));
        }
        details.insert("action".into(), json!("approve"));
        details.insert("approval".into(), json!(approval));
        Self::new(
            at,
            by,
            AuditEvent::DecisionDenied,
            Some(recording),
            Value::Object(details),
        )
    }

    /// The required approval was bypassed.
    pub fn glass_broken(at: Timestamp, grant: &Grant, id: GrantId) -> Self {
        let details = json!({ "grant": id, "purpose": grant.purpose(), "tier": grant.tier() });
        Self::new(
            at,
            grant.initiator(),
            AuditEvent::GlassBroken,
            Some(grant.recording()),
            details,
        )
    }

    /// The data about a person are about to be exported: with this many recordings, and without
    /// this many others.
    pub fn subject_exported(
        at: Timestamp,
        by: Initiator,
        subject: SubjectId,
        purpose: &Purpose,
        recordings: usize,
        left_out: usize,
    ) -> Self {
        let details = json!({ "subject": subject, "purpose": purpose, "recordings": recordings, "left_out": left_out });
        Self::new(at, by, AuditEvent::SubjectExported, None, details)
    }

    /// A request that concerns no single recording was refused. `what` is an internal name.
    pub fn request_denied(
        at: Timestamp,
        by: Initiator,
        what: &'static str,
        denial: &Denial,
    ) -> Self {
        let mut details = reasons(denial);
        details.insert("action".into(), json!(what));
        Self::new(
            at,
            by,
            AuditEvent::DecisionDenied,
            None,
            Value::Object(details),
        )
    }

    /// The catalogue's data of a recording were corrected: the names of the fields, built-in or of
    /// the policy, and no values.
    pub fn recording_corrected(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        fields: &[String],
    ) -> Self {
        Self::new(
            at,
            by,
            AuditEvent::RecordingCorrected,
            Some(recording),
            json!({ "fields": fields }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{access::Principal, actor::Actor, id::TokenId, recording::Recording};

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn what_came_with_a_request_is_there_where_it_came() {
        let recording = RecordingId::random(&mut rand::rng());
        let (principal, facts_of) = someone();
        let ticket = "CASE-7".parse().unwrap();
        let entry = || NewEntry::recording_refused(AT, recording);
        let bare = DecisionFacts::new(&principal, &facts_of, "training".parse().unwrap());
        assert_eq!(entry().with_request(&bare), entry());
        let full = DecisionFacts {
            ticket: Some(&ticket),
            break_glass: true,
            ..bare
        };
        let details = entry().with_request(&full).details().to_string();
        assert_eq!(
            details,
            json!({ "ticket": "CASE-7", "break_glass": true }).to_string()
        );
    }

    #[test]
    fn entries_of_access_have_their_details() {
        let rng = &mut rand::rng();
        let (id, credential) = (PrincipalId::random(rng), TokenId::random(rng));
        let by = Initiator::Principal { id, credential };
        let other = PrincipalId::random(rng);
        let approval = ApprovalId::random(rng);
        let grant = GrantId::random(rng);
        let recording = RecordingId::random(rng);
        let subject = SubjectId::of_hash(&[7; 32]);
        let purpose = "legal-request".parse().unwrap();
        let until = "2027-01-15T08:00:00.000Z";
        let thread: Conversation = format!("thr_{}", "0".repeat(32)).parse().unwrap();
        let cases = [
            (
                NewEntry::approval_requested(AT, by, recording, approval, &purpose, AT),
                "approval.requested",
                json!({ "approval": approval, "purpose": "legal-request", "expires_at": until }),
            ),
            (
                NewEntry::approval_shown(AT, by, recording, approval),
                "approval.shown",
                json!({ "approval": approval }),
            ),
            (
                NewEntry::approval_decided(AT, by, recording, (approval, other), true, AT),
                "approval.decided",
                json!({ "approval": approval, "requested_by": other, "approved": true, "expires_at": until }),
            ),
            (
                NewEntry::approval_decided(AT, by, recording, (approval, other), false, AT),
                "approval.decided",
                json!({ "approval": approval, "requested_by": other, "approved": false, "expires_at": null }),
            ),
            (
                NewEntry::approval_denied(AT, by, recording, approval, None),
                "decision.denied",
                json!({ "reasons": ["own-request"], "action": "approve", "approval": approval }),
            ),
            (
                NewEntry::grant_ended(AT, by, &recording.into(), grant, None),
                "grant.ended",
                json!({ "grant": grant }),
            ),
            (
                NewEntry::grant_ended(AT, by, &thread.clone().into(), grant, None),
                "grant.ended",
                json!({ "grant": grant, "conversation": thread }),
            ),
            (
                NewEntry::grant_ended(AT, by, &recording.into(), grant, Some(approval)),
                "grant.ended",
                json!({ "grant": grant, "approval": approval }),
            ),
            (
                NewEntry::subject_exported(AT, by, subject, &purpose, 3, 1),
                "subject.exported",
                json!({ "subject": subject, "purpose": "legal-request", "recordings": 3, "left_out": 1 }),
            ),
            (
                NewEntry::recording_corrected(AT, by, recording, &["labels.team".into()]),
                "recording.corrected",
                json!({ "fields": ["labels.team"] }),
            ),
        ];
        for (entry, name, mut details) in cases {
            details["credential"] = json!(credential);
            assert_eq!(
                (entry.event().as_str(), entry.actor()),
                (name, Actor::Principal(id))
            );
            assert_eq!(
                serde_json::to_value(entry.details()).unwrap(),
                details,
                "{name}"
            );
        }
    }

    fn someone() -> (Principal, Recording) {
        let principal = Principal {
            id: PrincipalId::random(&mut rand::rng()),
            credential: TokenId::random(&mut rand::rng()),
            roles: Default::default(),
            accounts: Default::default(),
            attributes: Default::default(),
        };
        let recording = crate::samples::recording(AT);
        (principal, recording)
    }
}
