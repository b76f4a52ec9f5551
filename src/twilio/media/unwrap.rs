//! The decryptor of a recording's media, from its wrapped content key.
//!
//! Owns the fetch errors of a private key that cannot open the content key. Refuses to know the
//! choice and the location of the key.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    model::encryption::Encryption,
    twilio::{
        encryption::{Decryptor, UnwrapError, UnwrapKey},
        fetch_error::{FetchError, FetchRefusal, TransientFailure},
    },
};

/// Returns the decryptor for media with these encryption details. May block, as
/// [`UnwrapKey::unwrap`].
///
/// # Errors
/// [`FetchError::Refused`] if the key does not open the content key, [`FetchError::Transient`] if
/// the private key cannot be used now.
pub fn decryptor(told: &Encryption, key: &dyn UnwrapKey) -> Result<Decryptor, FetchError> {
    let sid = || told.public_key_sid.clone();
    // Details from the database were checked when they were parsed; details that are unreadable now
    // open nothing.
    let wrapped = STANDARD.decode(&told.wrapped_key);
    let nonce = STANDARD.decode(&told.nonce);
    let nonce = nonce.ok().and_then(|nonce| nonce.try_into().ok());
    let (Ok(wrapped), Some(nonce)) = (wrapped, nonce) else {
        return Err(FetchRefusal::WrongKey { sid: sid() }.into());
    };
    match key.unwrap(&wrapped) {
        Ok(key) => Ok(Decryptor::new(&key, &nonce)),
        Err(UnwrapError::Rejected) => Err(FetchRefusal::WrongKey { sid: sid() }.into()),
        Err(UnwrapError::Place(why)) => {
            Err(TransientFailure::PrivateKey { sid: sid(), why }.into())
        }
    }
}

#[cfg(test)]
mod tests;
