//! Rate limits: per client address without a credential, per client address for failed credentials,
//! per valid credential.
//!
//! Owns the rates, and the definition of one client. A recently valid credential is not affected by
//! failures from its address, so that nobody can lock out other users of that address.
//! INVARIANT: memory is bounded, whatever the number of clients; a callback that Twilio has signed
//! is never limited.

mod buckets;
mod shares;

use std::net::IpAddr;

use axum::{
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use tokio::time::Instant;

use self::buckets::Buckets;
pub(crate) use self::shares::{Share, Shares};
use super::{Api, bounded_seconds::BoundedSeconds, client_ip::ClientIp, problem::Problem};

/// `[server.limits]`: limits of the requests and connections of one client.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// The most open connections; 0: as many as the limit on open files allows, at most 4096.
    pub max_connections: u32,
    /// The most connections of one client address; 0: a quarter of all.
    pub connections_per_address: u32,
    /// Seconds after which a connection is closed if the peer accepts no bytes.
    pub write_timeout_s: BoundedSeconds<1, 3600>,
    /// Bytes per second of one media answer; 0: no limit.
    pub media_bytes_per_s: u32,
    /// Requests a second without a credential, for each client address; 0: no limit.
    pub anonymous_per_s: u32,
    /// Failed credentials a minute, for each client address; 0: no limit.
    pub failures_per_m: u32,
    /// Requests a second with one credential; 0: no limit.
    pub credential_per_s: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            max_connections: 0,
            connections_per_address: 0,
            write_timeout_s: const { BoundedSeconds::new(30) },
            media_bytes_per_s: 0,
            anonymous_per_s: 20,
            failures_per_m: 60,
            credential_per_s: 500,
        }
    }
}

impl LimitSettings {
    /// Returns the number of connections that one client address may have, of this total.
    pub(crate) fn share_of(&self, connections: usize) -> usize {
        let wanted = usize::try_from(self.connections_per_address).unwrap_or(usize::MAX);
        if wanted == 0 {
            (connections / 4).max(1)
        } else {
            wanted.min(connections)
        }
    }
}

/// The identity of a client: an IPv4 address, or an IPv6 network of 64 bits, which is the smallest
/// allocation of one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RateLimitKey(Option<IpAddr>);

impl RateLimitKey {
    /// Returns the key of an address; all clients without a known address share one.
    pub(crate) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            v4 => v4,
        }))
    }
}

/// The rate limiters and the open requests.
pub(super) struct Limits {
    began: Instant,
    anonymous: Buckets,
    failures: Buckets,
    credentials: Buckets,
    requests: Shares,
}

impl Limits {
    pub(super) fn new(settings: &LimitSettings, connections: usize) -> Self {
        Self {
            began: Instant::now(),
            // A burst of ten seconds: a page needs several requests, and a team may share one
            // address.
            anonymous: Buckets::new(
                settings.anonymous_per_s,
                1,
                settings.anonymous_per_s.saturating_mul(10),
            ),
            failures: Buckets::new(settings.failures_per_m, 60, settings.failures_per_m),
            credentials: Buckets::new(
                settings.credential_per_s,
                1,
                settings.credential_per_s.saturating_mul(10),
            ),
            requests: Shares::new(settings.share_of(connections)),
        }
    }

    /// Checks the limits before a credential is checked. A recently valid credential uses its own
    /// bucket. Any other is refused once its address has too many failures.
    pub(super) fn check_credential(
        &self,
        client: RateLimitKey,
        credential: &str,
    ) -> Result<(), Problem> {
        let now = self.began.elapsed();
        if self.credentials.knows(&credential) {
            return self
                .credentials
                .take(&credential, now)
                .map_err(|wait| Problem::limited("credential", wait));
        }
        self.failures
            .peek(&client, now)
            .map_err(|wait| Problem::limited("failures", wait))
    }

    /// Records a valid credential.
    pub(super) fn record_success(&self, credential: &str) {
        if !self.credentials.knows(&credential) {
            // The first request of its own bucket.
            let _ = self.credentials.take(&credential, self.began.elapsed());
        }
    }

    /// Records an invalid credential or signature.
    ///
    /// # Errors
    /// The problem to answer with instead, if the address has too many failures.
    pub(super) fn record_failure(&self, client: RateLimitKey) -> Result<(), Problem> {
        self.failures
            .take(&client, self.began.elapsed())
            .map_err(|wait| Problem::limited("failures", wait))
    }
}

/// Limits routes without a credential.
pub(super) async fn anonymous(
    State(api): State<Api>,
    ClientIp(address): ClientIp,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limits = &api.limits;
    let client = RateLimitKey::of(address);
    limits
        .anonymous
        .take(&client, limits.began.elapsed())
        .map_err(|wait| Problem::limited("anonymous", wait))?;
    Ok(next.run(request).await)
}

/// Limits routes whose path holds a grant token.
pub(super) async fn granted(
    State(api): State<Api>,
    ClientIp(address): ClientIp,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let client = RateLimitKey::of(address);
    // A path that is not UTF-8 holds no valid token.
    let Ok(path) = path else {
        api.limits.record_failure(client)?;
        return Err(Problem::not_found());
    };
    let token = path
        .iter()
        .find(|(name, _)| *name == "token")
        .map_or("", |(_, token)| token);
    api.limits.check_credential(client, token)?;
    let response = next.run(request).await;
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        api.limits.record_failure(client)?;
    } else if status.is_success() {
        api.limits.record_success(token);
    }
    Ok(response)
}

/// Limits the open requests of a client behind a trusted proxy: its connections are the proxy's, so
/// requests are counted, to the end of their answers. Clients without a proxy are counted where
/// connections are accepted. Callbacks are not counted, because the open requests of strangers must
/// not affect Twilio.
pub(super) async fn open_requests(
    State(api): State<Api>,
    ClientIp(address): ClientIp,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !super::client_ip::is_proxied(&request, &api.proxies) {
        return Ok(next.run(request).await);
    }
    let share = api
        .limits
        .requests
        .enter(RateLimitKey::of(address))
        .ok_or_else(Problem::crowded)?;
    Ok(share.until_the_end_of(next.run(request).await))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_an_address_or_a_network_of_64_bits() {
        let client = |address: &str| RateLimitKey::of(Some(address.parse().unwrap()));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(RateLimitKey::of(None), client("::"));
    }

    #[test]
    fn a_good_credential_passes_where_others_from_there_have_failed() {
        let limits = Limits::new(
            &LimitSettings {
                failures_per_m: 3,
                ..LimitSettings::default()
            },
            100,
        );
        let here = RateLimitKey::of(Some([192, 0, 2, 1].into()));
        let elsewhere = RateLimitKey::of(Some([192, 0, 2, 2].into()));
        limits.check_credential(here, "good").unwrap();
        limits.record_success("good");
        for _ in 0..3 {
            limits.check_credential(here, "bad").unwrap();
            limits.record_failure(here).unwrap();
        }
        assert!(limits.check_credential(here, "bad").is_err());
        assert!(limits.record_failure(here).is_err());
        limits.check_credential(here, "good").unwrap();
        limits.check_credential(elsewhere, "bad").unwrap();
    }

    #[test]
    fn one_credential_has_a_rate_of_its_own() {
        let limits = Limits::new(
            &LimitSettings {
                credential_per_s: 1,
                ..LimitSettings::default()
            },
            100,
        );
        let here = RateLimitKey::of(None);
        limits.record_success("busy");
        let passed = (0..100)
            .filter(|_| limits.check_credential(here, "busy").is_ok())
            .count();
        assert!((9..=11).contains(&passed), "{passed}");
        limits.check_credential(here, "another").unwrap();
    }
}
