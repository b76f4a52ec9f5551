//! The private keys that open content keys, by the SID of their public half.
//!
//! Owns which key is asked. Refuses to know where it rests: in this process ([`super::PrivateKey`])
//! or in a token, which `app` opens.

use std::{fmt, path::PathBuf, sync::Arc};

use crate::{model::sid::PublicKeySid, secret::Key};

/// A private key, wherever it rests.
pub trait UnwrapKey: Send + Sync + fmt::Debug {
    /// Opens a content key that was wrapped under the public half, by RSAES-OAEP with SHA-256 and
    /// MGF1-SHA-256 and without a label. May block for as long as a token takes.
    ///
    /// # Errors
    /// [`UnwrapError`].
    fn unwrap(&self, wrapped: &[u8]) -> Result<Key, UnwrapError>;
}

/// Why a content key did not come out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnwrapError {
    /// It is none that was wrapped under this key. There is no more to be told, on purpose.
    #[error("the private key does not open it")]
    Rejected,
    /// The key's place cannot be asked now.
    #[error("{0}")]
    Place(String),
}

/// Where in a token a private key is.
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

/// One of the keys.
#[derive(Debug)]
pub(in crate::twilio) struct EncryptionKey {
    pub(in crate::twilio) public_key_sid: PublicKeySid,
    pub(in crate::twilio) key: Arc<dyn UnwrapKey>,
    /// Where it is to be opened yet.
    pub(in crate::twilio) token: Option<TokenKey>,
}

/// Every private key that is configured.
#[derive(Debug, Default)]
pub struct EncryptionKeys(pub(in crate::twilio) Vec<EncryptionKey>);

impl EncryptionKeys {
    /// The key whose public half Twilio knows by this SID.
    pub fn find(&self, public_key_sid: &PublicKeySid) -> Option<Arc<dyn UnwrapKey>> {
        self.0
            .iter()
            .find(|key| key.public_key_sid == *public_key_sid)
            .map(|key| Arc::clone(&key.key))
    }

    /// The SIDs, in the order of the settings.
    pub fn sids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.public_key_sid.as_str())
    }

    /// Opens the keys that rest in tokens. Until then they can open nothing.
    ///
    /// # Errors
    /// What `open` says of the first that it cannot open, with the SID.
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

/// Stands for a key in a token that nobody opened.
#[derive(Debug)]
pub(in crate::twilio) struct Unopened;

impl UnwrapKey for Unopened {
    fn unwrap(&self, _wrapped: &[u8]) -> Result<Key, UnwrapError> {
        Err(UnwrapError::Place("the token was not opened".into()))
    }
}
