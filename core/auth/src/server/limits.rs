//! How often passwords may be tried: for each name, and from each address.
//!
//! - H13 Memory is fixed: names and addresses share buckets, chosen by a keyed hash so that nobody
//!   can choose whom to share with.
//!
//! A bucket is a point in time: up to when the attempts so far use up the rate. Specified in
//! docs/server.md#limits.

use crate::secret::Secret;
use fastness::{RandomSource, Time};
use ring::hmac;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

const BUCKETS: usize = 1 << 16;

/// So many at once, and then one each time this has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How many at once.
    pub burst: u32,
    /// How long until one more.
    pub pause: Duration,
}

/// How often passwords may be tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For each name: attempts that failed. 10, then one each 6 seconds.
    pub name: Rate,
    /// From each address: attempts of all kinds. 60, then two each second.
    pub address: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            name: Rate { burst: 10, pause: Duration::from_secs(6) },
            address: Rate { burst: 60, pause: Duration::from_millis(500) },
        }
    }
}

/// Counts attempts.
pub struct Gate {
    key: hmac::Key,
    names: Buckets,
    addresses: Buckets,
}

struct Buckets {
    rate: Rate,
    used_until: Box<[Time]>,
}

impl Gate {
    /// Starts with no attempts.
    ///
    /// # Errors
    /// If there are no random bytes.
    pub fn new(limits: Limits, entropy: &dyn RandomSource) -> io::Result<Self> {
        let mut key = [0; 32];
        entropy.fill(&mut key)?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            names: Buckets::new(limits.name),
            addresses: Buckets::new(limits.address),
        })
    }

    /// Counts an attempt, if it may be made.
    ///
    /// # Errors
    /// How long to wait; nothing is counted then.
    pub fn pass(
        &mut self,
        now: Time,
        name: Option<&Secret>,
        address: IpAddr,
    ) -> Result<(), Duration> {
        let from = self.of_address(address);
        let name = name.map(|name| self.of_name(name));
        self.addresses.check(from, now)?;
        if let Some(name) = name {
            self.names.check(name, now)?;
            self.names.count(name, now);
        }
        self.addresses.count(from, now);
        Ok(())
    }

    /// Takes back the attempt at a name, as it succeeded.
    pub fn succeeded(&mut self, name: &Secret) {
        let at = self.of_name(name);
        self.names.forget(at);
    }

    fn of_name(&self, name: &Secret) -> usize {
        self.index(b'n', name.expose().as_bytes())
    }

    fn of_address(&self, address: IpAddr) -> usize {
        match address.to_canonical() {
            IpAddr::V4(address) => self.index(b'4', &address.octets()),
            // Whoever has one address of a network of the sixth version has 2^64.
            IpAddr::V6(address) => self.index(b'6', &address.octets()[..8]),
        }
    }

    fn index(&self, kind: u8, bytes: &[u8]) -> usize {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&[kind]);
        context.update(bytes);
        let tag = context.sign();
        tag.as_ref().iter().take(2).fold(0, |index, byte| index << 8 | usize::from(*byte))
    }
}

impl Buckets {
    fn new(rate: Rate) -> Self {
        Self { rate, used_until: vec![Time(i64::MIN); BUCKETS].into() }
    }

    fn check(&self, at: usize, now: Time) -> Result<(), Duration> {
        let ahead = self.used_until[at].since(now);
        let most = self.rate.pause.saturating_mul(self.rate.burst.max(1) - 1);
        // A clock that was put back makes nobody wait longer than the whole burst.
        let ahead = ahead.min(most.saturating_add(self.rate.pause));
        match ahead.saturating_sub(most) {
            Duration::ZERO => Ok(()),
            pause => Err(pause),
        }
    }

    fn count(&mut self, at: usize, now: Time) {
        let most = now.plus(self.rate.pause.saturating_mul(self.rate.burst.max(1) - 1));
        let until = self.used_until[at].max(now).min(most);
        self.used_until[at] = until.plus(self.rate.pause);
    }

    fn forget(&mut self, at: usize) {
        self.used_until[at] = self.used_until[at].minus(self.rate.pause);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness::OsRandom;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(name: u32, address: u32) -> Gate {
        let rate = |burst| Rate { burst, pause: Duration::from_secs(1) };
        Gate::new(Limits { name: rate(name), address: rate(address) }, &OsRandom).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let mut gate = gate(3, 1000);
        let name = Secret::from("alice");
        let mut pass = |now| gate.pass(Time(now), Some(&name), HOME);
        for _ in 0..3 {
            assert_eq!(pass(0), Ok(()));
        }
        assert_eq!(pass(0), Err(Duration::from_secs(1)));
        assert_eq!(pass(999), Err(Duration::from_millis(1)));
        assert_eq!(pass(1000), Ok(()));
        assert_eq!(pass(1000), Err(Duration::from_secs(1)));
        assert_eq!(pass(-1_000_000), Err(Duration::from_secs(1)), "the clock was put back");
        assert_eq!(pass(1_000_000), Ok(()));
    }

    #[test]
    fn success_gives_the_name_its_attempt_back_but_not_the_address() {
        let mut gate = gate(1, 3);
        let name = Secret::from("alice");
        for _ in 0..3 {
            assert_eq!(gate.pass(Time(0), Some(&name), HOME), Ok(()));
            gate.succeeded(&name);
        }
        assert_eq!(gate.pass(Time(0), Some(&name), HOME), Err(Duration::from_secs(1)));
        assert_eq!(gate.pass(Time(0), None, HOME), Err(Duration::from_secs(1)));
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(gate.pass(Time(0), None, other), Ok(()));
    }

    #[test]
    fn addresses_are_one_by_network_and_however_written() {
        let gate = gate(1, 1);
        let of = |text: &str| gate.of_address(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("127.0.0.1"), of("::ffff:127.0.0.1"));
    }

    #[test]
    fn the_ends_of_time_are_no_obstacle() {
        let mut gate = gate(2, 2);
        for now in [Time(i64::MIN), Time(0), Time::NEVER, Time(i64::MIN)] {
            let passed = gate.pass(now, Some(&"a".into()), HOME);
            assert!(passed.is_ok() || passed.is_err_and(|pause| pause <= Duration::from_secs(2)));
            gate.succeeded(&"a".into());
        }
    }
}
