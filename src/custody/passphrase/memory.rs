//! What a passphrase was stretched to, for ten seconds.
//!
//! Owns how long. Refuses to know how a passphrase is stretched and what is sealed under it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::seal::Stretched;
use crate::{
    custody::{Error, file::Kdf},
    secret::SecretText,
};

/// Longer than one act takes, and much shorter than a service runs.
const KEPT: Duration = Duration::from_secs(10);

/// The last stretched passphrase.
#[derive(Default)]
pub(super) struct StretchedPassphrase(Mutex<Option<(Instant, Arc<Stretched>)>>);

impl StretchedPassphrase {
    /// What this passphrase gives under these parameters: remembered, or stretched now.
    ///
    /// # Errors
    /// [`Error::Format`] for parameters that are refused.
    pub(super) fn stretch(
        &self,
        kdf: &Kdf,
        passphrase: &SecretText,
    ) -> Result<Arc<Stretched>, Error> {
        self.forget_what_is_old();
        if let Some(stretched) = self
            .last()
            .filter(|stretched| stretched.is_of(kdf, passphrase))
        {
            return Ok(stretched);
        }
        Ok(self.keep(Stretched::with(kdf.clone(), passphrase.duplicate())?))
    }

    /// Remembers it instead of the one before.
    pub(super) fn keep(&self, stretched: Stretched) -> Arc<Stretched> {
        let stretched = Arc::new(stretched);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), Arc::clone(&stretched)));
        stretched
    }

    pub(super) fn forget_what_is_old(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take_if(|(since, _)| since.elapsed() >= KEPT);
    }

    fn last(&self) -> Option<Arc<Stretched>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|(_, stretched)| Arc::clone(stretched))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.into())
    }

    fn is_kept(memory: &StretchedPassphrase, kdf: &Kdf, passphrase: &str) -> bool {
        let before = memory.last();
        let stretched = memory.stretch(kdf, &secret(passphrase)).unwrap();
        before.is_some_and(|before| Arc::ptr_eq(&before, &stretched))
    }

    #[test]
    fn only_the_same_passphrase_under_the_same_parameters_is_remembered_and_only_for_a_while() {
        let memory = StretchedPassphrase::default();
        let rng = &mut rand::rng();
        let kdf = memory
            .keep(Stretched::anew(secret("a"), rng).unwrap())
            .kdf()
            .clone();
        assert!(is_kept(&memory, &kdf, "a"));
        assert!(!is_kept(&memory, &kdf, "b"), "another passphrase");
        assert!(!is_kept(&memory, &kdf, "a"), "the one before it");
        let salted = Kdf {
            salt: "AAAAAAAAAAAAAAAAAAAAAA==".into(),
            ..kdf.clone()
        };
        assert!(!is_kept(&memory, &salted, "a"), "another salt");
        let harder = Kdf {
            iterations: 4,
            ..salted.clone()
        };
        assert!(!is_kept(&memory, &harder, "a"), "other parameters");
        assert!(
            memory
                .stretch(
                    &Kdf {
                        memory_kib: 1024,
                        ..harder.clone()
                    },
                    &secret("a")
                )
                .is_err(),
            "below the minimum"
        );
        if let Some((since, _)) = memory.0.lock().unwrap().as_mut() {
            *since = Instant::now().checked_sub(KEPT).unwrap();
        }
        assert!(!is_kept(&memory, &harder, "a"), "after ten seconds");
        memory.0.lock().unwrap().as_mut().unwrap().0 = Instant::now().checked_sub(KEPT).unwrap();
        memory.forget_what_is_old();
        assert!(memory.last().is_none());
    }
}
