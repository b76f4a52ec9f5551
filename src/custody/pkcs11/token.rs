//! The connection to a token: its library, its slot, its PIN.
//!
//! Owns initialisation, login and the translation of the token's errors. Refuses to know objects.

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

/// The libraries this process has initialised. A library is initialised once per process and never
/// finalised, because that would close the sessions of its other users.
static MODULES: Mutex<BTreeMap<PathBuf, Module>> = Mutex::new(BTreeMap::new());

/// Held for each operation: not every library is as thread-safe as it claims (SoftHSM 2 aborts the
/// process when two threads list its slots at once), and custody is used only a few times a day.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other thread of this process uses a token; with a time limit, because a thread
/// may hang in the library.
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

/// The location of the token and its login.
pub(super) struct TokenAddress {
    module: PathBuf,
    token: String,
    pin: Pin,
    /// The last PIN that the token refused. It is not tried again, because tokens lock after a few
    /// wrong ones.
    refused: Mutex<Option<SecretText>>,
    /// The logged-in session, kept for the life of the process: some tokens write to their store at
    /// every log-in, and a kill in the middle of that destroys a SoftHSM token.
    kept: Mutex<Option<Session>>,
}

/// The source of the PIN. A file is read anew for each login, so that it can be changed under a
/// running service.
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

    /// Runs `work` in the kept session, and again after a transient failure of the token: `work`
    /// must be idempotent. A session that ended is replaced by a new one, which logs in again.
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

    /// Returns a logged-in session.
    pub(super) fn session(&self) -> Result<Session, TokenError> {
        let module = module(&self.module)?;
        let session = module
            .open_rw_session(self.slot(&module)?)
            .map_err(|error| from_pkcs11(&error))?;
        self.log_in(&session)?;
        Ok(session)
    }

    /// Checks that the token supports sealing; called before a root is made.
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
                // It may be another token, and broken; or this one, while another process writes to
                // it.
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

/// Returns a library, initialised once.
pub(super) fn module(path: &Path) -> Result<Module, TokenError> {
    let mut modules = lock(&MODULES);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let module = Module::new(path)
        .map_err(|error| backend_error(format!("`{}` does not load: {error}", path.display())))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Initialised under another path, or by another component of this process.
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

/// SoftHSM 2 fails occasionally while another session or process writes to the same token.
const TRIES: usize = 5;

/// Why an operation of a token failed.
#[derive(Debug)]
pub(super) enum TokenError {
    /// The session has ended; a new one may succeed.
    SessionEnded(String),
    /// The token gives no reason (CKR_GENERAL_ERROR), and may succeed on a retry.
    Transient(String),
    /// A retry would fail in the same way.
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

/// Returns whether the object was destroyed by another process between look-up and use.
pub(super) fn is_gone(error: &Refusal) -> bool {
    matches!(
        error,
        Refusal::Pkcs11(RvError::ObjectHandleInvalid | RvError::KeyHandleInvalid, _)
    )
}

/// Returns whether the error means a wrong tag. Tokens report it differently; SoftHSM 2 calls it a
/// general error.
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
