//! Recordings that are encrypted with their customer's own public key
//! (<https://www.twilio.com/docs/voice/tutorials/voice-recording-encryption>).
//!
//! ```text
//! content key (AES-256, one a recording) ─ RSAES-OAEP, SHA-256, MGF1-SHA-256, no label ─▶ wrapped key     in the details
//! WAV file ─ AES-256-GCM, nonce of 12 bytes, no associated data ─▶ ciphertext ‖ tag (16 bytes)             the media
//! ```
//! Files of Video have another scheme, without authentication (`envelope`).
//!
//! Owns the form of the details, the private keys that open content keys, and the decryption of
//! media. Refuses to know the origin of the media (`media`) and the kind of token: a private key in
//! a token arrives as an [`UnwrapKey`] from outside.
//!
//! INVARIANT: no error holds a value of the details, a key or a decrypted value. A wrapped key that
//! does not open has one error, whatever the reason, because a reason would reveal the state of the
//! padding (Manger, CRYPTO 2001).

mod decrypt;
mod details;
mod envelope;
mod keys;
pub mod oaep;
mod private_key;

pub(super) use self::{
    decrypt::TAG,
    keys::{EncryptionKey, Unopened},
};
pub use self::{
    decrypt::{DecryptError, Decryptor},
    details::{DetailsError, from_json, from_value},
    envelope::{EnvelopeError, EnvelopeKeyError, FileDecryptError, FileDecryptor, FileEnvelope},
    keys::{EncryptionKeys, TokenKey, UnwrapError, UnwrapKey},
    private_key::PrivateKey,
};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use self::tests::{Pair, encrypted, pem};
#[cfg(all(test, feature = "pkcs11"))]
pub(crate) use self::tests::{wrap, wrap_pkcs1};
