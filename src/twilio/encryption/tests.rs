//! Helpers for tests of encrypted recordings: a key pair, and Twilio's operations with the public
//! key.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A pair of RSA keys.
pub(crate) struct Pair {
    /// PKCS #8.
    pub(crate) private: Vec<u8>,
    /// X.509 `SubjectPublicKeyInfo`.
    pub(crate) public: Vec<u8>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = key.as_der().unwrap();
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        Self {
            private: private.as_ref().to_vec(),
            public: public.as_ref().to_vec(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        pem("PRIVATE KEY", &self.private)
    }

    pub(crate) fn wrap(&self, key: &[u8]) -> Vec<u8> {
        wrap(&self.public, key)
    }
}

/// Wraps a content key with a public key, as Twilio does.
pub(crate) fn wrap(public: &[u8], key: &[u8]) -> Vec<u8> {
    let public =
        OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut out = vec![0; public.ciphertext_size()];
    public
        .encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut out, None)
        .unwrap()
        .to_vec()
}

/// Wraps a content key with a public key, as Twilio does for files of Video.
pub(crate) fn wrap_pkcs1(public: &[u8], key: &[u8]) -> Vec<u8> {
    let public =
        Pkcs1PublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut out = vec![0; public.ciphertext_size()];
    public.encrypt(key, &mut out).unwrap().to_vec()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let letters = STANDARD.encode(der);
    let lines: Vec<&str> = letters
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// Encrypts a file as Twilio does: ciphertext and tag.
pub(crate) fn encrypted(key: &[u8; 32], nonce: &[u8; 12], plain: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
    let mut bytes = plain.to_vec();
    key.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(*nonce),
        Aad::empty(),
        &mut bytes,
    )
    .unwrap();
    bytes
}
