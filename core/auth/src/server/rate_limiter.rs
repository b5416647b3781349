//! Rate limiter of password attempts, for each name and each address.
//!
//! - H13 Memory is constant: names and addresses share cells, and a keyed hash selects the cell, so
//!   a client cannot choose one to share.
//!
//! Each cell is the theoretical arrival time of the generic cell rate algorithm. Specified in
//! docs/server.md#limits.

use crate::secret::Secret;
use fastness::{RandomSource, Time};
use ring::hmac;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

const BUCKETS: usize = 1 << 16;

/// Burst size and refill interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Attempts at once.
    pub burst: u32,
    /// Time until one more attempt.
    pub interval: Duration,
}

/// Rates of password attempts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimits {
    /// Failed attempts for each name: 10, then one every 6 seconds.
    pub name: Rate,
    /// All attempts from each address: 60, then two every second.
    pub address: Rate,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            name: Rate { burst: 10, interval: Duration::from_secs(6) },
            address: Rate { burst: 60, interval: Duration::from_millis(500) },
        }
    }
}

/// Rate limiter of password attempts.
pub struct RateLimiter {
    key: hmac::Key,
    names: Buckets,
    addresses: Buckets,
}

struct Buckets {
    rate: Rate,
    arrivals: Box<[Time]>,
}

impl RateLimiter {
    /// Creates a limiter without attempts.
    ///
    /// # Errors
    /// The error of the random source.
    pub fn new(limits: RateLimits, entropy: &dyn RandomSource) -> io::Result<Self> {
        let mut key = [0; 32];
        entropy.fill(&mut key)?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            names: Buckets::new(limits.name),
            addresses: Buckets::new(limits.address),
        })
    }

    /// Counts an attempt, unless it exceeds a rate.
    ///
    /// # Errors
    /// The time to wait; the attempt is not counted.
    pub fn try_acquire(
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

    /// Refunds the attempt of a name after a successful login.
    pub fn refund(&mut self, name: &Secret) {
        let at = self.of_name(name);
        self.names.forget(at);
    }

    fn of_name(&self, name: &Secret) -> usize {
        self.index(b'n', name.expose().as_bytes())
    }

    fn of_address(&self, address: IpAddr) -> usize {
        match address.to_canonical() {
            IpAddr::V4(address) => self.index(b'4', &address.octets()),
            // An IPv6 client owns a whole /64 network.
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
        Self { rate, arrivals: vec![Time(i64::MIN); BUCKETS].into() }
    }

    fn check(&self, at: usize, now: Time) -> Result<(), Duration> {
        let ahead = self.arrivals[at].since(now);
        let most = self.rate.interval.saturating_mul(self.rate.burst.max(1) - 1);
        // After a clock step backwards the wait is bounded by the whole burst.
        let ahead = ahead.min(most.saturating_add(self.rate.interval));
        match ahead.saturating_sub(most) {
            Duration::ZERO => Ok(()),
            pause => Err(pause),
        }
    }

    fn count(&mut self, at: usize, now: Time) {
        let most = now.plus(self.rate.interval.saturating_mul(self.rate.burst.max(1) - 1));
        let until = self.arrivals[at].max(now).min(most);
        self.arrivals[at] = until.plus(self.rate.interval);
    }

    fn forget(&mut self, at: usize) {
        self.arrivals[at] = self.arrivals[at].minus(self.rate.interval);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RateLimiter(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness::OsRandom;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(name: u32, address: u32) -> RateLimiter {
        let rate = |burst| Rate { burst, interval: Duration::from_secs(1) };
        RateLimiter::new(RateLimits { name: rate(name), address: rate(address) }, &OsRandom)
            .unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let mut gate = gate(3, 1000);
        let name = Secret::from("alice");
        let mut pass = |now| gate.try_acquire(Time(now), Some(&name), HOME);
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
            assert_eq!(gate.try_acquire(Time(0), Some(&name), HOME), Ok(()));
            gate.refund(&name);
        }
        assert_eq!(gate.try_acquire(Time(0), Some(&name), HOME), Err(Duration::from_secs(1)));
        assert_eq!(gate.try_acquire(Time(0), None, HOME), Err(Duration::from_secs(1)));
        let other: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(gate.try_acquire(Time(0), None, other), Ok(()));
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
            let passed = gate.try_acquire(now, Some(&"a".into()), HOME);
            assert!(passed.is_ok() || passed.is_err_and(|pause| pause <= Duration::from_secs(2)));
            gate.refund(&"a".into());
        }
    }
}
