//! `[custody]`: the kind of place, and its connection.
//!
//! Owns the names of the keys and their defaults. Refuses to validate them: each kind reads its own
//! when it is opened. A build without a kind still knows its settings, so that it can report what
//! it lacks.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{
    model::word::{UnknownWord, unknown},
    secret::SecretText,
};

/// The kinds of custody.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::DeserializeFromStr,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum CustodyKind {
    /// A file sealed under a passphrase.
    #[default]
    Passphrase,
    /// A key inside a PKCS #11 token.
    #[strum(to_string = "pkcs11")]
    Pkcs11,
    /// A file wrapped by a key of AWS KMS.
    AwsKms,
}

recvault_core::word_set!(CustodyKind);

/// `[custody]`: where the root key is stored.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustodySettings {
    /// The kind.
    pub kind: CustodyKind,
    /// The root file, relative to the configuration file.
    pub root_file: String,
    /// A file that holds the passphrase, relative to the configuration file.
    pub passphrase_file: Option<String>,
    /// The passphrase itself; meant for the environment.
    pub passphrase: Option<SecretText>,
    /// `[custody.pkcs11]`.
    pub pkcs11: Pkcs11Settings,
    /// `[custody.aws_kms]`.
    pub aws_kms: AwsKmsSettings,
}

impl Default for CustodySettings {
    fn default() -> Self {
        Self {
            kind: CustodyKind::Passphrase,
            root_file: "custody/root".into(),
            passphrase_file: Some("custody/passphrase".into()),
            passphrase: None,
            pkcs11: Pkcs11Settings::default(),
            aws_kms: AwsKmsSettings::default(),
        }
    }
}

/// `[custody.pkcs11]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pkcs11Settings {
    /// The token's library, relative to the configuration file.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file that holds the user PIN, relative to the configuration file.
    pub pin_file: Option<PathBuf>,
    /// The user PIN itself; meant for the environment.
    pub pin: Option<SecretText>,
    /// A file that every process locks before it changes the token, relative to the configuration
    /// file.
    pub lock_file: PathBuf,
}

impl Default for Pkcs11Settings {
    fn default() -> Self {
        Self {
            module: PathBuf::new(),
            token: String::new(),
            pin_file: None,
            pin: None,
            lock_file: "custody.lock".into(),
        }
    }
}

/// `[custody.aws_kms]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsKmsSettings {
    /// The wrapping key: ARN, id or alias.
    pub key_id: String,
    /// The region of the key.
    pub region: String,
    /// The service's address, if it is not the region's own.
    pub endpoint: Option<String>,
    /// The file with the wrapped root, relative to the configuration file.
    pub slot_file: PathBuf,
    /// The access key; if absent, that of the environment, the profile or the machine's role.
    pub access_key_id: Option<String>,
    /// A file that holds the secret of the access key, relative to the configuration file.
    pub secret_access_key_file: Option<PathBuf>,
    /// The secret itself; meant for the environment.
    pub secret_access_key: Option<SecretText>,
}

impl Default for AwsKmsSettings {
    fn default() -> Self {
        Self {
            key_id: String::new(),
            region: String::new(),
            endpoint: None,
            slot_file: "custody/kms-root".into(),
            access_key_id: None,
            secret_access_key_file: None,
            secret_access_key: None,
        }
    }
}
