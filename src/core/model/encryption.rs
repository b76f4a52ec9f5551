//! The source's encryption of a recording with its customer's public key.
//!
//! Owns the three values that decryption requires besides the private key. Refuses to know their
//! wire format (`twilio`) and their use. None of them is a secret: only the private key opens the
//! wrapped one.

use super::sid::PublicKeySid;

/// A content key, wrapped under the customer's public key, and the nonce that was used with it
/// (<https://www.twilio.com/docs/voice/tutorials/voice-recording-encryption>).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encryption {
    /// The public key.
    pub public_key_sid: PublicKeySid,
    /// The content key (AES-256), wrapped by RSAES-OAEP with SHA-256; base64, standard alphabet.
    pub wrapped_key: String,
    /// The nonce of AES-256-GCM, 12 bytes; base64, standard alphabet.
    pub nonce: String,
}
