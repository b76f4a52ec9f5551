//! Private keys of encrypted recordings that rest in tokens: `twilio` knows which, `custody` knows
//! how, and here they meet.
//!
//! Owns nothing else. To be called wherever accounts are resolved, at the start and when they are
//! read again.

use super::Error;
use crate::{custody, twilio::Accounts};

/// Opens them. No token is asked yet.
///
/// # Errors
/// [`Error::Settings`] with the SID of the key.
pub(super) fn open_tokens(accounts: &mut Accounts) -> Result<(), Error> {
    let opened = accounts
        .encryption_keys_mut()
        .open_tokens(custody::unwrapper);
    opened.map_err(|(sid, error)| {
        Error::Settings(format!("`twilio.encryption_keys`, `{sid}`: {error}"))
    })
}
