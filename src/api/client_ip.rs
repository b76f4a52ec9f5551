//! The address of the client: the peer of the connection, or the address that a trusted proxy
//! reports.
//!
//! Owns the parsing of `X-Forwarded-For`, and the list of trusted proxies. INVARIANT: an address
//! that a stranger may have written is never trusted; an uncertain address is unknown.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, request::Parts},
};
use ipnet::{IpNet, Ipv4Net};

use super::{Api, problem::Problem};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose `X-Forwarded-For` is trusted. Clones share the list.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(from = "Vec<TrustedProxy>")]
pub struct TrustedProxies(Arc<[TrustedProxy]>);

impl From<Vec<TrustedProxy>> for TrustedProxies {
    fn from(proxies: Vec<TrustedProxy>) -> Self {
        Self(proxies.into())
    }
}

impl TrustedProxies {
    /// Whether no proxy is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether an address is a trusted proxy; an IPv4-mapped IPv6 address counts as IPv4.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|proxy| proxy.0.contains(&address))
    }

    /// Returns the client's address for a connection from `peer`; `None` if it is uncertain.
    ///
    /// Each proxy appends its peer's address, so the last address that is not a trusted proxy is the
    /// client. Earlier ones may be forged.
    fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.contains(peer) {
            return Some(peer.to_canonical());
        }
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for text in value.to_str().ok()?.rsplit(',') {
                let address = address(text.trim())?;
                if !self.contains(address) {
                    return Some(address);
                }
            }
        }
        None
    }
}

/// One trusted proxy, or a network of them in CIDR form (`10.0.0.0/8`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde_with::DeserializeFromStr)]
pub struct TrustedProxy(IpNet);

/// The error of a text that names no proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {why}")]
pub struct InvalidProxy {
    text: String,
    why: String,
}

impl FromStr for TrustedProxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        let fault = |why: &str| InvalidProxy {
            text: text.chars().take(64).collect(),
            why: why.to_owned(),
        };
        let net = text
            .parse::<IpAddr>()
            .map(IpNet::from)
            .or_else(|_| text.parse::<IpNet>());
        let net = net.map_err(|_| {
            fault("expected an address, like `10.0.0.1`, or a network, like `10.0.0.0/8`")
        })?;
        if net.prefix_len() == 0 {
            return Err(fault(
                "every address there is; then anybody could say where they come from",
            ));
        }
        if net.addr() != net.network() {
            return Err(fault(&format!(
                "an address inside a network; for the whole network write `{}`",
                net.trunc()
            )));
        }
        // An IPv4-mapped IPv6 network is compared as IPv4.
        let IpNet::V6(six) = net else {
            return Ok(Self(net));
        };
        let four = six
            .addr()
            .to_ipv4_mapped()
            .zip(six.prefix_len().checked_sub(96));
        let four = four.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
        if four.is_some_and(|four| four.prefix_len() == 0) {
            return Err(fault(
                "every IPv4 address there is; then anybody could say where they come from",
            ));
        }
        Ok(Self(four.map_or(net, IpNet::V4)))
    }
}

/// The client's address; `None` if it is uncertain.
pub(super) struct ClientIp(pub(super) Option<IpAddr>);

impl FromRequestParts<Api> for ClientIp {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(peer)| peer.ip());
        Ok(Self(peer.and_then(|peer| {
            api.proxies.client_ip(peer, &parts.headers)
        })))
    }
}

/// Whether a request came through a trusted proxy.
pub(super) fn is_proxied(request: &Request, proxies: &TrustedProxies) -> bool {
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .is_some_and(|ConnectInfo(peer)| proxies.contains(peer.ip()))
}

/// Parses an address; some proxies append the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[&str], proxies: &[&str]) -> Option<String> {
        let proxies: Vec<TrustedProxy> =
            proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let proxies = TrustedProxies::from(proxies);
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(FORWARDED_FOR, value.parse().unwrap());
        }
        proxies
            .client_ip(peer.parse().unwrap(), &map)
            .map(|address| address.to_string())
    }

    #[test]
    fn a_stranger_is_not_believed() {
        for proxies in [&[][..], &["10.0.0.1"]] {
            assert_eq!(
                seen("192.0.2.7", &["203.0.113.9"], proxies).as_deref(),
                Some("192.0.2.7")
            );
        }
        assert_eq!(
            seen("::ffff:192.0.2.7", &[], &[]).as_deref(),
            Some("192.0.2.7")
        );
    }

    #[test]
    fn a_proxy_tells_whom_it_has_seen() {
        let proxies = ["10.0.0.1", "10.0.0.2", "2001:db8::1"];
        for (headers, expected) in [
            (&["203.0.113.9"][..], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9"], Some("203.0.113.9")),
            (&["1.1.1.1", "203.0.113.9"], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9", "10.0.0.2"], Some("203.0.113.9")),
            (
                &["1.1.1.1, 203.0.113.9 , 10.0.0.2, 2001:db8::1"],
                Some("203.0.113.9"),
            ),
            (&["203.0.113.9:4711"], Some("203.0.113.9")),
            (&["[2001:db8::9]:4711"], Some("2001:db8::9")),
            (&["[2001:db8::9]"], Some("2001:db8::9")),
            (&["::ffff:203.0.113.9"], Some("203.0.113.9")),
            (&[], None),
            (&[""], None),
            (&["10.0.0.2"], None),
            (&["203.0.113.9, unknown"], None),
            (&["203.0.113.9, "], None),
        ] {
            assert_eq!(
                seen("10.0.0.1", headers, &proxies).as_deref(),
                expected,
                "{headers:?}"
            );
        }
        assert_eq!(
            seen("::ffff:10.0.0.1", &["203.0.113.9"], &proxies).as_deref(),
            Some("203.0.113.9")
        );
    }

    #[test]
    fn a_network_of_proxies_is_believed_and_its_neighbours_are_not() {
        let proxies = ["10.0.0.0/8", "2001:db8:1::/48", "::ffff:192.0.2.0/120"];
        for (peer, expected) in [
            ("10.255.1.2", "203.0.113.9"),
            ("::ffff:10.255.1.2", "203.0.113.9"),
            ("2001:db8:1::7", "203.0.113.9"),
            ("192.0.2.255", "203.0.113.9"),
            ("11.0.0.1", "11.0.0.1"),
            ("2001:db8:2::7", "2001:db8:2::7"),
            ("192.0.3.1", "192.0.3.1"),
        ] {
            assert_eq!(
                seen(peer, &["203.0.113.9, 10.1.1.1"], &proxies).as_deref(),
                Some(expected),
                "{peer}"
            );
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "0.0.0.0/0",
            "::/0",
            "::ffff:0.0.0.0/96",
            "10.0.0",
            "proxy.example.com",
            "10.0.0.0/8/8",
        ] {
            assert!(
                bad.parse::<TrustedProxy>()
                    .unwrap_err()
                    .to_string()
                    .starts_with(&format!("`{bad}`: ")),
                "{bad}"
            );
        }
        assert!(
            "10.0.0.1/8"
                .parse::<TrustedProxy>()
                .unwrap_err()
                .to_string()
                .contains("`10.0.0.0/8`")
        );
    }
}
