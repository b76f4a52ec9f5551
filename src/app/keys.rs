//! Private keys of encrypted recordings in tokens: connects the settings of `twilio` with the token
//! access of `custody`.
//!
//! Owns nothing else. Must be called wherever accounts are resolved: at the start, and when they
//! are reloaded.

use super::Error;
use crate::{custody, twilio::Accounts};

/// Opens the keys. No token is used yet.
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
