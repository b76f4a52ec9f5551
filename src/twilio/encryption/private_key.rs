//! A private key in this process: RSA from a PEM file.
//!
//! Owns the two forms that `openssl genrsa` and `openssl genpkey` write, and the decryption by
//! aws-lc-rs, which checks the padding in constant time. INVARIANT: the text, its DER and decrypted
//! values are zeroed on drop; no output shows any part of the key.

use std::fmt;

use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey,
    PrivateDecryptingKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::keys::{UnwrapError, UnwrapKey};
use crate::secret::Key;

/// The accepted lengths of an RSA key, in bits.
const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// An RSA private key, for both paddings: OAEP for recordings of calls, PKCS #1 v1.5 for files of
/// Video.
pub struct PrivateKey {
    oaep: OaepPrivateDecryptingKey,
    pkcs1: Pkcs1PrivateDecryptingKey,
}

impl PrivateKey {
    /// Parses a PEM file: `PRIVATE KEY` (PKCS #8) or `RSA PRIVATE KEY` (PKCS #1).
    ///
    /// # Errors
    /// The fault and its remedy, without any part of the text.
    pub fn from_pem(text: &str) -> Result<Self, &'static str> {
        let pkcs8 = match der(text, "PRIVATE KEY")? {
            Some(der) => der,
            None => match der(text, "RSA PRIVATE KEY")? {
                Some(der) => in_pkcs8(&der),
                None if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
                    return Err(
                        "the private key has a passphrase; decrypt it (`openssl pkey`), and \
                         protect the file by its mode",
                    );
                }
                None => {
                    return Err(
                        "holds no private key; expected PEM text with `-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`",
                    );
                }
            },
        };
        let key = PrivateDecryptingKey::from_pkcs8(&pkcs8)
            .map_err(|_| "is not an RSA private key of 2048 to 4096 bits")?;
        if !BITS.contains(&key.key_size_bits()) {
            return Err("is not an RSA private key of 2048 to 4096 bits");
        }
        let again = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| "cannot be used")?;
        Ok(Self {
            oaep: OaepPrivateDecryptingKey::new(key).map_err(|_| "cannot be used")?,
            pkcs1: Pkcs1PrivateDecryptingKey::new(again).map_err(|_| "cannot be used")?,
        })
    }
}

impl UnwrapKey for PrivateKey {
    fn unwrap(&self, wrapped: &[u8]) -> Result<Key, UnwrapError> {
        let mut room = Zeroizing::new(vec![0; self.oaep.min_output_size()]);
        let opened = self
            .oaep
            .decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut room, None)
            .map_err(|_| UnwrapError::Rejected)?;
        Key::from_slice(opened).ok_or(UnwrapError::Rejected)
    }

    fn unwrap_pkcs1(&self, wrapped: &[u8]) -> Result<Key, UnwrapError> {
        let mut room = Zeroizing::new(vec![0; self.pkcs1.min_output_size()]);
        let opened = self
            .pkcs1
            .decrypt(wrapped, &mut room)
            .map_err(|_| UnwrapError::Rejected)?;
        Key::from_slice(opened).ok_or(UnwrapError::Rejected)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Returns the decoded bytes between the lines of a label, if the text has them (RFC 7468).
fn der(text: &str, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, &'static str> {
    let Some((_, rest)) = text.split_once(&format!("-----BEGIN {label}-----")) else {
        return Ok(None);
    };
    let (body, _) = rest
        .split_once(&format!("-----END {label}-----"))
        .ok_or("ends before the private key does")?;
    if body.contains("ENCRYPTED") {
        return Err(
            "the private key has a passphrase; decrypt it (`openssl pkey`), and protect the file \
             by its mode",
        );
    }
    let letters: Zeroizing<String> = Zeroizing::new(
        body.chars()
            .filter(|letter| !letter.is_ascii_whitespace())
            .collect(),
    );
    let der = STANDARD
        .decode(letters.as_bytes())
        .map_err(|_| "the private key in it is not base64")?;
    Ok(Some(Zeroizing::new(der)))
}

/// Wraps a PKCS #1 key as PKCS #8: version 0, the algorithm `rsaEncryption`, and the key in an
/// octet string (RFC 5958, RFC 8017 appendix A.1).
fn in_pkcs8(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION: &[u8] = &[0x02, 0x01, 0x00];
    const RSA: &[u8] = &[
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    let octets = tagged(0x04, &[pkcs1]);
    tagged(0x30, &[VERSION, RSA, &octets])
}

/// Encodes a DER element: tag, length, contents.
pub(super) fn tagged(tag: u8, contents: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = contents.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let digits = digits.iter().skip_while(|&&digit| digit == 0);
    // Allocated once in full: a growing buffer would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(length + 10));
    out.push(tag);
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            out.push(0x80 | u8::try_from(digits.clone().count()).unwrap_or_default());
            out.extend(digits);
        }
    }
    contents.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests;
