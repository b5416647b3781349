//! A server: the accounts on a simulated machine, with their model.

use super::super::compare::CheckError;
use super::super::promises::{H1, H2, H3, H4, H5, H6, H7, H8, H12, U6};
use super::super::world::{World, file};
use super::super::{Probe, Violation};
use super::message::{Delivery, RoundTrip};
use super::program::InjectedFault;
use crate::entropy::SimEntropy;
use crate::fs::{Disk, SimFs};
use crate::rng::Rng;
use fastness::Bytes;
use fastness_auth::server::{
    ADMIN_NAME, Accounts, AccountsError, ApiRequest, Event, HashError, PasswordHasher, Policy,
    RequestHead, Response, Step, TokenProblem,
};
use fastness_auth::{AuthUrl, Request, Secret, Time, Token, response};
use fastness_models::auth_server::{
    ACCESS_DENIED, Accounts as Model, EXPIRED_REFRESH_TOKEN, INVALID_CREDENTIALS, RETRY_LATER,
    ServerCall, ServerReply, StartedCall, TokenPolicy, TokenState,
};
use std::sync::Arc;
use std::time::Duration;

/// A call without an answer yet.
#[derive(Debug)]
pub(super) struct CallInProgress {
    step: Step,
    started: StartedCall,
    /// The process of the server that runs it.
    pub(super) process: u32,
}

/// The result of one step of a call.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting(CallInProgress),
    Answered(Delivery),
    /// The server crashed.
    Crashed,
}

/// A password hasher that takes no time.
struct PlainHasher;

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
    world: &'w World,
    fs: SimFs,
    policy: Policy,
    accounts: Option<Accounts>,
    pub(super) url: AuthUrl,
    pub(super) model: Model,
    pub(super) process: u32,
    /// The fault that its next commit, or a read before it, meets.
    pub(super) fault: Option<InjectedFault>,
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
        };
        let password = password.unwrap_or_default();
        let model = Model::new(token_policy, ADMIN_NAME, password.expose());
        let accounts = Some(accounts);
        Ok(Self { world, fs, policy, accounts, url, model, process: 0, fault: None })
    }

    fn accounts(&self) -> &Accounts {
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
            return Err(Violation::new(U6.id, text).into());
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
                    return self.failed(now, (before, &started, &answer), probe);
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
        (before, started, answer): (Disk, &StartedCall, &Response),
        probe: &mut Probe,
    ) -> Result<Progress, CheckError> {
        if self.accounts().check_health().is_ok() {
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
        if let ServerCall::Token(token, _)
        | ServerCall::Exchange(token, _)
        | ServerCall::ChangePassword(token, ..) = call.started.call()
        {
            match self.model.token_state(now.0, token) {
                TokenState::Next => probe.mark("server: successor token presented"),
                TokenState::Old => probe.mark("server: exchanged token presented again"),
                TokenState::Superseded => probe.mark("server: exchanged token arrived late"),
                TokenState::Current | TokenState::Gone => {}
            }
        }
        let reply = self.compare(now, answer, &call.started)?;
        if reply == ServerReply::Refused(ACCESS_DENIED) {
            probe.mark("server: refused to a non-administrator");
        }
        let is_overtaken = matches!(call.started.call(), ServerCall::LogIn(..))
            && reply == ServerReply::Refused(INVALID_CREDENTIALS)
            && call.started.refused().is_none();
        if is_overtaken {
            probe.mark("server: password changed during a login");
        }
        Ok(Progress::Answered(Delivery::Reply(answer.status(), answer.body().to_vec(), reply)))
    }

    /// Ends a call in the model, and compares both replies.
    fn compare(
        &mut self,
        now: Time,
        answer: &Response,
        started: &StartedCall,
    ) -> Result<ServerReply, CheckError> {
        let (status, body) = (answer.status(), answer.body());
        let user = match started.call() {
            ServerCall::Register(..) | ServerCall::LogIn(..) | ServerCall::Exchange(..)
                if status == 200 =>
            {
                let read = response::login(&self.url, status, body);
                Some(read.map_err(|e| {
                    Violation::new(
                        U6.id,
                        format!(
                            "the answer to a login parses \
                     as {e}"
                        ),
                    )
                })?)
            }
            _ => None,
        };
        let issued = user.as_ref().map(|user| (user.identity(), user.token.value.expose()));
        if let Some((identity, token)) = issued {
            if self.model.knows(token) {
                return Err(Violation::new(H4.id, "a token was issued twice").into());
            }
            if matches!(started.call(), ServerCall::Register(..))
                && self.model.has_identity(identity)
            {
                return Err(Violation::new(H12.id, "two accounts have one identity").into());
            }
        }
        let expected = self.model.end(now.0, started, issued);
        let found = match (&expected, started.call()) {
            _ if status != 200 => ServerReply::Refused(answer.code().number()),
            (ServerReply::LogIn { identity: known, .. }, _) if user.is_some() => {
                let user = user.as_ref().ok_or_else(|| Violation::new(H2.id, "no user"))?;
                let identity = known.as_ref().map(|_| user.identity().to_owned());
                let (expires, is_admin) = (user.token.expires_seconds, user.is_admin());
                ServerReply::LogIn { identity, expires, is_admin }
            }
            (_, ServerCall::Token(..) | ServerCall::Exchange(..)) => {
                let token = response::access_token(status, body);
                let token = token.map_err(|e| {
                    Violation::new(
                        U6.id,
                        format!(
                            "the answer parses as \
                     {e}"
                        ),
                    )
                })?;
                self.verify(now, &token)?;
                let (identity, path, expires) = (token.identity, token.path, token.expires_seconds);
                match &user {
                    None => ServerReply::Token { identity, path, expires },
                    Some(user) => {
                        let login_expires = user.token.expires_seconds;
                        ServerReply::Exchange { identity, path, expires, login_expires }
                    }
                }
            }
            (expected, ServerCall::LookUp(..)) => {
                let info = response::look_up(status, body);
                let info = info.map_err(|e| {
                    Violation::new(
                        U6.id,
                        format!(
                            "the answer parses as \
                     {e}"
                        ),
                    )
                })?;
                let is_known = matches!(expected, ServerReply::Found { identity: Some(_), .. });
                let identity = is_known.then_some(info.identity);
                ServerReply::Found { identity, is_admin: info.is_admin }
            }
            _ => ServerReply::Done,
        };
        let is_same = match expected {
            ServerReply::Expired => {
                matches!(found, ServerReply::Done | ServerReply::Refused(EXPIRED_REFRESH_TOKEN))
            }
            _ => found == expected,
        };
        if is_same {
            return Ok(if expected == ServerReply::Expired { ServerReply::Done } else { expected });
        }
        let text = format!("{:?}: found {found:?}, expected {expected:?}", started.call());
        Err(Violation::new(violated_promise(started.call(), &expected), text).into())
    }

    /// Checks that an access token carries its claims under its signature, and that a changed one
    /// is refused.
    fn verify(&self, now: Time, token: &Token) -> Result<(), Violation> {
        let signer = self.accounts().signer();
        let text = token.value.expose();
        let is_same = signer.verify(text, now).is_ok_and(|claims| {
            let known = (claims.identity, claims.path, claims.expires_seconds, claims.is_admin);
            known
                == (
                    token.identity.clone(),
                    token.path.clone(),
                    token.expires_seconds,
                    token.is_admin,
                )
        });
        let at = self.world.rng(|rng| rng.below(text.len()));
        let letter = if text[at..].starts_with('A') { "B" } else { "A" };
        let mut changed = text.to_owned();
        changed.replace_range(at..=at, letter);
        let is_refused = signer.verify(&changed, now) == Err(TokenProblem::InvalidSignature);
        if is_same && is_refused {
            return Ok(());
        }
        let text = format!(
            "the token verifies: {is_same}; a changed token is refused: \
             {is_refused}"
        );
        Err(Violation::new(H7.id, text))
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
        self.audit(now, &model).map_err(|violated_promise| {
            Violation::new(
                H1.id,
                format!(
                    "after a crash: \
                 {violated_promise}"
                ),
            )
        })?;
        self.model = model;
        Ok(())
    }

    /// Compares all passwords and tokens with a model, without changing anything.
    pub(super) fn audit(&self, now: Time, model: &Model) -> Result<(), Violation> {
        let accounts = self.accounts();
        for (token, token_state) in model.tokens(now.0) {
            let refresh = Secret::from(token);
            let call =
                ApiRequest::AccessToken { refresh, path: "/~/audit".to_owned(), rotate: false };
            let code = match accounts.start(now, call) {
                Step::Respond(answer) => answer.code().number(),
                Step::Hash(_) | Step::Commit(_) => 0,
            };
            let (expected, invariant) = match token_state {
                TokenState::Current => (200, H4.id),
                // Presenting the token would change its state.
                TokenState::Next | TokenState::Old => (0, H6.id),
                TokenState::Superseded => (RETRY_LATER, H6.id),
                TokenState::Gone => (EXPIRED_REFRESH_TOKEN, H3.id),
            };
            if code != expected {
                let text = format!("a token in state {token_state:?} gets code {code}");
                return Err(Violation::new(invariant, text));
            }
        }
        let fits = |name: &str, password: &str| {
            let (name, password) = (name.into(), password.into());
            match accounts.start(now, ApiRequest::LogIn { name, password }) {
                Step::Hash(job) => matches!(job.run(&PlainHasher), Step::Commit(_)),
                Step::Respond(_) | Step::Commit(_) => false,
            }
        };
        for name in model.names() {
            let password = model.password(name).unwrap_or_default();
            if !fits(name, password) || fits(name, &format!("{password}?")) {
                let text = format!("the password of {name} is not {password}");
                return Err(Violation::new(H2.id, text));
            }
        }
        for name in super::NAMES {
            let (known, password) = (Secret::from(name), Secret::from("p"));
            let started = accounts.start(now, ApiRequest::Register { name: known, password });
            let is_taken = matches!(started, Step::Respond(_));
            if is_taken != model.password(name).is_some() {
                let text = format!("{name} has an account: {is_taken}");
                return Err(Violation::new(H12.id, text));
            }
        }
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

/// Maps an unexpected answer to the promise it violates.
fn violated_promise(server_call: &ServerCall, expected: &ServerReply) -> &'static str {
    match (server_call, expected) {
        (_, ServerReply::Refused(EXPIRED_REFRESH_TOKEN)) => H3.id,
        (_, ServerReply::Refused(RETRY_LATER)) => H6.id,
        (_, ServerReply::Refused(ACCESS_DENIED)) => H8.id,
        (ServerCall::Register(..), _) => H12.id,
        (ServerCall::LogIn(..), _) => H2.id,
        (ServerCall::Revoke(_), _) => H5.id,
        (ServerCall::Exchange(..), _) => H6.id,
        _ => H4.id,
    }
}
