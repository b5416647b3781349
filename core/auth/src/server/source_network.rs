//! Networks that a client may own: an IPv4 address, or the IPv6 networks of 64, 56 and 48 bits.
//!
//! - H13 A client that changes its address within its own network stays within one limit.
//!
//! A provider assigns an IPv6 network of 48 to 64 bits to one customer, so each of the three has a
//! limit. Specified in docs/server.md#limits.

use std::net::IpAddr;

/// Network that contains the address of a client.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SourceNetwork {
    /// The bytes that all addresses of the network share.
    pub prefix: Vec<u8>,
    /// Number of single addresses that the limit of the network is worth.
    pub weight: u32,
}

/// Bytes of the prefix and weight of each IPv6 network.
const IPV6_NETWORKS: [(usize, u32); 3] = [(8, 1), (7, 4), (6, 16)];

impl SourceNetwork {
    /// Returns the networks of an address, the smallest one first.
    pub fn all_of(address: IpAddr) -> impl Iterator<Item = Self> {
        let networks: Vec<Self> = match address.to_canonical() {
            IpAddr::V4(address) => vec![Self { prefix: address.octets().to_vec(), weight: 1 }],
            IpAddr::V6(address) => {
                let octets = address.octets();
                let network = |(bytes, weight)| Self { prefix: octets[..bytes].to_vec(), weight };
                IPV6_NETWORKS.into_iter().map(network).collect()
            }
        };
        networks.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_limit_for_each_network_that_a_customer_may_own() {
        let of = |text: &str| -> Vec<(usize, u32)> {
            let networks = SourceNetwork::all_of(text.parse().unwrap());
            networks.map(|network| (network.prefix.len(), network.weight)).collect()
        };
        assert_eq!(of("192.0.2.1"), [(4, 1)]);
        assert_eq!(of("::ffff:192.0.2.1"), [(4, 1)]);
        assert_eq!(of("2001:db8::1"), [(8, 1), (7, 4), (6, 16)]);
    }
}
