//! Exponential back-off, and a retry loop without a clock.
//!
//! - U8 Only retryable failures are retried, with delays that grow to five minutes.
//!
//! Neither type sleeps or calls back; dropping it cancels the retries. Specified in
//! docs/auth.md#retries.

use crate::error::AuthError;
use fastness::Time;
use std::time::Duration;

/// Longest delay: five minutes.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// Base of the delays, in milliseconds.
const STEP_MS: u64 = 500;

/// Exponential back-off: each delay is more than twice the previous one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
    attempt: u32,
    /// State of the random number generator; `None` without jitter.
    jitter: Option<u64>,
}

impl Backoff {
    /// Creates a back-off without jitter, whose first delay is zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a back-off whose first delay is zero. Jitter shortens every later delay by up to
    /// half, at random. Each client should have another seed.
    #[must_use]
    pub const fn jittered(seed: u64) -> Self {
        Self { attempt: 0, jitter: Some(seed) }
    }

    /// Returns the delay before an attempt without jitter; attempts count from 0.
    #[must_use]
    pub fn full_delay(attempt: u32) -> Duration {
        let factor = 1_u64.checked_shl(attempt).map_or(u64::MAX, |power| power - 1);
        Duration::from_millis(factor.saturating_mul(STEP_MS)).min(BACKOFF_MAX)
    }

    /// Returns the delay before the next attempt and counts the attempt.
    pub fn next_delay(&mut self) -> Duration {
        let whole = Self::full_delay(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        let Some(state) = &mut self.jitter else { return whole };
        // A delay is at most 300 000 ms, so the product has at most 51 bits.
        let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
        let share = roll(state) >> 32;
        whole - Duration::from_millis(((millis / 2) * share) >> 32)
    }

    /// Restarts with the first attempt made now, so the next delay is the second one.
    pub(crate) fn restart(&mut self) {
        self.attempt = 1;
    }

    /// Restarts with a delay of zero.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Returns the number of attempts since the last restart.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }
}

/// One step of the splitmix64 generator.
const fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Retry loop for one idempotent request, such as a revocation.
///
/// ```
/// use fastness_auth::{AuthError, Backoff, NetworkError, Retry, Time};
///
/// let mut retry = Retry::new(Time(0), Backoff::new());
/// assert_eq!(retry.deadline(), Some(Time(0)));
/// assert!(retry.begin(Time(0))); // send the request now
/// retry.failed(Time(100), &AuthError::from_network(NetworkError::Refused));
/// assert_eq!(retry.deadline(), Some(Time(600))); // not before
/// assert!(!retry.begin(Time(599)) && retry.begin(Time(600)));
/// retry.done();
/// assert_eq!(retry.deadline(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    backoff: Backoff,
    state: RetryState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RetryState {
    Due(Time),
    InFlight,
    Finished,
}

impl Retry {
    /// Creates a loop whose first attempt is due now.
    #[must_use]
    pub fn new(now: Time, mut backoff: Backoff) -> Self {
        let state = RetryState::Due(now.plus(backoff.next_delay()));
        Self { backoff, state }
    }

    /// Returns when the next attempt is due; `None` while an attempt is in flight and after the
    /// end. Call [`Retry::begin`] at least every [`BACKOFF_MAX`], because the clock may step back.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.state {
            RetryState::Due(at) => Some(at),
            RetryState::InFlight | RetryState::Finished => None,
        }
    }

    /// Returns whether an attempt is due, and marks it as in flight.
    pub fn begin(&mut self, now: Time) -> bool {
        // After a clock step backwards the wait is bounded by the longest delay.
        let is_due = |at: Time| at <= now || at > now.plus(BACKOFF_MAX);
        let begins = matches!(self.state, RetryState::Due(at) if is_due(at));
        if begins {
            self.state = RetryState::InFlight;
        }
        begins
    }

    /// Records the failure of the attempt in flight; returns whether another attempt follows.
    pub fn failed(&mut self, now: Time, error: &AuthError) -> bool {
        if self.state == RetryState::InFlight {
            self.state = match error.is_retryable() {
                true => RetryState::Due(now.plus(self.backoff.next_delay())),
                false => RetryState::Finished,
            };
        }
        self.state != RetryState::Finished
    }

    /// Makes the next attempt due now, because the network is back.
    pub fn online(&mut self, now: Time) {
        if let RetryState::Due(_) = self.state {
            self.backoff.reset();
            self.state = RetryState::Due(now.plus(self.backoff.next_delay()));
        }
    }

    /// Schedules the next attempt after the longest delay: the failure of the attempt in flight
    /// needs time or another network.
    pub fn postpone(&mut self, now: Time) {
        if self.state == RetryState::InFlight {
            self.state = RetryState::Due(now.plus(BACKOFF_MAX));
        }
    }

    /// Ends the attempts.
    pub const fn done(&mut self) {
        self.state = RetryState::Finished;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkError;

    #[test]
    fn delays_equal_those_of_the_original() {
        let expect = [
            0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 63_500, 127_500, 255_500, 300_000, 300_000,
        ];
        let mut backoff = Backoff::new();
        for (attempt, millis) in (0..).zip(expect) {
            assert_eq!(Backoff::full_delay(attempt), Duration::from_millis(millis));
            assert_eq!(backoff.next_delay(), Duration::from_millis(millis));
        }
        for attempt in [53, 63, 64, 65, u32::MAX] {
            assert_eq!(Backoff::full_delay(attempt), BACKOFF_MAX);
        }
        assert_eq!(backoff.attempts(), 12);
        backoff.reset();
        assert_eq!(backoff.next_delay(), Duration::ZERO);
    }

    #[test]
    fn jitter_shortens_by_up_to_a_half_and_differs() {
        let mut seen = Vec::new();
        for seed in 0..100 {
            let mut backoff = Backoff::jittered(seed);
            for attempt in 0..20 {
                let (whole, pause) = (Backoff::full_delay(attempt), backoff.next_delay());
                assert!(pause <= whole && pause * 2 >= whole, "{attempt}: {pause:?}");
                if attempt == 19 {
                    seen.push(pause);
                }
            }
        }
        seen.sort();
        assert!(seen[5] < BACKOFF_MAX.mul_f64(0.6) && seen[94] > BACKOFF_MAX.mul_f64(0.9));
        seen.dedup();
        assert!(seen.len() > 90);
    }

    #[test]
    fn a_call_is_repeated_until_it_has_an_outcome() {
        let refused = AuthError::from_network(NetworkError::Refused);
        let mut retry = Retry::new(Time(0), Backoff::new());
        assert!(retry.failed(Time(0), &refused), "nothing is in flight: nothing changes");
        assert!(retry.begin(Time(0)) && !retry.begin(Time(0)));
        assert!(retry.failed(Time(10), &refused));
        assert_eq!(retry.deadline(), Some(Time(510)));
        retry.online(Time(20));
        assert!(retry.begin(Time(20)));
        let wrong = AuthError::from_response(401, br#"{"code": 611}"#);
        assert!(!retry.failed(Time(30), &wrong));
        assert!(retry.deadline().is_none() && !retry.begin(Time(i64::MAX)));
    }

    #[test]
    fn a_clock_step_backwards_stops_no_attempt() {
        let mut retry = Retry::new(Time(1 << 40), Backoff::new());
        assert!(retry.begin(Time(0)));
    }
}
