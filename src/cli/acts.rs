//! The distinction between command lines with a permanent effect and those without.
//!
//! Owns this one distinction. Refuses to know the effects. INVARIANT: the match has no wildcard, so
//! that a new command must be classified.

use super::{
    Command, approval::ApprovalCommand, audit::AuditCommand, clock::ClockCommand,
    consent::ConsentCommand, custody::CustodyCommand, epoch::EpochCommand, grant::GrantCommand,
    hold::HoldCommand, policy::PolicyCommand, principal::PrincipalCommand,
    retention::RetentionCommand, revoke::Revoke, snapshot::SnapshotCommand, token::TokenCommand,
    twilio::TwilioCommand,
};

impl Command {
    /// Whether the command has had an effect by the time it prints. Then the exit code reports
    /// success, even if standard output cannot be written: a caller that took it for a failure
    /// would repeat the command, or assume that it had no effect. A command whose result is a secret
    /// that is shown only once takes it back instead, and fails ([`Out::secret`]).
    ///
    /// [`Out::secret`]: super::out::Out::secret
    pub(super) fn acts(&self) -> bool {
        match self {
            Self::Init(_) | Self::Retry { .. } => true,
            Self::Grant(GrantCommand::Create { .. } | GrantCommand::End { .. }) => true,
            Self::Shred { dry_run, .. }
            | Self::Move { dry_run, .. }
            | Self::Rotate { dry_run, .. }
            | Self::Sweep { dry_run, .. } => !dry_run,
            Self::Token(TokenCommand::Create { .. } | TokenCommand::Revoke { .. }) => true,
            Self::Policy(PolicyCommand::Publish { dry_run, .. }) => !dry_run,
            Self::Retention(RetentionCommand::Sweep { dry_run }) => !dry_run,
            Self::Consent(ConsentCommand::Import { dry_run, .. }) => !dry_run,
            Self::Consent(ConsentCommand::Record(_)) | Self::Hold(HoldCommand::Place(_)) => true,
            Self::Hold(HoldCommand::Lift { dry_run, .. }) => !dry_run,
            Self::Revoke(Revoke { dry_run, .. }) => !dry_run,
            Self::Epoch(EpochCommand::Release { dry_run } | EpochCommand::Turn { dry_run }) => {
                !dry_run
            }
            Self::Clock(ClockCommand::Accept { dry_run }) => !dry_run,
            Self::Snapshot(SnapshotCommand::Create { .. }) => true,
            Self::Snapshot(SnapshotCommand::Restore { dry_run, .. }) => !dry_run,
            Self::Twilio(TwilioCommand::Reconcile(reconcile)) => !reconcile.dry_run,
            Self::Twilio(TwilioCommand::Backfill(backfill)) => !backfill.dry_run,
            Self::Custody(CustodyCommand::ChangePassphrase { dry_run, .. }) => !dry_run,
            #[cfg(feature = "demo")]
            Self::Demo(_) => false,
            // These only report, and have failed if they cannot.
            Self::Serve
            | Self::Token(TokenCommand::List)
            | Self::Principal(PrincipalCommand::List)
            | Self::Policy(
                PolicyCommand::Check { .. }
                | PolicyCommand::Explain { .. }
                | PolicyCommand::Cedar { .. }
                | PolicyCommand::WhyNot { .. }
                | PolicyCommand::Diff { .. }
                | PolicyCommand::Test { .. },
            )
            | Self::Retention(RetentionCommand::Report)
            | Self::Consent(ConsentCommand::List { .. })
            | Self::Hold(HoldCommand::List { .. })
            | Self::Epoch(EpochCommand::Status)
            | Self::Clock(ClockCommand::Status)
            | Self::Snapshot(SnapshotCommand::List | SnapshotCommand::Verify { .. })
            | Self::Drill(_)
            | Self::Sources { .. }
            | Self::Approval(ApprovalCommand::List { .. })
            | Self::Audit(AuditCommand::List(_))
            | Self::Recordings(_)
            | Self::Conversations(_)
            | Self::Grant(GrantCommand::List { .. })
            // Its effect is the archive: one that cannot be written is a failure.
            | Self::Export(_)
            | Self::Receipt(_)
            | Self::Status
            | Self::Doctor
            | Self::Config(_)
            | Self::Completions { .. } => false,
            Self::Man { dir } => dir.is_some(),
        }
    }
}
