//! A program: its users in a file on a simulated machine, with their model.

use super::super::compare::CheckError;
use super::super::promises::{U8, U11, U12, U13, U14, U15, U16, U17};
use super::super::world::{World, file};
use super::message::{Purpose, RoundTrip};
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::fs::{Disk, Injection, SimFs};
use fastness::Store;
use fastness_auth::users::{Input, Output, SessionId, UserId, UserStore};
use fastness_auth::{AuthUrl, Request, RequestId, Time, User};
use fastness_models::auth::{UserKey, Users as Model};
use fastness_models::auth_server::ServerCall;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// An input, the model after it, and the expected outputs besides requests.
pub(super) struct Event {
    pub(super) input: Input,
    pub(super) next: Model,
    pub(super) outcome: Vec<Output>,
    /// The call that must be sent.
    pub(super) call: Option<ExpectedRequest>,
    /// Sessions that must request a token immediately if there is a network.
    pub(super) starting_sessions: Vec<u8>,
}

/// A call that must be sent, immediately or after an exchange of its token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ExpectedRequest {
    /// The user who makes it, if any, and whether it needs an administrator.
    pub(super) by: Option<(UserKey, bool)>,
    pub(super) server: usize,
    pub(super) purpose: Purpose,
    pub(super) server_call: ServerCall,
}

/// The fault that the disk injects into the next change.
#[derive(Clone, Copy, Debug)]
pub(super) enum InjectedFault {
    /// A power loss in the middle of it.
    PowerLoss,
    Error(Injection),
}

/// Whether an event was applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EventOutcome {
    Applied,
    /// The process crashed, another one runs, and there are no outputs.
    Crashed,
}

/// Requests to send.
pub(super) type Sent = Vec<(Rc<RoundTrip>, Request)>;

/// A program and its model.
pub(super) struct Program<'w> {
    world: &'w World,
    fs: SimFs,
    users: Option<UserStore>,
    pub(super) urls: Vec<AuthUrl>,
    pub(super) model: Model,
    /// The number of the process.
    pub(super) process: u32,
    /// Requests in flight.
    pub(super) in_flight: BTreeMap<RequestId, Rc<RoundTrip>>,
    /// Calls blocked by an exchange, in order.
    pub(super) waiting: Vec<ExpectedRequest>,
    /// Age at which refresh tokens are exchanged, if at all.
    pub(super) exchange_age: Option<Duration>,
    pub(super) is_offline: bool,
    pub(super) fault: Option<InjectedFault>,
    /// Sessions with a final failure, and the state they had.
    pub(super) failed: BTreeMap<u8, u64>,
    /// Sessions with a token, and the state they had.
    served: BTreeMap<u8, u64>,
    /// Expiry of the token of each session.
    pub(super) expires: BTreeMap<u8, i64>,
}

impl<'w> Program<'w> {
    pub(super) fn start(
        world: &'w World,
        (urls, exchange_age): (Vec<AuthUrl>, Option<Duration>),
        now: Time,
    ) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let store = world.options(&fs).create(file())?;
        Ok(Self {
            world,
            fs,
            users: Some(open(store, now, exchange_age)?),
            urls,
            model: Model::default(),
            process: 0,
            in_flight: BTreeMap::new(),
            waiting: Vec::new(),
            exchange_age,
            is_offline: false,
            fault: None,
            failed: BTreeMap::new(),
            served: BTreeMap::new(),
            expires: BTreeMap::new(),
        })
    }

    pub(super) fn users(&self) -> &UserStore {
        self.users.as_ref().expect("the program runs")
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.users().deadline()
    }

    pub(super) fn id(&self, user_key: &UserKey) -> UserId {
        UserId { url: self.urls[user_key.server].clone(), identity: user_key.identity.clone() }
    }

    pub(super) fn user_key(&self, user: &User) -> Option<UserKey> {
        let server = self.urls.iter().position(|url| *url == user.url)?;
        Some(UserKey { server, identity: user.identity().to_owned() })
    }

    /// Creates an event that does not change the model.
    pub(super) fn event(&self, input: Input) -> Event {
        let next = self.model.clone();
        Event { input, next, outcome: Vec::new(), call: None, starting_sessions: Vec::new() }
    }

    /// Applies an event, compares the outputs, and returns the requests to send.
    pub(super) fn handle(
        &mut self,
        now: Time,
        event: Event,
        probe: &mut Probe,
    ) -> Result<(EventOutcome, Sent), CheckError> {
        let Event { input, next, outcome, call, starting_sessions } = event;
        let is_wake = input == Input::Wake;
        let (logged_out, canceled) = match &input {
            Input::LogOut(id) => (Some(id.clone()), None),
            Input::Cancel(call) => (None, Some(*call)),
            _ => (None, None),
        };
        let Some(outputs) = self.apply_input(now, (input, &next), probe)? else {
            return Ok((EventOutcome::Crashed, Vec::new()));
        };
        self.model = next;
        if let Some(call) = canceled {
            self.waiting.retain(|expected_request| expected_request.purpose.call() != Some(call));
        }
        let mut call = call;
        let mut sent = Vec::new();
        let mut found = Vec::new();
        for output in outputs {
            match output {
                Output::CancelRequest(id) => {
                    if self.in_flight.remove(&id).is_none() {
                        let text = format!("{id:?} is dropped, but was not in flight");
                        return Err(Violation::new(U17.id, text).into());
                    }
                }
                Output::Send(id, request) => {
                    let round_trip = self.round_trip(id, &request, &mut call)?;
                    sent.push((self.record_request(round_trip, is_wake)?, request));
                }
                other => {
                    self.record_output(&other);
                    if let Output::CallDone(call, _) = &other {
                        self.waiting.retain(|expected_request| {
                            expected_request.purpose.call() != Some(*call)
                        });
                    }
                    found.push(other);
                }
            }
        }
        if let Some(call) = canceled
            && self.in_flight.values().any(|in_flight| in_flight.purpose.call() == Some(call))
        {
            return Err(Violation::new(
                U17.id,
                format!("the canceled {call:?} is still in flight"),
            )
            .into());
        }
        if logged_out.is_some_and(|id| self.users().users().persisted().user(&id).is_some()) {
            return Err(Violation::new(U13.id, "the user is still logged in after a logout").into());
        }
        same_outputs(&found, &outcome)?;
        self.started((call, starting_sessions), probe)?;
        self.audit(now)?;
        if is_wake {
            self.audit_deadlines(now)?;
        }
        Ok((EventOutcome::Applied, sent))
    }

    /// Checks a request and records it as in flight.
    fn record_request(
        &mut self,
        round_trip: RoundTrip,
        is_wake: bool,
    ) -> Result<Rc<RoundTrip>, Violation> {
        self.check_exchange_order(&round_trip)?;
        if let Purpose::Token(session, _) = round_trip.purpose {
            // Such a session requested its token before it waited for the exchange.
            if self.is_offline && !is_wake && self.exchange_age.is_none() {
                let text = format!("session {session} sends a request while offline");
                return Err(Violation::new(U8.id, text));
            }
            self.failed.remove(&session);
        }
        let round_trip = Rc::new(round_trip);
        self.in_flight.insert(round_trip.id, Rc::clone(&round_trip));
        Ok(round_trip)
    }

    /// Checks that the call was sent and that sessions requested tokens, or that an exchange blocks
    /// them.
    fn started(
        &mut self,
        (call, starting_sessions): (Option<ExpectedRequest>, Vec<u8>),
        probe: &mut Probe,
    ) -> Result<(), Violation> {
        if let Some(expected_request) = call {
            let waits =
                expected_request.by.as_ref().is_some_and(|(user_key, _)| self.exchanges(user_key));
            if !waits {
                let text = format!("{:?} is not sent", expected_request.purpose);
                return Err(Violation::new(U17.id, text));
            }
            self.waiting.push(expected_request);
        }
        for session in starting_sessions.into_iter().filter(|_| !self.is_offline) {
            if self.has_request(session) {
                continue;
            }
            if self.user(session).is_some_and(|user_key| self.exchanges(&user_key)) {
                probe.mark("a session waits for an exchange");
            } else {
                let text = format!("session {session} does not request a token");
                return Err(Violation::new(U16.id, text));
            }
        }
        Ok(())
    }

    /// Passes an input to the program, on a disk that may fail; returns nothing if the process
    /// crashed.
    fn apply_input(
        &mut self,
        now: Time,
        (input, next): (Input, &Model),
        probe: &mut Probe,
    ) -> Result<Option<Vec<Output>>, CheckError> {
        let mut outputs = Vec::new();
        match self.fault {
            Some(InjectedFault::PowerLoss) => self.fs.record_forks(),
            Some(InjectedFault::Error(injection)) => self.fs.inject(injection),
            None => {}
        }
        let Some(users) = &mut self.users else { return Ok(None) };
        let outcome = users.handle(now, input.clone(), &mut outputs);
        match (self.fault, outcome) {
            (Some(InjectedFault::PowerLoss), outcome) => {
                outcome?;
                let forks = self.fs.take_forks();
                if forks.is_empty() {
                    return Ok(Some(outputs));
                }
                let fork = self.world.rng(|rng| rng.pick(&forks).clone());
                let disk = self.world.rng(|rng| fork.disk.power_loss(rng));
                probe.crash(fork.at.name());
                let landed = self.restart(now, disk, &[self.model.clone(), next.clone()])?;
                probe.mark(
                    ["crash during a change: rolled back", "crash during a change: applied"]
                        [landed],
                );
                Ok(None)
            }
            (Some(InjectedFault::Error(_)), Err(_)) => {
                self.fault = None;
                self.fs.clear_fault();
                if !outputs.is_empty() {
                    let text = "outputs despite a failed commit";
                    return Err(Violation::new(U12.id, text).into());
                }
                self.compare_users(&self.model).map_err(|text| Violation::new(U12.id, text))?;
                let Some(users) = &mut self.users else { return Ok(None) };
                if users.handle(now, input, &mut outputs).is_ok() {
                    probe.mark("input repeated after a disk error");
                    return Ok(Some(outputs));
                }
                let disk = self.fs.disk();
                self.restart(now, disk, &[self.model.clone(), next.clone()])?;
                probe.mark("reopened after a disk error");
                Ok(None)
            }
            (fault, outcome) => {
                outcome?;
                if fault.is_some() {
                    self.fs.clear_fault();
                }
                Ok(Some(outputs))
            }
        }
    }

    /// Kills the process, optionally with a power loss, and starts another one.
    pub(super) fn crash(&mut self, now: Time, cuts_power: bool) -> Result<(), CheckError> {
        let mut disk = self.fs.disk();
        if cuts_power {
            disk = self.world.rng(|rng| disk.power_loss(rng));
        }
        let model = self.model.clone();
        self.restart(now, disk, &[model]).map(drop)
    }

    /// Restarts on a disk that must hold the users of one of the models.
    fn restart(&mut self, now: Time, disk: Disk, models: &[Model]) -> Result<usize, CheckError> {
        self.users = None;
        self.fs.disconnect();
        self.fs = self.world.boot(disk);
        self.fault = None;
        self.process += 1;
        self.in_flight.clear();
        self.waiting.clear();
        self.failed.clear();
        self.served.clear();
        self.expires.clear();
        self.is_offline = false;
        let store = self.world.options(&self.fs).open(file())?;
        self.users = Some(open(store, now, self.exchange_age)?);
        let mut found = Vec::new();
        for (index, model) in models.iter().enumerate() {
            match self.compare_users(model) {
                Ok(()) => {
                    self.model = model.clone();
                    self.model.restart();
                    return Ok(index);
                }
                Err(text) => found.push(text),
            }
        }
        let text = format!("after a crash: {}", found.join("; or: "));
        Err(Violation::new(U12.id, text).into())
    }

    /// Whether the program waits for this answer.
    pub(super) fn waits_for(&self, round_trip: &RoundTrip) -> bool {
        round_trip.process == self.process && self.in_flight.contains_key(&round_trip.id)
    }

    /// Returns the user of a session.
    pub(super) fn user(&self, session: u8) -> Option<UserKey> {
        let mut sessions = self.model.sessions();
        sessions.find(|(number, _)| *number == session).map(|(_, user_key)| user_key.clone())
    }

    /// Whether a session has a request in flight.
    pub(super) fn has_request(&self, session: u8) -> bool {
        self.in_flight.values().any(|round_trip| match round_trip.purpose {
            Purpose::Token(other, _) => other == session,
            _ => false,
        })
    }

    /// Whether a session has a token or a final failure, or needs neither.
    pub(super) fn is_served(&self, session: u8) -> bool {
        let since = self.model.changed_at(session);
        let has_failed = self.failed.get(&session).copied() == since;
        let has_token = self.served.get(&session).copied() == since;
        self.model.running(session).is_none() || has_failed || has_token
    }

    /// Whether any request in flight is more than a renewal for a session that has a token.
    pub(super) fn attempts(&self) -> bool {
        let is_more = |in_flight: &Rc<RoundTrip>| match in_flight.purpose {
            Purpose::Token(session, _) => !self.is_served(session),
            _ => true,
        };
        self.in_flight.values().any(is_more)
    }

    /// Records an output to a session.
    fn record_output(&mut self, output: &Output) {
        match output {
            Output::DeliverToken(SessionId(session), token) => {
                let session = u8::try_from(*session).unwrap_or(u8::MAX);
                self.expires.insert(session, token.expires().0);
                self.served.insert(session, self.model.changed_at(session).unwrap_or_default());
                self.failed.remove(&session);
            }
            Output::SessionFailed(SessionId(session), _) => {
                let session = u8::try_from(*session).unwrap_or(u8::MAX);
                let since = self.model.changed_at(session).unwrap_or_default();
                self.failed.insert(session, since);
            }
            _ => {}
        }
    }
}

/// Maps an unexpected or missing output to the promise it violates.
fn same_outputs(found: &[Output], expected: &[Output]) -> Result<(), Violation> {
    if found == expected {
        return Ok(());
    }
    let id = match found.iter().find(|output| !expected.contains(output)) {
        Some(Output::DeliverToken(..)) => U15.id,
        Some(Output::SessionWaiting(..)) => U11.id,
        Some(Output::LoggedOut(_) | Output::RevocationRefused(..)) => U14.id,
        _ => U17.id,
    };
    Err(Violation::new(id, format!("outputs are {found:?}, expected {expected:?}")))
}

fn open(store: Store, now: Time, exchange_age: Option<Duration>) -> Result<UserStore, CheckError> {
    let users = UserStore::open(store, now)?;
    Ok(exchange_age.into_iter().fold(users, UserStore::rotate_after))
}
