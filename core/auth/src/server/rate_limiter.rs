//! Rate limiter of password attempts, for each name and each address, and of other events of an
//! address.
//!
//! - H13 Memory is constant: names and addresses share cells, and a keyed hash selects the cell, so
//!   a client cannot choose one to share. A step of the wall clock changes no limit: the time that
//!   comes in is that of a monotonic clock.
//!
//! Each cell is the theoretical arrival time of the generic cell rate algorithm. Specified in
//! docs/server.md#limits.

use super::source_network::SourceNetwork;
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

/// Rates of the events of names and addresses.
///
/// The rates of an address hold for an IPv4 address and for an IPv6 network of 64 bits. A network
/// of 56 bits has four times these rates, and one of 48 bits sixteen times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateLimits {
    /// Failed password attempts for each name: 10, then one every 6 seconds.
    pub name: Rate,
    /// Password attempts from each address: 60, then two every second.
    pub address: Rate,
    /// Revocations and rotations of tokens from each address: 600, then twenty every second.
    pub token: Rate,
    /// Lines of the log that an address may cause: 200, then five every second.
    pub line: Rate,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            name: Rate { burst: 10, interval: Duration::from_secs(6) },
            address: Rate { burst: 60, interval: Duration::from_millis(500) },
            token: Rate { burst: 600, interval: Duration::from_millis(50) },
            line: Rate { burst: 200, interval: Duration::from_millis(200) },
        }
    }
}

/// Event of an address that is limited by its rate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressEvent {
    /// A revocation or a rotation of a token.
    Token,
    /// A line of the log.
    Line,
}

/// Rate limiter of names and addresses.
///
/// All times come from one monotonic clock, which no step of the wall clock changes.
pub struct RateLimiter {
    key: hmac::Key,
    names: Buckets,
    addresses: Buckets,
    tokens: Buckets,
    lines: Buckets,
}

struct Buckets {
    rate: Rate,
    /// Arrival times since the earliest time there is: untouched cells stay zero, which the system
    /// supplies without writing them.
    arrivals: Box<[u64]>,
}

/// Cell of a network, and the number of single addresses that its rate is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cell {
    index: usize,
    weight: u32,
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
            tokens: Buckets::new(limits.token),
            lines: Buckets::new(limits.line),
        })
    }

    /// Counts a password attempt, unless it exceeds a rate.
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
        self.addresses.check_all(&from, now)?;
        if let Some(name) = name {
            self.names.check(name, now)?;
            self.names.count(name, now);
        }
        self.addresses.count_all(&from, now);
        Ok(())
    }

    /// Counts another event of an address, unless it exceeds the rate.
    ///
    /// # Errors
    /// The time to wait; the event is not counted.
    pub fn try_acquire_event(
        &mut self,
        now: Time,
        event: AddressEvent,
        address: IpAddr,
    ) -> Result<(), Duration> {
        let from = self.of_address(address);
        let buckets = match event {
            AddressEvent::Token => &mut self.tokens,
            AddressEvent::Line => &mut self.lines,
        };
        buckets.check_all(&from, now)?;
        buckets.count_all(&from, now);
        Ok(())
    }

    /// Refunds the attempt of a name after a successful login.
    pub fn refund(&mut self, name: &Secret) {
        let at = self.of_name(name);
        self.names.forget(at);
    }

    fn of_name(&self, name: &Secret) -> Cell {
        Cell { index: self.index(b'n', name.expose().as_bytes()), weight: 1 }
    }

    /// Returns the cells of the networks that contain an address.
    fn of_address(&self, address: IpAddr) -> Vec<Cell> {
        let networks = SourceNetwork::all_of(address);
        networks
            .map(|network| Cell {
                index: self.index(b'a', network.prefix.as_slice()),
                weight: network.weight,
            })
            .collect()
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
        Self { rate, arrivals: vec![0; BUCKETS].into() }
    }

    fn check_all(&self, cells: &[Cell], now: Time) -> Result<(), Duration> {
        cells.iter().try_for_each(|cell| self.check(*cell, now))
    }

    fn count_all(&mut self, cells: &[Cell], now: Time) {
        cells.iter().for_each(|cell| self.count(*cell, now));
    }

    /// Returns the time between two events of a cell, and the length of a whole burst but one.
    fn pace(&self, cell: Cell) -> (Duration, Duration) {
        let interval = self.rate.interval / cell.weight;
        let burst = self.rate.burst.saturating_mul(cell.weight).max(1);
        (interval, interval.saturating_mul(burst - 1))
    }

    fn check(&self, cell: Cell, now: Time) -> Result<(), Duration> {
        let (interval, most) = self.pace(cell);
        let ahead = self.arrival(cell).since(now);
        // The wait is bounded by the whole burst, whatever the clock does.
        let ahead = ahead.min(most.saturating_add(interval));
        match ahead.saturating_sub(most) {
            Duration::ZERO => Ok(()),
            pause => Err(pause),
        }
    }

    fn count(&mut self, cell: Cell, now: Time) {
        let (interval, most) = self.pace(cell);
        let until = self.arrival(cell).max(now).min(now.plus(most));
        self.set_arrival(cell, until.plus(interval));
    }

    fn forget(&mut self, cell: Cell) {
        let (interval, _) = self.pace(cell);
        self.set_arrival(cell, self.arrival(cell).minus(interval));
    }

    const fn arrival(&self, cell: Cell) -> Time {
        Time(self.arrivals[cell.index].cast_signed() ^ i64::MIN)
    }

    const fn set_arrival(&mut self, cell: Cell, time: Time) {
        self.arrivals[cell.index] = (time.0 ^ i64::MIN).cast_unsigned();
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
        let (name, address) = (rate(name), rate(address));
        let limits = RateLimits { name, address, ..RateLimits::default() };
        RateLimiter::new(limits, &OsRandom).unwrap()
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
        let shared =
            |one: &str, other: &str| of(one).iter().filter(|c| of(other).contains(c)).count();
        assert_eq!(shared("2001:db8::1", "2001:db8:0:ff::1"), 2, "a network of 56 bits");
        assert_eq!(shared("2001:db8::1", "2001:db8:0:100::1"), 1, "a network of 48 bits");
        assert_eq!(shared("2001:db8::1", "2001:db8:1::1"), 0);
        assert_eq!(of("127.0.0.1"), of("::ffff:127.0.0.1"));
    }

    #[test]
    fn a_client_with_many_networks_of_64_bits_is_limited_as_a_whole() {
        for (bits, bound) in [(64, 4 * 3), (72, 16 * 3)] {
            let mut gate = gate(1, 3);
            let passed = (0..100_u128).filter(|network| {
                let address = 0x2001_0db8 << 96 | network << bits;
                let address = std::net::Ipv6Addr::from(address).into();
                gate.try_acquire(Time(0), None, address).is_ok()
            });
            assert_eq!(passed.count(), bound, "networks that differ from bit {bits} on");
        }
    }

    #[test]
    fn other_events_have_their_own_rates() {
        let mut gate = gate(1, 1);
        assert_eq!(gate.try_acquire(Time(0), None, HOME), Ok(()));
        for (event, burst) in [(AddressEvent::Token, 600), (AddressEvent::Line, 200)] {
            for _ in 0..burst {
                assert_eq!(gate.try_acquire_event(Time(0), event, HOME), Ok(()));
            }
            assert!(gate.try_acquire_event(Time(0), event, HOME).is_err());
        }
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
