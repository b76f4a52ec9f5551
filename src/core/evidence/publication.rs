//! The statement of a publication: signed proof that this vault published exactly this policy file
//! at this time.
//!
//! Owns the claims of a statement and every check of them. Refuses to repeat the file: the
//! statement names its digest, so a holder of the file can compare. INVARIANT: the claims come from
//! parsed rules, so that version, date and digest belong to one file.

use super::{
    jws,
    signing::{KeySet, Signer},
};
use crate::{
    model::{id::VaultId, time::Timestamp},
    policy::Rules,
};

/// `typ` of a statement's header (RFC 8725, section 3.11).
const TYP: &str = "recvault-policy+jwt";

/// A vault's statement about a version that it published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    vault: VaultId,
    version: String,
    digest: String,
    effective: Timestamp,
    published_at: Timestamp,
}

/// Why a text is not a valid statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The signature or its envelope is invalid.
    #[error(transparent)]
    Jws(#[from] jws::Error),
    /// A claim is missing, unknown or malformed.
    #[error("the claims are not those of a published policy: {0}")]
    Claims(String),
}

/// The claims as they are signed.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: VaultId,
    /// Seconds since 1970-01-01T00:00:00Z.
    iat: i64,
    version: String,
    /// SHA-256 of the file, lower-case hex.
    policy_digest: String,
    effective: Timestamp,
    published_at: Timestamp,
}

impl Publication {
    /// Returns the statement that this vault publishes these rules now.
    pub fn of(vault: VaultId, rules: &Rules, now: Timestamp) -> Self {
        Self {
            vault,
            version: rules.version().to_owned(),
            digest: rules.digest().to_owned(),
            effective: rules.document().effective,
            published_at: now,
        }
    }

    /// Returns the statement as signed text, a JWS in compact form.
    pub fn sign(&self, signer: &Signer) -> String {
        let claims = Claims {
            iss: self.vault,
            iat: self.published_at.as_millis().div_euclid(1000),
            version: self.version.clone(),
            policy_digest: self.digest.clone(),
            effective: self.effective,
            published_at: self.published_at,
        };
        let payload = serde_json::to_vec(&claims).expect("claims are texts and numbers");
        jws::sign(signer, TYP, &payload)
    }

    /// Reads a signed statement. Needs nothing but the text and the vault's published keys.
    ///
    /// # Errors
    /// The check that failed: form, algorithm, type, key, signature or claims.
    pub fn verify(text: &str, keys: &KeySet) -> Result<Self, Error> {
        let payload = jws::verify(text, TYP, keys)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|error| Error::Claims(error.to_string()))?;
        if claims.iat != claims.published_at.as_millis().div_euclid(1000) {
            return Err(Error::Claims(
                "`iat` is not the second of `published_at`".into(),
            ));
        }
        let is_digest = claims.policy_digest.len() == 64
            && claims
                .policy_digest
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_digest {
            return Err(Error::Claims(
                "`policy_digest` is not 64 lower-case hex digits".into(),
            ));
        }
        Ok(Self {
            vault: claims.iss,
            version: claims.version,
            digest: claims.policy_digest,
            effective: claims.effective,
            published_at: claims.published_at,
        })
    }

    /// The vault that published.
    pub fn vault(&self) -> VaultId {
        self.vault
    }

    /// The operator's name for the version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of the file, lower-case hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The time from which the version is in force.
    pub fn effective(&self) -> Timestamp {
        self.effective
    }

    /// When it was published.
    pub fn published_at(&self) -> Timestamp {
        self.published_at
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::Key;

    const SHIPPED: &str = include_str!("../../../config/privacy-policy.toml");
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_250);

    fn signer(seed: u8) -> Signer {
        Signer::from_seed(&Key::take(&mut [seed; 32]))
    }

    fn keys() -> KeySet {
        KeySet::new([signer(7).verifying_key().clone()])
    }

    fn publication() -> Publication {
        Publication::of(
            VaultId::random(&mut rand::rng()),
            &Rules::parse("p", SHIPPED).unwrap(),
            NOW,
        )
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let publication = publication();
        assert_eq!(
            Publication::verify(&publication.sign(&signer(7)), &keys()),
            Ok(publication.clone())
        );
        assert_eq!(
            (
                publication.version(),
                publication.digest().len(),
                publication.published_at()
            ),
            ("1", 64, NOW)
        );
        assert_eq!(
            publication.effective(),
            Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").unwrap()
        );
    }

    #[test]
    fn another_key_and_another_kind_of_document_are_refused() {
        let text = publication().sign(&signer(8));
        assert_eq!(
            Publication::verify(&text, &keys()),
            Err(Error::Jws(jws::Error::UnknownKey))
        );
        let other = jws::sign(&signer(7), "recvault-receipt+jwt", b"{}");
        assert_eq!(
            Publication::verify(&other, &keys()),
            Err(Error::Jws(jws::Error::Type))
        );
    }

    #[test]
    fn a_claim_that_does_not_fit_is_refused() {
        let publication = publication();
        let good = json!({
            "iss": publication.vault, "iat": 1_800_000_000, "version": "1", "policy_digest": publication.digest,
            "effective": publication.effective, "published_at": NOW,
        });
        let signed =
            |claims: &serde_json::Value| jws::sign(&signer(7), TYP, claims.to_string().as_bytes());
        assert_eq!(
            Publication::verify(&signed(&good), &keys()),
            Ok(publication)
        );
        for (claim, value) in [
            ("iat", json!(1_800_000_001)),
            ("policy_digest", json!("ab")),
            ("policy_digest", json!("A".repeat(64))),
            ("effective", json!("soon")),
            ("published_at", json!(1)),
            ("extra", json!(1)),
        ] {
            let mut bad = good.clone();
            bad[claim] = value;
            assert!(
                matches!(
                    Publication::verify(&signed(&bad), &keys()),
                    Err(Error::Claims(_))
                ),
                "{bad}"
            );
        }
    }
}
