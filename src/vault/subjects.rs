//! People, as the vault identifies them: keyed hashes of their addresses, and sealed evidence of
//! their statements.
//!
//! Owns the use of the keys behind both. They are on the vault's service page and outlive
//! recordings: a person who revoked must be recognised at the next call, and evidence of consent
//! must be available after the recording is gone.

use zeroize::Zeroizing;

use aws_lc_rs::hmac;

use super::{Inner, Vault, error::Error};
use crate::{
    keyring::{self, evidence_key},
    model::{
        encoding::length_prefixed,
        id::{ConsentId, SubjectId},
        sid::AccountSid,
        subject::{Address, ThreadId},
    },
};

impl Vault {
    /// Returns the pseudonym of an address: HMAC-SHA-256 under a key of this vault, so that nobody
    /// else can test addresses against it.
    pub fn subject(&self, address: &Address) -> SubjectId {
        self.0.subject(address)
    }

    /// Returns the thread of the messages between a line of an account and another address, the
    /// same in both directions: a keyed hash, so that nobody else can test addresses against it.
    pub fn thread(&self, account: &AccountSid, line: &str, contact: &str) -> ThreadId {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.service.subject.expose());
        // An address begins with no such text, so no thread has the hash of a person.
        let named = Zeroizing::new(length_prefixed(&[
            b"recvault/thread/1",
            account.as_str().as_bytes(),
            line.as_bytes(),
            contact.as_bytes(),
        ]));
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, &named).as_ref());
        ThreadId::of_hash(&hash)
    }

    /// Returns what recordings of one text have in common: a keyed hash of account, author and text, so
    /// that nobody else can test texts against it.
    pub fn likeness(&self, account: &AccountSid, author: &Address, text: &[&str]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.service.subject.expose());
        let author = author.expose_person().as_bytes();
        let mut named: Vec<&[u8]> =
            vec![b"recvault/likeness/1", account.as_str().as_bytes(), author];
        named.extend(text.iter().map(|text| text.as_bytes()));
        let named = Zeroizing::new(length_prefixed(&named));
        hex::encode(hmac::sign(&key, &named).as_ref())
    }

    /// Returns the id of a statement of consent with these fields in this order: a repeated
    /// statement has the same id. A keyed hash, because an id is in the audit log and must not
    /// confirm guessed fields.
    pub fn statement_id(&self, fields: &[&[u8]]) -> ConsentId {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.service.statement.expose());
        let encoded = Zeroizing::new(length_prefixed(fields));
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, &encoded).as_ref());
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

    /// Opens evidence that [`Self::seal_evidence`] sealed.
    ///
    /// # Errors
    /// [`Error::Keyring`] if it was not sealed for this statement.
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
