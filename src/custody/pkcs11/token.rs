//! How a token is reached: its library, its slot, its PIN.
//!
//! Owns initialisation, login and the translation of what a token says. Refuses to know objects.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11 as Module},
    error::{Error as Refusal, RvError},
    mechanism::MechanismType,
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};

use super::super::{Error, settings::Pkcs11Settings};
use crate::secret::SecretText;

pub(super) const NAME: &str = "PKCS #11 token";

/// The libraries this process has initialised. A library is initialised once for a whole process,
/// and stays so to its end: to finalise it would close the sessions of everybody else who uses it.
static MODULES: Mutex<BTreeMap<PathBuf, Module>> = Mutex::new(BTreeMap::new());

/// Held for each operation: libraries that promise to bear several threads do not all keep it
/// (SoftHSM 2 aborts the process when two of them ask for its slots at once), and custody is asked
/// a few times a day.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other thread of this process uses a token; not for ever, since one of them may
/// hang in the library.
///
/// # Errors
/// [`Error::Backend`] after some time.
pub(super) fn exclusive() -> Result<MutexGuard<'static, ()>, Error> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let begun = Instant::now();
    loop {
        match ONE_AT_A_TIME.try_lock() {
            Ok(guard) => return Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => {
                return Err(backend_error(format!(
                    "an earlier call has not returned for more than {} s",
                    PATIENCE.as_secs()
                )));
            }
            Err(TryLockError::WouldBlock) => pause(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "`Mutex` has no timed lock; polling blocks only this blocking thread"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}

/// Where the token is and how to log in.
pub(super) struct TokenAddress {
    module: PathBuf,
    token: String,
    pin: Pin,
    /// The PIN that the token refused last. It is not tried again, because tokens lock after a few
    /// wrong ones.
    refused: Mutex<Option<SecretText>>,
    /// The session that is logged in, kept for the life of the process: some tokens write to their
    /// store at every log-in, and a kill in the middle of that destroys a SoftHSM token.
    kept: Mutex<Option<Session>>,
}

/// Where the PIN is. A file is read anew for each login, so that it can be changed under a running
/// service.
enum Pin {
    Given(SecretText),
    File(PathBuf),
}

impl TokenAddress {
    pub(super) fn new(settings: Pkcs11Settings, base: &Path) -> Result<Self, Error> {
        let fault = |key, why: &str| {
            Err(Error::Setting {
                key,
                why: why.into(),
            })
        };
        if settings.module.as_os_str().is_empty() {
            return fault(
                "pkcs11.module",
                "name the library of the token, such as `/usr/lib/softhsm/libsofthsm2.so`",
            );
        }
        if settings.token.is_empty() {
            return fault("pkcs11.token", "name the token by its label");
        }
        let pin = match (settings.pin, settings.pin_file) {
            (Some(pin), None) => Pin::Given(pin),
            (None, Some(file)) => Pin::File(base.join(file)),
            (Some(_), Some(_)) => {
                return fault(
                    "pkcs11.pin_file",
                    "set this or `custody.pkcs11.pin`, not both",
                );
            }
            (None, None) => {
                return fault(
                    "pkcs11.pin_file",
                    "set this or `custody.pkcs11.pin`: the root keys are private objects",
                );
            }
        };
        let module = base.join(settings.module);
        Ok(Self {
            module,
            token: settings.token,
            pin,
            refused: Mutex::new(None),
            kept: Mutex::new(None),
        })
    }

    /// Runs `work` in the kept session, and again where the token failed for a reason that may be
    /// over: what is done here may be repeated. A session that ended is replaced by another, which
    /// logs in anew.
    pub(super) fn with_session<T>(
        &self,
        work: impl Fn(&Session) -> Result<T, TokenError>,
    ) -> Result<T, Error> {
        let _only = exclusive()?;
        let mut tries = 1;
        loop {
            let session = match lock(&self.kept).take() {
                Some(session) => Ok(session),
                None => self.session(),
            };
            let done = session.and_then(|session| {
                let done = work(&session);
                if !matches!(&done, Err(TokenError::SessionEnded(_))) {
                    *lock(&self.kept) = Some(session);
                }
                done
            });
            match done {
                Err(TokenError::SessionEnded(_) | TokenError::Transient(_)) if tries < TRIES => {
                    tries += 1;
                }
                done => return done.map_err(Error::from),
            }
        }
    }

    /// A session that is logged in.
    pub(super) fn session(&self) -> Result<Session, TokenError> {
        let module = module(&self.module)?;
        let session = module
            .open_rw_session(self.slot(&module)?)
            .map_err(|error| from_pkcs11(&error))?;
        self.log_in(&session)?;
        Ok(session)
    }

    /// Whether the token seals at all; asked before a root is made.
    pub(super) fn can_seal(&self) -> Result<(), Error> {
        let module = module(&self.module)?;
        match module.get_mechanism_info(self.slot(&module)?, MechanismType::AES_GCM) {
            Ok(info) if info.encrypt() && info.decrypt() => Ok(()),
            Ok(_) | Err(Refusal::Pkcs11(RvError::MechanismInvalid, _)) => {
                Err(no_gcm("it is not among the token's mechanisms"))
            }
            Err(error) => Err(from_pkcs11(&error).into()),
        }
    }

    fn slot(&self, module: &Module) -> Result<Slot, TokenError> {
        let mut found = Vec::new();
        let mut silent = String::new();
        for slot in module
            .get_slots_with_token()
            .map_err(|error| from_pkcs11(&error))?
        {
            match module.get_token_info(slot) {
                Ok(info) if info.label() == self.token => found.push(slot),
                Ok(_) => {}
                // It may be another's, and broken; or ours, while another process writes to it.
                Err(error) => silent = format!(", and slot {slot} does not answer: {error}"),
            }
        }
        match found.as_slice() {
            [slot] => Ok(*slot),
            [] => Err(
                backend_error(format!("no token has the label `{}`{silent}", self.token)).into(),
            ),
            _ => {
                Err(backend_error(format!("several tokens have the label `{}`", self.token)).into())
            }
        }
    }

    fn log_in(&self, session: &Session) -> Result<(), TokenError> {
        let given;
        let pin = match &self.pin {
            Pin::Given(pin) => pin,
            Pin::File(file) => {
                given = SecretText::read(file).map_err(|why| Error::Setting {
                    key: "pkcs11.pin_file",
                    why,
                })?;
                &given
            }
        };
        let mut refused = lock(&self.refused);
        if refused
            .as_ref()
            .is_some_and(|refused| refused.expose() == pin.expose())
        {
            return Err(backend_error(
                "it refused the PIN before; the same PIN is not retried, so that the token does \
                 not lock"
                    .into(),
            )
            .into());
        }
        match session.login(UserType::User, Some(&AuthPin::from(pin.expose()))) {
            // The login of another session of this process counts for all.
            Ok(()) | Err(Refusal::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Refusal::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => {
                *refused = Some(pin.duplicate());
                Err(backend_error("it refuses the PIN".into()).into())
            }
            Err(Refusal::Pkcs11(RvError::PinLocked, _)) => Err(backend_error(
                "its PIN is locked; unlock it with the token's own tools".into(),
            )
            .into()),
            Err(error) => Err(from_pkcs11(&error)),
        }
    }
}

/// A library, initialised once.
pub(super) fn module(path: &Path) -> Result<Module, TokenError> {
    let mut modules = lock(&MODULES);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let module = Module::new(path)
        .map_err(|error| backend_error(format!("`{}` does not load: {error}", path.display())))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Under another path, or by something else in this process.
        Ok(()) | Err(Refusal::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(from_pkcs11(&error)),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// Converts an error of the token.
pub(super) fn from_pkcs11(error: &Refusal) -> TokenError {
    match error {
        Refusal::Pkcs11(
            RvError::MechanismInvalid | RvError::MechanismParamInvalid,
            Function::EncryptInit | Function::Encrypt | Function::DecryptInit | Function::Decrypt,
        ) => no_gcm(&error.to_string()).into(),
        Refusal::Pkcs11(RvError::GeneralError, function) => {
            TokenError::Transient(format!("a general error of the token in {function:?}"))
        }
        Refusal::Pkcs11(
            RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::UserNotLoggedIn
            | RvError::DeviceError
            | RvError::DeviceRemoved
            | RvError::TokenNotPresent,
            _,
        ) => TokenError::SessionEnded(format!("its session has ended: {error}")),
        other => backend_error(other.to_string()).into(),
    }
}

/// SoftHSM 2 fails now and then while another session or process writes to the same token.
const TRIES: usize = 5;

/// Why a token did not do what it was asked.
#[derive(Debug)]
pub(super) enum TokenError {
    /// The session has ended; another one may do it.
    SessionEnded(String),
    /// The token names no reason (CKR_GENERAL_ERROR), and may do it when it is asked again.
    Transient(String),
    /// Asked again, it would say the same.
    Custody(Error),
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        Self::Custody(error)
    }
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::SessionEnded(why) | TokenError::Transient(why) => backend_error(why),
            TokenError::Custody(error) => error,
        }
    }
}

/// The object went away between a look and its use: another process destroyed it.
pub(super) fn is_gone(error: &Refusal) -> bool {
    matches!(
        error,
        Refusal::Pkcs11(RvError::ObjectHandleInvalid | RvError::KeyHandleInvalid, _)
    )
}

/// Tokens do not agree on what to say of a wrong tag; SoftHSM 2 calls it a general error.
pub(super) fn is_wrong_tag(error: &Refusal) -> bool {
    use RvError::{EncryptedDataInvalid, EncryptedDataLenRange, GeneralError};
    matches!(
        error,
        Refusal::Pkcs11(
            EncryptedDataInvalid | EncryptedDataLenRange | GeneralError,
            Function::Decrypt
        )
    )
}

fn no_gcm(why: &str) -> Error {
    backend_error(format!(
        "it does not do AES-GCM (CKM_AES_GCM) with an IV of 12 bytes and a tag of 128 bits, which custody needs: {why}"
    ))
}

pub(super) fn backend_error(why: String) -> Error {
    Error::Backend { name: NAME, why }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
