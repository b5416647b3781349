//! A client's hybrid logical clock: the stamps of its entries.
//!
//! - HC1 A stamp is greater than every stamp that the client wrote or saw before.
//! - HC2 A stamp follows the server's clock, as far as HC1 permits, whatever the local clock says.
//!
//! Local time comes in; the last stamp is persisted with the entry that has it. Specification:
//! docs/sync.md#merge-rules, MR7. The server clamps stamps itself and trusts no client's clock.

/// The greatest stamp that a client takes from a server: 2^63 later ones are left for its own
/// entries.
pub const STAMP_MAX: u64 = (1 << 63) - 1;

/// A hybrid logical clock, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    last: u64,
    /// Server's time minus local time.
    offset: i64,
}

impl Clock {
    /// Continues a clock whose last stamp was persisted; 0 for a new client.
    #[must_use]
    pub const fn new(last: u64) -> Self {
        Self { last, offset: 0 }
    }

    /// Returns the clock with another persisted stamp, and the same offset.
    #[must_use]
    pub const fn continued(&self, last: u64) -> Self {
        Self { last, ..*self }
    }

    /// Returns the greatest stamp that was written or seen: the value to persist.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Notes the server's time, as it was when the local clock showed `local`.
    pub fn synchronize(&mut self, server: u64, local: u64) {
        let difference = i128::from(server) - i128::from(local);
        let bound = i128::from(i64::MAX);
        self.offset = i64::try_from(difference.clamp(-bound, bound)).unwrap_or_default();
    }

    /// Notes the stamp of an entry that was downloaded.
    pub fn observe(&mut self, stamp: u64) {
        self.last = self.last.max(stamp);
    }

    /// Returns the stamp of a new entry; none after the last stamp of 64 bits.
    pub fn stamp(&mut self, local: u64) -> Option<u64> {
        let now = local.saturating_add_signed(self.offset);
        self.last = self.last.checked_add(1)?.max(now);
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn stamps_follow_the_server() {
        let mut clock = Clock::new(0);
        assert_eq!(clock.stamp(1000), Some(1000));
        clock.synchronize(5000, 1010);
        assert_eq!(clock.stamp(1010), Some(5000));
        assert_eq!(clock.stamp(1200), Some(5190));
    }

    #[test]
    fn stamps_increase_whatever_the_local_clock_does() {
        let mut clock = Clock::new(7000);
        assert_eq!(clock.stamp(1000), Some(7001));
        clock.observe(9000);
        assert_eq!(clock.stamp(2000), Some(9001));
        clock.observe(8000);
        clock.synchronize(100, 2000);
        assert_eq!(clock.stamp(0), Some(9002));
        assert_eq!(clock.last(), 9002);
        assert_eq!(Clock::new(clock.last()).stamp(9500), Some(9500));
    }

    #[test]
    fn extreme_times_are_no_overflow() {
        let mut clock = Clock::new(u64::MAX - 1);
        clock.synchronize(u64::MAX, 0);
        assert_eq!(clock.stamp(u64::MAX), Some(u64::MAX));
        assert_eq!(clock.stamp(0), None);
        let mut clock = Clock::new(0);
        clock.synchronize(0, u64::MAX);
        assert_eq!(clock.stamp(u64::MAX), Some(1 << 63));
    }
}
