//! Which command lines do something that stays done, whether or not it can be told.
//!
//! Owns this one distinction. Refuses to know what is done. INVARIANT: the match has no rest, so
//! that a new command must say which it is.

use super::{
    Command, approval::Approval, audit::Audit, clock::Clock, consent::Consent, custody::Custody,
    epoch::Epoch, hold::Hold, policy::Policy, principal::Principal, retention::Retention,
    revoke::Revoke, snapshot::Snapshot, token::Token, twilio::Twilio,
};

impl Command {
    /// Whether it has done something by the time it prints. Then the exit code tells that it is
    /// done, also where standard output takes nothing: whoever believed that it was not would do it
    /// again, or do without.
    pub(super) fn acts(&self) -> bool {
        match self {
            Self::Init { .. } | Self::Retry { .. } => true,
            Self::Shred { dry_run, .. }
            | Self::Move { dry_run, .. }
            | Self::Rotate { dry_run, .. }
            | Self::Sweep { dry_run, .. } => !dry_run,
            Self::Token(Token::Create { .. } | Token::Revoke { .. }) => true,
            Self::Policy(Policy::Publish { dry_run, .. }) => !dry_run,
            Self::Retention(Retention::Sweep { dry_run }) => !dry_run,
            Self::Consent(Consent::Import { dry_run, .. }) => !dry_run,
            Self::Consent(Consent::Record(_)) | Self::Hold(Hold::Place(_)) => true,
            Self::Hold(Hold::Lift { dry_run, .. }) => !dry_run,
            Self::Revoke(Revoke { dry_run, .. }) => !dry_run,
            Self::Epoch(Epoch::Release { dry_run } | Epoch::Turn { dry_run }) => !dry_run,
            Self::Clock(Clock::Accept { dry_run }) => !dry_run,
            Self::Snapshot(Snapshot::Create { .. }) => true,
            Self::Snapshot(Snapshot::Restore { dry_run, .. }) => !dry_run,
            Self::Twilio(Twilio::Reconcile(reconcile)) => !reconcile.dry_run,
            Self::Twilio(Twilio::Backfill(backfill)) => !backfill.dry_run,
            Self::Custody(Custody::ChangePassphrase { dry_run, .. }) => !dry_run,
            #[cfg(feature = "demo")]
            Self::Demo(_) => false,
            // They say how something is, and have failed where they cannot.
            Self::Serve
            | Self::Token(Token::List)
            | Self::Principal(Principal::List)
            | Self::Policy(
                Policy::Check { .. }
                | Policy::Explain { .. }
                | Policy::Cedar { .. }
                | Policy::WhyNot { .. }
                | Policy::Diff { .. }
                | Policy::Test { .. },
            )
            | Self::Retention(Retention::Report)
            | Self::Consent(Consent::List { .. })
            | Self::Hold(Hold::List { .. })
            | Self::Epoch(Epoch::Status)
            | Self::Clock(Clock::Status)
            | Self::Snapshot(Snapshot::List | Snapshot::Verify { .. })
            | Self::Drill(_)
            | Self::Sources { .. }
            | Self::Approval(Approval::List { .. })
            | Self::Audit(Audit::List { .. })
            | Self::Receipt(_)
            | Self::Status
            | Self::Doctor
            | Self::Config(_) => false,
        }
    }
}
