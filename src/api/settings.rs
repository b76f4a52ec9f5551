//! `[server]`: addresses, proxies, time limits and rate limits of the service.
//!
//! Owns the keys and the ranges of the time limits. INVARIANT: a value out of range is a fault of
//! the configuration, and never replaced silently.

use std::time::Duration;

use serde::de::Error as _;

use super::{client_ip::TrustedProxies, cors::WebOrigin, limits::LimitSettings};
use crate::twilio::PublicUrl;

/// A number of seconds, `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundedSeconds<const LEAST: u64, const MOST: u64>(u64);

impl<const LEAST: u64, const MOST: u64> BoundedSeconds<LEAST, MOST> {
    /// Returns a default value; one out of range does not compile.
    pub(super) const fn new(seconds: u64) -> Self {
        assert!(LEAST <= seconds && seconds <= MOST, "out of range");
        Self(seconds)
    }

    /// Returns the time.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl<'de, const LEAST: u64, const MOST: u64> serde::Deserialize<'de>
    for BoundedSeconds<LEAST, MOST>
{
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        if (LEAST..=MOST).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            let fault = format!("`{seconds}` is out of range: expected {LEAST} to {MOST} seconds");
            Err(D::Error::custom(fault))
        }
    }
}

/// `[server]`.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address and port of the service, without TLS, which a proxy provides.
    pub listen: String,
    /// Address and port of `/metrics`; empty: no metrics.
    pub metrics_listen: String,
    /// The public address at which Twilio and listeners reach the service.
    pub public_url: PublicUrl,
    /// Addresses and networks of proxies whose `X-Forwarded-For` is trusted. Empty: the header is
    /// ignored.
    pub trusted_proxies: TrustedProxies,
    /// Origins whose browser pages may use the interface. Empty: only the vault's own pages.
    pub cors_origins: Vec<WebOrigin>,
    /// Seconds within which an answer must begin.
    pub request_timeout_s: BoundedSeconds<1, 300>,
    /// Seconds for running streams and work to end when the service stops.
    pub grace_s: BoundedSeconds<0, 600>,
    /// The limits for one client.
    pub limits: LimitSettings,
}

impl Default for ServerSettings {
    fn default() -> Self {
        let public_url = "http://127.0.0.1:8080".parse();
        Self {
            listen: "127.0.0.1:8080".into(),
            metrics_listen: "127.0.0.1:9464".into(),
            public_url: public_url.expect("the default is a public URL"),
            trusted_proxies: TrustedProxies::default(),
            cors_origins: Vec::new(),
            request_timeout_s: const { BoundedSeconds::new(14) },
            grace_s: const { BoundedSeconds::new(10) },
            limits: LimitSettings::default(),
        }
    }
}
