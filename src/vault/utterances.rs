//! What is said in a running call: sealed in its row until it is filed with a recording and has the recording's own key.
//!
//! Owns the key, which comes from the vault's own seed, as that of evidence does; each piece has one of its own, so none can take another's place.
//! What that means for an old copy of the ledger: the pieces of it open for as long as the seed lives. They are few, and gone in hours.

use zeroize::Zeroizing;

use super::{Error, Vault};
use crate::{
    keyring::{self, utterance_key},
    model::sid::{AccountSid, TranscriptSid},
};

/// Where a piece belongs.
#[derive(Clone, Copy, Debug)]
pub struct PieceOf<'a> {
    /// The account.
    pub account: &'a AccountSid,
    /// The transcription.
    pub transcription: &'a TranscriptSid,
    /// The source's word for the side of the call.
    pub track: &'a str,
    /// The source's number of it.
    pub sequence: i64,
}

impl Vault {
    /// Seals something that was said.
    pub fn seal_utterance(&self, of: PieceOf<'_>, text: &str) -> Vec<u8> {
        let key = utterance_key(&self.0.seed, of.account, of.transcription, of.track, of.sequence);
        keyring::seal_note(&key, self.0.id, text, &mut rand::rng())
    }

    /// Opens what [`Self::seal_utterance`] sealed.
    ///
    /// # Errors
    /// [`Error::Keyring`] if it is not what was sealed for this place.
    pub fn open_utterance(&self, of: PieceOf<'_>, sealed: &[u8]) -> Result<Zeroizing<String>, Error> {
        let key = utterance_key(&self.0.seed, of.account, of.transcription, of.track, of.sequence);
        Ok(keyring::open_note(&key, self.0.id, sealed)?)
    }
}
