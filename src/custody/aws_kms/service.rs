//! The service that wraps and unwraps root keys.
//!
//! Owns the connection: address, credentials, time-outs, and the translation of KMS errors. Refuses
//! to know files.

use std::{error::Error as _, fmt, path::Path, time::Duration};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_sdk_kms::{
    Client,
    config::{
        BehaviorVersion, Config, Credentials, Region, SharedCredentialsProvider,
        retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::{decrypt::builders::DecryptFluentBuilder, encrypt::builders::EncryptFluentBuilder},
    primitives::Blob,
};
use tokio::sync::OnceCell;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::super::{Error, RootName, settings::AwsKmsSettings};
use crate::secret::{Key, SecretText};

pub(super) const NAME: &str = "AWS KMS";

/// Short, because an opening waits for the call.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(12),
};

/// The time limits of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a connection.
    pub(super) connect: Duration,
    /// For one attempt.
    pub(super) attempt: Duration,
    /// For all attempts together.
    pub(super) operation: Duration,
}

/// A KMS client, which connects on first use.
pub(super) struct KmsClient {
    key_id: String,
    region: Region,
    endpoint: Option<String>,
    credentials: Option<Credentials>,
    timeouts: Timeouts,
    client: OnceCell<Client>,
}

/// A root key as KMS wrapped it.
pub(super) struct Wrapped {
    /// The KMS key.
    pub(super) key_id: String,
    pub(super) ciphertext: Vec<u8>,
}

impl KmsClient {
    pub(super) fn new(settings: AwsKmsSettings, base: &Path) -> Result<Self, Error> {
        let credentials = credentials(&settings, base)?;
        for (key, value) in [
            ("aws_kms.key_id", &settings.key_id),
            ("aws_kms.region", &settings.region),
        ] {
            if value.is_empty() {
                return Err(setting(key, "missing".into()));
            }
        }
        if let Some(endpoint) = &settings.endpoint {
            check_endpoint(endpoint)?;
        }
        let region = Region::new(settings.region);
        Ok(Self {
            key_id: settings.key_id,
            region,
            endpoint: settings.endpoint,
            credentials,
            timeouts: TIMEOUTS,
            client: OnceCell::new(),
        })
    }

    /// Returns the client with other time-outs.
    #[cfg(test)]
    pub(super) fn patient(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Wraps a root key with the configured KMS key.
    pub(super) async fn wrap(&self, root: RootName, key: &Key) -> Result<Wrapped, Error> {
        let asked = self
            .client()
            .await
            .encrypt()
            .key_id(&self.key_id)
            .plaintext(Blob::new(key.expose()));
        let answer = in_context(asked, root, EncryptFluentBuilder::encryption_context)
            .send()
            .await;
        let answer = answer.map_err(|error| from_kms(&self.key_id, &error))?;
        match (answer.ciphertext_blob, answer.key_id) {
            (Some(ciphertext), Some(key_id)) => Ok(Wrapped {
                key_id,
                ciphertext: ciphertext.into_inner(),
            }),
            _ => Err(backend_error(
                "its answer to Encrypt lacks the ciphertext or the key".into(),
            )),
        }
    }

    /// Unwraps a root key with the KMS key that wrapped it.
    pub(super) async fn unwrap(&self, root: RootName, wrapped: &Wrapped) -> Result<Key, Error> {
        let asked = self
            .client()
            .await
            .decrypt()
            .key_id(&wrapped.key_id)
            .ciphertext_blob(Blob::new(wrapped.ciphertext.as_slice()));
        let answer = in_context(asked, root, DecryptFluentBuilder::encryption_context)
            .send()
            .await;
        let key = answer
            .map_err(|error| from_kms(&wrapped.key_id, &error))?
            .plaintext
            .map(|blob| Zeroizing::new(blob.into_inner()));
        key.and_then(|bytes| Key::from_slice(&bytes))
            .ok_or_else(|| backend_error("its answer to Decrypt is not a root key".into()))
    }

    pub(super) async fn client(&self) -> &Client {
        self.client
            .get_or_init(async || {
                let credentials = match &self.credentials {
                    Some(credentials) => SharedCredentialsProvider::new(credentials.clone()),
                    // Only the credentials come from the machine: the address and the time-outs
                    // come from the configuration.
                    None => SharedCredentialsProvider::new(
                        DefaultCredentialsChain::builder()
                            .region(self.region.clone())
                            .build()
                            .await,
                    ),
                };
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(self.timeouts.connect)
                    .operation_attempt_timeout(self.timeouts.attempt)
                    .operation_timeout(self.timeouts.operation);
                let mut config = Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(self.region.clone())
                    .credentials_provider(credentials)
                    .retry_config(RetryConfig::standard())
                    .timeout_config(timeouts.build());
                config.set_endpoint_url(self.endpoint.clone());
                Client::from_conf(config.build())
            })
            .await
    }
}

/// Adds the encryption context, which KMS binds to a wrapped root and shows to key policies.
fn in_context<B>(asked: B, root: RootName, put: impl Fn(B, &'static str, String) -> B) -> B {
    let asked = put(asked, "recvault-vault", root.vault.to_string());
    put(asked, "recvault-epoch", root.epoch.to_string())
}

fn credentials(settings: &AwsKmsSettings, base: &Path) -> Result<Option<Credentials>, Error> {
    const FILE: &str = "aws_kms.secret_access_key_file";
    let read;
    let secret = match (
        &settings.secret_access_key,
        &settings.secret_access_key_file,
    ) {
        (Some(_), Some(_)) => {
            return Err(setting(
                FILE,
                "set this or `custody.aws_kms.secret_access_key`, not both".into(),
            ));
        }
        (Some(secret), None) => Some(secret.expose()),
        (None, Some(file)) => {
            read = SecretText::read(&base.join(file)).map_err(|why| setting(FILE, why))?;
            Some(read.expose().trim())
        }
        (None, None) => None,
    };
    match (&settings.access_key_id, secret) {
        (Some(id), Some(secret)) => Ok(Some(Credentials::new(
            id,
            secret,
            None,
            None,
            "recvault.toml",
        ))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(setting(
            FILE,
            "missing beside `custody.aws_kms.access_key_id`".into(),
        )),
        (None, Some(_)) => Err(setting(
            "aws_kms.access_key_id",
            "missing beside the secret access key".into(),
        )),
    }
}

/// Checks the endpoint: root keys are sent to it and back, so plain HTTP is allowed only inside
/// this machine.
fn check_endpoint(text: &str) -> Result<(), Error> {
    let url = Url::parse(text).ok().filter(|url| {
        url.username().is_empty() && url.password().is_none() && url.query().is_none()
    });
    let is_fit = match url.as_ref().map(|url| (url.scheme(), url.host())) {
        Some(("https", Some(_))) => true,
        Some(("http", Some(Host::Ipv4(address)))) => address.is_loopback(),
        Some(("http", Some(Host::Ipv6(address)))) => address.is_loopback(),
        Some(("http", Some(Host::Domain(name)))) => name == "localhost",
        _ => false,
    };
    let why = "expected `https://host`, with an optional port; plain `http` only to this machine";
    if is_fit {
        Ok(())
    } else {
        Err(setting("aws_kms.endpoint", why.into()))
    }
}

/// Converts an error of KMS, or of the connection, to a custody error.
fn from_kms<E, R>(key_id: &str, error: &SdkError<E, R>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: fmt::Debug,
{
    let said = || error.message().unwrap_or("it gives no reason").to_owned();
    match error.code() {
        // A wrong context is also reported as an invalid ciphertext.
        Some("InvalidCiphertextException" | "IncorrectKeyException") => Error::NotAuthentic,
        Some("NotFoundException") => backend_error(format!(
            "the key `{key_id}` does not exist; root keys that it wrapped do not open ({})",
            said()
        )),
        Some("DisabledException" | "KMSInvalidStateException") => backend_error(format!(
            "the key `{key_id}` is disabled or about to be deleted ({})",
            said()
        )),
        Some("AccessDeniedException") => backend_error(format!(
            "the use of the key `{key_id}` is refused ({})",
            said()
        )),
        Some(code) => backend_error(format!("{code}: {}", said())),
        None => {
            let mut why = error.to_string();
            let mut cause = error.source();
            while let Some(deeper) = cause {
                why += &format!(": {deeper}");
                cause = deeper.source();
            }
            backend_error(why)
        }
    }
}

fn setting(key: &'static str, why: String) -> Error {
    Error::Setting { key, why }
}

fn backend_error(why: String) -> Error {
    Error::Backend { name: NAME, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretText;

    fn settings() -> AwsKmsSettings {
        AwsKmsSettings {
            key_id: "alias/vault".into(),
            region: "eu-west-1".into(),
            ..AwsKmsSettings::default()
        }
    }

    /// The key that is refused.
    fn fault(settings: AwsKmsSettings) -> &'static str {
        match KmsClient::new(settings, Path::new("/nowhere")) {
            Err(Error::Setting { key, .. }) => key,
            Err(other) => panic!("{other}"),
            Ok(_) => "none",
        }
    }

    #[test]
    fn a_root_key_goes_in_the_clear_to_this_machine_only() {
        for (endpoint, is_fit) in [
            ("https://kms.example.com:444", true),
            ("http://127.0.0.1:4566", true),
            ("http://[::1]:1", true),
            ("http://localhost:1", true),
            ("http://kms.example.com", false),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("https://user:secret@kms.example.com", false),
            ("kms.example.com", false),
            ("ftp://kms.example.com", false),
        ] {
            let found = fault(AwsKmsSettings {
                endpoint: Some(endpoint.into()),
                ..settings()
            });
            assert_eq!(
                found,
                if is_fit { "none" } else { "aws_kms.endpoint" },
                "{endpoint}"
            );
        }
    }

    #[test]
    fn settings_that_do_not_fit_together_are_refused() {
        let secret = || Some(SecretText::new("s".into()));
        assert_eq!(
            fault(AwsKmsSettings {
                key_id: String::new(),
                ..settings()
            }),
            "aws_kms.key_id"
        );
        assert_eq!(
            fault(AwsKmsSettings {
                region: String::new(),
                ..settings()
            }),
            "aws_kms.region"
        );
        assert_eq!(
            fault(AwsKmsSettings {
                access_key_id: Some("a".into()),
                ..settings()
            }),
            "aws_kms.secret_access_key_file"
        );
        assert_eq!(
            fault(AwsKmsSettings {
                secret_access_key: secret(),
                ..settings()
            }),
            "aws_kms.access_key_id"
        );
        let both = AwsKmsSettings {
            secret_access_key: secret(),
            secret_access_key_file: Some("f".into()),
            ..settings()
        };
        assert_eq!(fault(both), "aws_kms.secret_access_key_file");
        let absent = AwsKmsSettings {
            access_key_id: Some("a".into()),
            secret_access_key_file: Some("absent".into()),
            ..settings()
        };
        assert_eq!(fault(absent), "aws_kms.secret_access_key_file");
        assert_eq!(
            fault(AwsKmsSettings {
                access_key_id: Some("a".into()),
                secret_access_key: secret(),
                ..settings()
            }),
            "none"
        );
        assert_eq!(fault(settings()), "none", "the machine's own credentials");
    }
}
