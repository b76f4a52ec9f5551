//! The public address of this service.
//!
//! Owns the configured public base URL, because signatures cover the URL that Twilio called, and a
//! proxy before us may have changed everything but the path. Refuses to read `Host`, `Forwarded`
//! and `X-Forwarded-*`, which a stranger can write.
//!
//! INVARIANT: the host keeps the case in which it was configured (Twilio signs it so), and user
//! names and passwords are dropped (Twilio drops them before it signs).

use std::{fmt, str::FromStr};

use crate::model::word::{UnknownWord, unknown};

/// Scheme, host, optional port and optional path prefix; no user, query or fragment.
///
/// The prefix is for a proxy that strips it: with `https://example.com/vault`, a request that
/// arrives here as `/twilio/recordings` was called as
/// `https://example.com/vault/twilio/recordings`.
#[derive(Clone, Debug, PartialEq, Eq, serde_with::DeserializeFromStr)]
pub struct PublicUrl {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    prefix: String,
}

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
enum Scheme {
    Http,
    Https,
}

/// The error of a text that is not a public base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the address that Twilio calls, such as `https://vault.example.com`: http or https, a host, no query, no fragment"
)]
pub struct InvalidPublicUrl;

impl PublicUrl {
    /// Returns the full URL of `path_and_query`, which begins with `/`, for links.
    pub fn join(&self, path_and_query: &str) -> String {
        self.with_port(self.port, path_and_query)
    }

    /// Returns the URL with the port that the system chose, where the configured port is 0.
    pub fn with_bound_port(self, port: u16) -> Self {
        match self.port {
            Some(0) => Self {
                port: Some(port),
                ..self
            },
            _ => self,
        }
    }

    /// Whether callers reach the service over TLS.
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// Returns the full URL with another port, or none.
    pub(super) fn with_port(&self, port: Option<u16>, path_and_query: &str) -> String {
        let Self {
            scheme,
            host,
            prefix,
            ..
        } = self;
        match port {
            Some(port) => format!("{scheme}://{host}:{port}{prefix}{path_and_query}"),
            None => format!("{scheme}://{host}{prefix}{path_and_query}"),
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn default_port(&self) -> u16 {
        match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.join(""))
    }
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidPublicUrl)?;
        let scheme = scheme.to_ascii_lowercase().parse();
        let scheme = scheme.map_err(|_| InvalidPublicUrl)?;
        if rest.contains(|c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '\\' | '?' | '#')
        }) {
            return Err(InvalidPublicUrl);
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let place = authority
            .rsplit_once('@')
            .map_or(authority, |(_, place)| place);
        let (host, port) = match place.rsplit_once(':') {
            // In `[::1]` the colons belong to the host.
            Some((host, port)) if !port.contains(']') => match port.parse() {
                Ok(number) if !port.starts_with('+') => (host, Some(number)),
                _ => return Err(InvalidPublicUrl),
            },
            _ => (place, None),
        };
        let parsed =
            url::Url::parse(&format!("{scheme}://{host}")).map_err(|_| InvalidPublicUrl)?;
        if !parsed.has_host() || parsed.port().is_some() {
            return Err(InvalidPublicUrl);
        }
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            prefix: path.trim_end_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_what_is_written() {
        for (text, written) in [
            ("https://vault.example.com", "https://vault.example.com/a?b"),
            (
                "HTTPS://Vault.Example.com/",
                "https://Vault.Example.com/a?b",
            ),
            (
                "https://vault.example.com:8443/base/",
                "https://vault.example.com:8443/base/a?b",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/a?b"),
            ("https://[::1]:8443", "https://[::1]:8443/a?b"),
            ("https://[::1]", "https://[::1]/a?b"),
            (
                "https://user:secret@vault.example.com:443",
                "https://vault.example.com:443/a?b",
            ),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().join("/a?b"), written);
        }
    }

    #[test]
    fn the_port_of_the_system_takes_the_place_of_port_0_and_of_nothing_else() {
        for (text, written) in [
            ("http://127.0.0.1:0", "http://127.0.0.1:8080"),
            ("http://[::1]:0/base", "http://[::1]:8080/base"),
            ("https://[fd00:0:0:1::5]", "https://[fd00:0:0:1::5]"),
            ("https://[fd00:0:0:1::5]:0", "https://[fd00:0:0:1::5]:8080"),
            ("https://host:0443", "https://host:443"),
            ("https://host/a:0", "https://host/a:0"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!(url.with_bound_port(8080).to_string(), written);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "vault.example.com",
            "ftp://vault.example.com",
            "https://",
            "https:///path",
            "https://host:",
            "https://host:+443",
            "https://host:65536",
            "https://a:b:443",
            "https://::1",
            "https://host/?q",
            "https://host/#rc=3",
            "https://ho st",
            "https://host\\path",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(InvalidPublicUrl), "{text}");
        }
    }
}
