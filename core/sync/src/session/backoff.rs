//! Exponential backoff with jitter. Its randomness is a seed that comes in.

/// Delay before the first retry.
const DELAY_MS_MIN: u64 = 1000;
/// Longest delay.
pub(super) const DELAY_MS_MAX: u64 = 300_000;

/// Delays of 1 s, 2 s, 4 s, .. up to 5 minutes, each shortened by up to a quarter.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    seed: u64,
    attempts: u32,
}

impl Backoff {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, attempts: 0 }
    }

    /// Tells whether nothing failed since the last success.
    pub(super) const fn is_fresh(&self) -> bool {
        self.attempts == 0
    }

    /// Begins again after a success.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Counts a failure and returns the delay before the next attempt.
    pub(super) fn next_ms(&mut self) -> u64 {
        let delay = DELAY_MS_MIN << self.attempts.min(16);
        self.attempts = self.attempts.saturating_add(1);
        self.jitter(delay.min(DELAY_MS_MAX))
    }

    /// Returns the longest delay, for errors that a retry does not help.
    pub(super) fn longest_ms(&mut self) -> u64 {
        self.jitter(DELAY_MS_MAX)
    }

    /// Shortens a delay by up to a quarter, so that many clients do not return at one time.
    fn jitter(&mut self, delay: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        delay - (self.seed >> 33) % (delay / 4 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_minutes_and_are_shortened_by_a_quarter_at_most() {
        for seed in [0, 1, u64::MAX] {
            let mut backoff = Backoff::new(seed);
            for attempt in 0..40 {
                let full = (1000_u64 << attempt.min(20)).min(300_000);
                let delay = backoff.next_ms();
                assert!((full - full / 4..=full).contains(&delay), "{attempt}: {delay}");
            }
            backoff.reset();
            assert!(backoff.is_fresh() && backoff.next_ms() <= 1000);
        }
    }
}
