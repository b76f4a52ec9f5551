//! `[server]`: addresses, proxies, time limits and rate limits of the service.
//!
//! Owns the keys and the ranges of the time limits.

use super::{
    bounded_seconds::BoundedSeconds, client_ip::TrustedProxies, cors::WebOrigin,
    limits::LimitSettings,
};
use crate::twilio::PublicUrl;

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
