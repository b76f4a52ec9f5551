//! Recordings that are encrypted with a customer's public key.
//!
//! A random content key (CEK) per recording seals the file by AES-256-GCM without associated data;
//! the tag is the file's last 16 bytes. The CEK is wrapped by RSAES-OAEP with SHA-256 and
//! MGF1-SHA-256, without a label. Files of Video: AES-256-CBC and RSAES-PKCS1-v1_5.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey},
    error::Unspecified,
    iv::FixedLength,
    rsa::{
        OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
        PublicEncryptingKey,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::Value;

use super::{
    StandIn,
    encryption_facts::{EncryptionFacts, Spelling},
    recording::{self, RecordingFacts},
};
use crate::model::sid::{AccountSid, RecordingSid};

impl StandIn {
    /// Adds a recording that is encrypted with this public key (RSA, X.509 `SubjectPublicKeyInfo`
    /// in DER; `public_key_sid` is its `CR…`). The REST resource uses this spelling of the details;
    /// callbacks use their own.
    ///
    /// # Panics
    /// If the key is no RSA public key of 2048 bits or more.
    pub fn add_encrypted_recording(
        &self,
        account: &AccountSid,
        sid: RecordingSid,
        wav: &[u8],
        public_key_sid: &str,
        public_key: &[u8],
        spelling: Spelling,
    ) {
        let (media, cek, iv) = seal(wav, public_key).expect("the key is an RSA public key");
        let facts = RecordingFacts::new(&sid, Bytes::copy_from_slice(wav));
        let mut held = recording::held(&self.world, account, facts);
        held.facts.media = Some(media);
        held.encryption = Some(EncryptionFacts {
            public_key_sid: public_key_sid.to_owned(),
            cek: STANDARD.encode(cek),
            iv: STANDARD.encode(iv),
            metadata: spelling,
            callback: Spelling::Callback,
            instead: None,
        });
        self.world.state().recordings.insert(sid, held);
    }

    /// Changes the spelling of a recording's encryption details in callbacks.
    pub fn spell_callback(&self, sid: &RecordingSid, spelling: Spelling) {
        self.with_encryption(sid, |encryption| encryption.callback = spelling);
    }

    /// Replaces a recording's encryption details, in the REST resource and in callbacks.
    pub fn say_encryption_details(&self, sid: &RecordingSid, details: Value) {
        self.with_encryption(sid, |encryption| encryption.instead = Some(details));
    }

    fn with_encryption(&self, sid: &RecordingSid, change: impl FnOnce(&mut EncryptionFacts)) {
        if let Some(encryption) = self
            .world
            .state()
            .recordings
            .get_mut(sid)
            .and_then(|held| held.encryption.as_mut())
        {
            change(encryption);
        }
    }
}

/// Encrypts a file of Video with a public key (X.509 `SubjectPublicKeyInfo`). Returns it with the
/// headers of its object, as Twilio stores them.
///
/// # Panics
/// If the key is no RSA public key of 2048 bits or more.
pub fn encrypted_film(plain: &[u8], public_key: &[u8]) -> (Bytes, Vec<(String, String)>) {
    seal_film(plain, public_key).expect("the key is an RSA public key")
}

fn seal_film(
    plain: &[u8],
    public_key: &[u8],
) -> Result<(Bytes, Vec<(String, String)>), Unspecified> {
    let mut content_key = [0; 32];
    let mut start = [0; 16];
    rand::fill(&mut content_key);
    rand::fill(&mut start);
    let mut file = plain.to_vec();
    let key = UnboundCipherKey::new(&AES_256, &content_key)?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key)?;
    let context = EncryptionContext::Iv128(FixedLength::from(start));
    key.less_safe_encrypt(&mut file, context)?;
    let public = PublicEncryptingKey::from_der(public_key).map_err(|_| Unspecified)?;
    let public = Pkcs1PublicEncryptingKey::new(public)?;
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&content_key, &mut wrapped)?;
    let headers = [
        ("key", STANDARD.encode(wrapped)),
        ("iv", STANDARD.encode(start)),
        ("unencrypted-content-length", plain.len().to_string()),
        ("matdesc", "{}".to_owned()),
    ];
    let headers = headers.map(|(name, value)| (format!("x-amz-meta-x-amz-{name}"), value));
    Ok((file.into(), headers.to_vec()))
}

/// Returns the file, the wrapped content key and the IV.
fn seal(wav: &[u8], public_key: &[u8]) -> Result<(Bytes, Vec<u8>, [u8; NONCE_LEN]), Unspecified> {
    let mut cek = [0; 32];
    let mut iv = [0; NONCE_LEN];
    rand::fill(&mut cek);
    rand::fill(&mut iv);
    let mut file = wav.to_vec();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &cek)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), Aad::empty(), &mut file)?;
    let public_key = OaepPublicEncryptingKey::new(
        PublicEncryptingKey::from_der(public_key).map_err(|_| Unspecified)?,
    )?;
    let mut wrapped = vec![0; public_key.ciphertext_size()];
    let wrapped = public_key
        .encrypt(&OAEP_SHA256_MGF1SHA256, &cek, &mut wrapped, None)?
        .to_vec();
    Ok((file.into(), wrapped, iv))
}
