//! Where a request comes from: the other end of its connection, or what a proxy that is trusted says of it.
//!
//! Owns the reading of `X-Forwarded-For`. INVARIANT: what a stranger may have written is never believed; what cannot be told is not known.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, request::Parts},
};

use super::{Api, Problem};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from; `None` if it cannot be told.
pub(super) struct Network(pub(super) Option<IpAddr>);

impl FromRequestParts<Api> for Network {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        Ok(Self(peer.and_then(|peer| origin(peer, &parts.headers, &api.proxies))))
    }
}

/// Whether a request came through a proxy of ours.
pub(super) fn is_proxied(request: &Request, proxies: &[IpAddr]) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical());
    peer.is_some_and(|peer| proxies.contains(&peer))
}

/// Each proxy appends the address of who called it: from the end, the first that is no proxy of ours is the one that ours has seen. What stands
/// before it is only what that caller says.
fn origin(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !proxies.contains(&peer) {
        return Some(peer);
    }
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        for text in value.to_str().ok()?.rsplit(',') {
            let address = address(text.trim())?;
            if !proxies.contains(&address) {
                return Some(address);
            }
        }
    }
    None
}

/// An address; some proxies write the port, too.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, headers: &[&str], proxies: &[&str]) -> Option<String> {
        let proxies: Vec<IpAddr> = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(FORWARDED_FOR, value.parse().unwrap());
        }
        origin(peer.parse().unwrap(), &map, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn a_stranger_is_not_believed() {
        for proxies in [&[][..], &["10.0.0.1"]] {
            assert_eq!(seen("192.0.2.7", &["203.0.113.9"], proxies).as_deref(), Some("192.0.2.7"));
        }
        assert_eq!(seen("::ffff:192.0.2.7", &[], &[]).as_deref(), Some("192.0.2.7"));
    }

    #[test]
    fn a_proxy_tells_whom_it_has_seen() {
        let proxies = ["10.0.0.1", "10.0.0.2", "2001:db8::1"];
        for (headers, expected) in [
            (&["203.0.113.9"][..], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9"], Some("203.0.113.9")),
            (&["1.1.1.1", "203.0.113.9"], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9", "10.0.0.2"], Some("203.0.113.9")),
            (&["1.1.1.1, 203.0.113.9 , 10.0.0.2, 2001:db8::1"], Some("203.0.113.9")),
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
            assert_eq!(seen("10.0.0.1", headers, &proxies).as_deref(), expected, "{headers:?}");
        }
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9"], &proxies).as_deref(), Some("203.0.113.9"));
    }
}
