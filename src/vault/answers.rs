//! Sealed responses to idempotent requests: they hold secrets that only the requester received,
//! such as the URLs of a grant.
//!
//! Owns the keys of these responses. Opening one requires two secrets, and the database holds
//! neither: the vault's seed, and the client's idempotency key, of which it stores only a keyed
//! hash.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{Vault, error::Error};
use crate::{
    keyring::{self, answer_key, idempotency_key},
    model::{id::TokenId, idempotency::IdempotencyKey},
    secret::Key,
};

/// A request that must take effect once, in the form that the database stores.
pub struct OnceRequest {
    /// A keyed hash of the requester and the idempotency key.
    pub id: String,
    /// A keyed hash of the request's fields. Without the key nobody can search for fields that
    /// match.
    pub fingerprint: String,
    answer_key: Key,
}

impl Vault {
    /// Returns the request that a token's bearer made under an idempotency key; `fields` are its
    /// contents.
    pub fn once(&self, bearer: TokenId, key: &IdempotencyKey, fields: &[&[u8]]) -> OnceRequest {
        let seed = &self.0.service.requests;
        let hash = |what: &[u8], fields: &[&[u8]]| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, idempotency_key(seed).expose());
            let mut signing = hmac::Context::with_key(&secret);
            for field in [&[what], fields].concat() {
                signing.update(&(field.len() as u64).to_be_bytes());
                signing.update(field);
            }
            hex::encode(signing.sign().as_ref())
        };
        let fingerprint = hash(b"request", fields);
        let answer_key = answer_key(seed, bearer, key.expose(), fingerprint.as_bytes());
        OnceRequest {
            id: hash(b"id", &[bearer.as_bytes(), key.expose()]),
            fingerprint,
            answer_key,
        }
    }

    /// Seals the response to a request.
    pub fn seal_answer(&self, request: &OnceRequest, answer: &str) -> Vec<u8> {
        keyring::seal_note(&request.answer_key, self.0.id, answer, &mut rand::rng())
    }

    /// Opens a response that [`Self::seal_answer`] sealed.
    ///
    /// # Errors
    /// [`Error::Keyring`] if it was not sealed for this request.
    pub fn open_answer(
        &self,
        request: &OnceRequest,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        Ok(keyring::open_note(&request.answer_key, self.0.id, sealed)?)
    }
}
