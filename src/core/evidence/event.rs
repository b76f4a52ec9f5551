//! The events of the audit log, by name.
//!
//! Owns the closed list of events. Refuses to know the details of each:
//! [`NewEntry`](super::NewEntry) defines them.

mod words;

use crate::model::word::{UnknownWord, unknown};

use crate::model::schema;

/// An event. The names are stable, because the log keeps them.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum AuditEvent {
    /// The vault was created.
    #[strum(to_string = "vault.created")]
    VaultCreated,
    /// A version of the policy took effect.
    #[strum(to_string = "policy.in-force")]
    PolicyInForce,
    /// A recording's ciphertext and key are stored.
    #[strum(to_string = "recording.sealed")]
    RecordingSealed,
    /// A shredded recording was announced again and refused.
    #[strum(to_string = "recording.refused")]
    RecordingRefused,
    /// A sealed object was not in the store when its recording was to be opened.
    #[strum(to_string = "ciphertext.missing")]
    CiphertextMissing,
    /// A request for playback was allowed.
    #[strum(to_string = "decision.allowed")]
    DecisionAllowed,
    /// A request was refused.
    #[strum(to_string = "decision.denied")]
    DecisionDenied,
    /// A grant was ended early.
    #[strum(to_string = "grant.ended")]
    GrantEnded,
    /// Plaintext is about to leave the vault.
    #[strum(to_string = "opening.started")]
    OpeningStarted,
    /// Messages of a conversation are about to leave the vault together.
    #[strum(to_string = "conversation.opened")]
    ConversationOpened,
    /// A recording's key was destroyed.
    #[strum(to_string = "shred.tombstoned")]
    ShredTombstoned,
    /// A shredded recording's ciphertext was deleted from the store.
    #[strum(to_string = "shred.bytes-removed")]
    ShredBytesRemoved,
    /// The source's copies of a recording were deleted there.
    #[strum(to_string = "source.deleted")]
    SourceDeleted,
    /// A shredded recording that was still in progress was stopped at the source.
    #[strum(to_string = "source.stopped")]
    SourceStopped,
    /// A bearer token was created.
    #[strum(to_string = "token.created")]
    TokenCreated,
    /// A bearer token was revoked.
    #[strum(to_string = "token.revoked")]
    TokenRevoked,
    /// Work was abandoned.
    #[strum(to_string = "work.dead")]
    WorkDead,
    /// Abandoned work is tried again.
    #[strum(to_string = "work.retried")]
    WorkRetried,
    /// The epoch turned: everything shredded so far is out of reach of the next root.
    #[strum(to_string = "epoch.turned")]
    EpochTurned,
    /// A snapshot of the key store was verified.
    #[strum(to_string = "snapshot.verified")]
    SnapshotVerified,
    /// An object with the small ciphertext of many recordings is given up: what lives of it is
    /// stored anew.
    #[strum(to_string = "pack.left")]
    PackLeft,
    /// Objects with rows that snapshots share are given up.
    #[strum(to_string = "rows.left")]
    RowsLeft,
    /// The root of an ended epoch is about to be destroyed.
    #[strum(to_string = "root.condemned")]
    RootCondemned,
    /// The root of an ended epoch is destroyed.
    #[strum(to_string = "root.destroyed")]
    RootDestroyed,
    /// Pages of the key tree get new keys in the next turn.
    #[strum(to_string = "keys.rotated")]
    KeysRotated,
    /// The signing key was replaced.
    #[strum(to_string = "signing-key.replaced")]
    SigningKeyReplaced,
    /// A recording's key was moved to another tier.
    #[strum(to_string = "recording.moved")]
    RecordingMoved,
    /// The database was rebuilt from a snapshot and the journal.
    #[strum(to_string = "vault.restored")]
    VaultRestored,
    /// A restore continued without a part of the journal, as an operator chose.
    #[strum(to_string = "restore.gap-accepted")]
    RestoreGapAccepted,
    /// The entry of this number was lost: it was in a part of the journal that a restore continued
    /// without.
    #[strum(to_string = "entry.lost")]
    EntryLost,
    /// The roots in custody are sealed under another passphrase.
    #[strum(to_string = "custody.changed")]
    CustodyChanged,
    /// This database took over custody from another.
    #[strum(to_string = "custody.taken")]
    CustodyTaken,
    /// Another database took over custody from this one.
    #[strum(to_string = "custody.lost")]
    CustodyLost,
    /// An operator confirmed the clock.
    #[strum(to_string = "clock.accepted")]
    ClockAccepted,
    /// The lease of the turn was taken from its holder.
    #[strum(to_string = "turn.released")]
    TurnReleased,
    /// A drill of recovery and non-recovery was completed.
    #[strum(to_string = "drill.held")]
    DrillHeld,
    /// A version of the policy was signed and published.
    #[strum(to_string = "policy.published")]
    PolicyPublished,
    /// Parties of a conversation were named.
    #[strum(to_string = "parties.named")]
    PartiesNamed,
    /// A statement of consent was recorded.
    #[strum(to_string = "consent.recorded")]
    ConsentRecorded,
    /// A person was sent the notice that messages are kept.
    #[strum(to_string = "notice.sent")]
    NoticeSent,
    /// The source refused to send a notice, or to deliver it.
    #[strum(to_string = "notice.refused")]
    NoticeRefused,
    /// A recording was sealed without the evidence of consent that it needs.
    #[strum(to_string = "recording.quarantined")]
    RecordingQuarantined,
    /// Evidence of consent arrived for a recording in quarantine.
    #[strum(to_string = "recording.released")]
    RecordingReleased,
    /// A recording was closed: to everything but the holds that keep it, to be shredded when they
    /// end, or to some purposes.
    #[strum(to_string = "recording.revoked")]
    RecordingRevoked,
    /// A recording was moved to a more sensitive tier because of new information.
    #[strum(to_string = "recording.reclassified")]
    RecordingReclassified,
    /// The catalogue's data of a recording were corrected.
    #[strum(to_string = "recording.corrected")]
    RecordingCorrected,
    /// A transcript of a recording is sealed.
    #[strum(to_string = "transcript.sealed")]
    TranscriptSealed,
    /// A file of a message is sealed.
    #[strum(to_string = "file.sealed")]
    FileSealed,
    /// A new state of an edited message is sealed.
    #[strum(to_string = "edit.sealed")]
    EditSealed,
    /// A message was removed at the source by somebody else.
    #[strum(to_string = "source.removed")]
    RemovedAtSource,
    /// Somebody's consent, a recording or an account was revoked.
    #[strum(to_string = "revocation.begun")]
    RevocationBegun,
    /// Every recording of a revocation has an outcome.
    #[strum(to_string = "revocation.done")]
    RevocationDone,
    /// A hold was placed.
    #[strum(to_string = "hold.placed")]
    HoldPlaced,
    /// A hold was lifted.
    #[strum(to_string = "hold.lifted")]
    HoldLifted,
    /// A second person's approval was requested.
    #[strum(to_string = "approval.requested")]
    ApprovalRequested,
    /// The justification of a request for approval was shown to an approver.
    #[strum(to_string = "approval.shown")]
    ApprovalShown,
    /// A second person approved, or refused.
    #[strum(to_string = "approval.decided")]
    ApprovalDecided,
    /// A required approval was bypassed in an emergency.
    #[strum(to_string = "glass.broken")]
    GlassBroken,
    /// The data about a person were exported.
    #[strum(to_string = "subject.exported")]
    SubjectExported,
    /// The source's list of an account was compared with the vault.
    #[strum(to_string = "reconcile.done")]
    ReconcileDone,
    /// An existing account was listed.
    #[strum(to_string = "backfill.done")]
    BackfillDone,
    /// The accounts were reloaded.
    #[strum(to_string = "accounts.reloaded")]
    AccountsReloaded,
}

impl utoipa::ToSchema for AuditEvent {}

impl utoipa::PartialSchema for AuditEvent {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        schema::words(
            "What happened. The names are stable.",
            &Self::ALL
                .iter()
                .map(|event| event.as_str())
                .collect::<Vec<_>>(),
        )
    }
}

crate::word_set!(AuditEvent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_own_name() {
        let names: std::collections::BTreeSet<_> =
            AuditEvent::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(names.len(), AuditEvent::ALL.len());
        let names = AuditEvent::ALL.iter().map(|event| event.as_str());
        crate::samples::words_are::<AuditEvent>(&names.collect::<Vec<_>>().join(" "));
        assert!("recording.Sealed".parse::<AuditEvent>().is_err());
    }
}
