//! `[store]` in the configuration, and the location it names.
//!
//! Owns the parsing of the settings; each fault names its key. It refuses to show them: a URL may
//! contain credentials by mistake, so an invalid one is not repeated.

use std::path::{Path as FilePath, PathBuf};

use object_store::path::Path;
use serde::Deserialize;
use url::Url;

use super::error::Error;
use crate::secret::SecretText;

/// The location of sealed objects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// `folder:./objects` (relative to the configuration file), `file:///srv/objects`,
    /// `s3://bucket/prefix`, or `memory:`.
    pub url: String,
    /// Base URL of an S3-compatible server; absent for AWS.
    pub endpoint: Option<String>,
    /// The region in signatures.
    pub region: String,
    /// Whether the bucket is in the path and not in the host name; default: true with an endpoint,
    /// false without.
    pub path_style: Option<bool>,
    /// PEM file with certificates to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Access key id; absent together with the secret: the machine's own role at AWS.
    pub access_key_id: Option<String>,
    /// Secret access key.
    pub secret_access_key: Option<SecretText>,
    /// File that holds the secret access key, instead of the key itself.
    pub secret_access_key_file: Option<PathBuf>,
    /// Whether an `http` endpoint may be on another machine. Ciphertext is safe there; object ids
    /// and lengths are visible on the network.
    pub allow_http: bool,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: "folder:./objects".into(),
            endpoint: None,
            region: "us-east-1".into(),
            path_style: None,
            ca_file: None,
            access_key_id: None,
            secret_access_key: None,
            secret_access_key_file: None,
            allow_http: false,
        }
    }
}

/// The location that `url` names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StoreLocation {
    /// An absolute path, or one relative to the working directory if `base` was.
    Folder(PathBuf),
    Memory,
    S3 {
        bucket: String,
        prefix: Path,
    },
}

impl StoreSettings {
    pub(super) fn place(&self, base: &FilePath) -> Result<StoreLocation, Error> {
        const EXPECTED: &str =
            "expected `folder:<path>`, `file:///<path>`, `s3://<bucket>/<prefix>` or `memory:`";
        let fault = || Error::setting("url", EXPECTED);
        let (scheme, rest) = self.url.split_once(':').ok_or_else(fault)?;
        match scheme {
            "memory" if rest.is_empty() => Ok(StoreLocation::Memory),
            "folder" if !rest.is_empty() => Ok(StoreLocation::Folder(base.join(rest))),
            "file" => Url::parse(&self.url)
                .ok()
                .and_then(|url| url.to_file_path().ok())
                .map(StoreLocation::Folder)
                .ok_or_else(fault),
            "s3" => bucket_and_prefix(rest.strip_prefix("//").ok_or_else(fault)?),
            _ => Err(fault()),
        }
    }

    /// Returns the folder, if the store is one.
    pub fn folder(&self, base: &FilePath) -> Option<PathBuf> {
        match self.place(base).ok()? {
            StoreLocation::Folder(folder) => Some(folder),
            StoreLocation::Memory | StoreLocation::S3 { .. } => None,
        }
    }

    /// Returns the endpoint as requests use it: with the bucket in its host name unless it is in
    /// the path.
    pub(super) fn endpoint(&self, bucket: &str) -> Result<Option<Url>, Error> {
        let Some(text) = &self.endpoint else {
            return Ok(None);
        };
        let fault = || {
            Error::setting(
                "endpoint",
                "expected `https://host` or `http://host`, with an optional port and nothing else",
            )
        };
        let mut url = Url::parse(text).map_err(|_| fault())?;
        let host = url.host_str().ok_or_else(fault)?.to_owned();
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !bare || !matches!(url.scheme(), "http" | "https") {
            return Err(fault());
        }
        if url.scheme() == "http" && !self.allow_http && !is_loopback(&url) {
            return Err(Error::setting(
                "endpoint",
                "`http` to another machine: use `https`, or set `store.allow_http = true`",
            ));
        }
        if !self.path_style() {
            url.set_host(Some(&format!("{bucket}.{host}")))
                .map_err(|_| fault())?;
        }
        Ok(Some(url))
    }

    /// Returns the address of the bucket itself, as `object_store` makes it of the same settings.
    pub(super) fn bucket_url(&self, bucket: &str) -> Result<Url, Error> {
        let region = &self.region;
        let text = match (self.endpoint(bucket)?, self.path_style()) {
            (Some(endpoint), true) => {
                format!("{}/{bucket}", endpoint.as_str().trim_end_matches('/'))
            }
            (Some(endpoint), false) => endpoint.to_string(),
            (None, true) => format!("https://s3.{region}.amazonaws.com/{bucket}"),
            (None, false) => format!("https://{bucket}.s3.{region}.amazonaws.com"),
        };
        Url::parse(&text).map_err(|_| Error::setting("region", "it cannot be in a host name"))
    }

    pub(super) fn path_style(&self) -> bool {
        self.path_style.unwrap_or(self.endpoint.is_some())
    }

    /// Returns access key id and secret, if given.
    pub(super) fn credentials(&self, base: &FilePath) -> Result<Option<(&str, SecretText)>, Error> {
        let secret = match (&self.secret_access_key, &self.secret_access_key_file) {
            (Some(_), Some(_)) => {
                return Err(Error::setting(
                    "secret_access_key_file",
                    "set this or `store.secret_access_key`, not both",
                ));
            }
            (Some(secret), None) => Some(secret.duplicate()),
            (None, Some(file)) => {
                let secret = SecretText::read(&base.join(file))
                    .map_err(|reason| Error::setting("secret_access_key_file", reason))?;
                Some(SecretText::new(secret.expose().trim().to_owned()))
            }
            (None, None) => None,
        };
        match (self.access_key_id.as_deref(), secret) {
            (Some(id), Some(secret)) => Ok(Some((id, secret))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Error::setting(
                "secret_access_key",
                "missing beside `store.access_key_id`",
            )),
            (None, Some(_)) => Err(Error::setting(
                "access_key_id",
                "missing beside the secret access key",
            )),
        }
    }

    /// Returns the contents of `ca_file`, if given.
    pub(super) fn authorities(&self, base: &FilePath) -> Result<Option<String>, Error> {
        self.ca_file
            .as_deref()
            .map(|file| read(base, file, "ca_file"))
            .transpose()
    }
}

fn bucket_and_prefix(rest: &str) -> Result<StoreLocation, Error> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let fits = (3..=63).contains(&bucket.len())
        && bucket.starts_with(|first: char| first.is_ascii_alphanumeric())
        && bucket
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    if !fits {
        return Err(Error::setting(
            "url",
            "the bucket's name must be 3 to 63 letters, digits, `-`, `.` and `_`; credentials go in their own keys",
        ));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    match Path::parse(prefix) {
        // `Path` silently drops a slash at either end, and the prefix would differ from the
        // setting.
        Ok(path) if path.as_ref() == prefix => Ok(StoreLocation::S3 {
            bucket: bucket.to_owned(),
            prefix: path,
        }),
        _ => Err(Error::setting(
            "url",
            "the prefix has an empty, relative or unusual part",
        )),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn read(base: &FilePath, file: &FilePath, key: &'static str) -> Result<String, Error> {
    let path = base.join(file);
    std::fs::read_to_string(&path).map_err(|error| {
        Error::setting(
            key,
            format!("cannot read `{}`: {}", path.display(), error.kind()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> StoreSettings {
        StoreSettings {
            url: url.into(),
            ..StoreSettings::default()
        }
    }

    fn key_of<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
        match result.unwrap_err() {
            Error::Setting { key, .. } => key,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn places() {
        let base = FilePath::new("/etc/recvault");
        assert_eq!(
            at("folder:./objects").place(base),
            Ok(StoreLocation::Folder("/etc/recvault/./objects".into()))
        );
        assert_eq!(
            at("folder:/srv/o").place(base),
            Ok(StoreLocation::Folder("/srv/o".into()))
        );
        assert_eq!(
            at("file:///srv/my%20o").place(base),
            Ok(StoreLocation::Folder("/srv/my o".into()))
        );
        assert_eq!(at("memory:").place(base), Ok(StoreLocation::Memory));
        let s3 = |prefix: &str| {
            Ok(StoreLocation::S3 {
                bucket: "calls".into(),
                prefix: Path::from(prefix),
            })
        };
        assert_eq!(at("s3://calls").place(base), s3(""));
        assert_eq!(at("s3://calls/").place(base), s3(""));
        assert_eq!(at("s3://calls/a/b/").place(base), s3("a/b"));
    }

    #[test]
    fn bad_urls_name_their_key_and_are_not_repeated() {
        for bad in [
            "",
            "objects",
            "folder:",
            "memory:x",
            "ftp://x/y",
            "s3:calls",
            "s3://",
            "s3://ab",
            "s3://AKID:hunter2@calls",
            "s3://calls//a",
            "s3://calls/a//",
            "s3://calls/../a",
            "file://host/x",
        ] {
            let error = at(bad).place(FilePath::new("/")).unwrap_err();
            assert!(
                matches!(error, Error::Setting { key: "url", .. }),
                "{bad}: {error}"
            );
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn endpoints() {
        let with = |endpoint: &str, path_style, allow_http| {
            let settings = StoreSettings {
                endpoint: Some(endpoint.into()),
                path_style,
                allow_http,
                ..StoreSettings::default()
            };
            settings
                .endpoint("calls")
                .map(|url| url.unwrap().to_string())
        };
        assert_eq!(
            with("https://s3.example", None, false).unwrap(),
            "https://s3.example/"
        );
        assert_eq!(
            with("https://s3.example:9000", Some(false), false).unwrap(),
            "https://calls.s3.example:9000/"
        );
        for loopback in [
            "http://127.0.0.1:9000",
            "http://localhost:9000",
            "http://[::1]:9000",
        ] {
            assert!(with(loopback, None, false).is_ok(), "{loopback}");
        }
        assert_eq!(key_of(with("http://s3.example", None, false)), "endpoint");
        assert!(with("http://s3.example", None, true).is_ok());
        for bad in [
            "s3.example",
            "ftp://s3.example",
            "https://AKID:hunter2@s3.example",
            "https://s3.example/?x=y",
        ] {
            let error = with(bad, None, true).unwrap_err();
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_bucket_has_one_address() {
        let at = |endpoint: Option<&str>, path_style| {
            let settings = StoreSettings {
                endpoint: endpoint.map(Into::into),
                path_style,
                region: "eu-west-1".into(),
                ..StoreSettings::default()
            };
            settings.bucket_url("calls").unwrap().to_string()
        };
        let own = Some("https://s3.example:9000/");
        assert_eq!(at(own, None), "https://s3.example:9000/calls");
        assert_eq!(at(own, Some(false)), "https://calls.s3.example:9000/");
        assert_eq!(at(None, None), "https://calls.s3.eu-west-1.amazonaws.com/");
        assert_eq!(
            at(None, Some(true)),
            "https://s3.eu-west-1.amazonaws.com/calls"
        );
    }

    #[test]
    fn credentials_come_in_pairs_and_the_secret_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "\u{feff}hunter2\n").unwrap();
        let with = |id: Option<&str>, secret: Option<&str>, file: Option<&str>| StoreSettings {
            access_key_id: id.map(Into::into),
            secret_access_key: secret.map(|secret| SecretText::new(secret.into())),
            secret_access_key_file: file.map(Into::into),
            ..StoreSettings::default()
        };
        let settings = with(Some("AKID"), None, Some("secret"));
        let (id, secret) = settings.credentials(folder.path()).unwrap().unwrap();
        assert_eq!((id, secret.expose()), ("AKID", "hunter2"));
        assert!(
            with(None, None, None)
                .credentials(folder.path())
                .unwrap()
                .is_none()
        );
        assert_eq!(
            key_of(with(Some("AKID"), None, None).credentials(folder.path())),
            "secret_access_key"
        );
        assert_eq!(
            key_of(with(None, Some("hunter2"), None).credentials(folder.path())),
            "access_key_id"
        );
        assert_eq!(
            key_of(with(Some("AKID"), Some("hunter2"), Some("secret")).credentials(folder.path())),
            "secret_access_key_file"
        );
        assert_eq!(
            key_of(with(Some("AKID"), None, Some("absent")).credentials(folder.path())),
            "secret_access_key_file"
        );
        assert!(!format!("{:?}", with(Some("AKID"), Some("hunter2"), None)).contains("hunter2"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<StoreSettings>("url = 'memory:'").is_ok());
        assert!(toml::from_str::<StoreSettings>("").is_ok());
        assert!(
            toml::from_str::<StoreSettings>("bucket = 'calls'")
                .unwrap_err()
                .to_string()
                .contains("bucket")
        );
    }
}
