//! Answers that are kept for whoever repeats a request: they hold what only the asker was given, as
//! the addresses of a grant.
//!
//! Owns the keys behind them. Two secrets are needed to open one, and the database has neither: the
//! vault's own seed, and the client's key, of which it has a keyed hash only.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::{Vault, error::Error};
use crate::{
    keyring::{self, answer_key, idempotency_key},
    model::{id::TokenId, idempotency::IdempotencyKey},
    secret::Key,
};

/// A request that is to take effect once, as the database may know it.
pub struct OnceRequest {
    /// A keyed hash of who asks, and of the key that they gave.
    pub id: String,
    /// A keyed hash of what is asked: nobody tries out what gives the same one.
    pub fingerprint: String,
    answer_key: Key,
}

impl Vault {
    /// The request of the bearer of a token under a key of theirs; `fields` are what it is.
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

    /// Seals the answer to a request.
    pub fn seal_answer(&self, request: &OnceRequest, answer: &str) -> Vec<u8> {
        keyring::seal_note(&request.answer_key, self.0.id, answer, &mut rand::rng())
    }

    /// Opens what [`Self::seal_answer`] sealed.
    ///
    /// # Errors
    /// [`Error::Keyring`] if it is not what was sealed for this very request.
    pub fn open_answer(
        &self,
        request: &OnceRequest,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        Ok(keyring::open_note(&request.answer_key, self.0.id, sealed)?)
    }
}
