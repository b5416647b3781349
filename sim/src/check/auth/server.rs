//! A server: the accounts on a simulated machine, with their model.

use super::super::compare::CheckError;
use super::super::promises::{H1, H2, H21, U6};
use super::super::world::{World, file};
use super::message::{CallInProgress, Delivery, Progress, RoundTrip};
use super::program::InjectedFault;
use crate::Rng;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::clock::Clock;
use crate::entropy::SimEntropy;
use crate::fs::{Disk, SimFs};
use fastness::Bytes;
use fastness_auth::server::{
    ADMIN_NAME, Accounts, AccountsError, ApiRequest, Event, HashError, PasswordHasher, Policy,
    RequestHead, Response, Step,
};
use fastness_auth::{AuthUrl, Request, Secret, Time};
use fastness_models::auth_server::{
    ACCESS_DENIED, Accounts as Model, INVALID_CREDENTIALS, INVALID_PARAMETERS, ServerCall,
    ServerReply, StartedCall, TokenPolicy, TokenState,
};
use std::sync::Arc;
use std::time::Duration;

/// Names that accounts may have.
pub(super) const NAMES: [&str; 4] = ["ann", "bob/2", "zo\u{eb}", ADMIN_NAME];

/// A call that failed with the disk, and the disk before it.
struct FailedCall<'a> {
    before: Disk,
    started: &'a StartedCall,
    answer: &'a Response,
}

/// A password hasher that takes no time.
pub(super) struct PlainHasher;

impl PasswordHasher for PlainHasher {
    fn hash(&self, password: &Secret, salt: &[u8; 16]) -> Result<String, HashError> {
        Ok(format!("{:x}:{}", u128::from_le_bytes(*salt), password.expose()))
    }

    fn verify(&self, password: &Secret, hash: &str) -> bool {
        hash.split_once(':').is_some_and(|(_, hashed)| hashed == password.expose())
    }
}

/// A server and its model.
pub(super) struct Server<'w> {
    pub(super) world: &'w World,
    fs: SimFs,
    policy: Policy,
    accounts: Option<Accounts>,
    pub(super) url: AuthUrl,
    pub(super) model: Model,
    pub(super) process: u32,
    /// The fault that its next commit, or a read before it, meets.
    pub(super) fault: Option<InjectedFault>,
    /// Replacements of the signing key, and the time of the last one by the server's clock.
    rotations: u32,
    rotated_at: Time,
    /// How far the server's clock is ahead of the true time, in milliseconds.
    pub(super) skew_ms: i64,
    /// The last access token, with its expiry and the replacements before it.
    pub(super) last_access: Option<IssuedAccess>,
}

/// An access token that the server issued.
pub(super) struct IssuedAccess {
    pub(super) text: String,
    pub(super) issued_seconds: i64,
    pub(super) expires_seconds: i64,
    pub(super) rotations: u32,
}

impl<'w> Server<'w> {
    pub(super) fn start(
        world: &'w World,
        url: AuthUrl,
        policy: Policy,
    ) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let store = world.options(&fs).create(file())?;
        let accounts = open(world, store, policy)?;
        let password = accounts.ensure_admin(&PlainHasher).map_err(failed)?;
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let token_policy = TokenPolicy {
            access_ttl: millis(policy.access_ttl),
            refresh_ttl: millis(policy.refresh_ttl),
            logins_max: policy.logins_max,
            registration: policy.registration,
            password_chars_min: policy.password_chars_min,
        };
        let password = password.unwrap_or_default();
        let model = Model::new(token_policy, ADMIN_NAME, password.expose());
        let accounts = Some(accounts);
        Ok(Self {
            world,
            fs,
            policy,
            accounts,
            url,
            model,
            process: 0,
            fault: None,
            rotations: 0,
            rotated_at: Time(0),
            skew_ms: 0,
            last_access: None,
        })
    }

    /// Returns whether clients may create accounts.
    pub(super) const fn registration(&self) -> bool {
        self.policy.registration
    }

    /// Returns the time by the server's clock.
    pub(super) fn time(&self, clock: &Clock) -> Time {
        Time(clock.now().0.saturating_add(self.skew_ms))
    }

    /// Returns the time of the last replacement of the signing key, by the server's clock.
    pub(super) const fn rotated_at(&self) -> Time {
        self.rotated_at
    }

    /// Returns the number of replacements of the signing key.
    pub(super) const fn rotations(&self) -> u32 {
        self.rotations
    }

    pub(super) fn accounts(&self) -> &Accounts {
        self.accounts.as_ref().expect("the server runs")
    }

    /// Accepts a request.
    pub(super) fn begin(
        &mut self,
        now: Time,
        (round_trip, request): (&RoundTrip, &Request),
        probe: &mut Probe,
    ) -> Result<Progress, CheckError> {
        let target = request.target();
        let token = request.headers().find(|(name, _)| *name == "Authorization");
        let authorization = token.map_or(&b""[..], |(_, value)| value.as_bytes());
        let head =
            RequestHead { method: request.method().as_str(), target: &target, authorization };
        let call = ApiRequest::decode(&head, request.body()).map_err(|answer| {
            let text = format!("{target} for {:?} is answered {answer:?}", round_trip.purpose);
            Violation::new(U6.id, text)
        })?;
        let expected_request = server_call(&call);
        if expected_request != round_trip.server_call {
            let text = format!(
                "the server parsed {expected_request:?}, expected {:?}",
                round_trip.server_call
            );
            let name = |call: &ServerCall| match call {
                ServerCall::Register(name, _) | ServerCall::LogIn(name, _) => Some(name.clone()),
                _ => None,
            };
            let is_name = name(&expected_request) != name(&round_trip.server_call);
            return Err(Violation::new(if is_name { H21.id } else { U6.id }, text).into());
        }
        self.begin_call(now, call, probe)
    }

    /// Accepts a call from any caller.
    pub(super) fn begin_call(
        &mut self,
        now: Time,
        call: ApiRequest,
        probe: &mut Probe,
    ) -> Result<Progress, CheckError> {
        let started = self.model.begin(now.0, server_call(&call));
        if let Some(InjectedFault::Error(injection)) = self.fault {
            self.fs.inject(injection);
        }
        let step = self.accounts().start(now, call);
        self.fs.clear_fault();
        if let Step::Respond(answer) = &step
            && let Event::Failed(_) = answer.event()
        {
            self.fault = None;
            return Ok(Progress::Answered(Delivery::Failed(
                answer.status(),
                answer.body().to_vec(),
            )));
        }
        if let (ServerCall::LogIn(..), false) = (started.call(), matches!(step, Step::Hash(_))) {
            return Err(Violation::new(H2.id, "a login without a hash").into());
        }
        self.send_progress(now, CallInProgress { step, started, process: self.process }, probe)
    }

    /// Runs the next step of a call.
    pub(super) fn advance(
        &mut self,
        now: Time,
        call: CallInProgress,
        probe: &mut Probe,
    ) -> Result<Progress, CheckError> {
        let CallInProgress { step, started, process } = call;
        match step {
            Step::Hash(job) => self.send_progress(
                now,
                CallInProgress { step: job.run(&PlainHasher), started, process },
                probe,
            ),
            Step::Commit(job) => {
                let before = self.fault.map(|_| self.fs.disk());
                match self.fault {
                    Some(InjectedFault::PowerLoss) => self.fs.record_forks(),
                    Some(InjectedFault::Error(injection)) => self.fs.inject(injection),
                    None => {}
                }
                let answer = self.accounts().commit(now, job);
                self.fs.clear_fault();
                let (forks, fault) = (self.fs.take_forks(), self.fault.take());
                let Some(before) = before else {
                    return self.send_progress(
                        now,
                        CallInProgress { step: Step::Respond(answer), started, process },
                        probe,
                    );
                };
                if matches!(fault, Some(InjectedFault::PowerLoss)) && !forks.is_empty() {
                    let fork = self.world.rng(|rng| rng.pick(&forks).clone());
                    let disk = self.world.rng(|rng| fork.disk.power_loss(rng));
                    let reply = self.restart_after_cut(now, (before, disk), &started)?;
                    probe.crash(fork.at.name());
                    if !matches!(reply, ServerReply::Refused(_)) {
                        probe.mark("server: crash during a commit");
                    }
                    return Ok(Progress::Crashed);
                }
                if let Event::Failed(_) = answer.event() {
                    let failed = FailedCall { before, started: &started, answer: &answer };
                    return self.failed(now, failed, probe);
                }
                self.send_progress(
                    now,
                    CallInProgress { step: Step::Respond(answer), started, process },
                    probe,
                )
            }
            Step::Respond(_) => {
                self.send_progress(now, CallInProgress { step, started, process }, probe)
            }
        }
    }

    /// Handles a failed disk: the call had no effect, or the server restarts with the call applied
    /// or not.
    fn failed(
        &mut self,
        now: Time,
        failed: FailedCall<'_>,
        probe: &mut Probe,
    ) -> Result<Progress, CheckError> {
        let FailedCall { before, started, answer } = failed;
        if self.accounts().check_health(now).is_ok() {
            let model = self.model.clone();
            self.audit(now, &model).map_err(|violated_promise| {
                Violation::new(H1.id, format!("after a disk error: {violated_promise}"))
            })?;
            probe.mark("server: disk error without an effect");
        } else {
            let mut disk = self.fs.disk();
            if self.world.rng(|rng| rng.below(2) == 0) {
                disk = self.world.rng(|rng| disk.power_loss(rng));
            }
            self.restart_after_cut(now, (before, disk), started)?;
            probe.mark("server: restarted after a disk error");
        }
        Ok(Progress::Answered(Delivery::Failed(answer.status(), answer.body().to_vec())))
    }

    /// Restarts the server on a disk that may hold the call; returns the reply that it would have
    /// had.
    fn restart_after_cut(
        &mut self,
        now: Time,
        (before, disk): (Disk, Disk),
        started: &StartedCall,
    ) -> Result<ServerReply, CheckError> {
        let mut after = self.model.clone();
        let reply = after.end(now.0, started, None);
        // Tokens of an unsent answer are unknown, so the contents of the files are compared.
        let is_undone = self.contents(before)? == self.contents(disk.clone())?;
        self.recover(now, disk, if is_undone { self.model.clone() } else { after })?;
        Ok(reply)
    }

    fn send_progress(
        &mut self,
        now: Time,
        call: CallInProgress,
        probe: &mut Probe,
    ) -> Result<Progress, CheckError> {
        let Step::Respond(answer) = &call.step else { return Ok(Progress::Waiting(call)) };
        if let Some(token) = call.started.call().token() {
            match self.model.token_state(now.0, token) {
                TokenState::Next => probe.mark("server: successor token presented"),
                TokenState::Old => probe.mark("server: exchanged token presented again"),
                TokenState::Superseded => probe.mark("server: exchanged token arrived late"),
                TokenState::Early => probe.mark("server: token of a login of the future"),
                TokenState::Current | TokenState::Gone => {}
            }
        }
        let reply = self.compare(now, answer, &call.started)?;
        if matches!(reply, ServerReply::Token { .. } | ServerReply::Exchange { .. }) {
            self.follow_access_token(now, answer, probe)?;
        }
        match (&reply, call.started.call()) {
            (ServerReply::Refused(ACCESS_DENIED), ServerCall::Register(..)) => {
                probe.mark("server: registration is closed");
            }
            (ServerReply::Refused(ACCESS_DENIED), _) => {
                probe.mark("server: refused to a non-administrator");
            }
            (ServerReply::Refused(INVALID_PARAMETERS), _) => {
                probe.mark("server: password too short");
            }
            _ => {}
        }
        let is_overtaken = matches!(call.started.call(), ServerCall::LogIn(..))
            && reply == ServerReply::Refused(INVALID_CREDENTIALS)
            && call.started.refused().is_none();
        if is_overtaken {
            probe.mark("server: password changed during a login");
        }
        Ok(Progress::Answered(Delivery::Reply(answer.status(), answer.body().to_vec(), reply)))
    }

    /// Crashes the server, optionally with a power loss.
    pub(super) fn crash(&mut self, now: Time, cuts_power: bool) -> Result<(), CheckError> {
        let mut disk = self.fs.disk();
        if cuts_power {
            disk = self.world.rng(|rng| disk.power_loss(rng));
        }
        self.recover(now, disk, self.model.clone())
    }

    /// Returns all entries of the file on a disk.
    fn contents(&self, disk: Disk) -> Result<Vec<(String, Bytes, Bytes)>, CheckError> {
        let fs = self.world.boot(disk);
        let snapshot = self.world.options(&fs).open(file())?.snapshot();
        let mut contents = Vec::new();
        for name in snapshot.tree_names() {
            for entry in snapshot.tree(name).range(..)? {
                let (key, value) = entry?;
                contents.push((name.to_owned(), key, value));
            }
        }
        Ok(contents)
    }

    /// Starts the server on a disk; its accounts must equal the model.
    fn recover(&mut self, now: Time, disk: Disk, model: Model) -> Result<(), CheckError> {
        self.accounts = None;
        self.process += 1;
        self.fs.disconnect();
        self.fs = self.world.boot(disk);
        let store = self.world.options(&self.fs).open(file())?;
        self.accounts = Some(open(self.world, store, self.policy)?);
        if self.world.rng(|rng| rng.below(2) == 0) {
            self.accounts().rotate_signing_key(now).map_err(failed)?;
            self.rotations += 1;
            self.rotated_at = now;
        }
        self.audit(now, &model).map_err(|violated_promise| {
            Violation::new(H1.id, format!("after a crash: {violated_promise}"))
        })?;
        self.model = model;
        Ok(())
    }
}

fn open(world: &World, store: fastness::Store, policy: Policy) -> Result<Accounts, CheckError> {
    let entropy = Arc::new(SimEntropy::new(world.rng(Rng::next)));
    Accounts::open(store, entropy, policy).map_err(failed)
}

fn failed(error: AccountsError) -> CheckError {
    match error {
        AccountsError::Store(error) => error.into(),
        other => Violation::new(H1.id, format!("unexpected error: {other:?}")).into(),
    }
}

/// Translates a call into that of the model.
fn server_call(call: &ApiRequest) -> ServerCall {
    let text = |secret: &Secret| secret.expose().to_owned();
    match call {
        ApiRequest::Register { name, password } => ServerCall::Register(text(name), text(password)),
        ApiRequest::LogIn { name, password } => ServerCall::LogIn(text(name), text(password)),
        ApiRequest::AccessToken { refresh, path, rotate: false } => {
            ServerCall::Token(text(refresh), path.clone())
        }
        ApiRequest::AccessToken { refresh, path, rotate: true } => {
            ServerCall::Exchange(text(refresh), path.clone())
        }
        ApiRequest::Revoke { refresh } => ServerCall::Revoke(text(refresh)),
        ApiRequest::ChangePassword { refresh, identity, password } => {
            ServerCall::ChangePassword(text(refresh), identity.clone(), text(password))
        }
        ApiRequest::LookUp { refresh, name, .. } => ServerCall::LookUp(text(refresh), text(name)),
    }
}
