//! Errors of use cases, grouped by what the caller can do about them.

use crate::{
    db,
    model::{
        id::{ReceiptId, RecordingId},
        name::HoldName,
        time::Timestamp,
    },
    policy::Denial,
    store, vault,
};

/// The error of a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object does not exist, or the caller may not know of it. Both look the same.
    #[error("not found")]
    NotFound,
    /// The policy denies it, with every reason.
    #[error(transparent)]
    Denied(Denial),
    /// The recording is shredded.
    #[error("the recording was shredded at {at}, receipt {receipt}")]
    Shredded {
        /// When it was tombstoned.
        at: Timestamp,
        /// Its receipt.
        receipt: ReceiptId,
    },
    /// Holds keep recordings that would be shredded; none was changed.
    #[error("{}", held(.0))]
    Held(Vec<(RecordingId, Vec<HoldName>)>),
    /// A principal must not decide its own request.
    #[error("you cannot approve or refuse your own request; another principal must decide")]
    OwnRequest,
    /// The request is invalid; the text names the field.
    #[error("{0}")]
    Invalid(String),
    /// The request conflicts with existing data; the text names it, and the remedy.
    #[error("{0}")]
    Conflict(String),
    /// The policy cannot be put in force.
    #[error("{0}")]
    Policy(String),
    /// The vault, the database or the store cannot serve the request now.
    #[error(transparent)]
    Vault(#[from] vault::Error),
}

fn held(recordings: &[(RecordingId, Vec<HoldName>)]) -> String {
    let each = |(id, names): &(RecordingId, Vec<HoldName>)| {
        let names: Vec<&str> = names.iter().map(HoldName::as_str).collect();
        format!("recording {id} is kept by hold `{}`", names.join("`, `"))
    };
    let each: Vec<String> = recordings.iter().map(each).collect();
    format!(
        "{}; lift it first, or revoke: held recordings are then closed, and shredded when the hold \
         ends",
        each.join("; ")
    )
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl vault::AsVaultError for Error {
    fn as_vault_error(&self) -> Option<&vault::Error> {
        match self {
            Self::Vault(error) => Some(error),
            _ => None,
        }
    }
}

impl db::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&db::Error> {
        match self {
            Self::Vault(error) => error.as_database_error(),
            _ => None,
        }
    }
}
