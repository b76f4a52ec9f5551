//! `[[twilio.encryption_keys]]`: the private keys of recordings that are encrypted with your own
//! public key.
//!
//! Owns the keys of the settings and their checks. Refuses to open a token: that is `custody`'s,
//! through [`TokenKey`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::faults::SettingFaults;
use crate::{
    secret::SecretText,
    twilio::encryption::{
        EncryptionKey, EncryptionKeys, PrivateKey, TokenKey, Unopened, UnwrapKey, is_key_sid,
    },
};

/// `[[twilio.encryption_keys]]`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncryptionKeySettings {
    /// `CR…`: what Twilio calls the public half.
    pub public_key_sid: String,
    /// File with the private key: PEM, PKCS #8 or PKCS #1, RSA of 2048 to 4096 bits.
    #[serde(default)]
    pub private_key_file: Option<PathBuf>,
    /// The private key in a PKCS #11 token, instead of a file.
    #[serde(default)]
    pub pkcs11: Option<TokenKey>,
}

/// All of them; a fault for each thing that is wrong.
pub(super) fn resolve(
    settings: Vec<EncryptionKeySettings>,
    base: &Path,
    faults: &mut SettingFaults,
) -> EncryptionKeys {
    let mut keys: Vec<EncryptionKey> = Vec::with_capacity(settings.len());
    for (at, settings) in settings.into_iter().enumerate() {
        let place = format!("twilio.encryption_keys[{at}]");
        let sid = settings.public_key_sid;
        if !is_key_sid(&sid) {
            faults.add(
                format!("{place}.public_key_sid"),
                "expected `CR` and 32 hex digits",
            );
        }
        if keys.iter().any(|earlier| earlier.public_key_sid == sid) {
            faults.add(
                format!("{place}.public_key_sid"),
                format_args!("`{sid}` is listed twice"),
            );
        }
        let (key, token): (Option<Arc<dyn UnwrapKey>>, _) =
            match (settings.private_key_file, settings.pkcs11) {
                (Some(file), None) => match read(&base.join(file)) {
                    Ok(key) => (Some(Arc::new(key)), None),
                    Err(problem) => {
                        faults.add(format!("{place}.private_key_file"), problem);
                        (None, None)
                    }
                },
                (None, Some(token)) => (
                    Some(Arc::new(Unopened)),
                    Some(in_token(token, &place, base, faults)),
                ),
                (Some(_), Some(_)) => {
                    faults.add(
                        format!("{place}.pkcs11"),
                        "given beside `private_key_file`; keep one of them",
                    );
                    (None, None)
                }
                (None, None) => {
                    faults.add(
                        format!("{place}.private_key_file"),
                        "name the file that holds the private key, or give `pkcs11`",
                    );
                    (None, None)
                }
            };
        keys.extend(key.map(|key| EncryptionKey {
            public_key_sid: sid,
            key,
            token,
        }));
    }
    EncryptionKeys(keys)
}

fn read(file: &Path) -> Result<PrivateKey, String> {
    let text = SecretText::read(file)?;
    PrivateKey::from_pem(text.expose()).map_err(|problem| format!("`{}` {problem}", file.display()))
}

fn in_token(token: TokenKey, place: &str, base: &Path, faults: &mut SettingFaults) -> TokenKey {
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
            faults.add(format!("{place}.pkcs11.{name}"), problem);
        }
    }
    TokenKey {
        module: base.join(&token.module),
        pin_file: base.join(&token.pin_file),
        ..token
    }
}

#[cfg(test)]
mod tests;
