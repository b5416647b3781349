//! Address of a client behind reverse proxies.
//!
//! - H13 Only a trusted proxy may say for which client it sends a request, so no client chooses the
//!   address that its limits count.
//!
//! Specified in docs/operating.md#behind-a-reverse-proxy.

use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// Header in which each proxy appends the address of its client.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Headers that only a proxy sends.
const PROXY_HEADERS: [&str; 3] = [FORWARDED_FOR, "forwarded", "via"];

/// Returns the address of the client: the last one in the chain of proxies that is not trusted.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.contains(&address.to_canonical());
    let mut client = peer.to_canonical();
    let lines: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(|line| line.to_str().unwrap_or("unreadable"))
        .collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
    while is_trusted(&client) {
        // A proxy that names no address is itself the client.
        let Some(hop) = hops.next().and_then(|hop| parse(hop.trim())) else { break };
        client = hop.to_canonical();
    }
    client
}

/// Returns whether a request came over a proxy.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    PROXY_HEADERS.iter().any(|header| headers.contains_key(*header))
}

/// Parses an address, with or without a port.
fn parse(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(peer: &str, lines: &[&str], expect: &str) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted = ["10.0.0.1", "10.0.0.2"].map(|address| address.parse().unwrap());
        let found = client_address(peer.parse().unwrap(), &headers, &trusted);
        assert_eq!(found, expect.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.1"], "192.0.2.1");
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("::ffff:10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1");
        check("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        // The client sent the first part itself.
        check("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["203.0.113.9", "198.51.100.1, 10.0.0.2"], "198.51.100.1");
        check("10.0.0.1", &["10.0.0.2, 10.0.0.1"], "10.0.0.2");
        check("10.0.0.1", &["unknown"], "10.0.0.1");
        check("10.0.0.1", &["198.51.100.1, "], "10.0.0.1");
    }

    #[test]
    fn forwarded_requests_are_recognized() {
        let mut headers = HeaderMap::new();
        assert!(!is_forwarded(&headers));
        headers.append("via", "1.1 proxy".parse().unwrap());
        assert!(is_forwarded(&headers));
    }
}
