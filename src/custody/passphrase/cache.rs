//! A cache of the key derived from the passphrase, for ten seconds.
//!
//! Owns its lifetime. Refuses to know the derivation and what the key seals.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::seal::DerivedKey;
use crate::{
    custody::{Error, file::Kdf},
    secret::SecretText,
};

/// Longer than one operation, and much shorter than the life of a service.
const KEPT: Duration = Duration::from_secs(10);

/// The last derived key.
#[derive(Default)]
pub(super) struct KeyCache(Mutex<Option<(Instant, Arc<DerivedKey>)>>);

impl KeyCache {
    /// Returns the key for this passphrase and these parameters: cached, or derived now.
    ///
    /// # Errors
    /// [`Error::Format`] for parameters that are refused.
    pub(super) fn derive(
        &self,
        kdf: &Kdf,
        passphrase: &SecretText,
    ) -> Result<Arc<DerivedKey>, Error> {
        self.evict_expired();
        if let Some(derived) = self.last().filter(|derived| derived.is_of(kdf, passphrase)) {
            return Ok(derived);
        }
        Ok(self.keep(DerivedKey::with(kdf.clone(), passphrase.duplicate())?))
    }

    /// Caches a key in place of the previous one.
    pub(super) fn keep(&self, derived: DerivedKey) -> Arc<DerivedKey> {
        let derived = Arc::new(derived);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&derived)));
        derived
    }

    pub(super) fn evict_expired(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|(since, _)| since.elapsed() >= KEPT);
    }

    fn last(&self) -> Option<Arc<DerivedKey>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|(_, derived)| Arc::clone(derived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.into())
    }

    fn is_kept(cache: &KeyCache, kdf: &Kdf, passphrase: &str) -> bool {
        let before = cache.last();
        let derived = cache.derive(kdf, &secret(passphrase)).unwrap();
        before.is_some_and(|before| Arc::ptr_eq(&before, &derived))
    }

    #[test]
    fn only_the_same_passphrase_under_the_same_parameters_is_remembered_and_only_for_a_while() {
        let cache = KeyCache::default();
        let rng = &mut rand::rng();
        let kdf = cache
            .keep(DerivedKey::anew(secret("a"), rng).unwrap())
            .kdf()
            .clone();
        assert!(is_kept(&cache, &kdf, "a"));
        assert!(!is_kept(&cache, &kdf, "b"), "another passphrase");
        assert!(!is_kept(&cache, &kdf, "a"), "the one before it");
        let salted = Kdf {
            salt: "AAAAAAAAAAAAAAAAAAAAAA==".into(),
            ..kdf.clone()
        };
        assert!(!is_kept(&cache, &salted, "a"), "another salt");
        let harder = Kdf {
            iterations: 4,
            ..salted.clone()
        };
        assert!(!is_kept(&cache, &harder, "a"), "other parameters");
        assert!(
            cache
                .derive(
                    &Kdf {
                        memory_kib: 1024,
                        ..harder.clone()
                    },
                    &secret("a")
                )
                .is_err(),
            "below the minimum"
        );
        if let Some((since, _)) = cache.0.lock().unwrap().as_mut() {
            *since = Instant::now().checked_sub(KEPT).unwrap();
        }
        assert!(!is_kept(&cache, &harder, "a"), "after ten seconds");
        cache.0.lock().unwrap().as_mut().unwrap().0 = Instant::now().checked_sub(KEPT).unwrap();
        cache.evict_expired();
        assert!(cache.last().is_none());
    }
}
