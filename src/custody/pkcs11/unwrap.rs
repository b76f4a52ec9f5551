//! A private RSA key inside a token, which unwraps the content keys of recordings that their source
//! encrypted.
//!
//! Owns the requests to the token: OAEP with SHA-256 as a whole; or, if the token supports OAEP
//! with SHA-1 only, as SoftHSM 2 does, the raw RSA operation, whose padding [`oaep::unpad`] then
//! checks. PKCS #1 v1.5, for files of Video, is the token's own (`CKM_RSA_PKCS`). The private key
//! never leaves the token in any of them.
//!
//! INVARIANT: whatever is wrong with a wrapped key, the error is [`UnwrapError::Rejected`].

use std::fmt;

use cryptoki::{
    context::Function,
    error::{Error as Refusal, RvError},
    mechanism::{
        Mechanism, MechanismType,
        rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource},
    },
    object::{Attribute, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use zeroize::Zeroizing;

use super::token::{TokenAddress, TokenError, backend_error, from_pkcs11};
use crate::{
    custody::{Error, settings::Pkcs11Settings},
    secret::Key,
    twilio::encryption::{TokenKey, UnwrapError, UnwrapKey, oaep},
};

/// A key in a token. The session is kept for the life of the process.
pub(in crate::custody) struct Unwrapper {
    place: TokenAddress,
    label: String,
}

impl Unwrapper {
    pub(in crate::custody) fn new(key: &TokenKey) -> Result<Self, Error> {
        let settings = Pkcs11Settings {
            module: key.module.clone(),
            token: key.token.clone(),
            pin_file: Some(key.pin_file.clone()),
            ..Pkcs11Settings::default()
        };
        // The configuration has already made these paths absolute.
        let place = TokenAddress::new(settings, std::path::Path::new(""))?;
        Ok(Self {
            place,
            label: key.key_label.clone(),
        })
    }

    fn key(&self, session: &Session) -> Result<ObjectHandle, TokenError> {
        let template = [
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::Token(true),
            Attribute::KeyType(KeyType::RSA),
            Attribute::Label(self.label.as_bytes().to_vec()),
        ];
        let found = session
            .find_objects(&template)
            .map_err(|error| from_pkcs11(&error))?;
        match found.as_slice() {
            [key] => Ok(*key),
            [] => Err(backend_error(format!(
                "the token has no private RSA key with the label `{}`",
                self.label
            ))
            .into()),
            _ => Err(backend_error(format!(
                "the token has several private RSA keys with the label `{}`",
                self.label
            ))
            .into()),
        }
    }

    /// Returns the key; `None` if the token rejects the wrapped key.
    fn attempt(&self, session: &Session, wrapped: &[u8]) -> Result<Option<Key>, TokenError> {
        let key = self.key(session)?;
        let whole = PkcsOaepParams::new(
            MechanismType::SHA256,
            PkcsMgfType::MGF1_SHA256,
            PkcsOaepSource::empty(),
        );
        match session
            .decrypt(&Mechanism::RsaPkcsOaep(whole), key, wrapped)
            .map(Zeroizing::new)
        {
            Ok(opened) => Ok(Key::from_slice(&opened)),
            Err(error) if is_unknown(&error) => by_power(session, key, wrapped),
            Err(error) if is_rejected(&error) => Ok(None),
            Err(error) => Err(from_pkcs11(&error)),
        }
    }

    /// The same for a key that was wrapped by PKCS #1 v1.5.
    fn attempt_pkcs1(&self, session: &Session, wrapped: &[u8]) -> Result<Option<Key>, TokenError> {
        let key = self.key(session)?;
        match session
            .decrypt(&Mechanism::RsaPkcs, key, wrapped)
            .map(Zeroizing::new)
        {
            Ok(opened) => Ok(Key::from_slice(&opened)),
            Err(error) if is_rejected(&error) => Ok(None),
            Err(error) => Err(from_pkcs11(&error)),
        }
    }
}

impl UnwrapKey for Unwrapper {
    fn unwrap(&self, wrapped: &[u8]) -> Result<Key, UnwrapError> {
        self.place
            .with_session(|session| self.attempt(session, wrapped))
            .map_err(|error| unavailable(&error))?
            .ok_or(UnwrapError::Rejected)
    }

    fn unwrap_pkcs1(&self, wrapped: &[u8]) -> Result<Key, UnwrapError> {
        self.place
            .with_session(|session| self.attempt_pkcs1(session, wrapped))
            .map_err(|error| unavailable(&error))?
            .ok_or(UnwrapError::Rejected)
    }
}

impl fmt::Debug for Unwrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unwrapper").field(&self.label).finish()
    }
}

/// Runs the raw RSA operation in the token, and removes the padding here; returns `None` if it is
/// rejected.
fn by_power(
    session: &Session,
    key: ObjectHandle,
    wrapped: &[u8],
) -> Result<Option<Key>, TokenError> {
    let power = match session
        .decrypt(&Mechanism::RsaX509, key, wrapped)
        .map(Zeroizing::new)
    {
        Ok(power) => power,
        Err(error) if is_rejected(&error) => return Ok(None),
        Err(error) => return Err(from_pkcs11(&error)),
    };
    // Some tokens omit leading zeros.
    let Some(missing) = wrapped.len().checked_sub(power.len()) else {
        return Ok(None);
    };
    let mut block = Zeroizing::new(vec![0; wrapped.len()]);
    block
        .iter_mut()
        .skip(missing)
        .zip(power.iter())
        .for_each(|(to, from)| *to = *from);
    Ok(oaep::unpad(&block))
}

/// Returns whether a token reports that it does not support OAEP with these parameters.
fn is_unknown(error: &Refusal) -> bool {
    use RvError::{ArgumentsBad, MechanismInvalid, MechanismParamInvalid};
    matches!(
        error,
        Refusal::Pkcs11(
            ArgumentsBad | MechanismInvalid | MechanismParamInvalid,
            Function::DecryptInit | Function::Decrypt
        )
    )
}

/// Returns whether a token rejects a decryption that it began. Tokens differ in the reason, which
/// must not be disclosed.
fn is_rejected(error: &Refusal) -> bool {
    use RvError::{
        DataInvalid, DataLenRange, EncryptedDataInvalid, EncryptedDataLenRange, FunctionFailed,
        GeneralError,
    };
    matches!(
        error,
        Refusal::Pkcs11(
            DataInvalid
                | DataLenRange
                | EncryptedDataInvalid
                | EncryptedDataLenRange
                | FunctionFailed
                | GeneralError,
            Function::Decrypt,
        )
    )
}

/// Converts the error without the name of the setting that `custody` uses for its own token.
fn unavailable(error: &Error) -> UnwrapError {
    UnwrapError::Place(match error {
        Error::Setting { why, .. } | Error::Backend { why, .. } => why.clone(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests;
