//! What decrypts a recording's media: its content key, unwrapped.
//!
//! Owns what it means to a fetch that a private key does not open it. Refuses to know which key that
//! is, and where it rests.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    model::encryption::Encryption,
    twilio::{
        encryption::{Decryptor, UnwrapError, UnwrapKey},
        fetch_error::{FetchError, FetchRefusal, TransientFailure},
    },
};

/// What decrypts media that was encrypted so. May block, as [`UnwrapKey::unwrap`].
///
/// # Errors
/// [`FetchError::Refused`] if the key does not open it, [`FetchError::Transient`] if the key's
/// place cannot be asked.
pub fn decryptor(told: &Encryption, key: &dyn UnwrapKey) -> Result<Decryptor, FetchError> {
    let sid = || told.public_key_sid.clone();
    // What came from the database was checked when it was read; if it cannot be read now, it
    // opens nothing.
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
