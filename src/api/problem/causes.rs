//! The problem of each error of the vault.
//!
//! Owns the choice. INVARIANT: every error is named, so that a new one requires a decision here.

use super::{HeldBy, Problem, ProblemExtensions, ProblemReason, kind::ProblemType};
use crate::{
    db::{self, ClosedFor},
    flow, vault,
};

/// Logs an unexpected error; its cause is never sent.
fn internal(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "internal error");
    Problem::internal()
}

/// Logs the reason why a backend is unavailable.
fn unavailable(backend: &'static str, error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "{backend} is not available");
    Problem::unavailable()
}

impl From<flow::Error> for Problem {
    fn from(error: flow::Error) -> Self {
        match error {
            flow::Error::NotFound => Self::not_found(),
            flow::Error::OwnRequest => {
                let detail = "Nobody may approve or refuse their own request: another principal with an approving role must decide.";
                Self::new(ProblemType::OwnRequest, detail)
            }
            flow::Error::Invalid(detail) => Self::bad_request(detail),
            flow::Error::Conflict(detail) => Self::new(ProblemType::Conflict, detail),
            flow::Error::Shredded { at, receipt } => {
                let detail = format!(
                    "The recording was shredded at {at}. Its receipt is at `/v1/receipts/{receipt}`."
                );
                Self::new(ProblemType::Shredded, detail).with(ProblemExtensions {
                    receipt_id: Some(receipt),
                    shredded_at: Some(at),
                    ..ProblemExtensions::default()
                })
            }
            flow::Error::Held(ref recordings) => {
                let held = recordings.iter().map(|(id, names)| HeldBy {
                    recording_id: *id,
                    holds: names.clone(),
                });
                Self::new(ProblemType::Held, error.to_string()).with(ProblemExtensions {
                    holds: Some(held.collect()),
                    ..ProblemExtensions::default()
                })
            }
            flow::Error::Denied(denial) => {
                let detail =
                    "The privacy policy does not allow this request; `reasons` lists every reason.";
                let reasons = denial.refusals().iter().map(ProblemReason::of);
                Self::new(ProblemType::Denied, detail).with(ProblemExtensions {
                    reasons: reasons.collect(),
                    ..ProblemExtensions::default()
                })
            }
            flow::Error::Policy(_) => internal(&error),
            flow::Error::Vault(error) => error.into(),
        }
    }
}

impl From<vault::Error> for Problem {
    fn from(error: vault::Error) -> Self {
        use vault::Error;

        match error {
            Error::Db(error) => error.into(),
            Error::Store(error) => unavailable("the store", &error),
            Error::Custody(_) | Error::NoSlot(_) => unavailable("custody", &error),
            Error::Gone | Error::GrantEnded => Self::not_found(),
            Error::NoWindow => {
                let detail = "The purpose gives only a part of the audio, and no part can be cut from audio of this format. State a purpose with another view.";
                Self::new(ProblemType::NoWindow, detail)
            }
            Error::NotDurable(cause) => {
                tracing::warn!(cause, "something is done and not durable yet");
                Self::not_durable_yet()
            }
            Error::ForgetfulDatabase { .. } | Error::BehindCustody { .. } => {
                Self::closed(ClosedFor::Forgetful)
            }
            Error::NotOwner { .. } => Self::closed(ClosedFor::TakenOver),
            Error::CiphertextMissing(_) => {
                Self::new(ProblemType::CiphertextMissing, error.to_string())
            }
            Error::Altered
            | Error::BrokenDetails
            | Error::BrokenReceipt(_)
            | Error::BrokenTranscript
            | Error::BudgetSpent
            | Error::CustodyTaken(_)
            | Error::CustodyTrouble(_)
            | Error::ForgetfulStore { .. }
            | Error::Gaps(_)
            | Error::Held(_)
            | Error::Keyring(_)
            | Error::LostDatabase(_)
            | Error::NewerSnapshot { .. }
            | Error::NoSnapshot(_)
            | Error::NoSuchGap(_)
            | Error::NoVault
            | Error::NothingToCompare { .. }
            | Error::OldDatabase { .. }
            | Error::OldSlot { .. }
            | Error::OtherVault { .. }
            | Error::PolicyTwice { .. }
            | Error::RecoveryFile { .. }
            | Error::SharedRows(_)
            | Error::Sandbox { .. }
            | Error::Seal(_)
            | Error::SharedStore { .. }
            | Error::StoreMoved(_)
            | Error::TakeOver { .. }
            | Error::TurnHeld(_)
            | Error::VaultExists(_)
            | Error::WrongKey => internal(&error),
        }
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        use db::Error;

        match error {
            Error::Unstorable => Self::bad_request(
                "A text in the request contains the character U+0000, which cannot be stored: remove it.",
            ),
            Error::Closed(closed) => Self::closed(closed.because),
            Error::Unavailable(_) | Error::Conflict => unavailable("the database", &error),
            Error::Inconsistent { .. }
            | Error::Kept(_)
            | Error::LeaseLost
            | Error::NotEmpty(_)
            | Error::Reading
            | Error::Schema(_)
            | Error::Stale(_)
            | Error::Statement(_)
            | Error::Unproven
            | Error::Untold(_)
            | Error::Url(_) => internal(&error),
        }
    }
}
