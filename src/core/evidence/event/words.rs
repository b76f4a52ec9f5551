//! The text of each event for readers of a log.
//!
//! INVARIANT: the match has no wildcard arm, so that a new event must have a text.

use super::AuditEvent;

impl AuditEvent {
    /// Returns the event as text, without its subject.
    pub fn words(self) -> &'static str {
        match self {
            Self::VaultCreated => "a vault was created",
            Self::PolicyInForce => "a version of the policy took effect",
            Self::RecordingSealed => "a recording was sealed",
            Self::RecordingRefused => "a shredded recording was announced again and not taken",
            Self::CiphertextMissing => "a sealed object is not in the store",
            Self::DecisionAllowed => "access was granted",
            Self::DecisionDenied => "access was refused",
            Self::GrantEnded => "a grant was ended early",
            Self::OpeningStarted => "a recording was opened",
            Self::ConversationOpened => "messages of a conversation were opened together",
            Self::ShredTombstoned => "a recording was shredded",
            Self::ShredBytesRemoved => "the ciphertext of a shredded recording was removed",
            Self::SourceDeleted => "copies were deleted at the source",
            Self::SourceStopped => "a running recording was stopped at the source",
            Self::TokenCreated => "a token was created",
            Self::TokenRevoked => "a token was revoked",
            Self::WorkDead => "work was given up",
            Self::WorkRetried => "work that was given up is tried again",
            Self::EpochTurned => "the epoch was turned",
            Self::SnapshotVerified => "a snapshot was verified",
            Self::PackLeft => {
                "a pack of small ciphertext was given up, and what lives of it is stored anew"
            }
            Self::RowsLeft => "objects with rows that snapshots share were given up",
            Self::RootCondemned => "the root key of a former epoch is about to be destroyed",
            Self::RootDestroyed => "the root key of a former epoch was destroyed",
            Self::KeysRotated => "pages of the key tree are to get new keys",
            Self::SigningKeyReplaced => "the key that signs receipts was replaced",
            Self::RecordingMoved => "a recording was moved to another tier",
            Self::VaultRestored => "the vault was rebuilt from a snapshot and the journal",
            Self::RestoreGapAccepted => "a restore continued without a part of the journal",
            Self::EntryLost => "an audit entry was lost",
            Self::CustodyChanged => "the root keys were sealed under another passphrase",
            Self::CustodyTaken => "custody was taken over from another database",
            Self::CustodyLost => "custody was taken over by another database",
            Self::ClockAccepted => "an operator accepted the clock",
            Self::TurnReleased => "the turn was taken away from its holder",
            Self::DrillHeld => "a drill was held",
            Self::PolicyPublished => "a version of the policy was published",
            Self::PartiesNamed => "parties of a conversation were named",
            Self::ConsentRecorded => "a statement of consent was recorded",
            Self::NoticeSent => "a person was sent the notice that messages are kept",
            Self::NoticeRefused => "the notice that messages are kept could not be sent",
            Self::RecordingQuarantined => "a recording was put in quarantine",
            Self::RecordingReleased => "a recording was released from quarantine",
            Self::RecordingRevoked => "a recording was closed by a revocation",
            Self::RecordingReclassified => "a recording was moved to a more sensitive tier",
            Self::RecordingCorrected => "the catalogue data of a recording was corrected",
            Self::TranscriptSealed => "a transcript was sealed",
            Self::FileSealed => "a file of a message was sealed",
            Self::EditSealed => "a new state of an edited message was sealed",
            Self::RemovedAtSource => "a message was removed at the source",
            Self::RevocationBegun => "a revocation has begun",
            Self::RevocationDone => "a revocation is complete",
            Self::HoldPlaced => "a hold was placed",
            Self::HoldLifted => "a hold was lifted",
            Self::ApprovalRequested => "an approval was requested",
            Self::ApprovalShown => "the reason for a request was shown to an approver",
            Self::ApprovalDecided => "an approval was decided",
            Self::GlassBroken => {
                "break-glass: a recording was opened without the approval that its tier requires"
            }
            Self::SubjectExported => "the data of a person was exported",
            Self::ReconcileDone => "an account was compared with the source's list",
            Self::BackfillDone => "an existing account was listed",
            Self::AccountsReloaded => "the accounts were reloaded",
        }
    }
}
