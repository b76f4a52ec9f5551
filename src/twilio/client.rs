//! The HTTP client for Twilio's interfaces.
//!
//! Owns the connections: TLS, time-outs, rate limit, no proxies, no automatic redirects. Refuses to
//! know the requests: `rest` and `media` add methods for them.

use reqwest::redirect::Policy;

use super::{account::Accounts, rate_limit::RateLimiter};

/// A client for the REST interface. Cheap to share; keeps connections open between requests.
#[derive(Debug)]
pub struct TwilioClient {
    pub(super) http: reqwest::Client,
    pub(super) limiter: RateLimiter,
}

/// The client cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS for twilio; check that root certificates are installed")]
pub struct ClientError(#[source] reqwest::Error);

impl TwilioClient {
    /// Creates a client with the time-outs of the settings. Redirects are followed by `media`;
    /// proxies of the environment are ignored, because only the configuration may decide where
    /// credentials pass.
    pub fn new(accounts: &Accounts) -> Result<Self, ClientError> {
        let limits = &accounts.limits;
        let http = reqwest::Client::builder()
            .user_agent(concat!("recvault/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(limits.connect_timeout)
            .read_timeout(limits.read_idle_timeout)
            .build()
            .map_err(ClientError)?;
        Ok(Self {
            http,
            limiter: RateLimiter::new(limits.requests_per_s),
        })
    }
}
