//! Logins over time: one program and two servers on separate machines, each of which may crash at
//! any moment, with wrong clocks and a network that delays, loses, duplicates and reorders
//! messages.
//!
//! A stranger also calls the servers with issued tokens, and exchanges them.
//!
//! A message stays in flight until the plan delivers it. So a revocation may arrive long after the
//! next login, and a password may change while the server checks another login.

mod audit;
mod calls;
mod exchange_order;
mod message;
mod program;
mod requests;
mod server;
mod server_audit;
mod wire;

use super::compare::CheckError;
use super::promises::{
    H1, H2, H3, H4, H5, H6, H7, H8, H12, H18, H20, H21, U6, U8, U9, U11, U12, U13, U14, U15, U16,
    U17, U18,
};
use super::store_harness::unexpected;
use super::world::World;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::clock::Clock;
use crate::fs::{Fault, Injection};
use crate::net::Net;
use fastness_auth::server::Policy;
use fastness_auth::users::{Input, SessionId};
use fastness_auth::{AuthUrl, RequestId, Time};
use fastness_models::{Op, OpKind};
use message::{Message, Stage};
use program::{Event, EventOutcome, InjectedFault, Program};
use server::Server;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

pub(super) const CHECK: Check = Check {
    name: "auth",
    about: "users, sessions and accounts over a hostile network, with clock skew and crashes",
    invariants: &[
        U17, U12, U13, U14, U15, U16, U18, U9, U11, U6, U8, H1, H2, H3, H4, H5, H6, H7, H8, H12,
        H18, H20, H21,
    ],
    marks: &[
        "logged out while offline",
        "revocation arrived after a newer login",
        "revocation of an earlier process arrived",
        "revocation abandoned",
        "token arrived after its session was closed or parked",
        "login resumed parked sessions",
        "several users at once",
        "the only user has expired",
        "token renewed",
        "call refused",
        "request arrived twice",
        "crash during a change: applied",
        "crash during a change: rolled back",
        "input repeated after a disk error",
        "reopened after a disk error",
        "token exchanged",
        "an exchange failed",
        "a call waits for an exchange",
        "a session waits for an exchange",
        "hostile answer: refused",
        "hostile answer: retried",
        "hostile answer: a token",
        "server: crash during a commit",
        "server: disk error without an effect",
        "server: restarted after a disk error",
        "server: password changed during a login",
        "server: successor token presented",
        "server: exchanged token presented again",
        "server: exchanged token arrived late",
        "server: token of a login of the future",
        "server: refused to a non-administrator",
        "server: registration is closed",
        "server: password too short",
        "server: token of a replaced signing key",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::LogIn, 14),
            (OpKind::LogOut, 6),
            (OpKind::ChangePassword, 3),
            (OpKind::LookUp, 2),
            (OpKind::Cancel, 1),
            (OpKind::OpenSession, 7),
            (OpKind::CloseSession, 2),
            (OpKind::ExpireToken, 1),
            (OpKind::Deliver, 48),
            (OpKind::LoseMessage, 5),
            (OpKind::DuplicateMessage, 3),
            (OpKind::AdvanceClock, 8),
            (OpKind::SetClock, 2),
            (OpKind::Network, 2),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 2),
            (OpKind::Inject, 2),
            (OpKind::ForeignCall, 6),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

const SESSIONS: u8 = 4;
const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
/// Attempts within which the system must settle.
const ATTEMPTS_MAX: usize = 64;
/// Rounds in total. A late token is refused for a minute, during which the other sessions exchange
/// theirs every few seconds.
const ROUNDS_MAX: usize = 1024;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut harness =
        AuthHarness::start(&world, probe).map_err(|error| unexpected(error, U12.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.probe.count(op.kind.name(), 1);
        harness.probe.line(|| format!("{step:4} {op}"));
        harness.step(*op).map_err(|error| unexpected(error, U12.id).at(step))?;
    }
    harness.settle().map_err(|error| unexpected(error, U12.id).at(plan.ops.len()))
}

/// A program, its servers, and the messages between them.
struct AuthHarness<'w> {
    probe: &'w mut Probe,
    clock: Clock,
    program: Program<'w>,
    servers: Vec<Server<'w>>,
    net: Net<Message>,
    calls: u64,
    /// Requests that reached a server: process and number.
    arrived: BTreeSet<(u32, RequestId)>,
}

impl<'w> AuthHarness<'w> {
    fn start(world: &'w World, probe: &'w mut Probe) -> Result<Self, CheckError> {
        let clock = Clock::new(Time(1_500_000_000 * SECOND + 250));
        let seconds = Duration::from_secs;
        let [short, long, many, ..] = world.salt.to_le_bytes().map(usize::from);
        let policy = Policy {
            access_ttl: [seconds(20), seconds(600), seconds(5), seconds(20)][short % 4],
            refresh_ttl: [seconds(7200), seconds(30 * 86_400), seconds(315_360_000)][long % 3],
            logins_max: [100, 3][many % 2],
            registration: many % 32 != 31,
            password_chars_min: [1, 2][many / 2 % 2],
        };
        let urls = ["http://one:9080", "https://two:9443/auth/"].map(AuthUrl::for_login);
        let urls: Vec<AuthUrl> = urls.into_iter().filter_map(Result::ok).collect();
        let servers = urls.iter().map(|url| Server::start(world, url.clone(), policy));
        let servers = servers.collect::<Result<Vec<_>, _>>()?;
        let ages = [None, Some(seconds(0)), Some(seconds(0)), Some(seconds(3600))];
        let exchange_age = ages[usize::try_from(world.salt >> 24 & 3).unwrap_or_default()];
        let program = Program::start(world, (urls, exchange_age), clock.local_time())?;
        let (net, arrived) = (Net::default(), BTreeSet::new());
        Ok(Self { probe, clock, program, servers, net, calls: 0, arrived })
    }

    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        self.tick();
        match op.kind {
            OpKind::LogIn => self.log_in(op),
            OpKind::LogOut => self.log_out(op),
            OpKind::ChangePassword => self.change_password(op),
            OpKind::LookUp => self.look_up(op),
            OpKind::Cancel => self.cancel(op),
            OpKind::OpenSession => self.open(op),
            OpKind::CloseSession => {
                let session = op.a % SESSIONS;
                let mut event = self.program.event(Input::Close(SessionId(session.into())));
                event.next.close(session);
                self.handle(event)
            }
            OpKind::ExpireToken => {
                let session = SessionId((op.a % SESSIONS).into());
                self.handle(self.program.event(Input::Expired(session)))
            }
            OpKind::Deliver => {
                for more in 0..=op.b % 3 {
                    self.deliver_message(op.a.wrapping_add(more))?;
                }
                Ok(())
            }
            OpKind::LoseMessage => self.lose_message(op),
            OpKind::DuplicateMessage => {
                let duplicate = self.net.peek(op.a).and_then(Message::duplicate);
                duplicate.into_iter().for_each(|message| self.net.send(message));
                Ok(())
            }
            OpKind::AdvanceClock => self.advance_clock(op),
            OpKind::SetClock if op.b.is_multiple_of(2) => {
                let skews = [0, 0, 150 * SECOND, -150 * SECOND];
                self.servers[usize::from(op.c % 2)].skew_ms = skews[usize::from(op.a % 4)];
                Ok(())
            }
            OpKind::SetClock => {
                let skews = [0, HOUR, -HOUR, 40 * 24 * HOUR, -40 * 24 * HOUR, 15 * SECOND];
                self.clock.set_skew(skews[usize::from(op.a) % skews.len()]);
                Ok(())
            }
            OpKind::Network => {
                let is_offline = op.a.is_multiple_of(2);
                let input = if is_offline { Input::Offline } else { Input::Online };
                self.program.is_offline = is_offline;
                self.handle(self.program.event(input))
            }
            OpKind::ForeignCall => self.foreign_call(op),
            OpKind::Kill | OpKind::PowerLoss => self.crash(op),
            OpKind::Inject => {
                self.inject(op);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Advances the clock, so that no two events share a time.
    fn tick(&mut self) {
        self.clock.advance(Duration::from_millis(1));
    }

    /// Passes an event to the program, and sends the resulting requests.
    fn handle(&mut self, event: Event) -> Result<(), CheckError> {
        let (outcome, sent) = self.program.handle(self.clock.local_time(), event, self.probe)?;
        for (round_trip, request) in sent {
            self.probe.line(|| format!("     sends {:?}", round_trip.purpose));
            self.net.send(Message { round_trip, stage: Stage::ToServer(Rc::new(request)) });
        }
        if outcome == EventOutcome::Crashed {
            self.probe.line(|| "     the process crashes".to_owned());
        }
        let model = &self.program.model;
        match model.current_user(self.clock.local_time().0) {
            Err(_) => self.probe.mark("several users at once"),
            Ok(None) if model.active().len() == 1 => self.probe.mark("the only user has expired"),
            Ok(_) => {}
        }
        Ok(())
    }

    fn advance_clock(&mut self, op: Op) -> Result<(), CheckError> {
        let until = self.program.deadline().map_or(0, |at| at.0 - self.clock.local_time().0);
        let steps = [until, until, until, until, SECOND, 20 * SECOND, 400 * SECOND, 3 * HOUR];
        let step = steps[usize::from(op.a) % steps.len()].clamp(0, 20 * 24 * HOUR);
        self.clock.advance(Duration::from_millis(step.unsigned_abs()));
        match op.b % 4 {
            0 if op.a % 8 > 3 => Ok(()),
            _ => self.handle(self.program.event(Input::Wake)),
        }
    }

    fn crash(&mut self, op: Op) -> Result<(), CheckError> {
        let cuts_power = op.kind == OpKind::PowerLoss;
        self.probe.crash("between calls");
        match op.a % 4 {
            0 | 1 => self.program.crash(self.clock.local_time(), cuts_power),
            server => {
                let server = &mut self.servers[usize::from(server - 2)];
                server.crash(server.time(&self.clock), cuts_power)
            }
        }
    }

    fn inject(&mut self, op: Op) {
        let faults = [Fault::NoSpace, Fault::Io, Fault::SyncIo];
        let injection = Injection {
            fault: faults[usize::from(op.b / 8) % faults.len()],
            after: u32::from(op.c % 3),
            lasting: false,
        };
        match op.a % 3 {
            0 => self.program.fault = Some(InjectedFault::PowerLoss),
            1 => self.program.fault = Some(InjectedFault::Error(injection)),
            _ => {
                let server = &mut self.servers[usize::from(op.b % 2)];
                server.fault = Some(match op.b / 2 % 4 {
                    0 | 1 => InjectedFault::PowerLoss,
                    _ => InjectedFault::Error(injection),
                });
            }
        }
    }

    /// Corrects the clocks and delivers everything. Then every call is answered, every revocation
    /// is delivered, and every session has its token.
    fn settle(&mut self) -> Result<(), CheckError> {
        self.clock.set_skew(0);
        self.servers.iter_mut().for_each(|server| server.skew_ms = 0);
        self.program.is_offline = false;
        self.program.fault = None;
        self.servers.iter_mut().for_each(|server| server.fault = None);
        self.handle(self.program.event(Input::Online))?;
        let mut attempts = 0;
        for _ in 0..ROUNDS_MAX {
            attempts += usize::from(self.program.attempts());
            if attempts > ATTEMPTS_MAX {
                break;
            }
            while !self.net.is_empty() {
                self.deliver_message(0)?;
            }
            let model = &self.program.model;
            let waits = model.sessions().any(|(session, _)| !self.program.is_served(session));
            if model.pending().is_empty() && !waits && self.program.in_flight.is_empty() {
                return self.audit();
            }
            let until = self.program.deadline().map_or(0, |at| at.0 - self.clock.local_time().0);
            self.clock.advance(Duration::from_millis(u64::try_from(until).unwrap_or_default()));
            self.handle(self.program.event(Input::Wake))?;
        }
        let pending = self.program.model.pending();
        let text =
            format!("the program does not settle; {} revocations are pending", pending.len());
        Err(Violation::new(if pending.is_empty() { U11.id } else { U14.id }, text).into())
    }

    fn audit(&mut self) -> Result<(), CheckError> {
        for server in &self.servers {
            server.audit(server.time(&self.clock), &server.model)?;
        }
        Ok(())
    }
}
