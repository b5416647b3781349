//! Admission of connections: in total, for each network, and a reserve for health checks.
//!
//! - H11 Connections are bounded in total and for each network.
//! - H17 A flood of connections leaves places for health checks.
//!
//! Specified in docs/server.md#limits.

use crate::config::HttpLimits;
use fastness_auth::server::SourceNetwork;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections beyond the limit that are served for health checks only.
pub(crate) const RESERVED_CONNECTIONS: usize = 16;

/// Reserved connections from one address.
const RESERVED_PER_ADDRESS_MAX: usize = 2;

/// Counts connections. Clones share the counts.
#[derive(Clone)]
pub(crate) struct ConnectionGate {
    permits: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    regular: NetworkCounts,
    reserved: NetworkCounts,
    trusted_proxies: Arc<[IpAddr]>,
}

/// Open connections of each network, and the limit of one address.
#[derive(Clone)]
struct NetworkCounts {
    counts: Arc<Mutex<HashMap<SourceNetwork, usize>>>,
    per_address_max: usize,
}

/// Requests that an admitted connection may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// Every request.
    Regular,
    /// Health checks only: all regular connections are in use.
    HealthOnly,
}

/// Permit of a connection, returned on drop.
pub(crate) struct ConnectionPermit {
    pub(crate) admission: Admission,
    _permit: OwnedSemaphorePermit,
    _counted: CountedNetworks,
}

/// Place of a connection among those that are permitted. A WebSocket keeps it.
#[derive(Clone)]
pub(crate) struct ConnectionSlot {
    _permit: Arc<ConnectionPermit>,
}

impl ConnectionSlot {
    pub(crate) fn new(permit: ConnectionPermit) -> Self {
        Self { _permit: Arc::new(permit) }
    }
}

/// Networks in which a connection is counted.
struct CountedNetworks {
    counts: NetworkCounts,
    networks: Vec<SourceNetwork>,
}

impl ConnectionGate {
    /// Creates a gate. Trusted proxies have no limit of their own, because they carry the
    /// connections of many clients.
    pub(crate) fn new(limits: HttpLimits, trusted_proxies: &[IpAddr]) -> Self {
        let semaphore = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let counts = |per_address_max| NetworkCounts { counts: Arc::default(), per_address_max };
        Self {
            permits: semaphore(limits.connections_max),
            reserve: semaphore(RESERVED_CONNECTIONS),
            regular: counts(limits.connections_per_address_max),
            reserved: counts(RESERVED_PER_ADDRESS_MAX),
            trusted_proxies: trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
        }
    }

    /// Admits a connection; `None` if its network has enough of them, or nothing is left.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let (semaphore, counts, admission) = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => (Ok(permit), &self.regular, Admission::Regular),
            Err(_) => {
                let reserved = Arc::clone(&self.reserve).try_acquire_owned();
                (reserved, &self.reserved, Admission::HealthOnly)
            }
        };
        let _permit = semaphore.ok()?;
        let is_proxy = self.trusted_proxies.contains(&address.to_canonical());
        let networks = if is_proxy && admission == Admission::Regular {
            Vec::new()
        } else {
            SourceNetwork::all_of(address).collect()
        };
        Some(ConnectionPermit { admission, _permit, _counted: counts.count(networks)? })
    }
}

impl NetworkCounts {
    /// Counts a connection in all its networks, unless one of them is full.
    fn count(&self, networks: Vec<SourceNetwork>) -> Option<CountedNetworks> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = networks.iter().any(|network| {
            let weight = usize::try_from(network.weight).unwrap_or(usize::MAX);
            let most = self.per_address_max.saturating_mul(weight);
            counts.get(network).is_some_and(|count| *count >= most)
        });
        if is_full || self.per_address_max == 0 {
            return None;
        }
        for network in &networks {
            *counts.entry(network.clone()).or_default() += 1;
        }
        Some(CountedNetworks { counts: self.clone(), networks })
    }
}

impl Drop for CountedNetworks {
    fn drop(&mut self) {
        let mut counts = self.counts.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for network in &self.networks {
            if let Some(count) = counts.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit_all(gate: &ConnectionGate, addresses: &[&str]) -> Vec<Option<Admission>> {
        let permits: Vec<_> =
            addresses.iter().map(|address| gate.admit(address.parse().unwrap())).collect();
        permits.iter().map(|permit| permit.as_ref().map(|permit| permit.admission)).collect()
    }

    fn limits(connections_max: usize, connections_per_address_max: usize) -> HttpLimits {
        HttpLimits { connections_max, connections_per_address_max, ..HttpLimits::default() }
    }

    #[test]
    fn connections_are_counted_by_network() {
        let gate = ConnectionGate::new(limits(100, 1), &[]);
        let (yes, no) = (Some(Admission::Regular), None);
        let pair = |one, other| admit_all(&gate, &[one, other]);
        assert_eq!(pair("2001:db8::1", "2001:db8::ffff:0:0:1"), [yes, no]);
        assert_eq!(pair("2001:db8::1", "2001:db8:0:1::1"), [yes, yes]);
        assert_eq!(pair("192.0.2.1", "::ffff:192.0.2.1"), [yes, no]);
        assert_eq!(pair("192.0.2.1", "192.0.2.2"), [yes, yes]);
        let wide: Vec<String> = (0..20).map(|part| format!("2001:db8:0:{part:x}::1")).collect();
        let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
        let admitted = admit_all(&gate, &wide).into_iter().flatten().count();
        assert_eq!(admitted, 4, "a network of 56 bits has four times the limit");
    }

    #[test]
    fn health_checks_have_places_when_all_others_are_in_use() {
        let gate = ConnectionGate::new(limits(2, 2), &[]);
        let home = "127.0.0.1".parse().unwrap();
        let held =
            [gate.admit("192.0.2.1".parse().unwrap()), gate.admit("192.0.2.2".parse().unwrap())];
        let reserved = gate.admit(home).unwrap();
        assert_eq!(reserved.admission, Admission::HealthOnly);
        let second = gate.admit(home).unwrap();
        assert!(gate.admit(home).is_none(), "one address cannot take the whole reserve");
        drop((held, reserved, second));
        assert_eq!(gate.admit(home).unwrap().admission, Admission::Regular);
    }

    #[test]
    fn a_trusted_proxy_has_no_limit_of_its_own() {
        let proxy = "192.0.2.7".parse().unwrap();
        let gate = ConnectionGate::new(limits(100, 1), &[proxy]);
        let admitted = admit_all(&gate, &["192.0.2.7"; 50]);
        assert!(admitted.iter().all(Option::is_some));
    }
}
