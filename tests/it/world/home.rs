//! The custody of the root key in a test: a root file, a separate token, or a separate key in a
//! stand-in for AWS KMS. Environment variables name the requirements of the last two; without them
//! they are skipped, with a note.

use std::{fs::File, path::Path, process::Command};

use recvault::{custody, secret::SecretText};
use tokio::sync::Mutex;

use super::{digits, moto::Moto};
use crate::needs;

const PIN: &str = "0042";
/// Enough for all tests of one process.
const TOKENS: usize = 8;

/// A kind of custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Passphrase,
    Pkcs11,
    AwsKms,
}

/// Lines for the configuration, and the servers that they need.
pub(crate) struct Furnished {
    pub(crate) lines: String,
    _server: Option<Moto>,
}

impl Home {
    pub(crate) const ALL: [Self; 3] = [Self::Passphrase, Self::Pkcs11, Self::AwsKms];

    /// Creates the custody; prints a note and returns `None` if its requirements are missing.
    pub(crate) async fn furnish(self) -> Option<Furnished> {
        match self {
            Self::Passphrase => Some(Furnished {
                lines: String::new(),
                _server: None,
            }),
            Self::Pkcs11 => {
                let library = needs::given("RECVAULT_TEST_SOFTHSM")?;
                let configuration = needs::given("SOFTHSM2_CONF")?;
                let label = token(&library, &configuration).await;
                let lines = format!(
                    "[custody]\nkind = \"pkcs11\"\n[custody.pkcs11]\nmodule = \"{library}\"\ntoken = \"{label}\"\npin = \"{PIN}\"\n"
                );
                Some(Furnished {
                    lines,
                    _server: None,
                })
            }
            Self::AwsKms => {
                let server = Moto::start(&needs::given("RECVAULT_TEST_MOTO")?);
                let lines = format!(
                    "[custody]\nkind = \"aws-kms\"\n{}",
                    server.lines(server.url()).await
                );
                Some(Furnished {
                    lines,
                    _server: Some(server),
                })
            }
        }
    }
}

/// Returns an unused token. The library only knows the tokens that existed when it started in this
/// process, so several are created at once, before.
async fn token(library: &str, configuration: &str) -> String {
    static FREE: Mutex<Vec<String>> = Mutex::const_new(Vec::new());
    let mut free = FREE.lock().await;
    if free.is_empty() {
        // Nor does it start while another process is creating one.
        let lock = File::create(format!("{configuration}.lock")).unwrap();
        lock.lock().unwrap();
        for _ in 0..TOKENS {
            let label = digits();
            let mut maker = Command::new("softhsm2-util");
            maker.args([
                "--init-token",
                "--free",
                "--label",
                &label,
                "--so-pin",
                "officer",
                "--pin",
                PIN,
            ]);
            let made = maker.output().unwrap();
            assert!(made.status.success(), "{made:?}");
            free.push(label);
        }
        let pkcs11 = custody::Pkcs11Settings {
            module: library.into(),
            token: free[0].clone(),
            pin: Some(SecretText::new(PIN.into())),
            ..Default::default()
        };
        let settings = custody::CustodySettings {
            kind: custody::CustodyKind::Pkcs11,
            pkcs11,
            ..custody::CustodySettings::default()
        };
        let first = custody::open(settings, Path::new("/")).unwrap();
        assert_eq!(first.roots().await.unwrap(), []);
    }
    free.pop().unwrap()
}
