//! The private keys that open content keys, by the SID of their public key.
//!
//! Owns the choice of the key. Refuses to know its location: this process ([`super::PrivateKey`])
//! or a token, which `app` opens.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{model::sid::PublicKeySid, secret::Key};

/// A private key, in this process or in a token.
pub trait UnwrapKey: Send + Sync + fmt::Debug {
    /// Opens a content key that was wrapped with the public key, by RSAES-OAEP with SHA-256 and
    /// MGF1-SHA-256 and without a label. May block for as long as a token needs.
    ///
    /// # Errors
    /// [`UnwrapError`].
    fn unwrap(&self, wrapped: &[u8]) -> Result<Key, UnwrapError>;

    /// Opens a content key that was wrapped by RSAES-PKCS1-v1_5, as those of Video are. A wrapped key
    /// that was altered may open as another key, as with any such padding: what it decrypts shows.
    ///
    /// # Errors
    /// [`UnwrapError`].
    fn unwrap_pkcs1(&self, wrapped: &[u8]) -> Result<Key, UnwrapError>;
}

/// The reason why a content key cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// The content key was not wrapped with this public key. Deliberately without details.
    #[error("the private key does not open it")]
    Rejected,
    /// The token cannot be used now.
    #[error("{0}")]
    Place(String),
}

/// The location of a private key in a token.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The token's library, relative to the configuration file.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The label (`CKA_LABEL`) of the private key in the token.
    pub key_label: String,
    /// A file that holds the user PIN, relative to the configuration file.
    pub pin_file: PathBuf,
}

/// One configured key.
#[derive(Debug)]
pub(in crate::twilio) struct EncryptionKey {
    pub(in crate::twilio) public_key_sid: PublicKeySid,
    pub(in crate::twilio) key: Arc<dyn UnwrapKey>,
    /// The token that holds the key, if any.
    pub(in crate::twilio) token: Option<TokenKey>,
}

/// All configured private keys.
#[derive(Debug, Default)]
pub struct EncryptionKeys(pub(in crate::twilio) Vec<EncryptionKey>);

impl EncryptionKeys {
    /// Returns the private key for Twilio's SID of the public key.
    pub fn find(&self, public_key_sid: &PublicKeySid) -> Option<Arc<dyn UnwrapKey>> {
        self.0
            .iter()
            .find(|key| key.public_key_sid == *public_key_sid)
            .map(|key| Arc::clone(&key.key))
    }

    /// Returns every private key, in the order of the settings.
    pub(super) fn all(&self) -> impl Iterator<Item = &dyn UnwrapKey> {
        self.0.iter().map(|key| &*key.key)
    }

    /// Returns the SIDs, in the order of the settings.
    pub fn sids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.public_key_sid.as_str())
    }

    /// Opens the keys that are in tokens. Before that, they cannot open anything.
    ///
    /// # Errors
    /// The error of `open` for the first key that it cannot open, with the SID.
    pub fn open_tokens<E>(
        &mut self,
        mut open: impl FnMut(&TokenKey) -> Result<Arc<dyn UnwrapKey>, E>,
    ) -> Result<(), (String, E)> {
        for key in &mut self.0 {
            if let Some(token) = &key.token {
                key.key = open(token).map_err(|error| (key.public_key_sid.to_string(), error))?;
            }
        }
        Ok(())
    }
}

/// Stands in for a key in a token that is not open.
#[derive(Debug)]
pub(in crate::twilio) struct Unopened;

impl UnwrapKey for Unopened {
    fn unwrap(&self, _wrapped: &[u8]) -> Result<Key, UnwrapError> {
        Err(UnwrapError::Place("the token was not opened".into()))
    }

    fn unwrap_pkcs1(&self, wrapped: &[u8]) -> Result<Key, UnwrapError> {
        self.unwrap(wrapped)
    }
}
