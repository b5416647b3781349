//! When to try again: pauses that grow, and a call that is repeated until it has an outcome.
//!
//! - U8 Only what a repetition can help is repeated, with pauses that grow to five minutes.
//!
//! Nothing here sleeps or calls back, so that there is nothing to interrupt: whoever does not want
//! to go on drops what is here. Specified in docs/auth.md#repeating.

use crate::error::AuthError;
use fastness::Time;
use std::time::Duration;

/// The longest pause: five minutes.
pub const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What one more failure adds to twice the pause before.
const STEP_MS: u64 = 500;

/// Pauses before attempts, each more than twice as long as the one before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backoff {
    attempt: u32,
    /// State of the generator, if there is jitter.
    jitter: Option<u64>,
}

impl Backoff {
    /// Starts with no pause, and without jitter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts with no pause; every later one is shortened by up to a half, at random. The seed
    /// should differ from client to client.
    #[must_use]
    pub const fn jittered(seed: u64) -> Self {
        Self { attempt: 0, jitter: Some(seed) }
    }

    /// Returns the whole pause before an attempt, counted from 0.
    #[must_use]
    pub fn whole(attempt: u32) -> Duration {
        let factor = 1_u64.checked_shl(attempt).map_or(u64::MAX, |power| power - 1);
        Duration::from_millis(factor.saturating_mul(STEP_MS)).min(PAUSE_MAX)
    }

    /// Returns the pause before the next attempt, and counts the attempt.
    pub fn pause(&mut self) -> Duration {
        let whole = Self::whole(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        let Some(state) = &mut self.jitter else { return whole };
        // A pause has at most 300 000 ms, so that the product has at most 51 bits.
        let millis = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
        let share = roll(state) >> 32;
        whole - Duration::from_millis(((millis / 2) * share) >> 32)
    }

    /// Begins anew, with the first attempt made now: the next pause is the second.
    pub(crate) fn restart(&mut self) {
        self.attempt = 1;
    }

    /// Begins anew with no pause.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Returns how many attempts were counted since the beginning.
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

/// A call that is repeated as long as that can help: a revocation, or whatever else may be done
/// twice.
///
/// ```
/// use fastness_auth::{AuthError, Backoff, NetworkFault, Retry, Time};
///
/// let mut retry = Retry::new(Time(0), Backoff::new());
/// assert_eq!(retry.deadline(), Some(Time(0)));
/// assert!(retry.begin(Time(0))); // send the request now
/// retry.failed(Time(100), &AuthError::from_network(NetworkFault::Refused));
/// assert_eq!(retry.deadline(), Some(Time(600))); // not before
/// assert!(!retry.begin(Time(599)) && retry.begin(Time(600)));
/// retry.done();
/// assert_eq!(retry.deadline(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    backoff: Backoff,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Due(Time),
    InFlight,
    Over,
}

impl Retry {
    /// Makes a call whose first attempt is due now.
    #[must_use]
    pub fn new(now: Time, mut backoff: Backoff) -> Self {
        let state = State::Due(now.plus(backoff.pause()));
        Self { backoff, state }
    }

    /// Returns when the next attempt is due; `None` while one is made, and when it is over. Do not
    /// sleep longer than [`PAUSE_MAX`] without calling [`Retry::begin`]: clocks are put back.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Due(at) => Some(at),
            State::InFlight | State::Over => None,
        }
    }

    /// Returns whether an attempt has to be made now, which then is in flight.
    pub fn begin(&mut self, now: Time) -> bool {
        // A clock that was put back makes nobody wait longer than the longest pause.
        let is_due = |at: Time| at <= now || at > now.plus(PAUSE_MAX);
        let begins = matches!(self.state, State::Due(at) if is_due(at));
        if begins {
            self.state = State::InFlight;
        }
        begins
    }

    /// Takes the failure of the attempt in flight; returns whether there will be another.
    pub fn failed(&mut self, now: Time, error: &AuthError) -> bool {
        if self.state == State::InFlight {
            self.state = match error.retry_helps() {
                true => State::Due(now.plus(self.backoff.pause())),
                false => State::Over,
            };
        }
        self.state != State::Over
    }

    /// Makes the next attempt due now, as there is a network again.
    pub fn online(&mut self, now: Time) {
        if let State::Due(_) = self.state {
            self.backoff.reset();
            self.state = State::Due(now.plus(self.backoff.pause()));
        }
    }

    /// Puts the next attempt off for the longest pause, after a failure of the attempt in flight
    /// that only time or another network can help.
    pub fn postpone(&mut self, now: Time) {
        if self.state == State::InFlight {
            self.state = State::Due(now.plus(PAUSE_MAX));
        }
    }

    /// Ends the attempts.
    pub const fn done(&mut self) {
        self.state = State::Over;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkFault;

    #[test]
    fn pauses_are_those_of_the_original() {
        let expect = [
            0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 63_500, 127_500, 255_500, 300_000, 300_000,
        ];
        let mut backoff = Backoff::new();
        for (attempt, millis) in (0..).zip(expect) {
            assert_eq!(Backoff::whole(attempt), Duration::from_millis(millis));
            assert_eq!(backoff.pause(), Duration::from_millis(millis));
        }
        for attempt in [53, 63, 64, 65, u32::MAX] {
            assert_eq!(Backoff::whole(attempt), PAUSE_MAX);
        }
        assert_eq!(backoff.attempts(), 12);
        backoff.reset();
        assert_eq!(backoff.pause(), Duration::ZERO);
    }

    #[test]
    fn jitter_shortens_by_up_to_a_half_and_differs() {
        let mut seen = Vec::new();
        for seed in 0..100 {
            let mut backoff = Backoff::jittered(seed);
            for attempt in 0..20 {
                let (whole, pause) = (Backoff::whole(attempt), backoff.pause());
                assert!(pause <= whole && pause * 2 >= whole, "{attempt}: {pause:?}");
                if attempt == 19 {
                    seen.push(pause);
                }
            }
        }
        seen.sort();
        assert!(seen[5] < PAUSE_MAX.mul_f64(0.6) && seen[94] > PAUSE_MAX.mul_f64(0.9));
        seen.dedup();
        assert!(seen.len() > 90);
    }

    #[test]
    fn a_call_is_repeated_until_it_has_an_outcome() {
        let refused = AuthError::from_network(NetworkFault::Refused);
        let mut retry = Retry::new(Time(0), Backoff::new());
        assert!(retry.failed(Time(0), &refused), "nothing is in flight: nothing changes");
        assert!(retry.begin(Time(0)) && !retry.begin(Time(0)));
        assert!(retry.failed(Time(10), &refused));
        assert_eq!(retry.deadline(), Some(Time(510)));
        retry.online(Time(20));
        assert!(retry.begin(Time(20)));
        let wrong = AuthError::from_answer(401, br#"{"code": 611}"#);
        assert!(!retry.failed(Time(30), &wrong));
        assert!(retry.deadline().is_none() && !retry.begin(Time(i64::MAX)));
    }

    #[test]
    fn a_clock_put_back_stops_no_attempt() {
        let mut retry = Retry::new(Time(1 << 40), Backoff::new());
        assert!(retry.begin(Time(0)));
    }
}
