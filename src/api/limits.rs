//! Limits: how much one client may ask for, so that it costs the others nothing.
//!
//! Owns who counts as one client, and the rates: of requests without a credential and of failed
//! credentials for each client address, of requests for each proven credential. A credential that
//! was good a moment ago passes whatever its neighbours do, so that nobody can lock out those who
//! share an address. INVARIANT: memory is bounded, whoever calls; a callback that Twilio has signed
//! is never limited.

mod buckets;
mod shares;

use std::net::IpAddr;

use axum::{
    extract::{RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::Instant;

use self::buckets::Buckets;
pub(crate) use self::shares::{Share, Shares};
use super::{Api, network::Network, problem::Problem};

/// `[server.limits]`: what one client may ask for, and how long it may take.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Connections open at once; 0: as many as the process may have files for, at most 4096.
    pub max_connections: u32,
    /// Connections of one client address; 0: a quarter of all.
    pub connections_per_address: u32,
    /// Seconds after which a connection is closed whose other end takes nothing.
    pub write_timeout_s: u64,
    /// Bytes a second of one media answer; 0: as fast as they are taken.
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
            write_timeout_s: 30,
            media_bytes_per_s: 0,
            anonymous_per_s: 20,
            failures_per_m: 60,
            credential_per_s: 500,
        }
    }
}

impl LimitSettings {
    /// How many of so many connections one client address may have.
    pub(crate) fn share_of(&self, connections: usize) -> usize {
        let wanted = usize::try_from(self.connections_per_address).unwrap_or(usize::MAX);
        if wanted == 0 {
            (connections / 4).max(1)
        } else {
            wanted.min(connections)
        }
    }
}

/// Who counts as one: an IPv4 address, or a network of IPv6, of which one customer has at least 64
/// bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(Option<IpAddr>);

impl ClientAddress {
    /// Who calls from this address; all whose address cannot be told are one.
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            v4 => v4,
        }))
    }
}

/// The rates, and what was spent of them.
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
            // Ten seconds' worth at once: a page is more than one request, and a team has one
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

    /// Lets a credential try. One that was good a moment ago spends of its own; any other may come
    /// as long as few from there have failed.
    pub(super) fn try_credential(
        &self,
        client: ClientAddress,
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

    /// A credential was good.
    pub(super) fn proved(&self, credential: &str) {
        if !self.credentials.knows(&credential) {
            // The first of its own.
            let _ = self.credentials.take(&credential, self.began.elapsed());
        }
    }

    /// A credential, or a signature, was not good: the problem to answer with.
    pub(super) fn failed(&self, client: ClientAddress, problem: Problem) -> Problem {
        match self.failures.take(&client, self.began.elapsed()) {
            Ok(()) => problem,
            Err(wait) => Problem::limited("failures", wait),
        }
    }
}

/// For what anybody may ask.
pub(super) async fn anonymous(
    State(api): State<Api>,
    Network(network): Network,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limits = &api.limits;
    let client = ClientAddress::at(network);
    limits
        .anonymous
        .take(&client, limits.began.elapsed())
        .map_err(|wait| Problem::limited("anonymous", wait))?;
    Ok(next.run(request).await)
}

/// For what a grant's token in the path opens.
pub(super) async fn granted(
    State(api): State<Api>,
    Network(network): Network,
    path: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    // What is no text is no token.
    let Ok(path) = path else {
        return Err(api
            .limits
            .failed(ClientAddress::at(network), Problem::not_found()));
    };
    let token = path
        .iter()
        .find(|(name, _)| *name == "token")
        .map_or("", |(_, token)| token);
    let client = ClientAddress::at(network);
    api.limits.try_credential(client, token)?;
    let response = next.run(request).await;
    match response.status() {
        StatusCode::NOT_FOUND => Ok(match api.limits.failed(client, Problem::not_found()) {
            limited if limited.is_limit() => limited.into_response(),
            _ => response,
        }),
        status => {
            if status.is_success() {
                api.limits.proved(token);
            }
            Ok(response)
        }
    }
}

/// The share of a client that comes through a proxy of ours: there the connections are the proxy's,
/// so that requests are counted, to the end of their answers. Who comes without one is counted
/// where connections are taken. What may be a signed callback is not counted: how many strangers
/// have requests open must not matter to Twilio.
pub(super) async fn shared(
    State(api): State<Api>,
    network: Network,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if request.uri().path().starts_with("/twilio/")
        || !super::network::is_proxied(&request, &api.proxies)
    {
        return Ok(next.run(request).await);
    }
    let share = api
        .limits
        .requests
        .enter(ClientAddress::at(network.0))
        .ok_or_else(Problem::crowded)?;
    Ok(share.until_the_end_of(next.run(request).await))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_is_an_address_or_a_network_of_64_bits() {
        let client = |address: &str| ClientAddress::at(Some(address.parse().unwrap()));
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff::9"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(ClientAddress::at(None), client("::"));
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
        let here = ClientAddress::at(Some([192, 0, 2, 1].into()));
        let elsewhere = ClientAddress::at(Some([192, 0, 2, 2].into()));
        limits.try_credential(here, "good").unwrap();
        limits.proved("good");
        for _ in 0..3 {
            limits.try_credential(here, "bad").unwrap();
            assert!(!limits.failed(here, Problem::unauthorized()).is_limit());
        }
        assert!(limits.try_credential(here, "bad").unwrap_err().is_limit());
        assert!(limits.failed(here, Problem::bad_signature()).is_limit());
        limits.try_credential(here, "good").unwrap();
        limits.try_credential(elsewhere, "bad").unwrap();
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
        let here = ClientAddress::at(None);
        limits.proved("busy");
        let passed = (0..100)
            .filter(|_| limits.try_credential(here, "busy").is_ok())
            .count();
        assert!((9..=11).contains(&passed), "{passed}");
        limits.try_credential(here, "another").unwrap();
    }
}
