//! What tests of encrypted recordings need: a pair of keys, and what Twilio makes with the public
//! half.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der},
    rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::model::encryption::Encryption;

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

/// A content key under a public key, as Twilio wraps it.
pub(crate) fn wrap(public: &[u8], key: &[u8]) -> Vec<u8> {
    let public =
        OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public).unwrap()).unwrap();
    let mut out = vec![0; public.ciphertext_size()];
    public
        .encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut out, None)
        .unwrap()
        .to_vec()
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

/// A file as Twilio encrypts it: ciphertext and tag.
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

fn details(wrapped: &[u8], nonce: &[u8]) -> Encryption {
    let public_key_sid = format!("CR{}", "0".repeat(32));
    Encryption {
        public_key_sid,
        wrapped_key: STANDARD.encode(wrapped),
        nonce: STANDARD.encode(nonce),
    }
}

#[test]
fn what_was_wrapped_and_encrypted_comes_out() {
    let pair = Pair::new();
    let key = [7; 32];
    let nonce = [9; 12];
    let private = PrivateKey::from_pem(&pair.pem()).unwrap();
    let mut decryptor = decryptor(&details(&pair.wrap(&key), &nonce), &private).unwrap();
    let file = encrypted(&key, &nonce, b"RIFF and so on");
    assert_eq!(decryptor.push(&file).unwrap(), b"".as_slice());
    assert_eq!(decryptor.finish().unwrap(), b"RIFF and so on".as_slice());
}

#[test]
fn a_wrong_key_says_so_and_a_place_that_cannot_be_asked_passes() {
    use crate::twilio::{
        FetchError,
        media::{FetchRefusal, Hiccup},
    };
    let pair = Pair::new();
    let other = PrivateKey::from_pem(&Pair::new().pem()).unwrap();
    let sid = format!("CR{}", "0".repeat(32));
    let told = decryptor(&details(&pair.wrap(&[7; 32]), &[9; 12]), &other).unwrap_err();
    assert_eq!(told, FetchRefusal::WrongKey { sid: sid.clone() }.into());
    // A key of another length is no content key.
    let own = PrivateKey::from_pem(&pair.pem()).unwrap();
    for length in [0, 16, 31, 33] {
        assert_eq!(
            own.unwrap(&pair.wrap(&vec![7; length])),
            Err(UnwrapError::Rejected),
            "{length}"
        );
    }
    assert_eq!(
        own.unwrap(&pair.wrap(&[7; 32])[1..]),
        Err(UnwrapError::Rejected)
    );
    let told = decryptor(&details(&pair.wrap(&[7; 32]), &[9; 12]), &Unopened).unwrap_err();
    assert!(
        matches!(&told, FetchError::Transient { cause: Hiccup::PrivateKey { sid: named, .. } } if *named == sid),
        "{told}"
    );
}
