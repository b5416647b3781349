//! Keeping the access token of one open session fresh.
//!
//! In: what happened, and the time. Out: what to do, and by [`Refresher::deadline`] when to be
//! called again. The machine is not told the refresh token: whoever sends the request takes that
//! of the user's at that moment.
//!
//! - U9 At most one request is in flight; an answer to any other changes nothing.
//! - U10 A token is renewed before it expires; a late one at once, then ever more slowly.
//! - U11 Until it is stopped or refused for good, there is a request in flight or a deadline.
//!
//! Specified in docs/auth.md#renewing. Any course of events: the fuzz target `auth`.

use crate::backoff::{Backoff, PAUSE_MAX};
use crate::error::AuthError;
use crate::token::Token;
use fastness::Time;
use fastness::fault::{self, Fault};
use std::time::Duration;

/// How long before a token expires another is asked for.
pub const RENEWAL_MARGIN: Duration = Duration::from_secs(10);

/// The shortest pause between renewals of tokens that come late again and again.
const LATE_PAUSE_MIN: Duration = Duration::from_millis(500);

/// Number of a request for a token; an answer has to bring it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RequestId(u64);

impl RequestId {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The session was opened, or its user logged in again: a token is wanted now.
    Start,
    /// The session was closed, or its user logged out.
    Stop,
    /// Time has passed.
    Wake,
    /// A request was answered, or could not be. Each [`Output::Ask`] gets one of these.
    Answer(RequestId, Result<Token, AuthError>),
    /// The server no longer accepts the token, whatever the clock says.
    Expired,
    /// There is no network.
    Offline,
    /// There is a network, or another one.
    Online,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Ask the server for a token.
    Ask(RequestId),
    /// Hand this token to the session.
    HandOver(Token),
    /// Tell the session that there will be no token, until it starts anew; or, if it was not the
    /// server that said so, until there is another network.
    Failed(AuthError),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Stopped,
    /// Told to have failed, but not by the server: another network may be better.
    Failed,
    Asking(RequestId),
    Waiting {
        at: Time,
        purpose: Purpose,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// The session has a token; at that time it wants the next.
    Renew,
    /// The session has a token that came late; at that time it wants the next.
    RenewLate,
    /// A token is wanted and could not be had.
    Repeat,
}

/// Keeps the access token of one session fresh.
///
/// ```
/// use fastness_auth::refresh::{Input, Output};
/// use fastness_auth::{Backoff, Refresher, Time};
///
/// let mut refresher = Refresher::new(Backoff::new());
/// let mut todo = Vec::new();
/// refresher.handle(Time(0), Input::Start, &mut todo);
/// assert!(matches!(todo[..], [Output::Ask(_)]));
/// assert_eq!(refresher.deadline(), None); // the answer comes first
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refresher {
    state: State,
    is_offline: bool,
    requests: u64,
    failures: Backoff,
    late: Backoff,
    /// When the session got its last token.
    handed_over: Time,
}

impl Refresher {
    /// Makes a machine that waits for [`Input::Start`]. With a jittered backoff, pauses are.
    #[must_use]
    pub fn new(backoff: Backoff) -> Self {
        Self {
            state: State::Stopped,
            is_offline: false,
            requests: 0,
            late: backoff.clone(),
            failures: backoff,
            handed_over: Time::default(),
        }
    }

    /// Returns when to call with [`Input::Wake`], if nothing else happens before. Do not sleep
    /// longer than [`PAUSE_MAX`] without calling: clocks are put back.
    #[must_use]
    pub const fn deadline(&self) -> Option<Time> {
        match self.state {
            State::Waiting { at, .. } => Some(at),
            State::Asking(_) | State::Stopped | State::Failed => None,
        }
    }

    /// Returns the request that an answer is waited for.
    #[must_use]
    pub const fn in_flight(&self) -> Option<RequestId> {
        match self.state {
            State::Asking(id) => Some(id),
            State::Waiting { .. } | State::Stopped | State::Failed => None,
        }
    }

    /// Takes what happened; appends what is to be done.
    pub fn handle(&mut self, now: Time, input: Input, outputs: &mut Vec<Output>) {
        self.mind_clock(now);
        match input {
            Input::Start => self.start(now, outputs),
            Input::Stop => self.state = State::Stopped,
            Input::Wake => self.wake(now, outputs),
            Input::Answer(id, outcome) if self.state == State::Asking(id) => {
                self.answered(now, outcome, outputs);
            }
            // Of a request that was given up since, or never made.
            Input::Answer(..) => {}
            Input::Expired => self.expired(now, outputs),
            Input::Offline => self.offline(now),
            Input::Online => self.online(now, outputs),
        }
    }

    /// A clock that was put back makes nobody wait longer than the longest pause.
    fn mind_clock(&mut self, now: Time) {
        if let State::Waiting { at, purpose: Purpose::Repeat | Purpose::RenewLate } =
            &mut self.state
        {
            *at = (*at).min(now.plus(PAUSE_MAX));
        }
    }

    fn start(&mut self, now: Time, outputs: &mut Vec<Output>) {
        self.failures.restart();
        self.late.reset();
        if self.is_offline {
            self.wait(now.plus(PAUSE_MAX), Purpose::Repeat);
        } else {
            self.ask(outputs);
        }
    }

    fn wake(&mut self, now: Time, outputs: &mut Vec<Output>) {
        let State::Waiting { at, purpose } = self.state else { return };
        if now < at {
            return;
        }
        if purpose == Purpose::Renew {
            self.late.reset();
        }
        if self.is_offline && purpose != Purpose::Repeat {
            self.wait(now.plus(PAUSE_MAX), Purpose::Repeat);
        } else {
            self.ask(outputs);
        }
    }

    fn answered(&mut self, now: Time, outcome: Result<Token, AuthError>, out: &mut Vec<Output>) {
        match outcome {
            Ok(token) => {
                self.failures.restart();
                self.handed_over = now;
                self.plan_renewal(now, token.expires());
                out.push(Output::HandOver(token));
            }
            Err(error) if error.retry_helps() && fault::on(Fault::Cl06) => {
                self.state = State::Stopped;
            }
            Err(error) if error.retry_helps() => {
                let pause = if self.is_offline { PAUSE_MAX } else { self.failures.pause() };
                self.wait(now.plus(pause), Purpose::Repeat);
            }
            Err(error) => {
                self.state = if error.is_of_server() { State::Stopped } else { State::Failed };
                out.push(Output::Failed(error));
            }
        }
    }

    fn plan_renewal(&mut self, now: Time, expires: Time) {
        let at = expires.minus(RENEWAL_MARGIN);
        if at > now {
            return self.wait(at, Purpose::Renew);
        }
        let left = expires.since(now);
        let pause = match self.late.pause() {
            Duration::ZERO => Duration::ZERO,
            pause if left.is_zero() => pause,
            pause => pause.min(left / 2).max(LATE_PAUSE_MIN),
        };
        self.wait(now.plus(pause), Purpose::RenewLate);
    }

    fn expired(&mut self, now: Time, outputs: &mut Vec<Output>) {
        let State::Waiting { at, purpose: Purpose::Renew | Purpose::RenewLate } = self.state else {
            return;
        };
        // A token that served for a while is no sign of a server that takes none of its own.
        if now.since(self.handed_over) >= RENEWAL_MARGIN {
            self.late.reset();
        }
        let at = at.min(now.plus(self.late.pause()));
        self.wait(at, Purpose::RenewLate);
        self.wake(now, outputs);
    }

    fn offline(&mut self, now: Time) {
        if self.is_offline {
            return;
        }
        self.is_offline = true;
        if let State::Waiting { purpose: Purpose::Repeat, .. } = self.state {
            self.wait(now.plus(PAUSE_MAX), Purpose::Repeat);
        }
    }

    fn online(&mut self, now: Time, outputs: &mut Vec<Output>) {
        self.is_offline = false;
        if let State::Waiting { purpose: Purpose::Repeat, .. } | State::Failed = self.state {
            self.start(now, outputs);
        }
    }

    fn ask(&mut self, outputs: &mut Vec<Output>) {
        self.requests = self.requests.wrapping_add(1);
        let id = RequestId(self.requests);
        self.state = State::Asking(id);
        outputs.push(Output::Ask(id));
    }

    const fn wait(&mut self, at: Time, purpose: Purpose) {
        self.state = State::Waiting { at, purpose };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkFault;

    const SECOND: i64 = 1000;

    /// A session's driver on a virtual clock, with a server that answers as it is told.
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
        AuthError::from_network(NetworkFault::Refused)
    }

    impl Bench {
        fn new() -> Self {
            let refresher = Refresher::new(Backoff::new());
            let (failures, asked) = (Vec::new(), Vec::new());
            Self { now: Time(1_000 * SECOND), refresher, handed_over: 0, failures, asked }
        }

        fn started() -> Self {
            let mut bench = Self::new();
            assert!(bench.tell(Input::Start), "a start asks at once");
            bench
        }

        /// Tells what happened; returns whether a token is asked for.
        fn tell(&mut self, input: Input) -> bool {
            let mut outputs = Vec::new();
            self.refresher.handle(self.now, input, &mut outputs);
            let mut asks = false;
            for output in outputs {
                match output {
                    Output::Ask(id) => {
                        assert!(!self.asked.contains(&id), "a number comes twice");
                        self.asked.push(id);
                        asks = true;
                    }
                    Output::HandOver(_) => self.handed_over += 1,
                    Output::Failed(error) => self.failures.push(error),
                }
            }
            asks
        }

        fn answer(&mut self, outcome: Result<Token, AuthError>) {
            let id = self.refresher.in_flight().expect("U9: a request is in flight");
            self.tell(Input::Answer(id, outcome));
        }

        /// Answers with a token that lives so long; returns how long the session sleeps then.
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
            self.tell(Input::Wake)
        }
    }

    #[test]
    fn a_token_is_renewed_ten_seconds_before_it_expires() {
        let mut bench = Bench::started();
        for _ in 0..5 {
            assert_eq!(bench.grant(20 * SECOND), 10 * SECOND);
            bench.now.0 += 9_999;
            assert!(!bench.tell(Input::Wake), "not before");
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
    fn the_pauses_begin_anew_once_a_token_comes_in_time() {
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
    fn a_failure_for_good_is_told_once_and_needs_a_start() {
        let mut bench = Bench::started();
        let error = AuthError::from_answer(401, br#"{"code": 615}"#);
        bench.answer(Err(error.clone()));
        assert_eq!(bench.failures, [error]);
        for input in [Input::Wake, Input::Online, Input::Expired, Input::Offline] {
            assert!(!bench.tell(input));
        }
        assert_eq!(bench.refresher.deadline(), None);
        bench.tell(Input::Online);
        assert!(bench.tell(Input::Start));
    }

    #[test]
    fn a_hotspots_page_or_certificate_is_not_the_end() {
        for error in [
            AuthError::from_network(NetworkFault::Tls),
            AuthError::from_answer(302, b"<html>Welcome to our trains</html>"),
        ] {
            let mut bench = Bench::started();
            bench.answer(Err(error));
            assert_eq!((bench.failures.len(), bench.refresher.deadline()), (1, None));
            assert!(!bench.tell(Input::Wake) && !bench.tell(Input::Expired));
            assert!(bench.tell(Input::Online));
            bench.tell(Input::Stop);
            assert!(!bench.tell(Input::Online), "a closed session stays closed");
        }
    }

    #[test]
    fn offline_at_the_first_request_recovers() {
        let mut bench = Bench::new();
        bench.tell(Input::Offline);
        assert!(!bench.tell(Input::Start));
        bench.now.0 += 60 * SECOND;
        assert!(!bench.tell(Input::Offline));
        assert!(bench.tell(Input::Online), "asks as soon as there is a network");

        let mut bench = Bench::new();
        bench.tell(Input::Offline);
        bench.tell(Input::Start);
        assert_eq!(bench.pause(), 300 * SECOND);
        assert!(bench.sleep(), "the notice may never come");
        bench.answer(Err(refused()));
        assert_eq!(bench.pause(), 300 * SECOND);
    }

    #[test]
    fn offline_when_a_renewal_is_due_waits_for_the_network() {
        let mut bench = Bench::started();
        bench.grant(20 * SECOND);
        bench.tell(Input::Offline);
        assert!(!bench.tell(Input::Online), "the token is still good");
        bench.tell(Input::Offline);
        assert!(!bench.sleep());
        assert!(bench.tell(Input::Online));
    }

    #[test]
    fn a_late_answer_does_not_revive_a_closed_session() {
        let mut bench = Bench::started();
        let id = bench.asked[0];
        bench.tell(Input::Stop);
        let good = token(Time(bench.now.0 + 20 * SECOND));
        bench.tell(Input::Answer(id, Ok(good.clone())));
        assert_eq!((bench.handed_over, bench.refresher.deadline()), (0, None));
        assert!(bench.tell(Input::Start));
        bench.tell(Input::Answer(id, Ok(good.clone())));
        bench.tell(Input::Answer(id, Err(AuthError::from_answer(401, b"{}"))));
        assert_eq!((bench.handed_over, bench.failures.len()), (0, 0));
        let second = bench.asked[1];
        bench.tell(Input::Answer(second, Ok(good.clone())));
        bench.tell(Input::Answer(second, Ok(good)));
        assert_eq!(bench.handed_over, 1, "an answer counts once");
    }

    #[test]
    fn one_request_is_in_flight_whatever_happens_meanwhile() {
        let mut bench = Bench::started();
        for input in [Input::Wake, Input::Online, Input::Expired, Input::Offline, Input::Online] {
            bench.now.0 += 1_000 * SECOND;
            assert!(!bench.tell(input));
        }
        assert_eq!(bench.asked.len(), 1);
    }

    #[test]
    fn a_token_that_the_server_refuses_is_renewed_at_once_but_not_in_a_loop() {
        let mut bench = Bench::started();
        bench.grant(3_600 * SECOND);
        assert!(bench.tell(Input::Expired));
        for expect in [500, 1_500, 3_500] {
            bench.grant(3_600 * SECOND);
            assert!(!bench.tell(Input::Expired));
            assert_eq!(bench.pause(), expect);
            assert!(bench.sleep());
        }
        // Our clock is behind: the token served its time.
        bench.grant(3_600 * SECOND);
        bench.now.0 += 60 * SECOND;
        assert!(bench.tell(Input::Expired));
    }

    #[test]
    fn a_clock_put_back_is_waited_out_for_five_minutes_at_most() {
        let mut bench = Bench::started();
        bench.answer(Err(refused()));
        bench.now.0 -= 365 * 86_400 * SECOND;
        assert!(!bench.tell(Input::Wake));
        assert_eq!(bench.pause(), 300 * SECOND);
        assert!(bench.sleep());
    }

    #[test]
    fn the_ends_of_time_are_no_obstacle() {
        for now in [Time(i64::MIN), Time(0), Time::NEVER] {
            for expires in [i64::MIN, -1, 0, i64::MAX] {
                let mut bench = Bench::new();
                bench.now = now;
                bench.tell(Input::Start);
                bench.answer(Ok(Token { expires_seconds: expires, ..token(Time(0)) }));
                assert!(bench.refresher.deadline().is_some());
            }
        }
    }
}
