//! `[[twilio.encryption_keys]]`: the private keys of recordings that are encrypted with the
//! customer's own public key.
//!
//! Owns the keys of the settings and their checks. Refuses to open a token: `custody` does that,
//! through [`TokenKey`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::faults::TableFaults;
use crate::{
    model::sid::PublicKeySid,
    secret::SecretText,
    twilio::encryption::{
        EncryptionKey, EncryptionKeys, PrivateKey, TokenKey, Unopened, UnwrapKey,
    },
};

/// `[[twilio.encryption_keys]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptionKeySettings {
    /// `CR…`: Twilio's SID of the public key.
    pub public_key_sid: PublicKeySid,
    /// File with the private key: PEM, PKCS #8 or PKCS #1, RSA of 2048 to 4096 bits.
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// The private key in a PKCS #11 token, instead of a file.
    #[serde(default)]
    pub pkcs11: Option<TokenKey>,
}

/// Resolves the keys, and reports every fault.
pub(super) fn resolve(
    settings: &[EncryptionKeySettings],
    faults: &mut TableFaults<'_>,
) -> EncryptionKeys {
    let mut keys: Vec<EncryptionKey> = Vec::with_capacity(settings.len());
    for (at, settings) in settings.iter().enumerate() {
        let mut faults = faults.at(format_args!("encryption_keys[{at}]"));
        let sid = &settings.public_key_sid;
        if keys.iter().any(|earlier| earlier.public_key_sid == *sid) {
            faults.add("public_key_sid", format_args!("`{sid}` is listed twice"));
        }
        keys.extend(key(settings, &mut faults));
    }
    EncryptionKeys(keys)
}

fn key(settings: &EncryptionKeySettings, faults: &mut TableFaults<'_>) -> Option<EncryptionKey> {
    let (key, token): (Arc<dyn UnwrapKey>, _) = match (&settings.private_key_file, &settings.pkcs11)
    {
        (Some(file), None) => match read(&faults.path(file)) {
            Ok(key) => (Arc::new(key), None),
            Err(problem) => {
                faults.add("private_key_file", problem);
                return None;
            }
        },
        (None, Some(token)) => (Arc::new(Unopened), Some(in_token(token, faults))),
        (Some(_), Some(_)) => {
            let problem = "given beside `private_key_file`; keep one of them";
            faults.add("pkcs11", problem);
            return None;
        }
        (None, None) => {
            let problem = "name the file that holds the private key, or give `pkcs11`";
            faults.add("private_key_file", problem);
            return None;
        }
    };
    Some(EncryptionKey {
        public_key_sid: settings.public_key_sid.clone(),
        key,
        token,
    })
}

fn read(file: &Path) -> Result<PrivateKey, String> {
    let text = SecretText::read(file)?;
    PrivateKey::from_pem(text.expose()).map_err(|problem| format!("`{}` {problem}", file.display()))
}

fn in_token(token: &TokenKey, faults: &mut TableFaults<'_>) -> TokenKey {
    for (name, is_empty, problem) in [
        (
            "module",
            token.module.as_os_str().is_empty(),
            "name the library of the token, such as `/usr/lib/softhsm/libsofthsm2.so`",
        ),
        (
            "token",
            token.token.is_empty(),
            "name the token by its label",
        ),
        (
            "key_label",
            token.key_label.is_empty(),
            "name the private key by its label",
        ),
        (
            "pin_file",
            token.pin_file.as_os_str().is_empty(),
            "name the file that holds the user PIN",
        ),
    ] {
        if is_empty {
            faults.add(format_args!("pkcs11.{name}"), problem);
        }
    }
    TokenKey {
        module: faults.path(&token.module),
        pin_file: faults.path(&token.pin_file),
        ..token.clone()
    }
}

#[cfg(test)]
mod tests;
