//! Entries about what is sealed: length and digest of ciphertext, never content.

use serde_json::json;

use super::{AuditEvent, NewEntry};
use crate::model::{
    actor::Initiator,
    artefact::{Artefact, Leg},
    id::RecordingId,
    recording::Recording,
    time::Timestamp,
};

impl NewEntry {
    /// The recording, or a further leg of it, is sealed: length in bytes and SHA-256 of its
    /// ciphertext.
    pub fn recording_sealed(
        at: Timestamp,
        recording: &Recording,
        leg: Leg,
        sealed_len: u64,
        ciphertext_sha256: &[u8; 32],
    ) -> Self {
        let details = json!({
            "kind": recording.kind(),
            "leg": leg,
            "tier": recording.tier,
            "policy_digest": recording.policy_digest,
            "sealed_len": sealed_len,
            "ciphertext_sha256": hex::encode(ciphertext_sha256),
        });
        Self::new(
            at,
            Initiator::Vault,
            AuditEvent::RecordingSealed,
            Some(recording.id),
            details,
        )
    }

    /// A transcript is sealed under the recording's key: length in bytes and SHA-256 of its
    /// ciphertext.
    pub fn transcript_sealed(
        at: Timestamp,
        by: Initiator,
        recording: RecordingId,
        sealed_len: u64,
        ciphertext_sha256: &[u8; 32],
    ) -> Self {
        let details = json!({ "sealed_len": sealed_len, "ciphertext_sha256": hex::encode(ciphertext_sha256) });
        Self::new(
            at,
            by,
            AuditEvent::TranscriptSealed,
            Some(recording),
            details,
        )
    }

    /// A file of a message is sealed under the recording's key: length in bytes and SHA-256 of its
    /// ciphertext.
    pub fn file_sealed(
        at: Timestamp,
        recording: RecordingId,
        artefact: Artefact,
        sealed_len: u64,
        ciphertext_sha256: &[u8; 32],
    ) -> Self {
        let details = json!({
            "artefact": artefact.word(),
            "sealed_len": sealed_len,
            "ciphertext_sha256": hex::encode(ciphertext_sha256),
        });
        let event = AuditEvent::FileSealed;
        Self::new(at, Initiator::Vault, event, Some(recording), details)
    }

    /// A message was edited at the source, and its new state is sealed under the recording's key:
    /// length in bytes and SHA-256 of the ciphertext of the form.
    pub fn edit_sealed(
        at: Timestamp,
        recording: RecordingId,
        form: Artefact,
        sealed_len: u64,
        ciphertext_sha256: &[u8; 32],
    ) -> Self {
        let details = json!({
            "artefact": form.word(),
            "sealed_len": sealed_len,
            "ciphertext_sha256": hex::encode(ciphertext_sha256),
        });
        let event = AuditEvent::EditSealed;
        Self::new(at, Initiator::Vault, event, Some(recording), details)
    }

    /// The message was removed at the source by somebody else; the recording stays.
    pub fn removed_at_source(at: Timestamp, recording: RecordingId, removed_at: Timestamp) -> Self {
        let details = json!({ "removed_at": removed_at });
        let event = AuditEvent::RemovedAtSource;
        Self::new(at, Initiator::Vault, event, Some(recording), details)
    }
}
