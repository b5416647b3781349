//! State machine that renews the access token of one open session.
//!
//! Inputs are events and the time; outputs are actions and a deadline ([`Refresher::deadline`]).
//! The machine does not know the refresh token: the caller reads the current one when it sends a
//! request.
//!
//! - U9 At most one request is in flight; a response to any other changes nothing.
//! - U10 A token is renewed before it expires; a late one at once, then with back-off.
//! - U11 Unless it is stopped or failed, a request is in flight or there is a deadline.
//!
//! Specified in docs/auth.md#token-renewal. Fuzz target: `auth`.

use crate::backoff::{BACKOFF_MAX, Backoff};
use crate::error::AuthError;
use crate::fault::{self, Fault};
use crate::token::Token;
use fastness::Time;
use std::time::Duration;

/// Time before the expiry of a token at which the next one is requested.
pub const RENEWAL_MARGIN: Duration = Duration::from_secs(10);

/// Shortest delay between renewals if tokens keep arriving late.
const LATE_DELAY_MIN: Duration = Duration::from_millis(500);

/// Id of a token request; its response carries the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RequestId(u64);

impl RequestId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Event for the state machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefreshInput {
    /// The session was opened, or its user logged in again: request a token now.
    Start,
    /// The session was closed, or its user logged out.
    Stop,
    /// Time has passed.
    Wake,
    /// A request got a response or failed. Each [`RefreshOutput::RequestToken`] gets exactly one.
    Response(RequestId, Result<Token, AuthError>),
    /// The server rejected the token, whatever the clock says.
    Expired,
    /// The network is down.
    Offline,
    /// The network is up, or has changed.
    Online,
}

/// Action for the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefreshOutput {
    /// Request a token from the server.
    RequestToken(RequestId),
    /// Deliver this token to the session.
    Deliver(Token),
    /// Report to the session that a request failed and is repeated later.
    Waiting(AuthError),
    /// Report to the session that renewal has stopped until the next start. If the error did not
    /// come from the server, a network change restarts it too.
    Failed(AuthError),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Stopped,
    /// Failed with an error that did not come from the server: a network change restarts it.
    Failed,
    Requesting(RequestId),
    Waiting {
        at: Time,
        reason: WaitReason,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WaitReason {
    /// The session has a token; the next one is due at that time.
    Renew,
    /// The session has a token that arrived late; the next one is due at that time.
    RenewLate,
    /// The last request failed.
    Retry,
}

/// Renews the access token of one session.
///
/// ```
/// use fastness_auth::refresh::{RefreshInput, RefreshOutput};
/// use fastness_auth::{Backoff, Refresher, Time};
///
/// let mut refresher = Refresher::new(Backoff::new());
/// let mut todo = Vec::new();
/// refresher.handle(Time(0), RefreshInput::Start, &mut todo);
/// assert!(matches!(todo[..], [RefreshOutput::RequestToken(_)]));
/// assert_eq!(refresher.deadline(), None); // it waits for the response
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refresher {
    state: State,
    is_offline: bool,
    requests: u64,
    failures: Backoff,
    late: Backoff,
    /// Time of the last delivery of a token.
    delivered_at: Time,
}

impl Refresher {
    /// Creates a stopped machine. Its delays have jitter if the back-off has.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self {
            state: State::Stopped,
            is_offline: false,
            requests: 0,
            late: backoff.clone(),
            failures: backoff,
            delivered_at: Time::default(),
        }
    }

    /// Returns when to call with [`RefreshInput::Wake`] unless another event comes first. Call at
    /// least every [`BACKOFF_MAX`], because the clock may step back.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Waiting { at, .. } => Some(at),
            State::Requesting(_) | State::Stopped | State::Failed => None,
        }
    }

    /// Returns the id of the request in flight.
    #[must_use]
    pub const fn in_flight(&self) -> Option<RequestId> {
        match self.state {
            State::Requesting(id) => Some(id),
            State::Waiting { .. } | State::Stopped | State::Failed => None,
        }
    }

    /// Handles an event and appends the resulting actions.
    pub fn handle(&mut self, now: Time, input: RefreshInput, outputs: &mut Vec<RefreshOutput>) {
        self.clamp_to_clock(now);
        match input {
            RefreshInput::Start => self.start(now, outputs),
            RefreshInput::Stop => self.state = State::Stopped,
            RefreshInput::Wake => self.wake(now, outputs),
            RefreshInput::Response(id, outcome) if self.state == State::Requesting(id) => {
                self.on_response(now, outcome, outputs);
            }
            // A response to a cancelled or unknown request.
            RefreshInput::Response(..) => {}
            RefreshInput::Expired => self.on_expired(now, outputs),
            RefreshInput::Offline => self.on_offline(now),
            RefreshInput::Online => self.on_online(now, outputs),
        }
    }

    /// Bounds the wait by the longest delay after a clock step backwards.
    fn clamp_to_clock(&mut self, now: Time) {
        if let State::Waiting { at, reason: WaitReason::Retry | WaitReason::RenewLate } =
            &mut self.state
        {
            *at = (*at).min(now.plus(BACKOFF_MAX));
        }
    }

    fn start(&mut self, now: Time, outputs: &mut Vec<RefreshOutput>) {
        self.failures.restart();
        self.late.reset();
        if self.is_offline {
            self.wait(now.plus(BACKOFF_MAX), WaitReason::Retry);
        } else {
            self.request_token(outputs);
        }
    }

    fn wake(&mut self, now: Time, outputs: &mut Vec<RefreshOutput>) {
        let State::Waiting { at, reason } = self.state else { return };
        if now < at {
            return;
        }
        if reason == WaitReason::Renew {
            self.late.reset();
        }
        if self.is_offline && reason != WaitReason::Retry {
            self.wait(now.plus(BACKOFF_MAX), WaitReason::Retry);
        } else {
            self.request_token(outputs);
        }
    }

    fn on_response(
        &mut self,
        now: Time,
        outcome: Result<Token, AuthError>,
        out: &mut Vec<RefreshOutput>,
    ) {
        match outcome {
            Ok(token) => {
                self.failures.restart();
                self.delivered_at = now;
                self.schedule_renewal(now, token.expires());
                out.push(RefreshOutput::Deliver(token));
            }
            Err(error) if error.is_retryable() && fault::on(Fault::Cl06) => {
                self.state = State::Stopped;
            }
            Err(error) if error.is_retryable() => {
                let pause = if self.is_offline { BACKOFF_MAX } else { self.failures.next_delay() };
                self.wait(now.plus(pause), WaitReason::Retry);
                out.push(RefreshOutput::Waiting(error));
            }
            Err(error) => {
                self.state = if error.is_from_server() { State::Stopped } else { State::Failed };
                out.push(RefreshOutput::Failed(error));
            }
        }
    }

    fn schedule_renewal(&mut self, now: Time, expires: Time) {
        let at = expires.minus(RENEWAL_MARGIN);
        if at > now {
            return self.wait(at, WaitReason::Renew);
        }
        let left = expires.since(now);
        let pause = match self.late.next_delay() {
            Duration::ZERO => Duration::ZERO,
            pause if left.is_zero() => pause,
            pause => pause.min(left / 2).max(LATE_DELAY_MIN),
        };
        self.wait(now.plus(pause), WaitReason::RenewLate);
    }

    fn on_expired(&mut self, now: Time, outputs: &mut Vec<RefreshOutput>) {
        let State::Waiting { at, reason: WaitReason::Renew | WaitReason::RenewLate } = self.state
        else {
            return;
        };
        // A token that worked for a while does not indicate a server that rejects its own tokens.
        if now.since(self.delivered_at) >= RENEWAL_MARGIN {
            self.late.reset();
        }
        let at = at.min(now.plus(self.late.next_delay()));
        self.wait(at, WaitReason::RenewLate);
        self.wake(now, outputs);
    }

    fn on_offline(&mut self, now: Time) {
        if self.is_offline {
            return;
        }
        self.is_offline = true;
        if let State::Waiting { reason: WaitReason::Retry, .. } = self.state {
            self.wait(now.plus(BACKOFF_MAX), WaitReason::Retry);
        }
    }

    fn on_online(&mut self, now: Time, outputs: &mut Vec<RefreshOutput>) {
        self.is_offline = false;
        if let State::Waiting { reason: WaitReason::Retry, .. } | State::Failed = self.state {
            self.start(now, outputs);
        }
    }

    fn request_token(&mut self, outputs: &mut Vec<RefreshOutput>) {
        self.requests = self.requests.wrapping_add(1);
        let id = RequestId(self.requests);
        self.state = State::Requesting(id);
        outputs.push(RefreshOutput::RequestToken(id));
    }

    const fn wait(&mut self, at: Time, reason: WaitReason) {
        self.state = State::Waiting { at, reason };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkError;

    const SECOND: i64 = 1000;

    /// Driver of a session on a virtual clock.
    struct Bench {
        now: Time,
        refresher: Refresher,
        handed_over: usize,
        failures: Vec<AuthError>,
        asked: Vec<RequestId>,
    }

    fn token(expires: Time) -> Token {
        Token {
            value: "t".into(),
            identity: "i".to_owned(),
            path: "/p".to_owned(),
            expires_seconds: expires.0 / SECOND,
            permissions: Vec::new(),
            is_admin: false,
        }
    }

    fn refused() -> AuthError {
        AuthError::from_network(NetworkError::Refused)
    }

    impl Bench {
        fn new() -> Self {
            let refresher = Refresher::new(Backoff::new());
            let (failures, asked) = (Vec::new(), Vec::new());
            Self { now: Time(1_000 * SECOND), refresher, handed_over: 0, failures, asked }
        }

        fn started() -> Self {
            let mut bench = Self::new();
            assert!(bench.tell(RefreshInput::Start), "a start asks at once");
            bench
        }

        /// Handles an event; returns whether a token is requested.
        fn tell(&mut self, input: RefreshInput) -> bool {
            let mut outputs = Vec::new();
            self.refresher.handle(self.now, input, &mut outputs);
            let mut asks = false;
            for output in outputs {
                match output {
                    RefreshOutput::RequestToken(id) => {
                        assert!(!self.asked.contains(&id), "a number comes twice");
                        self.asked.push(id);
                        asks = true;
                    }
                    RefreshOutput::Deliver(_) => self.handed_over += 1,
                    RefreshOutput::Waiting(error) => assert!(error.is_retryable()),
                    RefreshOutput::Failed(error) => self.failures.push(error),
                }
            }
            asks
        }

        fn answer(&mut self, outcome: Result<Token, AuthError>) {
            let id = self.refresher.in_flight().expect("U9: a request is in flight");
            self.tell(RefreshInput::Response(id, outcome));
        }

        /// Responds with a token of this lifetime; returns the delay until the next request.
        fn grant(&mut self, millis: i64) -> i64 {
            let expires = Time(self.now.0 + millis);
            self.answer(Ok(token(expires)));
            self.pause()
        }

        fn pause(&self) -> i64 {
            self.refresher.deadline().expect("U11: there is a deadline").0 - self.now.0
        }

        fn sleep(&mut self) -> bool {
            self.now = self.refresher.deadline().expect("U11: there is a deadline");
            self.tell(RefreshInput::Wake)
        }
    }

    #[test]
    fn a_token_is_renewed_ten_seconds_before_it_expires() {
        let mut bench = Bench::started();
        for _ in 0..5 {
            assert_eq!(bench.grant(20 * SECOND), 10 * SECOND);
            bench.now.0 += 9_999;
            assert!(!bench.tell(RefreshInput::Wake), "not before");
            assert!(bench.sleep());
        }
        assert_eq!(bench.handed_over, 5);
    }

    #[test]
    fn a_late_token_is_renewed_at_once() {
        for lives in [10 * SECOND, 5 * SECOND, 0, -SECOND, i64::MIN / 4] {
            let mut bench = Bench::started();
            assert_eq!(bench.grant(lives), 0, "{lives}");
            assert!(bench.sleep());
        }
    }

    #[test]
    fn tokens_that_keep_coming_late_make_no_storm() {
        for (lives, most) in [(8 * SECOND, 1_000), (0, 25), (-90 * SECOND, 25)] {
            let mut bench = Bench::started();
            let end = bench.now.0 + 3_600 * SECOND;
            while bench.now.0 < end {
                assert!(bench.asked.len() < most, "a storm of tokens that live {lives} ms");
                let pause = bench.grant(lives);
                assert!(pause == 0 || lives <= 0 || pause <= lives / 2, "it lapses: {pause}");
                assert!(bench.sleep());
            }
        }
    }

    #[test]
    fn a_token_in_time_resets_the_delays() {
        let mut bench = Bench::started();
        for expect in [0, 500, 1_500] {
            assert_eq!(bench.grant(-1), expect);
            bench.sleep();
        }
        assert_eq!(bench.grant(20 * SECOND), 10 * SECOND);
        bench.sleep();
        assert_eq!(bench.grant(-1), 0);
    }

    #[test]
    fn a_failure_is_repeated_if_that_helps() {
        let mut bench = Bench::started();
        for expect in [500, 1_500, 3_500, 7_500] {
            bench.answer(Err(refused()));
            assert_eq!(bench.pause(), expect);
            assert!(bench.sleep());
        }
        assert_eq!(bench.grant(20 * SECOND), 10 * SECOND);
        assert!(bench.sleep());
        bench.answer(Err(refused()));
        assert_eq!(bench.pause(), 500, "a success makes the pauses short again");
        assert!(bench.failures.is_empty());
    }

    #[test]
    fn a_final_failure_is_reported_once_and_needs_a_start() {
        let mut bench = Bench::started();
        let error = AuthError::from_response(401, br#"{"code": 615}"#);
        bench.answer(Err(error.clone()));
        assert_eq!(bench.failures, [error]);
        for input in
            [RefreshInput::Wake, RefreshInput::Online, RefreshInput::Expired, RefreshInput::Offline]
        {
            assert!(!bench.tell(input));
        }
        assert_eq!(bench.refresher.deadline(), None);
        bench.tell(RefreshInput::Online);
        assert!(bench.tell(RefreshInput::Start));
    }

    #[test]
    fn a_hotspots_page_or_certificate_is_not_the_end() {
        for error in [
            AuthError::from_network(NetworkError::Tls),
            AuthError::from_response(302, b"<html>Welcome to our trains</html>"),
        ] {
            let mut bench = Bench::started();
            bench.answer(Err(error));
            assert_eq!((bench.failures.len(), bench.refresher.deadline()), (1, None));
            assert!(!bench.tell(RefreshInput::Wake) && !bench.tell(RefreshInput::Expired));
            assert!(bench.tell(RefreshInput::Online));
            bench.tell(RefreshInput::Stop);
            assert!(!bench.tell(RefreshInput::Online), "a closed session stays closed");
        }
    }

    #[test]
    fn offline_at_the_first_request_recovers() {
        let mut bench = Bench::new();
        bench.tell(RefreshInput::Offline);
        assert!(!bench.tell(RefreshInput::Start));
        bench.now.0 += 60 * SECOND;
        assert!(!bench.tell(RefreshInput::Offline));
        assert!(bench.tell(RefreshInput::Online), "asks as soon as there is a network");

        let mut bench = Bench::new();
        bench.tell(RefreshInput::Offline);
        bench.tell(RefreshInput::Start);
        assert_eq!(bench.pause(), 300 * SECOND);
        assert!(bench.sleep(), "the notice may never come");
        bench.answer(Err(refused()));
        assert_eq!(bench.pause(), 300 * SECOND);
    }

    #[test]
    fn offline_when_a_renewal_is_due_waits_for_the_network() {
        let mut bench = Bench::started();
        bench.grant(20 * SECOND);
        bench.tell(RefreshInput::Offline);
        assert!(!bench.tell(RefreshInput::Online), "the token is still good");
        bench.tell(RefreshInput::Offline);
        assert!(!bench.sleep());
        assert!(bench.tell(RefreshInput::Online));
    }

    #[test]
    fn a_late_answer_does_not_revive_a_closed_session() {
        let mut bench = Bench::started();
        let id = bench.asked[0];
        bench.tell(RefreshInput::Stop);
        let good = token(Time(bench.now.0 + 20 * SECOND));
        bench.tell(RefreshInput::Response(id, Ok(good.clone())));
        assert_eq!((bench.handed_over, bench.refresher.deadline()), (0, None));
        assert!(bench.tell(RefreshInput::Start));
        bench.tell(RefreshInput::Response(id, Ok(good.clone())));
        bench.tell(RefreshInput::Response(id, Err(AuthError::from_response(401, b"{}"))));
        assert_eq!((bench.handed_over, bench.failures.len()), (0, 0));
        let second = bench.asked[1];
        bench.tell(RefreshInput::Response(second, Ok(good.clone())));
        bench.tell(RefreshInput::Response(second, Ok(good)));
        assert_eq!(bench.handed_over, 1, "an answer counts once");
    }

    #[test]
    fn one_request_is_in_flight_whatever_happens_meanwhile() {
        let mut bench = Bench::started();
        for input in [
            RefreshInput::Wake,
            RefreshInput::Online,
            RefreshInput::Expired,
            RefreshInput::Offline,
            RefreshInput::Online,
        ] {
            bench.now.0 += 1_000 * SECOND;
            assert!(!bench.tell(input));
        }
        assert_eq!(bench.asked.len(), 1);
    }

    #[test]
    fn a_token_that_the_server_refuses_is_renewed_at_once_but_not_in_a_loop() {
        let mut bench = Bench::started();
        bench.grant(3_600 * SECOND);
        assert!(bench.tell(RefreshInput::Expired));
        for expect in [500, 1_500, 3_500] {
            bench.grant(3_600 * SECOND);
            assert!(!bench.tell(RefreshInput::Expired));
            assert_eq!(bench.pause(), expect);
            assert!(bench.sleep());
        }
        // The clock is behind: the token worked for its lifetime.
        bench.grant(3_600 * SECOND);
        bench.now.0 += 60 * SECOND;
        assert!(bench.tell(RefreshInput::Expired));
    }

    #[test]
    fn a_clock_put_back_is_waited_out_for_five_minutes_at_most() {
        let mut bench = Bench::started();
        bench.answer(Err(refused()));
        bench.now.0 -= 365 * 86_400 * SECOND;
        assert!(!bench.tell(RefreshInput::Wake));
        assert_eq!(bench.pause(), 300 * SECOND);
        assert!(bench.sleep());
    }

    #[test]
    fn the_ends_of_time_are_no_obstacle() {
        for now in [Time(i64::MIN), Time(0), Time::NEVER] {
            for expires in [i64::MIN, -1, 0, i64::MAX] {
                let mut bench = Bench::new();
                bench.now = now;
                bench.tell(RefreshInput::Start);
                bench.answer(Ok(Token { expires_seconds: expires, ..token(Time(0)) }));
                assert!(bench.refresher.deadline().is_some());
            }
        }
    }
}
