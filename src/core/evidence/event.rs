//! What can happen, by name.
//!
//! Owns the closed list of events in the audit log. Refuses to know what belongs to each:
//! [`NewEntry`](super::NewEntry) says that.

use std::{fmt, str::FromStr};

use crate::model::schema;

/// What happened. The names are stable: they are in the log for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditEvent {
    /// The vault came into being.
    VaultCreated,
    /// A version of the policy took effect.
    PolicyInForce,
    /// A recording's ciphertext and key are in place.
    RecordingSealed,
    /// A shredded recording was announced again and not taken.
    RecordingRefused,
    /// Somebody may listen.
    DecisionAllowed,
    /// Somebody may not do what they asked for.
    DecisionDenied,
    /// Plaintext is about to leave the vault.
    OpeningStarted,
    /// A recording's key was destroyed.
    ShredTombstoned,
    /// A shredded recording's ciphertext is gone from the store.
    ShredBytesRemoved,
    /// Copies that the source kept of a recording are deleted there.
    SourceDeleted,
    /// A shredded recording that was still being made was stopped at the source.
    SourceStopped,
    /// A bearer token was made.
    TokenCreated,
    /// A bearer token was revoked.
    TokenRevoked,
    /// A piece of work was given up.
    WorkDead,
    /// A piece of work that was given up is tried again.
    WorkRetried,
    /// Everything that was shredded is out of reach of the next root.
    EpochTurned,
    /// A snapshot of the key store was opened again and holds.
    SnapshotVerified,
    /// The root of an epoch that is over is about to be destroyed.
    RootCondemned,
    /// The root of an epoch that is over is destroyed.
    RootDestroyed,
    /// Pages of the key tree are to get new keys in the next turn.
    KeysRotated,
    /// A recording's key went to another tier.
    RecordingMoved,
    /// The database was rebuilt from a snapshot and the journal.
    VaultRestored,
    /// A rebuilding went on without a part of the journal, because somebody said so.
    RestoreGapAccepted,
    /// The roots in custody are sealed anew, under another passphrase.
    CustodyChanged,
    /// This database took custody over from another.
    CustodyTaken,
    /// Another database took custody over from this one.
    CustodyLost,
    /// An operator said that the clock is right.
    ClockAccepted,
    /// The epoch's turn was taken away from whoever had it.
    TurnReleased,
    /// Recovery and non-recovery were rehearsed.
    DrillHeld,
    /// A version of the policy was signed and published.
    PolicyPublished,
    /// Parties of a conversation were named.
    PartiesNamed,
    /// A statement of consent was recorded.
    ConsentRecorded,
    /// A recording was sealed without the evidence of consent that it needs.
    RecordingQuarantined,
    /// Evidence of consent arrived for a recording in quarantine.
    RecordingReleased,
    /// A recording was closed: to everything but the holds that keep it, to be shredded when they
    /// end, or to some purposes.
    RecordingRevoked,
    /// A recording went to a more sensitive tier because of what is known of it now.
    RecordingReclassified,
    /// What the catalogue says of a recording was corrected.
    RecordingCorrected,
    /// What was said in a recording is sealed, too.
    TranscriptSealed,
    /// Somebody's consent, a recording or an account was revoked.
    RevocationBegun,
    /// Everything that a revocation reaches was dealt with.
    RevocationDone,
    /// A hold was placed.
    HoldPlaced,
    /// A hold was lifted.
    HoldLifted,
    /// The approval of a second person was asked for.
    ApprovalRequested,
    /// Why somebody asks for approval was shown to who may approve.
    ApprovalShown,
    /// A second person approved, or refused.
    ApprovalDecided,
    /// Somebody did without the approval that is asked for, in an emergency.
    GlassBroken,
    /// Everything about a person was handed out.
    SubjectExported,
    /// The source's list of an account was compared with the vault.
    ReconcileDone,
    /// An existing account was listed.
    BackfillDone,
    /// The accounts were read again.
    AccountsReloaded,
}

impl utoipa::ToSchema for AuditEvent {}

impl utoipa::PartialSchema for AuditEvent {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        schema::words(
            "What happened. The names are stable.",
            &Self::ALL.map(Self::as_str),
        )
    }
}

impl AuditEvent {
    /// Every event.
    pub const ALL: [Self; 50] = [
        Self::VaultCreated,
        Self::PolicyInForce,
        Self::RecordingSealed,
        Self::RecordingRefused,
        Self::DecisionAllowed,
        Self::DecisionDenied,
        Self::OpeningStarted,
        Self::ShredTombstoned,
        Self::ShredBytesRemoved,
        Self::SourceDeleted,
        Self::SourceStopped,
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::WorkDead,
        Self::WorkRetried,
        Self::EpochTurned,
        Self::SnapshotVerified,
        Self::RootCondemned,
        Self::RootDestroyed,
        Self::KeysRotated,
        Self::RecordingMoved,
        Self::VaultRestored,
        Self::RestoreGapAccepted,
        Self::CustodyChanged,
        Self::CustodyTaken,
        Self::CustodyLost,
        Self::ClockAccepted,
        Self::TurnReleased,
        Self::DrillHeld,
        Self::PolicyPublished,
        Self::PartiesNamed,
        Self::ConsentRecorded,
        Self::RecordingQuarantined,
        Self::RecordingReleased,
        Self::RecordingRevoked,
        Self::RecordingReclassified,
        Self::RecordingCorrected,
        Self::TranscriptSealed,
        Self::RevocationBegun,
        Self::RevocationDone,
        Self::HoldPlaced,
        Self::HoldLifted,
        Self::ApprovalRequested,
        Self::ApprovalShown,
        Self::ApprovalDecided,
        Self::GlassBroken,
        Self::SubjectExported,
        Self::ReconcileDone,
        Self::BackfillDone,
        Self::AccountsReloaded,
    ];

    /// The name in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VaultCreated => "vault.created",
            Self::PolicyInForce => "policy.in-force",
            Self::RecordingSealed => "recording.sealed",
            Self::RecordingRefused => "recording.refused",
            Self::DecisionAllowed => "decision.allowed",
            Self::DecisionDenied => "decision.denied",
            Self::OpeningStarted => "opening.started",
            Self::ShredTombstoned => "shred.tombstoned",
            Self::ShredBytesRemoved => "shred.bytes-removed",
            Self::SourceDeleted => "source.deleted",
            Self::SourceStopped => "source.stopped",
            Self::TokenCreated => "token.created",
            Self::TokenRevoked => "token.revoked",
            Self::WorkDead => "work.dead",
            Self::WorkRetried => "work.retried",
            Self::EpochTurned => "epoch.turned",
            Self::SnapshotVerified => "snapshot.verified",
            Self::RootCondemned => "root.condemned",
            Self::RootDestroyed => "root.destroyed",
            Self::KeysRotated => "keys.rotated",
            Self::RecordingMoved => "recording.moved",
            Self::VaultRestored => "vault.restored",
            Self::RestoreGapAccepted => "restore.gap-accepted",
            Self::CustodyChanged => "custody.changed",
            Self::CustodyTaken => "custody.taken",
            Self::CustodyLost => "custody.lost",
            Self::ClockAccepted => "clock.accepted",
            Self::TurnReleased => "turn.released",
            Self::DrillHeld => "drill.held",
            Self::PolicyPublished => "policy.published",
            Self::PartiesNamed => "parties.named",
            Self::ConsentRecorded => "consent.recorded",
            Self::RecordingQuarantined => "recording.quarantined",
            Self::RecordingReleased => "recording.released",
            Self::RecordingRevoked => "recording.revoked",
            Self::RecordingReclassified => "recording.reclassified",
            Self::RecordingCorrected => "recording.corrected",
            Self::TranscriptSealed => "transcript.sealed",
            Self::RevocationBegun => "revocation.begun",
            Self::RevocationDone => "revocation.done",
            Self::HoldPlaced => "hold.placed",
            Self::HoldLifted => "hold.lifted",
            Self::ApprovalRequested => "approval.requested",
            Self::ApprovalShown => "approval.shown",
            Self::ApprovalDecided => "approval.decided",
            Self::GlassBroken => "glass.broken",
            Self::SubjectExported => "subject.exported",
            Self::ReconcileDone => "reconcile.done",
            Self::BackfillDone => "backfill.done",
            Self::AccountsReloaded => "accounts.reloaded",
        }
    }
}

impl fmt::Display for AuditEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for AuditEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The text names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an audit event, like `recording.sealed`")]
pub struct UnknownEvent;

impl FromStr for AuditEvent {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == text)
            .ok_or(UnknownEvent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_name() {
        let names: std::collections::BTreeSet<_> =
            AuditEvent::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(names.len(), AuditEvent::ALL.len());
        for event in AuditEvent::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
        }
        assert_eq!("recording.Sealed".parse::<AuditEvent>(), Err(UnknownEvent));
    }
}
