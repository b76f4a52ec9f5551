//! What can happen, by name.
//!
//! Owns the closed list of events in the audit log. Refuses to know what belongs to each:
//! [`NewEntry`](super::NewEntry) says that.

use crate::model::word::{UnknownWord, unknown};

use crate::model::schema;

/// What happened. The names are stable: they are in the log for ever.
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
    /// The vault came into being.
    #[strum(to_string = "vault.created")]
    VaultCreated,
    /// A version of the policy took effect.
    #[strum(to_string = "policy.in-force")]
    PolicyInForce,
    /// A recording's ciphertext and key are in place.
    #[strum(to_string = "recording.sealed")]
    RecordingSealed,
    /// A shredded recording was announced again and not taken.
    #[strum(to_string = "recording.refused")]
    RecordingRefused,
    /// A sealed object was not in the store when its recording was to be opened.
    #[strum(to_string = "ciphertext.missing")]
    CiphertextMissing,
    /// Somebody may listen.
    #[strum(to_string = "decision.allowed")]
    DecisionAllowed,
    /// Somebody may not do what they asked for.
    #[strum(to_string = "decision.denied")]
    DecisionDenied,
    /// A grant was ended before its time.
    #[strum(to_string = "grant.ended")]
    GrantEnded,
    /// Plaintext is about to leave the vault.
    #[strum(to_string = "opening.started")]
    OpeningStarted,
    /// A recording's key was destroyed.
    #[strum(to_string = "shred.tombstoned")]
    ShredTombstoned,
    /// A shredded recording's ciphertext is gone from the store.
    #[strum(to_string = "shred.bytes-removed")]
    ShredBytesRemoved,
    /// Copies that the source kept of a recording are deleted there.
    #[strum(to_string = "source.deleted")]
    SourceDeleted,
    /// A shredded recording that was still being made was stopped at the source.
    #[strum(to_string = "source.stopped")]
    SourceStopped,
    /// A bearer token was made.
    #[strum(to_string = "token.created")]
    TokenCreated,
    /// A bearer token was revoked.
    #[strum(to_string = "token.revoked")]
    TokenRevoked,
    /// A piece of work was given up.
    #[strum(to_string = "work.dead")]
    WorkDead,
    /// A piece of work that was given up is tried again.
    #[strum(to_string = "work.retried")]
    WorkRetried,
    /// Everything that was shredded is out of reach of the next root.
    #[strum(to_string = "epoch.turned")]
    EpochTurned,
    /// A snapshot of the key store was opened again and holds.
    #[strum(to_string = "snapshot.verified")]
    SnapshotVerified,
    /// The root of an epoch that is over is about to be destroyed.
    #[strum(to_string = "root.condemned")]
    RootCondemned,
    /// The root of an epoch that is over is destroyed.
    #[strum(to_string = "root.destroyed")]
    RootDestroyed,
    /// Pages of the key tree are to get new keys in the next turn.
    #[strum(to_string = "keys.rotated")]
    KeysRotated,
    /// Another key signs receipts from now on.
    #[strum(to_string = "signing-key.replaced")]
    SigningKeyReplaced,
    /// A recording's key went to another tier.
    #[strum(to_string = "recording.moved")]
    RecordingMoved,
    /// The database was rebuilt from a snapshot and the journal.
    #[strum(to_string = "vault.restored")]
    VaultRestored,
    /// A rebuilding went on without a part of the journal, because somebody said so.
    #[strum(to_string = "restore.gap-accepted")]
    RestoreGapAccepted,
    /// The entry of this number was lost: it stood in a part of the journal that a rebuilding went on
    /// without.
    #[strum(to_string = "entry.lost")]
    EntryLost,
    /// The roots in custody are sealed anew, under another passphrase.
    #[strum(to_string = "custody.changed")]
    CustodyChanged,
    /// This database took custody over from another.
    #[strum(to_string = "custody.taken")]
    CustodyTaken,
    /// Another database took custody over from this one.
    #[strum(to_string = "custody.lost")]
    CustodyLost,
    /// An operator said that the clock is right.
    #[strum(to_string = "clock.accepted")]
    ClockAccepted,
    /// The epoch's turn was taken away from whoever had it.
    #[strum(to_string = "turn.released")]
    TurnReleased,
    /// Recovery and non-recovery were rehearsed.
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
    /// A recording went to a more sensitive tier because of what is known of it now.
    #[strum(to_string = "recording.reclassified")]
    RecordingReclassified,
    /// What the catalogue says of a recording was corrected.
    #[strum(to_string = "recording.corrected")]
    RecordingCorrected,
    /// What was said in a recording is sealed, too.
    #[strum(to_string = "transcript.sealed")]
    TranscriptSealed,
    /// Somebody's consent, a recording or an account was revoked.
    #[strum(to_string = "revocation.begun")]
    RevocationBegun,
    /// Everything that a revocation reaches was dealt with.
    #[strum(to_string = "revocation.done")]
    RevocationDone,
    /// A hold was placed.
    #[strum(to_string = "hold.placed")]
    HoldPlaced,
    /// A hold was lifted.
    #[strum(to_string = "hold.lifted")]
    HoldLifted,
    /// The approval of a second person was asked for.
    #[strum(to_string = "approval.requested")]
    ApprovalRequested,
    /// Why somebody asks for approval was shown to who may approve.
    #[strum(to_string = "approval.shown")]
    ApprovalShown,
    /// A second person approved, or refused.
    #[strum(to_string = "approval.decided")]
    ApprovalDecided,
    /// Somebody did without the approval that is asked for, in an emergency.
    #[strum(to_string = "glass.broken")]
    GlassBroken,
    /// Everything about a person was handed out.
    #[strum(to_string = "subject.exported")]
    SubjectExported,
    /// The source's list of an account was compared with the vault.
    #[strum(to_string = "reconcile.done")]
    ReconcileDone,
    /// An existing account was listed.
    #[strum(to_string = "backfill.done")]
    BackfillDone,
    /// The accounts were read again.
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
