//! People, as the vault knows them: keyed hashes of their addresses, and sealed evidence of what
//! they said.
//!
//! Owns the use of the keys behind both. They are on the vault's own page and outlive recordings: who
//! revoked must be recognised when they call again, and what was consented to must be shown after
//! the recording is gone.

use zeroize::Zeroizing;

use aws_lc_rs::hmac;

use super::{Inner, Vault, error::Error};
use crate::{
    keyring::{self, evidence_key},
    model::{
        id::{ConsentId, SubjectId},
        subject::Address,
    },
};

impl Vault {
    /// Who has this address: HMAC-SHA-256 under a key of this vault, so that nobody else can try
    /// addresses out.
    pub fn subject(&self, address: &Address) -> SubjectId {
        self.0.subject(address)
    }

    /// The id of a statement of consent with these fields in this order: told again, it is the same
    /// statement. A keyed hash, because an id is in the audit log and must not tell what somebody
    /// may guess.
    pub fn statement_id(&self, fields: &[&[u8]]) -> ConsentId {
        let mut signing = hmac::Context::with_key(&hmac::Key::new(
            hmac::HMAC_SHA256,
            self.0.service.statement.expose(),
        ));
        for field in fields {
            signing.update(&(field.len() as u64).to_be_bytes());
            signing.update(field);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(signing.sign().as_ref());
        ConsentId::of_hash(&hash)
    }

    /// Seals the evidence of a statement of consent.
    pub fn seal_evidence(&self, statement: ConsentId, text: &str) -> Vec<u8> {
        keyring::seal_note(
            &evidence_key(&self.0.service.evidence, statement),
            self.0.id,
            text,
            &mut rand::rng(),
        )
    }

    /// Opens what [`Self::seal_evidence`] sealed.
    ///
    /// # Errors
    /// [`Error::Keyring`] if it is not what was sealed for this statement.
    pub fn open_evidence(
        &self,
        statement: ConsentId,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, Error> {
        Ok(keyring::open_note(
            &evidence_key(&self.0.service.evidence, statement),
            self.0.id,
            sealed,
        )?)
    }
}

impl Inner {
    pub(super) fn subject(&self, address: &Address) -> SubjectId {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.service.subject.expose());
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, address.expose_person().as_bytes()).as_ref());
        SubjectId::of_hash(&hash)
    }
}
