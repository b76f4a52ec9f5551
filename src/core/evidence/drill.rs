//! The signed evidence of a drill: what was tested with real retained copies, and the results.
//!
//! Owns the claims of a drill and every check of them. INVARIANT: the two verdicts follow from the
//! numbers beside them, so that a failed drill cannot be signed as a successful one. Names of files
//! and databases are an operator's own text and stay outside; a digest stands for them.

mod forgetting;
mod recovery;

pub use self::{
    forgetting::{Canary, Forgetting},
    recovery::Recovery,
};
use super::{
    jws,
    signing::{KeySet, Signer},
};
use crate::model::{id::VaultId, time::Timestamp};

/// `typ` of its header (RFC 8725, section 3.11).
const TYP: &str = "recvault-drill+jwt";

/// A completed drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillReport {
    /// The vault.
    pub vault: VaultId,
    /// The epoch it was in.
    pub epoch: u64,
    /// When it took place.
    pub at: Timestamp,
    /// The program and its version.
    pub program: String,
    /// The kind of custody.
    pub custody: String,
    /// The test that shredded recordings are unreachable.
    pub forgetting: Forgetting,
    /// The test that living recordings can be rebuilt.
    pub recovery: Recovery,
}

/// Why a text is not the evidence of a drill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The signature or its envelope is invalid.
    #[error(transparent)]
    Jws(#[from] jws::Error),
    /// A claim is missing, unknown or malformed.
    #[error("the claims are not those of a drill: {0}")]
    Claims(String),
    /// The numbers are impossible: more was reached than exists.
    #[error("the numbers of `{0}` are impossible")]
    Numbers(&'static str),
    /// A verdict is not the one that follows from the numbers.
    #[error("`forgets` or `recovers` contradicts the numbers")]
    Verdict,
}

impl DrillReport {
    /// Returns whether no shredded recording was reached, and every living one was.
    pub fn forgets(&self) -> bool {
        self.forgetting.holds()
    }

    /// Returns whether the vault was rebuilt from the store and custody alone.
    pub fn recovers(&self) -> bool {
        self.recovery.holds()
    }

    /// Returns the evidence as signed text, a JWS in compact form.
    pub fn sign(&self, signer: &Signer) -> String {
        let payload = serde_json::to_vec(&self.claims()).expect("claims are texts and numbers");
        jws::sign(signer, TYP, &payload)
    }

    /// Reads signed evidence. Needs nothing but the text and the vault's published keys.
    ///
    /// # Errors
    /// The check that failed: form, algorithm, type, key, signature, claims, numbers or verdicts.
    pub fn verify(text: &str, keys: &KeySet) -> Result<Self, Error> {
        let payload = jws::verify(text, TYP, keys)?;
        let claims: Claims =
            serde_json::from_slice(&payload).map_err(|error| Error::Claims(error.to_string()))?;
        let drill = Self {
            vault: claims.iss,
            epoch: claims.epoch,
            at: claims.at,
            program: claims.program,
            custody: claims.custody,
            forgetting: claims.forgetting,
            recovery: claims.recovery,
        };
        if claims.iat != seconds(drill.at) {
            return Err(Error::Claims("`iat` is not the second of `at`".into()));
        }
        if !drill.forgetting.is_possible() {
            return Err(Error::Numbers("forgetting"));
        }
        if !drill.recovery.is_possible() {
            return Err(Error::Numbers("recovery"));
        }
        if (claims.forgets, claims.recovers) != (drill.forgets(), drill.recovers()) {
            return Err(Error::Verdict);
        }
        Ok(drill)
    }

    fn claims(&self) -> Claims {
        Claims {
            iss: self.vault,
            iat: seconds(self.at),
            at: self.at,
            epoch: self.epoch,
            program: self.program.clone(),
            custody: self.custody.clone(),
            forgets: self.forgets(),
            recovers: self.recovers(),
            forgetting: self.forgetting.clone(),
            recovery: self.recovery.clone(),
        }
    }
}

/// The claims, verdicts included.
impl serde::Serialize for DrillReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.claims().serialize(serializer)
    }
}

/// The claims as they are signed.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: VaultId,
    /// Seconds since 1970-01-01T00:00:00Z.
    iat: i64,
    at: Timestamp,
    epoch: u64,
    program: String,
    custody: String,
    forgets: bool,
    recovers: bool,
    forgetting: Forgetting,
    recovery: Recovery,
}

fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

#[cfg(test)]
mod tests;
